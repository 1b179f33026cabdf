"""After a Phoenix was committed: the parked container is replaced by a spare, and what it was is said.

A parked container that kept its compose labels would make the next `compose up` remove the serving one and start the
old one. So a copy is created and never started: same recipe and image id, our labels instead of compose's, policy
`no`. Nothing here can change the outcome any more: what cannot be tidied is kept, listed, and said.
"""

from supervisor import units
from supervisor.actions import forensics, recipe
from supervisor.actions.common import create, left_over, namespaces
from supervisor.actions.hand import ACTIVE, Denied, Ending, Hand
from supervisor.actions.plans import retags
from supervisor.actions.protect import tag
from supervisor.errors import EngineError
from supervisor.facts import Container, Json
from supervisor.services import OP_LABEL, ROLE_LABEL, temp_name
from supervisor.verdicts import Reason, yes


async def run(hand: Hand) -> Ending:
    """Tidy up, or go on with it."""
    warning = ""
    try:
        warning = await _tag(hand)
        await hand.step("spare", await hand.inspect(hand.plan.container_id))
        warning += await _tidy(hand)
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
    name = temp_name(plan.name, "spare", plan.op)
    raw: Json = await hand.read(lambda: hand.engine.raw(old.id))
    image = await hand.read(lambda: hand.engine.image(old.image_id))
    engine = await hand.read(hand.engine.info)
    body = recipe.spare(raw, image, op=plan.op, names=await namespaces(hand, raw), engine=engine).body
    made = await create(hand, name, body)
    if made is not None:
        await recipe.injected.carry(hand, raw, made.id)
    for other, each in sorted((await hand.others()).items()):
        if other != name and _is_spare_of(plan.name, each) and each.status not in ACTIVE:
            await hand.remove(each.id)
    hand.mark("spare", f"{name} holds what was before.")


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
