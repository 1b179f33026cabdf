"""Watches of files that tell by themselves, on eventfds, sockets with urgent data and real inotify."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.kernel.watches import MOST, Cannot, Inotify, Ready, Urgent, group_events, refused


class News:
    """Counts what comes, and lets a test wait for it. `take`: what is done with the file."""

    def __init__(self, take: Callable[[int], bool]) -> None:
        self.take = take
        self.count = 0
        self.why: list[Cannot] = []
        self._bell = asyncio.Event()

    def happened(self, number: int) -> bool:
        self.count += 1
        self._bell.set()
        return self.take(number)

    def gone(self, why: Cannot) -> None:
        self.why.append(why)
        self._bell.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not true():
                self._bell.clear()
                await self._bell.wait()

        await asyncio.wait_for(wait(), 60)


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def read_eventfd(number: int) -> bool:
    return os.eventfd_read(number) > 0


def eventfd() -> int:
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


async def test_every_signal_is_news() -> None:
    number, news = eventfd(), News(read_eventfd)
    watch = Ready(number, news.happened, news.gone, rest=0.0)
    for count in range(1, 4):
        os.eventfd_write(number, 1)
        await news.until(lambda wanted=count: news.count == wanted)  # type: ignore[misc]
    watch.close()
    watch.close()
    assert not is_open(number)
    assert news.why == []


async def test_what_comes_during_the_rest_is_not_lost() -> None:
    number, news = eventfd(), News(read_eventfd)
    watch = Ready(number, news.happened, news.gone, rest=0.1)
    os.eventfd_write(number, 1)
    await news.until(lambda: news.count == 1)
    began = asyncio.get_running_loop().time()
    os.eventfd_write(number, 1)
    os.eventfd_write(number, 1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert news.count == 1 or asyncio.get_running_loop().time() - began > 0.05, "it is left alone for a moment"
    await news.until(lambda: news.count == 2)
    watch.close()


async def test_one_that_is_closed_during_its_rest_stays_closed() -> None:
    trouble: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
    number, news = eventfd(), News(read_eventfd)
    watch = Ready(number, news.happened, news.gone, rest=0.01)
    os.eventfd_write(number, 1)
    await news.until(lambda: news.count == 1)
    watch.close()
    await asyncio.sleep(0.03)  # past the end of the rest
    assert trouble == []
    assert watch.calls == 1


async def test_what_is_ready_without_news_ends_as_a_storm() -> None:
    number, news = eventfd(), News(lambda _: False)
    os.eventfd_write(number, 1)
    watch = Ready(number, news.happened, news.gone, rest=0.0)
    await news.until(lambda: bool(news.why))
    await asyncio.sleep(0)
    assert watch.calls == MOST + 1
    assert "without any news" in news.why[0].text
    assert not is_open(number)


async def test_many_pieces_of_real_news_are_no_storm() -> None:
    number, news = eventfd(), News(read_eventfd)
    watch = Ready(number, news.happened, news.gone, rest=0.0)
    for count in range(1, MOST * 3):
        os.eventfd_write(number, 1)
        await news.until(lambda wanted=count: news.count == wanted)  # type: ignore[misc]
    assert news.why == []
    watch.close()


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "No such file"), OSError(errno.ENODEV, "No such device")]
)
async def test_what_is_gone_is_let_go_of_at_the_first_call(error: OSError) -> None:
    def dead(_: int) -> bool:
        raise error

    number, news = eventfd(), News(dead)
    os.eventfd_write(number, 1)
    Ready(number, news.happened, news.gone)
    await news.until(lambda: bool(news.why))
    assert news.count == 1
    assert not is_open(number)


async def test_a_defect_of_whoever_is_told_ends_the_watch_and_is_said() -> None:
    def broken(_: int) -> bool:
        raise ValueError("no number")

    number, news = eventfd(), News(broken)
    os.eventfd_write(number, 1)
    Ready(number, news.happened, news.gone)
    await news.until(lambda: bool(news.why))
    assert "ValueError: no number" in news.why[0].text
    assert not is_open(number)


async def test_it_may_be_closed_by_whoever_is_told() -> None:
    number = eventfd()
    news = News(lambda _: bool(watch.close()))
    watch = Ready(number, news.happened, news.gone)
    os.eventfd_write(number, 1)
    await news.until(lambda: news.count == 1)
    await asyncio.sleep(0)
    assert news.why == []
    assert not is_open(number)


async def test_urgent_data_is_news_and_plain_data_is_not() -> None:
    ours, theirs = socket.socketpair()
    news = News(lambda number: bool(socket.socket(fileno=os.dup(number)).recv(1, socket.MSG_OOB)))
    watch = Urgent(os.dup(theirs.fileno()), news.happened, news.gone)
    ours.send(b"plain")
    await asyncio.sleep(0)
    assert news.count == 0
    ours.send(b"!", socket.MSG_OOB)
    await news.until(lambda: news.count == 1)
    ours.send(b"!", socket.MSG_OOB)
    await news.until(lambda: news.count == 2)
    watch.close()
    ours.close()
    theirs.close()


async def test_an_error_of_an_urgent_file_means_that_it_is_dead() -> None:
    reader, writer = os.pipe()
    os.close(reader)  # the writing end of a pipe that nobody reads is in error for ever, like a group that is gone
    news = News(lambda _: True)
    watch = Urgent(writer, news.happened, news.gone)
    await news.until(lambda: bool(news.why))
    await asyncio.sleep(0)
    assert watch.calls == 1
    assert news.count == 0
    assert not is_open(writer)


async def test_a_file_that_cannot_tell_is_refused_and_closed(tmp_path: Path) -> None:
    plain = os.open(tmp_path, os.O_RDONLY)
    news = News(lambda _: True)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PermissionError):
        Urgent(plain, news.happened, news.gone)
    assert not is_open(plain)
    assert len(os.listdir("/proc/self/fd")) == before - 1


async def test_inotify_says_which_file_was_written(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    first.write_text("")
    second.write_text("")
    inotify = Inotify()
    seen: list[int] = []

    def take(_: int) -> bool:
        seen.extend(watch for watch, _mask in inotify.take())
        return True

    news = News(take)
    watch = Ready(inotify.number, news.happened, news.gone, rest=0.0)
    names = {inotify.add(str(first)): "one", inotify.add(str(second)): "two"}
    second.write_text("x")
    await news.until(lambda: news.count == 1)
    assert {names[one] for one in seen} == {"two"}
    inotify.remove(next(iter(names)))
    with pytest.raises(FileNotFoundError):
        inotify.add(str(tmp_path / "none"))
    watch.close()


def test_a_group_is_asked_once_per_threshold(tmp_path: Path) -> None:
    (tmp_path / "memory.usage_in_bytes").write_text("5")
    control = tmp_path / "cgroup.event_control"
    written: list[bytes] = []
    os.mkfifo(control)
    ear = os.open(control, os.O_RDONLY | os.O_NONBLOCK)
    made = group_events(str(tmp_path), "memory.usage_in_bytes", ["80", "90"])
    assert isinstance(made, int)
    written += os.read(ear, 1000).split(f"{made} ".encode())[1:]
    assert [one.split()[-1] for one in written] == [b"80", b"90"]
    os.close(made)
    os.close(ear)


def test_a_group_without_events_leaves_nothing_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    made = group_events(str(tmp_path), "memory.oom_control", [""])
    assert isinstance(made, Cannot)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.EACCES, "ProtectControlGroups=no"),
        (errno.EACCES, "watch-only.conf"),
        (errno.EROFS, "ProtectControlGroups=no"),
        (errno.EMFILE, "LimitNOFILE="),
        (errno.ENOSPC, "max_user_watches"),
        (errno.ENOENT, ""),
        (errno.EINVAL, ""),
    ],
)
def test_what_the_kernel_refuses_comes_with_its_cure(number: int, cure: str) -> None:
    said = refused(OSError(number, os.strerror(number)), "/sys/fs/cgroup/x")
    assert "/sys/fs/cgroup/x" in said.text
    assert cure in said.cure
    assert bool(cure) == bool(said.cure)
