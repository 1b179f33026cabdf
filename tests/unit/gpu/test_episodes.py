"""Bursts of faults: which is the root, what the episode calls for, what people read."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import XidSeen
from supervisor.gpu import episodes
from supervisor.gpu.episodes import Burst
from supervisor.gpu.xids import shipped

BUS, UUID, CARD = "00000000:17:00.0", "GPU-1", "GPU 0 (NVIDIA H200)"
TABLE = shipped()


def seen(xid: int, at: float = 100.0, **more: Any) -> XidSeen:
    return XidSeen(at, at, "kernel-log", xid, BUS, UUID, **more)


def burst(*facts: XidSeen, service: str = "") -> Burst:
    made = episodes.begun(3, facts[0], UUID, BUS, service)
    for fact in facts[1:]:
        made = episodes.grown(made, fact, service)
    return made


def root(*facts: XidSeen) -> tuple[int, str]:
    found = episodes.root_of(burst(*facts), TABLE)
    return found.xid, found.fault


# ---------------------------------------------------------------- the root


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([seen(13)], (13, "")),
        ([seen(45), seen(45), seen(13)], (13, "")),
        ([seen(45)], (45, "")),
        ([seen(13), seen(119)], (119, "")),
        ([seen(119), seen(13), seen(62)], (119, "")),
        ([seen(13), seen(31)], (13, "")),
        ([seen(109), seen(119), seen(154, recovery="reset")], (119, "")),
        ([seen(154, recovery="reboot")], (154, "")),
        ([seen(79), seen(119), seen(48)], (79, "")),
        ([seen(0, kind="heartbeat"), seen(119)], (119, "")),
        ([seen(0, kind="heartbeat"), seen(8)], (0, "heartbeat")),
        ([seen(999), seen(45)], (999, "")),
    ],
)
def test_the_gravest_is_the_root_and_of_equals_the_first(facts: list[XidSeen], expected: tuple[int, str]) -> None:
    assert root(*facts) == expected


def test_what_says_that_it_follows_from_another_is_no_root() -> None:
    assert root(seen(45, caused_by=13), seen(13)) == (13, "")
    assert root(seen(119, caused_by=13), seen(13)) == (13, "")
    assert root(seen(31, caused_by=13), seen(31, caused_by=13)) == (13, "")


def test_a_cause_that_nobody_saw_is_still_the_root_and_has_the_process_of_what_speaks_of_it() -> None:
    made = burst(seen(45, caused_by=149, pid=812, process="python3"))
    found = episodes.root_of(made, TABLE)
    assert (found.xid, found.member.pid, found.entry.kind) == (149, 812, "link")


def test_a_graver_fault_that_follows_from_nothing_is_the_root_beside_one_that_is_spoken_of() -> None:
    assert root(seen(13), seen(45, caused_by=13), seen(79)) == (79, "")


def test_faults_that_name_each_other_in_a_circle_leave_one_root() -> None:
    assert root(seen(13, caused_by=31), seen(31, caused_by=13)) in ((13, ""), (31, ""))
    assert root(seen(13, caused_by=13)) == (13, "")


def test_one_that_once_said_nothing_of_a_cause_may_be_one() -> None:
    assert root(seen(31, caused_by=13)) == (13, "")
    assert root(seen(31, caused_by=13), seen(31)) == (31, "")


# ---------------------------------------------------------------- the remedy


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        ([seen(13)], "restart"),
        ([seen(45)], "none"),
        ([seen(48)], "reset"),
        ([seen(48), seen(154, recovery="reboot")], "reboot"),
        ([seen(13), seen(154, recovery="reset")], "reset"),
        ([seen(79), seen(154, recovery="power_cycle")], "power"),
        ([seen(79), seen(154, recovery="bus_reset")], "reboot"),
        ([seen(62), seen(154, recovery="drain_reset")], "reset"),
        ([seen(48), seen(154, recovery="none")], "restart"),
        ([seen(63), seen(154, recovery="none")], "tell"),
        ([seen(48), seen(154, recovery="reset"), seen(154, recovery="none")], "none"),
        ([seen(48), seen(154, recovery="reset"), seen(154, recovery="none"), seen(154, recovery="reset")], "reset"),
        ([seen(0, kind="latched")], "power"),
        ([seen(154)], "tell"),
    ],
)
def test_the_drivers_own_verdict_goes_before_the_table(facts: list[XidSeen], remedy: str) -> None:
    assert episodes.remedy_of(burst(*facts), TABLE) == remedy


# ---------------------------------------------------------------- how long


def test_it_lasts_from_its_first_fault_to_its_last_in_whatever_order_they_come() -> None:
    made = burst(seen(13, 100.0), seen(45, 250.0), seen(45, 90.0))
    assert (made.first_at, made.last_at) == (90.0, 250.0)


def test_a_flood_is_counted_and_never_grows() -> None:
    made = burst(*(seen(1_000 + number % 300) for number in range(5_000)))
    assert len(made.members) == episodes.MOST
    assert made.faults == 5_000
    total = 0
    for one in made.members:
        total += one.count
    assert total == 5_000


def test_eleven_thousand_of_the_same_are_one() -> None:
    made = burst(seen(79), *(seen(45, pid=number, process="py") for number in range(200)))
    shown = episodes.shown(made, TABLE, CARD)
    assert (shown.root, dict(shown.counts)) == (79, {79: 1, 45: 200})


# ---------------------------------------------------------------- words


def test_a_fault_of_a_service_names_it_and_says_what_to_do() -> None:
    made = burst(seen(31, container_id="c", pid=812, process="python3"), service="stack.oracle")
    shown = episodes.shown(made, TABLE, CARD)
    assert shown.service == "stack.oracle"
    assert shown.text == (
        "GPU 0 (NVIDIA H200): a program touched memory that is not its own (XID 31), at the work of stack.oracle. "
        "What it hit has to be started anew; everything else on the card goes on. "
        "On several cards at once it is the program, or its image."
    )


def test_a_fault_of_no_service_names_the_process() -> None:
    text = episodes.shown(burst(seen(13, pid=812, process="blender")), TABLE, CARD).text
    assert "at the work of blender (pid 812)." in text


def test_what_the_driver_wants_and_where_is_said() -> None:
    facts = seen(119), seen(154, recovery="reset"), *(seen(45) for _ in range(12)), seen(0, kind="locked_up")
    text = episodes.shown(burst(*facts), TABLE, CARD).text
    assert text.startswith("GPU 0 (NVIDIA H200): its firmware does not answer (XID 119); with it came XID 45, ")
    assert "The driver wants the card reset." in text
    assert f"`nvidia-smi --gpu-reset -i {BUS}`" in text
    assert "not asked any more" in text


def test_a_card_that_has_recovered_needs_nothing() -> None:
    text = episodes.shown(burst(seen(119), seen(154, recovery="reset"), seen(154, recovery="none")), TABLE, CARD).text
    assert "The driver says that it has recovered." in text
    assert "not asked" not in text
    assert "reset it" not in text


def test_a_drill_is_said_to_be_one() -> None:
    shown = episodes.shown(burst(seen(79, drill=True)), TABLE, CARD)
    assert shown.drill
    assert shown.text.startswith("Drill: GPU 0 (NVIDIA H200) fell off the bus (XID 79).")
    assert "not asked any more" not in shown.text


@pytest.mark.parametrize("named", [*shipped().xids, *shipped().messages])
def test_every_entry_makes_whole_sentences(named: int | str) -> None:
    fact = seen(named) if isinstance(named, int) else seen(0, kind=named)
    shown = episodes.shown(burst(fact), TABLE, CARD)
    assert shown.text.startswith("GPU 0 (NVIDIA H200)")
    assert "{" not in shown.text
    assert "  " not in shown.text
    assert shown.text.endswith(".")
    assert len(shown.text) < 700


def test_no_process_name_or_bus_id_can_break_a_sentence() -> None:
    made = replace(burst(seen(48, process="a{b}\n{0}", pid=1)), bus_id="{x}")
    assert "{x}" in episodes.shown(made, TABLE, CARD).text
