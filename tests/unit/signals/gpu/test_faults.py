"""Faults as they are heard: in the kernel's log, in its past, by the driver's events, and in drills."""

import asyncio
from collections.abc import Callable

import pytest

from supervisor.clock import ManualClock
from supervisor.facts import Fact, XidSeen
from supervisor.gpu.xids import shipped
from supervisor.kernel.xidlines import drill_line
from supervisor.lab.kernel.log import SimLog, SimLogReader
from supervisor.signals.gpu import faults
from supervisor.signals.gpu.faults import GpuFaults
from supervisor.signals.gpu.told import NvmlEvent

BUS, OWNER = "00000000:17:00.0", "c" * 64
GONE = "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
WELL = "NVRM: Xid (PCI:0000:17:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"


class Driver:
    """What the reader is to who listens for faults."""

    def __init__(self) -> None:
        self.held = ""
        self.running = True
        self.wanted: list[bool] = []
        self.refuses = ""
        self.listeners: list[Callable[[NvmlEvent], None]] = []

    def hold(self, why: str) -> None:
        self.held = why

    def resume(self) -> None:
        self.held = ""

    def listen(self, heard: Callable[[NvmlEvent], None]) -> None:
        self.listeners.append(heard)

    async def events(self, on: bool) -> str:
        self.wanted.append(on)
        return self.refuses


class Ears:
    """A log, a driver, and what the core was told."""

    def __init__(self, since: int = -1) -> None:
        self.clock = ManualClock(mono=1000.0)
        self.world = SimLog(self.clock)
        self.driver = Driver()
        self.facts: list[XidSeen] = []
        self.owners = {812: OWNER}
        self.listen(since)

    def listen(self, since: int = -1) -> None:
        self.log = SimLogReader(self.world)
        self.faults = GpuFaults(
            self.log,
            self.driver,
            lambda pid: self.owners.get(pid, ""),
            self._submit,
            self.clock,
            shipped,
            since=since,
            write=self.world.write_raw,
        )

    def _submit(self, fact: Fact) -> None:
        assert isinstance(fact, XidSeen)
        self.facts.append(fact)

    def said(self, event: NvmlEvent) -> None:
        for listener in self.driver.listeners:
            listener(event)


@pytest.fixture
def ears() -> Ears:
    made = Ears()
    made.log.open()
    return made


def test_a_line_of_the_kernel_is_a_fact_with_whose_work_it_hit(ears: Ears) -> None:
    ears.world.write("usb 1-4: new device")
    ears.world.write("NVRM: Xid (PCI:0000:17:00 GPU-I:05): 31, pid=812, name=python3, MMU Fault")
    (fact,) = ears.facts
    assert (fact.source, fact.xid, fact.bus_id, fact.pid, fact.process) == ("kernel-log", 31, BUS, 812, "python3")
    assert (fact.container_id, fact.text, fact.sequence) == (OWNER, "GPU-I:05 MMU Fault", 1)
    assert (fact.past, fact.drill, ears.driver.held) == (False, False, "")


def test_the_driver_is_let_go_of_before_the_core_has_heard_of_it(ears: Ears) -> None:
    ears.world.write(GONE)
    assert "XID 79" in ears.driver.held
    assert len(ears.facts) == 1


def test_it_is_asked_again_once_that_card_is_well(ears: Ears) -> None:
    ears.world.write(GONE)
    ears.world.write(WELL.replace(":17:", ":65:"))
    assert ears.driver.held, "that was another card"
    ears.world.write(WELL)
    assert ears.driver.held == ""


def test_who_else_held_it_lets_it_go_himself(ears: Ears) -> None:
    ears.driver.hold("a person wants that")
    ears.world.write(GONE)
    ears.world.write(WELL)
    assert ears.driver.held == "a person wants that"


# ---------------------------------------------------------------- the past


def test_what_was_written_before_we_began_is_told_as_that() -> None:
    ears = Ears()
    ears.world.write("NVRM: GPU at PCI:0000:17:00: GPU-1f0c7a52-6f0e-4b7a-9d39-5f0a4a7f2c11")
    ears.world.write("NVRM: Xid (PCI:0000:17:00): 13, pid=812, name=py, x")
    ears.clock.advance(3600.0)
    ears.world.write("NVRM: Xid (PCI:0000:17:00): 43, pid=812, name=py, x")
    ears.log.open()
    ears.world.write("NVRM: Xid (PCI:0000:17:00): 8, pid=812, name=py, x")
    assert [(one.xid, one.past) for one in ears.facts] == [(13, True), (43, True), (8, False)]
    assert [one.container_id for one in ears.facts] == ["", OWNER, OWNER], "an old pid may be another's by now"
    assert {one.uuid for one in ears.facts} == {"GPU-1f0c7a52-6f0e-4b7a-9d39-5f0a4a7f2c11"}


