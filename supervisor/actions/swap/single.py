"""One model of a slot: load, wake, unload, sleep, bench. No other one takes its place.

From: the runner. To: the same steps and marks as a swap, as far as they apply. `load` and `wake` end with a model that
answers, or as they began; `unload` and `sleep` end with its memory free; `bench` changes nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from supervisor import units
from supervisor.actions import proof
from supervisor.actions.common import sentence
from supervisor.actions.hand import Cannot, Denied, Ending, Hand
from supervisor.actions.swap import before, measuring, report, trial, watching
from supervisor.actions.swap.back import AFTER
from supervisor.actions.swap.checks.case import Part
from supervisor.actions.swap.drain import drain
from supervisor.actions.swap.freed import freed
from supervisor.actions.swap.serve import begin, bring, out_of_the_way, put_away
from supervisor.actions.swap.sides import STOPS, Sides, address, box_of, sides, where
from supervisor.actions.swap.watching import Trouble
from supervisor.errors import EngineError, ServerError
from supervisor.facts import Json
from supervisor.slots.judge import GO, NO_GO
from supervisor.verdicts import Reason, no, yes

EVICTED = "evicted"
"""among the data of a plan: the models that were put away to make room"""
Body = Callable[[Hand, Sides], Awaitable[Ending]]


async def load(hand: Hand) -> Ending:
    """A model is loaded beside what is there."""
    return await _guarded(hand, _come)


async def wake(hand: Hand) -> Ending:
    """A model that sleeps wakes, and shows that it is in its senses."""
    return await _guarded(hand, _come)


async def unload(hand: Hand) -> Ending:
    """A model is put away: its container stops, or its server gives its memory back."""
    return await _guarded(hand, _go)


async def sleep(hand: Hand) -> Ending:
    """A model sleeps; its server runs on."""
    return await _guarded(hand, _go)


async def bench(hand: Hand) -> Ending:
    """A model is measured."""
    return await _guarded(hand, _measure)


async def _guarded(hand: Hand, body: Body) -> Ending:
    both = sides(hand)
    if hand.resumed and hand.phase == "before" and hand.plan.verb != "bench":
        text = "Resurgam was restarted before anything was touched."
        ending = await before.undone(hand, both, no(Reason.ENDED_EARLY, text), Reason.ENDED_EARLY)
        return replace(ending, data=proof.steps(hand) | ending.data)
    try:
        ending = await body(hand, both)
    except Denied as err:
        if hand.phase != "before":
            ending = await _failed(hand, both, err.verdict.text)
        else:
            failed = isinstance(err, Cannot) and err.verdict.reason is not Reason.IN_USE
            why = no(Reason.FAILED if failed else Reason.ENDED_EARLY, err.verdict.text)
            ending = await before.undone(hand, both, why, err.verdict.reason)
    except (Trouble, EngineError, ServerError) as err:
        fault = isinstance(err, Trouble) and err.its_fault
        ending = await _failed(hand, both, str(err), fault)
    return replace(ending, data=proof.steps(hand) | ending.data)


# ------------------------------------------------------------ load, wake


async def _come(hand: Hand, both: Sides) -> Ending:
    coming = both.coming
    if "commit" in hand.begun:
        return await _here(hand, both)
    if hand.going_back:
        return await _failed(hand, both, str(hand.data.get("trouble") or "it was given up"))
    if hand.phase == "before":
        await before.look(hand, both)
        both = await before.proved(hand, sides(hand)) if hand.plan.verb == "load" else both
        coming = both.coming
    if hand.has("stop"):
        await _make_room(hand, both)
    await hand.step("freed", await box_of(hand, coming))
    if not hand.data.get("launched_start"):
        held = await freed(hand, both, coming, None, "freed")
        if held:
            raise Trouble(f"there is no room for {coming.model.name}: {held}")
        free = await hand.room.free()
        hand.mark("freed", free_memory=free.memory, free_vram=dict(free.vram))
    base = await bring(hand, both, coming, "start", await begin(hand, both))
    verdict = await trial.run(hand, both, base, reason="asked")
    if verdict == NO_GO:
        raise Trouble(str(hand.data.get("judged_why") or "it did not do"), its_fault=True)
    await hand.step("commit", await box_of(hand, coming))
    hand.mark("commit")
    return await _here(hand, both)


async def _make_room(hand: Hand, both: Sides) -> None:
    """Those go that have to. Callers wait where the one that holds the slot is among them."""
    await hand.step("stop")
    slot, said, gone = both.case.slot, [], list(hand.data.get(EVICTED) or ())
    for part in both.case.evict:
        if part.model.name == _holder(hand, both) and part.model.name not in gone:
            hand.models.gate.hold(slot.name, f"{hand.plan.verb} {slot.name}: plan {hand.plan.id}")
            found = await drain(hand, both, part, "stop", slot.drain)
            if not (found.idle or slot.cut or hand.plan.params.get("cut") == "true"):
                raise Trouble(f"{part.model.name} would have to go, and works: {found.text}")
        said.append(await put_away(hand, both, part, "stop"))
        gone = list(dict.fromkeys((*gone, part.model.name)))
        hand.mark("stop", " ".join(said), ok=True, **{EVICTED: gone})


async def _here(hand: Hand, both: Sides) -> Ending:
    """It answers. Callers go to it where nobody else holds the slot (any more)."""
    coming = both.coming
    holder = _stayed(hand, both) or coming.model.name
    await hand.step("open")
    if holder == coming.model.name:
        hand.models.gate.open(both.slot, address(await where(hand, coming)))
    hand.mark("open", opened_at=hand.data.get("opened_at") or hand.clock.wall())
    await hand.step("tidy")
    hand.mark("tidy")
    did = "is awake" if hand.plan.verb == "wake" else "is loaded"
    text = sentence(f"{coming.model.name} {did} and answers, {report.after(hand, both)}")
    up = (coming.service,) if coming.service else ()
    data = report.told(hand, both, holder=holder, verdict=GO, text=text, stopped=_down(hand, both), started=up)
    return Ending(yes(text, Reason.VERIFIED), (), data)


async def _failed(hand: Hand, both: Sides, trouble: str, fault: bool = False) -> Ending:
    """What was begun is undone, as far as it was: one that came is put away again."""
    trouble = units.plain(str(hand.data.get("trouble") or trouble), 500).strip().rstrip(".")
    verb, name = hand.plan.verb, _subject(both).model.name
    if not hand.has("back_stop"):
        text = sentence(f"{verb} {both.slot}: {name}: {trouble}")
        return Ending(no(Reason.FAILED, text), (), {"holder": _holder(hand, both)})
    fault = bool(hand.data.get("blamed", fault))
    if "trouble" not in hand.data:
        hand.mark(hand.begun[-1] if hand.begun else "start", f"{trouble}.", ok=False, trouble=trouble, blamed=fault)
    hand.deaf = True
    try:
        await hand.step("back_stop", await box_of(hand, both.coming))
        hand.mark("back_stop", await out_of_the_way(hand, both, both.coming, "back_stop"))
    except (Denied, EngineError, ServerError) as err:
        text = sentence(f"{name} did not come ({trouble}), and could not be put away again: {err}. Look at it by hand")
        data = report.told(hand, both, holder=_stayed(hand, both), verdict=NO_GO if fault else "", text=text)
        return Ending(no(Reason.DEGRADED, text), (), data)
    text = sentence(f"{name} did not come: {trouble}. It was put away again")
    data = report.told(
        hand,
        both,
        holder=_stayed(hand, both) if _stayed(hand, both) != both.coming.model.name else "",
        verdict=NO_GO if fault else "",
        text=text,
        no_go=trouble if fault and verb == "load" else "",
        stopped=(*_down(hand, both), *([both.coming.service] if both.coming.service else [])),
    )
    return Ending(no(Reason.ROLLED_BACK, text), (), data)


# ------------------------------------------------------------ unload, sleep


async def _go(hand: Hand, both: Sides) -> Ending:
    leaving = _subject(both)
    within = units.duration(hand.plan.params.get("within") or "30s")
    holds = _holder(hand, both) == leaving.model.name
    if hand.phase == "before":
        seen = await box_of(hand, leaving)
        await hand.step("preflight", seen)
        cannot = _cannot(hand, both, leaving)
        if cannot:
            raise Cannot(no(Reason.UNSUPPORTED, sentence(f"{leaving.model.name}: {cannot}")))
        hand.mark("preflight")
        # an emergency that a person or a rule asked for goes on when time is up; our own tidying never cuts anybody
        emergency = hand.plan.verb == "unload" and hand.plan.by != "resurgam"
        patience = min(within, both.case.slot.drain) if emergency else both.case.slot.drain
        cut = emergency or both.case.slot.cut or hand.plan.params.get("cut") == "true"
        await before.quiet(hand, both, leaving, patience, cut=cut, gate=holds)
    if "commit" not in hand.begun:
        await hand.step("stop", await box_of(hand, leaving))
        hand.mark("stop", await put_away(hand, both, leaving, "stop", max(within, 1.0)))
        await hand.step("freed")
        free = await hand.room.free()
        hand.mark("freed", free_memory=free.memory, free_vram=dict(free.vram))
        await hand.step("commit", await box_of(hand, leaving))
        hand.mark("commit")
    await hand.step("open")
    verb = "sleeps" if both.leaves(leaving) == "sleeps" else "is put away"
    if holds and not hand.plan.found.get("heir"):  # its callers wait for that one: the core opens to it
        hand.models.gate.refuse(both.slot, f"{leaving.model.name} {verb}", AFTER)
    hand.mark("open")
    await hand.step("tidy")
    hand.mark("tidy")
    text = sentence(f"{leaving.model.name} of {both.slot} {verb}, {report.after(hand, both)}")
    stopped = (leaving.service,) if leaving.service and both.leaves(leaving) == STOPS else ()
    holder = "" if holds else _holder(hand, both)
    data = report.told(hand, both, holder=holder, verdict="", text=text, stopped=stopped)
    return Ending(yes(text, Reason.VERIFIED), (), data)


def _cannot(hand: Hand, both: Sides, part: Part) -> str:
    if hand.plan.verb == "sleep":
        return hand.models.server.cannot("sleep", part.model)
    return hand.models.server.cannot("unload", part.model) if part.model.inside else ""


# ------------------------------------------------------------ bench


async def _measure(hand: Hand, both: Sides) -> Ending:
    """Measure it where it is. Nothing is changed, so a later process begins anew."""
    coming = both.coming
    seen = await box_of(hand, coming)
    await hand.step("preflight", seen)
    look = await hand.models.server.look(await where(hand, both.coming))
    if coming.container_id and (seen is None or not seen.running):
        raise Cannot(no(Reason.FAILED, f"{coming.model.name} does not run, so it cannot be measured."))
    # in probation the core hands on where its log ended before its start; else what it says from now on counts
    log: Json = dict(hand.plan.found.get("log") or {})
    if both.criteria.log and coming.container_id and not log:
        log = await measuring.mark_log(hand, coming.container_id)
    hand.mark("preflight", sentence(look.text), **log)
    vigil = await watching.begin(hand, coming, None)
    free = await hand.room.free()
    hand.mark("preflight", ok=False, free_memory=free.memory)
    reason = "probation" if hand.plan.by == "resurgam" else "asked"
    verdict = await trial.measured(hand, both, vigil, look.identity, reason)
    said = str(hand.data.get("headline") or ("measured" if hand.has("bench") else "looked at"))
    text = sentence(f"{coming.model.name}: {said}" if verdict == GO else f"{NO_GO} {coming.model.name}: {said}")
    data: Json = report.told(hand, both, holder=coming.model.name, verdict=verdict, text=text)
    data["measured"] = None  # what it took was not seen from its start on
    return Ending(yes(text, Reason.VERIFIED) if verdict == GO else no(Reason.FAILED, text), (), data)


# ------------------------------------------------------------ small things


def _subject(both: Sides) -> Part:
    """The model that the verb is about: the one that leaves where none comes."""
    return both.leaving if both.leaving is not None and not both.coming.model.name else both.coming


def _down(hand: Hand, both: Sides) -> tuple[str, ...]:
    gone = [part for part in both.case.evict if part.model.name in (hand.data.get(EVICTED) or ())]
    return tuple(part.service for part in gone if part.service and both.leaves(part) == STOPS)


def _stayed(hand: Hand, both: Sides) -> str:
    """The same; '' where it had to make room."""
    holder = _holder(hand, both)
    return "" if holder in (hand.data.get(EVICTED) or ()) else holder


def _holder(hand: Hand, both: Sides) -> str:
    """Who held the slot when the plan was built; where that is not told, the model that leaves."""
    return str(hand.plan.found.get("holder", both.left))
