"""Whether what happens to a container can be the doing of a plan of ours. Pure.

Plans come from the core with every fact; state.py and registry.py ask. The step names are those of actions/steps.py.
"""

from supervisor import verbs
from supervisor.facts import Plan
from supervisor.verbs import Disturbance

_STARTS = ("start", "back_start")
_STOPS_OR_STARTS = ("stop", "back_stop", *_STARTS)


def costly(plan: Plan) -> bool:
    """Whether a plan stops or starts its service; one that only tags an image, or slows it down, does not: who stops it
    then is not us."""
    if plan.verb in verbs.GENTLE:
        return False
    known = plan.verb in verbs.VERBS
    return not known or verbs.disturbance(plan.verb, dict(plan.params)) is not Disturbance.HARMLESS


def launched(plan: Plan, when: float) -> bool:
    """Whether the plan had started its container by `when` (unix seconds) and began nothing since that stops one: who
    asks it to end then is not us."""
    last = next((name for name in reversed(plan.begun) if name in _STOPS_OR_STARTS), "")
    if last not in _STARTS:
        return False
    return 0.0 < float(plan.data().get(f"launched_{last}") or 0.0) < when
