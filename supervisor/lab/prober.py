"""Probes in a simulated world: a service answers as its container stands.

From: lab/engine.py, which knows how each container behaves. To: whoever asks a Prober.
"""

from supervisor.facts import Container, Needs
from supervisor.lab.engine import SimEngine
from supervisor.ports import ProbeResult


class SimProber:
    """Implements ports.Prober on a SimEngine. `broken`: say so to make every probe unable to run."""

    def __init__(self, engine: SimEngine, broken: str = "") -> None:
        self.engine = engine
        self.broken = broken
        self.rate = 100.0
        """tokens per second that a benchmark finds"""
        self.asked: list[tuple[str, str]] = []
        """every probe so far: (url, container id)"""

    async def probe(self, needs: Needs, container: Container, timeout: float) -> ProbeResult:
        """What the service would answer now."""
        self.asked.append((needs.probe, container.id))
        if self.broken:
            return ProbeResult(False, self.broken, broken=True)
        if self.engine.well(container.id):
            return ProbeResult(True, "200 OK", 0.001)
        return ProbeResult(False, "connection refused", 0.001)

    async def benchmark(self, needs: Needs, container: Container) -> ProbeResult:
        """How fast it answers: as fast as a test says."""
        return ProbeResult(True, f"{self.rate} tokens/s", 1.0, rate=self.rate)
