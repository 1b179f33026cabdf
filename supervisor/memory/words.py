"""Sizes of memory as the person who planned with them would write them. Pure.

From: the declared plans, and whatever is to be shown beside them. To: every sentence about memory. Who declared `341GB`
reads GB everywhere in that sentence, and who declared `90GiB`, or nothing, reads GiB: a sum is followed only where all
its figures are of one family.
"""

from collections.abc import Callable, Iterable

from supervisor.facts import MemoryBudget
from supervisor.units import show_size

Say = Callable[[float], str]
"""bytes -> text"""


def speaker(declared: Iterable[float]) -> Say:
    """How sizes are written beside these declared ones: in powers of 1000 where one of them is round in those and not
    in powers of 1024."""
    return _decimal if any(_is_decimal(size) for size in declared) else show_size


def speaking(budget: MemoryBudget, *more: float) -> Say:
    """How sizes are written for this machine; `more`: sizes that are declared and not among its plans yet."""
    plans = [one.plan for one in budget.services if one.source == "declared"]
    return speaker((*plans, budget.swap_declared, *more))


def like(budget: MemoryBudget) -> float:
    """A declared size of the family in which sizes are written here, for those who have no budget: speaker((like,))."""
    plans = [one.plan for one in budget.services if one.source == "declared"]
    return next((size for size in (*plans, budget.swap_declared) if _is_decimal(size)), 0.0)


def listed(parts: Iterable[tuple[str, float]], say: Say, most: int = 3) -> str:
    """`oracle 341 GB, qdrant 4 GB, 6 more 16 GB`: the largest first; '' for none."""
    ordered = sorted(((name, size) for name, size in parts if size > 0), key=lambda part: (-part[1], part[0]))
    if len(ordered) == most + 1:
        most += 1
    rest = 0.0
    for _name, size in ordered[most:]:
        rest += size
    shown = [f"{name} {say(size)}" for name, size in ordered[:most]]
    return ", ".join((*shown, f"{len(ordered) - most} more {say(rest)}") if rest else shown)


def _is_decimal(size: float) -> bool:
    whole = int(size)
    return whole >= 10**6 and whole % 10**6 == 0 and whole % (1 << 20) != 0


def _decimal(size: float) -> str:
    return show_size(size, decimal=True)
