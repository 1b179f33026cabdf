"""Memory budgets to show: the owner's box as planned, and the same with a leak. For views, documents and the CLI."""

import math
from dataclasses import replace

from supervisor.facts import Exhaustion, MemoryBudget, ServiceMemory
from tests.support.boxes import NOW

GIB = 2.0**30
ORACLE = ServiceMemory("stack.oracle", 341 * GIB, "declared", 298 * GIB, 298 * GIB, running=True)
AGENT = ServiceMemory("qdrant", 20 * GIB, "learned", 12 * GIB, 11 * GIB, GIB, running=True)


def owners() -> MemoryBudget:
    """361 of 384 GiB planned, 8 GiB kept for the system: 15 GiB may still be planned. Nothing runs out."""
    return MemoryBudget(
        at=NOW,
        total=384 * GIB,
        reserve=8 * GIB,
        planned=361 * GIB,
        available=70 * GIB,
        effective=11 * GIB,
        swap_total=64 * GIB,
        swap_free=63 * GIB,
        swap_declared=64 * GIB,
        exhaustion=(Exhaustion("ram", math.inf, 11 * GIB, 0.0), Exhaustion("swap", math.inf, 63 * GIB, 0.0)),
        services=(ORACLE, AGENT),
    )


def leak() -> MemoryBudget:
    """The agent has left its plan behind, and memory lasts eight minutes more."""
    agent = replace(AGENT, used=26 * GIB, resident=25 * GIB, growth=24 * 2**20, grew_from=25 * GIB, grew_for=30.0)
    return replace(
        owners(),
        available=56 * GIB,
        effective=11.25 * GIB,
        exhaustion=(
            Exhaustion("ram", 481.3, 11.25 * GIB, 24 * 2**20, NOW - 40, certain=True),
            Exhaustion("swap", math.inf, 63 * GIB, 0.0),
        ),
        culprit="qdrant",
        services=(ORACLE, agent),
        text="Memory runs out in 8m at 24 MiB a second: "
        "qdrant grew from 25 GiB to 26 GiB in 30s, 6 GiB over its plan of 20 GiB.",
    )
