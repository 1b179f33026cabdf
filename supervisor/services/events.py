"""What engine events mean: started, died, asked to end, stopped by a person, out of memory, renamed, gone.

Events come through the registry, labels and all: every attribute can be shadowed by a label of the container, so each
is read with that in mind. An event only corrects what the last inspect said; inspects (looks.py) settle it.
"""

from collections.abc import Callable
from dataclasses import replace

from supervisor import units
from supervisor.facts import Container, EngineEvent, Wanted
from supervisor.services import trouble
from supervisor.services.happening import death_text
from supervisor.services.oom import telling
from supervisor.services.oom.kill import Oom
from supervisor.services.oom.words import of_death
from supervisor.services.record import Held, Record
from supervisor.services.state import State
from supervisor.services.tally import exit_signal

PERSON = "person"
_HARMLESS = frozenset((0, 1, 10, 12, 17, 18, 20, 23, 28))
"""signals that usually do not end a process: HUP USR1 USR2 CHLD CONT TSTP URG WINCH"""
_NUMBERS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "CHLD": 17, "CONT": 18}
_NUMBERS |= {"URG": 23, "WINCH": 28}
_SAME_RUN = 2.0
"""seconds between StartedAt and its start event, at most, on a busy box"""


def engine_time(event: EngineEvent) -> float:
    """When it happened, by the engine's own clock, which is also that of StartedAt and FinishedAt."""
    return event.time_ns / 1e9 if event.time_ns else event.at


def on_event(state: State, held: Held, event: EngineEvent) -> None:
    """Fold one event about a container we know."""
    held.heard = max(held.heard, event.mono)
    kind, _, rest = event.kind.partition(":")
    handler = _HANDLERS.get(kind)
    if handler is None:
        return
    record = state.records.get(held.service)
    if kind == "health_status":
        _health(held, rest.strip() or _attribute(held.container, event, "health_status"))
    else:
        handler(state, held, record, event)
    if held.service:
        settle(state, held)
    if kind == "health_status":
        _learn_load(state, held, record, engine_time(event))


def settle(state: State, held: Held) -> None:
    """After a change to one container: who carries its service now, and how that stands."""
    record = state.records.get(held.service)
    if record is not None:
        before = record.service.container if record.service is not None else None
        state.choose(record)
        if trouble.seen(state, record):
            state.refresh(record)
        tell_health(state, record, before)


def tell_health(state: State, record: Record, before: Container | None) -> None:
    """Tell that the engine's own health check turned, for the container that carried the service already."""
    now = record.service.container if record.service is not None else None
    if now is None or before is None or before.id != now.id or before.health == now.health or not now.running:
        return
    if now.health == "healthy":
        state.tell("container.healthy", record, now, text=f"{record.id} is healthy by its own check.")
    elif now.health == "unhealthy":
        state.tell("container.unhealthy", record, now, text=f"{record.id} fails its own health check.")


# ---------------------------------------------------------------- ends


def _kill(state: State, held: Held, record: Record | None, event: EngineEvent) -> None:
    """Somebody sent a signal through the engine. 9 is no request: it is what the engine and the kernel use, too."""
    number = _signal(_attribute(held.container, event, "signal"))
    if number == 9:
        held.killed = True
        return
    held.by_hand = record is not None and state.somebodys_hand(record, held, engine_time(event))
    if number in _HARMLESS:
        held.nudged = True
    else:
        held.asked = True


def _die(state: State, held: Held, record: Record | None, event: EngineEvent) -> None:
    container, when = held.container, engine_time(event)
    code = exit_code(_attribute(container, event, "exitCode"))
    plan = state.our_hand(record, held, event.at) if record is not None else None
    restarts = _restarts(container, code)
    job = code == 0 and not container.restart_policy.startswith(("always", "unless-stopped"))
    death = not held.asked and plan is None and not job
    uptime = when - container.started_at if 0 < container.started_at <= when else 0.0
    oom = telling.died(state, held, when, code, held.asked or plan is not None)
    current_run = container.started_at <= when
    if current_run:  # else it is late news of an earlier run, which say nothing about now
        again = restarts and not held.asked
        held.oom |= oom is not None
        _end(held, "restarting" if again else "exited", code, when)
    if record is None:
        return
    if not death:
        _tell_end(state, held, record, code, uptime, plan.id if plan is not None else 0, oom)
        return
    news = held.life.died(when, event.time_ns)
    if news:
        state.count_deaths(record, 1, event.at, code)
        held.counted = current_run
    elif code is not None:
        record.tally.last_exit = code
    state.keep_tally(record)
    trouble.died(state, record, code, oom)
    held.unproven_log = event.at
    state.tell(
        "container.died",
        record,
        container,
        exit_code=code,
        signal=units.signal_name(exit_signal(code)),
        uptime=round(uptime, 3),
        **telling.document(oom),
        counted=news,
        deaths=record.tally.deaths,
        streak=record.tally.streak,
        cause=record.tally.trouble_told,
        text=death_text(record.id, code, uptime, record.tally.streak, of_death(oom)),
    )


