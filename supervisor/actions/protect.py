"""Protect: tag an image that proved healthy, so that no clean-up takes the last known good one away."""

from supervisor import units
from supervisor.actions.common import sentence
from supervisor.actions.hand import Denied, Ending, Hand, ended_early
from supervisor.actions.steps import lkg_ref
from supervisor.errors import EngineError
from supervisor.facts import Image
from supervisor.ports import Engine
from supervisor.verdicts import Reason, no, yes


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    image_id, ref = hand.plan.image_id, lkg_ref(hand.plan.service)
    try:
        await hand.step("protect")
        await tag(hand, image_id, ref)
        hand.mark("protect", f"{ref} stands for {units.short_image(image_id)}.")
    except Denied as err:
        return ended_early(err)
    except EngineError as err:
        return Ending(no(Reason.FAILED, sentence(f"{units.short_image(image_id)} could not be protected: {err}")))
    return Ending(yes(f"{units.short_image(image_id)} is kept as {ref}.", Reason.VERIFIED))


async def tag(hand: Hand, image_id: str, ref: str) -> None:
    """See to it that the reference stands for the image."""

    def done(seen: Image | None) -> bool:
        return seen is not None and seen.id == image_id

    engine: Engine = hand.engine
    await hand.make(lambda: engine.image(ref), done, lambda seen: engine.tag(image_id, ref))
