"""The door to a running daemon, and what is said when nobody opens."""

import argparse
import os
import socket
from pathlib import Path

import pytest

import supervisor.config  # noqa: F401 - what a first import costs is not what is tested here
from supervisor.cli import client as client_module
from supervisor.cli.client import Client, find_socket
from supervisor.errors import DaemonAbsent, Refused, ResurgamError, UsageError
from tests.support.house import served, short_folder


def args(socket: str = "", config: str = "") -> argparse.Namespace:
    return argparse.Namespace(socket=socket, config=config)


def test_where_the_socket_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client_module, "SYSTEM", tmp_path / "no" / "control.sock")
    config = tmp_path / "mine.yaml"
    config.write_text(f"state_dir: {tmp_path}/kept\n")
    assert find_socket(args("/s"), {"RUNTIME_DIRECTORY": "/run/r"}) == Path("/s")
    assert find_socket(args(), {"RUNTIME_DIRECTORY": "/run/r"}) == Path("/run/r/control.sock")
    assert find_socket(args(), {"RESURGAM_STATE_DIR": "/st"}) == Path("/st/control.sock")
    assert find_socket(args(config=str(config)), {}) == tmp_path / "kept" / "control.sock"
    assert find_socket(args(), {"RESURGAM_CONFIG": str(config)}) == tmp_path / "kept" / "control.sock"


def test_the_system_service_is_found_without_reading_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SYSTEM", tmp_path)
    assert find_socket(args(), {}) == tmp_path


def test_no_daemon_is_said_with_what_to_do() -> None:
    with short_folder() as folder:
        with pytest.raises(DaemonAbsent, match="start it with `resurgam run`"):
            Client(folder / "control.sock").get("status")
        with socket.socket(socket.AF_UNIX) as dead:  # a socket left by a kill
            dead.bind(str(folder / "left.sock"))
        with pytest.raises(DaemonAbsent):
            Client(folder / "left.sock").command("stop", "x", {})


def test_a_file_that_is_no_daemon_is_absent_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DaemonAbsent):
        Client(tmp_path / "file").get("status")


def test_answers_become_documents_and_errors_become_ours() -> None:
    with served() as box:
        client = Client(box.socket)
        assert client.get("status")["daemon"]["host"] == "omni"
        assert client.get("explain", "stack.oracle")["found"]
        with pytest.raises(UsageError, match="nothing here is called 'a/b c'"):
            client.get("explain", "a/b c")
        with pytest.raises(UsageError, match="there is no verb 'fly'"):
            client.command("fly", "x", {})
        answer = client.command("restart", "oracle", {"within": "5m"}, "now")
        assert answer["plan"] == 41
        assert box.house.asked[0].principal == f"uid:{os.getuid()}"
        with pytest.raises(UsageError):
            list(client.stream("plans", "999", wait=1))


def test_events_stream_as_they_happen() -> None:
    with served() as box:
        events = Client(box.socket).stream("events", follow=1, after=0)
        box.do(lambda: box.house.happen("container.started", "a", {}))
        assert next(events)["subject"] == "a"
        box.do(lambda: box.house.happen("container.died", "b", {"exit_code": 1}))
        assert next(events)["text"] == "died: exit 1"
        events.close()


def test_a_socket_we_may_not_use_says_how_to_be_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(client_module._Connection, "connect", forbidden)
    with pytest.raises(Refused, match="use sudo, or join its group"):
        Client(Path("/run/resurgam/control.sock")).get("status")


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_PATIENCE", 0.02)
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(folder / "control.sock"))
        stuck.listen()
        with pytest.raises(ResurgamError, match="did not answer"):
            Client(folder / "control.sock").get("status")
