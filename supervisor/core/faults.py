"""The core's hand on faults of GPUs: bursts become episodes, each told with its root and what it calls for.

From: XidSeen (signals/gpu/faults.py), readings (which card is where), time, a person's drill. To: rows of the journal
(`gpu.fault`, `gpu.fault_changed`, `gpu.fault_over`, and `gpu.xid` for each line), the series of gpu/fault_series.py,
the snapshot, and whether the driver may be asked. The journal's space `gpu` keeps it under `faults` and `episode:ID`:
how far the kernel's log was read in this boot, what the driver wants, and why it is not asked.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.errors import JournalError
from supervisor.facts import GpuReading, Json, Sample, XidEpisode, XidSeen
from supervisor.gpu import dcgm, episodes, rows
from supervisor.gpu.episodes import Burst
from supervisor.gpu.fault_series import EVERY, FaultSeries
from supervisor.gpu.known import Known
from supervisor.journal.codec import dump, load
from supervisor.kernel.xidlines import VERDICT, drill_line
from supervisor.services.names import series_labels
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

SPACE, KEY, EPISODES = "gpu", "faults", "episode:"
SOURCE = "gpu-faults"
"""the collector of what is made here"""
ROWS = 20
"""faults of one episode that get a row of their own; the others are counted"""
OPEN = 64
"""episodes that are open at once; a new one ends the oldest"""
_PIECES = 5.0
"""seconds between two pieces of the past, at most"""
DRILL, LONGEST_DRILL = 120.0, 3600.0
"""seconds"""
_LATE = 10.0
"""seconds after a drill in which what was written in it may still come in"""


class Faults:
    """What went wrong with the cards. One for the life of a process."""

    def __init__(self, kept: Mapping[str, Json], machine: str = "") -> None:
        """`kept`: the journal's space `gpu`. `machine`: what tells one boot from the next."""
        self._known = self._saved = Known(machine)
        with suppress(JournalError):
            self._known = self._saved = load(Known, kept.get(KEY, {"boot": machine}))
        self._open: dict[tuple[str, bool], Burst] = {}
        """(bus id or UUID, drill) -> the episode that is open"""
        self._ended: list[Burst] = []
        """of the boot before"""
        found = []
        for key in sorted(kept):
            if key.startswith(EPISODES):
                with suppress(JournalError):
                    found.append(load(Burst, kept[key]))
        if self._known.boot != machine:
            self._known, self._ended = self._known.booted(machine), found
        else:
            self._open = {_key(one.bus_id, one.uuid, one.drill): one for one in found}
        self._series, self._last = FaultSeries(), dcgm.LastXid()
        self._driver = ""
        """its version"""
        self._begun = False
        self._told_at = float("-inf")
        self._past_until = 0.0
        """when all of what was written before we looked is to be in, unix seconds"""
        self._shown: dict[str, XidEpisode] = {}
        self.drill = 0.0
        """until when messages that a person wrote count as faults, for practice, unix seconds; 0 for not"""

    # ------------------------------------------------------------ what is known

    @property
    def quiet(self) -> str:
        """Why the driver is not asked any more, one sentence with what to do; '' while it may be."""
        return self._known.why_quiet()

    @property
    def sequence(self) -> int:
        """The last message of this boot's log that was decided on; -1 for none."""
        return self._known.sequence

    def open(self) -> tuple[XidEpisode, ...]:
        """Episodes that are not over, oldest first."""
        return tuple(self._shown[one.id] for one in self._bursts() if one.id in self._shown)

    def recovery(self, uuid: str) -> str:
        """The driver's last verdict on a card by its messages (XID 154), one of RECOVERIES; '' where it gave none in
        this boot."""
        return self._known.recovery(uuid)

    # ------------------------------------------------------------ what comes in

    def take(self, core: "Decider", fact: XidSeen) -> None:
        """A fault was told. What was decided on before a restart is passed over."""
        if fact.drill and core.now > self.drill + _LATE:
            return
        if fact.sequence >= 0:
            if fact.sequence <= self._known.sequence:
                return
            self._known = replace(self._known, sequence=fact.sequence)
        table = core.loaded.xids
        fact = self._known.placed(replace(fact, at=min(fact.at, core.now)))
        if not fact.drill:
            self._known = self._known.obeyed(fact, table)
        service, about = _whose(core, fact.container_id)
        old = fact.past and core.now - fact.at >= episodes.SILENCE
        if old:
            self._past_until = core.now + _PIECES
        entry = table.of(fact.xid, fact.kind)
        card = self._known.labels(fact.bus_id, fact.uuid)
        if not _mere_recovery(fact):
            self._series.fault(fact.xid, fact.kind, entry, card, about, drill=fact.drill, old=old)
        self._fold(core, fact, service, old)
        if fact.xid and not fact.drill:
            self._append(core, self._last_xids(core, {fact.bus_id}))
        self._save(core)
        self._tell(core)

    def read(self, core: "Decider", reading: GpuReading) -> tuple[Sample, ...]:
        """A reading came: which card is where, for messages that only name a bus. Each card's last XID, as samples."""
        self._known = self._known.read(reading.cards)
        self._driver = reading.driver or self._driver
        self._save(core)
        return self._last_xids(core, {card.bus_id for card in reading.cards})

    def tick(self, core: "Decider") -> None:
        """What time alone brings about: the end of an episode, of a drill."""
        if not self._begun:
            self._begun = True
            self._first(core)
        for key, burst in list(self._open.items()):
            if burst.last_at > core.now:  # the clock was put back
                self._open[key] = burst = replace(burst, last_at=core.now, first_at=min(burst.first_at, core.now))
            if self._over_at(burst) <= core.now:
                self._end(core, key, burst)
        if self.drill and self.drill <= core.now:
            self.drill = 0.0
            core.stale_snapshot = True
        if core.mono - self._told_at >= EVERY:
            self._told_at = core.mono
            self._append(core, self._series.all())
        self._tell(core)

    def due(self) -> float | None:
        """Unix seconds of the next tick that is needed."""
        if not self._open:
            return self.drill or None
        ends = [self._over_at(burst) for burst in self._open.values()]
        return min([*ends, *([self.drill] if self.drill else [])])

    # ------------------------------------------------------------ a person's word

    def resume(self, core: "Decider") -> None:
        """A person wants the driver asked again."""
        self._known = replace(self._known, quiet={})
        self._save(core)
        core.stale_snapshot = True

    def mended(self, core: "Decider", bus_id: str, uuid: str) -> None:
        """A card was reset: what its messages said of it is over, and for its sake the driver may be asked again."""
        quiet = {bus: why for bus, why in self._known.quiet.items() if bus not in (bus_id, "")}
        self._known = replace(self._known, quiet=quiet, verdicts={**self._known.verdicts, bus_id: "none"})
        for key, burst in list(self._open.items()):
            if not burst.drill and (burst.bus_id == bus_id or (uuid and burst.uuid == uuid)):
                self._end(core, key, burst, "the card was reset")
        self._save(core)
        self._tell(core)
        core.stale_snapshot = True

    def practise(
        self, core: "Decider", xid: int, card: str = "", seconds: float = DRILL, by: str = "", service: str = ""
    ) -> Verdict:
        """Have a fault written to the kernel's log for practice, and obey it for so long: everything is decided and
        told, and nothing is done. `card`: an index, a UUID or its beginning, '' for the first; `service`: whose
        process it is to be."""
        if not 1 <= xid <= 65_535:
            return no(Reason.BAD_PARAMETER, f"{xid} is no XID; try 79, which every rule of ours knows.")
        if not 1.0 <= seconds <= LONGEST_DRILL:
            return no(Reason.BAD_PARAMETER, f"A drill lasts from 1s to {units.show_duration(LONGEST_DRILL)}.")
        bus = self._known.find(card)
        if not bus:
            known = self._known.cards() or "none that we know of"
            return no(Reason.NO_TARGET, f"There is no card {units.plain(card, 60)!r}; there are: {known}.")
        found = core.registry.get(service) if service else None
        box = found.container if found is not None else None
        if service and (box is None or not box.pid):
            return no(Reason.NO_TARGET, f"{service} has no running container whose process it could be.")
        who = (box.pid, box.name[:15].replace(",", "-")) if box is not None else (0, "")
        self.drill = core.now + seconds
        text, until = drill_line(bus, xid, *who), self.drill
        core.effects.append(lambda to: to.drill(text, until))
        said = f"XID {xid} of {self._known.that(bus)} is practised for {units.show_duration(seconds)}"
        core.row(
            "gpu.drill",
            rows.subject(bus, self._known.uuid(bus)),
            {"by": by, "xid": xid, "text": f"{said}."},
            public=False,
        )
        core.stale_snapshot = True
        return yes(f"{said}: what follows from it is decided and told, and nothing is done.")

    # ------------------------------------------------------------ inside

    def _last_xids(self, core: "Decider", there: Collection[str]) -> tuple[Sample, ...]:
        """Which XID was the last, of the cards at these buses and of those that had one."""
        host, known = core.loaded.settings.host, self._known
        return self._last.samples(
            (bus, dcgm.about(at.index, at.uuid, bus, at.name, host, self._driver), known.last.get(bus, 0))
            for bus, at in known.places.items()
            if bus in there or known.last.get(bus)
        )

    def _fold(self, core: "Decider", fact: XidSeen, service: str, old: bool) -> None:
        key = self._belongs(fact)
        burst = self._open.get(key)
        if burst is not None and fact.at - burst.last_at >= episodes.SILENCE:
            self._end(core, key, burst)
            burst = None
        if burst is None and _mere_recovery(fact):
            core.stale_snapshot = True
            return  # the driver wants nothing, and nothing went wrong
        fresh = burst is None
        if burst is None:
            self._known = replace(self._known, number=self._known.number + 1)
            burst = replace(episodes.begun(self._known.number, fact, fact.uuid, fact.bus_id, service), past=old)
            while len(self._open) >= OPEN:
                oldest = next(iter(self._open))
                self._end(core, oldest, self._open[oldest])
        else:
            burst = replace(episodes.grown(burst, fact, service), past=burst.past and old)
            if fact.bus_id or fact.uuid:  # it began with a message that names no card
                burst = replace(burst, bus_id=burst.bus_id or fact.bus_id, uuid=burst.uuid or fact.uuid)
                self._open.pop(key, None)
        if burst.told < ROWS:
            burst = replace(burst, told=burst.told + 1)
            core.row("gpu.xid", rows.subject(burst.bus_id, burst.uuid), rows.line(fact, burst), public=False)
        self._open[_key(burst.bus_id, burst.uuid, burst.drill)] = burst
        self._keep(core, burst)
        if not burst.past:
            self._say(core, burst, fresh or burst.id not in self._shown)

    def _belongs(self, fact: XidSeen) -> tuple[str, bool]:
        """The key of the episode that a fault is part of: its card's, or that of messages that name no card."""
        own = _key(fact.bus_id, fact.uuid, fact.drill)
        if own in self._open:
            return own
        if own[0]:
            return ("", fact.drill) if ("", fact.drill) in self._open else own
        named = [key for key in self._open if key[1] == fact.drill]
        return named[0] if len(named) == 1 else own

    def _say(self, core: "Decider", burst: Burst, fresh: bool) -> None:
        """Tell of an episode that began, or that is understood otherwise now."""
        before = self._shown.get(burst.id)
        now = episodes.shown(burst, core.loaded.xids, self._known.card(burst.bus_id, burst.uuid))
        self._shown[burst.id] = now
        core.stale_snapshot = True
        self._series.episode(now, self._known.labels(burst.bus_id, burst.uuid))
        if fresh:
            self._row(core, "gpu.fault", burst, now)
        elif before is None or _gist(before) != _gist(now):
            self._row(core, "gpu.fault_changed", burst, now)

    def _end(self, core: "Decider", key: tuple[str, bool], burst: Burst, why: str = "") -> None:
        """An episode is over. One that was over before we looked is told of now, and only once."""
        self._open.pop(key, None)
        core.batch.put(SPACE, f"{EPISODES}{burst.id}", None)
        card = self._known.card(burst.bus_id, burst.uuid)
        now = episodes.shown(burst, core.loaded.xids, card, done=True)
        self._series.episode(now, self._known.labels(burst.bus_id, burst.uuid))
        self._shown.pop(burst.id, None)
        core.stale_snapshot = True
        if burst.past:
            self._row(core, "gpu.fault", burst, replace(now, text=f"Before we looked: {now.text}"))
            return
        self._series.ended(now, self._known.labels(burst.bus_id, burst.uuid), _about(core, now.service))
        lasted = units.show_duration(max(1.0, burst.last_at - burst.first_at))
        several = f", in {lasted}" if burst.faults > 1 else ""
        count = f"{burst.faults} message{'' if burst.faults == 1 else 's'}{several}"
        text = f"{'Drill: ' if burst.drill else ''}{card}: {why or 'no further fault for 3m'}; it was {count}."
        self._row(core, "gpu.fault_over", burst, replace(now, text=text))

    def _first(self, core: "Decider") -> None:
        """What a restart of the machine ended, and how the others stand."""
        for burst in self._ended:
            self._end(core, _key(burst.bus_id, burst.uuid, burst.drill), burst, "the machine was restarted")
        self._ended = []
        self._save(core)
        for burst in self._bursts():
            if not burst.past:
                self._shown[burst.id] = episodes.shown(
                    burst, core.loaded.xids, self._known.card(burst.bus_id, burst.uuid)
                )
                self._series.episode(self._shown[burst.id], self._known.labels(burst.bus_id, burst.uuid))

    def _row(self, core: "Decider", kind: str, burst: Burst, now: XidEpisode) -> None:
        core.row(
            kind,
            rows.subject(burst.bus_id, burst.uuid),
            rows.document(now, self._known.places.get(burst.bus_id), burst.past),
        )

    # ------------------------------------------------------------ small

    def _over_at(self, burst: Burst) -> float:
        """Unix seconds at which it is over, if nothing more comes. The past comes piece by piece."""
        return self._past_until if burst.past else burst.last_at + episodes.SILENCE

    def _bursts(self) -> list[Burst]:
        return sorted(self._open.values(), key=lambda one: one.number)

    def _keep(self, core: "Decider", burst: Burst) -> None:
        core.batch.put(SPACE, f"{EPISODES}{burst.id}", dump(burst))

    def _save(self, core: "Decider") -> None:
        if self._known != self._saved:
            self._saved = self._known
            core.batch.put(SPACE, KEY, dump(self._known))

    def _tell(self, core: "Decider") -> None:
        self._append(core, self._series.take())

    def _append(self, core: "Decider", samples: tuple[Sample, ...]) -> None:
        if samples:
            core.rules.arrived(SOURCE, core.store.append(core.now, samples), core.now)


def _whose(core: "Decider", container_id: str) -> tuple[str, dict[str, str]]:
    """(the service whose container this is, the labels of its series)."""
    for service in core.registry.services() if container_id else ():
        box = service.container
        if box is not None and box.id == container_id:
            return service.id, series_labels(box.name, box.labels)
    return "", {}


def _about(core: "Decider", service: str) -> dict[str, str]:
    """The labels of a service's series."""
    found = core.registry.get(service) if service else None
    box = found.container if found is not None else None
    return series_labels(box.name, box.labels) if box is not None else {}


def _mere_recovery(fact: XidSeen) -> bool:
    """The driver says that the card needs nothing: no fault."""
    return fact.xid == VERDICT and fact.recovery == "none"


def _gist(episode: XidEpisode) -> tuple[object, ...]:
    """What of an episode is news."""
    return episode.root, episode.fault, episode.remedy, episode.recovery, episode.service


def _key(bus: str, uuid: str, drill: bool) -> tuple[str, bool]:
    return bus or uuid, drill
