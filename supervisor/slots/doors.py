"""What a slot's gate is told while no plan is at work on it: where callers go, that they wait, or that nobody is there.

Pure, but for `obey`, which carries it out. From: how the slot stands. To: the gate, as an effect of the core. A door
that was never told anything holds; what a plan tells it is the plan's business until its end.
"""

from dataclasses import dataclass

from supervisor.facts import Needs, SlotState
from supervisor.ports import Gate
from supervisor.slots import address
from supervisor.slots.state import Sight

OPEN, HOLD, REFUSE = "open", "hold", "refuse"
LATER = 60.0
"""seconds after which somebody who was sent away may ask again"""


@dataclass(frozen=True, slots=True)
class Order:
    """One word to the gate of a slot."""

    slot: str
    act: str
    """open | hold | refuse"""
    word: str
    """`http://host:port` to open to, else why"""
    after: float = 0.0
    """of a refusal: seconds until it is worth asking again"""


def order(seen: Sight, state: SlotState, *, hopeless: bool = False) -> Order | None:
    """What its gate is to do now; None where it has none, or a plan sees to it. `hopeless`: nothing more is tried to
    bring the holder back."""
    slot, kept = seen.slot, seen.kept
    if not slot.listen or (seen.plan is not None and seen.plan.begun and seen.plan.verb != "bench"):
        return None
    model = slot.model(kept.holder)
    if model is None:
        return Order(slot.name, REFUSE, state.problem, LATER)
    service = seen.services.get(model.service) if model.service else None
    box = service.container if service is not None else None
    up = address.upstream(model, service.needs if service is not None else Needs(), box)
    if up and (not model.service or (box is not None and box.alive)):
        return Order(slot.name, OPEN, up)
    if hopeless or (service is not None and service.wanted.state == "stopped"):
        return Order(slot.name, REFUSE, state.problem, LATER)
    return Order(slot.name, HOLD, state.problem)


def obey(gate: Gate, one: Order) -> None:
    """Tell the gate."""
    if one.act == OPEN:
        gate.open(one.slot, one.word)
    elif one.act == REFUSE:
        gate.refuse(one.slot, one.word, one.after)
    else:
        gate.hold(one.slot, one.word)
