"""A Phoenix from a compose file: the recipe of a plan that carries a document, and the files that belong to it.

From: prepare.py, where `plan.document` is set. To: the same create body that any Phoenix goes on with. Whatever widens
rights needs a person's yes in the plan itself, judged here, right before anything is made, and on what runs now.
"""

from supervisor.actions.common import namespaces, sentence
from supervisor.actions.compose import body, difference, preview
from supervisor.actions.compose.body import Place
from supervisor.actions.compose.difference import Pair
from supervisor.actions.compose.model import Spec
from supervisor.actions.hand import Cannot, Hand
from supervisor.actions.recipe import Recipe, injected
from supervisor.facts import Image, Json
from supervisor.ports import EngineInfo
from supervisor.verdicts import Reason, Verdict, no

LABELED = "The label config-hash is as it was: the next `compose up` makes it anew, once."


async def recipe_of(
    hand: Hand, raw: Json, old: Image | None, new: Image, ref: str, engine: EngineInfo | None = None
) -> Recipe:
    """The recipe from the plan's document; Cannot where it does not fit, or needs a yes it has not got."""
    spec = _spec(hand)
    containers = (await hand.others()).values()
    place = Place(raw, await namespaces(hand, raw), preview.siblings(raw, containers))
    wrong = body.misplaced(spec, place)
    if wrong is not None:
        raise Cannot(wrong)
    made = body.successor_from(spec, place, old, new, op=hand.plan.op, ref=ref, engine=engine)
    if hand.plan.needs.boot == "ordered":  # then it is ours to start it after a boot
        made.body["HostConfig"]["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    found = difference.differences(Pair(raw, made.body, old, new, place.names))
    wide = difference.widens(found)
    _agreed(hand, spec, wide)
    said = [one.text for one in found[:10]]
    unhashed = [LABELED] if found and not spec.config_hash else []
    return Recipe(made.body, (*made.notes, *said, *unhashed))


def _agreed(hand: Hand, spec: Spec, wide: tuple[difference.Difference, ...]) -> None:
    """Cannot where it widens what nobody said yes to. A yes counts for what the question named: an image's tag, a
    container or a network may have become another one since."""
    said = difference.sentence(wide)
    if not wide or (hand.plan.approved and said in spec.agreed):
        return
    text = f"The compose file widens what {hand.plan.service} may do: {said}."
    if hand.plan.approved:
        text = f"That is other than what {hand.plan.approved} agreed to, so nothing was touched; ask again. {text}"
    wrong = difference.too_much(said)
    if wrong:
        raise Cannot(no(Reason.WIDENS, sentence(f"The compose file is not applied to {hand.plan.service}: {wrong}.")))
    raise Cannot(no(Reason.NEEDS_APPROVAL, text))


async def put_files(hand: Hand, container: str) -> None:
    """Put the contents of inline configs and secrets into the container that was made and not started."""
    given = body.files(_spec(hand)) if hand.plan.document else ()
    if given:
        # whole seconds, at the container's own making: so a later recreation knows them for compose's
        now = int(hand.clock.wall())
        tar = injected.pack(injected.Found(tuple(injected.File(*one, mtime=now) for one in given)))
        await hand.read(lambda: hand.engine.put_archive(container, "/", tar))


def _spec(hand: Hand) -> Spec:
    found = preview.read(hand.plan.document)
    if isinstance(found, Verdict):
        raise Cannot(found)
    return found
