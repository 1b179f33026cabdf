"""What all maneuvers for memory do the same way: look at the container, at its memory, and say what came of it.

From: hand.py. To: the Ending of a plan, whose `memory` tells what was promised and what was got, before and after.
The engine is only asked whether it is still the same container and runs; if it keeps silent the plan ends soon, since
short memory does not wait.
"""

from collections.abc import Awaitable, Callable

from supervisor import units
from supervisor.actions.common import must_be, sentence, still_there
from supervisor.actions.hand import Cannot, Denied, Ending, Hand, LeftOpen, cannot, ended_early
from supervisor.errors import ResurgamError
from supervisor.facts import Container, GroupMemory, Json
from supervisor.units import speaker
from supervisor.verdicts import Reason, no

SILENT = 10.0
"""seconds an engine may keep silent"""
CLOSE = 65536.0
"""bytes: the kernel rounds what is written to whole pages"""

Body = Callable[[Hand], Awaitable[Ending]]


async def guarded(hand: Hand, body: Body, failed: Callable[[Hand, str], Ending] | None = None) -> Ending:
    """Do it, or go on with it; every way to fail becomes an ending. `failed`: the ending of one that had begun."""
    lost = failed or failure
    try:
        return await body(hand)
    except LeftOpen:
        raise
    except Cannot as err:
        return cannot(err) if hand.phase == "before" else lost(hand, str(err))
    except Denied as err:
        return ended_early(err) if hand.phase == "before" else lost(hand, str(err))
    except ResurgamError as err:
        if hand.phase == "before":
            return cannot(Cannot(no(Reason.FAILED, _sentence(hand, str(err)))))
        return lost(hand, str(err))


def failure(hand: Hand, trouble: str) -> Ending:
    """It was begun and came to nothing."""
    return Ending(no(Reason.FAILED, _sentence(hand, trouble)))


def refused(hand: Hand, trouble: str) -> Cannot:
    """It cannot be done here; nothing was touched."""
    return Cannot(no(Reason.UNSUPPORTED, _sentence(hand, trouble)))


def _sentence(hand: Hand, trouble: str) -> str:
    return sentence(f"{hand.plan.verb} {hand.plan.service} was not done: {trouble}")


async def see(hand: Hand) -> Container | None:
    """The container as it stands now."""
    return await hand.inspect(hand.plan.container_id, hand.clock.mono() + SILENT)


async def look(hand: Hand) -> tuple[Container, GroupMemory]:
    """The first step: the container that the plan found runs, and what is wanted can be done to it here."""
    seen = await see(hand)
    await hand.step("look", seen)
    box = must_be(hand, seen)
    _runs(hand, box)
    why = hand.groups.cannot(hand.plan.verb, box)
    if why:
        raise refused(hand, why)
    return box, await hand.groups.read(box)


async def begin(hand: Hand) -> Container:
    """The step that has the effect: asked for with a fresh look. A rename in between changes nothing about whose
    memory it is."""
    seen = await see(hand)
    await hand.step(hand.plan.verb, seen)
    box = still_there(hand, seen)
    _runs(hand, box)
    return box


def _runs(hand: Hand, box: Container) -> None:
    if not box.running:
        raise refused(hand, f"{box.name} does not run (it is {box.status})")


def size(hand: Hand, name: str) -> float:
    """A parameter in bytes; 0 where it was left out."""
    text = str(hand.plan.params.get(name) or "")
    return float(units.size(text)) if text else 0.0


def seconds(hand: Hand, name: str) -> float:
    """A parameter in seconds."""
    return units.duration(str(hand.plan.params[name]))


def planned(hand: Hand) -> float:
    """What the service is to need at most, in bytes; 0 where nobody knows."""
    return float(hand.data.get("memory_plan") or hand.plan.needs.memory)


def before(memory: GroupMemory) -> Json:
    """How it was, for the mark of the first look."""
    return {"used_before": memory.used, "usage_before": memory.usage}


def told(hand: Hand, after: GroupMemory | None, *, expected: float = 0.0, got: float = 0.0) -> Json:
    """What was promised and what came of it, for the end of a plan. All in bytes."""
    used, usage = float(hand.data.get("used_before") or 0.0), float(hand.data.get("usage_before") or 0.0)
    found: Json = {"expected": expected, "got": got, "used_before": used, "usage_before": usage}
    if after is not None:
        found |= {"used_after": after.used, "usage_after": after.usage}
    return {"memory": found}


def shown(hand: Hand, number: float) -> str:
    """Bytes, for people, as they write them themselves."""
    return speaker((float(hand.data.get("sizes_like") or 0.0),))(max(0.0, number))
