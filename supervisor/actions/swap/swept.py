"""What a swap made and does not need, taken away where it ends before anything was touched.

From: before.py (`undone`), also in a later process: one that was killed in the steps `dry_run` and `create` may have
left their containers. To: the engine. Known by the label with the plan's own word; what somebody has started since,
under a name that is no temporary one, is theirs.
"""

from supervisor.actions.hand import Hand
from supervisor.errors import EngineError
from supervisor.services import OP_LABEL, is_temp

_MAKE = ("dry_run", "create")


async def swept(hand: Hand) -> None:
    """See to it that they are gone. What cannot be removed is said."""
    if not any(step in hand.begun for step in _MAKE):
        return
    try:
        for name, seen in (await hand.others()).items():
            if seen.labels.get(OP_LABEL) != hand.plan.op or not (is_temp(name) or seen.status == "created"):
                continue
            await hand.stop(seen.id, seen=seen)
            await hand.remove(seen.id)
    except EngineError as err:
        hand.mark(hand.begun[-1], f"A container of this plan could not be removed: {err}.", ok=False)
