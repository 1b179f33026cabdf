"""`resurgam bus` as a person types it, where no broker runs: users, and what is said of that."""

import json
from pathlib import Path

import pytest

from supervisor.cli import bus, bus_doctor
from supervisor.cli.main import main

assert bus, bus_doctor  # imported here, so that no test is slow for it


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESURGAM_STATE_DIR", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)


def config(folder: Path, mqtt: str = "url: auto", more: str = "") -> str:
    file = folder / "resurgam.yaml"
    file.write_text(f"host: box\nstate_dir: {folder}/state\nmqtt: {{{mqtt}}}\n{more}")
    file.chmod(0o600)
    return str(file)


def test_a_user_is_added_listed_and_removed_without_a_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, more="commands: {principals: {phone: [ack]}}\n")
    assert main(["bus", "users", "add", "ha", "--config", path]) == 0
    out = capsys.readouterr().out
    password = out.partition("with the password ")[2].partition(" ")[0]
    assert len(password) == 32
    assert "it counts from the next start of the broker" in out
    assert password not in "".join(file.read_text() for file in (tmp_path / "state" / "bus").iterdir())

    assert main(["bus", "users", "list", "-o", "json", "--config", path]) == 0
    listed = json.loads(capsys.readouterr().out)["users"]
    assert [(one["name"], one["origin"]) for one in listed] == [
        ("resurgam", "ours"),
        ("listener", "ours"),
        ("ha", "added"),
        ("phone", "commands.principals"),
    ]
    assert main(["bus", "users", "remove", "ha", "--config", path]) == 0
    assert "ha:" not in (tmp_path / "state" / "bus" / "passwords").read_text()


def test_a_password_of_ones_own_is_never_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, secret = config(tmp_path), tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    assert main(["bus", "users", "add", "ha", "--password-file", str(secret), "--config", path, "-o", "json"]) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert "password" not in json.loads(out)
    secret.chmod(0o644)
    assert main(["bus", "users", "add", "ha", "--password-file", str(secret), "--config", path]) == 2
    assert "everyone can read this secret" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["users", "add", "resurgam"], "choose another one"),
        (["users", "add", "a/b"], "cannot be a principal"),
        (["users", "remove", "listener"], "own user and stays"),
        (["users", "remove", "nobody"], "there is no user"),
    ],
)
def test_what_cannot_be_is_a_usage_error(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bus", *words, "--config", config(tmp_path)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["users", "list"], ["users", "add", "ha"], ["serve"]])
def test_a_broker_of_others_has_its_own_users(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, "url: 'mqtt://broker.lan'")
    assert main(["bus", *words, "--config", path]) == 2
    assert "is not run by us" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_a_broker_that_does_not_run_is_exit_4_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path)
    assert main(["bus", "doctor", "--config", path]) == 4
    out = capsys.readouterr().out
    assert "our own broker never ran in" in out
    assert "resurgam run" in out or "install it" in out
    assert main(["bus", "users", "add", "ha", "--config", path]) == 0
    capsys.readouterr()
    assert main(["bus", "doctor", "--config", path]) == 4
    assert "no broker at unix://" in capsys.readouterr().out
    assert main(["bus", "doctor", "--config", path, "-o", "json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["findings"][0]["check"]) == (False, "connection")


def test_without_a_bus_there_is_nothing_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("doctor", "purge"):
        assert main(["bus", action, "--config", config(tmp_path, "url: none")]) == 2
        assert "mqtt.url is none" in capsys.readouterr().err


def test_a_broker_that_is_not_there_keeps_nothing_and_is_exit_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bus", "purge", "--all", "--yes", "--config", config(tmp_path)]) == 4
    assert "our own broker never ran in" in capsys.readouterr().err
    path = config(tmp_path, "url: 'unix:///nowhere/mqtt.sock'")
    for words in (["bus", "purge", "--all", "--yes"], ["fleet", "status"]):
        assert main([*words, "--config", path]) == 4
        assert "no broker at unix:///nowhere/mqtt.sock" in capsys.readouterr().err


def test_only_a_daemon_knows_what_is_left_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bus", "purge", "--config", config(tmp_path)]) == 4
    assert "only a running daemon knows" in capsys.readouterr().err
