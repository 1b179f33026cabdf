"""Rollouts: several plans, one after the other, each admitted like any other and verified before the next.

From: commands.py and admission.py (a project, a service whose namespaces others share, the services after a boot),
with the order made by services/graph.py. To: the journal's space `rollout` and admission.py, which opens the next
stage's plan in the very turn in which the one before it ended, so that nobody comes in between.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from supervisor.facts import Command, Decision, Intent, Json, Plan, Rollout
from supervisor.verdicts import Verdict

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


class Rollouts:
    """The rollouts that are not over."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `rollout` as it was at the start."""

    def open(self) -> tuple[Rollout, ...]:
        """Oldest first."""
        return ()

    def instead(self, core: "Decider", intent: Intent) -> Decision | None:
        """The decision where this intent is more than one plan (others share the service's namespaces): a rollout is
        begun and its first plan admitted. None where one plan is enough."""
        return None

    def project(self, core: "Decider", fact: Command) -> Decision | None:
        """The decision where a command's target is a compose project; None where it is not."""
        return None

    def ended(self, core: "Decider", plan: Plan, outcome: Verdict) -> None:
        """A plan is over: open the next stage's, or end its rollout. Called before the plan's locks are given back."""

    def recover(self, core: "Decider") -> None:
        """After a start: a rollout whose plan ended while nobody looked goes on."""

    def boot(self, core: "Decider") -> None:
        """The engine was listed for the first time since the machine came up: bring back, in order, what is wanted."""
