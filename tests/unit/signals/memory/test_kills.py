"""Kills as groups count them and as the kernel's log tells of them, on files in a folder and a socket."""

import os
import socket
from pathlib import Path

import pytest

from supervisor.facts import OomSeen
from supervisor.kernel.groups import Place
from supervisor.kernel.log import KernelLog
from supervisor.kernel.tree import KernelFiles
from supervisor.signals.memory.kills import LOOKS, Events, Log, counts
from supervisor.signals.memory.sources import AGAIN, Key
from tests.support.memory_news import KEY, OWN, First, Heard, second, soon

LINES = (
    f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={OWN},mems_allowed=0,oom_memcg=/docker/{OWN},"
    f"task_memcg=/docker/{OWN},task=awk,pid=99,uid=0",
    "Memory cgroup out of memory: Killed process 99 (awk) total-vm:1kB, anon-rss:1kB, file-rss:1kB",
)


async def test_a_kill_is_told_once_though_the_edge_comes_before_it(heard: Heard, first: First) -> None:
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    first.counts(kills=5)
    source.look(0.0, {KEY: first.place})
    ((number, _file),) = first.asked()
    first.counts(under=1, kills=5)
    os.eventfd_write(number, 1)
    await heard.until(lambda: heard.wakes == 1)
    assert heard.ooms == []
    first.counts(kills=6)
    await heard.until(lambda: bool(heard.facts))
    assert heard.ooms == [("events", OWN, 1, "memcg")]
    source.look(1.0, {KEY: first.place})
    assert len(heard.facts) == 1
    source.close()


async def test_a_kill_without_an_edge_is_found_by_the_round(heard: Heard, first: First) -> None:
    """The whole machine ran out: version 1 signals nothing to the group."""
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    source.look(0.0, {KEY: first.place})
    first.counts(kills=2)
    source.look(1.0, {KEY: first.place})
    assert heard.ooms == [("events", OWN, 2, "")]
    assert heard.wakes == 1
    source.close()


async def test_a_limit_that_is_not_its_own_is_not_said_to_be(heard: Heard, first: First) -> None:
    """Version 1 signals a group whose limit was met to everything below it, with a limit or without."""
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    first.says(limit=0x7FFFFFFFFFFFF000)
    source.look(0.0, {KEY: first.place})
    ((number, _file),) = first.asked()
    first.counts(under=1, kills=1)
    os.eventfd_write(number, 1)
    await heard.until(lambda: bool(heard.facts))
    assert heard.ooms == [("events", OWN, 1, "")]
    source.close()


