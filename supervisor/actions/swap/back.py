"""The way back: the model that came is put away, its memory is waited for, the one before comes back and is verified.

From: swap.py and beside.py, when the trial came to nothing, or a later process that finds the way back begun. To: the
Ending. The same care as on the way there: what is free is measured, readiness is one whole answer of the right model.
If even that fails nothing is deleted, and a person is told.
"""

from supervisor import units
from supervisor.actions import forensics
from supervisor.actions.hand import ACTIVE, KILLED, LOST, Denied, Ending, Hand
from supervisor.actions.probation import Baseline
from supervisor.actions.swap import ready, report, watching
from supervisor.actions.swap.checks.case import Part
from supervisor.actions.swap.drain import drain
from supervisor.actions.swap.freed import freed
from supervisor.actions.swap.serve import bring, out_of_the_way, put_away, rename
from supervisor.actions.swap.sides import STOPS, Sides, address, box_of, where
from supervisor.actions.swap.telling import telling
from supervisor.actions.swap.watching import Trouble
from supervisor.errors import EngineError, ServerError
from supervisor.facts import Container, Json
from supervisor.facts.slots import BESIDE
from supervisor.slots.judge import NO_GO
from supervisor.verdicts import Reason, no

_SHOWN = 160
"""characters of a line of its log that people read first"""
PATIENCE = 2.0
"""times the usual limit: one that comes back may have to be read from disk again"""
AFTER = 60.0
"""seconds after which callers are told to try again where nobody holds the slot"""


async def run(hand: Hand, both: Sides, trouble: str, *, its_fault: bool = False, only_stop: bool = False) -> Ending:
    """Go back, or go on with going back. `its_fault`: the model that came is to blame. `only_stop`: the slot's
    `on-fail` is stop, so nothing comes back."""
    trouble = units.plain(trouble, 500).strip().rstrip(".")
    if not hand.data.get("trouble"):
        said = await _evidence(hand, both)
        trouble += f'; its log: "{said}"' if said and its_fault else ""
        kept: Json = {"trouble": trouble, "blamed": its_fault, "only_stop": only_stop}
        hand.mark(_last(hand), f"Going back: {trouble}.", ok=False, **kept)
    trouble = str(hand.data.get("trouble") or trouble)
    hand.deaf = True
    try:
        return await _back(hand, both, trouble)
    except Trouble as err:
        return await _degraded(hand, both, trouble, str(err))
    except Denied as err:
        return await _degraded(hand, both, trouble, err.verdict.text)
    except (EngineError, ServerError) as err:
        return await _degraded(hand, both, trouble, str(err))


async def _back(hand: Hand, both: Sides, trouble: str) -> Ending:
    stranger = await _stranger(hand, both)
    if stranger is not None:
        return await _theirs(hand, both, stranger, trouble)
    old, new = await box_of(hand, both.leaving), await box_of(hand, both.coming)
    if both.leaving is not None and both.leaving.container_id and old is None:
        return await _no_way(hand, both, new, trouble)
    await hand.step("back_stop", new, old)
    await _callers(hand, both)
    said = await out_of_the_way(hand, both, both.coming, "back_stop")
    hand.mark("back_stop", said)
    leaving = both.leaving
    if leaving is None or hand.data.get("only_stop") or not both.left_running:
        return await _empty(hand, both, trouble)
    await hand.step("back_freed")
    held = await freed(hand, both, leaving, both.coming, "back_freed")
    hand.mark("back_freed", f"It comes back although {held}." if held else "")
    old = await box_of(hand, leaving)
    before = float(hand.data.get("back_before") or (old.started_at if old is not None else 0.0))
    hand.mark("back_freed", ok=False, back_before=before)
    await hand.step("back_start", old, new)
    await rename(hand, both, leaving, both.coming)
    base = await bring(hand, both, leaving, "back_start", before)
    await hand.step("back_ready")
    return await _verified(hand, both, leaving, base, trouble)


