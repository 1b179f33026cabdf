"""How slots are shown: who holds each, the report of the latest swap in its fixed form, the kept measurements."""

import json
from dataclasses import replace

import pytest

from supervisor import views
from supervisor.bus.contract.models import Slot as Shape
from supervisor.facts import Json, Wanted
from supervisor.journal.codec import dump
from tests.support.boxes import NOW, qdrant
from tests.support.house import FakeHouse
from tests.support.slots_shown import (
    FIRST,
    OTHER,
    TEXT,
    empty,
    gate,
    holder,
    measured,
    other,
    probation,
    report,
    service,
    shown,
    slot,
    swap,
)


def document(**more: object) -> Json:
    snapshot = shown(slot(**more))
    return views.slot_document(snapshot.slots[0], snapshot)


@pytest.mark.parametrize(
    "state",
    [
        slot(),
        empty(),
        slot(gate=None, probation=probation(), report=report()),
        slot(stand_in=True, phase="start", plan=41, expected=NOW + 700),
        slot(models=(holder(in_flight=None, kept_until=-1.0), other(no_go="too slow", bench=None))),
    ],
)
def test_the_document_holds_by_the_contract(state: object) -> None:
    snapshot = shown(state)  # type: ignore[arg-type]
    body = views.slot_document(snapshot.slots[0], snapshot)
    Shape.model_validate_json(json.dumps(body), strict=True)


def test_what_nobody_knows_is_null_and_never_zero() -> None:
    (first, second) = document(models=(holder(in_flight=None, bench=None), other()), gate=None)["models"]
    assert (first["in_flight"], first["bench"]) == (None, None)
    assert second["used_at"].startswith("0001")
    assert document(gate=None)["gate"] is None
    assert document()["report"] is None


def test_a_model_that_is_kept_without_an_end_is_not_kept_until_the_year_1() -> None:
    for until, kept, told in ((-1.0, True, "0001"), (0.0, False, "0001"), (NOW + 60, True, "2025")):
        (first, _second) = document(models=(holder(kept_until=until), other()))["models"]
        assert (first["kept"], first["kept_until"][:4]) == (kept, told)


def test_a_report_gets_its_fixed_form_whatever_wrote_it() -> None:
    assert views.slot_document(slot(report={"plan": 3}), shown())["report"] == {
        "plan": 3,
        "at": "0001-01-01T00:00:00Z",
        "from": "",
        "to": "",
        "verdict": "",
        "text": "",
        "lines": [],
        "seconds": 0,
        "outage": 0,
    }
    odd = report(verdict="MAYBE", lines=[{"what": 3, "ok": "yes"}, "x"], seconds=float("inf"), plan=True)
    found = views.slot_document(slot(report=odd), shown())["report"]
    assert (found["verdict"], found["plan"], found["seconds"]) == ("", 0, "+Inf")
    assert found["lines"] == [{"what": "3", "found": "", "wanted": "", "ok": None}]
    assert len(views.slot_document(slot(report=report(lines=[{}] * 500)), shown())["report"]["lines"]) == 64


def test_what_a_model_answered_is_text_of_one_line_and_bounded() -> None:
    """A model says what it likes, also in a canary that failed: the document is kept by every broker."""
    odd = "\x1b[2J" + "x" * 100_000 + "\n{{ states.secret }}"
    bench = measured(canaries=500, failed=(odd,) * 500)
    state = slot(
        models=(holder(bench=bench, text=odd), other(no_go=odd)),
        report=report(text=odd, lines=[{"what": odd, "found": odd, "wanted": odd, "ok": False}] * 64),
    )
    text = json.dumps(views.slot_document(state, shown(state)))
    assert len(text) < 100_000
    assert "\\u001b" not in text
    assert "\\n" not in text


def test_a_slot_is_part_of_the_status_and_a_service_of_it_says_which_plan_works_on_it() -> None:
    status = views.status_document(shown(services=(service(f"stack.{FIRST}"), qdrant()), plans=(swap(),)))
    assert [one["slot"] for one in status["slots"]] == ["oracle"]
    (carrying, alone) = status["services"]
    assert carrying["phoenix"] == {"active": True, "plan": 41, "verb": "swap"}
    assert alone["phoenix"]["active"] is False
    assert status["plans"][0]["touches"] == [f"stack.{FIRST}", "stack.mxfp4"]


# ---------------------------------------------------------------- explain


def test_a_slot_is_explained_with_what_works_on_it_and_what_stands_in_the_way() -> None:
    state = slot(phase="start", plan=41, expected=NOW + 700, holder="", problem="Nobody holds it while it loads.")
    document = views.explain_document("oracle", shown(state, plans=(swap(),)))
    assert document["found"]
    assert document["sentence"].startswith("slot oracle: Nobody holds it while it loads; plan 41 is at")
    assert [one["id"] for one in document["plans"]] == [41]
    assert [one["slot"] for one in document["slots"]] == ["oracle"]
    assert document["service"] is None


