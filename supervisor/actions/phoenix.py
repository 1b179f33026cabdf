"""Phoenix: the container is made anew from an image, proves healthy, and takes the place of the old one, or the old
one is put back.

The order: the new one is created while the old one still serves; then the old one stops, is held down and parked under
another name; the new one takes its name, starts, and is watched. Only the durable permission for `commit` makes it
the service. rollback.py is the way back, tidy.py what comes after the commit. Every step looks at the world first, so
a later process walks the same steps again and does what is missing.
"""

import asyncio

from supervisor import units
from supervisor.actions import rollback, spec, tidy
from supervisor.actions.common import create, launch, must_be, namespaces, remaining, sentence
from supervisor.actions.hand import ACTIVE, Cannot, Denied, Ending, Hand
from supervisor.actions.plans import limit
from supervisor.actions.probation import Finding, watch
from supervisor.actions.protect import tag
from supervisor.actions.steps import lkg_ref
from supervisor.errors import Conflict, EngineError
from supervisor.facts import Container, Image, Json
from supervisor.services import OP_LABEL, temp_name
from supervisor.verdicts import Reason, Verdict, no

_UNHEARD = 3.0
"""seconds to wait for a container whose creation was asked for without an answer"""
_DENIALS, _AGAIN = 3, 0.5
"""how often the engine must say that it has no such image, and seconds between"""
LARGE_LAYER = 1 << 30
"""bytes: a container that wrote more than this into its own layer is kept, not replaced by a spare"""


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    if "commit" in hand.begun:
        return await tidy.run(hand)
    if hand.going_back:
        return await rollback.run(hand, str(hand.data.get("trouble") or "it was given up"))
    if hand.resumed and hand.phase == "before":
        text = "Resurgam was restarted before anything was touched."
        return await _undo(hand, no(Reason.ENDED_EARLY, text), None)
    try:
        if hand.phase == "before":
            await _prepare(hand)
        finding = await _replace(hand)
    except Denied as err:
        return await _leave(hand, err.verdict, early=not isinstance(err, Cannot))
    except EngineError as err:
        return await _leave(hand, no(Reason.ENGINE_REFUSED, sentence(f"The engine says: {err}")), early=False)
    if not finding.ok:
        trouble = f"the new container {finding.text}"
        return await rollback.run(hand, trouble, its_fault=finding.its_fault, stay_down=finding.stopped)
    return await tidy.run(hand)


# ------------------------------------------------------------ before: the old one serves on


async def _prepare(hand: Hand) -> None:
    plan = hand.plan
    old = await hand.inspect(plan.container_id)
    await hand.step("look", old)
    old = must_be(hand, old)
    raw = await hand.read(lambda: hand.engine.raw(old.id))
    refused = spec.refusal(raw)
    if refused is not None:
        raise Cannot(refused)
    old_image, new_image = await _images(hand, old)
    recipe = spec.successor(
        raw,
        old_image,
        new_image,
        op=plan.op,
        policy=_final_policy(hand, raw),
        ref=_reference(hand, raw, new_image),
        names=await namespaces(hand, raw),
    )
    await _dependents(hand, old)
    hand.mark(
        "look",
        f"From {units.short_image(old.image_id)} to {units.short_image(new_image.id)}.",
        old_image=old.image_id,
        new_image=new_image.id,
        was=old.status,
        old_policy=old.restart_policy,
        large=spec.layer_size(raw) > LARGE_LAYER,
        composed=any(label.startswith(spec.COMPOSE) for label in old.labels),
        parked=temp_name(plan.name, "parked", plan.op),
        new_name=temp_name(plan.name, "new", plan.op),
        notes=list(recipe.notes)[:20],
    )
    if hand.has("protect"):
        await hand.step("protect", old)
        await tag(hand, new_image.id, lkg_ref(plan.service))
        hand.mark("protect")
    await _create(hand, recipe.body, new_image.id)


async def _images(hand: Hand, old: Container) -> tuple[Image | None, Image]:
    """Both images, the new one by id; Cannot where it is gone, unfit or quarantined."""
    plan = hand.plan
    wanted = plan.image_id or plan.params.get("image", "")
    new = await hand.read(lambda: hand.engine.image(wanted))
    if new is None:
        raise Cannot(no(Reason.IMAGE_GONE, f"There is no image {wanted[:200]} on this machine; pull or load it first."))
    if new.id in hand.data.get("quarantined", ()) and new.id != hand.data.get("proved"):
        text = (
            f"Image {units.short_image(new.id)} failed {plan.service} before and is quarantined; "
            "it is free again once it ran healthy for the proof time."
        )
        raise Cannot(no(Reason.QUARANTINED, text))
    old_image = await _image_of(hand, old)
    unfit = spec.misfit(old_image, new)
    if unfit is not None:
        raise Cannot(unfit)
    return old_image, new