async def test_one_that_stands_still_at_its_limit_is_told_of_as_no_kill(
    heard: Heard, first: First, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.signals.memory.kills.LOOKS", tuple(one / 100 for one in LOOKS))
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    source.look(0.0, {KEY: first.place})
    ((number, _file),) = first.asked()
    first.counts(disable=1, under=1)
    os.eventfd_write(number, 1)
    await heard.until(lambda: bool(heard.facts))
    assert heard.ooms == [("events", OWN, 0, "memcg")]
    source.close()


async def test_a_group_that_cannot_be_watched_is_read_beside_those_that_can(
    heard: Heard, first: First, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    other = Key("b2" * 32, 8)
    groups = {KEY: first.place, other: Place(str(bare), "", "", "", 1)}
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    source.look(0.0, groups)
    assert source.source().live
    assert "1 can only be looked at once a second" in source.source().text
    (bare / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    source.look(1.0, groups)
    assert heard.ooms == [("events", other.container_id, 1, "")]
    source.look(2.0, {KEY: first.place})
    assert "once a second" not in source.source().text
    source.close()


async def test_where_none_can_be_watched_it_is_off_and_leaves_the_telling_to_the_rounds(
    heard: Heard, tmp_path: Path
) -> None:
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    place = Place(str(tmp_path), "", "", "", 1)
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    source.look(0.0, {KEY: place})
    assert not source.source().live
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    source.look(1.0, {KEY: place})
    assert heard.facts == []


async def test_version_2_is_told_by_inotify(heard: Heard, tmp_path: Path) -> None:
    place = second(tmp_path)
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    source.look(0.0, {KEY: place})
    second(tmp_path, high=1)
    await heard.until(lambda: heard.wakes > 0)
    assert heard.facts == []
    second(tmp_path, high=1, max=3, oom=1, oom_kill=2)
    await heard.until(lambda: bool(heard.facts))
    assert heard.ooms == [("events", OWN, 2, "memcg")]
    second(tmp_path, high=1, max=3, oom=1, oom_kill=3)
    await heard.until(lambda: len(heard.facts) > 1)
    assert heard.ooms[1] == ("events", OWN, 1, ""), "its own limit was not met: the machine, or a group around it"
    source.look(1.0, {})
    source.close()


async def test_one_that_stands_at_its_fuse_for_hours_wakes_nobody_all_the_time(heard: Heard, tmp_path: Path) -> None:
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    source.look(0.0, {KEY: second(tmp_path)})
    assert source._inotify is not None
    watch = source._inotify[1]
    for count in range(1, 4):
        second(tmp_path, high=count)
        await soon(lambda wanted=count: watch.calls == wanted)  # type: ignore[misc]
    assert heard.wakes == 1
    heard.clock.advance(1.0)
    second(tmp_path, high=9)
    await heard.until(lambda: heard.wakes == 2)
    source.close()


async def test_one_container_among_others_is_dropped(heard: Heard, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    groups = {Key(word * 64, 1): second(folder) for word, folder in zip("ab", folders, strict=True)}
    source = Events(heard.clock, heard.submit, heard.wake, KernelFiles())
    source.look(0.0, groups)
    kept = {key: place for key, place in groups.items() if key.container_id[0] == "b"}
    source.look(1.0, kept)
    second(folders[0], oom_kill=1)
    second(folders[1], oom_kill=1)
    await heard.until(lambda: bool(heard.facts))
    assert [told[1][0] for told in heard.ooms] == ["b"]
    source.close()


async def test_the_log_names_the_container_and_the_process(heard: Heard) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    log = KernelLog(heard.clock, "", lambda _: os.dup(theirs.fileno()))
    source = Log(heard.clock, heard.submit, heard.wake, KernelFiles(), log)
    source.look(heard.clock.mono(), {})
    assert source.source().live
    for text in LINES:
        ours.send(f"6,1,5000,-;{text}\n".encode())
    await heard.until(lambda: heard.wakes > 0)
    assert heard.ooms == [("kernel-log", OWN, 1, "memcg")]
    (told,) = heard.facts
    assert isinstance(told, OomSeen)
    assert (told.pid, told.process, told.limit_of) == (99, "awk", f"/docker/{OWN}")
    source.close()
    ours.close()
    theirs.close()


async def test_a_victim_whose_line_names_no_group_is_looked_up(heard: Heard) -> None:
    class Proc(KernelFiles):
        def read(self, path: str) -> bytes:
            return {"/proc/99/comm": b"awk\n", "/proc/99/cgroup": f"4:memory:/docker/{OWN}\n0::/\n".encode()}[path]

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    log = KernelLog(heard.clock, "", lambda _: os.dup(theirs.fileno()))
    source = Log(heard.clock, heard.submit, heard.wake, Proc(), log)
    source.look(heard.clock.mono(), {})
    ours.send(f"3,1,5000,-;{LINES[1]}\n".encode())
    ours.send(f"3,1,9000000,-;{LINES[1].replace('(awk)', '(other)')}\n".encode())
    await heard.until(lambda: len(heard.facts) == 2)
    assert [told[1] for told in heard.ooms] == [OWN, ""], "another process has the number by now"
    source.close()
    ours.close()
    theirs.close()


async def test_a_log_that_is_missing_is_tried_again_slowly(heard: Heard, tmp_path: Path) -> None:
    log = KernelLog(heard.clock, str(tmp_path / "kmsg"))
    source = Log(heard.clock, heard.submit, heard.wake, KernelFiles(), log)
    source.look(0.0, {})
    assert "CAP_SYSLOG" in source.source().cure
    os.mkfifo(tmp_path / "kmsg")
    ear = os.open(tmp_path / "kmsg", os.O_RDWR)
    log._opened = lambda path: os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    source.look(AGAIN / 2, {})
    assert not source.source().live
    source.look(AGAIN, {})
    assert source.source().live
    source.close()
    os.close(ear)


def test_counters_are_read_whatever_else_is_there() -> None:
    assert counts(b"low 0\nhigh 3\nmax 4\noom_kill 5\nnew thing\n") == {"low": 0, "high": 3, "max": 4, "oom_kill": 5}
    assert counts(b"") == {}