@pytest.mark.parametrize("word", ["slot:oracle", "oracle", OTHER])
def test_a_slot_is_found_by_its_name_and_by_that_of_a_model(word: str) -> None:
    found = views.found_slot(word, shown())
    assert found is not None
    assert found.name == "oracle"


def test_a_model_of_two_slots_means_neither() -> None:
    assert views.found_slot(OTHER, shown(slot(), slot(name="executor"))) is None
    assert not views.explain_document(OTHER, shown(slot(), slot(name="executor")))["found"]


def test_a_word_that_is_nearly_a_slot_is_answered_with_it() -> None:
    document = views.explain_document("oracel", shown(services=()))
    assert not document["found"]
    assert document["near"] == ["oracle"]


def test_a_service_is_explained_with_the_slot_that_it_may_hold() -> None:
    document = views.explain_document(f"stack.{FIRST}", shown(services=(service(f"stack.{FIRST}"),)))
    assert document["sentence"].startswith(f"stack.{FIRST} is running")
    assert [one["slot"] for one in document["slots"]] == ["oracle"]


# ---------------------------------------------------------------- benchmarks


def kept() -> Json:
    first = [dump(measured(at=NOW - 300)), dump(measured(at=NOW - 100, rate=11.0))]
    return {f"oracle|{FIRST}": {"runs": first}, f"oracle|{OTHER}": [dump(measured(OTHER, 9.8, at=NOW - 200))]}


def test_benchmarks_are_told_oldest_first_of_one_slot_or_one_model() -> None:
    found = views.benchmarks_document(kept())
    assert [one["rate"] for one in found] == [10.9, 9.8, 11.0]
    assert [one["rate"] for one in views.benchmarks_document(kept(), model=OTHER)] == [9.8]
    assert views.benchmarks_document(kept(), slot="executor") == []


def test_what_cannot_be_read_is_left_out() -> None:
    broken: Json = {"a": {"runs": ["noon", 7]}, "b": 3, "c": {"n": 3}}
    assert [one["rate"] for one in views.benchmarks_document(kept() | broken)] == [10.9, 9.8, 11.0]


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("model.no_go", {"text": TEXT}, TEXT),
        (
            "model.phase",
            {"model": OTHER, "phase": "start", "progress": 0.4, "text": "it loads"},
            "mxfp4 start 40%: it loads",
        ),
        (
            "model.phase",
            {"phase": "drain", "found": "0 in flight", "progress": -1.0, "text": "x"},
            "drain: 0 in flight",
        ),
        ("model.swap_began", {"from": FIRST, "model": OTHER}, "swap deepseek-v32 -> mxfp4 begins"),
        ("model.stand_in", {"model": OTHER}, "mxfp4 stands in"),
        ("model.evicted", {}, "a model was put away"),
        ("model.unheard_of", {}, "unheard of"),
    ],
)
def test_every_row_of_a_slot_has_a_sentence(kind: str, body: Json, said: str) -> None:
    house = FakeHouse()
    house.happen(kind, "slot:oracle", body)
    (row,) = house.journal.rows(kinds=("model",))
    assert views.phrase(row) == said


def test_how_a_slot_stands_in_one_sentence() -> None:
    state = replace(slot(), gate=gate(listening=False, text="port 8000 is taken"), probation=probation())
    said = views.explain_document("oracle", shown(state))["sentence"]
    assert f"{FIRST} holds it since" in said
    assert "its gate does not listen: port 8000 is taken" in said
    assert f"{OTHER} is on probation until" in said


def test_a_model_that_another_one_keeps_out_is_not_told_to_be_started() -> None:
    """`resurgam start` would put two models onto one card: what brings it there is a swap."""
    stopped = replace(service("stack.mxfp4", running=False), wanted=Wanted("stopped", "slot:oracle", NOW))
    told = views.status_document(shown(services=(stopped,)))["services"][0]
    assert told["blocker"] == f"{FIRST} holds oracle; `resurgam swap oracle --to {OTHER}` puts {OTHER} there"
    by_hand = replace(stopped, wanted=Wanted("stopped", "person", NOW))
    assert (
        "`resurgam start stack.mxfp4` brings it back"
        in views.status_document(shown(services=(by_hand,)))["services"][0]["blocker"]
    )
    nobody = views.status_document(shown(empty(), services=(stopped,)))["services"][0]
    assert nobody["blocker"].startswith("nobody holds oracle; `resurgam swap oracle")
