"""The budget of the cards' memory: who is to have how much of which card, and whether one more fits. Pure.

From: what was measured (measured.py), what services declare (`vram`), and who runs now. To: GpuState, and the verdict
on a start with the sum of the card as a person would write it. A plan is what is declared; who declares nothing counts
with what it uses. Between two readings the sums follow the services: who was stopped counts no more, who was started
counts with its plan. What nobody knows is no reason to refuse: the gate inside a plan waits for the memory all the
same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.facts import Service
from supervisor.gpu.cards import Deck, asked, believed
from supervisor.gpu.measured import Held
from supervisor.units import Say, speaker
from supervisor.units import listed_sizes as listed
from supervisor.verdicts import Reason, Verdict, no, yes


@dataclass(frozen=True, slots=True)
class Share:
    """What one service has of one card. Bytes."""

    service: str
    plan: int = 0
    """declared; 0 where nothing is"""
    used: int = 0
    priority: int = 0

    @property
    def claim(self) -> int:
        """What is to be left to it: its plan, or what it holds where that is more."""
        return max(self.plan, self.used)


@dataclass(frozen=True, slots=True)
class CardSums:
    """One card with everything that is planned on it. Bytes."""

    held: Held
    reserve: int = 0
    """what no service may plan with, by resurgam.yaml"""
    foreign: int = 0
    """in use by what is no service that runs"""
    shares: tuple[Share, ...] = ()
    """of the services that run, by id"""

    @property
    def system(self) -> int:
        """What is not for services: the reserve, or what others use where that is more."""
        return max(self.reserve, self.foreign)

    @property
    def most(self) -> int:
        """What services can have of it at all."""
        return self.held.total - self.held.reserved - self.system

    @property
    def planned(self) -> int:
        """The sum of the plans; of what has none, what it uses."""
        return _total(share.plan or share.used for share in self.shares)

    def free(self, but: str = "", coming: Mapping[str, int] | None = None) -> int:
        """What is left for one more service; below 0 where too much is planned already. `coming`: service id -> bytes
        of those that are being started."""
        return self.most - _total(self.claims(but, coming).values())

    def claims(self, but: str = "", coming: Mapping[str, int] | None = None) -> dict[str, int]:
        """Service id -> bytes that are to be left to it, without the one (`but`) that is asked about."""
        found = {share.service: share.claim for share in self.shares if share.service != but}
        for service, size in sorted((coming or {}).items()):
            if service != but:
                found[service] = max(size, found.get(service, 0))
        return found


@dataclass(frozen=True, slots=True)
class GpuBudget:
    """What is known of the cards' memory now. Without any reading that counts, only which cards there are."""

    deck: Deck = field(default_factory=Deck)
    cards: tuple[CardSums, ...] = ()
    """by index; those whose memory was read lately"""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """service id -> UUIDs of the cards on which it was seen"""

    def of(self, uuid: str) -> CardSums | None:
        """The sums of one card; None where nothing is known of it."""
        return next((card for card in self.cards if card.held.uuid == uuid), None)


# ------------------------------------------------------------ the sums


def sums(services: Sequence[Service], held: Sequence[Held], reserve: int, deck: Deck) -> GpuBudget:
    """The budget by the newest reading, with the services as they are now."""
    running = [one for one in services if one.container is not None and one.container.living]
    names = {one.id for one in running}
    parts: dict[str, dict[str, Share]] = {card.uuid: {} for card in held}
    for service in running:
        for card in held:
            if service.id in card.services:
                used = card.services[service.id]
                parts[card.uuid][service.id] = Share(service.id, 0, used, service.needs.priority)
    places = {one.id: tuple(card.uuid for card in held if one.id in card.services) for one in running}
    planning = [one for one in running if believed(one, places[one.id])]
    floating = [one for one in planning if _place_named(one, held, parts, deck)]
    made = [_card(card, parts[card.uuid], reserve, names) for card in held]
    for service in floating:
        made = _place_any(service, made, deck)
    return GpuBudget(deck, tuple(made), {name: found for name, found in places.items() if found})


