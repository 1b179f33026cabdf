"""Swap: another model takes a slot, proves itself, or the one before comes back.

The order of an exclusive swap: preflight, hold and drain while the old one still serves; then it stops, its memory is
measured free, the new one starts, is ready (identity and one whole answer), warm, measured, asked its canaries. Only
the durable permission for `commit` gives it the slot. beside.py is the order where both fit; back.py the way back.
Every step looks at the world first: a later process walks the same steps again and does what is missing. At any instant
of an exclusive swap at most one of the two runs.
"""

from dataclasses import replace

from supervisor.actions import proof
from supervisor.actions.common import sentence
from supervisor.actions.hand import Cannot, Denied, Ending, Hand
from supervisor.actions.probation import Baseline
from supervisor.actions.swap import back, before, beside, report, trial
from supervisor.actions.swap.freed import freed
from supervisor.actions.swap.serve import begin, bring, put_away, rename
from supervisor.actions.swap.sides import STOPS, Sides, address, box_of, sides, where
from supervisor.actions.swap.watching import Trouble
from supervisor.errors import EngineError, ServerError
from supervisor.facts.slots import BESIDE
from supervisor.slots.judge import GO, NO_GO
from supervisor.verdicts import Reason, no, yes


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    ending = await _run(hand)
    return replace(ending, data=proof.steps(hand) | ending.data)


async def _run(hand: Hand) -> Ending:
    both = sides(hand)
    if "commit" in hand.begun:
        return await finish(hand, both)
    if hand.going_back:
        return await back.run(hand, both, "it was given up")
    if hand.resumed and hand.phase == "before":
        text = "Resurgam was restarted before anything was touched."
        return await before.undone(hand, both, no(Reason.ENDED_EARLY, text), Reason.ENDED_EARLY)
    try:
        if hand.phase == "before":
            await before.look(hand, both)
            both = await before.proved(hand, sides(hand))
            if both.case.shape != BESIDE:
                cut = both.case.slot.cut or hand.plan.params.get("cut") == "true"
                await before.quiet(hand, both, both.leaving, both.case.slot.drain, cut=cut)
        return await _inside(hand, both)
    except Denied as err:
        if hand.phase == "before":
            failed = isinstance(err, Cannot) and err.verdict.reason is not Reason.IN_USE
            reason = Reason.FAILED if failed else Reason.ENDED_EARLY
            return await before.undone(hand, both, no(reason, err.verdict.text), err.verdict.reason)
        return await back.run(hand, sides(hand), err.verdict.text)
    except Trouble as err:
        return await back.run(hand, sides(hand), str(err), its_fault=err.its_fault, only_stop=_stops(both, err))
    except (EngineError, ServerError) as err:
        if hand.phase == "before":
            why = no(Reason.FAILED, sentence(f"{hand.plan.service} was left as it is: {err}"))
            return await before.undone(hand, both, why, Reason.FAILED)
        return await back.run(hand, sides(hand), str(err))


def _stops(both: Sides, err: Trouble) -> bool:
    return both.case.slot.on_fail == "stop" and err.its_fault and both.case.shape != BESIDE  # there nobody has left


async def _inside(hand: Hand, both: Sides) -> Ending:
    """To the commit. Trouble where it goes back."""
    if both.case.shape == BESIDE:
        verdict = await beside.run(hand, both)
    else:
        base = await _exchange(hand, both)
        verdict = await trial.run(hand, both, base, rival=both.rival)
    if verdict == NO_GO and both.case.slot.on_fail != "keep":
        raise Trouble(str(hand.data.get("headline") or "it did not do"), its_fault=True)
    if both.case.shape == BESIDE:
        await beside.move(hand, both)
    await hand.step("commit", *[await box_of(hand, part) for part in (both.leaving, both.coming)])
    hand.mark("commit")
    return await finish(hand, both)


async def _exchange(hand: Hand, both: Sides) -> Baseline | None:
    """The old one goes, its memory comes back, the new one comes."""
    coming, leaving = both.coming, both.leaving
    old, new = await box_of(hand, leaving), await box_of(hand, coming)
    await hand.step("stop", old, new)
    hand.mark("stop", ok=False, stopped_at=hand.data.get("stopped_at") or hand.clock.wall())
    hand.tell()
    said = [await put_away(hand, both, part, "stop") for part in both.case.evict]
    if leaving is not None:
        said.append(await put_away(hand, both, leaving, "stop"))
    hand.mark("stop", " ".join(said) or "Nobody had to leave.")
    await hand.step("freed")
    if not hand.data.get("launched_start"):
        held = await freed(hand, both, coming, leaving, "freed")
        if held:
            raise Trouble(f"there is no room for {coming.model.name}: {held}")
        free = await hand.room.free()
        hand.mark("freed", free_memory=free.memory, free_vram=dict(free.vram))
    before_it = await begin(hand, both, await box_of(hand, leaving))
    await rename(hand, both, coming, leaving)
    return await bring(hand, both, coming, "start", before_it)


async def finish(hand: Hand, both: Sides) -> Ending:
    """The commit is durable: let the callers in, and tidy up."""
    coming, leaving = both.coming, both.leaving
    if both.case.shape == BESIDE:
        await beside.stop_old(hand, both)
    trouble = ""
    try:
        await hand.step("open")
        hand.models.gate.open(both.slot, address(await where(hand, coming)))
        hand.mark("open", opened_at=hand.data.get("opened_at") or hand.clock.wall())
        await hand.step("tidy")
        if leaving is not None and both.rival:
            seen = await box_of(hand, leaving)
            if seen is not None and seen.running:
                trouble = f"; somebody started {seen.name} again: two models run now, stop one"
        hand.mark("tidy")
    except Denied as err:
        hand.mark("tidy", f"Not all was tidied up: {err}.", ok=False)
    down = tuple(
        part.service
        for part in (leaving, *both.case.evict)
        if part is not None and part.service and both.leaves(part) == STOPS and part.service != coming.service
    )
    up = (coming.service,) if coming.service else ()
    if hand.data.get("judged_verdict") == NO_GO:
        why = str(hand.data.get("headline") or hand.data.get("judged_why") or "it did not do")
        rest = f"It holds {both.slot} all the same, as its on-fail wants it, {report.after(hand, both)}{trouble}"
        text = report.no_go(both, why, True, rest)
        data = report.told(
            hand, both, holder=coming.model.name, verdict=NO_GO, text=text, no_go=why, stopped=down, started=up
        )
        return Ending(no(Reason.FAILED, text), (), data)
    text = report.go(hand, both, str(hand.data.get("headline") or "")) + (sentence(trouble[2:]) if trouble else "")
    data = report.told(hand, both, holder=coming.model.name, verdict=GO, text=text, stopped=down, started=up)
    return Ending(yes(text, Reason.VERIFIED), (), data)
