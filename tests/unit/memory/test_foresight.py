"""One reading after another: what is added to a budget, and that nothing else of it changes."""

from dataclasses import fields, replace

from supervisor.facts import HostReading, ServiceMemory
from supervisor.memory.budget import budget_of
from supervisor.memory.foresight import Foresight, foresee

GIB = 2.0**30
PART = ServiceMemory(
    "a",
    plan=9 * GIB,
    source="declared",
    used=4 * GIB,
    resident=3 * GIB,
    swap=1 * GIB,
    limit=10 * GIB,
    loading=True,
    running=True,
    frozen=True,
    fuse=8 * GIB,
    nodes={0: 2 * GIB},
    priority=7,
    plans={"sha256:x": 5 * GIB},
)
GROWTH = {"growth": 0.0, "grew_from": 0.0, "grew_for": 0.0}


def test_a_part_is_told_as_it_was_with_its_growth() -> None:
    same = {one.name for one in fields(ServiceMemory) if getattr(PART, one.name) == one.default} - {*GROWTH, "unread"}
    assert same == set(), "every field has to be told apart from what is left out"
    seen, reading = Foresight(), HostReading({"MemTotal": 64 * GIB, "MemAvailable": 40 * GIB})
    for second in range(10):
        part = replace(PART, used=PART.used + second * GIB / 100)
        seen, made = foresee(seen, budget_of(reading, (part,), GIB, 0.0, float(second)), float(second), 900.0)
    (told,) = made.services
    assert told.growth > 0
    assert told.grew_for > 0
    assert replace(told, **GROWTH) == part
