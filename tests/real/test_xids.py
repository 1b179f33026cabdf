"""Faults of GPUs through the real log of the kernel: a drill raises an alert, and what a process wrote without one does
not. No GPU is needed: only the kernel itself can write what counts as real."""

import pytest

from supervisor.facts import Command
from supervisor.kernel.xidlines import drill_line
from tests.support.faults import BUS, UUID, listening, write
from tests.support.rules import rule

pytestmark = pytest.mark.real

FAULT = rule("resurgam_gpu_episode == 1", "Fault")
APPLICATION = rule('increase(resurgam_gpu_xid_total{class="app"}[5m]) > 0', "Application")


async def test_a_drill_goes_through_the_log_of_the_kernel_to_an_alert() -> None:
    async with listening(FAULT, APPLICATION) as box:
        said = Command(box.clock.wall(), box.clock.mono(), "gpu-drill", "7", {"xid": "31"}, "uid:0", "socket")
        answer = await box.core.ask(said)
        assert answer.verdict.ok, answer.verdict.text
        await box.until(lambda: box.fires("Fault") and box.fires("Application"))
        (fact,) = box.facts
        assert (fact.xid, fact.bus_id, fact.drill, fact.source) == (31, BUS, True, "kernel-log")
        assert fact.sequence >= 0, "it was read from the log"
        for alert in box.core.snapshot.alerts:
            assert (alert.labels["drill"], alert.labels["UUID"]) == ("true", UUID)
        (row,) = [row for row in box.rows if row.kind == "gpu.fault"]
        assert row.body["drill"]
        assert str(row.body["text"]).startswith("Drill: GPU 7 (NVIDIA Drill)")
        assert box.driver.held == ""


async def test_what_a_process_writes_without_a_drill_is_no_fault() -> None:
    async with listening(FAULT) as box:
        before = box.log.foreign
        for xid in (79, 119, 154):
            write(drill_line(BUS, xid))
        await box.until_foreign(before + 3)
        assert box.facts == []
        assert (box.driver.held, box.core.snapshot.alerts) == ("", ())


async def test_while_a_drill_is_on_every_line_of_a_process_is_part_of_it() -> None:
    async with listening(FAULT) as box:
        box.faults.drill(drill_line(BUS, 13), box.clock.wall() + 60)
        box.core.decider.gpu.faults.drill = box.clock.wall() + 60
        write(drill_line(BUS, 119))
        await box.until(lambda: len(box.facts) == 2)
        assert [(one.xid, one.drill) for one in box.facts] == [(13, True), (119, True)]
        await box.until(lambda: any(one.root == 119 for one in box.core.decider.gpu.faults.open()))
        assert box.core.decider.gpu.faults.quiet == "", "nothing is wrong with the driver"
        assert box.driver.held == ""
