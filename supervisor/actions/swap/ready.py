"""Waits until a model is really there: its server says so, it is the right one, and it gives one whole answer.

From: the server's look (never disturbing), one real completion, the container. To: swap.py and its kin. A 200 from a
health page alone is never believed: servers give it asleep, empty and broken.
"""

from dataclasses import dataclass

from supervisor import units
from supervisor.actions.common import remaining
from supervisor.actions.hand import Hand
from supervisor.actions.swap.checks.case import Part
from supervisor.actions.swap.sides import Sides
from supervisor.actions.swap.watching import Trouble, Vigil, check, meanwhile, outlived
from supervisor.errors import ServerError
from supervisor.facts import Completion, Identity, ServerLook
from supervisor.facts.slots import ASLEEP, FAILED, LOADED
from supervisor.ports import ModelAt

PROMPT, TOKENS = "Say yes.", 8
"""what it is asked"""
TRIES = 4
"""answers that may go wrong once it says that it is loaded"""
LONGEST = 1.5
"""how many times its limit a load may take as long as it gets on"""
_SOON, _SLOWEST, _SHARE = 0.05, 1.0, 0.1
"""seconds between two looks: a share of what it took so far"""
_TOLD_AGAIN = 10.0


@dataclass(frozen=True, slots=True)
class Ready:
    """It answers. `seconds`: since its start; 0 where it was in memory already."""

    identity: Identity
    answer: Completion
    seconds: float
    at: float
    """unix seconds"""
    look: ServerLook


async def ready(hand: Hand, both: Sides, vigil: Vigil, began: str, step: str, times: float = 1.0) -> Ready:
    """Wait for it, as long as its load may take (`times` so long for one that must come back). `began`: the step that
    brought it. Trouble where it does not come."""
    part, since = vigil.part, hand.clock.mono()
    seconds = remaining(hand, began, both.limit(part) * times)
    deadline, last = since + seconds, since + seconds * LONGEST
    progress, bad, told = -1.0, 0, since
    while True:
        seen = await check(hand, vigil)
        at = ModelAt(part.model, part.needs, seen)
        look = await hand.models.server.look(at)
        now = hand.clock.mono()
        if look.state == FAILED:
            raise Trouble(f"{vigil.name} failed to load: {look.text}", its_fault=True)
        if look.state == LOADED or (look.state == ASLEEP and not part.model.sleep):
            wrong = another(part, look.identity)
            if wrong:
                raise Trouble(wrong, its_fault=True)
            answer = await _answer(hand, both, vigil, at, last)
            if isinstance(answer, Completion):
                return _there(hand, look, answer, began)
            bad += 1
            if bad >= TRIES:
                raise Trouble(f"{vigil.name} says that it is loaded, and does not answer: {answer}", its_fault=True)
            hand.mark(step, f"Asked for an answer: {answer}.", ok=False)
        getting_on, progress = look.progress > progress, max(progress, look.progress)
        if now >= last or (now >= deadline and not getting_on):
            took = units.show_duration(seconds)
            raise Trouble(f"{vigil.name} was not ready within {took}: {look.text}", its_fault=hand.cuts == vigil.cuts)
        if now - told >= _TOLD_AGAIN:
            told = now
            much = f", {look.progress * 100:.0f} %" if look.progress >= 0 else ""
            hand.mark(step, f"{vigil.name}: {look.state}{much}, for {units.show_duration(now - since)}.", ok=False)
        await hand.nap(min(_SLOWEST, max(_SOON, _SHARE * (now - since))))


async def _answer(hand: Hand, both: Sides, vigil: Vigil, at: ModelAt, last: float) -> Completion | ServerError:
    within = max(1.0, min(both.case.slot.criteria_of(vigil.name).within, last - hand.clock.mono()))
    try:
        return await meanwhile(hand, vigil, hand.models.server.complete(at, PROMPT, TOKENS, within))
    except ServerError as err:
        await outlived(hand, vigil)
        return err


def _there(hand: Hand, look: ServerLook, answer: Completion, began: str) -> Ready:
    launched = float(hand.data.get(f"launched_{began}") or 0.0)
    wall = hand.clock.wall()
    return Ready(look.identity, answer, round(max(0.0, wall - launched), 3) if launched else 0.0, wall, look)


def another(part: Part, identity: Identity) -> str:
    """Why it is not the model that was meant; '' where it is, or its server does not say who it is. Only a declared
    name is held against it: without one, a server calls its model what it likes."""
    wanted = part.model.model
    names = [name for name in (identity.model, *identity.aliases) if name]
    if not wanted or not names or wanted in names:
        return ""
    file = identity.path.rstrip("/").rpartition("/")[2]
    if file and file == wanted.rstrip("/").rpartition("/")[2]:
        return ""
    shown = units.plain(", ".join(names), 200)
    return f"{part.model.name}: its server serves {shown}, not {wanted}"