def _tell_end(
    state: State, held: Held, record: Record, code: int | None, uptime: float, plan: int, oom: Oom | None
) -> None:
    """An end that is no death: asked for, part of a plan, or a job that is done."""
    asked = held.asked or held.killed
    if plan and not asked:
        kind, text = "container.died", f"{record.id} ended while plan {plan} works on it: {units.exit_words(code)}."
        held.unproven_log = state.at
    elif asked:
        kind, text = "container.stopped", f"{record.id} ended as asked: {units.exit_words(code)}."
    else:
        kind, text = "container.stopped", f"{record.id} finished: {units.exit_words(code)}."
    signal = units.signal_name(exit_signal(code))
    data = {"exit_code": code, "signal": signal, "uptime": round(uptime, 3), "plan": plan, **telling.document(oom)}
    state.tell(kind, record, held.container, **data, text=text)


def _stop(state: State, held: Held, record: Record | None, event: EngineEvent) -> None:
    """The engine stopped it on request: its policy will not start it again."""
    held.asked = held.stopped = True
    if held.living:
        _end(held, "exited", None, engine_time(event))
    if record is None:
        return
    if held.counted and held.nudged:
        _pardon(state, held, record)
    if (
        (state.our_hand(record, held, event.at) is not None and not held.by_hand)
        or record.current not in (None, held.key)
        or _other_lives(state, held)
    ):
        return
    if record.wanted.state != "stopped":
        policy = record.wanted.policy if held.container.restart_policy == "no" else ""
        text = f"A person stopped {record.id}; it stays down until somebody starts it."
        record.wish = (state.mono, record.wanted)
        state.set_wanted(record, Wanted("stopped", PERSON, event.at, "stopped by hand", policy))
        state.tell("container.stopped", record, held.container, by=PERSON, wanted="stopped", text=text)


def _other_lives(state: State, held: Held) -> bool:
    record = state.records[held.service]
    return any(state.held[key].living for key in record.members if key != held.key)


def _pardon(state: State, held: Held, record: Record) -> None:
    """What was counted as a death turns out to have been asked for (its stop signal is one that usually ends nothing,
    or it was removed by force). The counter stays, as counters must; the streak forgets it."""
    record.tally.streak = max(0, record.tally.streak - 1)
    record.tally.down = held.counted = False
    state.keep_tally(record)


def _destroy(state: State, held: Held, record: Record | None, _event: EngineEvent) -> None:
    if record is not None and held.counted and held.killed:
        _pardon(state, held, record)
    remove(state, held)


def remove(state: State, held: Held) -> None:
    """A container is gone."""
    state.held.pop(held.key, None)
    record = state.records.get(held.service)
    if record is not None and record.current == held.key:
        text = f"The container {held.container.name} of {record.id} was removed."
        state.tell("container.removed", record, held.container, text=text)
    held.service = ""
    state.regroup()


# ---------------------------------------------------------------- the rest of a life


