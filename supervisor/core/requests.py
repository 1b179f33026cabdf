"""Request files: each is decided on exactly once, whatever becomes of the file.

From: commands.py, with a command through the door `file` whose id is the file's identity (signals/request_file.py). To:
the journal's space `request`, in the same transaction as the decision and the plans it opens: after a kill the file may
still be there, and is known. What cannot be decided yet (the engine was not listed, the journal fails) is not kept:
the watcher asks again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor.facts import Command, Decision, Intent
from supervisor.services import safe_id
from supervisor.signals.request_file import LATER
from supervisor.verdicts import Reason, Verdict, no

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

KEPT = 64
"""identities kept for each file: somebody may put old ones back"""


def answer(core: "Decider", fact: Command, decide: Callable[["Decider", Command], Decision]) -> Decision:
    """Decide on a request, once. `decide` answers the command that it stands for."""
    file, _, identity = fact.id.rpartition("|")
    known = core.standing.requests.get(file, [])
    intent = Intent(fact.verb, fact.target, fact.params, f"asked for by {fact.principal}", fact.principal)
    if identity in known:
        text = f"The request {file} was decided on before; it is not obeyed twice."
        return Decision(core.now, intent, no(Reason.ALREADY_DONE, text))
    if not core.standing.swept and fact.refused is None:
        return Decision(core.now, intent, no(Reason.NOT_READY, "The containers were not listed yet."))
    trouble = fact.refused if fact.refused is not None else _runs(core, fact)
    if trouble is not None:
        decision = core.admission.refuse(core, intent, trouble)
    else:
        bare = Command(
            fact.at,
            fact.mono,
            fact.verb,
            fact.target,
            fact.params,
            fact.principal,
            fact.door,
            document=fact.document,
            widens=fact.widens,
        )
        decision = decide(core, bare)
    if decision.verdict.reason not in LATER:
        seen = [*known, identity][-KEPT:]
        core.standing.requests[file] = seen
        core.batch.put("request", file, {"seen": seen})
    return decision


def _runs(core: "Decider", fact: Command) -> Verdict | None:
    """A request while one for the same project runs does nothing."""
    project = fact.target.removeprefix("project:")
    running = [f"rollout {one.id}" for one in core.rollouts.open() if one.target == safe_id(project)]
    running += [f"plan {one.id}" for one in core.admission.plans() if one.by == fact.principal]
    if not running:
        return None
    return no(Reason.LOCKED, f"{running[0]} works on the project {project} already; this request does nothing more.")
