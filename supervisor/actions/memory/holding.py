"""freeze and fuse, which end by themselves, and thaw and unfuse, which end them.

Until when it lasts is in the journal before it begins, and a plan that ends leaves a `hold` behind (core/holds.py), in
the same transaction: there is no moment in which something stands frozen and nobody knows. Where it went wrong half-way
the hold is over at once, so that it is let go.

What ends a hold by itself (`by` resurgam) asks no engine and waits for nothing: the kernel knows the container by its
id.
"""

from supervisor import units
from supervisor.actions.hand import Ending, Hand
from supervisor.actions.memory.looking import (
    CLOSE,
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
from supervisor.errors import GroupError, NotFound
from supervisor.facts import Container, GroupMemory, Json
from supervisor.verdicts import Reason, no, yes

BY = "resurgam"
"""who ends what is over"""


async def freeze(hand: Hand) -> Ending:
    """Let it stand still for a while."""
    return await guarded(hand, _freeze, _let_go)


async def fuse(hand: Hand) -> Ending:
    """Slow it down from here on, for a while."""
    return await guarded(hand, _fuse, _let_go)


async def thaw(hand: Hand) -> Ending:
    """Let it go on."""
    return await guarded(hand, _thaw)


async def unfuse(hand: Hand) -> Ending:
    """Take the fuse away, or give back what stood there before ours."""
    return await guarded(hand, _unfuse)


# ------------------------------------------------------------ holding


async def _freeze(hand: Hand) -> Ending:
    if hand.phase == "before":
        box, memory = await look(hand)
        hand.mark("look", f"It uses {shown(hand, memory.used)}.", **_until(hand, box), **before(memory))
    box = await _begin(hand)
    if _late(hand):
        return _over(hand)
    await hand.groups.freeze(box, True)
    after = await hand.groups.read(box)
    if not after.frozen:
        raise GroupError("the kernel agreed, but it does not stand still")
    hand.mark("freeze", "It stands still.")
    text = f"{hand.plan.service} stands still with {shown(hand, after.used)}, for {_for(hand)} at most; to end it: "
    done = yes(f"{text}resurgam thaw {hand.plan.service}.", Reason.VERIFIED)
    return Ending(done, (), told(hand, after) | {"hold": _hold(hand)})


async def _fuse(hand: Hand) -> Ending:
    if hand.phase == "before":
        box, memory = await look(hand)
        at = _at(hand, memory)
        was = "max" if not memory.high else str(int(memory.high))
        hand.mark(
            "look", f"It uses {shown(hand, memory.used)}.", at=at, before=was, **_until(hand, box), **before(memory)
        )
    box = await _begin(hand)
    if _late(hand):
        return _over(hand)
    at = float(hand.data["at"])
    await hand.groups.fuse(box, at)
    after = await hand.groups.read(box)
    if not after.high or abs(after.high - at) > CLOSE:
        raise GroupError(
            f"the kernel agreed, but its fuse stands at {shown(hand, after.high) if after.high else 'none'}"
        )
    hand.mark("fuse", f"Its fuse stands at {shown(hand, at)}.")
    text = f"{hand.plan.service} is slowed down above {shown(hand, at)}, for {_for(hand)} at most; to end it: "
    done = yes(f"{text}resurgam unfuse {hand.plan.service}.", Reason.VERIFIED)
    return Ending(done, (), told(hand, after, expected=at, got=after.high) | {"hold": _hold(hand)})


def _at(hand: Hand, memory: GroupMemory) -> float:
    """From how much on: what was asked for or its plan, never below what it uses now, and below its own limit, or the
    fuse would never blow."""
    at = max(size(hand, "at") or planned(hand), memory.used, memory.usage)
    if memory.limit and at >= memory.limit - CLOSE:
        raise refused(
            hand, f"its limit of {shown(hand, memory.limit)} is met before a fuse at {shown(hand, at)} would act"
        )
    return at


def _until(hand: Hand, box: Container) -> Json:
    """What must be known, also by a later process, before it is held."""
    now = hand.clock.wall()
    return {"since": now, "until": now + seconds(hand, "for"), "pid": box.pid, "started_at": box.started_at}


async def _begin(hand: Hand) -> Container:
    """The step that holds it. A later run of it than was looked at is not held: the hold, which is in the journal by
    now, would be of a run that is over, and nobody would let this one go."""
    box = await begin(hand)
    if box.started_at != float(hand.data["started_at"]):
        raise refused(hand, f"{box.name} was started anew meanwhile")
    return box


def _late(hand: Hand) -> bool:
    """Whether a later process took it up when its time was over."""
    return hand.resumed and hand.clock.wall() >= float(hand.data["until"])


def _over(hand: Hand) -> Ending:
    text = f"{hand.plan.verb} {hand.plan.service}: its time was over before it was known to be done; it is let go."
    return Ending(no(Reason.FAILED, text), (), {"hold": _hold(hand, over=True)})


def _let_go(hand: Hand, trouble: str) -> Ending:
    """Nobody knows whether it is held: the hold is over at once."""
    return Ending(failure(hand, trouble).outcome, (), {"hold": _hold(hand, over=True)})


def _hold(hand: Hand, *, over: bool = False) -> Json:
    """What core/holds.py makes a facts.Hold of."""
    data = hand.data
    found: Json = {name: data[name] for name in ("since", "pid", "started_at")}
    until = min(hand.clock.wall(), float(data["until"])) if over else float(data["until"])
    return found | {"until": until, "before": str(data.get("before") or "")}


def _for(hand: Hand) -> str:
    return units.show_duration(seconds(hand, "for"))


# ------------------------------------------------------------ letting go


async def _thaw(hand: Hand) -> Ending:
    box = await _held(hand)
    if box is None:
        return _gone(hand)
    try:
        await hand.groups.freeze(box, False)
        after = await hand.groups.read(box)
    except NotFound:
        return _gone(hand)
    if after.frozen:
        raise GroupError("the kernel agreed, but it still stands still")
    hand.mark("thaw", "It goes on.")
    text = f"{hand.plan.service} goes on; it uses {shown(hand, after.used)}."
    return Ending(yes(text, Reason.VERIFIED), (), told(hand, after))


async def _unfuse(hand: Hand) -> Ending:
    box = await _held(hand)
    if box is None:
        return _gone(hand)
    known = str(hand.data.get("before") or "")
    high = 0.0 if known in ("", "max") else float(known)
    try:
        was = (await hand.groups.read(box)).high
        if not known and was:
            return Ending(
                no(Reason.FAILED, f"The fuse of {hand.plan.service} at {shown(hand, was)} is not ours; it stays.")
            )
        await hand.groups.fuse(box, high)
        after = await hand.groups.read(box)
    except NotFound:
        return _gone(hand)
    if abs(after.high - high) > CLOSE:
        raise GroupError(f"the kernel agreed, but its fuse stands at {shown(hand, after.high)}")
    hand.mark("unfuse", "Its fuse is gone." if not high else f"Its fuse stands at {shown(hand, high)} as before.")
    text = f"{hand.plan.service} is not slowed down any more; it uses {shown(hand, after.used)}."
    return Ending(yes(text, Reason.VERIFIED), (), told(hand, after))


async def _held(hand: Hand) -> Container | None:
    """The container that is to be let go; None where it does not run any more."""
    plan = hand.plan
    if plan.by == BY:
        await hand.step(plan.verb)
        run = {"pid": int(hand.data.get("pid") or 0), "started_at": float(hand.data.get("started_at") or 0.0)}
        return Container(plan.container_id, plan.name, "", "", status="running", **run)  # type: ignore[arg-type]
    seen = await see(hand)
    await hand.step(plan.verb, seen)
    return seen if seen is not None and seen.running else None


def _gone(hand: Hand) -> Ending:
    return Ending(yes(f"{hand.plan.service} does not run any more, so nothing holds it.", Reason.VERIFIED))
