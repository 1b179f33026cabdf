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
    if plan.verb in verbs.GENTLE and not plan.touches:
        return False
    known = plan.verb in verbs.VERBS
    return not known or verbs.disturbance(plan.verb, dict(plan.params)) is not Disturbance.HARMLESS


def carried_by(plan: Plan, container_id: str = "", name: str = "") -> str:
    """The service that a container belongs to which a plan works on, or has made. A plan of a slot works on several: by
    its parts; what it made anew is for the model that comes."""
    if not plan.touches:
        return plan.service
    known = plan.found.get("parts")
    parts = [one for one in known.values() if isinstance(one, dict)] if isinstance(known, dict) else []
    for one in parts:
        if (container_id and one.get("container_id") == container_id) or (name and one.get("name") == name):
            return str(one.get("service") or "")
    comes = known.get(str(plan.found.get("to") or "")) if isinstance(known, dict) else None
    return str(comes.get("service") or "") if isinstance(comes, dict) else ""


def launched(plan: Plan, when: float) -> bool:
    """Whether the plan had started its container by `when` (unix seconds) and began nothing since that stops one: who
    asks it to end then is not us."""
    last = next((name for name in reversed(plan.begun) if name in _STOPS_OR_STARTS), "")
    if last not in _STARTS:
        return False
    return 0.0 < float(plan.data().get(f"launched_{last}") or 0.0) < when
