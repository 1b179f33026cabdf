"""Phoenix: the container is made anew from an image, proves healthy, and takes the place of the old one, or the old
one is put back. `rollback` is a Phoenix to the image that the service had before.

The order: the new one is created while the old one still serves (prepare.py); then the old one stops, is held down and
parked under another name; the new one takes its name, waits for the room it needs, starts, and is watched. Only the
durable permission for `commit` makes it the service. rollback.py is the way back, tidy.py what comes after the commit.
Every step looks at the world first, so a later process walks the same steps again and does what is missing.

From the stop to the start every turn of the core and every look is time without the service. So the permissions for all
of it are asked for together, before the stop; and no trouble with the journal can come in between.
"""

import asyncio
from dataclasses import replace

from supervisor.actions import prepare, proof, rollback, tidy
from supervisor.actions.common import launch, make_room, must_be, remaining, sentence
from supervisor.actions.hand import ACTIVE, Cannot, Denied, Ending, Hand
from supervisor.actions.plans import limit
from supervisor.actions.probation import Finding, watch
from supervisor.actions.turns import Turn, turn
from supervisor.errors import Conflict, EngineError
from supervisor.facts import Container, Json
from supervisor.services import OP_LABEL, causes, temp_name
from supervisor.verdicts import Reason, Verdict, no

_GONE = no(Reason.INTERFERED, "The new container was removed by somebody.")
_FRESH = 0.5
"""seconds for which a look is as good as a new one"""
_UNHEARD = 3.0
"""seconds to wait for a container whose creation was asked for without an answer"""
_TOGETHER = ("stop", "hold", "park", "adopt", "room", "start")


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    ending = await _run(hand)
    return replace(ending, data=proof.steps(hand) | ending.data)


async def _run(hand: Hand) -> Ending:
    if "commit" in hand.begun:
        return await tidy.run(hand)
    if hand.going_back:
        return await rollback.run(hand, str(hand.data.get("trouble") or "it was given up"))
    if hand.resumed and hand.phase == "before":
        text = "Resurgam was restarted before anything was touched."
        return await _undo(hand, no(Reason.ENDED_EARLY, text), None)
    try:
        if hand.phase == "before":
            await prepare.run(hand)
        finding = await _replace(hand)
    except Denied as err:
        return await _leave(hand, err.verdict, early=not isinstance(err, Cannot))
    except EngineError as err:
        why = no(Reason.ENGINE_REFUSED, sentence(f"The engine says: {err}"))
        return await _leave(hand, why, early=False, its_fault=_cannot_run(err))
    if not finding.ok:
        hand.mark("probation", ok=False, probes=finding.proof())
        trouble = f"the new container {finding.text}"
        return await rollback.run(hand, trouble, its_fault=finding.its_fault, stay_down=finding.stopped)
    return await tidy.run(hand)


# ------------------------------------------------------------ inside: to the commit, or back


async def _replace(hand: Hand) -> Finding:
    """Everything from the stop to the commit. Steps that were done already find nothing to do."""
    plan, old_id, new_id = hand.plan, hand.plan.container_id, str(hand.data.get("new_id") or "")
    old = await hand.inspect(old_id)
    if hand.phase == "before":
        must_be(hand, old)
    if old is not None and _started_by_hand(hand, old):
        raise Cannot(no(Reason.INTERFERED, f"Somebody started {old.name} again."))
    new = await _new_is_there(hand, new_id)
    await hand.steps(_TOGETHER, old)
    new = await _swap(hand, old, new)
    base = await launch(hand, new_id, "start", before=0.0, seen=new)
    await hand.step("probation")
    finding = await watch(hand, new_id, remaining(hand, "start", limit(plan)), base, rival=old_id)
    if finding.ok:
        shown = proof.well(hand, finding, "start")
        hand.mark("probation", finding.text, probes=finding.proof(), **shown)
        await hand.step("commit", await _new_is_there(hand, new_id))
        hand.mark("commit")
    return finding


async def _swap(hand: Hand, old: Container | None, new: Container) -> Container:
    """Stop the old one, hold it down, give its name to the new one, and wait for room; the new one as it stands then.
    The service is away from here on: what need not wait for something else is done beside it, and a look that was taken
    anyway is not taken twice."""
    hand.mark("stop", "It is asked to stop.", stopped_at=hand.data.get("stopped_at") or hand.clock.wall())
    hand.tell()
    needs_room, since, ended = _less(new, old), hand.clock.mono(), hand.data.get("ended_at")
    old = await hand.stop(hand.plan.container_id, quick=True)
    if hand.clock.mono() - since >= _FRESH:  # it took its time, and people may have used it
        old, new = await hand.inspect(hand.plan.container_id), await _new_is_there(hand, new.id)
    hand.mark("stop", ended_at=ended or proof.last_moment(hand, old))
    room = asyncio.get_running_loop().create_task(make_room(hand, needs_room, "room"), name="room")
    try:
        (old, named), since = await _trade_names(hand, old, new), hand.clock.mono()
        hand.mark("hold")
        kept: Json = {} if old is None else {"old_exit": old.exit_code, "back_before": old.started_at}
        hand.mark("park", _how_it_ended(old), ended_at=ended or proof.last_moment(hand, old), **kept)
        hand.mark("adopt")
        held = await room
    finally:
        room.cancel()
    if held:
        raise Cannot(no(Reason.BUSY, sentence(f"There is no room for the new container: {held}")))
    hand.mark("room")
    return named if hand.clock.mono() - since < _FRESH else await _new_is_there(hand, new.id)


