"""Memory is given back: unload (the model server itself), drop-cache (dead files), reclaim (the kernel takes it).

All may be done twice: what was given back already is seen in the figures of the first look, which are in the journal
before anything is done.
"""

from supervisor.actions.common import must_be
from supervisor.actions.hand import Cannot, Ending, Hand
from supervisor.actions.memory.looking import (
    before,
    begin,
    failure,
    guarded,
    look,
    planned,
    refused,
    seconds,
    see,
    shown,
    size,
    told,
)
from supervisor.errors import ResurgamError
from supervisor.facts import Container, GroupMemory, SlotModel
from supervisor.journal.codec import load
from supervisor.ports import ModelAt
from supervisor.verdicts import Reason, no, yes

ENOUGH = 0.9
"""of what was wanted: so much counts as done"""
_SETTLES, _AGAIN = 10.0, 0.5
"""seconds in which a model server's memory is to go down, and between two looks at it"""
_A_LOT = 64 * 2.0**20
"""bytes that a model which was put away frees at least"""


async def reclaim(hand: Hand) -> Ending:
    """Let the kernel take memory back; what a process uses at this moment it gets again at once."""
    return await guarded(hand, _reclaim)


async def _reclaim(hand: Hand) -> Ending:
    service = hand.plan.service
    if hand.phase == "before":
        _box, memory = await look(hand)
        wanted = size(hand, "size") or _over(hand, memory)
        hand.mark("look", f"It uses {shown(hand, memory.used)}.", wanted=wanted, **before(memory))
    box = await begin(hand)
    wanted, was = float(hand.data["wanted"]), float(hand.data["usage_before"])
    got = max(0.0, was - (await hand.groups.read(box)).usage) if hand.resumed else 0.0
    if got < wanted * ENOUGH:
        got += await hand.groups.reclaim(box, wanted - got, seconds(hand, "within"))
    after = await hand.groups.read(box)
    text = f"the kernel took {shown(hand, got)} of {shown(hand, wanted)} back; it uses {shown(hand, after.used)} now"
    hand.mark("reclaim", f"{text[:1].upper()}{text[1:]}.")
    data = told(hand, after, expected=wanted, got=got)
    if got < wanted * ENOUGH:
        return Ending(
            no(Reason.FAILED, f"reclaim {service}: {text}. It needs the rest, or there is no swap."), (), data
        )
    return Ending(yes(f"{service}: {text}.", Reason.VERIFIED), (), data)


def _over(hand: Hand, memory: GroupMemory) -> float:
    """What it uses over its plan; Cannot where that is nothing."""
    plan = planned(hand)
    if not plan:
        raise refused(hand, "nobody knows its plan, so say how much: size=1GiB, or declare `memory`")
    if memory.used <= plan:
        figures = f"{shown(hand, memory.used)} of {shown(hand, plan)}"
        text = f"{hand.plan.service} keeps to its plan ({figures}), so nothing was taken."
        raise Cannot(no(Reason.WITHIN_PLAN, text))
    return memory.used - plan


async def drop_cache(hand: Hand) -> Ending:
    """Let the kernel forget the page cache of the files of a model that is not loaded."""
    return await guarded(hand, _drop)


async def _drop(hand: Hand) -> Ending:
    plan = hand.plan
    if hand.phase == "before":
        seen = await see(hand)
        await hand.step("look", seen)
        box = must_be(hand, seen)
        if box.running and not hand.data.get("unloaded"):
            raise refused(hand, f"{box.name} runs and was not unloaded, so its pages are in use")
        hand.mark("look", f"It is {box.status}.")
    await hand.step("drop-cache", await see(hand))
    looked = await hand.groups.drop_cache(plan.needs.weights, seconds(hand, "within"))
    text = f"the page cache of {shown(hand, looked)} in {', '.join(plan.needs.weights[:3])} was given up"
    hand.mark("drop-cache", f"{text[:1].upper()}{text[1:]}.")
    return Ending(yes(f"{plan.service}: {text}.", Reason.VERIFIED), (), told(hand, None, expected=looked, got=looked))


async def unload(hand: Hand) -> Ending:
    """Let a model server put its model away; one that can only sleep sleeps."""
    return await guarded(hand, _unload)


async def _unload(hand: Hand) -> Ending:
    kept = hand.data.get("model")
    if not kept:
        raise refused(hand, "no slot declares its model, so nobody knows how to ask its server to unload it")
    model, server = load(SlotModel, kept), hand.models.server
    verb = "sleep" if model.sleep and not model.inside else "unload"
    why = server.cannot(verb, model)
    if why:
        raise refused(hand, why)
    if hand.phase == "before":
        seen = await see(hand)
        await hand.step("look", seen)
        box = must_be(hand, seen)
        if not box.running:
            raise refused(hand, f"{box.name} does not run")
        memory = await _read(hand, box)
        hand.mark("look", f"It uses {shown(hand, memory.used)}.", **before(memory))
    box = await begin(hand)
    act = server.sleep if verb == "sleep" else server.unload
    said = await act(ModelAt(model, hand.plan.needs, box), seconds(hand, "within"))
    after = await _settled(hand, box)
    got = max(0.0, float(hand.data["used_before"]) - after.used)
    hand.mark("unload", f"It says: {said}. {shown(hand, got)} came back.")
    data = told(hand, after, expected=_A_LOT, got=got)
    if got < _A_LOT and after.used:
        return Ending(failure(hand, f"it says: {said}; but only {shown(hand, got)} came back").outcome, (), data)
    text = f"{hand.plan.service} put its model away: {shown(hand, got)} came back. It says: {said}"
    return Ending(yes(text.rstrip(".") + ".", Reason.VERIFIED), (), data)


async def _read(hand: Hand, box: Container) -> GroupMemory:
    """Its memory; nothing where the kernel does not tell: the server is asked all the same."""
    try:
        return await hand.groups.read(box)
    except ResurgamError:
        return GroupMemory()


async def _settled(hand: Hand, box: Container) -> GroupMemory:
    """Its memory once it went down, or after a while: freeing takes its time."""
    end = hand.clock.mono() + _SETTLES
    while True:
        memory = await _read(hand, box)
        if float(hand.data["used_before"]) - memory.used >= _A_LOT or hand.clock.mono() >= end:
            return memory
        await hand.nap(_AGAIN)
