"""What a service is in trouble with now: the latest cause, kept in its tally so that a restart of ours forgets nothing.

From: events.py and looks.py, after each death and each look; proof.py, when all is well again. To: the Service snapshot
(`trouble`, `trouble_text`, `trouble_told`) and the series. causes.py says what a thing means; here it is decided which
cause stands: one lasts until the service ran well for a while, and what is seen now goes before what was.
"""

from collections.abc import Sequence

from supervisor.facts import Container
from supervisor.services import causes
from supervisor.services.causes import Cause
from supervisor.services.checks import broken_check
from supervisor.services.oom.kill import Oom
from supervisor.services.record import Held, Record
from supervisor.services.state import State

_SAME_NEWS = 5.0
"""seconds in which the look that follows a health event comes, with the output of the check"""
_REFINED = (causes.APP, causes.KILLED, causes.BAD_COMMAND, causes.ENDED)
"""deaths of which the exit code tells little: there a log may give people a better word"""


def died(state: State, record: Record, code: int | None, oom: Oom | None) -> None:
    """A death was counted. `oom`: the kill for want of memory that it is due to, where one is known."""
    _set(state, record, causes.of_death(code) if oom is None else causes.of_oom(record.id, oom, state.budget()))
    record.tally.trouble_at, record.trouble_since = state.at, state.mono


def died_unseen(state: State, record: Record) -> None:
    """It died while nobody looked, and the engine has started it again: what is known of an earlier death says more."""
    if not record.tally.trouble_told:
        _set(state, record, causes.of_death_unseen())
        record.tally.trouble_at, record.trouble_since = state.at, state.mono


def was_killed(state: State, record: Record, oom: Oom) -> None:
    """More became known of the kill that its latest death was due to."""
    if record.tally.trouble_told in causes.DEATHS:
        _set(state, record, causes.of_oom(record.id, oom, state.budget()))


def child_killed(state: State, record: Record, oom: Oom) -> None:
    """The kernel killed a process of it; whether it ends too is not known yet."""
    _set(state, record, causes.of_oom(record.id, oom, state.budget()))


def said(state: State, record: Record, lines: Sequence[str]) -> None:
    """The last lines of its log, after a death: a better word for people. What is decided by stays as it was."""
    tally, found = record.tally, causes.of_log(lines)
    if found is None or tally.trouble_told not in _REFINED or tally.trouble == found.word:
        return
    tally.trouble = found.word
    tally.trouble_text = f"{found.text} {tally.trouble_text}"[:600]
    state.keep_tally(record)


def seen(state: State, record: Record) -> bool:
    """How it stands now: a start that failed, a check that fails, or that such a thing is over. True if it is news."""
    held, tally = state.current(record), record.tally
    if held is None:
        return False
    container, before = held.container, (tally.trouble_told, tally.trouble_text)
    if container.running:
        if tally.trouble_told in causes.STARTS and tally.trouble_told not in causes.DEATHS:
            clear(state, record)
        if container.health == "unhealthy":
            _unhealthy(state, record, container)
        elif container.health == "healthy" and tally.trouble_told in causes.CHECKS:
            clear(state, record)
    elif container.error and container.status != "removing" and _was_to_run(record, container):
        holder = _holder(state, held)
        _set(state, record, causes.of_start(container.error, holder), holder)
    return before != (tally.trouble_told, tally.trouble_text)


def fresh_start(state: State, record: Record) -> None:
    """What was stopped for good is to run again, by somebody's word: what was before counts no more."""
    clear(state, record)
    if record.tally.streak:
        record.tally.streak = 0
        state.keep_tally(record)


def clear(state: State, record: Record) -> None:
    """It has been well for a while."""
    tally = record.tally
    if tally.trouble or tally.trouble_told:
        tally.trouble = tally.trouble_text = tally.trouble_told = tally.trouble_by = ""
        tally.trouble_at = 0.0
        record.trouble_since = None
        state.keep_tally(record)


def _unhealthy(state: State, record: Record, container: Container) -> None:
    """A failing check says less than a death of this very run; one that cannot run is told in any case."""
    found, tally = causes.of_check(container.health_output, broken_check(container)), record.tally
    known = tally.trouble_told not in ("", *causes.CHECKS) and tally.trouble_at >= container.started_at
    if known and found.word != causes.CHECK_BROKEN:
        return
    if found.word == tally.trouble_told and state.at - tally.trouble_at > _SAME_NEWS:
        return  # its output may be another one each time: the first is kept
    at = tally.trouble_at if found.word == tally.trouble_told else state.at
    _set(state, record, found)
    tally.trouble_at = at
    hint = causes.of_log(container.health_output.splitlines())
    if hint is not None and found.word == causes.UNHEALTHY:
        tally.trouble, tally.trouble_text = hint.word, f"{hint.text} {tally.trouble_text}"[:600]


def _was_to_run(record: Record, container: Container) -> bool:
    """Whether it is to run: not what a person stopped, nor what was made in vain and never ran."""
    ran = record.tally.ran and bool(container.started_at)
    return record.wanted.state == "running" or (record.wanted.state == "any" and ran)


def _holder(state: State, held: Held) -> str:
    """Who has the port that a failed start of this one asked for, as far as we see: a container by its service."""
    port = causes.port_of(held.container.error)
    for other in sorted(state.held.values(), key=lambda one: one.key):
        if other is not held and other.engine == held.engine and other.living and publishes(other.container, port):
            return other.service or other.container.name
    return ""


def publishes(container: Container, port: int) -> bool:
    """Whether a container publishes this port of the host, whatever the address and protocol."""
    return any(text.partition("/")[0].rpartition(":")[2] == str(port) for text in container.ports)


def _set(state: State, record: Record, found: Cause, by: str = "") -> None:
    tally = record.tally
    if (tally.trouble_told, tally.trouble_text) == (found.word, found.text):
        return
    tally.trouble = tally.trouble_told = found.word
    tally.trouble_text, tally.trouble_by = found.text, by
    tally.trouble_at = state.at
    record.trouble_since = state.mono
    state.keep_tally(record)
