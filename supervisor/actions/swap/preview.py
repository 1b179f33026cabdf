"""What a slot's plan would do, found out without touching anything: who leaves, who comes, sizes, how long.

From: web/previewing.py, with a plan that was built and never opened. To: the part `slot` of its document, for
`resurgam swap --dry-run` and `resurgam plan`. The lines are the preflight's own; what its image says in a dry run is
left to the swap itself, since that makes a container.
"""

from supervisor.actions.preview import steps_of
from supervisor.actions.swap.preflight import Eyes, case_of, preflight
from supervisor.errors import JournalError
from supervisor.facts import Json, Plan
from supervisor.verdicts import Reason

_LOADS = ("swap", "load")
"""verbs that bring a model into the memory: all that a preflight looks at is for them"""


async def foresee(plan: Plan, eyes: Eyes) -> Json:
    """The parts of a preview that are about a slot: `refused` is None, or why the preflight would end the plan."""
    document: Json = {"steps": steps_of(plan), "slot": _slot(plan), "notes": [], "waits": {}, "refused": None}
    if plan.verb not in _LOADS:
        return document
    try:
        case = case_of(plan)
    except (JournalError, KeyError) as err:
        text = f"What it would work on cannot be read: {err}."
        return document | {"refused": {"reason": Reason.FAILED.value, "text": text}}
    report = await preflight(eyes, case)
    document["slot"]["lines"] = report.document()
    if any(step.name == "dry_run" for step in plan.steps):
        document["notes"].append("Its own image is asked first whether it knows the model (dry_run).")
    if not report.verdict.ok:
        document["refused"] = {"reason": report.verdict.reason.value, "text": report.verdict.text}
    return document


def _slot(plan: Plan) -> Json:
    """Who leaves, who comes, in which shape, and how long it is expected to take (seconds; 0 where nobody knows)."""
    found = plan.found
    return {
        "from": str(found.get("from") or ""),
        "to": str(found.get("to") or ""),
        "shape": str(found.get("shape") or ""),
        "why_shape": str(found.get("why_shape") or ""),
        "expected": float(found.get("expected") or 0.0),
        "evict": [str(name) for name in found.get("evict") or ()],
        "lines": [],
    }