async def _verified(hand: Hand, both: Sides, leaving: Part, base: Baseline | None, trouble: str) -> Ending:
    """It answers again: open the gate."""
    rival = both.coming.container_id if both.leaves(both.coming) == STOPS else ""
    vigil = await watching.begin(hand, leaving, base, "" if both.same_box else rival)
    found = await ready.ready(hand, both, vigil, "back_start", "back_ready", PATIENCE)
    text = f"{leaving.model.name} is loaded and answers"
    hand.mark("back_ready", f"{text}.", back_seconds=found.seconds, proof=text)
    await hand.step("back_open")
    hand.models.gate.open(both.slot, address(await where(hand, leaving)))
    hand.mark("back_open", opened_at=hand.clock.wall())
    rest = f"{leaving.model.name} holds {both.slot} again, verified, {report.after(hand, both)}"
    return _ending(hand, both, trouble, rest, Reason.ROLLED_BACK, leaving.model.name)


# ------------------------------------------------------------ where there is nothing to go back to


async def _empty(hand: Hand, both: Sides, trouble: str) -> Ending:
    """Nobody holds the slot: as it was found, or as its `on-fail` wants it."""
    why = f"nobody holds {both.slot}: {both.coming.model.name} did not do"
    await hand.step("back_open")
    hand.models.gate.refuse(both.slot, why, AFTER)
    hand.mark("back_open", "Callers are told that nobody holds the slot.")
    name = both.left or both.coming.model.name
    wanted = ", as its on-fail wants it" if hand.data.get("only_stop") else ", as it was found"
    rest = f"Nobody holds {both.slot} now{wanted}; put a model in: resurgam swap {both.slot} --to {name}"
    return _ending(hand, both, trouble, rest, Reason.FAILED, "")


async def _no_way(hand: Hand, both: Sides, new: Container | None, trouble: str) -> Ending:
    """The container of the one before was removed. What answers is better than nothing: it stays, unless its owner
    wants it otherwise."""
    gone = f"the container of {both.left} was removed by somebody, so there is nothing to go back to"
    answers = bool(hand.data.get("ready_at")) and new is not None and new.running and not hand.data.get("only_stop")
    if not answers:
        await hand.step("back_stop", new)
        hand.mark("back_stop", await out_of_the_way(hand, both, both.coming, "back_stop"))
        hand.models.gate.refuse(both.slot, f"nobody holds {both.slot}", AFTER)
        rest = f"{gone[:1].upper()}{gone[1:]}; nobody holds {both.slot} now"
        return _ending(hand, both, trouble, rest, Reason.DEGRADED, "")
    await hand.step("back_open")
    hand.models.gate.open(both.slot, address(await where(hand, both.coming)))
    hand.mark("back_open", opened_at=hand.clock.wall())
    rest = f"{gone[:1].upper()}{gone[1:]}; {both.coming.model.name} was left where it is"
    return _ending(hand, both, trouble, rest, Reason.DEGRADED, both.coming.model.name)


async def _stranger(hand: Hand, both: Sides) -> Container | None:
    """A container that somebody made in place of one of ours and that runs now (`compose up` in the midst of it)."""
    for part in (both.coming, both.leaving):
        if part is None or not part.container_id or not part.name or await box_of(hand, part) is not None:
            continue
        found = await hand.inspect(part.name)
        if found is not None and found.running:
            return found
    return None


async def _theirs(hand: Hand, both: Sides, stranger: Container, trouble: str) -> Ending:
    """Somebody took matters into their own hands: theirs is left alone, and ours is kept from running beside it."""
    await hand.step("back_stop", stranger)
    for part in (both.coming, both.leaving):
        seen = await box_of(hand, part)
        if part is not None and seen is not None and seen.status in ACTIVE and both.exclusive:
            await put_away(hand, both, part, "back_stop")
    hand.mark("back_stop", f"{stranger.name} was made by somebody else; it is left alone.")
    text = (
        f"{stranger.name} ({stranger.id[:12]}) was made by somebody else meanwhile; it is left alone, and nothing was "
        f"started beside it. Once it serves: resurgam status {both.slot}"
    )
    return _ending(hand, both, trouble, text, Reason.DEGRADED, "", why=Reason.INTERFERED)


