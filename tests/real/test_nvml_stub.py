"""The whole way from the driver's library to a reading: a C library with NVML's own structures, loaded by the real
pynvml in our child process, read by our side. What a driver can say, and what it does when a card is in trouble."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support.driver_suite")

from supervisor.facts import GpuProcess  # noqa: E402
from supervisor.signals.gpu.reader import GpuReader  # noqa: E402
from supervisor.signals.gpu.told import NvmlEvent  # noqa: E402
from tests.support.driver_suite import CHECKS, Check  # noqa: E402
from tests.support.nvml.driver import FIELDS, GIB, WIDE, Card, Driver  # noqa: E402

pytestmark = pytest.mark.real

BUSY = Card("GPU-aa", 96, 6, kept=1, users={4711: 60, 12: 29, 13: None}, drawing={4711: 60})
BUS = "00000000:17:00.0"


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    driver = Driver(tmp_path)
    yield driver
    driver.close()


@pytest.fixture
async def reader(driver: Driver) -> AsyncIterator[GpuReader]:
    reader = driver.reader()
    yield reader
    await reader.close()


async def test_memory_and_processes_by_the_newer_calls(driver: Driver, reader: GpuReader) -> None:
    driver.says(BUSY, Card("GPU-bb", 32))
    reading = await reader.snapshot("slow")
    first, second = reading.cards
    assert (first.total, first.free, first.reserved, first.most) == (96 * GIB, 6 * GIB, GIB, 95 * GIB)
    assert first.users == (GpuProcess(12, 29 * GIB), GpuProcess(13, 0), GpuProcess(4711, 60 * GIB))
    assert (second.uuid, second.free, second.users) == ("GPU-bb", 32 * GIB, ())
    assert (first.values["DCGM_FI_DEV_FB_USED"], first.values["DCGM_FI_DEV_FB_RESERVED"]) == (89 * 1024, 1024)
    assert (reading.driver, reading.library) == ("580.159.04", "580.159.04")
    assert [card.compute for card in reading.cards] == ["9.0", "9.0"]


async def test_many_processes_come_whole_though_their_number_grows_between_two_calls(
    driver: Driver, reader: GpuReader
) -> None:
    users = {pid: float(1) for pid in range(1, 200)}
    driver.says(replace(BUSY, users=users))
    assert len((await reader.usage()).gpus[0].users) == 200  # and the one that draws


async def test_a_driver_with_the_older_memory_call_only(driver: Driver, reader: GpuReader) -> None:
    driver.says(replace(BUSY, told={"newer": 13}))
    (card,) = (await reader.snapshot("fast")).cards
    assert (card.total, card.free, card.reserved) == (96 * GIB, 6 * GIB, 0)
    assert card.values["DCGM_FI_DEV_FB_USED"] == 90 * 1024


async def test_fields_of_every_kind_and_those_that_a_card_does_not_know(driver: Driver, reader: GpuReader) -> None:
    fields = {**FIELDS, 230: "ui 2", 82: "! 3", 194: "si -2", 3: "ull 18446744073709551615", 4: "sll -1", 142: "us 7"}
    driver.says(replace(BUSY, fields={**fields, 143: "d 1.5", 144: "ul 9"}))
    (card,) = (await reader.snapshot("slow")).cards
    prefix = "DCGM_FI_DEV_"
    values = {name.removeprefix(prefix): value for name, value in card.values.items()}
    assert (values["ECC_SBE_VOL_TOTAL"], values["ECC_DBE_VOL_TOTAL"]) == (float(2**64), -1.0)
    assert (values["CORRECTABLE_REMAPPED_ROWS"], values["UNCORRECTABLE_REMAPPED_ROWS"]) == (7.0, 1.5)
    assert (values["ROW_REMAP_PENDING"], "MEMORY_TEMP" in values) == (9.0, False)
    assert card.values["resurgam_gpu_thermal_margin_celsius"] == 51.0
    assert card.recovery == "reboot"


async def test_a_consumer_card_knows_less_and_is_asked_for_it_once(driver: Driver, reader: GpuReader) -> None:
    missing = ("MarginTemperature", "PersistenceMode", "TemperatureV")
    lines = ("log", *(f"fail 0 3 nvmlDeviceGet{name}" for name in missing))
    driver.says(replace(BUSY, fields={82: "ui 70"}), lines=lines)
    for _ in range(3):
        (card,) = (await reader.snapshot("slow")).cards
    assert (card.error, card.recovery, "resurgam_gpu_persistence_mode" in card.values) == ("", "", False)
    assert (card.values["DCGM_FI_DEV_GPU_TEMP"], card.values["resurgam_gpu_thermal_margin_celsius"]) == (38.0, 51.0)
    assert [driver.calls.count(f"nvmlDeviceGet{name}") for name in missing] == [1, 1, 1]


async def test_one_card_falls_off_the_bus_and_the_other_goes_on(driver: Driver, reader: GpuReader) -> None:
    driver.says(BUSY, Card("GPU-bb", 32))
    await reader.snapshot("fast")
    pid = reader.pid
    driver.says(BUSY, Card("GPU-bb", 32), lines=("fail 0 15",))
    lost, well = (await reader.snapshot("fast")).cards
    assert (lost.code, lost.error, lost.uuid, lost.bus_id, dict(lost.values)) == (15, "GPU is lost", "GPU-aa", BUS, {})
    assert (well.code, well.values["DCGM_FI_DEV_GPU_TEMP"]) == (0, 38.0)
    assert reader.pid == pid


async def test_the_only_card_is_lost_so_a_new_process_looks_whether_it_came_back(
    driver: Driver, reader: GpuReader
) -> None:
    await reader.snapshot("fast")
    driver.says(Card(), lines=("fail 0 15",))
    (card,) = (await reader.snapshot("fast")).cards
    assert (card.code, reader.running) == (15, False)
    driver.says(Card())
    await asyncio.sleep(0.11)
    assert (await reader.snapshot("fast")).cards[0].code == 0
    assert (reader.children, driver.calls) == (2, ["opened", "closed", "opened"])


async def test_a_card_that_wants_a_reset_says_so_with_its_verdict_gone(driver: Driver, reader: GpuReader) -> None:
    driver.says(Card(), lines=("fail 0 16 nvmlDeviceGetPowerUsage",))
    (card,) = (await reader.snapshot("fast")).cards
    assert (card.code, card.uuid, card.recovery) == (16, "GPU-aa", "")
    assert reader.running, "its handles are good"


async def test_a_mismatch_heals_in_a_new_process_only(driver: Driver, reader: GpuReader) -> None:
    driver.says(Card(), lines=("init 18",))
    reading = await reader.snapshot("fast")
    assert (reading.trouble, "two versions" in reading.text) == ("mismatch", True)
    await asyncio.sleep(0.06)
    driver.says(Card())
    assert (await reader.snapshot("fast")).trouble == ""
    assert (reader.children, driver.calls) == (2, ["refused", "opened"])


@pytest.mark.parametrize(
    ("line", "trouble"), [("init 4", "refused"), ("init 17", "refused"), ("init 999", "error"), ("count 1", "error")]
)
async def test_a_driver_that_cannot_be_asked(driver: Driver, reader: GpuReader, line: str, trouble: str) -> None:
    driver.says(Card(), lines=(line,))
    assert (await reader.snapshot("fast")).trouble == trouble


async def test_a_driver_that_shows_no_card(driver: Driver, reader: GpuReader) -> None:
    driver.says()
    assert (await reader.snapshot("fast")).trouble == "no_gpu"


async def test_events_of_two_cards_are_told_at_once_and_end_with_the_word(driver: Driver, reader: GpuReader) -> None:
    driver.says(Card("GPU-aa"), Card("GPU-bb", told={"events": 0xFF9F & ~0x8000}), lines=("log",))
    heard: asyncio.Queue[NvmlEvent] = asyncio.Queue()
    reader.listen(heard.put_nowait)
    assert await reader.events(True) == ""
    driver.event(0x10, 1)  # a clock's: not wanted
    driver.event(0x8, 79, index=1)
    driver.event(0x8000, 2)
    first, second = [await asyncio.wait_for(heard.get(), WIDE) for _ in range(2)]
    assert first == NvmlEvent("xid", 1, "GPU-bb", "00000000:18:00.0", xid=79)
    assert second == NvmlEvent("recovery", 0, "GPU-aa", BUS, recovery="reboot")
    assert (await reader.snapshot("fast")).cards, "questions go on beside the wait"
    assert await reader.events(False) == ""
    assert driver.calls[-1] == "nvmlEventSetFree"
    assert heard.empty()


async def test_a_wait_that_fails_is_begun_anew(driver: Driver, reader: GpuReader) -> None:
    heard: asyncio.Queue[NvmlEvent] = asyncio.Queue()
    reader.listen(heard.put_nowait)
    driver.says(Card(), lines=("wait 15", "log"))
    assert await reader.events(True) == ""
    while "nvmlEventSetWait" not in driver.calls:
        await asyncio.sleep(0.02)
    driver.says(Card(), lines=("log",))
    driver.event(0x8, 31)
    event = await asyncio.wait_for(heard.get(), WIDE)
    assert (event.xid, driver.calls.count("nvmlEventSetCreate")) == (31, 2)


async def test_cards_that_tell_no_events_are_named_as_such(driver: Driver, reader: GpuReader) -> None:
    driver.says(Card(told={"events": 0x10}))
    assert await reader.events(True) == "no GPU here tells its faults by itself"


async def test_released_while_events_are_waited_for_the_driver_is_let_go_of(driver: Driver, reader: GpuReader) -> None:
    driver.says(Card(), lines=("log",))
    await reader.events(True)
    assert await reader.release("A reset.")
    assert driver.calls[-3:] == ["nvmlEventSetFree", "nvmlShutdown", "closed"], "the wait is over before the end"
    assert (await reader.snapshot("fast")).trouble == "stopped"
    assert driver.calls[-1] == "closed", "and not asked again"


async def test_when_we_die_the_child_lets_go_of_the_driver_by_itself(driver: Driver, reader: GpuReader) -> None:
    await reader.snapshot("fast")
    assert reader._child is not None
    assert reader._child._process.stdin is not None
    reader._child._process.stdin.close()  # as the kernel does with a dead process's files
    await asyncio.wait_for(reader._child._process.wait(), WIDE)
    assert driver.calls == ["opened", "closed"]


class Lab:
    """The real reader, before a driver with two cards."""

    def __init__(self, stub: Driver, reader: GpuReader) -> None:
        self.stub, self.driver = stub, reader
        self._cards = (Card("GPU-aa", 96, kept=1), Card("GPU-bb", 96, kept=1, told={"bus": "00000000:65:00.0"}))
        stub.says(*self._cards)

    def lose(self, index: int) -> None:
        self.stub.says(*self._cards, lines=(f"fail {index} 15",))

    def refuse(self) -> None:
        self.stub.says(*self._cards, lines=("init 4",))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_suite_that_the_simulated_driver_passes_too(driver: Driver, reader: GpuReader, check: Check) -> None:
    await asyncio.wait_for(check(Lab(driver, reader)), WIDE)
