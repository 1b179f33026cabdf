"""The memory part of `resurgam status`, as a person reads it."""

import math
from dataclasses import replace
from datetime import datetime

import pytest

from supervisor import views
from supervisor.cli import status_memory
from supervisor.cli.status import needs_you
from supervisor.facts import Exhaustion, Hold, Json, MemoryBudget
from tests.support.boxes import NOW, box, qdrant
from tests.support.budgets import AGENT, GIB, ORACLE, leak, owners


def document(budget: MemoryBudget | None, **changes: object) -> Json:
    return views.status_document(box(budget=budget, alerts=(), services=(qdrant(),), **changes))


def said(budget: MemoryBudget | None) -> list[str]:
    return [text for text, _colour in status_memory.lines(document(budget))]


def row(budget: MemoryBudget, width: int = 0, **changes: object) -> list[str]:
    _heads, rows, _others = status_memory.table(document(budget, **changes), width)
    return [str(cell) for cell in rows[0]]


def test_a_box_that_is_planned_to_its_last_part_says_what_is_left() -> None:
    assert said(owners()) == [
        "memory  75% of 384 GiB used; 8 GiB reserve, 361 GiB planned, 15 GiB may be planned",
        "        70 GiB available, 11 GiB of it in no plan; no end foreseen",
        "swap    64 GiB; 1 GiB used: qdrant 1 GiB",
    ]
    assert needs_you(document(owners())) == []


def test_what_runs_out_stands_first_with_who_takes_it() -> None:
    first, _total, left, *_rest = status_memory.lines(document(leak()))
    assert first == (
        "! Memory runs out in 8m at 24 MiB a second: "
        "qdrant grew from 25 GiB to 26 GiB in 30s, 6 GiB over its plan of 20 GiB.",
        "red",
    )
    assert left[0].endswith("lasts 8m at this rate")
    assert needs_you(document(leak())) == ["ram runs out"], "so the exit code says it, too"


def test_plans_beyond_the_machine_are_told_in_plain_words() -> None:
    found = said(replace(owners(), planned=400 * GIB, effective=0.0))
    assert found[0].endswith("400 GiB planned, 24 GiB too much")
    assert "70 GiB available, 0 B of it in no plan" in found[1]


@pytest.mark.parametrize(
    ("total", "declared", "text", "colour"),
    [
        (0.0, 0.0, "swap    none", "dim"),
        (0.0, 64 * GIB, "swap    none, and 64 GiB are declared", "yellow"),
        (32 * GIB, 64 * GIB, "swap    32 GiB of 64 GiB declared; not used", "yellow"),
        (64 * GIB, 64 * GIB, "swap    64 GiB; not used", ""),
        (64 * GIB, 0.0, "swap    64 GiB; not used", ""),
    ],
)
def test_swap_as_it_was_declared_or_not(total: float, declared: float, text: str, colour: str) -> None:
    none = replace(owners(), swap_total=total, swap_free=total, swap_declared=declared, services=(ORACLE,))
    assert status_memory.lines(document(none))[-1] == (text, colour)


def test_swap_that_fills_up_says_when_it_is_full() -> None:
    soon = Exhaustion("swap", 120.0, GIB, GIB / 120, NOW, certain=True)
    found = said(replace(owners(), exhaustion=(Exhaustion("ram", math.inf, 0.0, 0.0), soon)))
    assert found[0] == "! swap lasts 2m more"
    assert found[-1].endswith("lasts 2m at this rate")


def test_what_was_about_to_run_out_says_no_time() -> None:
    over = Exhaustion("ram", math.inf, GIB, 0.0, NOW, certain=True)
    assert said(replace(owners(), exhaustion=(over,)))[0] == "! memory was about to run out"


def test_who_planned_in_gigabytes_reads_gigabytes() -> None:
    """The same figures as in a refusal and over MQTT: what was declared is recognised at a glance."""
    oracle = replace(AGENT, plan=341e9, source="declared", used=298e9, swap=0.0, running=True)
    owner = replace(owners(), total=384e9, reserve=8e9, planned=361e9, swap_declared=64e9, services=(oracle,))
    assert said(owner)[0] == "memory  75% of 384 GB used; 8 GB reserve, 361 GB planned, 15 GB may be planned"
    used, left = row(owner)[2:4]
    assert (row(owner)[1], used, left) == ("341 GB declared", "298 GB", "43 GB")


def test_what_does_not_run_has_nothing_left_to_take() -> None:
    stopped = replace(qdrant(), container=replace(qdrant().container, status="exited"))  # type: ignore[type-var]
    shown = views.status_document(box(budget=owners(), alerts=(), services=(stopped,)))
    assert [str(cell) for cell in status_memory.table(shown)[1][0]][:4] == ["qdrant", "20 GiB learned", "-", "-"]


