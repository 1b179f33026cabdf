"""Release: a container that stands still gets back the restart policy we took from it. Nothing else is touched.

A restart policy is only ever changed on a container that stands still: one that was started meanwhile is left as it is.
"""

from supervisor.actions.common import must_be, sentence
from supervisor.actions.hand import ACTIVE, Cannot, Denied, Ending, Hand, cannot, ended_early
from supervisor.errors import EngineError
from supervisor.facts import Container
from supervisor.verdicts import Reason, no, yes


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    service, policy = hand.plan.service, hand.plan.params["policy"]
    try:
        found = _still(hand, await hand.inspect(hand.plan.container_id))
        await hand.step("policy", found)
        _still(hand, await hand.set_policy(found.id, policy))
        hand.mark("policy", f"Its restart policy is {policy} again.")
    except Cannot as err:
        return cannot(err)
    except Denied as err:
        return ended_early(err)
    except EngineError as err:
        return Ending(no(Reason.FAILED, sentence(f"{service} did not get its restart policy {policy} back: {err}")))
    return Ending(yes(f"{service} has its restart policy {policy} again.", Reason.VERIFIED))


def _still(hand: Hand, seen: Container | None) -> Container:
    found = must_be(hand, seen)
    if found.status in ACTIVE:
        raise Cannot(no(Reason.INTERFERED, f"{hand.plan.name} was started meanwhile; it is left as it is."))
    return found
