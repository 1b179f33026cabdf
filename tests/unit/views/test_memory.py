"""The memory budget as a document."""

import json
import math
from dataclasses import replace

import pytest

from supervisor import views
from supervisor.facts import Hold
from supervisor.views.memory import coarse, leading
from tests.support.boxes import NOW, box, qdrant
from tests.support.budgets import AGENT, GIB, ORACLE, leak, owners


def test_the_owners_plan_comes_out_as_a_person_would_compute_it() -> None:
    document = views.host_document(box(budget=owners()))["budget"]
    planned = [document[key] / GIB for key in ("total", "reserve", "planned", "headroom")]
    assert planned == [384, 8, 361, 15]
    assert document["swap"] == {"declared": 64 * GIB, "total": 64 * GIB, "free": 63 * GIB}
    assert document["lasts"] == {"ram": None, "swap": None}, "neither runs out"
    assert (document["at_risk"], document["culprit"], document["nodes"]) == ([], "", [])


def test_more_planned_than_there_is_has_a_headroom_below_nothing() -> None:
    document = views.host_document(box(budget=replace(owners(), planned=400 * GIB)))["budget"]
    assert document["headroom"] == -24 * GIB


def test_what_runs_out_says_when_and_by_whom() -> None:
    document = views.host_document(box(budget=leak()))["budget"]
    assert document["lasts"] == {"ram": 480, "swap": None}
    assert (document["at_risk"], document["culprit"]) == (["ram"], "qdrant")
    assert "over its plan of 20 GiB" in document["text"]
    json.dumps(document, allow_nan=False)


def test_a_service_tells_its_plan_and_what_is_over_or_left_of_it() -> None:
    calm, leaking = (views.container_document(qdrant(), box(budget=budget))["budget"] for budget in (owners(), leak()))
    assert (calm["plan"], calm["source"], calm["used"], calm["swap"]) == (20 * GIB, "learned", 12 * GIB, GIB)
    assert (calm["left"], calm["over"], calm["culprit"]) == (8 * GIB, 0, False)
    assert (leaking["left"], leaking["over"], leaking["culprit"]) == (0, 6 * GIB, True)
    assert leaking["growth"] == 24 * 2**20


def test_what_is_done_to_it_says_until_when() -> None:
    held = (
        Hold("qdrant", "d" * 64, "freeze", NOW + 120),
        Hold("stack.oracle", "c" * 64, "fuse", NOW + 600),
    )
    budget = replace(owners(), services=(ORACLE, replace(AGENT, frozen=True, fuse=21 * GIB)))
    document = views.container_document(qdrant(), box(budget=budget, holds=held))["budget"]
    assert (document["frozen"], document["frozen_until"]) == (True, views.iso(NOW + 120))
    assert (document["fuse"], document["fuse_until"]) == (21 * GIB, views.iso(0.0)), "a fuse that is not ours"


def test_what_we_hold_is_told_before_the_next_reading_sees_it() -> None:
    held = (Hold("qdrant", "d" * 64, "freeze", NOW + 120),)
    document = views.container_document(qdrant(), box(budget=owners(), holds=held))["budget"]
    assert (document["frozen"], document["frozen_until"]) == (True, views.iso(NOW + 120))


@pytest.mark.parametrize("used", [123.456e6, 724.4e6])
def test_what_is_left_or_over_is_what_a_person_reckons_from_the_rest(used: float) -> None:
    budget = replace(owners(), services=(replace(AGENT, plan=700e6, used=used),))
    document = views.container_document(qdrant(), box(budget=budget))["budget"]
    assert document["left"] - document["over"] == document["plan"] - document["used"]


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert views.host_document(box())["budget"] is None
    assert views.container_document(qdrant(), box())["budget"] is None
    without = replace(owners(), services=(ORACLE,))
    assert views.container_document(qdrant(), box(budget=without))["budget"] is None
    nobody = replace(owners(), services=(replace(AGENT, plan=0.0, source=""),))
    share = views.container_document(qdrant(), box(budget=nobody))["budget"]
    assert (share["plan"], share["left"], share["over"]) == (None, 0, 0)


def test_what_cannot_be_read_is_not_taken_for_nothing() -> None:
    unread = replace(owners(), services=(replace(AGENT, used=0.0, resident=0.0, unread=True),))
    share = views.container_document(qdrant(), box(budget=unread))["budget"]
    assert (share["used"], share["resident"], share["plan"]) == (None, None, 20 * GIB)


def test_nodes_are_told_in_order() -> None:
    budget = replace(owners(), nodes={1: (96 * GIB, GIB), 0: (96 * GIB, 2 * GIB)})
    found = views.host_document(box(budget=budget))["budget"]["nodes"]
    assert [(node["node"], node["free"]) for node in found] == [(0, 2 * GIB), (1, GIB)]


@pytest.mark.parametrize("size", [0.0, 1.0, 511.0, 4097.0, 12.3 * GIB, 281 * GIB, -5.5 * GIB])
def test_a_rounded_size_is_near_and_stays_when_rounded_again(size: float) -> None:
    once = coarse(size)
    assert once == pytest.approx(size, rel=1 / 900)
    assert coarse(float(once)) == once


def test_small_changes_do_not_move_a_rounded_size() -> None:
    assert len({coarse(298 * GIB + step * 2**20) for step in range(200)}) == 1


def test_what_is_no_number_is_a_word() -> None:
    assert (coarse(math.inf), leading(math.nan), leading(0.0)) == ("+Inf", "NaN", 0)
    assert (leading(481.3), leading(-0.0123), leading(59.9)) == (480, -0.012, 60)
