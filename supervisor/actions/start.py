"""Start: the container gets its restart policy back (with boot=ordered: loses it), starts, and proves healthy.

If it dies while it is watched it is stopped and left as it was found: a model that takes 300 GB at every try must not
be tried by the engine for ever. If it merely takes longer than it should it is left running, and a person is told.
"""

from dataclasses import replace

from supervisor import units
from supervisor.actions import proof
from supervisor.actions.common import launch, make_room, must_be, remaining, sentence, still_there
from supervisor.actions.hand import ACTIVE, Cannot, Denied, Ending, Hand, cannot, ended_early
from supervisor.actions.plans import limit
from supervisor.actions.probation import Baseline, Finding, watch
from supervisor.errors import EngineError
from supervisor.facts import Json
from supervisor.verdicts import Reason, no, yes


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    ending = await _run(hand)
    return replace(ending, data=proof.steps(hand) | ending.data)


async def _run(hand: Hand) -> Ending:
    if hand.going_back:
        return await _back(hand, str(hand.data.get("trouble") or "the start was given up"))
    try:
        if hand.phase == "before":
            await _look(hand)
        base = await _start(hand)
        await hand.step("verify")
        finding = await watch(hand, hand.plan.container_id, remaining(hand, "start", limit(hand.plan)), base)
    except Cannot as err:
        if err.verdict.reason is Reason.BUSY:
            return await _back(hand, str(err))
        return cannot(err)
    except Denied as err:
        if hand.phase == "before":
            return ended_early(err)
        return await _back(hand, str(err))
    except EngineError as err:
        return await _back(hand, f"the engine could not start it: {err}")
    return await _judge(hand, finding)


async def _look(hand: Hand) -> None:
    found = await hand.inspect(hand.plan.container_id)
    await hand.step("look", found)
    found = must_be(hand, found)
    kept: Json = {"was": found.status, "old_policy": found.restart_policy, "started_before": found.started_at}
    hand.mark("look", f"It is {found.status}.", **kept)


async def _start(hand: Hand) -> Baseline:
    key, policy = hand.plan.container_id, _policy(hand)
    seen = await hand.inspect(key)
    await hand.step("policy", seen)
    seen = still_there(hand, seen)
    if policy and seen.status not in ACTIVE:
        await hand.set_policy(key, policy)
        hand.mark("policy", f"Its restart policy is {policy}.")
    if hand.data.get("was") not in ACTIVE:
        held = await make_room(hand, seen, "policy")
        if held:
            raise Cannot(no(Reason.BUSY, f"there is no room for it: {held}"))
    await hand.step("start", seen)
    if hand.data.get("was") in ACTIVE:
        hand.watching = key
        hand.mark("start", "It runs already.")
        return Baseline(seen.started_at, seen.restart_count)
    return await launch(hand, key, "start", before=float(hand.data.get("started_before") or 0.0))


def _policy(hand: Hand) -> str:
    """The policy it is started with, '' for the one it has. What is ours to start after a boot has none of its own."""
    return "no" if hand.plan.needs.boot == "ordered" else str(hand.data.get("policy") or "")


async def _judge(hand: Hand, finding: Finding) -> Ending:
    service = hand.plan.service
    if finding.ok:
        shown: Json = {"probes": finding.proof()} | proof.well(hand, finding, "start")
        if hand.data.get("was") in ACTIVE:
            shown["untouched"] = True
        return Ending(yes(f"{service} runs: {finding.text}.", Reason.VERIFIED), (), shown)
    if finding.stopped:  # left as a person left it, with the policy it has again
        return Ending(no(Reason.INTERFERED, f"{service} was started and {finding.text}; it stays down."))
    seen = await hand.inspect(hand.plan.container_id)
    if seen is not None and seen.running and seen.health != "unhealthy":
        text = f"{service} was started but {finding.text}. It was left running; see its log."
        return Ending(no(Reason.FAILED, sentence(text)))
    return await _back(hand, f"it {finding.text}")


async def _back(hand: Hand, trouble: str) -> Ending:
    """Leave it as it was found: stopped, with the policy it had."""
    key, service = hand.plan.container_id, hand.plan.service
    trouble = units.plain(trouble, 500)
    was = str(hand.data.get("was") or "exited")
    if was in ACTIVE:
        return Ending(no(Reason.FAILED, sentence(f"{service} did not become healthy: {trouble}")))
    hand.mark("verify", f"Going back: {trouble}.", ok=False, trouble=trouble)
    try:
        await hand.step("back_stop")
        seen = await hand.stop(key, tries=5)
        hand.mark("back_stop")
        await hand.step("back_policy", seen)
        if seen is not None:
            await hand.set_policy(key, str(hand.data.get("old_policy") or "no"), tries=5)
        hand.mark("back_policy")
    except (Denied, EngineError) as err:
        text = f"{service} did not start ({trouble}), and could not be stopped again: {err}. Stop it by hand."
        return Ending(no(Reason.DEGRADED, text))
    text = f"{service} did not start: {trouble}. It is stopped again, as it was found; see its log."
    return Ending(no(Reason.ROLLED_BACK, text))
