"""The GPUs' part of the house: with each reading of the cards comes how their faults are heard."""

import asyncio
from collections.abc import Callable
from typing import Any

from supervisor.clock import SystemClock
from supervisor.config import Settings
from supervisor.facts import Fact, GpuReading, Readings
from supervisor.gpu.xids import Table
from supervisor.kernel.tree import KernelFiles
from supervisor.kernel.watches import Cannot
from supervisor.signals.gpu.edge import GpuEdge
from tests.support.bus import snapshot


class Log:
    """A kernel's log that is read, or is not."""

    def __init__(self, live: bool) -> None:
        self.live = live
        self.gone = Cannot("It may not be read.", "Give it CAP_SYSLOG.")

    def listen(self, *_heard: Any, **_options: Any) -> Callable[[], None]:
        return lambda: None


def built(log: Any, submit: Any) -> GpuEdge:
    about = (submit, SystemClock(), snapshot, Settings(), lambda: Table({}, {}))
    return GpuEdge(KernelFiles(), log, *about, since=-1, turn="gpu")


def told(live: bool, fact: Fact) -> Readings:
    heard: list[Fact] = []

    async def build() -> None:
        built(Log(live), heard.append)._with_source(heard.append)(fact)

    asyncio.run(build())
    (found,) = heard
    assert isinstance(found, Readings)
    return found


def test_each_reading_of_the_cards_says_how_faults_are_heard() -> None:
    reading = Readings(1.0, 1.0, "gpu", (), gpu=GpuReading())
    (source,) = told(True, reading).sources
    assert (source.name, source.live) == ("gpu-faults", True)
    (source,) = told(False, reading).sources
    assert (source.live, source.cure) == (False, "Give it CAP_SYSLOG.")


async def test_hands_ask_the_same_driver_and_may_let_go_of_it() -> None:
    edge = built(Log(True), lambda _fact: None)
    edge.driver.hold("a test")
    assert (edge.reader.held, edge.driver.held, edge.driver.running) == ("a test", "a test", False)
    assert (await edge.driver.snapshot("slow")).trouble == "stopped"
    assert await edge.driver.release("a test")
    edge.driver.resume()
    assert edge.reader.held == ""


def test_what_is_no_reading_of_cards_is_left_as_it_is() -> None:
    gone = Readings(1.0, 1.0, "gpu", ())
    assert told(True, gone) == gone
