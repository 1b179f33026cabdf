"""The steps that each verb of a slot may take, forward and back, with the containers they write to. Pure tables.

From: core/slot_plans.py, which puts them into the plan's durable row. To: the core (permit) and the maneuvers, which
take them by name. A step stands *before*, *inside* or *after* the irreversible part; `back` marks a way back.
"""

from collections.abc import Sequence

from supervisor.facts import Step
from supervisor.facts.slots import BESIDE

MEASURE = ("warmup", "bench", "canary")
"""what a way back from probation leaves out"""


def swap(
    leaving: str, coming: str, shape: str, *, check: str = "", create: str = "", pivot: bool = False
) -> tuple[Step, ...]:
    """Another model into a slot, or the one before back.

    `leaving`, `coming`: names of their containers; '' for a server that is no container of ours, or for nobody.
    `check`: the name of the container that the dry run makes, '' for none; `create`: of the one that is made from
    compose, '' for none; `pivot`: it goes back from probation, so nothing is measured.
    """
    start = _writes(coming, create)
    both = (*_writes(leaving), *start)
    first = (*_first(check, create), *(() if shape == BESIDE else (Step("hold", "before"), Step("drain", "before"))))
    measured = () if pivot else tuple(Step(name, "inside") for name in MEASURE)
    last = (Step("open", "after"), Step("tidy", "after", _writes(leaving)))
    if shape == BESIDE:
        inside = (
            Step("freed", "inside"),
            Step("start", "inside", start),
            Step("ready", "inside"),
            *measured,
            Step("move", "inside", both),
            Step("drain_old", "inside"),
            Step("commit", "inside"),
            Step("stop_old", "after", _writes(leaving)),
        )
    else:
        inside = (
            Step("stop", "inside", _writes(leaving)),
            Step("freed", "inside"),
            Step("start", "inside", both),
            Step("ready", "inside"),
            *measured,
            Step("commit", "inside"),
        )
    return (*first, *inside, *last, *_back(leaving, start))


def load(coming: str, *, check: str = "", create: str = "", evict: Sequence[str] = ()) -> tuple[Step, ...]:
    """A model is loaded beside what is there. `evict`: the containers of those that are put away first."""
    start = _writes(coming, create)
    return (
        *_first(check, create),
        *((Step("stop", "inside", tuple(name for name in evict if name)),) if evict else ()),
        Step("freed", "inside"),
        Step("start", "inside", start),
        Step("ready", "inside"),
        Step("commit", "inside"),
        Step("open", "after"),
        Step("tidy", "after"),
        Step("back_stop", "inside", start, back=True),
        Step("back_open", "inside", back=True),
    )


def wake(name: str) -> tuple[Step, ...]:
    """A model that sleeps wakes, and shows that it is in its senses."""
    return (
        Step("preflight", "before"),
        Step("freed", "inside"),
        Step("start", "inside", _writes(name)),
        Step("ready", "inside"),
        Step("canary", "inside"),
        Step("commit", "inside"),
        Step("open", "after"),
        Step("tidy", "after"),
        Step("back_stop", "inside", _writes(name), back=True),
        Step("back_open", "inside", back=True),
    )


def away(name: str) -> tuple[Step, ...]:
    """A model is put away, or put to sleep."""
    return (
        Step("preflight", "before"),
        Step("hold", "before"),
        Step("drain", "before"),
        Step("stop", "inside", _writes(name)),
        Step("freed", "inside"),
        Step("commit", "inside"),
        Step("open", "after"),
        Step("tidy", "after"),
    )


def bench(*, measured: bool = True) -> tuple[Step, ...]:
    """A model is measured; nothing is changed. `measured` False: only its log, and what it takes, is looked at."""
    return (Step("preflight", "before"), *(Step(name, "before") for name in MEASURE if measured))


def _first(check: str, create: str) -> tuple[Step, ...]:
    return (
        Step("preflight", "before"),
        *((Step("dry_run", "before", (check,)),) if check else ()),
        *((Step("create", "before", (create,)),) if create else ()),
    )


def _back(leaving: str, start: tuple[str, ...]) -> tuple[Step, ...]:
    return (
        Step("back_stop", "inside", start, back=True),
        Step("back_freed", "inside", back=True),
        Step("back_start", "inside", (*_writes(leaving), *start), back=True),
        Step("back_ready", "inside", back=True),
        Step("back_open", "inside", back=True),
    )


def _writes(*names: str) -> tuple[str, ...]:
    found: tuple[str, ...] = ()
    for name in names:
        found += (name,) if name and name not in found else ()
    return found
