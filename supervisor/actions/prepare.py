"""What a Phoenix does before anything is touched, while the old container serves: look, protect, back up, create.

From: phoenix.py. To: the marks that the rest of the maneuver, and a later process, go on from. Whatever is wrong here
is said, and costs nobody a second of the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor import units
from supervisor.actions import backup, proof, recipe
from supervisor.actions.common import create, must_be, namespaces
from supervisor.actions.compose import applying
from supervisor.actions.hand import Cannot, Hand
from supervisor.actions.protect import tag
from supervisor.actions.recipe.traits import LOST
from supervisor.actions.steps import lkg_ref
from supervisor.errors import EngineError
from supervisor.facts import Container, Image, Json, Plan
from supervisor.ports import EngineInfo
from supervisor.services import COMPOSE_SERVICE_LABEL, PROJECT_LABEL, temp_name
from supervisor.verdicts import Reason, Verdict, no

_DENIALS, _AGAIN = 3, 0.5
"""how often the engine must say that it has no such image, and seconds between"""
_MALFORMED = 400
"""the status of a create body that an engine does not understand"""
LARGE_LAYER = 1 << 30
"""bytes: a container that wrote more than this into its own layer is kept, not replaced by a spare"""


@dataclass(frozen=True, slots=True)
class _Case:
    """What a new container is made from: the old one's inspect, the engine, both images, names behind ids."""

    raw: Json
    """with its safe profile in it, or out of it, where that is what is asked for"""
    engine: EngineInfo
    old: Image | None
    new: Image
    names: Mapping[str, str]
    profile: recipe.profile.Changed
    """what `raw` was changed by"""


async def run(hand: Hand) -> None:
    """Everything up to a new container that is ready to take over. Denied (Cannot) where there can be none."""
    plan = hand.plan
    old = await hand.inspect(plan.container_id)
    await hand.step("look", old)
    old = must_be(hand, old)
    case = await _case(hand, old)
    successor, ref = await _recipe(hand, case)
    doubts = await hand.room.doubts(plan.needs, old)
    raw, old_image, new_image = case.raw, case.old, case.new
    hand.mark(
        "look",
        f"From {units.short_image(old.image_id)} to {units.short_image(new_image.id)}.",
        old_image=old.image_id,
        new_image=new_image.id,
        **proof.named(old, old_image, ref, new_image),
        was=old.status,
        old_policy=old.restart_policy,
        large=recipe.layer_size(raw) > LARGE_LAYER,
        composed=any(label.startswith(recipe.COMPOSE) for label in old.labels),
        family=[old.labels.get(label, "") for label in (PROJECT_LABEL, COMPOSE_SERVICE_LABEL)],
        parked=temp_name(plan.name, "parked", plan.op),
        new_name=temp_name(plan.name, "new", plan.op),
        notes=[*successor.notes, *case.profile.notes, *recipe.warnings(raw, case.engine), *doubts][:20],
        **_remembered(plan, case),
    )
    if hand.has("protect"):
        await hand.step("protect", old)
        await tag(hand, new_image.id, lkg_ref(plan.service))
        hand.mark("protect")
    if hand.has("before") and new_image.id != old.image_id:
        await backup.run(hand)
    await _create(hand, case, successor.body)


def _remembered(plan: Plan, case: _Case) -> Json:
    return {"profile": case.profile.before} if plan.params.get("profile") else {}


async def _case(hand: Hand, old: Container) -> _Case:
    """Look at everything the new container is made from; Cannot where it must not, or cannot, be made."""
    raw = await hand.read(lambda: hand.engine.raw(old.id))
    engine = await hand.read(hand.engine.info)
    refused = recipe.refusal(raw, engine)
    if refused is None and not hand.plan.document:
        refused = await recipe.missing_sources(raw, engine)
    if refused is not None:
        raise Cannot(refused)
    old_image, new_image = await _images(hand, old, engine)
    changed = recipe.profile.of_plan(hand.plan, raw, old_image, new_image)
    if isinstance(changed, Verdict):
        raise Cannot(changed)
    return _Case(changed.raw, engine, old_image, new_image, await namespaces(hand, raw), changed)