def _start(state: State, held: Held, record: Record | None, event: EngineEvent) -> None:
    container, when = held.container, engine_time(event)
    by_hand = held.stopped or container.status in ("exited", "created", "dead")
    if by_hand:
        held.life.started_by_hand(when)
    known = container.alive and container.started_at >= when - _SAME_RUN
    over = not held.living and container.finished_at > when
    if not known and not over:
        health = "none" if container.health == "none" else "starting"
        held.container = replace(
            container, status="running", started_at=when, health=health, error="", oom_killed=False, exit_code=0
        )
        held.start_seen = True
    held.asked = held.stopped = held.by_hand = held.killed = held.nudged = held.oom = held.spared = held.counted = False
    held.loaded = False
    held.died_when = 0.0
    if record is None:
        return
    after_death = record.tally.started()
    state.keep_tally(record)
    plan = state.our_hand(record, held, event.at)
    if by_hand and plan is None and record.wanted.state == "stopped":
        want_running(state, held, record, event.at, "started by hand")
    text = f"{record.id} started{' again' if after_death else ''}."
    state.tell("container.started", record, held.container, again=after_death, plan=plan.id if plan else 0, text=text)


def want_running(state: State, held: Held, record: Record, at: float, why: str) -> None:
    """A person started what was to stay stopped: from now on it is to run. The policy we took away is kept for the
    next time it stands still, unless the container has one again."""
    policy = record.wanted.policy if held.container.restart_policy == "no" else ""
    if record.wanted.by != PERSON:  # a person's own stop and start (a `compose up`) is no new beginning
        trouble.fresh_start(state, record)
    state.set_wanted(record, Wanted("running", PERSON, at, why, policy))


def _oom(state: State, held: Held, _record: Record | None, event: EngineEvent) -> None:
    telling.heard(state, held, event)


def _pause(_state: State, held: Held, _record: Record | None, _event: EngineEvent) -> None:
    if held.container.running:
        held.container = replace(held.container, status="paused")


def _unpause(_state: State, held: Held, _record: Record | None, _event: EngineEvent) -> None:
    if held.container.status == "paused":
        held.container = replace(held.container, status="running")


def _rename(state: State, held: Held, _record: Record | None, event: EngineEvent) -> None:
    name = event.attributes.get("name", "").removeprefix("/")
    if name and name != held.container.name:
        held.container = replace(held.container, name=name[:4096])
        state.regroup()


def _health(held: Held, status: str) -> None:
    if status in ("starting", "healthy", "unhealthy") and held.container.running:
        held.container = replace(held.container, health=status)


def _learn_load(state: State, held: Held, record: Record | None, when: float) -> None:
    """The engine's own check says healthy for the first time in this run: so long its start took. Starts by a plan are
    told by the plan."""
    if held.container.health != "healthy" or not held.container.running:
        return
    first, held.loaded = not held.loaded, True
    if first and record is not None and record.current == held.key and state.plan_on(record, held) is None:
        state.learn_load(record, when - held.container.started_at, held.container.image_id)


def _ignore(_state: State, _held: Held, _record: Record | None, _event: EngineEvent) -> None:
    return


_HANDLERS: dict[str, Callable[[State, Held, Record | None, EngineEvent], None]] = {
    "kill": _kill,
    "die": _die,
    "stop": _stop,
    "destroy": _destroy,
    "start": _start,
    "oom": _oom,
    "pause": _pause,
    "unpause": _unpause,
    "rename": _rename,
    "health_status": _ignore,
}


# ---------------------------------------------------------------- reading


def exit_code(text: str) -> int | None:
    """0 to 255; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255 else None


def _attribute(container: Container, event: EngineEvent, key: str) -> str:
    """An attribute of the event, unless a label of that name lies over it: then nothing is known."""
    return "" if key in container.labels else event.attributes.get(key, "")


def _signal(text: str) -> int:
    """A signal's number; 15 where it cannot be read: somebody wanted something of it."""
    bare = text.upper().removeprefix("SIG")
    if bare.isascii() and bare.isdigit() and len(bare) <= 3:
        return int(bare)
    return _NUMBERS.get(bare, 15)


def _restarts(container: Container, code: int | None) -> bool:
    """Whether its policy starts it again after such an end."""
    policy = container.restart_policy
    return policy.startswith(("always", "unless-stopped")) or (policy.startswith("on-failure") and code != 0)


def _end(held: Held, status: str, code: int | None, when: float) -> None:
    if not held.living and held.container.status != "created":
        held.died_when = when
        return
    health = "none" if held.container.health == "none" else "starting"
    kept = held.container.exit_code if code is None else code
    held.container = replace(
        held.container, status=status, exit_code=kept, finished_at=when, health=health, pid=0, oom_killed=held.oom
    )
    held.died_when = when