# ------------------------------------------------------------ small things


async def _callers(hand: Hand, both: Sides) -> None:
    """Beside each other: callers go to the one before again, and what the other one answers comes to its end."""
    if both.case.shape != BESIDE or both.leaving is None:
        return
    await rename(hand, both, both.leaving, both.coming)
    hand.models.gate.open(both.slot, address(await where(hand, both.leaving)))
    if "move" in hand.begun:
        await drain(hand, both, both.coming, "back_stop", both.case.slot.drain, gate=False)


async def _evidence(hand: Hand, both: Sides) -> str:
    """Keep what its container said last, before it is stopped. The line that tells most, of one that died by itself; ''
    for any other."""
    seen = await box_of(hand, both.coming)
    if seen is None or both.coming.model.inside:
        return ""
    found = await forensics.evidence(hand, seen)
    hand.mark(_last(hand), ok=False, failed=found)
    if seen.running and not seen.restart_count:
        return ""
    killed = seen.oom_killed or seen.exit_code == KILLED or hand.deaths.get(seen.id, (0.0, ""))[1] == LOST
    return telling([str(line) for line in found.get("log") or ()], killed=killed)[:_SHOWN]


def _last(hand: Hand) -> str:
    return hand.begun[-1] if hand.begun else "preflight"


def _touched(hand: Hand, both: Sides, holder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(services that stand still by our hand, services that we started and that serve)."""
    down = [part.service for part in (both.coming, both.leaving) if part is not None and part.model.name != holder]
    up = [part.service for part in (both.coming, both.leaving) if part is not None and part.model.name == holder]
    shared = [one for one in up if one]
    return tuple(one for one in down if one and one not in shared), tuple(shared)


def _ending(
    hand: Hand,
    both: Sides,
    trouble: str,
    rest: str,
    reason: Reason,
    holder: str,
    why: Reason | None = None,
) -> Ending:
    blamed = bool(hand.data.get("blamed"))
    text = report.no_go(both, trouble, blamed, rest)
    stopped, started = _touched(hand, both, holder)
    data = report.told(
        hand,
        both,
        holder=holder,
        verdict=NO_GO if blamed else "",
        text=text,
        no_go=trouble if blamed else "",
        stopped=stopped,
        started=started,
    )
    return Ending(no(reason, text), (), data | ({"why": why.value} if why is not None else {}))


async def _degraded(hand: Hand, both: Sides, trouble: str, more: str) -> Ending:
    """The way back failed too. Whatever runs is left running: it may still come."""
    leaving = both.leaving
    try:
        at = await where(hand, leaving) if leaving is not None else None
        new = await box_of(hand, both.coming)
    except EngineError:
        at, new = None, None
    runs = leaving is not None and at is not None and at.container is not None and at.container.running
    if runs and at is not None:
        hand.models.gate.open(both.slot, address(at))  # its own errors say more to callers than a door that is shut
    else:
        hand.models.gate.refuse(both.slot, f"nobody holds {both.slot}", AFTER)
    names = ", ".join(f"{box.name} ({box.status})" for box in (at.container if at else None, new) if box is not None)
    rest = (
        f"Going back failed too: {more}. Nothing was deleted; look at `docker ps -a`"
        + (f" ({names})" if names else "")
        + f", then: resurgam swap {both.slot} --to {both.left or both.coming.model.name}"
    )
    return _ending(hand, both, trouble, rest, Reason.DEGRADED, leaving.model.name if runs and leaving else "")
