"""The registry's hand on kills for want of memory: whose they were, what is counted, and what people are told.

From: registry.py (facts.OomSeen, timers) and events.py (the engine's word, the end of a container). To: the rows
`container.oom` and `daemon.oom`, the tally of the service, its trouble. A kill is counted at the first word of it, so
that rules see it at once; it is told once, with everything that is known: as soon as the kernel's log named it, or
when the window for other words closes. Only the engine's word of a container that lives on is held against the counter
of its group first, where that is read: an innocent one is neither counted nor told of.
"""

from collections.abc import Iterable
from dataclasses import replace

from supervisor import units
from supervisor.errors import JournalError
from supervisor.facts import Container, EngineEvent, Json, OomSeen
from supervisor.journal.codec import dump, load
from supervisor.services import trouble
from supervisor.services.happening import Happening, about
from supervisor.services.oom import words
from supervisor.services.oom.kill import ENGINE, Death, Evidence, Kill, Oom, Word, after, flagged, verdict
from supervisor.services.oom.merge import AFTERMATH, CLUSTER
from supervisor.services.ours import carried_by
from supervisor.services.record import Held
from supervisor.services.state import State

SPACE, KEY = "meta", "oom"
"""where the journal keeps the latest kills: what was not told is told after a restart, and nothing is told twice"""
_KEPT = 32
_HOST = "host"


# ---------------------------------------------------------------- what is told


def heard(state: State, held: Held, event: EngineEvent) -> None:
    """The engine says that a container ran out of memory."""
    at = event.time_ns / 1e9 if event.time_ns else event.at
    told = Evidence(held.container.id, ENGINE, at, max(event.mono, state.mono))
    known, since = state.counters(), held.container.started_at
    if _runs(held, at) and known.tell_of(told.container, since):
        before = known.kills(told.container) if since <= known.at <= at + CLUSTER else 0.0
        _follow_all(state, state.ooms.hear(told, before, event.mono))
    else:
        _take(state, told, 1)


def seen(state: State, fact: OomSeen) -> None:
    """The kernel says so, in its log or by a counter."""
    container, process = fact.container_id, units.plain(fact.process, 64)
    if not container and fact.pid:
        container = next((one.container.id for one in state.held.values() if one.container.pid == fact.pid), "")
    limit_of = units.plain(fact.limit_of)
    told = Evidence(container, fact.source, fact.at, state.mono, process, fact.pid, fact.constraint, limit_of)
    _take(state, told, fact.kills)


def died(state: State, held: Held, at: float, code: int | None, asked: bool) -> Oom | None:
    """A container's run ends (it is not shown as ended yet). What is known of a kill that it is due to; None where no
    kill has to do with it."""
    _check(state)  # it was read while it lived
    container = held.container
    pid = container.pid if container.started_at <= at else 0  # late news of an earlier run, else
    death = Death(container.id, at, state.mono, code, pid, asked or held.killed, about=about(container))
    death.service, death.carries = _carries(state, held)
    kill = state.ooms.died(death)
    held.spared |= any(word.calm for word in state.ooms.words if word.said.container == container.id)
    if kill is not None:
        state.ooms.changed = True
        _bind(state, kill)
        _count(state, kill)
        return verdict(kill)
    before = None if asked or held.killed else state.ooms.consequence(container.id, container.started_at, at)
    return after(before) if before is not None else None


def of_last(state: State, held: Held, container: Container) -> Oom | None:
    """What is known of a kill in the latest end of a container, its inspect (`container`) included."""
    mine = [death for death in state.ooms.deaths if death.container == container.id]
    if mine and mine[-1].kill is not None:
        return verdict(mine[-1].kill)
    since, at = container.started_at, container.finished_at
    if mine and not mine[-1].asked:
        before = state.ooms.consequence(container.id, since, max(at, mine[-1].at))
        if before is not None:
            return after(before)
    if held.oom or not container.oom_killed:
        return None  # the flag stands for a kill that is known, long before the end
    return flagged(container.exit_code)


def document(oom: Oom | None) -> Json:
    """What rows about the end of a container say of a kill."""
    return {"oom": oom is not None, **({"oom_verdict": dump(oom)} if oom is not None else {})}


def tick(state: State) -> None:
    """Tell what nobody will say more about."""
    _check(state)
    for kill in state.ooms.ripe(state.mono):
        if not kill.container:
            state.ooms.blame(kill)
        _follow(state, kill)
        held = _held(state, kill.container)
        kill.alone = not kill.ended and held is not None and held.container.running and held.engine not in state.down
        _tell(state, kill)


def due(state: State) -> float | None:
    """The mono at which `tick` has something to do."""
    risen = any(_counted(state, word) for word in state.ooms.words)
    return state.mono if risen else state.ooms.due()


# ---------------------------------------------------------------- keeping


def restore(state: State, kept: Json) -> None:
    """Kills that the last process knew of."""
    try:
        words = [load(Word, value) for value in kept.get("words", ())]
        state.ooms.restore([load(Kill, value) for value in kept.get("kills", ())], words)
    except JournalError as err:
        state.problems.append(f"{err}; kills for want of memory before this start may be told again.")


