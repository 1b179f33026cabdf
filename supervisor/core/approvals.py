"""What waits for a person's word, and what becomes of it when the word comes.

From: admission.py (an intent, or a step of an open plan, that needs a yes), commands.py (approve, deny). To: the
journal's space `approval`, so that a restart asks nothing twice, and the messages people read. A yes lets that one
intent, or that one step, go on; it lifts nothing else.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from supervisor.facts import Approval, Command, Decision, Intent, Json, Plan
from supervisor.verdicts import Reason, Verdict, no

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

LASTS = 86400.0
"""seconds a question stays open; then it counts as denied"""


class Approvals:
    """The open questions, and the answers that open plans still need."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `approval` as it was at the start."""

    def open(self) -> tuple[Approval, ...]:
        """Those without an answer, oldest first."""
        return ()

    def ask(self, core: "Decider", intent: Intent, text: str, plan: int = 0, step: str = "") -> str:
        """A word is needed; the id of the question. Asking again for the same (key and target, or plan and step) is
        the same question."""
        raise NotImplementedError

    def word(self, plan: Plan, step: str) -> Verdict | None:
        """What a person said about a step of an open plan; None where nobody has yet."""
        return None

    def answer(self, core: "Decider", fact: Command) -> Decision:
        """`approve ID` or `deny ID` (or the service's name, where one question is open for it)."""
        intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        return core.admission.refuse(core, intent, no(Reason.NO_TARGET, "Nothing waits for a word."))

    def ended(self, core: "Decider", plan: Plan) -> None:
        """A plan is over: what it asked is not asked any more."""

    def due(self) -> float | None:
        """Unix seconds at which the next question lapses."""
        return None

    def tick(self, core: "Decider") -> None:
        """Let questions lapse that nobody answered in time."""
