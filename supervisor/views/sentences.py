"""One line of plain English for every journal row.

In: journal rows (seq, at, kind, subject, body, public). Out: the phrase `resurgam events` prints, the demo's timeline
and the log line. The body's own `text` wins where it has one that says more; a kind nobody has told us about still
gets a readable line.
"""

import re
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any, Protocol

from supervisor.facts import Json
from supervisor.units import exit_words, iso, plain, short_image, show_duration, signal_name
from supervisor.views.words import clock_text, json_safe

_LIMIT = 1000
"""a question to a person says at its end what may be answered: it must not be cut off"""
_DIGEST = re.compile(r"\bsha256:([0-9a-f]{12})[0-9a-f]{52}\b")
"""an image id: people read its first twelve digits, as everywhere"""
_WELL = {True: "done", False: "failed"}


class Row(Protocol):
    """What is read of a journal row (journal.Row has it)."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> float: ...
    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def body(self) -> Json: ...
    @property
    def public(self) -> bool: ...


def _part(body: Json, key: str) -> Json:
    """A mapping inside a body; empty where it is anything else."""
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _text(body: Json, key: str = "text") -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _join(first: str, *rest: str) -> str:
    """`first: rest` leaving out what is empty or already said."""
    said = first
    for part in rest:
        if part and part not in said:
            said = f"{said}: {part}" if said else part
    return said


def _alert(what: str, body: Json) -> str:
    alert = _part(body, "alert")
    labels, notes = _part(alert, "labels"), _part(alert, "annotations")
    name = str(labels.get("alertname", "")) or "alert"
    grave = str(labels.get("severity", ""))
    words = {"dropped": "no longer pending"}.get(what, what)
    return _join(f"{name} {words}" + (f" ({grave})" if grave and what == "firing" else ""), _alert_words(body, notes))


def _alert_words(body: Json, notes: Json) -> str:
    return _text(body) or _text(notes, "summary") or _text(notes, "description")


def _action(what: str, body: Json) -> str:
    plan = body.get("plan")
    head = " ".join(part for part in (f"plan {plan}" if plan else "", _text(body, "verb")) if part) or "action"
    text, reason = _text(body), _text(body, "reason")
    if what == "planned":
        by, cause, waits = _text(body, "by"), _text(body, "cause") or text, text if reason == "locked" else ""
        asked = f", asked by {by}" if by and f"by {by}" not in cause else ""
        return _join(head + asked, cause, waits)
    if what in ("begin", "end"):
        step, ok = _text(body, "step"), bool(body.get("ok", True))
        if what == "begin":
            return f"{head} step {step} begins"
        # What it found says more than that it is done; some steps tell that before their last write.
        # Trouble (`Waits: port 80 is held by x`) is told the same way: only the plan's end says that it failed.
        return f"{head} step {step}: {text}" if text else f"{head} step {step} {_WELL[ok]}"
    if what == "rollout":
        planned = "" if _text(body, "state") == "planned" else f" {_text(body, 'state')}"
        return _join(f"rollout {body.get('rollout')}{planned}", text)
    if what in ("approval", "approved", "denied", "withdrawn", "acked"):
        return text
    words = {"rolled_back": "rolled back", "ended_early": "ended early", "halt": "stops here"}.get(what, what)
    return _join(f"{head} {words}" + (f" ({reason})" if reason and reason != what else ""), text)


def _container(what: str, body: Json) -> str:
    if _text(body):
        return _text(body)
    if what == "died":
        return _died(body)
    image = short_image(_text(body, "image"))
    lines = {
        "started": "started" + (f" from {image}" if image else ""),
        "stopped": "stopped on request",
        "oom": "ran out of memory: the kernel killed a process in it",
        "healthy": "healthy",
        "unhealthy": "unhealthy",
        "appeared": "appeared" + (f" from {image}" if image else ""),
        "removed": "removed",
    }
    return lines.get(what, what.replace("_", " "))


def _died(body: Json) -> str:
    code, number, uptime = _number(body.get("exit_code")), _number(body.get("signal")), _number(body.get("uptime"))
    words = "died"
    if code is not None:
        words += f": {exit_words(int(code))}"
    elif number:
        words += f": {signal_name(int(number)) or f'signal {int(number)}'}"
    if body.get("oom_killed") or body.get("oom"):
        words += ", out of memory"
    return words + (f" after {show_duration(uptime)}" if uptime is not None and uptime >= 0 else "")


def _drift(what: str, body: Json) -> str:
    image, ref = short_image(_text(body, "image_id") or _text(body, "image")), _text(body, "ref")
    proved = short_image(_text(body, "proved"))
    better = f" ({proved} has)" if proved else ""
    lines = {
        "tag_moved": f"{ref or 'its tag'} now stands for another image than the one running",
        "unproved": f"runs {image or 'an image'}, which has not proved healthy{better}",
        "cleared": "runs what its tag stands for again",
        "proved": f"image {image} proved healthy: it is the last known good one",
        "quarantined": f"image {image} is quarantined for this service",
    }
    return _text(body) or lines.get(what, what.replace("_", " "))


def _daemon(what: str, body: Json) -> str:
    lines = {
        "started": "Resurgam started",
        "ready": "ready",
        "reloaded": "configuration and rules read again",
        "stopping": "stopping",
        "engine_lost": "the engine does not answer",
        "engine_back": "the engine answers again",
        "clock_jump": "the clock jumped",
        "paused": "paused",
        "resumed": "resumed",
        "mode": f"mode is {_text(body, 'mode') or 'changed'}",
        "rules_bad": "a rule file is left out",
        "shed": "readings were shed",
    }
    return _text(body) or _join(lines.get(what, what.replace("_", " ")), _text(body, "reason"))


def _gpu(what: str, body: Json) -> str:
    lines = {
        "fault": "a fault",
        "fault_changed": "its fault is understood otherwise now",
        "fault_over": "its fault is over",
        "xid": "a message of its driver",
    }
    return _text(body) or lines.get(what, what.replace("_", " "))


def _model(what: str, body: Json) -> str:
    """What became of a slot. A phase tells when it is expected to be over, while it goes on."""
    if what == "phase":
        return _phase(body)
    model, before = _text(body, "model"), _text(body, "from")
    moved = f" {before} -> {model}" if before and model and before != model else f" {model}" if model else ""
    lines = {
        "swap_began": f"{_text(body, 'verb') or 'swap'}{moved} begins",
        "swapped": f"GO:{moved}",
        "no_go": f"NO-GO:{moved}",
        "probation_over": f"{model or 'its model'} has passed its probation",
        "stand_in": f"{model or 'another model'} stands in",
        "handed_back": f"{model or 'the first choice'} has it again",
        "evicted": f"{model or 'a model'} was put away",
        "benchmark": f"{model or 'its model'} was measured",
    }
    return _text(body) or lines.get(what, what.replace("_", " "))


def _phase(body: Json) -> str:
    head = " ".join(part for part in (_text(body, "model"), _text(body, "phase")) if part) or "another phase"
    share = _number(body.get("progress"))
    done = f" {share * 100:.0f}%" if share is not None and 0 <= share <= 1 else ""
    return _join(f"{head}{done}", _text(body, "found") or _text(body))


def _incident(what: str, body: Json) -> str:
    return _join(f"incident {what}", _text(body, "title"), _text(body, "cause") or _text(body))


_PHRASES: dict[str, Callable[[str, Json], str]] = {
    "alert": _alert,
    "action": _action,
    "container": _container,
    "drift": _drift,
    "gpu": _gpu,
    "model": _model,
    "daemon": _daemon,
    "incident": _incident,
}


def phrase(row: Row) -> str:
    """What a row says, without its time and subject: `died: exit 139 (SIGSEGV) after 0.2s`. One line, bounded."""
    family, _, what = row.kind.partition(".")
    build = _PHRASES.get(family)
    said = build(what, row.body) if build else _join(row.kind.replace(".", " ").replace("_", " "), _text(row.body))
    # The subject stands before the phrase wherever it is shown: `oracle  died`, not `oracle  oracle died`.
    said = said.removeprefix(f"{row.subject} ").replace("\n", " ")
    return plain(_DIGEST.sub(r"\1", said), _LIMIT)


def headline(at: float, subject: str, text: str, zone: tzinfo | None = UTC, width: int = 0) -> str:
    """One line for a terminal: `12:40:03.211  oracle  died: exit 139 (SIGSEGV) after 0.2s`. `zone` None is the
    machine's own; the subject is padded to `width`, and `text` is the row's phrase."""
    return f"{clock_text(at, zone)}  {plain(subject, 120):<{width}}  {text}"


def event_document(row: Row) -> Json:
    """A row as JSON, with its phrase as `text`."""
    return {
        "seq": row.seq,
        "at": iso(row.at),
        "time": row.at,
        "kind": row.kind,
        "subject": row.subject,
        "public": row.public,
        "text": phrase(row),
        "body": json_safe(row.body),
    }
