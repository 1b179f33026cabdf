"""Room for the model: what it needs, by the best figure there is, against what is free and what comes back.

From: ports.Room (what is free), the control groups and the driver (what those that leave hold now: measured, not what
they declare), slots/fit.py, which compares. To: preflight.py, and freed.py, which waits for what was promised here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from supervisor.actions.swap.checks.case import Case, Eyes, Line, Part, where
from supervisor.errors import EngineError, GroupError
from supervisor.facts import Container, Free, GpuReading, WeightsLook
from supervisor.facts.slots import BESIDE, EXCLUSIVE, SLEEP
from supervisor.gpu.cards import Deck, deck_of
from supervisor.slots import fit
from supervisor.slots.fit import Need, Words
from supervisor.units import Say
from supervisor.verdicts import Reason


@dataclass(frozen=True, slots=True)
class Scene:
    """What is free, what comes back, and which cards there are."""

    free: Free
    back: Free
    deck: Deck
    blind: tuple[str, ...] = ()
    """what could not be measured, a sentence each"""

    def cards(self) -> dict[str, str]:
        """UUID -> `gpu:0`."""
        return {card.uuid: f"gpu:{card.index}" for card in self.deck.cards}


async def scene(eyes: Eyes, case: Case) -> Scene:
    """Look at memory and cards. Never raises."""
    reading = await eyes.driver.snapshot("slow")
    deck = deck_of(reading.cards)
    free, blind = await eyes.room.free(), []
    memory, vram = 0.0, dict.fromkeys(free.vram, 0.0)
    for part in _giving(case):
        held, on, trouble = await _held(eyes, part, reading, deck)
        memory += held
        for uuid, size in on.items():
            if uuid in vram:
                vram[uuid] += size
        blind += [trouble] if trouble else []
    if case.shape == SLEEP and case.before is not None and case.before.model.sleep:
        _held_now, on, trouble = await _held(eyes, case.before, reading, deck)
        for uuid, size in on.items():
            if uuid in vram:
                vram[uuid] += size
        if case.before.model.sleep == 1:  # its weights move from the cards into memory
            free = Free(max(0.0, free.memory - fit.total(on.values())), free.vram)
        blind += [trouble] if trouble else []
    return Scene(free, Free(memory, vram), deck, tuple(blind))


def _giving(case: Case) -> tuple[Part, ...]:
    """Who gives all it holds back: those that leave, and the model itself where its container runs already."""
    found = [*case.evict]
    before = case.before
    if before is not None and (case.shape == EXCLUSIVE or (case.shape == SLEEP and before.model.inside)):
        found.append(before)
    if case.to.container_id and not case.to.model.inside:
        found.append(case.to)
    return tuple(found)


async def _held(eyes: Eyes, part: Part, reading: GpuReading, deck: Deck) -> tuple[float, dict[str, float], str]:
    """(bytes of memory it holds now, UUID -> bytes on each card, what could not be measured)."""
    try:
        if part.model.inside:
            return await _inside(eyes, part, deck)
        container = await eyes.inspect(part)
        if container is None or not container.alive:
            return 0.0, {}, ""
        memory, trouble = await _memory(eyes, container, part)
    except EngineError as err:
        return 0.0, {}, f"what {part.model.name} holds could not be looked at: {err}"
    on = on_cards(reading, container.id)
    if not on and container.gpu and reading.cards and (reading.namespaced or part.needs.vram):
        on = _declared(part, deck)
        trouble = trouble or f"the driver does not say what {part.model.name} holds, so what it declares is taken"
    return memory, on, trouble


async def _inside(eyes: Eyes, part: Part, deck: Deck) -> tuple[float, dict[str, float], str]:
    """A model in a server gives back what its server says it takes; else what is declared for it."""
    look = await eyes.models.server.look(await where(eyes, part))
    memory, vram = look.memory or float(part.model.memory), look.vram
    declared = _declared(part, deck)
    if vram and len(deck.cards) == 1:
        return memory, {deck.cards[0].uuid: vram}, ""
    trouble = (
        "" if memory or declared else f"nobody knows what {part.model.name} takes, so nothing counts as coming back"
    )
    return memory, declared, trouble


async def _memory(eyes: Eyes, container: Container, part: Part) -> tuple[float, str]:
    try:
        return (await eyes.groups.read(container)).resident, ""
    except GroupError:
        usage = await eyes.ask(lambda: eyes.engine.usage(container.id))
    if usage is not None and usage.memory > 0:
        return usage.memory, ""
    return 0.0, f"nobody knows what memory {part.model.name} holds, so none counts as coming back"


def on_cards(reading: GpuReading, container_id: str) -> dict[str, float]:
    """UUID -> bytes that processes of a container hold there."""
    found: dict[str, float] = {}
    for card in reading.cards:
        for user in card.users:
            if user.kind == "container" and user.container_id == container_id and card.uuid and user.used:
                found[card.uuid] = found.get(card.uuid, 0.0) + user.used
    return found


def own_cards(reading: GpuReading, container: Container) -> dict[str, float] | None:
    """UUID -> bytes that a container's own processes hold on each card; None where the driver does not tell: it names
    no processes, or not what they hold, or none of one that asks for cards."""
    mine = [
        user
        for card in reading.cards
        for user in card.users
        if user.kind == "container" and user.container_id == container.id
    ]
    silent = not reading.cards or reading.namespaced or (container.gpu and not mine)
    return None if silent or not all(user.used for user in mine) else on_cards(reading, container.id)


def _declared(part: Part, deck: Deck) -> dict[str, float]:
    found: dict[str, float] = {}
    for word, size in part.model.vram if part.model.inside else part.needs.vram:
        uuid = deck.uuid_of(word) if word else (deck.cards[0].uuid if len(deck.cards) == 1 else "")
        if uuid:
            found[uuid] = found.get(uuid, 0.0) + size
    return found


# ------------------------------------------------------------ does it fit?


def needs_of(case: Case, seen: Scene, look: WeightsLook, foretold: Sequence[Need]) -> tuple[Need, ...]:
    """What it needs, by the best figures there are."""
    part = case.to
    measured = fit.measured(part.memory, part.vram)
    declared = fit.declared(part.model, part.needs, seen.deck.uuid_of)
    return fit.trusted(measured, foretold, declared, fit.estimated(look, part.model.context))


def room(case: Case, seen: Scene, needs: Sequence[Need], look: WeightsLook, say: Say) -> tuple[Line, ...]:
    """A line for memory and for each card."""
    words = Words(say, seen.cards())
    if not needs:
        name = case.to.service or case.to.model.name
        text = f"nobody knows what it needs; declare `memory` and `vram` for {name}, or `files` for the model"
        return (Line("memory", text, None),)
    found = fit.fits(needs, seen.free, seen.back, careful=case.shape == BESIDE)
    lines = [
        Line(words.name(place.need.where), fit.sentence(place, words), place.ok, Reason.NO_FIT)
        for place in found.places
    ]
    guessed = any(place.need.source == fit.ESTIMATE for place in found.places)
    tokens = case.to.model.context or look.context
    if guessed and look.cache_most and tokens:
        most = say(look.bytes + look.cache_most * tokens)
        lines.append(Line("memory", f"{most} where its server does not keep its cache compressed", None))
    return (*lines, *(Line("memory", text, None) for text in seen.blind))


def cache(case: Case, free: Free, look: WeightsLook, say: Say) -> Line | None:
    """Whether the way back would be a cold load: reading the new files pushes those of the old model out of memory."""
    if case.before is None or look.bytes <= free.memory or not free.memory:
        return None
    text = (
        f"its files ({say(look.bytes)}) are larger than what is free ({say(free.memory)}): the kernel forgets those of "
        f"{case.before.model.name}, so the way back reads them from the disk again"
    )
    return Line("cache", text, None)


def speaking(case: Case) -> Say:
    """As the person writes who declared the sizes."""
    parts = [part for part in (case.to, case.before) if part is not None]
    return fit.speaking([need for part in parts for need in fit.declared(part.model, part.needs, lambda word: word)])
