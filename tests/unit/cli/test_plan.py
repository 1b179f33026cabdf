"""`resurgam plan` as a tired person reads it, and as a machine does."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from supervisor.cli.main import main
from supervisor.facts import Command, Json
from tests.support.house import served

STEPS = [
    {"name": "look", "phase": "before", "writes": [], "back": False},
    {"name": "create", "phase": "before", "writes": ["oracle.resurgam-new-…"], "back": False},
    {"name": "stop", "phase": "inside", "writes": ["oracle"], "back": False},
    {"name": "commit", "phase": "inside", "writes": [], "back": False},
    {"name": "back_start", "phase": "inside", "writes": ["oracle"], "back": True},
]


def trait(kind: str, what: str, before: str = "", after: str = "", how: str = "") -> Json:
    return {"kind": kind, "what": what, "before": before, "after": after, "how": how}


TRAITS = [
    trait("lost", "its log so far", how="it ends with the old container"),
    trait("ambiguous", "env FOO", "v1", "v2", "to keep it: keep-env: [FOO]"),
    trait("image", "env SAME", "1", "1"),
    trait("kept", "env MODEL", "big", "big"),
]


def document(**more: Any) -> Json:
    stage = {
        "verb": "phoenix",
        "service": "oracle",
        "steps": STEPS,
        "fidelity": TRAITS,
        "image": {"ref": "local/oracle:1", "from": "sha256:" + "a" * 64, "to": "sha256:" + "b" * 64},
        "rights": [],
        "notes": ["It asks for GPU 0 by number."],
        "waits": {"limit": 300.0, "why": "It may take 5m to become healthy.", "held": "", "grace": 10.0},
        "refused": None,
    }
    given = {"verb": "phoenix", "target": "oracle", "params": {}, "allowed": True, "reason": "allowed", "text": "Yes."}
    return given | {"stages": [stage], "left": [], "notes": []} | more


def planned(answer: Json, *words: str) -> tuple[int, list[Command]]:
    """The exit code of `resurgam plan …`, and what the daemon was asked."""
    asked: list[Command] = []

    async def foresee(fact: Command) -> Json:
        asked.append(fact)
        return answer

    with served(foresight=foresee) as daemon:
        return main(["plan", *words, "--socket", str(daemon.socket)]), asked


def test_what_would_be_done_is_said_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, asked = planned(document(), "phoenix", "oracle", "--image", "local/oracle:2", "--override", "I know")
    assert code == 0
    assert [(fact.verb, fact.target, dict(fact.params), fact.override) for fact in asked] == [
        ("phoenix", "oracle", {"image": "local/oracle:2"}, "I know")
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "phoenix oracle: it would be done now."
    assert "image  local/oracle:1  aaaaaaaaaaaa -> bbbbbbbbbbbb" in lines
    away = next(number for number, line in enumerate(lines) if "from here on the service is away" in line)
    create, stop = (
        next(n for n, line in enumerate(lines) if line.startswith(f"  {word}")) for word in ("create", "stop")
    )
    assert create < away < stop
    assert "[oracle.resurgam-new-…]" in lines[create]
    assert "  way back   if that fails: start it if it ran" in lines
    assert "             env FOO v1 -> v2: to keep it: keep-env: [FOO]" in lines
    assert "             unchanged: env SAME" in lines
    assert "  kept       env MODEL" in lines
    assert "  It gets 10s to stop." in lines
    assert "  It asks for GPU 0 by number." in lines
    assert lines[-1] == "Nothing was touched."


def test_all_shows_the_values_of_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    planned(document(), "phoenix", "oracle", "--all")
    assert "             env MODEL big" in capsys.readouterr().out.splitlines()


def test_a_refusal_exits_with_3_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    refused = document(allowed=False, reason="paused", text="Everything is paused.")
    assert planned(refused, "restart", "oracle")[0] == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["phoenix oracle: it would be refused now (paused).", "  Everything is paused."]


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_machines_get_the_whole_document(form: str, read: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert planned(document(), "rollback", "oracle", "--retag", "-o", form)[0] == 0
    assert read(capsys.readouterr().out) == document()


def test_several_plans_are_numbered_and_what_is_left_alone_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    one = document()["stages"][0]
    two = one | {"service": "web", "refused": {"reason": "paused", "text": "web is paused."}}
    planned(document(stages=[one, two], left=["db (not owned)"], notes=["vpn was made anew."]), "restart", "ai")
    lines = capsys.readouterr().out.splitlines()
    assert "2 plans, one after the other: oracle, web" in lines
    assert "left alone: db (not owned)" in lines
    assert "1. phoenix oracle" in lines
    assert "  it would be refused now: web is paused." in lines
    assert "  vpn was made anew." in lines


def test_a_container_cannot_repaint_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = document()
    evil["stages"][0]["fidelity"] = [trait("lost", "env \x1b[2J", "x")]
    planned(evil, "phoenix", "oracle")
    assert "\x1b" not in capsys.readouterr().out


def test_a_daemon_without_previews_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with served() as daemon:
        assert main(["plan", "restart", "oracle", "--socket", str(daemon.socket)]) == 2
    assert "previews" in capsys.readouterr().err


def test_a_compose_file_is_read_by_the_person_and_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("name: ai\nservices:\n  oracle:\n    image: local/oracle:${VERSION}\n")
    monkeypatch.setenv("VERSION", "7")
    code, asked = planned(document(), "phoenix", "oracle", "--from-compose", str(tmp_path))
    assert code == 0
    assert asked[0].document["oracle"]["image"] == "local/oracle:7"
