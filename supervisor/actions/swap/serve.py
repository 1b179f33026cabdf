"""A model is put away, or brought: its container stops or starts, or its server unloads or loads it, or lets it sleep
or wakes it.

From: swap.py, beside.py, back.py, single.py. To: the engine and the model server. Looks first, does what is missing,
looks again: so a step may be taken twice, and is done once.

A container that is put away has the restart policy `no` from then on, so that nothing but us starts it again; it is
changed on a container that stands still only. One that comes gets the policy of its service before its start, as a
Phoenix does it: the first death in its trial is answered with a stop, which ends the engine's own retries.
"""

from dataclasses import replace

from supervisor.actions.common import launch, sentence
from supervisor.actions.hand import ACTIVE, KILLED, Cannot, Hand
from supervisor.actions.probation import Baseline
from supervisor.actions.swap.checks.case import Part
from supervisor.actions.swap.sides import SLEEPS, UNLOADS, Sides, as_of, box_of, own_name, where
from supervisor.actions.swap.watching import Trouble
from supervisor.actions.turns import Turn, turn
from supervisor.errors import Conflict, EngineError, ServerError
from supervisor.facts import Container, Json
from supervisor.facts.slots import ASLEEP, EXCLUSIVE, LOADED, LOADING, UNLOADED
from supervisor.ports import ModelAt
from supervisor.services import causes
from supervisor.verdicts import Reason, no

TRIES = 6
_UNLOAD = 120.0
"""seconds in which a server is to put a model away"""
_GONE = (UNLOADED, ASLEEP)
_BELIEVED, _AGAIN = 10.0, 0.5
"""seconds in which what a server agreed to is to be seen, and between two looks"""


# ------------------------------------------------------------ away


async def put_away(hand: Hand, both: Sides, part: Part, step: str, within: float = _UNLOAD) -> str:
    """See to it that the model takes no memory any more; how it went, for the mark. ServerError or EngineError where it
    could not be done."""
    way = both.leaves(part)
    at = await where(hand, part)
    if way in (UNLOADS, SLEEPS):
        if part.container_id and (at.container is None or not at.container.running):
            return f"The server of {part.model.name} does not run."
        look = await hand.models.server.look(at)
        if look.state in _GONE:
            return f"{part.model.name} is {look.state} already."
        act = hand.models.server.unload if way == UNLOADS else hand.models.server.sleep
        said = await act(at, within)
        await _gone(hand, at)
        return sentence(f"{part.model.name}: {said}")
    seen = at.container
    if seen is None:
        return f"The container of {part.model.name} is gone."
    ran = seen.running
    with as_of(hand, part):
        if seen.status in ACTIVE:
            hand.mark(step, f"{seen.name} is asked to stop.", ok=False)
            seen = await hand.stop(seen.id, tries=TRIES, seen=seen, quick=True)
        if seen is not None and seen.restart_policy != "no":
            seen = await hand.set_policy(seen.id, "no", tries=TRIES)
        elif seen is not None:
            seen = await hand.inspect(seen.id)
    if seen is not None and seen.status in ACTIVE:
        raise EngineError(f"{seen.name} was started again while it was to be stopped")
    return _how_it_ended(part, seen, ran)


async def out_of_the_way(hand: Hand, both: Sides, part: Part, step: str) -> str:
    """`put_away` for one that did not do: where it was to sleep and its server will not (it loads, it died, the engine
    starts it again and again), its container stops."""
    said = ""
    if both.leaves(part) == SLEEPS:
        seen = await box_of(hand, part)
        if seen is not None and seen.running:
            try:
                return await put_away(hand, both, part, step)
            except ServerError as err:
                said = f"It would not sleep ({err}). "
        both = replace(both, case=replace(both.case, shape=EXCLUSIVE))
    return said + await put_away(hand, both, part, step)


async def _gone(hand: Hand, at: ModelAt) -> None:
    """A server's yes is not believed while it says itself that the model is in memory."""
    end = hand.clock.mono() + _BELIEVED
    while True:
        look = await hand.models.server.look(at)
        if look.state not in (LOADED, LOADING):
            return
        if hand.clock.mono() >= end:
            raise ServerError(f"{at.model.name}: its server said yes, and it is still in memory ({look.text})")
        await hand.nap(_AGAIN)