def test_nodes_are_told_where_there_are_several() -> None:
    assert not any(line.startswith("nodes") for line in said(owners()))
    several = replace(owners(), nodes={0: (96 * GIB, GIB), 1: (96 * GIB, 40 * GIB)})
    assert said(several)[-1] == "nodes   free: 0: 1 GiB of 96 GiB, 1: 40 GiB of 96 GiB"


def test_how_a_service_with_a_plan_is_spread_over_the_nodes_is_told() -> None:
    """281 GB of weights belong on all four nodes: a person sees at once where they do not."""
    spread = {node: (69 + node) * GIB for node in range(4)}
    several = replace(owners(), nodes=dict.fromkeys(range(4), (96 * GIB, 20 * GIB)))
    shown = views.status_document(
        box(
            budget=replace(several, services=(replace(ORACLE, service="qdrant", nodes=spread),)),
            alerts=(),
            services=(qdrant(),),
        )
    )
    lines = [text for text, _colour in status_memory.lines(shown)]
    assert lines[-1] == "        qdrant: 0: 69 GiB, 1: 70 GiB, 2: 71 GiB, 3: 72 GiB"
    assert lines[-2].startswith("nodes   free: 0: 20 GiB of 96 GiB")
    small = replace(several, services=(replace(AGENT, plan=0.0, source="", nodes=spread),))
    assert said(small)[-1].startswith("nodes"), "nobody asked about one without a plan"


def test_a_box_whose_memory_was_not_read_says_as_much_as_before() -> None:
    assert said(None) == ["memory 75% of 372.5 GiB, swap 0% of 59.6 GiB"]
    assert [text for text, _ in status_memory.lines(document(None, host_memory={}))] == ["memory not read yet"]


def test_each_service_tells_its_plan_and_what_is_left_or_over() -> None:
    assert row(owners()) == ["qdrant", "20 GiB learned", "12 GiB", "8 GiB", "-", "1 GiB in swap"]
    over = row(leak())
    assert over[3:5] == ["6 GiB over", "24 MiB/s"]
    assert over[5] == "takes the last memory, 1 GiB in swap"


def test_what_cannot_be_read_is_no_zero() -> None:
    unread = replace(owners(), services=(replace(AGENT, used=0.0, swap=0.0, unread=True),))
    assert row(unread)[2] == "-"


def test_a_narrow_terminal_leaves_out_a_column_and_nothing_it_says() -> None:
    heads, rows, _others = status_memory.table(document(leak()), 80)
    assert len(heads) == len(rows[0]) == 5
    assert "grows 24 MiB/s" in str(rows[0][-1])


def test_what_is_held_says_how_and_until_when() -> None:
    held = (Hold("qdrant", "d", "freeze", NOW + 120), Hold("qdrant", "d", "fuse", NOW + 600))
    budget = replace(owners(), services=(replace(AGENT, swap=0.0, frozen=True, fuse=21 * GIB),))
    clock, later = (f"{datetime.fromtimestamp(NOW + wait):%H:%M:%S}" for wait in (120, 600))
    note = row(budget, holds=held)[-1]
    assert note == f"frozen until {clock}, slowed down above 21 GiB until {later}"


def test_services_without_a_plan_are_counted_together() -> None:
    others = [replace(qdrant(), id=f"web{number}") for number in range(3)]
    parts = [replace(ORACLE, service=one.id, plan=0.0, source="", used=GIB) for one in others]
    budget = replace(owners(), services=(AGENT, *parts))
    shown = views.status_document(box(budget=budget, services=(qdrant(), *others)))
    _heads, rows, rest = status_memory.table(shown)
    assert [line[0] for line in rows] == ["qdrant"]
    assert rest == "3 more services without a plan: 3 GiB"
    swapped = replace(budget, services=(AGENT, *(replace(part, swap=GIB) for part in parts)))
    shown = views.status_document(box(budget=swapped, services=(qdrant(), *others)))
    assert len(status_memory.table(shown)[1]) == 4, "who is in swap is worth a row"


def test_a_daemon_of_before_that_tells_no_budget_is_shown_all_the_same() -> None:
    old = document(owners())
    del old["host"]["budget"]
    for entry in old["services"]:
        del entry["budget"]
    assert status_memory.lines(old) == [("memory 75% of 372.5 GiB, swap 0% of 59.6 GiB", "dim")]
    assert status_memory.table(old)[1] == []
    assert status_memory.troubled(old) == []
