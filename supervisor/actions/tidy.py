"""After a Phoenix was committed: the parked container is replaced by a spare, and what it was is said.

A parked container that kept its compose labels would make the next `compose up` remove the serving one and start the
old one. So a copy is created and never started: same recipe and image id, our labels instead of compose's, policy
`no`. So it is done with those that earlier plans left parked, since they had not ended well. Nothing here can change
the outcome any more: what cannot be tidied is kept, listed, and said.
"""

from supervisor import units
from supervisor.actions import forensics, prepare, recipe
from supervisor.actions.common import create, left_over, namespaces
from supervisor.actions.hand import ACTIVE, Denied, Ending, Hand
from supervisor.actions.plans import retags
from supervisor.actions.protect import tag
from supervisor.errors import EngineError
from supervisor.facts import Container, Json
from supervisor.services import COMPOSE_SERVICE_LABEL, OP_LABEL, PROJECT_LABEL, ROLE_LABEL, role_of, temp_name
from supervisor.verdicts import Reason, yes


async def run(hand: Hand) -> Ending:
    """Tidy up, or go on with it."""
    warning = ""
    try:
        warning = await _tag(hand)
        await hand.step("spare", await hand.inspect(hand.plan.container_id))
        warning += await _tidy(hand)
        warning += await _older(hand)
        warning += await _serves(hand)
    except (Denied, EngineError) as err:
        warning += f" Tidying up was not finished: {units.plain(str(err), 300)}."
    return Ending(yes(_text(hand) + warning, Reason.VERIFIED), await left_over(hand), _data(hand))


async def _tag(hand: Hand) -> str:
    """What the reference stands for from now on: after a rollback with --retag the image that was gone back to. Else a
    person is told what the next `compose up` would bring. Returns that warning."""
    plan, ref, image_id = hand.plan, str(hand.data.get("new_ref") or ""), str(hand.data["new_image"])
    if plan.verb != "rollback" or not ref:
        return ""
    if retags(plan):
        await hand.step("retag")
        try:
            await tag(hand, image_id, ref)
        except EngineError as err:
            hand.mark("retag", f"{ref} could not be moved: {err}.", ok=False)
            return f" {ref} could not be moved to it: {units.plain(str(err), 200)}."
        hand.mark("retag", f"{ref} stands for {units.short_image(image_id)} now.")
        return f" {ref} stands for it now."
    now = await hand.read(lambda: hand.engine.image(ref))
    if now is None or now.id == image_id:
        return ""
    return (
        f" {ref} still stands for {units.short_image(now.id)}: the next `docker compose up` would bring that back. To "
        f"move the tag, too: resurgam rollback {plan.service} --retag."
    )


async def _tidy(hand: Hand) -> str:
    """Make the spare, take the parked one away. Returns what a person should be warned of."""
    parked = str(hand.data.get("parked") or "")
    old = await hand.inspect(hand.plan.container_id)
    if old is None:
        return ""
    if not _parked(hand, old):
        return _taken(old)
    if hand.data.get("large"):
        return (
            f" {parked} is kept: much was written into its own layer, which nothing else has. Remove it before the "
            "next `compose up`, or compose may start it."
        )
    try:
        await _make_spare(hand, old)
    except EngineError as err:
        hand.mark("spare", f"No spare: {err}.", ok=False)
        return f" {parked} is kept, since no spare could be made of it ({units.plain(str(err), 200)})."
    if "old_log" not in hand.data:
        hand.mark("spare", old_log=await forensics.last_words(hand, old.id))  # it goes with the container
    await hand.step("clear", old)
    old = await hand.inspect(hand.plan.container_id)
    if old is not None and not _parked(hand, old):
        return _taken(old)
    await hand.remove(hand.plan.container_id)
    hand.mark("clear")
    return ""


async def _serves(hand: Hand) -> str:
    """What became of the new one since it proved healthy, where somebody took it away; '' where it is still there."""
    seen = await hand.inspect(str(hand.data.get("new_id") or hand.plan.name))
    if seen is not None and seen.status in ACTIVE:
        return ""
    became = "was removed" if seen is None else f"is {seen.status}"
    return f" But it {became} since, by somebody's hand or by itself: `docker compose up -d` brings it back."


def _parked(hand: Hand, old: Container) -> bool:
    """Whether it still stands as we left it: nobody renamed or started it."""
    return old.name == hand.data.get("parked") and old.status not in ACTIVE


def _taken(old: Container) -> str:
    doing = "runs" if old.status in ACTIVE else "exists"
    return f" The old container {doing} as {old.name}, by somebody's hand, and was left alone."


