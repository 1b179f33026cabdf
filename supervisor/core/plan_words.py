"""What a plan's rows say of it, and what it was made from.

From: admission.py. To: journal rows, questions for a person's word, and the same plan built anew.
"""

from supervisor.facts import Intent, Json, Plan
from supervisor.incidents.slots import looks_on
from supervisor.verbs import VERBS


def about(plan: Plan) -> Json:
    """Which plan a row is about."""
    found: Json = {"plan": plan.id, "verb": plan.verb, "service": plan.service}
    return found | ({"rollout": plan.rollout} if plan.rollout else {})


def intent_of(plan: Plan) -> Intent:
    """What the plan was made from."""
    return Intent(
        verb=plan.verb,
        target=plan.service,
        params=plan.params,
        cause=plan.cause,
        by=plan.by,
        incident=plan.incident,
        key=plan.key,
        override=plan.override,
        rollout=plan.rollout,
        document=plan.document,
    )


def body_of(intent: Intent) -> Json:
    """What was wanted, by whom and why."""
    return {
        "verb": intent.verb,
        "service": intent.target,
        "params": dict(intent.params),
        "by": intent.by,
        "cause": intent.cause,
        "incident": intent.incident,
    } | ({"rollout": intent.rollout} if intent.rollout else {})


def news(plan: Plan) -> bool:
    """Whether people are told of it: not of what we do for ourselves all the time."""
    return not VERBS[plan.verb].internal and not looks_on(plan.by, plan.key)