def _how_it_ended(part: Part, seen: Container | None, ran: bool) -> str:
    if seen is None:
        return f"The container of {part.model.name} is gone."
    ours = ran and seen.exit_code == KILLED and not seen.oom_killed
    killed = "; it had to be killed, so it may need a longer stop-grace" if ours else ""
    return f"{seen.name} stopped with exit code {seen.exit_code}{killed}."


# ------------------------------------------------------------ here


def policy_of(part: Part) -> str:
    """The restart policy it is started with. What is ours to start after a boot has none of its own."""
    return "no" if part.needs.boot == "ordered" else part.policy or "no"


async def begin(hand: Hand, both: Sides, *seen: Container | None) -> float:
    """Ask for the step `start`. When the container of the model that comes was started last, before this plan did so:
    somebody may have had it up while we drained. It is durable with the permission."""
    new = await box_of(hand, both.coming)
    if "start" not in hand.begun and new is not None and not new.running:
        hand.mark("freed", ok=False, started_before=new.started_at)
    await hand.step("start", *seen, new)
    return float(hand.data.get("started_before") or 0.0)


async def bring(hand: Hand, both: Sides, part: Part, step: str, before: float) -> Baseline | None:
    """See to it that the model is on its way into memory; how its container stood right after its start, None where
    that served before or is none of ours. `before`: as in common.launch. Marks `step`."""
    at = await where(hand, part)
    launched = hand.data.get(f"launched_{step}")
    if part.container_id and at.container is None:
        raise Trouble(f"the container of {part.model.name} was removed by somebody")
    if at.container is not None and (launched or not at.container.running):
        base = await _started(hand, part, at.container, step, before)
        if not part.model.inside:
            return base
        at = await where(hand, part)
    await _loaded(hand, both, part, at, step)
    return None


async def _started(hand: Hand, part: Part, seen: Container, step: str, before: float) -> Baseline:
    try:
        if seen.status not in ACTIVE and seen.restart_policy != policy_of(part) and seen.started_at <= before:
            seen = await hand.set_policy(seen.id, policy_of(part), tries=TRIES) or seen
        with as_of(hand, part):
            return await launch(hand, seen.id, step, before=before, tries=TRIES, seen=seen)
    except EngineError as err:
        never = causes.of_start(str(err)).word == causes.BAD_COMMAND
        raise Trouble(f"the engine could not start {part.model.name}: {err}", its_fault=never) from err


async def _loaded(hand: Hand, both: Sides, part: Part, at: ModelAt, step: str) -> None:
    """Into a server that runs: loaded, or woken; where it loads by itself nothing is asked."""
    server, limit = hand.models.server, both.limit(part)
    look = await server.look(at)
    stamp = f"launched_{step}"
    kept: Json = {stamp: hand.data.get(stamp) or hand.clock.wall()}
    hand.mark(step, ok=False, **kept)
    try:
        if look.state == LOADED:
            said = "it is in memory already"
        elif part.model.inside:
            said = await server.load(at, limit)
        elif look.state == ASLEEP and part.model.sleep:
            said = await server.wake(at, limit)
        else:
            said = look.text
    except ServerError as err:
        raise Trouble(str(err), its_fault=True) from err
    hand.mark(step, sentence(f"{part.model.name}: {said}"))


# ------------------------------------------------------------ the name that callers use


async def rename(hand: Hand, both: Sides, holder: Part, other: Part | None) -> None:
    """Let the container of `holder` bear the slot's name, and the other one its own. Cannot where somebody else has
    that name."""
    name = both.case.slot.rename
    if not name:
        return
    seen = await box_of(hand, holder)
    if seen is None or seen.name == name:
        return
    old = await box_of(hand, other)
    turns = [(seen, Turn(seen.id, name))]
    if old is not None and old.name == name and other is not None:
        turns.insert(0, (old, Turn(old.id, own_name(other, old, name))))
    try:
        await turn(hand, turns, tries=TRIES)
    except Conflict:
        found = await hand.inspect(name)
        if found is None or found.id in (seen.id, old.id if old is not None else ""):
            raise
        text = f"Somebody made another container called {name} ({found.id[:12]})."
        raise Cannot(no(Reason.NAME_TAKEN, text)) from None