async def _recipe(hand: Hand, case: _Case) -> tuple[recipe.Recipe, str]:
    """What it is made of, and the reference its image came by; Cannot where it would get more rights than it has."""
    plan, raw, new = hand.plan, case.raw, case.new
    ref = _reference(hand, raw, new)
    if plan.document:
        made = await applying.recipe_of(hand, raw, case.old, new, ref, case.engine)
    else:
        made = recipe.successor(
            raw,
            case.old,
            new,
            op=plan.op,
            policy=recipe.final_policy(raw, plan.needs, str(hand.data.get("policy") or "")),
            ref=ref,
            names=case.names,
            keep_env=plan.needs.keep_env,
            engine=case.engine,
        )
    _keeps_rights(hand, case, made.body)
    return made, ref


def _keeps_rights(hand: Hand, case: _Case, made: Json) -> None:
    """`made`: a create body, or the inspect of what was made of it."""
    changes = recipe.rights.check(
        case.raw, made, case.old, case.new, names=case.names, default_runtime=case.engine.default_runtime
    )
    may = recipe.rights.verdict(changes, approved=hand.plan.approved, document=bool(hand.plan.document))
    if not may.ok:
        raise Cannot(may)


async def _images(hand: Hand, old: Container, engine: EngineInfo) -> tuple[Image | None, Image]:
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
    unfit = recipe.misfit(old_image, new, engine)
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
    listed = await hand.read(hand.engine.images)
    if old.image_id in listed.values():
        text = f"The engine lists {units.short_image(old.image_id)}, which {old.name} runs, and does not show it."
        raise Cannot(no(Reason.UNFAITHFUL, f"{text} Without it nobody can tell what a person asked for; try again."))
    return None


def _reference(hand: Hand, raw: Json, image: Image) -> str:
    """What people call the image it came from; we create by id, so it is kept as a label."""
    asked = hand.plan.params.get("image", "")
    if asked and asked not in ("last-known-good", "current") and not image.id.endswith(asked):
        return asked
    return recipe.reference(raw)


async def _create(hand: Hand, case: _Case, body: Json) -> None:
    """Make it, put into it what no inspect shows, and prove that it is as it should be, before anything is touched."""
    plan, image_id = hand.plan, case.new.id
    name = temp_name(plan.name, "new", plan.op)
    await hand.step("create", must_be(hand, await hand.inspect(plan.container_id)))
    left_out: tuple[str, ...] = ()
    try:
        made = await create(hand, name, body)
    except EngineError as err:
        milder, left_out = recipe.compat.lenient(body) if err.status == _MALFORMED else (body, ())
        if not left_out:
            raise
        made = await create(hand, name, milder)
    if made is None or made.image_id != image_id:
        short = units.short_image(image_id)
        raise Cannot(no(Reason.IMAGE_GONE, f"The engine made the container from another image than {short}."))
    notes = list(hand.data.get("notes") or ())
    if plan.document:
        await applying.put_files(hand, made.id)
    else:
        carried = await recipe.injected.carry(hand, case.raw, made.id)
        notes += [f"{trait.what}: {trait.how}." for trait in carried if trait.kind == LOST]
    proof_of = await hand.read(lambda: hand.engine.raw(made.id))
    if plan.document:
        found = recipe.likeness.honours(body, proof_of)
    else:
        found = recipe.likeness.compare(
            case.raw, proof_of, case.old, case.new, names=case.names, keep_env=plan.needs.keep_env, left_out=left_out
        )
    alike = recipe.likeness.verdict(plan.name, found)
    if not alike.ok:
        raise Cannot(alike)
    _keeps_rights(hand, case, proof_of)
    notes += [f"{field} was left out: this engine does not take it." for field in left_out]
    hand.mark("create", f"{name} is ready.", new_id=made.id, notes=notes[:20])
