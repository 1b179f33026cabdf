"""The way back of a Phoenix: the new container steps aside, the old one gets its name, its policy and its work back.

From: phoenix.py, when the new container did not prove healthy or something inside the irreversible part went wrong; or
a later process that finds the way back begun. Verified too: what was healthy before must be healthy again. If even
this fails, nothing is deleted and a person is told.

A service that keeps state is not handed back by itself once the new version ran on its data: the new one is stopped,
both are kept, and a person is asked. Until the word comes, the new one keeps the service's name, so that nothing is put
in its place meanwhile.

The failed container is kept for study, unless it carries compose's labels (compose would take it for the service at its
next `up`) or too many are kept already. How it ended is kept in the journal either way (forensics.py).
"""

from supervisor import units
from supervisor.actions import forensics, proof
from supervisor.actions.common import launch, left_over, remaining, sentence
from supervisor.actions.hand import ACTIVE, Cannot, Denied, Ending, Hand
from supervisor.actions.plans import limit
from supervisor.actions.probation import watch
from supervisor.actions.turns import Turn, turn
from supervisor.errors import EngineError
from supervisor.facts import Container, Json
from supervisor.incidents import permit
from supervisor.services import OP_LABEL, temp_name
from supervisor.verdicts import Reason, Verdict, no

TRIES = 6
ASK_AGAIN = 5.0
"""seconds between two looks whether a person has said something"""
_WAITS = (Reason.NEEDS_APPROVAL, Reason.LOCKED)
_BACK = ("back_stop", "back_aside", "back_name", "back_policy", "back_start")
"""asked for together: the service is away meanwhile"""


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
        new = await _new(hand)
        stranger = await _stranger(hand, new)
        new = await _permitted(hand, new, stranger)
        if stranger is not None:
            await _halt(hand, new, _failed(hand))
            hand.mark("back_aside")
            return await _yield(hand, stranger, trouble)
        old = await _restore(hand, new)
        if old is None:
            gone = "The old container was removed by somebody, so there is nothing to go back to"
            text = f"{hand.plan.service}: {trouble}. {gone}"
            return await _degraded(hand, text)
        return await _verify(hand, old, trouble)
    except Denied as err:
        if err.verdict.reason in (Reason.DENIED, Reason.INTERFERED):
            return await _kept(hand, err.verdict, trouble)
        return await _degraded(
            hand, f"{hand.plan.service}: {trouble}. Going back failed too: {err}. Nothing was deleted"
        )
    except EngineError as err:
        return await _degraded(
            hand, f"{hand.plan.service}: {trouble}. Going back failed too: {err}. Nothing was deleted"
        )


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


async def _stranger(hand: Hand, made: Container | None) -> Container | None:
    """Whoever holds the service's name and is neither the old nor the new container: a person made it."""
    holder = await hand.inspect(hand.plan.name)
    ours = (hand.plan.container_id, made.id if made is not None else "")
    return holder if holder is not None and holder.id not in ours else None


async def _permitted(hand: Hand, new: Container | None, stranger: Container | None) -> Container | None:
    """Have every step of the way back permitted; where the data may have changed, wait for a person's word first. The
    new one as it stands then."""
    if stranger is not None:
        await hand.steps(_BACK[:2], new)
        return new
    asked = permit.needs_word(hand.planned(), () if new is None else (new,))
    if asked and permit.HANDS_BACK not in hand.begun:
        if not hand.data.get("asked"):  # else it stands still already, or somebody has started it again
            await hand.step(_BACK[0], new)
            await _halt(hand, new)
            hand.mark("back_stop", "A person is asked whether the old one may have the data back.", asked=True)
        await _word(hand)
        await hand.steps(_BACK[2:], new)
        return await _new(hand)
    await hand.steps(_BACK, new)
    return new


