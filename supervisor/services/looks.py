"""What inspects and sweeps mean: they settle what events only suggested, and find what events were lost.

They come through the registry. Nothing that was missed is made up: deaths nobody saw are only as many as the engine's
own RestartCount grew by.
"""

from collections.abc import Callable
from dataclasses import replace

from supervisor import units
from supervisor.facts import Container, EngineEvent, Sweep
from supervisor.services import trouble
from supervisor.services.events import on_event, remove, settle, want_running
from supervisor.services.identity import tame, trusted
from supervisor.services.oom import telling
from supervisor.services.oom.kill import FLAG
from supervisor.services.record import Held, Record
from supervisor.services.state import State
from supervisor.services.tally import Life

RACE = 2.0
"""seconds: a list may be that much older than its arrival, so what was heard of since is not missed in it"""


def meet(state: State, engine: str, container: Container, early: list[EngineEvent], mono: float) -> Held:
    """A container we did not know. `early` is what was heard of it before it could be looked at."""
    created = any(event.kind == "create" for event in early)
    new = created or engine in state.swept  # it was not there when everything was listed: it began at 0 since
    dies = len([event for event in early if event.kind == "die"])
    base = 0 if new else max(0, container.restart_count - dies)
    held = Held(engine, tame(container), trusted(container), Life(base=base, count=base), mono)
    if early:
        held.container = _before(held.container, early, created)
    held.run = 0.0 if early else container.started_at
    state.held[held.key] = held
    return held


def first_look(
    state: State,
    engine: str,
    container: Container,
    early: list[EngineEvent],
    mono: float,
    log: tuple[str, ...] = (),
) -> None:
    """Take up a container: what was heard of it before, then how it stands."""
    held = meet(state, engine, container, early, mono)
    state.regroup()
    at = state.at
    for event in early:
        state.at = event.at
        on_event(state, held, event)
    state.at = at
    if held.key in state.held:
        look(state, held, container, log, mono, first=True)


def _before(container: Container, early: list[EngineEvent], created: bool) -> Container:
    """How it must have stood before the first of these events."""
    kinds = [event.kind for event in early]
    if created:
        status = "created"
    elif "start" in kinds and "die" not in kinds[: kinds.index("start")]:
        status = "restarting" if container.restart_count else "exited"
    else:
        status = "running"
    never = {"started_at": 0.0, "finished_at": 0.0} if created else {}
    health = "none" if container.health == "none" else "starting"
    return replace(container, status=status, exit_code=0, health=health, **never)  # type: ignore[arg-type]


def look(
    state: State, held: Held, container: Container, log: tuple[str, ...], mono: float, *, first: bool = False
) -> None:
    """An inspect of a container we know (or just met)."""
    held.heard = max(held.heard, mono)
    if _outdated(held, container):
        held.doubted = True
        return
    held.doubted = False
    before, said = held.container, held.said
    held.said = trusted(container)
    held.container = state.believed(held.engine, tame(container), RACE)
    if held.spared and not held.oom:
        held.container = replace(held.container, oom_killed=False)  # that is what its engine means by it
    missed = held.life.looked(container.restart_count, container.started_at, state.at)
    if before.name != held.container.name or before.labels != held.container.labels or said != held.said:
        state.regroup()
    record = state.records.get(held.service)
    if record is not None:
        _catch_up(state, held, record, missed, log, first)
        if not first and not missed and before.alive:
            _found_ended(state, held, record)
        if _started_by_a_person(state, held, record, before, first):
            want_running(state, held, record, state.at, "found running again")
    if container.started_at != held.run:
        held.asked = held.asked and not container.running
        held.stopped = held.stopped and not container.running
    if first or (not held.start_seen and 0 < held.run < container.started_at):
        held.loaded = container.health == "unhealthy"  # it may have been healthy before we came
    held.loaded |= container.health == "healthy"  # no event said when
    held.run, held.start_seen = container.started_at, False
    held.died_when = 0.0 if container.running else max(held.died_when, container.finished_at)
    if record is not None:
        settle(state, held)


def _outdated(held: Held, container: Container) -> bool:
    """Whether the inspect was taken before an event we have already: it shows a run that is over. A second one in a
    row is believed, in case it is a clock that went back."""
    if held.doubted:
        return False
    if held.start_seen and held.run and container.started_at == held.run:
        return True
    if 0 < container.started_at < held.run:
        return True
    return container.alive and 0 < container.started_at < held.died_when


