"""Snapshots with GPUs, probes and targets, as people are shown them. For the tests of views, command line and bus."""

from dataclasses import replace
from typing import Any

from supervisor.facts import Gpu, GpuState, ProbeState, Snapshot, TargetState, XidEpisode
from tests.support.boxes import NOW, box
from tests.support.cards import BUS, GIB, PRO, SMALL

ORACLE = "stack.oracle"


def big(**more: Any) -> Gpu:
    """The big card, which the oracle fills."""
    given: dict[str, Any] = {
        "name": "RTX PRO 6000",
        "bus_id": BUS[PRO],
        "total": 96 * GIB,
        "free": 5 * GIB,
        "reserved": GIB,
        "planned": 90 * GIB,
        "users": ((ORACLE, 90 * GIB),),
        "recovery": "none",
        "values": {"DCGM_FI_DEV_GPU_UTIL": 93.0, "DCGM_FI_DEV_GPU_TEMP": 71.0, "resurgam_gpu_persistence_mode": 1.0},
    }
    return Gpu(PRO, 0, **(given | more))


def small(**more: Any) -> Gpu:
    """The small card, which does nothing and tells little."""
    given: dict[str, Any] = {"name": "RTX 5090", "bus_id": BUS[SMALL], "total": 32 * GIB, "free": 32 * GIB}
    return Gpu(SMALL, 1, **(given | more))


def gone(card: Gpu, text: str = "It is gone. Restart the machine.") -> Gpu:
    """The same, which is expected and is not there."""
    return replace(card, up=False, present=False, total=0, free=0, users=(), text=text, values={})


def cards(*found: Gpu, **more: Any) -> GpuState:
    """How they stand; without cards, the two."""
    every = found or (big(), small())
    return GpuState(every, **({"expected": 2, "driver": "580.95"} | more))


def fault(**more: Any) -> XidEpisode:
    """The big card fell off the bus while the oracle used it."""
    given: dict[str, Any] = {"service": ORACLE, "counts": {79: 1, 45: 12}, "text": "GPU 0 fell off the bus (XID 79)."}
    return XidEpisode("gpu-3", PRO, BUS[PRO], NOW - 60, NOW - 5, 79, "bus", "reboot", **(given | more))


def probe(name: str = ORACLE, **more: Any) -> ProbeState:
    """A service's probe, which answered well."""
    given: dict[str, Any] = {"service": name, "address": "http://:8000/health", "at": NOW - 3, "ok": True}
    return ProbeState(name, **(given | {"seconds": 0.0421} | more))


def target(job: str = "node", **more: Any) -> TargetState:
    """A target that is up."""
    given: dict[str, Any] = {"up": True, "at": NOW - 5, "seconds": 0.0123, "samples": 800}
    return TargetState(job, f"{job}:9100", **(given | more))


def shown(gpus: GpuState | None = None, **more: Any) -> Snapshot:
    """The box with them."""
    return box(gpus=gpus, **more)
