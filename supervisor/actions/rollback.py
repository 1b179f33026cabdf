"""The way back of a Phoenix: the new container steps aside, the old one gets its name, its policy and its work back.

From: phoenix.py, when the new container did not prove healthy or something inside the irreversible part went wrong; or
a later process that finds the way back begun. Verified too: what was healthy before must be healthy again. If even
this fails, nothing is deleted and a person is told.

The failed container is kept for study, unless it carries compose's labels: compose would take it for the service at
its next `up`. What it said is kept in the journal either way.
"""

from supervisor import units
from supervisor.actions.common import launch, left_over, remaining, sentence
from supervisor.actions.hand import ACTIVE, Denied, Ending, Hand
from supervisor.actions.plans import limit
from supervisor.actions.probation import watch
from supervisor.errors import EngineError
from supervisor.facts import Container, Json
from supervisor.services import OP_LABEL, temp_name
from supervisor.verdicts import Reason, Verdict, no

TRIES = 6
_LOG_LINES, _LOG_WIDTH = 10, 200


async def run(hand: Hand, trouble: str, *, its_fault: bool = False, stay_down: bool = False) -> Ending:
    """Go back, or go on with going back. `its_fault`: the new image is to blame, not a person or the engine.
    `stay_down`: a person stopped the new one, so the old one is put back but not started."""
    trouble = units.plain(trouble, 500).strip().rstrip(".")
    if not hand.going_back:
        kept: Json = {"trouble": trouble}
        if its_fault and _blamed(hand):
            kept["blame"] = hand.data["new_image"]
        if stay_down:
            kept["stay_down"] = True
        hand.mark("probation", f"Going back: {trouble}.", ok=False, **kept)
    try:
        stranger = await _stranger(hand)
        await _aside(hand)
        if stranger is not None:
            return await _yield(hand, stranger, trouble)
        old = await _restore(hand)
        if old is None:
            gone = "The old container was removed by somebody, so there is nothing to go back to"
            text = f"{hand.plan.service}: {trouble}. {gone}"
            return await _degraded(hand, text)
        return await _verify(hand, trouble)
    except (Denied, EngineError) as err:
        text = f"{hand.plan.service}: {trouble}. Going back failed too: {err}. Nothing was deleted"
        return await _degraded(hand, text)


def _blamed(hand: Hand) -> bool:
    """A failure blames the image only if it is another one than before, and never the one that proved healthy: then
    the cause lies elsewhere, and without it there would be nothing to go back to."""
    new = hand.data.get("new_image")
    return bool(new) and new not in (hand.data.get("old_image"), hand.data.get("proved"))


# ------------------------------------------------------------ the new one steps aside


async def _new(hand: Hand) -> Container | None:
    """The container this plan made, if it is still there."""
    key = str(hand.data.get("new_id") or temp_name(hand.plan.name, "new", hand.plan.op))
    seen = await hand.inspect(key)
    return seen if seen is not None and seen.labels.get(OP_LABEL) == hand.plan.op else None


async def _stranger(hand: Hand) -> Container | None:
    """Whoever holds the service's name and is neither the old nor the new container: a person made it."""
    holder = await hand.inspect(hand.plan.name)
    made = await _new(hand)
    ours = (hand.plan.container_id, made.id if made is not None else "")
    return holder if holder is not None and holder.id not in ours else None


async def _aside(hand: Hand) -> None:
    """Stop it (which ends the engine's own retries), keep what it said, hold it down, give the name free."""
    new = await _new(hand)
    await hand.step("back_stop", new)
    if new is None:
        return
    new = await hand.stop(new.id, tries=TRIES)
    await hand.step("back_aside", new)
    if new is None:
        return
    if "last_words" not in hand.data:
        words = await _last_words(hand, new)
        hand.mark("back_stop", last_words=words, exit_code=new.exit_code)
    await hand.set_policy(new.id, "no", tries=TRIES)
    await hand.rename(new.id, temp_name(hand.plan.name, "failed", hand.plan.op), tries=TRIES)
    hand.mark("back_aside")


async def _last_words(hand: Hand, new: Container) -> list[str]:
    """The end of its log, bounded and without secrets; best effort."""
    try:
        lines = await hand.engine.logs(new.id, _LOG_LINES)
    except EngineError:
        return []
    return [units.mask(units.plain(line, _LOG_WIDTH)) for line in lines[-_LOG_LINES:]]


# ------------------------------------------------------------ the old one comes back


