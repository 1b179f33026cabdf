"""Restart: the same container stops, starts, and proves healthy. Its restart policy is kept.

There is nothing to go back to: it is the same container either way. If it does not become healthy the next rung of
the ladder, or a person, decides.
"""

from dataclasses import replace

from supervisor.actions import proof
from supervisor.actions.common import launch, make_room, must_be, remaining, sentence, still_there
from supervisor.actions.hand import Cannot, Denied, Ending, Hand, cannot, ended_early
from supervisor.actions.plans import limit
from supervisor.actions.probation import watch
from supervisor.errors import EngineError
from supervisor.services.graph import JOINED, shared
from supervisor.verdicts import Reason, no, yes


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    ending = await _run(hand)
    return replace(ending, data=proof.steps(hand) | ending.data)


async def _run(hand: Hand) -> Ending:
    key, service = hand.plan.container_id, hand.plan.service
    try:
        if hand.phase == "before":
            await _look(hand)
        if "start" not in hand.begun:
            await _stop(hand)
        held = await make_room(hand, await hand.inspect(key), "stop")
        seen = await hand.inspect(key)
        await hand.step("start", seen)
        before = float(hand.data.get("started_before") or 0.0)
        # it ran before: room or not, to leave it down would be worse than to try
        base = await launch(hand, key, "start", before=before, tries=6, seen=seen)
        await hand.step("verify")
        finding = await watch(hand, key, remaining(hand, "start", limit(hand.plan)), base)
    except Cannot as err:
        return cannot(err)
    except Denied as err:
        if hand.phase == "before":
            return ended_early(err)
        return await _given_up(hand, str(err))
    except EngineError as err:
        return await _given_up(hand, f"the engine says: {err}")
    room = f" It was started although {held}." if held else ""
    probes = {"probes": finding.proof()}
    if finding.ok:
        text = f"{service} was restarted: {finding.text}.{room}"
        return Ending(yes(text, Reason.VERIFIED), (), probes | proof.well(hand, finding, "start"))
    reason = Reason.INTERFERED if finding.stopped else Reason.FAILED
    return Ending(no(reason, sentence(f"{service} was restarted but {finding.text}.{room}")), (), probes)


async def _look(hand: Hand) -> None:
    found = await hand.inspect(hand.plan.container_id)
    await hand.step("look", found)
    found = must_be(hand, found)
    for kind, key in sorted(shared(found).items()):
        if kind not in JOINED:
            continue
        parent = await hand.inspect(key)
        if parent is None or not parent.running:
            name = parent.name if parent is not None else key[:64]
            text = (
                f"{hand.plan.name} shares the {kind} of {name}, which does not run: a restart would leave it down. "
                f"Start that one, then: resurgam phoenix {hand.plan.service}."
            )
            raise Cannot(no(Reason.UNSUPPORTED, text))
    hand.mark("look", f"It is {found.status}.", was=found.status, started_before=found.started_at)


async def _stop(hand: Hand) -> None:
    seen = await hand.inspect(hand.plan.container_id)
    await hand.step("stop", seen)
    still_there(hand, seen)
    hand.mark("stop", "It is asked to stop.", stopped_at=hand.data.get("stopped_at") or hand.clock.wall())
    hand.tell()
    seen = await hand.stop(hand.plan.container_id)
    ended = hand.data.get("ended_at") or proof.last_moment(hand, seen)
    hand.mark("stop", f"It stopped with exit code {seen.exit_code}." if seen else "It is gone.", ended_at=ended)


async def _given_up(hand: Hand, trouble: str) -> Ending:
    """It could not be brought to its end: say in which state it is."""
    try:
        seen = await hand.engine.inspect(hand.plan.container_id)
    except EngineError:
        seen = None
    down = seen is None or not seen.running
    text = f"{hand.plan.service} could not be restarted: {trouble}."
    if down and hand.data.get("was") == "running":
        return Ending(no(Reason.DEGRADED, f"{text} It is down now; look at `docker ps -a` and start it by hand."))
    return Ending(no(Reason.FAILED, text))
