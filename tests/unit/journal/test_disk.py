"""The state folder: private, and one daemon at a time."""

import os
from pathlib import Path

import pytest

from supervisor.errors import AlreadyRunning, UsageError
from supervisor.journal import lock_state
from supervisor.journal.disk import Reserve


def test_a_second_daemon_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    with lock_state(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "lock").stat().st_mode & 0o777 == 0o600
        with pytest.raises(AlreadyRunning) as found:
            lock_state(folder)
        assert f"(process {os.getpid()}) already looks after {folder}" in str(found.value)
        assert "systemctl stop resurgam" in str(found.value)
    with lock_state(folder):
        pass


def test_a_lock_left_by_a_dead_process_holds_nobody_up(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "lock").write_text("999999\n")
    with lock_state(tmp_path) as lock:
        assert lock.path.read_text() == f"{os.getpid()}\n"


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = lock_state(tmp_path / "state")
    assert os.get_inheritable(lock._handle) is False
    lock.close()
    lock.close()


def test_a_folder_that_others_may_change_is_refused_and_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UsageError, match=f"run: chmod 0700 {tmp_path}"):
        lock_state(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o777, "it may be a shared folder named by mistake"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be used: Not a directory\. Run as root, or set RESURGAM_STATE_DIR"):
        lock_state(tmp_path / "file" / "state")


def test_the_reserve_is_not_made_where_the_disk_has_no_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, size=4096, room=1 << 60)
    assert (reserve.make(), reserve.held) == (False, False)
    assert not reserve.path.exists()


def test_a_reserve_that_was_made_smaller_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(b"x")
    reserve = Reserve(tmp_path, size=4096, room=0)
    assert not reserve.held
    assert reserve.make()
    assert reserve.path.stat().st_size == 4096
