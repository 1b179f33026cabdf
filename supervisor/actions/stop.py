"""Stop: the container stops and stays stopped, also over a reboot.

The engine's own stop comes first, since it ends the engine's own retries and because a restart policy is only ever
changed on a container that stands still (on a running one that can cost it its GPU). The policy it had is handed to
the core, which gives it back at the next start.
"""

from supervisor.actions.common import must_be, sentence, still_there
from supervisor.actions.hand import Cannot, Denied, Ending, Hand, cannot, ended_early
from supervisor.actions.memory.looking import planned, shown
from supervisor.errors import EngineError, ResurgamError
from supervisor.facts import Container, Json
from supervisor.verdicts import Reason, no, yes


async def _still_over(hand: Hand, found: Container) -> None:
    """`over_plan=true`: what keeps to its plan by now is left alone. Where nobody knows its plan, or the kernel does
    not tell what it uses, what was decided holds."""
    plan = planned(hand)
    if hand.plan.params.get("over_plan") != "true" or not found.running or not plan:
        return
    try:
        used = (await hand.groups.read(found)).used
    except ResurgamError:
        return
    if used <= plan:
        figures = f"{shown(hand, used)} of {shown(hand, plan)}"
        text = f"{hand.plan.service} keeps to its plan by now ({figures}); it is left alone."
        raise Denied(no(Reason.WITHIN_PLAN, text))


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    key = hand.plan.container_id
    try:
        if hand.phase == "before":
            found = await hand.inspect(key)
            await hand.step("look", found)
            found = must_be(hand, found)
            await _still_over(hand, found)
            policy: Json = {"policy": found.restart_policy} if found.restart_policy != "no" else {}
            hand.mark("look", f"It is {found.status}.", was=found.status, **policy)
        seen = await hand.inspect(key)
        await hand.step("stop", seen)
        still_there(hand, seen)
        seen = await hand.stop(key, tries=5)
        hand.mark("stop", f"It stopped with exit code {seen.exit_code}." if seen else "It is gone.")
        await hand.step("keep_down", seen)
        seen = await hand.set_policy(key, "no", tries=5)
        hand.mark("keep_down", "Its restart policy is no.")
    except Cannot as err:
        return cannot(err)
    except Denied as err:
        if hand.phase == "before":
            return ended_early(err)
        text = sentence(f"The stop was not finished: {err}")
        return Ending(no(Reason.FAILED, text), (), {"why": err.verdict.reason.value})
    except EngineError as err:
        return Ending(no(Reason.FAILED, sentence(f"{hand.plan.service} could not be stopped: {err}")))
    if seen is None:
        return Ending(yes(f"{hand.plan.service} is gone: somebody removed it.", Reason.VERIFIED))
    hint = (
        " It had to be killed; give it a longer stop-grace if it has something to save."
        if seen.exit_code == 137
        else ""
    )
    return Ending(
        yes(f"{hand.plan.service} is stopped and stays stopped until it is started again.{hint}", Reason.VERIFIED)
    )