def _catch_up(state: State, held: Held, record: Record, missed: int, log: tuple[str, ...], first: bool) -> None:
    """What the inspect tells that no event did."""
    container = held.container
    ended = not container.running and container.status != "created"
    if missed and state.our_hand(record, held, container.finished_at) is None:
        code = container.exit_code if ended else None
        state.count_deaths(record, missed, max(container.finished_at, record.tally.last_death_at), code)
        times = "once" if missed == 1 else f"{missed} times"
        text = f"{record.id} died {times} while nobody looked, by the engine's restart counter."
        totals = {"deaths": record.tally.deaths, "streak": record.tally.streak}
        state.tell("container.died", record, container, missed=missed, exit_code=code, **totals, text=text)
        if container.status == "restarting":  # what has ended otherwise may have been stopped
            trouble.died(state, record, code, telling.of_last(state, held, container))
        elif container.running:
            trouble.died_unseen(state, record)
    unseen = not held.start_seen and (first or 0 < held.run < container.started_at)
    if container.running and (unseen or missed):
        record.tally.started()
        record.running_since = record.healthy_since = None
    if missed or unseen:
        state.keep_tally(record)
    if held.counted and ended and record.tally.last_exit is None:
        record.tally.last_exit = container.exit_code
    if log and held.unproven_log:
        oom = telling.of_last(state, held, container)
        if oom is not None and FLAG in oom.sources and oom.confidence != "possible":
            trouble.was_killed(state, record, oom)  # nobody else told, but the engine heard of it
        trouble.said(state, record, log)
        evidence = {"log": list(log), "died_at": held.unproven_log, "exit_code": container.exit_code}
        evidence |= {"cause": record.tally.trouble, "cause_text": record.tally.trouble_text}
        evidence |= telling.document(oom)
        text = f"The last {len(log)} lines of {record.id} before it ended."
        state.tell("container.evidence", record, container, **evidence, text=text)
        held.unproven_log = 0.0


def _found_ended(state: State, held: Held, record: Record) -> None:
    """It stands still and no event told how it ended: the engine was restarted, or events were lost. Nobody knows
    whether that was a death, so none is counted; but it is said."""
    container = held.container
    if container.status not in ("exited", "dead") or state.our_hand(record, held, state.at) is not None:
        return
    text = f"{record.id} is down: {units.exit_words(container.exit_code)}; nobody saw how it ended."
    state.tell("container.stopped", record, container, exit_code=container.exit_code, seen=False, text=text)


def _started_by_a_person(state: State, held: Held, record: Record, before: Container, first: bool) -> bool:
    """Whether what was to stay stopped runs, and neither we nor the engine can have started it: a policy of `always`
    is obeyed by the engine at boot, a restart of its own shows in RestartCount. A container that was made since tells
    by itself: no engine makes one."""
    container, wanted = held.container, record.wanted
    if wanted.state != "stopped" or state.plan_on(record, held) is not None:
        return False
    if first and held.living and container.created_at > wanted.at:
        return True
    return (
        container.running
        and container.started_at > wanted.at
        and container.restart_count == 0
        and not container.restart_policy.startswith("always")
        and (first or not before.living)
    )


def sweep(state: State, fact: Sweep, early: Callable[[str], list[EngineEvent]]) -> None:
    """Everything the engine has. What is not in it is gone, unless it came while the list was made. `early` gives the
    events of a container that came before it was known."""
    listed = {container.id for container in fact.containers}
    long_ago = max(fact.mono - RACE, state.up_since.get(fact.engine, 0.0))
    for held in list(state.held.values()):
        if held.engine == fact.engine and held.container.id not in listed and held.heard < long_ago:
            remove(state, held)
    fresh: list[Container] = []
    for container in sorted(fact.containers, key=lambda one: (one.created_at, one.id)):
        known = state.held.get((fact.engine, container.id))
        events = early(container.id) if known is None else []
        if known is not None:
            look(state, known, container, (), fact.mono)
        elif events:
            first_look(state, fact.engine, container, events, fact.mono)
        else:
            meet(state, fact.engine, container, [], fact.mono)
            fresh.append(container)
    state.swept.add(fact.engine)
    state.regroup()
    for container in fresh:
        look(state, state.held[(fact.engine, container.id)], container, (), fact.mono, first=True)
