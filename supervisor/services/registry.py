"""The registry of services: facts in, journal rows, samples and frozen `Service` snapshots out.

The core calls it inside its turn: `fold` with every fact about containers, `tick` when a timer is due; then it takes
what changed (`changed` for the journal, `gone` and `samples` for the rules, `services` for everything that is shown).
No await, no clock: time comes with the facts. It is restored from the journal's spaces wanted, proved, quarantine and
tally, and from meta (`carried`). looks.py and events.py say what facts mean, state.py what follows, graph.py what
services are to each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from supervisor.config import Settings
from supervisor.facts import (
    EngineEvent,
    EngineState,
    ImageRef,
    Json,
    Looked,
    MemoryBudget,
    OomSeen,
    Plan,
    Probed,
    Sample,
    Service,
    Sweep,
    Wanted,
)
from supervisor.journal.codec import dump
from supervisor.journal.ledger import Ledger
from supervisor.services import finding, graph, probing, trouble
from supervisor.services.events import PERSON, on_event, remove
from supervisor.services.happening import Happening
from supervisor.services.looks import first_look, look, sweep
from supervisor.services.names import COMPOSE_SERVICE_LABEL, canonical, is_temp, role_of
from supervisor.services.oom import telling
from supervisor.services.oom.kill import Counters
from supervisor.services.ours import costly
from supervisor.services.proof import Timers
from supervisor.services.record import Record
from supervisor.services.series import Heard, values
from supervisor.services.series import samples as samples_of
from supervisor.services.state import Key, State

EVENTS_KNOWN = 4096
MOST_STRANGERS = 512
"""containers whose events wait for their first inspect"""
ENGINE_ENDS = 30.0
"""seconds an engine may take from the first container it stops to its own end (Docker gives them 15)"""
MOST_EARLY = 64
"""events that wait for one container's first inspect"""
CARRIED_FOR = 86400.0
"""seconds for which it is remembered which service a container carried that carries it no more"""
CARRIED = "carried"
"""the key in the space meta: those that somebody's namespaces still name"""
ASKED_TO_END = (0, 130, 137, 143)
"""exit codes of a container that was asked to end"""

Space = Mapping[str, Json]
ContainerFact = EngineEvent | Looked | ImageRef | Sweep | EngineState | OomSeen


