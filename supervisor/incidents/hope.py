"""Whether anything is still about to be tried for a service that is down: before a stand-in takes its place. Pure.

In: the candidates of this turn, the World, what the book remembers. Out: yes or no. What waits for a person, for room
in a budget, or for nothing at all is no hope; what is at work, or looked at again within moments, is.
"""

from collections.abc import Sequence

from supervisor.incidents import choose
from supervisor.incidents.choose import Candidate
from supervisor.incidents.deciding import Records, by_target, decide
from supervisor.incidents.locks import starts
from supervisor.incidents.world import World
from supervisor.verdicts import Reason

PENDING = 120.0
"""seconds for which an alert that is only pending counts"""
_SOON = (
    *(Reason.OWN_ACTION, Reason.HELD, Reason.NOT_READY, Reason.LOCKED, Reason.COOLDOWN, Reason.ENGINE_ABSENT),
    *(Reason.NO_ROOM,),
)
"""refusals that pass by themselves"""


def left(service: str, candidates: Sequence[Candidate], world: World, records: Records, soon: float) -> bool:
    """Whether a plan is at work on the service, or a rule may still start it within `soon` seconds."""
    if any(service in plan.services and plan.verb != "protect" for plan in world.plans):
        return True
    asking = [one for one in candidates if service in (one.target, one.subject) and _starts(one)]
    for one in asking:
        if one.alert.state == "pending" and world.now - one.alert.active_at < PENDING:
            return True
    firing = [one for one in asking if one.alert.state == "firing"]
    for group in by_target(firing).values():
        for answer in decide(group, choose.owners(candidates), world, records):
            if answer.verdict.ok and starts(answer.intent.verb, dict(answer.intent.params)):
                return True
            passes = answer.verdict.reason in _SOON
            if passes and (answer.again is None or answer.again - world.now <= soon):
                return True
    return False


def _starts(one: Candidate) -> bool:
    """Whether some step of it starts the service."""
    practice = one.playbook.dry_run or one.alert.labels.get("drill") == "true"
    return not practice and any(starts(step.verb, dict(step.params)) for step in one.playbook.steps)
