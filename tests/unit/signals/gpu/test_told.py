"""What the child tells becomes a reading or an event, or is refused."""

import pytest

from supervisor.facts import GpuProcess, GpuReading
from supervisor.signals.gpu.told import NvmlEvent, event_from, reading_from

CARD = {
    "index": 0,
    "uuid": "GPU-aa",
    "bus": "00000000:1B:00.0",
    "name": "NVIDIA X",
    "compute": "12.0",
    "total": 80 << 30,
    "free": 20 << 30,
    "reserved": 1 << 30,
    "split": True,
    "users": [[4711, 60]],
    "values": {"power": 250_000, "230": 1},
    "error": "",
    "code": 0,
}
EVENT = {"type": 8, "data": 79, "index": 0, "uuid": "GPU-aa", "bus": "00000000:1B:00.0"}


def read(*cards, **said):
    return reading_from({"n": 1, "gpus": [{**CARD, **card} for card in cards or [{}]], **said}, full=True)


def test_a_card_is_read():
    (card,) = read().cards
    assert (card.bus_id, card.users) == ("00000000:1b:00.0", (GpuProcess(4711, 60),))
    assert (card.values["DCGM_FI_DEV_POWER_USAGE"], card.values["DCGM_FI_DEV_FB_USED"]) == (250.0, 59 * 1024)
    assert (card.recovery, card.compute) == ("reset", "12.0")


@pytest.mark.parametrize("said", ["", "nine", "9", "9.0.1", "9.0 and more", "9.", 9.0, None, "٩.٠"])
def test_a_capability_that_is_none_is_none(said):
    assert read({"compute": said}).cards[0].compute == ""


def test_a_card_that_does_not_answer_has_no_values():
    (card,) = read({"error": "GPU is lost.", "code": 15, "total": 0, "free": 0, "reserved": 0, "values": {}}).cards
    assert (card.error, card.code, dict(card.values), card.recovery) == ("GPU is lost", 15, {}, "")


def test_what_nobody_knows_is_left_out():
    values = {"surprise": 1, "pstate": 32, "power": float("inf"), "temperature": float("nan"), "230": 99}
    (card,) = read({"values": values, "total": 0}).cards
    assert dict(card.values) == {"DCGM_FI_DEV_GPU_RECOVERY_ACTION": 99.0}
    assert card.recovery == "", "a verdict that is newer than we are"


@pytest.mark.parametrize(
    ("driver", "library", "expected"),
    [
        ("580.159.04", "13.580.159.04", "580.159.04"),
        ("550.54", "12.550.54", "550.54"),
        ("580.159.04", "580.159.04", "580.159.04"),
        ("", "", ""),
    ],
)
def test_the_librarys_version_is_told_in_the_drivers_way(driver, library, expected):
    assert read(driver=driver, library=library).library == expected


def test_a_trouble_is_a_kind_and_a_sentence():
    reading = reading_from({"n": 1, "trouble": "mismatch"}, full=False)
    said = "NVIDIA's library and its kernel module are of two versions; reboot, or load the new module."
    assert reading == GpuReading(trouble="mismatch", text=said, full=False)


def test_names_are_plain_and_bounded():
    (card,) = read({"name": "\x1b[31mX" + "y" * 500, "error": "bad\nline."}).cards
    assert ("\x1b" in card.name, len(card.name) <= 100, "\n" in card.error) == (False, True, False)


@pytest.mark.parametrize(
    "card",
    [
        {"index": -1},
        {"code": "15"},
        {"total": 1.5},
        {"users": [[1, 2, 3]]},
        {"users": None},
        {"values": None},
        {"values": {"power": "much"}},
        {"values": {"power": [1]}},
    ],
    ids=range(8),
)
def test_what_is_no_card_is_refused(card):
    with pytest.raises(ValueError):
        read(card)


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({}, NvmlEvent("xid", 0, "GPU-aa", "00000000:1b:00.0", xid=79)),
        ({"data": 999}, NvmlEvent("xid", 0, "GPU-aa", "00000000:1b:00.0")),
        ({"type": 0x8000, "data": 2}, NvmlEvent("recovery", 0, "GPU-aa", "00000000:1b:00.0", recovery="reboot")),
        ({"type": 0x8000, "data": 77}, NvmlEvent("recovery", 0, "GPU-aa", "00000000:1b:00.0")),
        ({"type": 0x4000, "data": 0}, NvmlEvent("unavailable", 0, "GPU-aa", "00000000:1b:00.0")),
        ({"type": 2, "data": 0, "index": None, "uuid": "", "bus": ""}, NvmlEvent("ecc")),
        ({"type": 0x10}, None),
    ],
)
def test_events_are_read(said, event):
    assert event_from({**EVENT, **said}) == event


@pytest.mark.parametrize("said", [None, 7, {}, {**EVENT, "data": "79"}, {**EVENT, "index": -3}], ids=range(5))
def test_what_is_no_event_is_refused(said):
    with pytest.raises(ValueError):
        event_from(said)
