"""The plan of a card's reset, or of a restart of the machine: no container carries it, and no engine. Pure.

From: the core, which puts it into the journal before anything is done. To: the runner, in this process or in the one
after the machine has come up again.
"""

from supervisor.facts import Intent, Json, Plan, Step
from supervisor.incidents import machine


def build(intent: Intent, *, plan_id: int, op: str, now: float, found: Json) -> Plan:
    """`found`: `uuid`, `bus_id` and `card` (as people call it) of a card; `fault`, for which it is done."""
    return Plan(
        id=plan_id,
        verb=intent.verb,
        service=intent.target,
        engine="",
        params=dict(intent.params),
        cause=intent.cause,
        by=intent.by,
        created_at=now,
        op=op,
        container_id="",
        name="",
        locks=machine.locks(intent.verb, intent.target),
        steps=steps(intent.verb),
        incident=intent.incident,
        key=intent.key,
        found=found,
        override=intent.override,
        approved=intent.approved,
    )


def steps(verb: str) -> tuple[Step, ...]:
    """What it may do. The verdict on it is found by looking; nothing is ever done a second time."""
    acts = Step("reset", "inside") if verb == machine.RESET else Step("reboot", "inside")
    return (Step("look", "before"), acts, Step("verify", "inside"))
