"""What was understood of the cards, as series that rules use.

From: facts.GpuState, and what was measured of each service, with the labels of its series. To: the core, which appends
them in the transaction of the reading they were made from; intruders come with the event that made them. What nobody
knows at the moment is left out, never 0. (What a reading says by itself, in dcgm-exporter's names, is made in
signals/gpu/series.py.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.facts import RECOVERIES, Gpu, GpuReading, GpuState, Labels, Metric, Sample, labels
from supervisor.facts.metrics import ABOUT_CARD, ABOUT_CONTAINER
from supervisor.gpu.expected import answered
from supervisor.gpu.intruders import Intruder

EVERY = 10.0
"""seconds between two readings, at most"""
REPEAT = 60.0
TROUBLES = ("no_driver", "no_library", "no_gpu", "refused", "no_nvml", "mismatch", "hung", "stopped", "asleep", "error")
"""GpuReading.trouble"""
UP, COUNT, EXPECTED, ABSENT = (f"resurgam_gpu_{what}" for what in ("up", "count", "expected_count", "absent"))
TROUBLE, MISMATCH, QUIET = (f"resurgam_gpu_driver_{what}" for what in ("trouble", "mismatch", "quiet"))
RECOVERY, SUCCESS = "resurgam_gpu_recovery_action", "resurgam_gpu_probe_last_success_timestamp_seconds"
ORPHAN, UNATTRIBUTED = "resurgam_gpu_orphan_memory_bytes", "resurgam_gpu_memory_unattributed_bytes"
PLANNED, HEADROOM = "resurgam_gpu_planned_bytes", "resurgam_gpu_headroom_bytes"
USED, DECLARED, ATTACHED, DENIED = (
    f"resurgam_container_gpu_{what}" for what in ("memory_used_bytes", "declared", "attached", "denied")
)
LOST, INTRUDER = "resurgam_service_gpu_lost", "resurgam_gpu_intruder"

METRICS = (
    *(Metric(name, "gauge", (), EVERY) for name in (COUNT, EXPECTED, MISMATCH, QUIET, SUCCESS)),
    Metric(TROUBLE, "gauge", ("kind",), EVERY),
    *(Metric(name, "gauge", ABOUT_CARD, EVERY) for name in (UP, ABSENT, RECOVERY, PLANNED, HEADROOM)),
    *(Metric(name, "gauge", ABOUT_CARD, EVERY) for name in (ORPHAN, UNATTRIBUTED)),
    Metric(USED, "gauge", (*ABOUT_CONTAINER, *ABOUT_CARD), EVERY),
    *(Metric(name, "gauge", ABOUT_CONTAINER, EVERY) for name in (DECLARED, ATTACHED, DENIED, LOST)),
    Metric(INTRUDER, "gauge", (*ABOUT_CONTAINER, *ABOUT_CARD, "beside"), REPEAT, events=True),
)
"""what is made here"""


@dataclass(frozen=True, slots=True)
class About:
    """One service that has to do with a card, as it is told of."""

    labels: Mapping[str, str]
    """of its series"""
    used: Mapping[str, int] = field(default_factory=dict)
    """UUID -> bytes it holds; 0 where the driver does not say"""
    declared: bool = True
    """it is to use a card"""
    attached: bool | None = None
    """it has a process on a card; None where nobody can say"""
    denied: bool = False
    lost: bool = False
    blind: frozenset[str] = frozenset()
    """UUIDs of cards of which the driver does not say who holds how much"""


class Series:
    """Makes the samples. It knows what was told last, so that what has ended gets its 0 once."""

    def __init__(self) -> None:
        self._kind = ""
        self._used: dict[Labels, None] = {}
        self._intruders: dict[Labels, None] = {}

    def samples(
        self, state: GpuState, reading: GpuReading, abouts: Sequence[About], success: float
    ) -> tuple[Sample, ...]:
        """The samples of one reading. `success`: unix seconds of the last one that had no trouble; 0 for none."""
        known = answered(reading)
        found = [
            Sample(labels(EXPECTED), float(state.expected)),
            Sample(labels(MISMATCH), float(reading.trouble == "mismatch")),
            Sample(labels(QUIET), float(bool(state.quiet))),
        ]
        found += self._trouble(reading.trouble)
        found += [Sample(labels(COUNT), float(len(reading.cards)))] if known else []
        found += [Sample(labels(SUCCESS), success)] if success else []
        for card in state.cards:
            found += _of_card(card, known)
        for about in abouts:
            if about.declared:
                said = ((DECLARED, True), (LOST, about.lost), (DENIED, about.denied))
                found += [Sample(labels(name, **about.labels), float(value)) for name, value in said]
            if about.attached is not None:
                found.append(Sample(labels(ATTACHED, **about.labels), float(about.attached)))
        return (*_once(found), *self._held(state.cards, abouts, known))

    def intruders(
        self, found: Iterable[Intruder], about: Mapping[str, Mapping[str, str]], index: Mapping[str, int], *, full: bool
    ) -> tuple[Sample, ...]:
        """Who intrudes now: all with `full`, else what changed. `about`: service id -> the labels of its series;
        `index`: UUID -> index of the card."""
        now = {
            labels(INTRUDER, **about[one.service], **_card(one.uuid, index.get(one.uuid, 0)), beside=one.beside): None
            for one in found
            if one.service in about
        }
        ended = [Sample(under, 0.0) for under in self._intruders if under not in now]
        fresh = [Sample(under, 1.0) for under in now if full or under not in self._intruders]
        self._intruders = now
        return (*ended, *fresh)

    # ------------------------------------------------------------ inside

    def _trouble(self, kind: str) -> list[Sample]:
        before, self._kind = self._kind, kind if kind in TROUBLES else ""
        found = [Sample(labels(TROUBLE, kind=before), 0.0)] if before and before != self._kind else []
        return [*found, Sample(labels(TROUBLE, kind=self._kind), 1.0)] if self._kind else found

    def _held(self, cards: Sequence[Gpu], abouts: Sequence[About], known: bool) -> list[Sample]:
        """Who holds how much; who has let go of it gets a 0 once."""
        if not known:
            return []
        index = {card.uuid: card.index for card in cards}
        now: dict[Labels, float] = {}
        for about in abouts:
            for uuid, used in about.used.items():
                if used or uuid not in about.blind:
                    now.setdefault(labels(USED, **about.labels, **_card(uuid, index.get(uuid, 0))), float(used))
        ended = [Sample(under, 0.0) for under in self._used if under not in now]
        self._used = dict.fromkeys(now)
        return [*ended, *(Sample(under, value) for under, value in now.items())]


def _of_card(card: Gpu, known: bool) -> list[Sample]:
    about = _card(card.uuid, card.index)
    found: list[tuple[str, float]] = []
    if known:
        found.append((ABSENT, float(not card.present)))
        found += [(UP, float(card.up))] if card.present else []
    if card.recovery in RECOVERIES:
        found.append((RECOVERY, float(RECOVERIES.index(card.recovery))))
    if known and card.up and card.total:
        found += [(ORPHAN, float(card.orphaned)), (UNATTRIBUTED, float(card.unattributed))]
        found += [(PLANNED, float(card.planned)), (HEADROOM, float(card.headroom))]
    return [Sample(labels(name, **about), value) for name, value in found]


def _once(samples: Iterable[Sample]) -> list[Sample]:
    """Two services can claim one name, which is no reason for two samples of one series."""
    found: dict[Labels, Sample] = {}
    for sample in samples:
        found.setdefault(sample.labels, sample)
    return list(found.values())


def _card(uuid: str, index: int) -> dict[str, str]:
    return {"UUID": uuid, "gpu": str(index)}