def _place_named(service: Service, held: Sequence[Held], parts: dict[str, dict[str, Share]], deck: Deck) -> bool:
    """Put what it declares by card into the sums, and the rest onto the cards it is on; whether a rest has no place."""
    rest = 0
    plans: dict[str, int] = {}
    for gpu, size in service.needs.vram:
        uuid = deck.uuid_of(gpu) if gpu else ""
        if uuid in parts:
            plans[uuid] = plans.get(uuid, 0) + size
        rest += size if not gpu else 0
    on = {card.uuid: card.services.get(service.id, 0) for card in held if card.services.get(service.id, 0) > 0}
    if rest and on:
        whole = _total(on.values())
        for uuid, used in on.items():
            plans[uuid] = plans.get(uuid, 0) + rest * used // whole
        rest = 0
    for uuid, plan in plans.items():
        used = parts[uuid][service.id].used if service.id in parts[uuid] else 0
        parts[uuid][service.id] = Share(service.id, plan, used, service.needs.priority)
    return rest > 0


def _card(card: Held, shares: Mapping[str, Share], reserve: int, running: set[str]) -> CardSums:
    """A card's sums. Who was seen on it and does not run any more has let go of it; of whom the driver does not say how
    much it holds, its plan is taken to be that."""
    known = 0
    for service, used in card.services.items():
        known += used or (shares[service].plan if service in shares else 0)
    if card.blind:
        known = max(known, _total(shares[name].claim for name in shares if name in running))
    foreign = max(0, card.used - known)
    return CardSums(card, reserve, foreign, tuple(shares[name] for name in sorted(shares)))


def _place_any(service: Service, cards: list[CardSums], deck: Deck) -> list[CardSums]:
    """Put the plan of one that is on no card yet, and may choose, where there is most room."""
    size = _total(amount for gpu, amount in service.needs.vram if not gpu)
    best = _best(cards, _allowed(service, deck), service.id)
    if best is None:
        return cards
    share = next((one for one in best.shares if one.service == service.id), Share(service.id))
    more = Share(service.id, share.plan + size, share.used, service.needs.priority)
    shares = sorted((*(one for one in best.shares if one.service != service.id), more), key=lambda one: one.service)
    made = CardSums(best.held, best.reserve, best.foreign, tuple(shares))
    return [made if card is best else card for card in cards]


def _allowed(service: Service, deck: Deck) -> tuple[str, ...]:
    return asked(service, deck) or tuple(card.uuid for card in deck.cards)


def _best(
    cards: Iterable[CardSums], allowed: Sequence[str], but: str, coming: Mapping[str, Mapping[str, int]] | None = None
) -> CardSums | None:
    """The card with most room, of those it may use."""
    able = [card for card in cards if card.held.uuid in allowed]
    free = {card.held.uuid: card.free(but, (coming or {}).get(card.held.uuid)) for card in able}
    return max(able, key=lambda card: (free[card.held.uuid], -card.held.index), default=None)


# ------------------------------------------------------------ does it fit?


def fits(service: Service, budget: GpuBudget, coming: Iterable[Service] = ()) -> Verdict:
    """Whether a service may be started beside everything that runs. `coming`: those that are being started. Its own
    part does not count, since it makes place for itself. What runs already fits, unless it needs more than it has."""
    starting = _coming(coming, budget, service.id)
    named, anywhere = _needed(service, budget.deck)
    for uuid, size in named.items():
        card = budget.of(uuid)
        if card is not None and size > max(_has(card, service.id), card.free(service.id, starting.get(uuid))):
            return _refusal(service, size, card, starting)
    refused = _fits_anywhere(service, anywhere, budget, starting) if anywhere else None
    return refused if refused is not None else yes(f"{service.id} fits.")


def _needed(service: Service, deck: Deck) -> tuple[dict[str, int], int]:
    """(UUID -> bytes it declares on that card, bytes on a card it may choose)."""
    named: dict[str, int] = {}
    anywhere = 0
    for gpu, size in service.needs.vram:
        uuid = deck.uuid_of(gpu) if gpu else ""
        if uuid:
            named[uuid] = named.get(uuid, 0) + size
        anywhere += size if not gpu else 0
    return named, anywhere


def _fits_anywhere(
    service: Service, size: int, budget: GpuBudget, coming: Mapping[str, Mapping[str, int]]
) -> Verdict | None:
    """The refusal of what may choose its card; None where one has room, or all of them together for what is larger than
    any of them."""
    allowed = _allowed(service, budget.deck)
    able = [card for card in budget.cards if card.held.uuid in allowed]
    if len(able) < len(allowed) or not able:
        return None  # of one of them nothing is known
    if size <= _total(_has(card, service.id) for card in able):
        return None
    if size > max(card.held.total for card in able) and len(able) > 1:
        free = _total(max(0, card.free(service.id, coming.get(card.held.uuid))) for card in able)
        if size <= free:
            return None
        say = speaker((size,))
        text = (
            f"{service.id} needs {say(size)} of VRAM, more than one card has, and {_cards(able)} have {say(free)} free"
        )
        return no(Reason.NO_ROOM, f"{text} together: {say(size - free)} are missing. {_start_anyway()}")
    large = [card for card in able if card.most >= size] or able
    best = _best(large, allowed, service.id, coming)
    if best is None or size <= best.free(service.id, coming.get(best.held.uuid)):
        return None
    return _refusal(service, size, best, coming, alone=len(able) == 1)


