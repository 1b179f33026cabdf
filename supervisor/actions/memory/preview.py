"""`resurgam plan freeze X` and its kin: what would be done to a container's memory, in sentences.

From: preview.py. To: the notes of a preview, and why the first look would end the plan.
"""

from supervisor import units
from supervisor.errors import ResurgamError
from supervisor.facts import Container, GroupMemory, Json, Plan, Service
from supervisor.ports import Groups
from supervisor.units import Say, speaker
from supervisor.verdicts import Reason

_KERNEL = ("fuse", "unfuse", "freeze", "thaw", "reclaim", "raise-limit")


async def foresee(plan: Plan, service: Service, groups: Groups) -> Json:
    """`notes` and `refused` of a preview."""
    box = service.container
    if box is None or plan.verb not in _KERNEL:
        return {"notes": [f"Its files: {', '.join(plan.needs.weights)}."] if plan.verb == "drop-cache" else []}
    why = groups.cannot(plan.verb, box)
    if why:
        return {"refused": {"reason": Reason.UNSUPPORTED.value, "text": units.plain(f"It cannot be done here: {why}.")}}
    try:
        memory = await groups.read(box)
    except ResurgamError as err:
        return {"notes": [f"Its memory cannot be read: {units.plain(str(err), 300)}."]}
    return {"notes": [_uses(plan, memory), *_words(plan, box, memory)]}


def _speaking(plan: Plan) -> Say:
    return speaker((float(plan.found.get("sizes_like") or 0.0),))


def _uses(plan: Plan, memory: GroupMemory) -> str:
    say = _speaking(plan)
    limit = f", its limit is {say(memory.limit)}" if memory.limit else ""
    planned = _planned(plan)
    plans = f", its plan is {say(planned)}" if planned else ", nobody knows its plan"
    return f"It uses {say(memory.used)}{plans}{limit}."


def _words(plan: Plan, box: Container, memory: GroupMemory) -> list[str]:
    say = _speaking(plan)
    lasts = units.show_duration(units.duration(str(plan.params["for"]))) if plan.params.get("for") else ""
    if plan.verb == "freeze":
        return [f"It would stand still for {lasts} at most: nothing is freed, and whoever calls it waits."]
    if plan.verb == "fuse":
        at = max(_size(plan, "at") or _planned(plan), memory.used, memory.usage)
        return [f"Above {say(at)} it would be slowed down, for {lasts} at most; nothing is killed."]
    if plan.verb == "reclaim":
        wanted = _size(plan, "size") or max(0.0, memory.used - _planned(plan) if _planned(plan) else 0.0)
        what = f"{say(wanted)} would be asked for" if wanted else "There is nothing over its plan to ask for"
        return [f"{what}; its own pages go to swap, so without swap only page cache comes back."]
    if plan.verb == "raise-limit":
        return [f"It would be {say(_size(plan, 'to'))} until its next start; a limit is never lowered."]
    if plan.verb == "thaw":
        return ["It stands still now." if memory.frozen else "It does not stand still."]
    fuse = f"Its fuse stands at {say(memory.high)}." if memory.high else "It has no fuse."
    return [fuse]


def _planned(plan: Plan) -> float:
    return float(plan.found.get("memory_plan") or plan.needs.memory)


def _size(plan: Plan, name: str) -> float:
    text = str(plan.params.get(name) or "")
    return float(units.size(text)) if text else 0.0
