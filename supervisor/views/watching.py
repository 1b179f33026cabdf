"""What is asked and scraped, as documents: probes and targets.

In: facts.Snapshot. Out: plain JSON, as parts of the status. Times are ISO 8601, durations seconds.
"""

from supervisor.facts import Json, Snapshot
from supervisor.units import iso
from supervisor.views.words import json_number


def probes_document(snapshot: Snapshot) -> list[Json]:
    """How every service and endpoint outside answered last, by name. `state`: well | failing | failed (not often enough
    yet) | broken (it cannot be asked so) | asleep (its model is put away) | unknown (not asked yet)."""
    return [
        {
            "name": one.name,
            "service": one.service,
            "address": one.address,
            "at": iso(one.at),
            "state": _state(one.at, one.ok, one.failing, one.broken, one.asleep),
            "seconds": json_number(round(one.seconds, 3)),
            "rate": json_number(round(one.rate, 1)) if one.rate else None,
            "text": one.text,
        }
        for one in snapshot.probes
    ]


def _state(at: float, ok: bool, failing: bool, broken: bool, asleep: bool) -> str:
    if not at:
        return "unknown"
    if broken:
        return "broken"
    if asleep:
        return "asleep"
    return "well" if ok else "failing" if failing else "failed"


def targets_document(snapshot: Snapshot) -> list[Json]:
    """How every target of a scrape is, by job and instance. `left_out`: samples that were not taken."""
    return [
        {
            "job": one.job,
            "instance": one.instance,
            "service": one.service,
            "up": one.up,
            "at": iso(one.at),
            "seconds": json_number(round(one.seconds, 3)),
            "samples": one.samples,
            "left_out": one.left_out,
            "text": one.text,
        }
        for one in snapshot.targets
    ]
