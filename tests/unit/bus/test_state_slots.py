"""The retained document of each slot: told at once where it matters, counters every 30 s, cleared when it is gone."""

import json
from dataclasses import replace

from supervisor.bus.messages import severity
from supervisor.bus.state import REFRESH, Board, documents
from supervisor.facts import Snapshot
from supervisor.journal.rows import Row
from tests.support.bus import snapshot
from tests.support.contract import breaches
from tests.support.slots_shown import FIRST, OTHER, empty, gate, holder, measured, other, probation, report, slot

TOPIC = "resurgam/box/state/slot/"


def told(state: Snapshot) -> dict[str, dict[str, object]]:
    found = documents(state)
    return {
        key.removeprefix(TOPIC): json.loads(one.message.payload) for key, one in found.items() if key.startswith(TOPIC)
    }


def due(board: Board, state: Snapshot, now: float) -> list[str]:
    return [message.topic for message in board.due(documents(state), now)]


def test_one_document_per_slot_as_the_contract_has_it() -> None:
    state = snapshot(slots=(slot(probation=probation(), report=report()), replace(empty(), name="executor")))
    assert [(level, body["holder"]) for level, body in told(state).items()] == [("oracle", FIRST), ("executor", "")]
    sent = [(found.message.topic, found.message.payload) for found in documents(state).values()]
    assert breaches(sent) == []


def test_a_box_without_slots_has_none() -> None:
    assert told(snapshot()) == {}


def test_counters_that_move_are_told_every_30_s_and_a_new_holder_at_once() -> None:
    board = Board()
    due(board, snapshot(slots=(slot(),)), 0.0)
    busier = slot(
        gate=gate(requests=18_500, in_flight=7, held=1),
        models=(holder(in_flight=7, used_at=2e9, memory=9.0), other()),
    )
    assert due(board, snapshot(slots=(busier,)), 1.0) == []
    assert due(board, snapshot(slots=(busier,)), REFRESH) == [f"{TOPIC}oracle"]
    assert due(board, snapshot(slots=(replace(busier, holder=OTHER),)), REFRESH + 1) == [f"{TOPIC}oracle"]


def test_a_phase_a_measurement_and_a_gate_that_ends_are_told_at_once() -> None:
    for after in (
        slot(phase="start", plan=41),
        slot(models=(holder(bench=measured(rate=9.0)), other())),
        slot(models=(holder(state="failed"), other())),
        slot(models=(holder(), other(no_go="too slow"))),
        slot(gate=gate(listening=False, text="port taken")),
        slot(gate=gate(open=False)),
        slot(probation=probation()),
        slot(report=report()),
    ):
        board = Board()
        due(board, snapshot(slots=(slot(),)), 0.0)
        assert due(board, snapshot(slots=(after,)), 1.0) == [f"{TOPIC}oracle"]


def test_a_slot_that_is_not_declared_any_more_is_cleared() -> None:
    board = Board()
    board.due(documents(snapshot(slots=(slot(),))), 0.0)
    (last,) = board.due(documents(snapshot()), 1.0)
    assert (last.topic, last.payload, last.retain) == (f"{TOPIC}oracle", b"", True)


def test_what_people_must_know_of_a_slot_is_a_warning() -> None:
    graves = {"model.no_go": "warning", "model.stand_in": "warning", "model.swapped": "info", "model.phase": "info"}
    for kind, grave in graves.items():
        assert severity(Row(1, 0.0, kind, "slot:oracle", {}, True, "", 0)) == grave