def _refusal(
    service: Service, size: int, card: CardSums, coming: Mapping[str, Mapping[str, int]], *, alone: bool = True
) -> Verdict:
    """`mxfp4 needs 90 GiB of VRAM on GPU 0: of 96 GiB 90 GiB are planned (oracle 90 GiB), so 6 GiB are free …`"""
    claims = card.claims(service.id, coming.get(card.held.uuid))
    free = card.most - _total(claims.values())
    say = speaker((size, *(share.plan for share in card.shares)))
    which = (
        f" on GPU {card.held.index}" if alone else f", and no card has that free. GPU {card.held.index} comes closest"
    )
    taken = [f"{say(card.held.reserved)} are the driver's"] if card.held.reserved else []
    if card.foreign > card.reserve:
        taken.append(f"{say(card.foreign)} are in use by {_who(card.held, say)}")
    elif card.reserve:
        taken.append(f"{say(card.reserve)} are kept free (gpu: reserve)")
    if claims:
        taken.append(f"{say(_total(claims.values()))} are planned ({listed(claims.items(), say)})")
    left = f"{say(free)} are free" if free > 0 else f"nothing is free, and {say(-free)} are missing already"
    of = f"of {say(card.held.total)} {', '.join(taken)}, so {left}" if taken else f"it has {say(card.held.total)}"
    text = f"{service.id} needs {say(size)} of VRAM{which}: {of}: {say(size - free)} are missing."
    return no(Reason.NO_ROOM, f"{text} {_advice(card, claims, size, free, say)}")


def _who(held: Held, say: Say) -> str:
    """By whom a card is used that is no service: `Xorg (pid 812) 400 MiB`."""
    parts = [*held.others]
    parts += [("what is left of containers that are gone", held.orphaned)] if held.orphaned else []
    parts += [("nobody that the driver names", held.unattributed)] if held.unattributed else []
    return parts[0][0] if len(parts) == 1 else listed(parts, say) or "what is no service"


def _advice(card: CardSums, claims: Mapping[str, int], size: int, free: int, say: Say) -> str:
    """What makes place: one service whose end is enough, of those that matter least; else the fewest."""
    if size > card.most:
        return f"Even alone it has only {say(max(0, card.most))} there: let it need less, or declare less for it."
    priority = {share.service: share.priority for share in card.shares}
    ordered = sorted(claims, key=lambda name: (priority.get(name, 0), claims[name], name))
    chosen = [name for name in ordered if claims[name] >= size - free][:1]
    if not chosen:
        for name in sorted(ordered, key=lambda name: (priority.get(name, 0), -claims[name], name)):
            chosen.append(name)
            free += claims[name]
            if size <= free:
                break
    if not chosen:
        return _start_anyway()
    return f"Stop {' and '.join(chosen)} first, or start it all the same with `--override REASON`."


def _start_anyway() -> str:
    return "Stop what you need least, or start it all the same with `--override REASON`."


def _cards(cards: Sequence[CardSums]) -> str:
    return f"GPUs {', '.join(str(card.held.index) for card in cards)}"


def _has(card: CardSums, service: str) -> int:
    """What a service that runs has of a card already."""
    return next((share.claim for share in card.shares if share.service == service), 0)


def _coming(services: Iterable[Service], budget: GpuBudget, but: str) -> dict[str, dict[str, int]]:
    """UUID -> service id -> bytes, of those that are being started: a part that may choose its card goes where there is
    most room."""
    found: dict[str, dict[str, int]] = {}
    for service in sorted(services, key=lambda one: one.id):
        if service.id == but:
            continue
        for gpu, size in service.needs.vram:
            uuid = budget.deck.uuid_of(gpu) if gpu else ""
            if not gpu:
                best = _best(budget.cards, _allowed(service, budget.deck), service.id, found)
                uuid = best.held.uuid if best is not None else ""
            if uuid:
                there = found.setdefault(uuid, {})
                there[service.id] = there.get(service.id, 0) + size
    return found


def _total(sizes: Iterable[int]) -> int:
    found = 0
    for size in sizes:
        found += size
    return found
