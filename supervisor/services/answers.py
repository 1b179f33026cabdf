"""What its probe says of a service: whether it is well, where it has no health check of its own that can run.

From: the registry, one answer at a time (Probed: of the permanent probes, and of a plan's probation). To: state.py and
proof.py. An answer counts for the run of the container that gave it, and for no other.
"""

from supervisor.facts import Container, Probed
from supervisor.services.checks import broken_check
from supervisor.services.record import Record, Said

_SAME_RUN = 2.0
"""seconds between StartedAt and its start event, at most, on a busy box"""


def same_run(container: Container, container_id: str, started_at: float) -> bool:
    """Whether it is this run of this container that was asked."""
    return container.id == container_id and abs(container.started_at - started_at) <= _SAME_RUN


def heard(before: Said | None, fact: Probed, startup: float) -> Said | None:
    """With one answer more; None while nothing is known of this run. A failure that is not one of many in a row changes
    nothing past the first well, nor of what has been running for longer than `startup`, which may have been well."""
    cid, started = fact.container_id, fact.started_at
    if fact.failing:
        return Said(cid, started, "failing")
    if fact.broken or fact.asleep:
        return Said(cid, started, "silent")
    if fact.ok:
        return Said(cid, started, "well")
    if before is not None and continues(before, fact):
        return Said(cid, started, before.word)
    return Said(cid, started, "starting") if fact.at - started <= startup else None


def continues(before: Said, fact: Probed) -> bool:
    """Whether it is the same run that answers again."""
    return before.container_id == fact.container_id and abs(before.started_at - fact.started_at) <= _SAME_RUN


def verdict(record: Record, container: Container, asked: bool, at: float) -> bool | None:
    """Whether it is well by its probe; None where that tells nothing, or is not what counts: its own check goes first.
    `asked`: somebody asks the probes at all. One that has just begun is not well before it says so."""
    if not asked or not (record.needs.probe or record.needs.probe_argv) or checks_itself(container):
        return None
    said = record.said
    if said is None or not same_run(container, said.container_id, said.started_at):
        return False if at - container.started_at <= record.needs.startup else None
    return {"well": True, "starting": False, "failing": False, "silent": None}[said.word]


def checks_itself(container: Container) -> bool:
    """Whether it has a health check of its own, one that can run."""
    return container.health != "none" and not broken_check(container)


def well(container: Container, said: bool | None) -> bool:
    """Whether it is healthy: by its own check, else by its probe (`said`, its verdict), else since it plainly runs."""
    if not container.running:
        return False
    return container.health in ("none", "healthy") if said is None else said
