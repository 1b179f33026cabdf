"""The GPUs as documents: what is known, and null for what is not."""

import json
from dataclasses import replace

from supervisor import views
from supervisor.units import iso
from supervisor.views.gpu import card_document, gpus_document
from tests.support.boxes import NOW
from tests.support.cards import BUS, GIB, PRO, SMALL
from tests.support.gpu_shown import big, cards, fault, gone, shown, small


def test_a_box_without_a_gpu_has_none() -> None:
    assert gpus_document(shown()) is None
    assert views.status_document(shown())["gpus"] is None


def test_each_card_tells_its_memory_its_users_and_its_readings() -> None:
    document = gpus_document(shown(cards()))
    assert document is not None
    first, second = document["cards"]
    assert (first["gpu"], first["uuid"], first["bus"], first["up"], first["present"]) == (0, PRO, BUS[PRO], True, True)
    memory = {key: value / GIB for key, value in first["memory"].items()}
    assert memory == {
        "total": 96,
        "free": 5,
        "reserved": 1,
        "planned": 90,
        "headroom": 5,
        "orphaned": 0,
        "unattributed": 0,
    }
    assert first["users"] == [{"name": "stack.oracle", "used": 90 * GIB}]
    assert (first["readings"]["utilization"], first["readings"]["temperature"]) == (93, 71)
    assert first["persistence"] is True
    assert (document["expected"], document["driver"], document["quiet"]) == (2, "580.95", "")
    json.dumps(document, allow_nan=False)
    assert second["readings"] == dict.fromkeys(second["readings"]), "what it does not tell is null, never 0"
    assert second["persistence"] is None


def test_persistence_that_is_off_is_not_unknown() -> None:
    off = big(values={"resurgam_gpu_persistence_mode": 0.0})
    assert card_document(off, shown(cards(off)))["persistence"] is False


def test_a_card_that_is_gone_has_no_memory() -> None:
    document = card_document(gone(small()), shown(cards(big(), gone(small()))))
    assert (document["memory"], document["present"], document["up"]) == (None, False, False)
    assert "Restart the machine" in document["text"]


def test_more_planned_than_there_is_has_a_headroom_below_nothing() -> None:
    over = big(planned=100 * GIB)
    assert card_document(over, shown(cards(over)))["memory"]["headroom"] == -5 * GIB


def test_a_fault_stands_with_its_card_and_only_there() -> None:
    document = gpus_document(shown(cards(episodes=(fault(),))))
    assert document is not None
    (told,) = document["faults"]
    assert (told["xid"], told["class"], told["remedy"], told["counts"]) == (79, "bus", "reboot", {"45": 12, "79": 1})
    assert (told["first_at"], told["drill"]) == (iso(NOW - 60), False)
    assert [len(card["faults"]) for card in document["cards"]] == [1, 0]


def test_a_fault_that_knows_only_the_bus_finds_its_card() -> None:
    by_bus = replace(fault(), uuid="", bus_id=BUS[SMALL])
    document = gpus_document(shown(cards(episodes=(by_bus,))))
    assert document is not None
    assert [len(card["faults"]) for card in document["cards"]] == [0, 1]


def test_times_that_are_over_are_those_of_nobody() -> None:
    document = gpus_document(shown(cards(released=NOW + 60)))
    assert document is not None
    assert document["released_until"] == iso(NOW + 60)
    assert document["drill_until"].startswith("0001")
