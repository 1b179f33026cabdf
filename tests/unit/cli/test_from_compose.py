"""`resurgam phoenix … --from-compose`: what a person sees and is asked, and what is sent."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from supervisor.actions.compose.preview import Previewer
from supervisor.cli import from_compose
from supervisor.cli.main import main
from supervisor.facts import Json
from tests.support.house import Served, served

FILE = "services: {web: {image: i, environment: {A: '${LEVEL}'}}, new: {image: j}}"


class Told:
    """Answers for the daemon's look at its containers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Json]] = []
        self.trouble = ""
        self.wide = ""
        self.services = ["web"]

    async def of(self, target: str, documents: Json) -> Json:
        self.seen.append((target, documents))
        changes = [
            {"field": "Env", "text": "environment: + A=1.", "widens": False},
            {"field": "CapAdd", "text": "It would gain the capability X.", "widens": bool(self.wide)},
        ]
        common = {"differences": changes, "notes": ["a note"], "trouble": self.trouble, "compose": "1.29.2"}
        found = [{"service": f"box.{name}", "name": name, **common} for name in self.services]
        return {"project": "box", "services": found, "new": ["new"], "gone": ["old"]}

    async def widening(self, _target: str, _documents: Json) -> str:
        return self.wide


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def daemon(told: Told) -> Iterator[Served]:
    with served(compose=cast("Previewer", told)) as found:
        yield found


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No compose program is found, and the environment is ours."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LEVEL", "1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "compose.yml"
    made.write_text(FILE)
    return made


def call(daemon: Served, *words: str) -> int:
    return main(["phoenix", "box", *words, "--no-follow", "--socket", str(daemon.socket)])


def test_differences_are_shown_and_what_runs_is_sent_resolved(
    daemon: Served, told: Told, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(daemon, "--from-compose", str(file), "--yes") == 0
    out = capsys.readouterr().out
    assert "box.web\n  environment: + A=1.\n" in out
    assert "only in the file, and not made: new" in out
    assert "not in the file, and left alone: old" in out
    assert "The next `compose up` makes it anew once." in out
    [asked] = daemon.house.asked
    assert (asked.verb, asked.target, asked.widens) == ("phoenix", "box", "")
    assert set(asked.document) == {"web"}
    assert asked.document["web"]["config"] == {"Env": ["A=1"]}
    assert told.seen[0][0] == "box"


def test_what_widens_is_marked_and_the_daemon_itself_says_so_to_the_core(
    daemon: Served, told: Told, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told.wide = "box.web: It would gain the capability X"
    call(daemon, "--from-compose", str(file), "--yes")
    out = capsys.readouterr().out
    assert "  ! It would gain the capability X." in out
    assert "resurgam approve" in out
    assert daemon.house.asked[0].widens == told.wide


def test_nothing_is_sent_where_nobody_can_be_asked_or_the_person_says_no(
    daemon: Served, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(daemon, "--from-compose", str(file)) == 2
    assert "add --yes" in capsys.readouterr().err
    monkeypatch.setattr(from_compose.sys, "stdin", type("Terminal", (), {"isatty": lambda _self: True})())
    monkeypatch.setattr("builtins.input", lambda _prompt: "n")
    assert call(daemon, "--from-compose", str(file)) == 3
    assert "nothing was done" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda _prompt: "y")
    assert call(daemon, "--from-compose", str(file)) == 0
    assert len(daemon.house.asked) == 1


def test_a_file_with_mistakes_is_told_before_any_daemon_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "compose.yml"
    bad.write_text("services: {web: {imag: i}, api: {image: j, restart: maybe}}")
    assert main(["phoenix", "box", "--from-compose", str(bad), "--yes", "--socket", str(tmp_path / "none")]) == 2
    err = capsys.readouterr().err
    assert f"{bad}:1:18: " in err
    assert "maybe" in err


def test_trouble_with_one_service_ends_it_all(
    daemon: Served, told: Told, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told.trouble = "The image i is not on this machine; pull or build it first."
    assert call(daemon, "--from-compose", str(file), "--yes") == 3
    assert "nothing was done. box.web: The image i" in capsys.readouterr().err
    assert daemon.house.asked == []


def test_an_image_of_ones_own_and_a_folder_without_a_file_are_refused(
    daemon: Served, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(daemon, "--from-compose", str(file), "--image", "x", "--yes") == 2
    assert call(daemon, "--from-compose", str(tmp_path), "--yes") == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    assert call(daemon, "--from-compose", str(empty), "--yes") == 2
    assert "there is no compose file" in capsys.readouterr().err


def test_an_override_file_beside_it_is_named(daemon: Served, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.parent.joinpath("docker-compose.override.yml").write_text("services: {}")
    call(daemon, "--from-compose", str(file), "--yes")
    assert "docker-compose.override.yml beside it was not read" in capsys.readouterr().out


# ------------------------------------------------------------ hashes


def tool(tmp_path: Path, name: str, script: str) -> None:
    made = tmp_path / name
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(made.stat().st_mode | stat.S_IXUSR)


def hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versions: list[str]) -> tuple[Any, str]:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    return from_compose.config_hashes(tmp_path / "c.yml", "box", ("web", "api"), versions)


def test_the_compose_that_made_the_containers_is_asked_for_its_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = 'case "$1" in version) echo 1.29.2;; *) echo "$@" > args; echo "web %s"; echo "api %s";; esac'
    tool(tmp_path, "docker-compose", good % ("a" * 64, "b" * 64))
    found, why = hashes(tmp_path, monkeypatch, ["1.29.2"])
    assert (dict(found), why) == ({"web": "a" * 64, "api": "b" * 64}, "")
    assert tmp_path.joinpath("args").read_text() == f"-f {tmp_path}/c.yml -p box config --hash web,api\n"


@pytest.mark.parametrize(
    ("script", "versions"),
    [
        ('case "$1" in version) echo v2.20.0;; *) echo "web aa";; esac', ["1.29.2"]),
        ('case "$1" in version) echo 1.29.2;; *) echo "web $(yes a | head -64 | tr -d \'\\n\')";; esac', ["1.29.2"]),
        ('case "$1" in version) echo 1.29.2;; *) exit 1;; esac', ["1.29.2"]),
        ("echo nonsense", ["1.29.2"]),
        ("echo 1.29.2", ["1.29.2", "2.1.0"]),
    ],
)
def test_another_compose_or_one_that_fails_leaves_the_hash_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, versions: list[str]
) -> None:
    tool(tmp_path, "docker-compose", script)
    found, why = hashes(tmp_path, monkeypatch, versions)
    assert found == {}
    assert "config-hash stays" in why
