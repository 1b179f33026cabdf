"""The retained document of each GPU: on its index, told at once where it matters, and never two on one topic."""

import json
from dataclasses import replace

from supervisor.bus.contract.gpus import Gpu as Shape
from supervisor.bus.state import REFRESH, Board, documents, gpu_levels
from supervisor.facts import Snapshot
from tests.support.boxes import NOW
from tests.support.bus import snapshot
from tests.support.cards import GIB, PRO, SMALL
from tests.support.gpu_shown import big, cards, fault, gone, small

TOPIC = "resurgam/box/state/gpu/"


def told(state: Snapshot) -> dict[str, dict[str, object]]:
    found = documents(state)
    return {
        key.removeprefix(TOPIC): json.loads(one.message.payload) for key, one in found.items() if key.startswith(TOPIC)
    }


def test_one_document_per_card_on_its_index_as_the_contract_has_it() -> None:
    found = told(snapshot(gpus=cards(big(), gone(small()), episodes=(fault(),))))
    assert [(level, body["uuid"]) for level, body in found.items()] == [("0", PRO), ("1", SMALL)]
    for body in found.values():
        Shape.model_validate(body)


def test_a_box_without_a_gpu_has_none() -> None:
    assert told(snapshot()) == {}


def test_a_card_that_is_gone_and_whose_index_another_one_has_now_keeps_a_topic_of_its_own() -> None:
    """Of two cards the first fell off the bus: the driver calls the second one 0 from the next boot on."""
    state = cards(replace(small(), index=0), gone(replace(big(), index=0)))
    found = told(snapshot(gpus=state))
    assert found["0"]["uuid"] == SMALL
    assert found[PRO]["present"] is False
    assert [level for _card, level in gpu_levels(snapshot(gpus=state))] == ["0", PRO]


def test_when_it_is_forgotten_its_topic_is_cleared() -> None:
    board = Board()
    board.due(documents(snapshot(gpus=cards(replace(small(), index=0), gone(replace(big(), index=0))))), 0.0)
    (last,) = board.due(documents(snapshot(gpus=cards(replace(small(), index=0)))), 1.0)
    assert (last.topic, last.payload, last.retain) == (f"{TOPIC}{PRO}", b"", True)


def test_readings_that_move_are_told_every_30_s_and_a_verdict_at_once() -> None:
    board = Board()
    board.due(documents(snapshot(gpus=cards())), 0.0)
    values = {"DCGM_FI_DEV_GPU_TEMP": 80.0, "resurgam_gpu_persistence_mode": 1.0}
    warmer = cards(big(values=values, free=9 * GIB, users=()), small())
    assert board.due(documents(snapshot(gpus=warmer)), 1.0) == []
    assert [message.topic for message in board.due(documents(snapshot(gpus=warmer)), REFRESH)] == [f"{TOPIC}0"]
    sick = cards(big(recovery="reset", text="It needs a reset.", values=warmer.cards[0].values), small())
    assert [message.topic for message in board.due(documents(snapshot(gpus=sick)), REFRESH + 1)] == [f"{TOPIC}0"]


def test_one_more_line_of_the_same_burst_is_no_news() -> None:
    board = Board()
    board.due(documents(snapshot(gpus=cards(episodes=(fault(),)))), 0.0)
    more = fault(counts={79: 1, 45: 400}, text="The same, and 400 that follow from it.")
    assert board.due(documents(snapshot(gpus=cards(episodes=(replace(more, last_at=NOW),)))), 1.0) == []
    verdict = replace(more, recovery="reboot")
    due = board.due(documents(snapshot(gpus=cards(episodes=(verdict,)))), 2.0)
    assert [message.topic for message in due] == [f"{TOPIC}0"], "what the driver wants is"
