"""What we want of a slot ourselves: asked of the same guard as everybody, and a refusal is told once.

From: trials.py, standins.py, residency.py. To: admission.py.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from supervisor.facts import Decision, Intent, Plan, Slot
from supervisor.incidents import may_run
from supervisor.verdicts import Verdict

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

US = "resurgam"
RETRY = 60.0
"""seconds until what was refused is asked for again"""


@dataclass(slots=True)
class Wishes:
    """What was asked for lately: when it may be asked for again (monotonic), and which refusal was told."""

    again: dict[str, float] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def ready(self, core: "Decider", key: str) -> bool:
        """Whether it may be asked for now."""
        return self.again.get(key, 0.0) <= core.mono

    def ask(self, core: "Decider", slot: Slot, verb: str, key: str, cause: str, **params: str) -> Decision:
        """Ask for it now. `key`: what it is for; the same wish has the same one."""
        intent = Intent(verb, slot.id, params, cause, US, key=key)
        self.again[key] = core.mono + RETRY
        verdict = may_run(intent, core.world())
        if not verdict.ok:
            return self._refused(core, intent, verdict)
        self.said.pop(key, None)
        return core.admission.decided(core, Decision(core.now, intent, verdict))

    def later(self, core: "Decider", key: str, seconds: float) -> None:
        """It is not asked for before so many seconds have gone by."""
        self.again[key] = core.mono + seconds

    def _refused(self, core: "Decider", intent: Intent, verdict: Verdict) -> Decision:
        if self.said.get(intent.key) == verdict.reason.value:
            return Decision(core.now, intent, verdict)
        self.said[intent.key] = verdict.reason.value
        return core.admission.refuse(core, intent, verdict)


def at_work(core: "Decider", slot: Slot) -> tuple[Plan, ...]:
    """The open plans of a slot, and those on a service of one of its models."""
    ids = {slot.id, *(one.service for one in slot.models if one.service)}
    return tuple(plan for plan in core.admission.plans() if ids & {*plan.services} and plan.verb != "protect")