async def _word(hand: Hand) -> None:
    """Wait until a person has said whether the old one may have the data back. Denied where the answer is no, or where
    somebody took matters into their own hands."""
    while True:
        new, old = await _new(hand), await hand.inspect(hand.plan.container_id)
        for each in (new, old):
            if each is not None and each.status in ACTIVE:
                raise Cannot(no(Reason.INTERFERED, f"Somebody started {each.name} meanwhile"))
        try:
            await hand.step(permit.HANDS_BACK, new)
            return
        except Denied as err:
            if err.verdict.reason not in _WAITS:
                raise
        await hand.nap(ASK_AGAIN)


async def _halt(hand: Hand, new: Container | None, name: str = "") -> None:
    """Stop it and hold it down: not even a reboot starts it. `name`: what it is called then, '' for as it is."""
    new = await _stop(hand, new)
    if new is not None:
        await turn(hand, [(new, Turn(new.id, name or new.name, "no", stopped=True))], tries=TRIES)


async def _stop(hand: Hand, new: Container | None) -> Container | None:
    """Stop it, which ends the engine's own retries; as it stands then."""
    new = await hand.stop(new.id, tries=TRIES, seen=new) if new is not None else None
    hand.mark("back_stop", exit_code=new.exit_code if new is not None else None)
    return new


def _failed(hand: Hand) -> str:
    """What the new one is called once it gave the name free."""
    return temp_name(hand.plan.name, "failed", hand.plan.op)


# ------------------------------------------------------------ the old one comes back


async def _restore(hand: Hand, new: Container | None) -> Container | None:
    """The new one stops, is held down and gives the name free; then the old one gets it back, with its policy."""
    plan, data = hand.plan, hand.data
    new = await _stop(hand, new)
    old = await hand.inspect(plan.container_id)
    turns = [(new, Turn(new.id, _failed(hand), "no", stopped=True))] if new is not None else []
    if old is not None:
        name = plan.name if old.name == data.get("parked") else old.name
        # one that somebody started meanwhile keeps policy `no`: it is only changed on a container that stands still
        policy = "" if old.status in ACTIVE else str(data.get("old_policy") or "no")
        turns.append((old, Turn(old.id, name, policy)))
    turned = await turn(hand, turns, tries=TRIES)
    hand.mark("back_aside")
    if old is None:
        return None
    hand.mark("back_name", back_before=data.get("back_before") or old.started_at)
    hand.mark("back_policy")
    return turned[-1]


async def _verify(hand: Hand, old: Container, trouble: str) -> Ending:
    """Start it if it was not stopped when we came, and see whether it is as well as it was."""
    plan, data = hand.plan, hand.data
    service, old_id = plan.service, plan.container_id
    image = units.short_image(str(data.get("old_image") or ""))
    if old.name != plan.name:
        trouble += f"; it is called {old.name} now, by somebody's hand"
    wanted = str(data.get("old_policy") or "no")
    if old.restart_policy != wanted:
        trouble += f"; it was started by hand, so its restart policy is still no: docker update --restart {wanted}"
    if data.get("stay_down"):
        text = f"{service} was put back on image {image} and stays stopped, as a person wants it: {trouble}"
        return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)))
    if data.get("was") not in ("running", "restarting"):
        text = f"{service} was put back as it was found, not running: {trouble}"
        return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)))
    before = float(data.get("back_before") or 0.0)
    base = await launch(hand, old_id, "back_start", before=before, tries=TRIES, seen=old)
    await hand.step("back_verify")
    if not data.get("healthy"):
        text = f"{service} was put back as it was found, not healthy, on image {image}: {trouble}"
        return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)))
    finding = await watch(hand, old_id, remaining(hand, "back_start", limit(plan)), base)
    if not finding.ok:
        text = f"{service}: {trouble}. The old container was put back but {finding.text}. Nothing was deleted"
        return await _degraded(hand, text)
    shown = proof.well(hand, finding, "back_start")
    hand.mark("back_verify", finding.text, back_probes=finding.proof(), **shown)
    text = f"{service} is back on image {image} and healthy ({finding.text}); the new one did not do: {trouble}"
    return await _done(hand, no(Reason.ROLLED_BACK, sentence(text)))


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


