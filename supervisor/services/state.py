"""The registry's state, and what follows from it: who carries which service, how it stands, what to tell.

events.py changes what is held; `refresh` derives the Service snapshot from it and notices drift, proof timers and
changed series. registry.py is the door. Time comes with every fact; nothing here waits or reads a clock.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from supervisor.config import Settings, needs_from
from supervisor.errors import JournalError
from supervisor.facts import Container, Json, MemoryBudget, Plan, Wanted
from supervisor.journal.codec import dump, load
from supervisor.journal.ledger import Ledger, Put
from supervisor.services import answers, drift, names
from supervisor.services.happening import Happening, about
from supervisor.services.identity import Identities, entry_of, ownership
from supervisor.services.loads import Loads, with_one_more
from supervisor.services.oom.kill import Counters
from supervisor.services.oom.merge import Ooms
from supervisor.services.ours import costly, launched
from supervisor.services.record import Held, Record
from supervisor.services.series import names_of
from supervisor.services.snapshot import service_of
from supervisor.services.tally import Tally, chain
from supervisor.verdicts import Reason, Verdict, no, yes

Key = tuple[str, str]
_REMEMBERED = 60.0
"""seconds for which what an event said of a reference is kept beside what inspects say: much longer than they race"""


@dataclass(slots=True)
class State:
    """Everything known about services. `at` and `mono` are those of the fact being folded."""

    settings: Settings
    ledger: Ledger
    own: str = ""
    """the id (or its beginning) of the container we run in"""
    held: dict[Key, Held] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    remembered: dict[str, Record] = field(default_factory=dict)
    """services without any container whose history is kept, the longest gone first"""
    plans: Mapping[str, Plan] = field(default_factory=dict)
    ended: dict[str, tuple[Plan, float]] = field(default_factory=dict)
    """the last plan on each service that is over, and when it ended: late events may still be its doing"""
    down: set[str] = field(default_factory=set)
    """engines that do not answer"""
    up_since: dict[str, float] = field(default_factory=dict)
    swept: set[str] = field(default_factory=set)
    """engines whose containers were listed: from then on what is missing is really missing"""
    refs: dict[Key, tuple[str, float]] = field(default_factory=dict)
    """(engine, long reference) → the image it stands for, and the mono of the event that said so"""
    at: float = 0.0
    mono: float = 0.0
    told: list[Happening] = field(default_factory=list)
    puts: dict[str, dict[str, Json | None]] = field(default_factory=dict)
    counted: dict[str, Record] = field(default_factory=dict)
    """services whose tally changed"""
    touched: dict[str, None] = field(default_factory=dict)
    """services whose samples may have changed"""
    gone: list[Mapping[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ooms: Ooms = field(default_factory=Ooms)
    budget: Callable[[], MemoryBudget | None] = lambda: None
    """how the memory of the box stands, for what people are told of a kill"""
    counters: Callable[[], Counters] = Counters
    """what the groups of containers count, as last read"""
    probed: bool = False
    """somebody asks the services' probes for ever"""
    dirty: bool = True

    # ------------------------------------------------------------ memory

    def restore(self, kept: Mapping[str, Mapping[str, Json]]) -> None:
        """Services as the journal remembers them; their containers are found by the first sweep."""
        for service, value in sorted(kept.get("tally", {}).items()):
            tally = self._read(Tally, value, service)
            if tally is not None:
                self.records[service] = Record(service, tally, born=False)
        for service, value in sorted(kept.get("wanted", {}).items()):
            wanted = self._read(Wanted, value, service)
            if wanted is not None:
                self.record(service).wanted = wanted
        for service, value in sorted(kept.get("load", {}).items()):
            known = self._read(Loads, value, service) if service in self.records else None
            if known is not None:
                self.record(service).loads = known.loads
        for record in list(self.records.values()):
            self.describe(record)
            self.refresh(record)
        gone = [record for record in self.records.values() if record.tally.gone_at]
        for record in sorted(gone, key=lambda record: (record.tally.gone_at, record.id)):
            self.shelve(record)

    def shelve(self, record: Record) -> None:
        """Take a service that has no container out of sight, but not out of mind."""
        self.records.pop(record.id, None)
        self.ended.pop(record.id, None)
        self.remembered[record.id] = record
        self.dirty = True

    def _read(self, kind: type[Any], value: Json, service: str) -> Any:
        try:
            return load(kind, value)
        except JournalError as err:
            self.problems.append(f"{service}: {err}; it begins anew.")
            return None

    def record(self, service: str) -> Record:
        """The record of a service, made if there is none."""
        found = self.records.get(service)
        if found is None:
            found = self.remembered.pop(service, None) or Record(service, Tally())
            found.lost_since = None
            self.records[service] = found
        return found

    def put(self, *puts: Put) -> None:
        """Something the journal must keep."""
        for space, key, value in puts:
            self.puts.setdefault(space, {})[key] = value

    def keep_tally(self, record: Record) -> None:
        """The tally changed: `take_puts` writes it once, however often it did."""
        self.counted[record.id] = record

    def take_puts(self) -> Mapping[str, Mapping[str, Json | None]]:
        """Everything the journal must keep since the last call."""
        for service in sorted(self.counted):
            self.put(("tally", service, dump(self.counted[service].tally)))
        self.counted = {}
        found, self.puts = self.puts, {}
        return found

    def tell(self, kind: str, record: Record, container: Container | None = None, **data: Any) -> None:
        """Something happened to a service, at the fact's own time."""
        body = about(container) if container is not None else {}
        self.told.append(Happening(kind, record.id, self.at, {**body, **data}, public=kind != "container.evidence"))

    def learn_load(self, record: Record, seconds: float, image: str) -> None:
        """It took so long from its start to healthy."""
        loads = with_one_more(record.loads, seconds, image, self.at)
        if loads != record.loads:
            record.loads = loads
            self.put(("load", record.id, dump(Loads(loads))))
            self.refresh(record)

    def set_wanted(self, record: Record, wanted: Wanted) -> None:
        """What the person wants of a service, from now on."""
        record.wanted = wanted
        self.put(("wanted", record.id, dump(wanted)))
        self.refresh(record)

    # ------------------------------------------------------------ who carries what

    def regroup(self) -> None:
        """Give every container its service anew: containers came, went or were renamed, or settings changed."""
        ordered = sorted(self.held.values(), key=lambda held: (held.container.created_at, held.key))
        identities: dict[str, Identities] = {}
        for engine in sorted({held.engine for held in ordered}):
            mine = [(held.container, held.said) for held in ordered if held.engine == engine]
            identities[engine] = Identities(self.settings, mine)
        members: dict[str, list[Key]] = {}
        for held in ordered:
            service = identities[held.engine].id_of(held.container, held.said)
            if service:
                members.setdefault(service, []).append(held.key)
                self._join(held, self.record(service))
            held.service = service
        for record in list(self.records.values()):
            record.members = members.get(record.id, [])
            alive = {cid for _engine, cid in record.members}
            stays = {cid: life for cid, life in record.tally.lives.items() if cid in alive or not record.members}
            if len(stays) != len(record.tally.lives):
                record.tally.lives = stays
                self.keep_tally(record)
            self.choose(record, identities)

    def _join(self, held: Held, record: Record) -> None:
        """A container (newly) claims a service: take up its count where the journal left it."""
        cid = held.container.id
        known = record.tally.lives.get(cid)
        if known is held.life:
            return
        if known is not None:
            held.life = known
            return
        record.tally.lives[cid] = held.life
        self.keep_tally(record)
        if record.wanted.policy and self.plan_on(record, held) is None:
            # what we took from another container's policy is nothing to this one
            record.wanted = replace(record.wanted, policy="")
            self.put(("wanted", record.id, dump(record.wanted)))
        text = f"{record.id} has the container {held.container.name}, made from {held.container.image_ref}."
        self.tell("container.appeared", record, held.container, status=held.container.status, text=text)

    def choose(self, record: Record, identities: Mapping[str, Identities] | None = None) -> None:
        """Which of its containers carries the service now: a living one; else the one by the plain name that is newest.
        Where several live, nobody is chosen anew and they are named as twins."""
        found = [self.held[key] for key in record.members]
        living = [held for held in found if held.living]
        kept = next((held for held in living if held.key == record.current), None)
        if living:
            best: Held | None = kept or living[0]
        else:
            best = max(found, key=_plain_and_new, default=None)
        record.twins = tuple(held.container.name for held in living if held is not best) if len(living) > 1 else ()
        before, record.current = record.current, best.key if best is not None else None
        if before != record.current:
            record.running_since = record.healthy_since = None
        if best is not None and identities is not None:
            record.entry = identities[best.engine].entry_of(best.container, record.id)
            self.describe(record)
        self.refresh(record)

    def describe(self, record: Record) -> None:
        """What a service declares, and what its series are called."""
        held = self.current(record)
        if held is None:
            record.entry = entry_of(self.settings, record.id)
        else:
            base = names.series_labels(held.container.name, held.container.labels)
            if base != record.tally.series or record.tally.engine != held.engine:
                self._renamed(record, base)
                record.tally.engine = held.engine
                self.keep_tally(record)
        said = held.said if held is not None else {}
        if record.described == (said, record.entry, record.tally.series) and record.names is not None:
            return
        record.described = (said, record.entry, dict(record.tally.series))
        record.needs, record.problems = needs_from(said, record.entry)
        if record.tally.series:
            made = names_of(record.id, record.tally.series, record.needs.kube)
            if record.names is not None and made != record.names:
                self.end_series(record)
            record.names = made

    def _renamed(self, record: Record, base: dict[str, str]) -> None:
        if record.tally.series:
            self.end_series(record)
        record.tally.series = base

    def end_series(self, record: Record) -> None:
        """Its series end here, under the names they had; whoever has one of those names now gives it out again."""
        made = record.names
        if made is None:
            return
        self.gone.extend(made.selectors)
        record.sent, record.names = {}, None
        ended = made.selectors[0]["name"]
        for other in self.records.values():
            if other.tally.series.get("name") == ended:
                other.sent = {}
                self.touched[other.id] = None

    def current(self, record: Record) -> Held | None:
        return self.held.get(record.current) if record.current is not None else None

    def plan_on(self, record: Record, held: Held | None) -> Plan | None:
        """The open plan that works on a service, harmless ones left out."""
        found = None
        if held is not None:
            found = self.plans.get(held.container.id) or self.plans.get(held.container.name)
        if found is None:
            found = next((plan for plan in self.plans.values() if record.id in plan.services), None)
        return found if found is not None and costly(found) else None

    def our_hand(self, record: Record, held: Held, when: float) -> Plan | None:
        """The plan behind what happened to a container at `when` (unix seconds): it had begun to write to it. An event
        can be slower than the end of the plan that caused it."""
        plan = self.plan_on(record, held)
        if plan is None:
            plan, ended_at = self.ended.get(record.id, (None, 0.0))
            if plan is None or when > ended_at:
                return None
        names_written = (held.container.id, held.container.name)
        for step in plan.steps:
            if step.name in plan.begun and (step.phase != "before" or any(one in step.writes for one in names_written)):
                return plan
        return None

    def somebodys_hand(self, record: Record, held: Held, when: float) -> bool:
        """Whether a request to end it at `when` is a person's although a plan is at work on it."""
        plan = self.our_hand(record, held, when)
        return plan is not None and launched(plan, when)

    # ------------------------------------------------------------ how it stands

    def refresh(self, record: Record) -> None:
        """Derive the snapshot of a service from what is held, and notice what changed."""
        held = self.current(record)
        container = held.container if held is not None else None
        engine = held.engine if held is not None else record.tally.engine
        watched = container is not None and container.running and engine not in self.down
        if watched and not record.tally.ran:
            record.tally.ran = True
            self.keep_tally(record)
        healthy = container is not None and answers.well(container, self.probe_says(record, container))
        record.running_since = _since(record.running_since, watched, self.mono)
        record.healthy_since = _since(record.healthy_since, watched and healthy and not record.twins, self.mono)
        record.settled = record.settled and record.healthy_since is not None
        self._losing(record, engine)
        drift.look(self, record, container, self.ledger.last_known_good(record.id))
        plan = self.plan_on(record, held)
        owned = self._owned(record, held)
        if container is not None and owned.ok != record.tally.owned:
            record.tally.owned = owned.ok
            self.keep_tally(record)
        mates = (one.container for one in self.held.values() if one.engine == engine)
        made = service_of(record, engine, container, owned, healthy, self.ledger, plan, mates)
        self.touched[record.id] = None
        if made != record.service:
            record.service = made
            self.dirty = True

    def probe_says(self, record: Record, container: Container) -> bool | None:
        """Whether it is well by its probe; None where that tells nothing or does not count."""
        return answers.verdict(record, container, self.probed, self.at)

    def _losing(self, record: Record, engine: str) -> None:
        """Keep the time since when it has no container; while its engine is away nobody knows."""
        if record.current is not None:
            record.lost_since = None
            if record.tally.gone_at:
                record.tally.gone_at = 0.0
                self.keep_tally(record)
        elif record.lost_since is None and self.swept and (engine in self.swept - self.down or not engine):
            record.lost_since = self.mono

    def _owned(self, record: Record, held: Held | None) -> Verdict:
        if held is not None:
            own = bool(self.own) and (held.container.id.startswith(self.own) or held.container.name == self.own)
            listed, broker = self.settings.consent == "listed", self.settings.mqtt.url
            return ownership(record.id, held.container, held.said, record.entry, record.twins, own, listed, broker)
        if record.tally.owned:
            return yes("It opted in; it has no container now.")
        return no(Reason.NOT_OWNED, f"{record.id} is only watched, and has no container now.")

    # ------------------------------------------------------------ deaths

    def count_deaths(self, record: Record, number: int, at: float, code: int | None) -> None:
        """`number` deaths of a service, the last at `at`."""
        gap = at - record.tally.last_death_at if record.died_mono is None else self.mono - record.died_mono
        shown = record.service.container if record.service is not None else None
        checked = shown is not None and (shown.health != "none" or record.said is not None)
        unwell = checked and record.healthy_since is None
        tied = chain(record.needs, unwell=unwell)
        record.tally.died(number, at, code, bool(record.tally.streak) and gap <= tied)
        record.died_mono = self.mono
        self.keep_tally(record)

    def learn_ref(self, engine: str, ref: str, image_id: str) -> None:
        """What a reference stands for from now on ('' if it is gone), by an event; every container that was made from
        it is seen in that light."""
        long = names.canonical_ref(ref)
        self.refs = {key: said for key, said in self.refs.items() if said[1] >= self.mono - _REMEMBERED}
        self.refs[(engine, long)] = (image_id, self.mono)
        for held in self.held.values():
            container = held.container
            if held.engine == engine and long and names.canonical_ref(container.image_ref) == long:
                held.container = replace(container, ref_image_id=image_id)
                if held.service:
                    self.choose(self.records[held.service])

    def believed(self, engine: str, container: Container, race: float) -> Container:
        """The inspected container, with what its reference stands for put right by an event that was faster."""
        image_id, when = self.refs.get((engine, names.canonical_ref(container.image_ref)), ("", None))
        if when is None or when < self.mono - race or image_id == container.ref_image_id:
            return container
        return replace(container, ref_image_id=image_id)

    def refresh_all(self, services: Iterable[str] | None = None) -> None:
        for service in list(self.records) if services is None else services:
            self.refresh(self.records[service])


def _since(since: float | None, holds: bool, mono: float) -> float | None:
    if not holds:
        return None
    return mono if since is None else since


def _plain_and_new(held: Held) -> tuple[bool, float, Key]:
    name = held.container.name
    return (names.canonical(name, held.container.labels) == name, held.container.created_at, held.key)