def test_what_the_core_decided_on_is_not_told_again_and_holds_nobody() -> None:
    ears = Ears()
    ears.world.write(GONE)
    ears.world.write("NVRM: Xid (PCI:0000:17:00): 13, pid=1, name=py, x")
    ears.listen(since=0)
    ears.log.open()
    assert [one.xid for one in ears.facts] == [13]
    assert ears.driver.held == "", "the core remembers why, and says so itself"


def test_a_log_that_is_opened_again_tells_nothing_twice(ears: Ears) -> None:
    ears.world.write(GONE)
    ears.driver.resume()
    ears.log.close()
    ears.world.write("NVRM: Xid (PCI:0000:17:00): 13, pid=1, name=py, x")
    ears.log.open()
    assert [one.xid for one in ears.facts] == [79, 13]
    assert ears.driver.held == ""


# ---------------------------------------------------------------- without the log


async def test_where_the_log_cannot_be_read_the_drivers_events_are_asked_for() -> None:
    ears = Ears()
    ears.world.readable = False
    ears.log.open()
    await ears.faults.look()
    assert ears.driver.wanted == [True]
    assert ears.faults.source().live
    ears.said(NvmlEvent("xid", 0, "GPU-1", "00000000:17:00.0", 79))
    ears.said(NvmlEvent("recovery", 0, "GPU-1", "0000:17:00.0", recovery="reboot"))
    ears.said(NvmlEvent("unavailable", 1, "GPU-2", ""))
    ears.said(NvmlEvent("xid", 0, "GPU-1", "", 0))
    ears.said(NvmlEvent("ecc", 0, "GPU-1", ""))
    assert [(one.source, one.xid, one.kind, one.bus_id, one.uuid, one.recovery) for one in ears.facts] == [
        ("nvml", 79, "", BUS, "GPU-1", ""),
        ("nvml", 154, "", BUS, "GPU-1", "reboot"),
        ("nvml", 0, "lost", "", "GPU-2", ""),
        ("nvml", faults.UNKNOWN, "", "", "GPU-1", ""),
    ]
    assert ears.driver.held


async def test_the_events_open_nothing_that_is_not_open() -> None:
    ears = Ears()
    ears.driver.running = False
    await ears.faults.look()
    ears.driver.running, ears.driver.held = True, "quiet"
    await ears.faults.look()
    assert ears.driver.wanted == []
    assert not ears.faults.source().live


async def test_with_the_log_the_events_are_let_be(ears: Ears) -> None:
    await ears.faults.look()
    assert ears.driver.wanted == []
    ears.said(NvmlEvent("xid", 0, "GPU-1", BUS, 79))
    assert ears.facts == []
    ears.log.close()
    await ears.faults.look()
    ears.log.open()
    await ears.faults.look()
    assert ears.driver.wanted == [True, False]
    assert ears.faults.source().live


async def test_a_driver_that_tells_nothing_is_said_to_be_one() -> None:
    ears = Ears()
    ears.driver.refuses = "the driver has no events"
    await ears.faults.look()
    source = ears.faults.source()
    assert not source.live
    assert "not heard" in source.text


# ---------------------------------------------------------------- drills


def test_without_a_drill_what_a_process_wrote_is_nothing(ears: Ears) -> None:
    ears.world.write(GONE, own=False)
    assert ears.facts == []
    assert ears.driver.held == ""


async def test_in_a_drill_it_is_a_fault_that_is_marked_and_holds_nobody(ears: Ears) -> None:
    ears.faults.drill(drill_line(BUS, 31, 812, "py"), ears.clock.wall() + 60)
    ears.world.write(GONE, own=False)
    assert [(one.xid, one.drill, one.container_id) for one in ears.facts] == [(31, True, OWNER), (79, True, "")]
    assert ears.driver.held == ""
    ears.world.write(GONE)
    assert (ears.facts[-1].drill, bool(ears.driver.held)) == (False, True), "and the kernel's own word is none"


async def test_a_drill_ends(ears: Ears) -> None:
    ears.faults.drill(drill_line(BUS, 31), ears.clock.wall() + 60)
    ears.clock.advance(61.0)
    ears.world.write(GONE, own=False)
    assert [one.xid for one in ears.facts] == [31]


async def test_where_the_log_cannot_be_read_or_written_the_drill_goes_on_behind_it(ears: Ears) -> None:
    def refuses(_: bytes) -> None:
        raise PermissionError

    ears.log.close()
    ears.faults.drill(drill_line(BUS, 31), ears.clock.wall() + 60)
    ears.log.open()
    ears.faults._write = refuses
    ears.faults.drill(drill_line(BUS, 79), ears.clock.wall() + 60)
    assert [(one.xid, one.drill, one.sequence) for one in ears.facts] == [(31, True, -1), (79, True, -1)]


async def test_a_line_that_the_log_swallowed_is_practised_all_the_same(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "COMES_BACK", 0.0)
    ears.faults._write = lambda _message: None
    ears.faults.drill(drill_line(BUS, 79), ears.clock.wall() + 60)
    async with asyncio.timeout(60):
        while not ears.facts:
            await asyncio.sleep(0)
    assert [(one.xid, one.drill) for one in ears.facts] == [(79, True)]
