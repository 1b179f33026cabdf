"""A command over the bus that disturbs, and that nobody signed, needs a second word: who may give it, and for how long.

From: commands.py and rollouts.py, once everything else lets a command pass, so that nobody is asked about what would be
refused all the same. To: approvals.py. The topic alone says who speaks, so one stolen password must not be enough.
"""

from supervisor.facts import Approval, Command, Intent
from supervisor.verbs import VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no

LASTS = 120.0
"""seconds such a question stays open: whoever asked waits for it"""
MOST = 5
"""questions of one principal in that time: there must be room for others, and peace for those who are asked"""
_PREFIX = "bus:"


def over_bus(by: str) -> bool:
    """Whether somebody said it over the bus."""
    return by.startswith(_PREFIX)


def needed(fact: Command, intent: Intent) -> Verdict | None:
    """The refusal of a command that needs a second word; None where it does not, or has it."""
    if fact.door != "bus" or fact.signed or fact.approved or not _disturbs(intent):
        return None
    text = (
        "It came over the bus without a signature, so another principal or the command line must say yes within two "
        "minutes."
    )
    return no(Reason.NEEDS_APPROVAL, text)


def _disturbs(intent: Intent) -> bool:
    """Whether it does more than tell or hold back. `resume` lets everything go on that was held back."""
    if intent.verb not in VERBS:
        return intent.verb == "resume"
    return disturbance(intent.verb, dict(intent.params)) is not Disturbance.HARMLESS


def own(fact: Command, asked: Approval) -> bool:
    """Whether somebody on the bus says yes to what they asked for themselves, and has not signed that yes."""
    if fact.verb != "approve" or fact.signed:
        return False
    return over_bus(fact.principal) and asked.intent.by == fact.principal


def refusal(asked: Approval) -> Verdict:
    """What they are told."""
    text = (
        f"{asked.intent.by} asked for it and cannot say yes to it as well: another principal may, or "
        f"`resurgam approve {asked.id}` on this machine. With a signature no second word is needed."
    )
    return no(Reason.NOT_ALLOWED, text)


def as_a_whole(intent: Intent, is_service: bool) -> bool:
    """Whether what was asked about is a command rather than an intent for one service: `resume`, or a project."""
    return over_bus(intent.by) and (intent.verb not in VERBS or not is_service)
