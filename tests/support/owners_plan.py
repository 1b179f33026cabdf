"""The owner's big box as it is planned (SCENARIOS, Box A): 361 of 384 GB, with its parts.

`budget` makes the MemoryBudget of that box with those services running that are named; sizes are GB as the owner writes
them.
"""

from collections.abc import Iterable, Mapping

from supervisor.facts import GroupMemory, HostReading, MemoryBudget, ServiceMemory
from supervisor.memory.budget import budget_of, reserve_of

GB = 1_000_000_000
TOTAL, SWAP = 384 * GB, 64 * GB
ORACLE, CANDIDATE = "omni.deepseek", "omni.mxfp4"

WEIGHTS, KV = 281 * GB, 60 * GB
AGENTS: Mapping[str, int] = {
    "omni.agent": 4 * GB,
    "omni.letta": 3 * GB,
    "omni.mem0": 2 * GB,
    "omni.memgraph": 2 * GB,
    "omni.prometheus": 3 * GB,
    "omni.qdrant": 4 * GB,
    "omni.mcp": 2 * GB,
}
"""20 GB of agents and what serves them"""
PLAN: Mapping[str, int] = {**AGENTS, ORACLE: WEIGHTS + KV, CANDIDATE: 341 * GB}
RUNNING = (*AGENTS, ORACLE)
"""what runs on an ordinary day"""


def budget(running: Iterable[str] = RUNNING, used: Mapping[str, float] | None = None, **more: float) -> MemoryBudget:
    """The box with these running. `used`: what they use, their plan where it is not said. `more`: `foreign` (what no
    service uses) and `available`."""
    runs = frozenset(running)
    parts, groups = [], {}
    for name in sorted(PLAN):
        size = float((used or {}).get(name, PLAN[name])) if name in runs else 0.0
        parts.append(ServiceMemory(name, float(PLAN[name]), "declared", used=size, resident=size, running=name in runs))
        if name in runs:
            groups[name] = GroupMemory(anon=size)
    held = more.get("foreign", 3.0 * GB)
    for group in groups.values():
        held += group.resident
    memory = {
        "MemTotal": float(TOTAL),
        "MemAvailable": more.get("available", max(0.0, TOTAL - held)),
        "SwapTotal": float(SWAP),
        "SwapFree": float(SWAP),
    }
    return budget_of(HostReading(memory, groups), parts, reserve_of(TOTAL, None), float(SWAP), 1_760_000_000.0)