async def _make_spare(hand: Hand, old: Container) -> None:
    """The spare of this plan, with the files that no recipe shows; an older one, of an earlier Phoenix, goes."""
    plan = hand.plan
    raw = await _raw(hand, old)
    name = await _copy(hand, old, raw, plan.op)
    stays = (name, *dict(hand.data.get("older") or {}).values())
    for other, each in sorted((await hand.others()).items()):
        if other not in stays and _is_spare_of(plan.name, each) and each.status not in ACTIVE:
            await hand.remove(each.id)
    hand.mark("spare", f"{name} holds what was before.")


async def _copy(hand: Hand, old: Container, raw: Json, op: str) -> str:
    """See to it that the spare of this container exists; its name."""
    name = temp_name(hand.plan.name, "spare", op)
    image = await hand.read(lambda: hand.engine.image(old.image_id))
    engine = await hand.read(hand.engine.info)
    body = recipe.spare(raw, image, op=op, names=await namespaces(hand, raw), engine=engine).body
    made = await create(hand, name, body, op)
    if made is not None:
        await recipe.injected.carry(hand, raw, made.id)
    return name


async def _older(hand: Hand) -> str:
    """Those that earlier plans left parked, since their way back was denied or failed: what serves now is proven, so
    the newest gets a spare as well and they all go. What has much of its own stays. Returns what is to be said."""
    others = await hand.others()
    found = [(op, each) for each in others.values() if (op := _left_by(hand, each))]
    if not found:
        return ""
    found.sort(key=lambda one: (one[1].created_at, one[1].id), reverse=True)
    known: dict[str, str] = dict(hand.data.get("older") or {})  # what this plan began, maybe in an earlier process
    spares = known | {each.name: temp_name(hand.plan.name, "spare", op) for op, each in found}
    spare = next((spares[name] for name in known if name not in others and spares[name] in others), "")
    hand.mark("clear", older=spares)  # durable before anything of it is done
    await hand.step("clear")
    said = ""
    for op, each in found:
        try:
            raw = await _raw(hand, each)
            if recipe.layer_size(raw) > prepare.LARGE_LAYER:
                said += f" {each.name}, of an earlier Phoenix, is kept: much was written into its own layer."
                continue
            spare, holds = spare or await _copy(hand, each, raw, op), "" if spare else "; its spare holds what it was"
            seen = await hand.inspect(each.id)
            if seen is not None and _left_by(hand, seen):
                await hand.remove(each.id)
                said += f" {each.name}, left by an earlier Phoenix, was removed{holds}."
        except EngineError as err:
            hand.mark("clear", f"{each.name} stays: {err}.", ok=False)
            return f"{said} {each.name}, of an earlier Phoenix, is kept: {units.plain(str(err), 200)}."
    hand.mark("clear")
    return said


async def _raw(hand: Hand, each: Container) -> Json:
    return await hand.read(lambda: hand.engine.raw(each.id))


def _left_by(hand: Hand, each: Container) -> str:
    """The op of the earlier plan that parked it, '' where it is none of those: it must stand still as we left it, under
    a name of ours for this service, and be of the same compose service (if of any) as what was replaced now."""
    role, op = role_of(hand.plan.name, each.name)
    same = [each.labels.get(label, "") for label in (PROJECT_LABEL, COMPOSE_SERVICE_LABEL)]
    earlier = role == "parked" and op != hand.plan.op and each.id != hand.plan.container_id
    still = each.status not in ACTIVE and each.restart_policy == "no"
    return op if earlier and still and same == list(hand.data.get("family") or ()) else ""


def _is_spare_of(name: str, each: Container) -> bool:
    op = each.labels.get(OP_LABEL, "")
    if each.labels.get(ROLE_LABEL) != "spare" or not op.isalnum():
        return False
    return each.name == temp_name(name, "spare", op)


def _text(hand: Hand) -> str:
    data = hand.data
    old, new = units.short_image(str(data.get("old_image") or "")), units.short_image(str(data.get("new_image") or ""))
    moved = f"from image {old} to {new}" if old != new else f"on the same image {new}"
    proof = data.get("proof") or "it proved healthy"
    away = f", {units.show_duration(float(data['downtime']))} away" if data.get("downtime") else ""
    notes = [str(note) for note in data.get("notes") or ()]
    return f"{hand.plan.service} rose again {moved}{away}: {proof}." + (
        f" Note: {' '.join(notes[:3])}" if notes else ""
    )


def _data(hand: Hand) -> Json:
    """What the core learns: the image that was replaced while it made the service sick is not to be gone back to."""
    data = hand.data
    old = data.get("old_image")
    blame = data.get("sick") and old and old not in (data.get("new_image"), data.get("proved"))
    return {"blame": old} if blame else {}