async def _image_of(hand: Hand, old: Container) -> Image | None:
    """The image of the old one; None where the engine has lost it. One denial is not believed: without it, what the
    image brought (its command above all) would go into the new container as if a person had asked for it."""
    for _ in range(_DENIALS):
        found = await hand.read(lambda: hand.engine.image(old.image_id))
        if found is not None:
            return found
        await hand.nap(_AGAIN)
    return None


def _final_policy(hand: Hand, raw: Json) -> Json:
    """The policy the new one is created with: the old one's, or what a stop of ours took from it."""
    current: Json = (raw.get("HostConfig") or {}).get("RestartPolicy") or {"Name": "no", "MaximumRetryCount": 0}
    kept = str(hand.data.get("policy") or "")
    if kept and current.get("Name") in ("", "no"):
        name, _, retries = kept.partition(":")
        return {"Name": name, "MaximumRetryCount": int(retries or 0)}
    return current


def _reference(hand: Hand, raw: Json, image: Image) -> str:
    """What people call the image it came from; we create by id, so it is kept as a label."""
    asked = hand.plan.params.get("image", "")
    if asked and asked not in ("last-known-good", "current") and not image.id.endswith(asked):
        return asked
    return spec.reference(raw)


async def _dependents(hand: Hand, old: Container) -> None:
    """A healthy container whose network others share is left alone: recreating it would cut them off."""
    if not hand.data.get("healthy"):
        return
    others = (await hand.others()).values()
    sharing = [each.name for each in others if each.running and each.network_parent in (old.id, old.name)]
    if sharing:
        text = f"{', '.join(sharing[:5])} use the network of {old.name} and would be cut off; recreate them together."
        raise Cannot(no(Reason.UNSUPPORTED, text))


async def _create(hand: Hand, body: Json, image_id: str) -> None:
    plan = hand.plan
    name = temp_name(plan.name, "new", plan.op)
    await hand.step("create", must_be(hand, await hand.inspect(plan.container_id)))
    made = await create(hand, name, body)
    if made is None or made.image_id != image_id:
        raise Cannot(
            no(
                Reason.IMAGE_GONE,
                f"The engine made the container from another image than {units.short_image(image_id)}.",
            )
        )
    hand.mark("create", f"{name} is ready.", new_id=made.id)


# ------------------------------------------------------------ inside: to the commit, or back


async def _replace(hand: Hand) -> Finding:
    """Everything from the stop to the commit. Steps that were done already find nothing to do."""
    plan, old_id, new_id = hand.plan, hand.plan.container_id, str(hand.data.get("new_id") or "")
    old = await hand.inspect(old_id)
    if hand.phase == "before":
        must_be(hand, old)
    if old is not None and _started_by_hand(hand, old):
        raise Cannot(no(Reason.INTERFERED, f"Somebody started {old.name} again."))
    await _new_is_there(hand, new_id)
    await hand.step("stop", old)
    hand.mark("stop", "It is asked to stop.", stopped_at=hand.data.get("stopped_at") or hand.clock.wall())
    old = await hand.stop(old_id)
    await hand.step("hold", old)
    if old is not None:
        old = await hand.set_policy(old_id, "no")
    await hand.step("park", old)
    if old is not None and old.name == plan.name:
        old = await hand.rename(old_id, str(hand.data["parked"]))
    await hand.step("adopt", old)
    await _take_name(hand, new_id)
    await hand.step("start", await _new_is_there(hand, new_id))
    base = await launch(hand, new_id, "start", before=0.0)
    await hand.step("probation")
    finding = await watch(hand, new_id, remaining(hand, "start", limit(plan)), base, rival=old_id)
    if finding.ok:
        away = max(0.0, finding.well_at - float(hand.data["stopped_at"]))
        hand.mark("probation", finding.text, proof=finding.text, seconds=round(away, 3))
        await hand.step("commit", await _new_is_there(hand, new_id))
    return finding


def _started_by_hand(hand: Hand, old: Container) -> bool:
    """Whether the old one runs although this plan had stopped it and held it down, before this process took over."""
    held = old.restart_policy == "no" and hand.data.get("old_policy") != "no"
    return hand.phase != "before" and old.status in ACTIVE and (held or old.name == hand.data.get("parked"))


async def _new_is_there(hand: Hand, new_id: str) -> Container:
    seen = await hand.inspect(new_id) if new_id else None
    if seen is None:
        raise Cannot(no(Reason.INTERFERED, "The new container was removed by somebody."))
    return seen


async def _take_name(hand: Hand, new_id: str) -> None:
    try:
        await hand.rename(new_id, hand.plan.name)
    except Conflict:
        holder = await hand.inspect(hand.plan.name)
        if holder is None or holder.id in (new_id, hand.plan.container_id):
            raise
        text = f"Somebody made another container called {hand.plan.name} ({holder.id[:12]})."
        raise Cannot(no(Reason.NAME_TAKEN, text)) from None


# ------------------------------------------------------------ ways out


async def _leave(hand: Hand, why: Verdict, *, early: bool) -> Ending:
    """The safest way out from where it stands."""
    if hand.phase != "before":
        return await rollback.run(hand, why.text)
    reason = Reason.ENDED_EARLY if early else Reason.FAILED
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