async def _done(hand: Hand, outcome: Verdict) -> Ending:
    """It is back. Write down how the failed one ended, take away what is not worth keeping, and say what is kept."""
    try:
        failed = await _new(hand)
        everybody = await hand.others()
        crowded = ""
        if failed is not None and "failed" not in hand.data:
            hand.mark("back_clear", failed=await forensics.evidence(hand, failed))
        if failed is not None:
            crowded = await forensics.too_many(hand, failed, tuple(everybody.values()))
        await hand.step("back_clear")
        if failed is not None and (hand.data.get("composed") or not failed.started_at or crowded):
            await hand.remove(failed.id)
        for name, each in sorted(everybody.items()):
            # one failed container per service is enough: those of earlier plans go
            op = each.labels.get(OP_LABEL, "")
            mine = op and op != hand.plan.op and name == _failed_name(hand, op)
            if mine and each.status not in ACTIVE:
                await hand.remove(each.id)
        hand.mark("back_clear", f"The failed container was not kept: {crowded}." if crowded else "")
    except (Denied, EngineError) as err:
        hand.mark("back_clear", f"Not all could be cleared: {err}.", ok=False)
    return Ending(outcome, await left_over(hand))


def _failed_name(hand: Hand, op: str) -> str:
    try:
        return temp_name(hand.plan.name, "failed", op)
    except ValueError:
        return ""


async def _kept(hand: Hand, why: Verdict, trouble: str) -> Ending:
    """It is not handed back: a person said no, or has begun something else. Both containers stay."""
    plan, data = hand.plan, hand.data
    failed = await _new(hand)
    if failed is not None and "failed" not in data:
        hand.mark("back_stop", failed=await forensics.evidence(hand, failed))
    kept, policy = await _held(hand)
    text = (
        f"{plan.service}: {trouble}. {why.text.strip().rstrip('.')}, so it was not put back. Both containers are kept: "
        f"{failed.name if failed is not None else 'the new one is gone'} (image "
        f"{units.short_image(str(data.get('new_image') or ''))}) and {data.get('parked')} (image "
        f"{units.short_image(str(data.get('old_image') or ''))}, the old one).{policy} Remove the one you "
        "do not choose before the next `compose up`."
    )
    return Ending(no(Reason.DEGRADED, text), await left_over(hand), {"why": why.reason.value} | kept)


async def _held(hand: Hand) -> tuple[Json, str]:
    """The policy that the service had and has no more, for the core to keep: the next start or Phoenix gives it back.
    And how to say that; both empty where nothing was taken."""
    policy, name = str(hand.data.get("old_policy") or "no"), hand.plan.name
    if policy == "no":
        return {}, ""
    by_hand = f"`docker update --restart {policy} NAME`"
    kept: Json = {"held_down": policy}
    try:
        serves = await hand.engine.inspect(name)
    except EngineError:  # who can tell: what is kept too much is nothing to a container that has a policy
        return kept, f" What we held down has restart policy no; one that you start by hand needs {by_hand}."
    if serves is not None and serves.restart_policy != "no":
        return {}, ""
    said = " What we held down has restart policy no: "
    if serves is not None and serves.status not in ACTIVE:
        said += f"`resurgam start {hand.plan.service}` starts {name} and gives it back `{policy}`; "
    return kept, f"{said}one that you start or rename by hand needs {by_hand}."


async def _degraded(hand: Hand, text: str) -> Ending:
    hint = f". Look at `docker ps -a`; what belongs to this is called {hand.plan.name}.resurgam-*."
    kept, policy = await _held(hand)
    return Ending(no(Reason.DEGRADED, text.rstrip(".") + hint + policy), await left_over(hand), kept)
