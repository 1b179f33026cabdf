"""Which of the three shapes a swap takes, and why: exclusive, beside, or sleep. Pure.

From: the slot, the model that leaves and the one that comes, with what they need and publish (core/slots.py), and what
is free. To: `Plan.found["shape"]` and the first line that a person reads. Where nothing is known, exclusive: it is the
one that cannot cost the model that serves its memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

from supervisor.facts import Free, Needs, Slot, SlotModel
from supervisor.facts.slots import BESIDE, EXCLUSIVE, SLEEP
from supervisor.slots import fit
from supervisor.slots.fit import Need
from supervisor.verdicts import Reason, Verdict, no

Clash = Callable[[str, str], bool]
"""whether two published ports (`0.0.0.0:8000/tcp`) cannot both be had"""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models of a swap."""

    model: SlotModel
    needs: Needs
    """of its service; its exclusive words with cards as UUIDs where they are known"""
    ports: tuple[str, ...] = ()
    """what its container publishes on the host"""
    size: tuple[Need, ...] = ()
    """what it takes, by fit.trusted"""
    vram: float = 0.0
    """bytes it holds on cards now"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The shape, and why it is that one: the end of a sentence (`both need gpu:0`)."""

    shape: str
    why: str

    def text(self) -> str:
        """`exclusive (both need gpu:0)`."""
        return f"{self.shape} ({self.why})" if self.why else self.shape


def choose(slot: Slot, before: Side | None, to: Side, free: Free, clash: Clash) -> Chosen | Verdict:
    """The shape of a swap from `before` (None: nobody holds the slot) to `to`; a refusal where resurgam.yaml asks for
    one that cannot be. `free`: before anything is stopped."""
    if before is None:
        return Chosen(EXCLUSIVE, "nothing has to be stopped")
    wanted = slot.shape
    no_sleep = _no_sleep(before, to, free)
    if wanted == SLEEP:
        return _refused(slot, SLEEP, no_sleep) if no_sleep else Chosen(SLEEP, "resurgam.yaml says so")
    no_beside = _no_beside(slot, before, to, clash)
    if wanted == BESIDE:
        return _refused(slot, BESIDE, no_beside) if no_beside else Chosen(BESIDE, "resurgam.yaml says so")
    if wanted == EXCLUSIVE:
        return Chosen(EXCLUSIVE, "resurgam.yaml says so")
    if not no_sleep:
        inside = _one_server(before.model, to.model)
        return Chosen(SLEEP, "both are in one server" if inside else f"{before.model.name} sleeps")
    if no_beside:
        return Chosen(EXCLUSIVE, no_beside)
    return _by_room(before, to, free)


def _by_room(before: Side, to: Side, free: Free) -> Chosen:
    room = fit.fits(to.size, free, careful=True)
    if room.ok:
        return Chosen(BESIDE, "there is room for both")
    if room.ok is None:
        return Chosen(EXCLUSIVE, f"nobody knows whether {to.model.name} fits beside {before.model.name}")
    short = next(one for one in room.places if one.ok is False)
    say = fit.speaking(to.size)
    where = "memory" if short.need.where in (fit.MEMORY, fit.ANYWHERE) else "VRAM"
    return Chosen(EXCLUSIVE, f"beside, {say(short.need.bytes)} of {where} are needed and {say(short.free)} free")


def _no_sleep(before: Side, to: Side, free: Free) -> str:
    """Why the one that leaves cannot sleep while the other one serves; '' if it can."""
    if _one_server(before.model, to.model):
        return ""
    name = before.model.name
    if not before.model.sleep:
        return f"{name} does not declare sleep"
    shared = _shared(before.needs, to.needs)
    if shared:
        return f"both need {shared} for themselves, and one that sleeps still runs"
    if before.model.sleep == 1 and before.vram > 0 and 0 < free.memory < before.vram * fit.FACTOR:
        say = fit.speaking(before.size)
        return f"asleep, {name} keeps {say(before.vram)} of weights in memory, and {say(free.memory)} are free"
    return ""


def _no_beside(slot: Slot, before: Side, to: Side, clash: Clash) -> str:
    """Why both cannot run at the same time, whatever is free; '' if they can."""
    shared = _shared(before.needs, to.needs)
    if shared:
        return f"both need {shared}"
    if before.model.service and before.model.service == to.model.service:
        return f"both are carried by {to.model.service}"
    port = next((one for one in to.ports if any(clash(one, its) for its in before.ports)), "")
    if port:
        return f"both publish port {port}"
    if not slot.listen and not slot.rename:
        return "callers cannot be moved: the slot has neither a gate (listen) nor a container name (rename)"
    return ""


def _shared(one: Needs, other: Needs) -> str:
    return next((word for word in one.exclusive if word in other.exclusive), "")


def _one_server(one: SlotModel, other: SlotModel) -> bool:
    """Whether both are inside one and the same server."""
    if not one.inside or not other.inside:
        return False
    return one.service == other.service if one.service or other.service else one.url == other.url


def _refused(slot: Slot, shape: str, why: str) -> Verdict:
    text = f"{slot.name} declares shape: {shape}, which cannot be: {why}. Take the shape out, or say exclusive."
    return no(Reason.UNSUPPORTED, text)