class Registry:
    """All services. Deterministic: the same facts in the same order give the same rows, samples and snapshots."""

    def __init__(self, settings: Settings, kept: Mapping[str, Space], *, own: str = "") -> None:
        """`kept`: the journal's spaces by name. `own`: the id of the container we run in, '' for none."""
        self._state = State(settings, Ledger(kept.get("proved", {}), kept.get("quarantine", {})), own)
        self._state.restore(kept)
        telling.restore(self._state, kept.get(telling.SPACE, {}).get(telling.KEY, {}))
        self._timers = Timers(self._state)
        self._strangers: dict[Key, list[EngineEvent]] = {}
        self._known: dict[tuple[str, str, str, int], None] = {}
        self._services: tuple[Service, ...] = ()
        self._by_id: dict[str, Service] = {}
        self._carried: dict[Key, tuple[str, float]] = {}
        """container → the service it carries or carried, and the mono at which it was last seen to"""
        for cid, (engine, service) in sorted(kept.get("meta", {}).get(CARRIED, {}).items()):
            self._carried[(str(engine), cid)] = (str(service), 0.0)
        self._kept_carried: Json = dict(kept.get("meta", {}).get(CARRIED, {}))
        self._lives: dict[str, str] = {}
        self._lost: dict[str, float] = {}
        self._heard = Heard()

    # ------------------------------------------------------------ facts in

    def fold(self, fact: ContainerFact, plans: Mapping[str, Plan]) -> tuple[Happening, ...]:
        """Take in one fact. `plans`: the open plans, by the ids and names of the containers they work on."""
        state = self._state
        self._plans(plans)
        state.at, state.mono = fact.at, max(fact.mono, state.mono)
        if isinstance(fact, EngineEvent):
            self._event(fact)
        elif isinstance(fact, Looked):
            self._looked(fact)
        elif isinstance(fact, Sweep):
            sweep(state, fact, lambda cid: self._strangers.pop((fact.engine, cid), []))
        elif isinstance(fact, ImageRef):
            state.learn_ref(fact.engine, fact.ref, fact.image_id)
        elif isinstance(fact, OomSeen):
            telling.seen(state, fact)
        else:
            self._engine(fact)
        return self._told()

    def mark(self, plans: Mapping[str, Plan]) -> None:
        """Plans were opened or have ended (at the time of the last `tick` or `fold`): services show it."""
        self._plans(plans)

    def tick(self, now: float, mono: float) -> tuple[Happening, ...]:
        """Let time pass: proofs that are complete, streaks that are over, services that are gone for good, kills that
        nobody will say more about."""
        self._state.at, self._state.mono = now, max(mono, self._state.mono)
        self._timers.tick()
        telling.tick(self._state)
        return self._told()

    def due(self) -> float | None:
        """The monotonic instant at which `tick` has something to do; None if nothing is coming."""
        found = [at for at in (self._timers.due(), telling.due(self._state)) if at is not None]
        return min(found, default=None)

    def want(self, service: str, wanted: Wanted) -> None:
        """Set what is wanted of a service."""
        record = self._state.record(service)
        if record.wanted.state == "stopped" and wanted.state == "running":
            trouble.fresh_start(self._state, record)
        self._state.set_wanted(record, wanted)

    def quarantine(self, service: str, image_id: str, why: str, at: float) -> None:
        """An image failed for this service: it is not last known good any more."""
        self._state.put(*self._state.ledger.quarantine(service, image_id, why, at))
        self._state.refresh(self._state.record(service))

    def loaded(self, service: str, seconds: float, image_id: str) -> None:
        """A maneuver saw a service become healthy so long after its start."""
        self._state.learn_load(self._state.record(service), seconds, image_id)

    def asked(self) -> None:
        """From now on somebody asks the probes of the services for ever: those that do not answer are not well."""
        self._state.probed = True
        self._state.refresh_all()

    def answered(self, fact: Probed) -> tuple[Happening, ...]:
        """A service answered its probe, or did not."""
        self._state.at, self._state.mono = fact.at, max(fact.mono, self._state.mono)
        probing.answered(self._state, fact)
        return self._told()

    def gap(self, seconds: float) -> None:
        """The wall clock was set by so much. If it was set back (`seconds` < 0), what was is not to lie ahead."""
        state = self._state
        state.ooms.gap(seconds)
        if seconds >= 0:
            return
        for record in (*state.records.values(), *state.remembered.values()):
            if record.tally.last_death_at:
                record.tally.last_death_at += seconds
                state.keep_tally(record)
            if record.wanted.at:
                record.wanted = replace(record.wanted, at=record.wanted.at + seconds)
                state.put(("wanted", record.id, dump(record.wanted)))
        # or every death of the hour that comes again would pass for the doing of the last plan
        state.ended = {service: (plan, at + seconds) for service, (plan, at) in state.ended.items()}
        state.refresh_all()

    def informed(self, budget: Callable[[], MemoryBudget | None], counters: Callable[[], Counters] = Counters) -> None:
        """Who knows how the memory of the box stands, so that people are told more about a kill; and what the groups of
        containers count, so that an engine's word of a kill is checked."""
        self._state.budget, self._state.counters = budget, counters

    def reload(self, settings: Settings) -> None:
        """Take over new settings: identities, ownership, needs and names may change."""
        self._state.settings = settings
        self._state.regroup()

    # ------------------------------------------------------------ what others read

    def services(self) -> tuple[Service, ...]:
        """All services, by id. The very same tuple as long as nothing changed."""
        if self._state.dirty:
            records = sorted(self._state.records.items())
            self._relate(tuple(record.service for _id, record in records if record.service is not None))
            self._state.dirty = False
        return self._services

    def get(self, service: str) -> Service | None:
        """One service by its id."""
        self.services()
        return self._by_id.get(service)

    def find(self, target: str | Mapping[str, str]) -> tuple[str, ...]:
        """The ids a word or a set of labels stands for: an id, an alias, a Kubernetes name, a compose service or a
        container's name, the first of these that matches anything. Several: the word is ambiguous."""
        records = self._state.records
        return finding.find([(service, records[service.id].tally.series) for service in self.services()], target)

    def aside(self) -> tuple[tuple[str, str], ...]:
        """(the name it stands aside for, its own name) of every container under a temporary name, by name."""
        found = [(held.container.name, held.container.labels) for held in self._state.held.values() if not held.service]
        return tuple(sorted((canonical(name, labels), name) for name, labels in found if is_temp(name)))

    def parked(self) -> tuple[tuple[str, str], ...]:
        """(the name it stood under, its own name) of every parked container that `compose up` may take, by name."""
        boxes = [held.container for held in self._state.held.values() if COMPOSE_SERVICE_LABEL in held.container.labels]
        found = [(canonical(box.name, {}), box.name) for box in boxes if is_temp(box.name)]
        return tuple(sorted((of, name) for of, name in found if role_of(of, name)[0] == "parked"))

    def problems(self) -> tuple[str, ...]:
        """What people should know about declarations that do not count, one sentence each."""
        found = list(self._state.problems)
        for service, record in sorted(self._state.records.items()):
            found += [f"{service}: {text}" for text in record.problems]
            if record.twins and record.service is not None:
                found.append(record.service.owned.text)
        return tuple(found)

    # ------------------------------------------------------------ what came of it

    def gone(self) -> tuple[Mapping[str, str], ...]:
        """Label selectors of series that ended since the last call. Mark them stale before `samples` is taken."""
        found, self._state.gone = tuple(self._state.gone), []
        return found

    def samples(self, *, full: bool) -> tuple[Sample, ...]:
        """Event-sourced samples: all of them with `full`, else those that changed since the last call. Services whose
        engine does not answer say nothing: nobody looks."""
        state = self._state
        self.services()  # what a service is to others may have changed with them
        wanted = sorted(state.records if full else state.touched)
        state.touched = {}
        found: list[Sample] = []
        for service in wanted:
            record = state.records.get(service)
            shown = self._by_id.get(service)
            if record is None or shown is None or record.names is None:
                continue
            if shown.engine in state.down or (not record.members and not record.sent):
                continue
            held = state.current(record)
            current = values(shown, record.tally, held.run if held is not None else 0.0)
            found += samples_of(record.names, current, record.sent, full=full, born=record.born)
            record.sent, record.born = current, False
        return tuple(found)

    def heard(self, *, full: bool) -> tuple[Sample, ...]:
        """Samples of which source told of how many kills for want of memory: all with `full`, else what changed."""
        return tuple(self._heard.samples(self._state.ooms.heard, full=full))

    def changed(self) -> Mapping[str, Mapping[str, Json | None]]:
        """What the journal must keep since the last call, by space and key; None deletes."""
        telling.keep(self._state)
        return self._state.take_puts()

    def found_down(self, engine: str) -> None:
        """This life saw the engine's containers for the first time, and the engine is in the same life as when we last
        looked: what stands still and was asked to end was stopped by somebody meanwhile, and is not to run."""
        state = self._state
        for record in list(state.records.values()):
            held = state.current(record)
            if held is None or held.engine != engine or held.living or not record.tally.ran:
                continue
            if held.container.exit_code in ASKED_TO_END and not held.container.oom_killed:
                record.tally.ran = False
                state.keep_tally(record)
                state.refresh(record)

    # ------------------------------------------------------------ what they are to each other

    def _relate(self, plain: tuple[Service, ...]) -> None:
        """Show each service with its relations; what is sampled of them is sampled anew where it changed."""
        state, before = self._state, self._by_id
        for service in plain:
            if service.container is not None:
                self._carried[(service.engine, service.container.id)] = (service.id, state.mono)
        for plan in state.plans.values():
            if plan.container_id:
                self._carried.setdefault((plan.engine, plan.container_id), (plan.service, state.mono))
        self._services = plain
        if any(map(graph.tied, plain)):
            boxes = [graph.Box(held.engine, held.container, held.service) for held in state.held.values()]
            carried = {key: service for key, (service, _at) in self._carried.items()}
            self._services = graph.related(plain, boxes, carried)
        self._by_id = {service.id: service for service in self._services}
        for service in self._services:
            old = before.get(service.id)
            if (old.cut_off if old is not None else "") != service.cut_off:
                state.touched[service.id] = None
        self._forget_carried()

    def _forget_carried(self) -> None:
        """Keep what is still named beyond a restart of ours, and let go of what is old."""
        state = self._state
        named = {
            (service.engine, cid)
            for service in self._services
            if service.reattach and service.container is not None
            for cid in graph.shared(service.container).values()
        }
        if len(self._carried) > len(state.held):
            oldest = state.mono - CARRIED_FOR
            self._carried = {key: one for key, one in self._carried.items() if one[1] >= oldest or key in named}
        kept: Json = {
            cid: [engine, service]
            for (engine, cid), (service, _at) in sorted(self._carried.items())
            if (engine, cid) in named and (engine, cid) not in state.held
        }
        if kept != self._kept_carried:
            self._kept_carried = kept
            state.put(("meta", CARRIED, kept or None))

    # ------------------------------------------------------------ inside

    def _event(self, fact: EngineEvent) -> None:
        if fact.type != "container":
            return
        identity = (fact.engine, fact.object_id, fact.kind, fact.time_ns)
        if identity in self._known:
            return
        self._known[identity] = None
        if len(self._known) > EVENTS_KNOWN:
            del self._known[next(iter(self._known))]
        held = self._state.held.get((fact.engine, fact.object_id))
        if held is not None:
            on_event(self._state, held, fact)
            return
        # Its labels, image and policy are not known yet; an inspect follows every event, or a sweep does.
        key = (fact.engine, fact.object_id)
        if fact.kind == "destroy":
            self._strangers.pop(key, None)
            return
        waiting = self._strangers.setdefault(key, [])
        if len(waiting) < MOST_EARLY:
            waiting.append(fact)
        if len(self._strangers) > MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]

    def _looked(self, fact: Looked) -> None:
        key = (fact.engine, fact.object_id)
        held = self._state.held.get(key)
        if fact.container is None:
            self._strangers.pop(key, None)
            if held is not None:
                remove(self._state, held)
        elif held is None:
            first_look(self._state, fact.engine, fact.container, self._strangers.pop(key, []), fact.mono, fact.log)
        else:
            look(self._state, held, fact.container, fact.log, fact.mono)

    def _engine(self, fact: EngineState) -> None:
        state = self._state
        mine = [record for record in state.records.values() if record.tally.engine == fact.engine]
        if not fact.up:
            state.down.add(fact.engine)
            self._lost[fact.engine] = fact.mono
        else:
            if self._lives.get(fact.engine, fact.identity) != fact.identity:
                self._engine_ended(mine, self._lost.get(fact.engine, fact.mono))
            self._lives[fact.engine] = fact.identity
            state.up_since[fact.engine] = fact.mono
            if fact.engine in state.down:
                state.down.discard(fact.engine)
                for record in mine:
                    record.sent = {}  # what was said before is too old to be heard by a rule
        state.refresh_all([record.id for record in mine])

    def _engine_ended(self, mine: list[Record], when: float) -> None:
        """It is another life of the engine. One that ends in order stops every container, with the very events of a
        person's stop: what was stopped shortly before (`when`, mono) was nobody's wish."""
        for record in mine:
            if record.wish is None or record.wanted.by != PERSON or record.wish[0] < when - ENGINE_ENDS:
                continue
            before, record.wish = record.wish[1], None
            self._state.set_wanted(record, before)
            text = f"The engine ended and took {record.id} along: nobody stopped it, so it is looked after as before."
            self._state.tell("container.stopped", record, by="engine", wanted=before.state, text=text)

    def _plans(self, plans: Mapping[str, Plan]) -> None:
        """Remember the open plans; services that gained or lost one look different now."""
        state = self._state
        if not plans and not state.plans:
            return
        before = {service: plan for plan in state.plans.values() for service in plan.services}
        after = {service: plan for plan in plans.values() for service in plan.services}
        for service in sorted(before.keys() - after.keys()):
            plan = before[service]
            if costly(plan):
                state.ended[service] = (plan, state.at)
        state.plans = dict(plans)
        state.refresh_all([service for service in sorted(before.keys() | after.keys()) if service in state.records])

    def _told(self) -> tuple[Happening, ...]:
        found, self._state.told = tuple(self._state.told), []
        return found