def _less(new: Container, old: Container | None) -> Container:
    """The new one without the ports that the old one holds until it is stopped: nobody else has those, and to look
    through the machine's sockets takes its time. Who is quicker than we are is met at the start."""
    held = old.ports if old is not None and old.running else ()
    return replace(new, ports=tuple(port for port in new.ports if port not in held))


async def _trade_names(hand: Hand, old: Container | None, new: Container) -> tuple[Container | None, Container]:
    """Hold the old one down and park it, then give its name to the new one; both as they stand then. Cannot where
    somebody else has the name, or the new one is gone."""
    name = hand.plan.name
    turns = [(new, Turn(new.id, name))]
    if old is not None:
        aside = str(hand.data["parked"]) if old.name == name else old.name
        turns.insert(0, (old, Turn(old.id, aside, "no", stopped=True)))
    try:
        *parked, named = await turn(hand, turns)
    except Conflict:
        holder = await hand.inspect(name)
        if holder is None or holder.id in (new.id, hand.plan.container_id):
            raise
        text = f"Somebody made another container called {name} ({holder.id[:12]})."
        raise Cannot(no(Reason.NAME_TAKEN, text)) from None
    if named is None:
        raise Cannot(_GONE)
    return (parked[0] if parked else None), named


def _how_it_ended(old: Container | None) -> str:
    if old is None:
        return "It is gone."
    killed = "; it had to be killed, so it may need a longer stop-grace" if old.exit_code == 137 else ""
    return f"It stopped with exit code {old.exit_code}{killed}."


def _started_by_hand(hand: Hand, old: Container) -> bool:
    """Whether the old one runs although this plan had stopped it and held it down, before this process took over."""
    held = old.restart_policy == "no" and hand.data.get("old_policy") != "no"
    return hand.phase != "before" and old.status in ACTIVE and (held or old.name == hand.data.get("parked"))


async def _new_is_there(hand: Hand, new_id: str) -> Container:
    seen = await hand.inspect(new_id) if new_id else None
    if seen is None:
        raise Cannot(_GONE)
    return seen


# ------------------------------------------------------------ ways out


def _cannot_run(err: EngineError) -> bool:
    """Whether the engine refused because the image lacks the program, or has one that no CPU of this machine runs: it
    never will start."""
    return causes.of_start(str(err)).word == causes.BAD_COMMAND


async def _leave(hand: Hand, why: Verdict, *, early: bool, its_fault: bool = False) -> Ending:
    """The safest way out from where it stands. `its_fault`: the new image is to blame."""
    if hand.phase != "before":
        return await rollback.run(hand, why.text, its_fault=its_fault)
    asks = why.reason is Reason.NEEDS_APPROVAL
    reason = why.reason if asks else Reason.ENDED_EARLY if early else Reason.FAILED
    return await _undo(hand, no(reason, why.text), why)


async def _undo(hand: Hand, outcome: Verdict, why: Verdict | None) -> Ending:
    """Nothing was touched yet: take away the container that was made for it. The way back needs no permission:
    it was named in the plan, and the container was never started."""
    data = {"why": why.reason.value} if why is not None else {}
    if "create" not in hand.begun:
        return Ending(outcome, (), data)
    plan = hand.plan
    hand.deaf = True
    name = temp_name(plan.name, "new", plan.op)
    try:
        made = await _made(hand, name)
        if made is not None and made.labels.get(OP_LABEL) == plan.op and made.name == name and not made.started_at:
            await hand.remove(made.id, tries=5)
    except EngineError as err:
        text = sentence(f"{outcome.text} {name} could not be removed: {err}")
        return Ending(no(outcome.reason, text), (name,), data)
    return Ending(outcome, (), data)


async def _made(hand: Hand, name: str) -> Container | None:
    """The container made for this plan. A create whose answer was never heard may still be under way: wait a little."""
    unheard = "create" in hand.begun and "new_id" not in hand.data
    end = hand.clock.mono() + (_UNHEARD if unheard else 0.0)
    while True:
        seen = await hand.inspect(str(hand.data.get("new_id") or name))
        if seen is not None or hand.clock.mono() >= end:
            return seen
        await asyncio.sleep(0.5)
