"""What each running container uses and when it was last seen running, under the names cAdvisor taught people.

From: ports.Engine.usage, a few containers at a time. To: the core, as one Readings fact per round.
Only a few at a time, because a round must never crowd out the looks that follow a death.
"""

import asyncio
from collections.abc import Iterable

from supervisor.clock import Clock
from supervisor.errors import EngineError, EngineGone
from supervisor.facts import Container, Labels, Metric, Readings, Sample, labels
from supervisor.ports import Engine, Submit, Usage
from supervisor.services.names import SERIES_LABELS, is_temp, series_labels

MEMORY = "container_memory_working_set_bytes"
LIMIT = "container_spec_memory_limit_bytes"
CPU = "container_cpu_usage_seconds_total"
SEEN = "container_last_seen"
AT_ONCE = 4
EVERY = 15.0
"""seconds between two rounds"""

METRICS = (
    Metric(MEMORY, "gauge", SERIES_LABELS, EVERY),
    Metric(LIMIT, "gauge", SERIES_LABELS, EVERY),
    Metric(CPU, "counter", SERIES_LABELS, EVERY),
    Metric(SEEN, "gauge", SERIES_LABELS, EVERY),
)
"""what is made here"""


async def round_of(engine: Engine, containers: Iterable[Container], submit: Submit, clock: Clock) -> int:
    """Read every container once and submit what was read. Returns how many could not be read; EngineGone if the
    engine does not answer at all."""
    found: dict[Labels, float] = {}
    failed = 0
    known = [one for one in containers if not is_temp(one.name)]
    for start in range(0, len(known), AT_ONCE):
        some = known[start : start + AT_ONCE]
        answers = await asyncio.gather(*(engine.usage(one.id) for one in some), return_exceptions=True)
        for one, used in zip(some, answers, strict=True):
            if isinstance(used, EngineError) and not isinstance(used, EngineGone):
                failed += 1
            elif isinstance(used, BaseException):
                raise used
            elif used is not None:
                found |= series(one, used, clock.wall())
    samples = tuple(Sample(name, value) for name, value in sorted(found.items()))
    if samples:
        submit(Readings(clock.wall(), clock.mono(), engine.name, samples))
    return failed


def series(container: Container, used: Usage, now: float) -> dict[Labels, float]:
    """The series of one container. A memory limit of 0 means there is none; one that ended is not seen any more, so
    `time() - container_last_seen > 60` says what its authors meant."""
    about = series_labels(container.name, container.labels)
    return {
        labels(MEMORY, **about): used.memory,
        labels(LIMIT, **about): used.memory_limit,
        labels(CPU, **about): used.cpu_seconds,
        labels(SEEN, **about): now,
    }
