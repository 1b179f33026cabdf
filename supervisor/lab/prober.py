"""Probes in a simulated world: a service answers as its container stands.

From: lab/engine.py, which knows how each container behaves. To: whoever asks a Prober.
"""

import asyncio
from collections.abc import Iterable

from supervisor.config.watching import ProbeSettings
from supervisor.core import Core
from supervisor.facts import Container, Needs
from supervisor.lab.engine import SimEngine
from supervisor.ports import ProbeResult
from supervisor.signals.probes import ProbeWatch, exec
from supervisor.signals.probes.answer import CannotAsk, Unwell

_QUICK = 0.001


class SimProber:
    """Implements ports.Prober on a SimEngine. `broken`: say so to make every probe unable to run. How fast a model is
    stands in its image's behaviour."""

    def __init__(self, engine: SimEngine, broken: str = "") -> None:
        self.engine = engine
        self.broken = broken
        self.takes = 0.0
        """seconds an answer takes: a slow service; one that takes longer than the probe waits does not answer"""
        self.benchmark_broken = ""
        """why no benchmark can run"""
        self.asked: list[tuple[str, str]] = []
        """every probe so far: (url or command, container id)"""
        self.gently: list[tuple[str, str]] = []
        """the same, of those that are asked for ever"""
        self.asleep = ""
        """why no model is asked that is to be asked gently"""
        self.outside: dict[str, str] = {}
        """what endpoints outside say: url -> why they are not well, '' if they are"""
        self.measured: list[str] = []
        """every benchmark so far: container id"""

    async def probe(
        self, needs: Needs, container: Container | None, timeout: float, *, gentle: bool = False
    ) -> ProbeResult:
        """What the service would answer now. `asleep`: what is said of a model that is to be asked gently."""
        (self.gently if gentle else self.asked).append((" ".join(needs.probe_argv) or needs.probe, _id(container)))
        if self.broken:
            return ProbeResult(False, self.broken, broken=True)
        if gentle and self.asleep:
            return ProbeResult(False, self.asleep, asleep=True)
        if container is None:
            text = self.outside.get(needs.probe, "connection refused")
            return ProbeResult(not text, text or "200 OK", _QUICK)
        if self.takes:
            await asyncio.sleep(min(self.takes, timeout))
            if self.takes >= timeout:
                return ProbeResult(False, "no answer", timeout)
        seconds = self.takes or _QUICK
        if needs.probe_argv:
            try:
                found = await exec.ask({self.engine.name: self.engine}, container, needs.probe_argv, timeout)
            except (CannotAsk, Unwell) as err:
                return ProbeResult(False, str(err), seconds, broken=isinstance(err, CannotAsk))
            return ProbeResult(True, found.text, seconds)
        if self.engine.well(container.id):
            return ProbeResult(True, "200 OK", seconds)
        return ProbeResult(False, "connection refused", seconds)

    async def benchmark(self, needs: Needs, container: Container) -> ProbeResult:
        """How fast it answers: as its behaviour has it."""
        self.measured.append(container.id)
        box = self.engine.world.find(container.id)
        if box is None or not self.engine.well(container.id):
            return ProbeResult(False, "connection refused", _QUICK)
        if self.benchmark_broken or needs.benchmark is None:
            return ProbeResult(False, self.benchmark_broken or "no benchmark is declared", broken=True)
        rate = box.run.speed
        seconds = needs.benchmark.tokens / rate
        await asyncio.sleep(min(seconds, needs.benchmark.within))
        if seconds > needs.benchmark.within:
            return ProbeResult(False, "no answer in time", needs.benchmark.within)
        return ProbeResult(True, f"{rate} tokens/s", seconds, rate=rate)


def _id(container: Container | None) -> str:
    return container.id if container is not None else ""


def watched(prober: SimProber, core: Core, outside: Iterable[ProbeSettings], every: float, quick: float) -> ProbeWatch:
    """The permanent probes of one life, all at the same instants: `every` so many seconds, `quick` while one starts."""
    core.decider.registry.asked()
    return ProbeWatch(prober, core.submit, core.clock, lambda: core.snapshot, outside, every, quick)
