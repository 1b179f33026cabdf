"""The cards of the box as people are shown them: what is wrong with each, who uses it, what is planned. Pure.

From: the newest reading, the cards that belong to this box, the budget, and the driver's verdicts. To: facts.GpuState,
which the snapshot carries.
"""

from collections.abc import Mapping

from supervisor.facts import Gpu, GpuCard, GpuReading
from supervisor.gpu.budget import CardSums, GpuBudget
from supervisor.gpu.expected import Expected
from supervisor.units import plain

_NEEDS = {
    "reset": "a reset: `resurgam gpu-reset gpu:{index}` where resurgam.yaml switches it on, else restart the machine",
    "reboot": "a restart of the machine",
    "drain": "that what uses it is ended; then look again",
    "drain_reset": "that what uses it is ended, and then a reset: `resurgam gpu-reset gpu:{index}`, or restart the box",
    "imex": "a restart of the machine (of its IMEX domain, where there is one)",
    "bus_reset": "a reset of its slot: restart the machine",
    "power_cycle": "that the machine is switched off, and on again after half a minute",
}
"""the driver's verdict, as what it needs"""


def cards_of(
    reading: GpuReading | None, known: Expected, budget: GpuBudget, verdicts: Mapping[str, str]
) -> tuple[Gpu, ...]:
    """Every card that belongs to this box: those that are there by index, then those that are gone. `verdicts`: UUID ->
    the driver's own verdict, one of RECOVERIES."""
    there = {uuid: card for card in (reading.cards if reading is not None else ()) if (uuid := known.match(card))}
    found = [_there(uuid, card, budget.of(uuid), verdicts.get(uuid, "")) for uuid, card in there.items()]
    gone = known.gone or frozenset()
    for card in known.deck.cards:
        if card.uuid not in there:
            text = _gone(card.uuid, card.index, reading) if card.uuid in gone else ""
            verdict = verdicts.get(card.uuid, "")
            text = text or needs(card.index, verdict)
            missing = card.uuid in gone
            found.append(
                Gpu(card.uuid, card.index, card.name, card.bus_id, False, not missing, recovery=verdict, text=text)
            )
    return tuple(sorted(found, key=lambda card: (not card.present, card.index, card.uuid)))


def verdict_of(card: GpuCard | None, told: str) -> str:
    """The driver's verdict on a card: what it answers when it is asked, else what its messages `told` (XID 154)."""
    asked = card.recovery if card is not None and not card.error else ""
    return asked or told


def needs(index: int, verdict: str) -> str:
    """What the driver wants done, as a sentence; '' for nothing."""
    what = _NEEDS.get(verdict, "")
    return f"Its driver says that it needs {what.format(index=index)}." if what else ""


def expected_count(known: Expected, declared: int | None) -> int:
    """How many cards there are to be."""
    return len(known.deck.cards) if declared is None else declared


def _there(uuid: str, card: GpuCard, sums: CardSums | None, verdict: str) -> Gpu:
    text = needs(card.index, verdict)
    if card.error:
        text = f"The driver cannot read it ({plain(card.error, 200)}). {text}".strip()
    if sums is None:
        return Gpu(
            uuid,
            card.index,
            plain(card.name, 128),
            card.bus_id,
            up=not card.error,
            total=card.total,
            free=card.free,
            reserved=card.reserved,
            recovery=verdict,
            text=text,
            values=dict(card.values),
        )
    held = sums.held
    return Gpu(
        uuid,
        card.index,
        held.name,
        card.bus_id,
        up=not card.error,
        total=held.total,
        free=held.free,
        reserved=held.reserved,
        planned=sums.planned,
        users=users(sums),
        orphaned=held.orphaned,
        unattributed=held.unattributed,
        recovery=verdict,
        text=text or _over(sums),
        values=dict(card.values),
    )


def users(sums: CardSums) -> tuple[tuple[str, int], ...]:
    """Who uses a card: (service id, a process that is none's, what is left of a container; bytes), largest first."""
    found = [(share.service, share.used) for share in sums.shares if share.used or share.service in sums.held.services]
    return tuple(sorted((*found, *sums.held.others, *sums.held.orphans), key=lambda one: (-one[1], one[0])))


def _over(sums: CardSums) -> str:
    """What is wrong with the plans."""
    if sums.held.total - sums.held.reserved >= sums.planned:
        return ""
    names = ", ".join(share.service for share in sums.shares)
    return f"More is planned on it than it has ({names}): stop one of them, or correct what they declare (`vram`)."


def _gone(uuid: str, index: int, reading: GpuReading | None) -> str:
    where = "the machine's list of PCI devices has no such card any more" if reading and reading.boards else ""
    why = f": {where}" if where else ""
    return (
        f"GPU {index} is gone{why}. Restart the machine; if it is not back then, switch it off and on. If it was taken "
        f"out on purpose: `resurgam gpu forget {uuid}`."
    )
