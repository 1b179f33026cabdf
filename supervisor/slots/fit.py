"""Whether a model has room here: of the machine's memory and of each card, by the best figure that there is. Pure.

From: what was measured when it last ran, what its own image said in a dry run, what is declared, what its files say;
what is free now, and what comes back from the model that leaves. To: shape.py (does it fit beside?), the preflight of a
swap (does it fit at all?), core/slots.py. All sizes are bytes. What nobody knows is said, and refuses nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from supervisor.facts import Free, Needs, SlotModel, WeightsLook
from supervisor.units import Say, is_decimal, show_size

MEASURED, DRY_RUN, DECLARED, ESTIMATE = "measured", "dry run", "declared", "estimate"
SOURCES = (MEASURED, DRY_RUN, DECLARED, ESTIMATE)
"""where a figure comes from, the most trusted first"""

MEMORY, ANY_CARD, ANYWHERE = "memory", "any", "anywhere"
"""places that are no card: the machine's memory | whichever card | memory and cards together"""

FACTOR = 1.05
"""a peak that was seen, or foretold, can be a little higher the next time; what is declared is the most by itself"""
MARGIN, MARGIN_SHARE = float(1 << 30), 0.05
"""bytes that stay free beside it at most, and the share of the need that is asked where that is less"""
GUESS = 1.25
"""by how much an estimate must have more room than it says, to be run beside another model"""

UuidOf = Callable[[str], str]
"""the UUID of the card that a word means (`0`, a UUID …), '' where it means none"""


@dataclass(frozen=True, slots=True)
class Need:
    """What a model takes in one place."""

    where: str
    """memory | a card's UUID | any (whichever card) | anywhere (memory and cards together)"""
    bytes: float
    source: str
    """one of SOURCES"""


@dataclass(frozen=True, slots=True)
class Place:
    """One place, and whether its need has room there. `ok` None: nobody can say."""

    need: Need
    free: float
    back: float
    """comes back from whoever leaves"""
    ok: bool | None
    asked: float = 0.0
    """what must be there: the need, with its margin"""

    @property
    def spare(self) -> float:
        """What is left with it; below 0 where it is missing."""
        return self.free + self.back - self.need.bytes


@dataclass(frozen=True, slots=True)
class Fit:
    """Every place. `ok` None: nothing speaks against it, and of some place nobody can say."""

    ok: bool | None
    places: tuple[Place, ...] = ()


NOTHING = Free(0.0)


# ------------------------------------------------------------ what it needs


def trusted(*sources: Iterable[Need]) -> tuple[Need, ...]:
    """Of memory and of the cards, the needs by the most trusted source that knows them; `sources` in any order. What is
    only known of both together counts where nothing else is known at all."""
    found = sorted((one for source in sources for one in source if one.bytes > 0), key=lambda one: _rank(one.source))
    memory = _of_best([one for one in found if one.where == MEMORY])
    cards = _of_best([one for one in found if one.where not in (MEMORY, ANYWHERE)])
    return (*memory, *cards) or _of_best([one for one in found if one.where == ANYWHERE])


def _of_best(found: list[Need]) -> tuple[Need, ...]:
    return tuple(one for one in found if one.source == found[0].source)


def _rank(source: str) -> int:
    return SOURCES.index(source) if source in SOURCES else len(SOURCES)


def declared(model: SlotModel, needs: Needs, uuid_of: UuidOf) -> tuple[Need, ...]:
    """What is declared: of a service under `services:`, of a model inside a server at the model itself."""
    memory = model.memory if model.inside else needs.memory
    cards = model.vram if model.inside else needs.vram
    found = [Need(MEMORY, float(memory), DECLARED)] if memory else []
    sums: dict[str, float] = {}
    for word, size in cards:
        where = (uuid_of(word) or word) if word else ANY_CARD
        sums[where] = sums.get(where, 0.0) + size
    return (*found, *(Need(where, size, DECLARED) for where, size in sums.items() if size > 0))


def measured(memory: float, vram: Mapping[str, float], source: str = MEASURED) -> tuple[Need, ...]:
    """What was seen of it, or what its dry run said. `vram`: UUID -> bytes."""
    found = (Need(MEMORY, float(memory), source), *(Need(uuid, float(size), source) for uuid, size in vram.items()))
    return tuple(one for one in found if one.bytes > 0)


def estimated(look: WeightsLook, context: int) -> tuple[Need, ...]:
    """What its files say: their bytes, and its cache for so many tokens of context (0: as it was trained, or nothing
    where that is not known). Where its parts go, memory or cards, no header tells."""
    if not look.bytes:
        return ()
    cache = look.cache * (context or look.context)
    return (Need(ANYWHERE, look.bytes + cache, ESTIMATE),)


