"""raise-limit: a running container may take more, from now until its next start. A limit is never lowered.

The kernel's own file is written: an update through the engine can cost a running container its GPU.
"""

from supervisor.actions.hand import Ending, Hand
from supervisor.actions.memory.looking import CLOSE, before, begin, failure, guarded, look, refused, shown, size, told
from supervisor.verdicts import Reason, yes


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    return await guarded(hand, _raise)


async def _raise(hand: Hand) -> Ending:
    wanted = size(hand, "to")
    if hand.phase == "before":
        _box, memory = await look(hand)
        if not memory.limit:
            raise refused(hand, "it has no limit that could be raised")
        if wanted < memory.limit - CLOSE:
            raise refused(hand, f"its limit is {shown(hand, memory.limit)} already, and a limit is never lowered")
        hand.mark("look", f"Its limit is {shown(hand, memory.limit)}.", limit_before=memory.limit, **before(memory))
    box = await begin(hand)
    if (await hand.groups.read(box)).limit < wanted - CLOSE:
        await hand.groups.raise_limit(box, wanted)
    after = await hand.groups.read(box)
    was = float(hand.data["limit_before"])
    data = told(hand, after, expected=wanted, got=after.limit)
    data["memory"]["limit_before"] = was
    if after.limit and after.limit < wanted - CLOSE:
        return Ending(
            failure(hand, f"the limit is {shown(hand, after.limit)}, not {shown(hand, wanted)}").outcome, (), data
        )
    hand.mark("raise-limit", f"Its limit is {shown(hand, after.limit)}.")
    text = f"{hand.plan.service} may take {shown(hand, wanted)} (it was {shown(hand, was)}) until its next start"
    return Ending(yes(f"{text}; to keep it, change its compose file.", Reason.VERIFIED), (), data)
