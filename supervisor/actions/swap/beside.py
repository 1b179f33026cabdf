"""Side by side: the new model starts while the old one serves, proves itself, gets the callers; then the old one stops.

From: swap.py. To: the same marks as an exclusive swap. Nobody is held: new requests go to the new one from the move on,
those in flight end where they are. Where they do not end in time and may not be cut, the callers go back.
"""

from supervisor.actions.common import sentence
from supervisor.actions.hand import Denied, Hand
from supervisor.actions.swap import report, trial
from supervisor.actions.swap.drain import drain
from supervisor.actions.swap.freed import freed
from supervisor.actions.swap.serve import begin, bring, put_away, rename
from supervisor.actions.swap.sides import Sides, address, box_of, where
from supervisor.actions.swap.watching import Trouble
from supervisor.errors import EngineError, ServerError


async def run(hand: Hand, both: Sides) -> str:
    """The new one beside the old one, through its trial: GO or NO-GO."""
    coming, leaving = both.coming, both.leaving
    if leaving is not None and "move" not in hand.begun:
        at = await where(hand, leaving)
        if at.container is None or at.container.running:  # a door that came up with this process holds
            hand.models.gate.open(both.slot, address(at))
    for_mark = report.gate_counts(hand.models, both.slot)
    await hand.step("freed", await box_of(hand, both.leaving), await box_of(hand, coming))
    if not hand.data.get("launched_start"):
        for part in both.case.evict:
            hand.mark("freed", await put_away(hand, both, part, "freed"), ok=False)
        held = await freed(hand, both, coming, None, "freed")
        if held:
            raise Trouble(f"there is no room for {coming.model.name}: {held}")
        free = await hand.room.free()
        hand.mark("freed", free_memory=free.memory, free_vram=dict(free.vram), **for_mark)
    before_it = await begin(hand, both, await box_of(hand, leaving))
    base = await bring(hand, both, coming, "start", before_it)
    return await trial.run(hand, both, base)


async def move(hand: Hand, both: Sides) -> None:
    """The callers go to the new one; what the old one works on ends. Trouble where it does not."""
    await hand.step("move", await box_of(hand, both.leaving), await box_of(hand, both.coming))
    await rename(hand, both, both.coming, both.leaving)
    hand.models.gate.open(both.slot, address(await where(hand, both.coming)))
    hand.mark("move", "New requests go to it.")
    await hand.step("drain_old")
    if both.leaving is None:
        hand.mark("drain_old")
        return
    slot = both.case.slot
    # the gate counts those at the new one, too: here only the old one's own word tells
    found = await drain(hand, both, both.leaving, "drain_old", slot.drain, gate=False)
    if not found.idle and not (slot.cut or hand.plan.params.get("cut") == "true"):
        raise Trouble(f"{both.left} still works: {found.text}")
    hand.mark("drain_old", sentence(found.text))


async def stop_old(hand: Hand, both: Sides) -> None:
    """The commit is durable: the old one stops. What cannot be stopped is said, and is no way back."""
    if both.leaving is None:
        return
    try:
        await hand.step("stop_old", await box_of(hand, both.leaving), await box_of(hand, both.coming))
        hand.mark("stop_old", await put_away(hand, both, both.leaving, "stop_old"))
    except (Denied, EngineError, ServerError) as err:
        hand.mark("stop_old", f"{both.left} could not be stopped: {err}.", ok=False)
