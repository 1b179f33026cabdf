"""The part of `resurgam status` about model slots, as a person reads it; and what was measured."""

import json

import pytest

from supervisor import views
from supervisor.cli import status_slots
from supervisor.cli.main import main
from supervisor.cli.status import needs_you, only
from supervisor.errors import UsageError
from supervisor.facts import Json, SlotState
from supervisor.journal.codec import dump
from tests.support.boxes import NOW, loop_alert, qdrant
from tests.support.house import Served, served
from tests.support.slots_shown import (
    FIRST,
    OTHER,
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


def document(*slots: SlotState, **more: object) -> Json:
    return views.status_document(shown(*slots, **({"alerts": (), "services": (qdrant(),)} | more)))


def said(*slots: SlotState) -> list[str]:
    return [text for text, _colour in status_slots.lines(document(*slots))]


def rows(*slots: SlotState, width: int = 0) -> list[dict[str, object]]:
    heads, found = status_slots.table(document(*slots), width)
    return [dict(zip(heads, row, strict=True)) for row in found]


def test_a_machine_without_slots_has_no_line() -> None:
    bare = document() | {"slots": []}
    assert status_slots.lines(bare) == []
    assert status_slots.troubled(bare) == []


def test_a_slot_that_is_well_is_one_line() -> None:
    assert said() == [f"slot    oracle: {FIRST} holds it for 15m, at 127.0.0.1:8000: 2 in flight"]
    assert needs_you(document()) == []


def test_an_empty_slot_is_red_and_needs_a_person() -> None:
    found = document(empty())
    (first, why) = status_slots.lines(found)
    assert first[0].startswith("slot    oracle: nobody holds it")
    assert why == (f"        {empty().problem}", "red")
    assert needs_you(found) == ["slot oracle"]


def test_a_swap_that_runs_says_where_it_is_and_when_it_ends() -> None:
    state = slot(holder="", phase="start", plan=41, expected=NOW + 700, gate=gate(held=14, in_flight=0))
    lines = said(state)
    assert lines[0].endswith("127.0.0.1:8000: 14 held")
    assert lines[1].startswith("        plan 41 is at start, expected to end at ")


def test_a_stand_in_probation_and_a_no_go_are_told() -> None:
    state = slot(holder=OTHER, stand_in=True, probation=probation(), report=report(), problem="Its budget is spent.")
    lines = said(state)
    assert f"{OTHER} holds it for 15m (it stands in for {FIRST})" in lines[0]
    assert lines[1] == "        Its budget is spent."
    assert lines[2].startswith(f"        {OTHER} is on probation until ")
    assert lines[2].endswith(f"; {FIRST} is armed to come back")
    assert lines[3].startswith("        the last swap, 1m ago: NO-GO mxfp4: 9.8 tokens/s")


def test_a_gate_that_does_not_listen_is_told_and_needs_a_person() -> None:
    state = slot(gate=gate(listening=False, text="another program has the port"))
    assert "        its gate does not listen: another program has the port" in said(state)
    assert needs_you(document(state)) == ["slot oracle"]


def test_every_model_has_a_row() -> None:
    first, second = rows(slot(models=(holder(kept_until=-1.0), other(no_go="too slow", bench=measured(OTHER, 9.8)))))
    assert first["model"] == f"* {FIRST}"
    assert (first["tok/s"], first["in flight"], first["used"]) == ("10.9", 2, "2s ago")
    assert first["note"] == "kept"
    assert (second["state"], second["tok/s"], second["note"]) == ("unloaded", "9.8", "NO-GO: too slow")


def test_what_nobody_knows_is_a_question_mark_where_it_counts() -> None:
    loaded, unloaded = rows(slot(models=(holder(in_flight=None), other(in_flight=None))))
    assert (loaded["in flight"], unloaded["in flight"]) == ("?", "-")


def test_a_model_that_is_out_of_its_mind_says_so() -> None:
    bench = measured(canaries=2, failed=("It did not say Paris.",))
    (first, _second) = rows(slot(models=(holder(bench=bench), other())))
    assert first["note"] == "1 of 2 canaries failed"


def test_a_narrow_terminal_leaves_out_what_can_be_done_without() -> None:
    assert list(rows(slot(), width=80)[0]) == ["slot", "model", "state", "tok/s", "in flight", "note"]


# ---------------------------------------------------------------- one of them alone


def whole() -> Json:
    alert = loop_alert()
    mine = {"labels": {"alertname": "SlotEmpty", "slot": "oracle"}, "fingerprint": "beef"}
    found = document(
        slot(),
        slot(name="executor", models=()),
        services=(service(f"stack.{FIRST}"), service("stack.mxfp4", running=False), qdrant()),
        plans=(swap(),),
        alerts=(alert,),
    )
    return found | {"alerts": [*found["alerts"], mine]}


def test_a_slot_alone_is_shown_with_the_services_of_its_models_and_what_works_on_it() -> None:
    found = only(whole(), "oracle")
    assert [one["slot"] for one in found["slots"]] == ["oracle"]
    assert [one["service"] for one in found["services"]] == [f"stack.{FIRST}", "stack.mxfp4"]
    assert [one["id"] for one in found["plans"]] == [41]
    assert [one["labels"]["alertname"] for one in found["alerts"]] == ["SlotEmpty"]


def test_a_service_alone_is_shown_with_its_slot_and_the_plan_that_touches_it() -> None:
    found = only(whole(), "stack.mxfp4")
    assert [one["slot"] for one in found["slots"]] == ["oracle"]
    assert [one["service"] for one in found["services"]] == ["stack.mxfp4"]
    assert [one["id"] for one in found["plans"]] == [41]


def test_another_service_has_none_of_it() -> None:
    found = only(whole(), "qdrant")
    assert (found["slots"], found["plans"]) == ([], [])


def test_a_word_that_is_neither_is_said() -> None:
    with pytest.raises(UsageError, match="no service and no slot is called 'glm'"):
        only(whole(), "glm")


def call(daemon: Served, *words: str) -> int:
    return main([*words, "--socket", str(daemon.socket)])


def test_status_prints_slots_and_explain_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    with served(shown(services=(qdrant(),), alerts=(), seq=0)) as daemon:
        assert call(daemon, "status", "oracle") == 0
        out = capsys.readouterr().out
        assert f"slot    oracle: {FIRST} holds it" in out
        assert f"* {FIRST}" in out
        assert call(daemon, "explain", "oracle") == 0
        assert capsys.readouterr().out.startswith(f"slot oracle: {FIRST} holds it since ")
        assert call(daemon, "explain", "glm") == 2


# ---------------------------------------------------------------- what was measured


@pytest.mark.parametrize(("value", "text"), [(0.0, "-"), (9.84, "9.8"), (11.0, "11.0"), (99371.07, "99371")])
def test_rates_are_written_as_reports_write_them(value: float, text: str) -> None:
    assert status_slots.rate(value) == text


def test_benchmarks_are_told_of_a_slot_or_a_model_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    kept = [dump(measured(at=NOW - 300)), dump(measured(at=NOW - 100, rate=11.0, canaries=2, failed=("x",)))]
    with served(shown(seq=0)) as daemon:

        def measure() -> None:
            batch = daemon.house.journal.batch()
            batch.put("bench", f"oracle|{FIRST}", {"runs": kept})
            batch.put("bench", f"executor|{OTHER}", {"runs": [dump(measured(OTHER, 9.8, slot="executor"))]})
            daemon.house.journal.commit(batch)

        assert call(daemon, "history", "--benchmarks") == 0
        assert "nothing was measured yet" in capsys.readouterr().out
        daemon.do(measure)
        assert call(daemon, "history", "oracle", "--benchmarks") == 0
        _heads, *lines = capsys.readouterr().out.splitlines()
        assert [line.split()[4] for line in lines] == ["10.9", "11.0"]
        assert "1 of 2 well" in lines[1]
        for word, rates in ((OTHER, [9.8]), ("", [9.8, 10.9, 11.0]), ("glm", [])):
            assert call(daemon, "history", *([word] if word else []), "--benchmarks", "-o", "json") == 0
            assert [one["rate"] for one in json.loads(capsys.readouterr().out)] == rates
        assert call(daemon, "history", "--benchmarks", "-n", "1", "-o", "json") == 0
        assert [one["rate"] for one in json.loads(capsys.readouterr().out)] == [11.0]


def test_the_history_of_a_slot_is_found_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with served(shown(seq=0)) as daemon:
        body = {"plan": 41, "verb": "swap", "by": "uid:0", "text": "GO mxfp4: it holds oracle."}
        daemon.do(lambda: daemon.house.happen("action.verified", "slot:oracle", body))
        assert call(daemon, "history", "oracle") == 0
        assert "GO mxfp4: it holds oracle." in capsys.readouterr().out


def test_show_prints_the_report_of_a_swap(capsys: pytest.CaptureFixture[str]) -> None:
    with served(shown(seq=0)) as daemon:
        about = {"plan": 41, "verb": "swap", "service": "slot:oracle"}
        daemon.do(lambda: daemon.house.happen("action.planned", "slot:oracle", about))
        told = {"plan": 41, "text": report()["text"], "report": report()}
        daemon.do(lambda: daemon.house.happen("model.no_go", "slot:oracle", told))
        daemon.do(lambda: daemon.house.happen("action.rolled_back", "slot:oracle", about | {"text": "It is back."}))
        assert call(daemon, "show", "41") == 0
        out = capsys.readouterr().out
        assert out.startswith("plan 41: swap slot:oracle, rolled_back")
        assert "generation  9.8 tokens/s" in out
