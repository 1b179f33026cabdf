"""Sizes of memory as the person who planned with them would write them. Pure.

From: the declared plans, and whatever is to be shown beside them. To: every sentence about memory. Who declared `341GB`
reads GB everywhere in that sentence, and who declared `90GiB`, or nothing, reads GiB (`units.speaker`).
"""

from supervisor.facts import MemoryBudget
from supervisor.units import Say, is_decimal, speaker


def speaking(budget: MemoryBudget, *more: float) -> Say:
    """How sizes are written for this machine; `more`: sizes that are declared and not among its plans yet."""
    plans = [one.plan for one in budget.services if one.source == "declared"]
    return speaker((*plans, budget.swap_declared, *more))


def like(budget: MemoryBudget) -> float:
    """A declared size of the family in which sizes are written here, for those who have no budget: speaker((like,))."""
    plans = [one.plan for one in budget.services if one.source == "declared"]
    return next((size for size in (*plans, budget.swap_declared) if is_decimal(size)), 0.0)
