"""What a swap would do, in the words of `resurgam swap --dry-run`: who leaves and comes, sizes, the steps of slots.

In: the part `slot` of a stage of /v1/preview (actions/swap/preview.py). Out: lines for `cli/plan.py`, which prints all
previews, and the words for steps that only the plans of slots have.
"""

from supervisor.facts import Json
from supervisor.units import show_duration

SLOT_STEPS = {
    "preflight": "look at everything that can be known beforehand",
    "dry_run": "ask its own image whether it knows the model",
    "create": "make its container, while the other one serves",
    "hold": "let new requests wait at the gate",
    "drain": "wait until nobody's request is in flight",
    "stop": "stop or unload what leaves, and keep it down",
    "freed": "wait until its memory is really free, measured",
    "start": "start, load or wake it",
    "ready": "watch until it answers as itself, with one real completion",
    "warmup": "answers that do not count",
    "bench": "measure it",
    "canary": "ask what only a model in its senses answers",
    "move": "let callers go to it",
    "drain_old": "wait until nobody's request is in flight at the one before",
    "commit": "the slot is its own now",
    "open": "let the requests that wait go on",
    "stop_old": "stop the one before",
    "tidy": "give back what is not needed any more",
}
"""step of a slot's plan -> what it does"""
SLOT_BACK = {
    "back_stop": "stop it",
    "back_freed": "wait until its memory is really free",
    "back_start": "start the one before",
    "back_ready": "watch until that one answers as itself",
    "back_open": "let callers go on with it",
}
"""the steps of its way back"""
_SHAPES = {
    "exclusive": "one is stopped before the other is started",
    "beside": "both run for a while, callers are moved, nobody waits",
    "sleep": "one is put to sleep, or away, and no container is stopped",
}
_WIDE = 10


def lines_of_slot(slot: Json) -> list[tuple[str, str]]:
    """(line, colour) of one stage: how, what the preflight says, how long; none for a stage that is about no slot."""
    if not slot:
        return []
    found = []
    came, goes = slot["to"], slot["from"]
    if came and came != goes:
        why = f" ({slot['why_shape']})" if slot["why_shape"] else ""
        how = f"{slot['shape']}{why}: {_SHAPES.get(slot['shape'], '')}" if goes else "nothing has to leave"
        found.append((f"  {goes or 'nobody'} -> {came}, {how.removesuffix(': ')}", ""))
    if slot["evict"]:
        found.append((f"  put away first, to make room: {', '.join(slot['evict'])}", "yellow"))
    for line in slot["lines"]:
        colour = "red" if line["ok"] is False else "yellow" if line["ok"] is None else ""
        found.append((f"  {line['what']:<{_WIDE}} {line['text']}", colour))
    if slot["expected"] >= 1:
        found.append((f"  {'in all':<{_WIDE}} about {show_duration(round(slot['expected']))}", ""))
    return found
