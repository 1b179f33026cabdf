"""One line of plain English for every row."""

from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from supervisor import views
from tests.support.boxes import GOOD, NOW

AT = NOW + 0.211


def row(kind: str, body: dict[str, Any], subject: str = "oracle") -> Any:
    return SimpleNamespace(seq=5, at=AT, kind=kind, subject=subject, body=body, public=True)


ALERT = {"alert": {"labels": {"alertname": "Loop", "severity": "critical"}, "annotations": {"summary": "looping"}}}
OOM_KILLED = "died: exit 137 (SIGKILL), out of memory after 1m01s"
STEP_FAILED = "plan 41 phoenix step stop_old: late"
DEATH_2 = "died: exit 1; that is death 2 in a row."
FROM_ID = "has the container x, made from aaaaaaaaaaaa."
REFUSED = "restart refused (paused): backup"
ACTION = {"plan": 41, "verb": "phoenix", "by": "rule:Loop", "cause": "image drift"}


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("container.died", {"exit_code": 139, "uptime": 0.2}, "died: exit 139 (SIGSEGV) after 200ms"),
        (
            "container.died",
            {"exit_code": 137, "oom_killed": True, "uptime": 61},
            OOM_KILLED,
        ),
        ("container.died", {"signal": 11}, "died: SIGSEGV"),
        ("container.died", {"exit_code": "x", "uptime": None}, "died"),
        ("container.started", {"image": GOOD}, "started from aaaaaaaaaaaa"),
        ("container.stopped", {}, "stopped on request"),
        ("container.died", {"exit_code": 1, "text": "oracle died: exit 1; that is death 2 in a row."}, DEATH_2),
        ("container.stopped", {"text": "A person stopped oracle."}, "A person stopped oracle."),
        ("daemon.engine_lost", {}, "the engine does not answer"),
        ("alert.firing", ALERT, "Loop firing (critical): looping"),
        ("alert.resolved", ALERT | {"text": "fine"}, "Loop resolved: fine"),
        ("alert.pending", {"alert": None}, "alert pending"),
        ("action.planned", ACTION, "plan 41 phoenix, asked by rule:Loop: image drift"),
        ("action.verified", ACTION | {"reason": "verified", "text": "healthy"}, "plan 41 phoenix verified: healthy"),
        ("action.rolled_back", ACTION | {"reason": "rolled_back"}, "plan 41 phoenix rolled back"),
        (
            "action.refused",
            {"verb": "restart", "reason": "paused", "text": "backup"},
            REFUSED,
        ),
        (
            "action.planned",
            ACTION | {"by": "uid:0", "cause": "asked for by uid:0"},
            "plan 41 phoenix: asked for by uid:0",
        ),
        ("action.end", ACTION | {"step": "look", "text": "It runs."}, "plan 41 phoenix step look: It runs."),
        ("action.end", ACTION | {"step": "look"}, "plan 41 phoenix step look done"),
        ("container.appeared", {"text": f"oracle has the container x, made from {GOOD}."}, FROM_ID),
        ("action.begin", ACTION | {"step": "stop_old"}, "plan 41 phoenix step stop_old begins"),
        (
            "action.end",
            ACTION | {"step": "stop_old", "ok": False, "text": "late"},
            STEP_FAILED,
        ),
        ("drift.proved", {"image_id": GOOD}, "image aaaaaaaaaaaa proved healthy: it is the last known good one"),
        ("drift.tag_moved", {"ref": "x:1"}, "x:1 now stands for another image than the one running"),
        ("daemon.engine_lost", {"text": "connection refused"}, "connection refused"),
        ("incident.opened", {"title": "Loop", "cause": "drift"}, "incident opened: Loop: drift"),
        ("weather.turned", {"text": "it rains"}, "weather turned: it rains"),
    ],
)
def test_a_row_says_what_happened(kind: str, body: dict[str, Any], said: str) -> None:
    assert views.phrase(row(kind, body)) == said


def sentence(one: Any, *how: Any) -> str:
    """The line a terminal has for a row."""
    return views.headline(one.at, one.subject, views.phrase(one), *how)


def test_a_sentence_has_time_subject_and_phrase() -> None:
    died = row("container.died", {"exit_code": 139, "uptime": 0.2})
    assert sentence(died) == "08:53:20.211  oracle  died: exit 139 (SIGSEGV) after 200ms"
    assert sentence(died, ZoneInfo("Europe/Berlin"), 8).startswith("10:53:20.211  oracle    died")


def test_what_a_container_says_cannot_repaint_the_terminal_or_break_the_line() -> None:
    evil = row("daemon.ready", {"text": "a\x1b[2Jb\nc" + "x" * 5000}, "na\x1bme")
    said = sentence(evil)
    assert "\x1b" not in said
    assert "\n" not in said
    assert len(said) < 1100


def test_hostile_bodies_never_raise() -> None:
    for kind in ("container.died", "alert.firing", "action.planned", "drift.unproved", "decision", "incident.opened"):
        for body in (
            {},
            {"alert": 3, "intent": [], "verdict": "x", "text": 5, "plan": {}, "uptime": "long", "cause": []},
        ):
            assert views.phrase(row(kind, body))


def test_an_event_document_carries_the_row_and_its_phrase() -> None:
    document = views.event_document(row("container.died", {"exit_code": 1, "value": float("nan")}))
    assert document["text"] == "died: exit 1"
    assert document["at"] == "2025-10-09T08:53:20.211Z"
    assert document["body"]["value"] == "NaN"
    assert document["seq"] == 5
