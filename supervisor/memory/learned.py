"""What services turned out to need: the most that each took from its start until it had been healthy for long enough.

From: each reading, with the services. To: the plans of services that declare no `memory` (budget.plan_of), and the
journal's space `footprint`, per service and image id. A new image may need more, so what was learned of one says
nothing about another. Bounded in services, in images of each, and in loads of each image.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from supervisor.errors import JournalError
from supervisor.facts import Json, Needs, Service
from supervisor.journal.codec import dump, load

LOADS = 3
"""good loads of an image that are remembered: the largest of them is what it needs"""
IMAGES = 4
"""images of a service that are remembered, the latest"""
SERVICES = 500
"""services that are remembered"""
MARGIN, MARGIN_MOST = 0.10, float(4 << 30)
"""what is added to the most that it took: this share, at most so many bytes. A tenth of a large model would be more
than the whole machine has left"""
_NONE: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one image took. `peaks` in bytes, one for each good load, newest last; `at` in unix seconds."""

    image: str
    peaks: tuple[float, ...]
    at: float

    @property
    def plan(self) -> float:
        """What it is to need at most."""
        most = max(self.peaks, default=0.0)
        return most + min(MARGIN * most, MARGIN_MOST)


@dataclass(frozen=True, slots=True)
class Footprints:
    """The value of the space `footprint` for one service, latest image last."""

    images: tuple[Footprint, ...] = ()

    def plans(self) -> dict[str, float]:
        """Image id -> bytes."""
        return {one.image: one.plan for one in self.images}

    def one_more(self, image: str, peak: float, at: float) -> "Footprints":
        """With one more good load."""
        known = next((one for one in self.images if one.image == image), Footprint(image, (), at))
        made = replace(known, peaks=(*known.peaks, peak)[-LOADS:], at=at)
        return Footprints((*(one for one in self.images if one.image != image), made)[-IMAGES:])


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a service's container, as far as we saw it. Instants are monotonic."""

    container: str
    started_at: float
    peak: float = 0.0
    healthy: float | None = None
    """since when it is healthy without a break"""
    well: bool = False
    """it was healthy in this run: what is wrong with it now is no load"""
    settled: bool = False
    """nothing more is learned from this run"""
    late: bool = False
    """it ran for long when it was seen first: what it holds may be a leak, and not its load"""


def lived(
    before: Life | None, service: Service, used: float, at: float, mono: float, proof: float
) -> tuple[Life | None, bool]:
    """(its run after one more reading, whether its load was good just now). `at` in unix seconds; `proof`: seconds it
    must be healthy."""
    container = service.container
    if container is not None and container.status == "paused":
        return before, False  # it stands still, and goes on as it was
    if container is None or not container.running:
        return None, False
    life = before
    if life is None or (life.container, life.started_at) != (container.id, container.started_at):
        life = Life(container.id, container.started_at, late=0 < container.started_at < at - proof)
    if life.settled:
        return life, False
    healthy = (life.healthy if life.healthy is not None else mono) if service.healthy else None
    if used > life.peak or healthy != life.healthy:  # else it goes on as it was, and most do
        life = replace(life, peak=max(life.peak, used), healthy=healthy, well=life.well or healthy is not None)
    # where plainly running is all that can be seen, a declared long load is no proof: the time counts from its end
    blind = container.health == "none" and service.needs.startup > Needs().startup
    wanted = proof + (service.needs.startup if blind else 0.0)
    good = healthy is not None and mono - healthy >= wanted and life.peak > 0
    return (replace(life, settled=True) if good else life), good


class Learned:
    """All footprints, with what the journal does not know yet."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        self._known: dict[str, Footprints] = {}
        self._plans: dict[str, Mapping[str, float]] = {}
        self._lives: dict[str, Life] = {}
        self._puts: dict[str, Json | None] = {}
        for service, value in sorted(kept.items()):
            try:
                self._known[service] = load(Footprints, value)
            except JournalError:
                self._puts[service] = None  # it is learned anew
                continue
            self._plans[service] = self._known[service].plans()

    def plans(self, service: str) -> Mapping[str, float]:
        """Image id -> bytes of one service."""
        return self._plans.get(service, _NONE)

    def saw(self, service: Service, used: float, at: float, mono: float, proof: float) -> bool:
        """One more reading of a service; whether something was learned from it. `at` in unix seconds."""
        life, good = lived(self._lives.get(service.id), service, used, at, mono, proof)
        if life is None:
            self._lives.pop(service.id, None)
            return False
        self._lives[service.id] = life
        if good and service.container is not None:
            if life.late and service.container.image_id in self.plans(service.id):
                return False  # of that image a load was seen: a start of ours is none of its
            known = self._known.get(service.id, Footprints())
            self._keep(service.id, known.one_more(service.container.image_id, life.peak, at))
        return good

    def _keep(self, service: str, made: Footprints) -> None:
        self._known[service], self._plans[service] = made, made.plans()
        self._puts[service] = dump(made)
        while len(self._known) > SERVICES:
            oldest = min(self._known, key=lambda name: (max(one.at for one in self._known[name].images), name))
            del self._known[oldest], self._plans[oldest]
            self._puts[oldest] = None

    def was_well(self, service: str) -> bool:
        """Whether it was healthy in its present run, as far as we saw it."""
        life = self._lives.get(service)
        return life is not None and life.well

    def forget_lives(self, alive: Collection[str]) -> None:
        """Let go of the runs of services that are no more."""
        for service in [name for name in self._lives if name not in alive]:
            del self._lives[service]

    def take_puts(self) -> Mapping[str, Json | None]:
        """What the journal must keep since the last call, by service; None deletes."""
        found, self._puts = self._puts, {}
        return found