async def _restore(hand: Hand) -> Container | None:
    plan, data = hand.plan, hand.data
    old = await hand.inspect(plan.container_id)
    await hand.step("back_name", old)
    if old is None:
        return None
    before = data.get("back_before") or old.started_at
    if old.name == data.get("parked"):
        old = await hand.rename(old.id, plan.name, tries=TRIES)
    hand.mark("back_name", back_before=before)
    await hand.step("back_policy", old)
    if old is not None and old.status not in ACTIVE:
        # one that somebody started meanwhile keeps policy `no`: it is only changed on a container that stands still
        old = await hand.set_policy(old.id, str(data.get("old_policy") or "no"), tries=TRIES)
    hand.mark("back_policy")
    return old


async def _verify(hand: Hand, trouble: str) -> Ending:
    """Start it if it was not stopped when we came, and see whether it is as well as it was."""
    plan, data = hand.plan, hand.data
    service, old_id = plan.service, plan.container_id
    image = units.short_image(str(data.get("old_image") or ""))
    old = await hand.inspect(old_id)
    await hand.step("back_start", old)
    if old is not None and old.name != plan.name:
        trouble += f"; it is called {old.name} now, by somebody's hand"
    wanted = str(data.get("old_policy") or "no")
    if old is not None and old.restart_policy != wanted:
        trouble += f"; it was started by hand, so its restart policy is still no: docker update --restart {wanted}"
    if data.get("stay_down"):
        text = f"{service} was put back on image {image} and stays stopped, as a person wants it: {trouble}"
        return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)))
    if data.get("was") not in ("running", "restarting"):
        text = f"{service} was put back as it was found, not running: {trouble}"
        return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)))
    base = await launch(hand, old_id, "back_start", before=float(data.get("back_before") or 0.0), tries=TRIES)
    await hand.step("back_verify")
    if not data.get("healthy"):
        text = f"{service} was put back as it was found, not healthy, on image {image}: {trouble}"
        return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)))
    finding = await watch(hand, old_id, remaining(hand, "back_start", limit(plan)), base)
    if not finding.ok:
        text = f"{service}: {trouble}. The old container was put back but {finding.text}. Nothing was deleted"
        return await _degraded(hand, text)
    text = f"{service} is back on image {image} and healthy ({finding.text}); the new one did not do: {trouble}"
    return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)), proof=finding.text)


async def _yield(hand: Hand, stranger: Container, trouble: str) -> Ending:
    """Somebody put another container in the service's place: theirs is left alone, the old one stays parked."""
    old = await hand.inspect(hand.plan.container_id)
    await hand.step("back_clear")
    made = await _new(hand)
    if made is not None and not made.started_at:
        await hand.remove(made.id)
    left = await left_over(hand)
    text = (
        f"{hand.plan.service}: {trouble}. {stranger.name} ({stranger.id[:12]}) was made by somebody else; left alone."
    )
    if old is not None:
        text += f" The container it replaced is kept as {old.name}; remove it once it is not needed."
    return Ending(no(Reason.FAILED, text), left, {"why": Reason.INTERFERED.value})


# ------------------------------------------------------------ endings


async def _done(hand: Hand, outcome: Verdict, **data: str) -> Ending:
    """It is back. Take away what is not worth keeping, and say what is kept."""
    try:
        await hand.step("back_clear")
        failed = await _new(hand)
        if failed is not None and (hand.data.get("composed") or not failed.started_at):
            await hand.remove(failed.id)
        for name, each in sorted((await hand.others()).items()):
            # one failed container per service is enough: those of earlier plans go
            op = each.labels.get(OP_LABEL, "")
            mine = op and op != hand.plan.op and name == _failed_name(hand, op)
            if mine and each.status not in ACTIVE:
                await hand.remove(each.id)
        hand.mark("back_clear")
    except (Denied, EngineError) as err:
        hand.mark("back_clear", f"Not all could be cleared: {err}.", ok=False)
    return Ending(outcome, await left_over(hand), dict(data))


def _failed_name(hand: Hand, op: str) -> str:
    try:
        return temp_name(hand.plan.name, "failed", op)
    except ValueError:
        return ""


async def _degraded(hand: Hand, text: str) -> Ending:
    hint = f". Look at `docker ps -a`; what belongs to this is called {hand.plan.name}.resurgam-*."
    return Ending(no(Reason.DEGRADED, text.rstrip(".") + hint), await left_over(hand))