# ------------------------------------------------------------ does it fit?


def fits(needs: Iterable[Need], free: Free, back: Free = NOTHING, *, careful: bool = False) -> Fit:
    """Whether there is room for all of it once `back` is given back. `careful`: while another model goes on serving,
    where a wrong guess would cost that one its life. Else an estimate refuses nothing."""
    places = tuple(_place(need, free, back, careful) for need in needs)
    if any(one.ok is False for one in places):
        return Fit(False, places)
    if not places or any(one.ok is None for one in places):
        return Fit(None, places)
    return Fit(True, places)


def _place(need: Need, free: Free, back: Free, careful: bool) -> Place:
    asked = _asked(need, careful)
    if need.where == MEMORY:
        known, have, more = free.memory > 0, free.memory, back.memory
    elif need.where in (ANY_CARD, ANYWHERE):
        known, have, more = _spread(need, asked, free, back)
    else:
        known = need.where in free.vram
        have, more = free.vram.get(need.where, 0.0), back.vram.get(need.where, 0.0)
    if not known:
        return Place(need, have, more, None, asked)
    enough = asked <= have + more
    if not enough and need.source == ESTIMATE and not careful:
        return Place(need, have, more, None, asked)
    return Place(need, have, more, enough, asked)


def _spread(need: Need, asked: float, free: Free, back: Free) -> tuple[bool, float, float]:
    """(known, free, back) of the one card with most room; of all cards for what is larger than that one, and of memory
    and cards together where that is what is asked."""
    uuids = list(free.vram)
    if need.where == ANYWHERE:
        cards = total(free.vram.values())
        return free.memory > 0, free.memory + cards, back.memory + total(back.vram.get(one, 0.0) for one in uuids)
    if not uuids:
        return False, 0.0, 0.0
    best = max(uuids, key=lambda one: free.vram[one] + back.vram.get(one, 0.0))
    room = free.vram[best] + back.vram.get(best, 0.0)
    if asked <= room or len(uuids) == 1:
        return True, free.vram[best], back.vram.get(best, 0.0)
    return True, total(free.vram.values()), total(back.vram.get(one, 0.0) for one in uuids)


def _asked(need: Need, careful: bool) -> float:
    margin = min(MARGIN, MARGIN_SHARE * need.bytes)
    if need.source == ESTIMATE:
        return need.bytes * GUESS + margin if careful else need.bytes
    if need.source == DECLARED and not careful:
        return need.bytes
    return need.bytes * FACTOR + margin


def total(sizes: Iterable[float]) -> float:
    """The sum of sizes, in their order."""
    found = 0.0
    for size in sizes:
        found += size
    return found


# ------------------------------------------------------------ in words


@dataclass(frozen=True, slots=True)
class Words:
    """How places and sizes are written."""

    say: Say = show_size
    cards: Mapping[str, str] = field(default_factory=dict)
    """UUID -> `gpu:0`"""

    def name(self, where: str) -> str:
        """`memory`, `gpu:0`, `any card`."""
        if where == ANY_CARD:
            return "vram"
        return "memory" if where in (MEMORY, ANYWHERE) else self.cards.get(where, f"gpu:{where[:12]}")


def sentence(place: Place, words: Words) -> str:
    """`341 GB needed, 298 GB come back, 62 GB free: fits, 19 GB to spare`."""
    need, say = place.need, words.say
    source = "" if need.source == DECLARED else f" ({'an estimate' if need.source == ESTIMATE else need.source})"
    where = " of memory and cards" if need.where == ANYWHERE else ""
    asked = f"{say(need.bytes)} needed{source}"
    if place.ok is None and place.free + place.back <= 0:
        return f"{asked}: nobody knows how much is free"
    back = f", {say(place.back)} come back" if place.back > 0 else ""
    have = f"{asked}{back}, {say(place.free)} free{where}"
    if place.ok:
        return f"{have}: fits, {say(place.spare)} to spare"
    if place.ok is None:
        return f"{have}: {say(-place.spare)} may be missing"
    if place.spare >= 0:
        return f"{have}: too tight, {say(place.asked - place.free - place.back)} more must be free to be safe"
    return f"{have}: {say(-place.spare)} are missing"


def speaking(needs: Iterable[Need]) -> Say:
    """As the person writes who declared it: in powers of 1000 where a declared figure is round in those."""
    decimal = any(is_decimal(one.bytes) for one in needs if one.source == DECLARED)
    return (lambda size: show_size(size, decimal=True)) if decimal else show_size