def keep(state: State) -> None:
    """Put the latest kills into the journal, where they changed."""
    if not state.ooms.changed:
        return
    state.ooms.changed = False
    latest = [dump(kill) for kill in state.ooms.kills[-_KEPT:]]
    for kill in latest:
        if kill["told"] and kill["told"] >= kill["counted"]:
            kill["about"] = {}
    words = [dump(word) for word in state.ooms.words]
    state.put((SPACE, KEY, {"kills": latest, "words": words} if latest or words else None))


# ---------------------------------------------------------------- inside


def _check(state: State) -> None:
    """Hold the engine's words against the counters. One is a kill where its container's has risen, or where nobody
    could look; it is none where the counter says so and the container lives on."""
    for word in state.ooms.waiting(state.mono):
        risen = _counted(state, word)
        word.calm = risen is False or word.calm
        if risen or (word.until <= state.mono and not word.calm):
            _follow_all(state, state.ooms.believe(word))
        elif word.until <= state.mono:
            state.ooms.drop(word)
            held = _held(state, word.said.container)
            if held is not None and _runs(held, word.said.at):
                held.spared = True


def _counted(state: State, word: Word) -> bool | None:
    """Whether the container's counter has risen since the engine said so; None where it was not read since."""
    held, known = _held(state, word.said.container), state.counters()
    if held is None or not _runs(held, word.said.at) or known.mono < word.mono or held.container.id not in known.groups:
        return None
    return known.kills(held.container.id) > word.kills


def _take(state: State, told: Evidence, kills: int) -> None:
    _follow_all(state, state.ooms.take(told, kills))


def _follow_all(state: State, kills: Iterable[Kill]) -> None:
    for kill in kills:
        _follow(state, kill)
        if kill.sure:
            _tell(state, kill)


def _follow(state: State, kill: Kill) -> None:
    """Something about a kill became known: bind it to its container's service and end, count it, say what is wrong."""
    state.ooms.changed = True
    _bind(state, kill)
    state.ooms.link(kill)
    _count(state, kill)
    record = state.records.get(kill.service) if kill.carries else None
    held = _held(state, kill.container)
    if kill.ended:
        latest = [one for one in state.ooms.deaths if one.container == kill.container][-1:]
        if record is not None and latest and latest[0].kill is kill and not latest[0].asked:
            trouble.was_killed(state, record, verdict(kill))
            state.refresh(record)
    elif held is not None and not kill.spared and _runs(held, kill.at):
        held.oom = True
        if record is not None and state.mono - kill.mono <= AFTERMATH:  # later words of it are no new trouble
            trouble.child_killed(state, record, verdict(kill))
            state.refresh(record)


def _bind(state: State, kill: Kill) -> None:
    """Whose process it was. A container that is gone is known from its end."""
    if kill.service or not kill.container:
        return
    held = _held(state, kill.container)
    if held is not None:
        kill.service, kill.carries = _carries(state, held)
        kill.about = about(held.container)
        if _runs(held, kill.at):
            kill.main_pid = kill.main_pid or held.container.pid
        return
    for death in state.ooms.deaths:
        if death.container == kill.container:
            kill.service, kill.carries, kill.about = death.service, death.carries, death.about


def _carries(state: State, held: Held) -> tuple[str, bool]:
    """The service a container belongs to, and whether it carries it: the new one of an open plan does not yet."""
    if held.service:
        return held.service, True
    plan = state.plans.get(held.container.id) or state.plans.get(held.container.name)
    return (carried_by(plan, held.container.id, held.container.name) if plan is not None else ""), False


def _runs(held: Held, at: float) -> bool:
    """Whether it lives, in the very run it was in then."""
    return held.container.alive and at >= held.container.started_at


def _held(state: State, container: str) -> Held | None:
    return next((held for (_engine, cid), held in state.held.items() if cid == container), None)


def _count(state: State, kill: Kill) -> None:
    record = state.records.get(kill.service) if kill.carries else None
    if record is None or kill.spared or kill.counted >= kill.kills:
        return
    record.tally.ooms += kill.kills - kill.counted
    kill.counted = kill.kills
    state.keep_tally(record)
    state.refresh(record)


def _tell(state: State, kill: Kill) -> None:
    """Write the row of what was not told yet."""
    known, budget = verdict(kill), state.budget()
    if kill.told >= kill.kills:
        return
    more, kill.told = kill.kills - kill.told, kill.kills
    if known.kills:
        known = replace(known, kills=more)
    body: Json = {**kill.about, "oom_verdict": dump(known)}
    if kill.service:
        new = "" if kill.carries else str(kill.about.get("container", ""))
        body["text"] = words.of_container(kill.service, known, budget, new)
        state.told.append(Happening("container.oom", kill.service, kill.at, body))
        return
    text = words.of_host(known, kill.container, str(kill.about.get("container", "")), budget)
    body = {"container": kill.container, "oom_verdict": dump(known), "text": text}
    state.told.append(Happening("daemon.oom", _HOST, kill.at, body))
