"""Which plans still count against the budgets, kept in the journal's space `spent`.

From: admission.py, which opens and ends plans. To: the guard (incidents/budget.py), as World.spent. A restart, a lost
engine or a clock that jumps refills nothing.
"""

from collections.abc import Mapping
from dataclasses import replace

from supervisor import verbs
from supervisor.facts import Json, Plan
from supervisor.incidents import Spend
from supervisor.incidents.guard import by_rule
from supervisor.journal import Batch
from supervisor.journal.codec import dump, load
from supervisor.verbs import Disturbance

SPENT_FOR = 7 * 86400.0
"""seconds a disruptive plan is remembered: longer than any budget window makes sense"""


class Spending:
    """The plans that were admitted lately and disturb something, by id."""

    def __init__(self, kept: Mapping[str, Json], now: float) -> None:
        """`kept`: the space `spent`; `now` in unix seconds. None of them lies in the future: a clock that was put back
        must not hold the budget for ever."""
        loaded = {int(key): load(Spend, value) for key, value in kept.items()}
        self._spent = {key: replace(spend, at=min(spend.at, now)) for key, spend in loaded.items()}

    def last(self) -> int:
        """The highest id of a plan that is known here; 0 for none."""
        return max(self._spent, default=0)

    def count(self, now: float) -> tuple[Spend, ...]:
        """What still counts at `now` (unix seconds), oldest plan first."""
        return tuple(spend for _key, spend in sorted(self._spent.items()) if spend.at > now - SPENT_FOR)

    def opened(self, batch: Batch, plan: Plan, now: float) -> None:
        """A plan was admitted: from now on it counts, unless it disturbs nothing. What is too old is let go."""
        cost = verbs.disturbance(plan.verb, dict(plan.params))
        if cost is Disturbance.HARMLESS:
            return
        disrupts, asked = cost is Disturbance.DISRUPTIVE, not by_rule(plan.by)
        fault = str(plan.found.get("fault") or "")
        self._keep(batch, Spend(now, plan.service, plan.verb, disrupts, plan.id, plan.rollout, asked, fault))
        for key in [key for key, spend in self._spent.items() if spend.at <= now - SPENT_FOR]:
            self.forgive(batch, key)

    def forgive(self, batch: Batch, plan_id: int) -> None:
        """A plan touched nothing: it costs nothing."""
        if self._spent.pop(plan_id, None) is not None:
            batch.put("spent", str(plan_id), None)

    def gap(self, batch: Batch, seconds: float) -> None:
        """The wall clock jumped: time in which nobody could act does not refill a budget."""
        for spend in list(self._spent.values()):
            self._keep(batch, replace(spend, at=spend.at + seconds))

    def _keep(self, batch: Batch, spend: Spend) -> None:
        self._spent[spend.plan] = spend
        batch.put("spent", str(spend.plan), dump(spend))
