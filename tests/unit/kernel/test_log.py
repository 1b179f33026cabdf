"""The reader of the kernel's log, on a socket that hands out one record at a time as the log does."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.clock import ManualClock
from supervisor.kernel.log import KernelLog, Line, plain_bytes


class Kernel:
    """Writes records. `overrun`: the next read says that some were overwritten."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.theirs.setblocking(False)
        self.overrun = 0
        self.clock = ManualClock(mono=1000.0)
        self.log = KernelLog(self.clock, "/dev/kmsg", lambda _: os.dup(self.theirs.fileno()), self.read)

    def read(self, number: int, size: int) -> bytes:
        if self.overrun:
            self.overrun -= 1
            raise BrokenPipeError(errno.EPIPE, "overrun")
        return os.read(number, size)

    def write(self, text: str, priority: int = 6, stamp: float = 900.0, flags: str = "-") -> None:
        self.ours.send(f"{priority},1,{int(stamp * 1e6)},{flags};{text}\n".encode())

    def close(self) -> None:
        self.log.close()
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.close()


async def heard(kernel: Kernel, count: int) -> list[Line]:
    found: list[Line] = []
    enough = asyncio.Event()

    def take(line: Line) -> None:
        found.append(line)
        if len(found) >= count:
            enough.set()

    kernel.log.listen(take)
    assert kernel.log.open() is None
    await asyncio.wait_for(enough.wait(), 60)
    return found


async def test_every_message_of_the_kernel_reaches_every_listener(kernel: Kernel) -> None:
    others: list[str] = []
    kernel.log.listen(lambda line: others.append(line.text))
    kernel.write("one", 3, flags="-,caller=T7")
    kernel.write(r"NVRM: Xid \x5c", 4)
    found = await heard(kernel, 2)
    assert [(line.text, line.level) for line in found] == [("one", 3), ("NVRM: Xid \\", 4)]
    assert others == ["one", "NVRM: Xid \\"]


async def test_what_a_process_wrote_is_never_believed(kernel: Kernel) -> None:
    kernel.write("Out of memory: Killed process 1 (init) total-vm:1kB, ", 12)  # facility 1, as the kernel marks it
    kernel.write("the kernel's own")
    found = await heard(kernel, 1)
    assert [line.text for line in found] == ["the kernel's own"]
    assert kernel.log.foreign == 1


async def test_lines_about_a_device_are_left_out(kernel: Kernel) -> None:
    kernel.ours.send(b"6,1,5,-;sda: gone\n SUBSYSTEM=block\n DEVICE=b8:0\n")
    found = await heard(kernel, 1)
    assert found[0].text == "sda: gone"


async def test_records_that_are_none_are_left_out(kernel: Kernel) -> None:
    for record in (b"rubbish", b";", b"6,x,5,-;no", b"6;no", b"-1,2,3,-;no"):
        kernel.ours.send(record)
    kernel.write("yes")
    assert [line.text for line in await heard(kernel, 1)] == ["yes"]


async def test_an_overrun_is_counted_told_and_gone_over(kernel: Kernel) -> None:
    lost: list[int] = []
    kernel.log.listen(lambda _: None, lambda: lost.append(1))
    kernel.overrun = 2
    kernel.write("after it")
    assert [line.text for line in await heard(kernel, 1)] == ["after it"]
    assert kernel.log.overruns == 2
    assert len(lost) == 2


async def test_a_line_that_was_read_late_was_written_earlier(kernel: Kernel) -> None:
    kernel.write("in time", stamp=900.0)
    first = await heard(kernel, 1)
    kernel.clock.advance(7.0)  # we stood still
    kernel.write("late", stamp=902.0)
    second = await heard(kernel, 1)
    assert first[0].at == kernel.clock.wall() - 7.0
    assert second[0].at == kernel.clock.wall() - 5.0
    assert second[0].mono == kernel.clock.mono()


async def test_the_clock_of_the_log_is_believed_for_a_while_only(kernel: Kernel) -> None:
    kernel.write("in time", stamp=900.0)
    await heard(kernel, 1)
    kernel.clock.advance(86_400.0)
    kernel.write("a day later, the log's clock lost three seconds", stamp=900.0 + 86_397.0)
    assert (await heard(kernel, 1))[0].at == kernel.clock.wall()


async def test_one_listener_that_fails_is_not_the_others_loss(kernel: Kernel) -> None:
    def broken(_: Line) -> None:
        raise ValueError

    kernel.log.listen(broken)
    kernel.write("one")
    assert len(await heard(kernel, 1)) == 1
    assert kernel.log.faults == 1
    assert kernel.log.live


async def test_who_ends_listening_hears_no_more(kernel: Kernel) -> None:
    others: list[Line] = []
    end = kernel.log.listen(others.append)
    end()
    end()
    kernel.write("one")
    await heard(kernel, 1)
    assert others == []


async def test_a_log_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    log = KernelLog(ManualClock(), str(tmp_path / "kmsg"))
    why = log.open()
    assert why is not None
    assert "container" in why.text
    assert "CAP_SYSLOG" in why.cure
    assert not log.live


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES])
async def test_a_right_that_is_missing_is_named(number: int) -> None:
    def refuses(_: str) -> int:
        raise OSError(number, os.strerror(number))

    why = KernelLog(ManualClock(), opened=refuses).open()
    assert why is not None
    assert "CAP_SYSLOG and ProtectKernelLogs=no" in why.cure
    assert "watch-only.conf" in why.cure, "the drop-in that takes them away"


async def test_it_can_be_closed_and_opened_again(kernel: Kernel) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert kernel.log.open() is None
        assert kernel.log.open() is None
        kernel.log.close()
        kernel.log.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (rb"a\x0ab", b"a\nb"),
        (rb"\x5cx41", rb"\x41"),
        (rb"\xzz\x4", rb"\xzz\x4"),
        (b"", b""),
        (rb"\xc3\xa9", "é".encode()),
    ],
)
def test_escapes_are_undone_once(written: bytes, meant: bytes) -> None:
    assert plain_bytes(written) == meant


# ---------------------------------------------------------------- the past, and what processes wrote


class Ring:
    """A log that keeps what was written: each opening is a socket of its own, from its beginning or its end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock(mono=1000.0)
        self.records: list[bytes] = []
        self.ends: list[socket.socket] = []
        self.before_end: list[bytes] = []
        """written between the two openings"""
        monkeypatch.setattr("supervisor.kernel.log._open", self.open)
        self.log = KernelLog(self.clock)

    def open(self, _path: str, whence: int = os.SEEK_END) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        number = os.dup(theirs.fileno())
        theirs.close()
        self.ends.append(ours)
        if whence == os.SEEK_END:
            for record in self.before_end:
                self.write_raw(record)
            self.before_end = []
        else:
            for record in self.records:
                ours.send(record)
        return number

    def write_raw(self, record: bytes) -> None:
        self.records.append(record)
        for end in self.ends:
            with contextlib.suppress(BrokenPipeError):  # it was read to its end, and closed
                end.send(record)

    def write(self, text: str, sequence: int, stamp: float = 900.0, priority: int = 4) -> None:
        self.write_raw(made(text, sequence, stamp, priority))

    def close(self) -> None:
        self.log.close()
        for end in self.ends:
            end.close()


def made(text: str, sequence: int, stamp: float = 900.0, priority: int = 4) -> bytes:
    return f"{priority},{sequence},{int(stamp * 1e6)},-;{text}\n".encode()


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    found = Ring(monkeypatch)
    yield found
    found.close()


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0)


async def test_who_asks_for_the_past_is_given_it_first_and_nothing_twice(ring: Ring) -> None:
    for number in range(3):
        ring.write(f"old {number}", number, stamp=400.0 + number)
    ring.before_end = [made("between", 3)]
    found: list[tuple[str, bool]] = []
    others: list[str] = []
    ring.log.listen(lambda line: found.append((line.text, line.past)), past=True)
    ring.log.listen(lambda line: others.append(line.text))
    assert ring.log.open() is None
    await until(lambda: len(found) == 4)
    ring.write("now", 4)
    await until(lambda: len(found) == 5)
    assert [text for text, _ in found] == ["old 0", "old 1", "old 2", "between", "now"]
    assert found[-1] == ("now", False)
    assert others == ["between", "now"], "for them the past is no news, and nothing since the opening is missing"


async def test_the_past_was_written_when_it_was_written(ring: Ring) -> None:
    ring.write("old", 0, stamp=400.0)
    found: list[Line] = []
    ring.log.listen(found.append, past=True)
    ring.log.open()
    await until(lambda: found)
    assert found[0].at == ring.clock.wall() - 600.0
    ring.write("now", 1, stamp=1000.0)
    await until(lambda: len(found) == 2)
    assert found[1].at == ring.clock.wall()


async def test_without_anybody_who_wants_it_the_past_is_not_read(ring: Ring) -> None:
    ring.write("old", 0)
    found: list[str] = []
    ring.log.listen(lambda line: found.append(line.text))
    ring.log.open()
    assert len(ring.ends) == 1
    ring.write("now", 1)
    await until(lambda: found)
    assert found == ["now"]


async def test_a_long_past_is_read_in_pieces(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.kernel.log._BATCH", 8)
    for number in range(50):
        ring.write(f"old {number}", number)
    found: list[int] = []
    turns = 0
    ring.log.listen(lambda line: found.append(line.sequence), past=True)
    ring.log.open()
    async with asyncio.timeout(60):
        while len(found) < 50:
            await asyncio.sleep(0)
            turns += 1
    assert found == list(range(50))
    assert turns >= 6, "others had their turn meanwhile"


async def test_closing_in_the_middle_of_the_past_leaves_nothing_open(ring: Ring) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ring.log.listen(lambda _: ring.log.close(), past=True)
    ring.write("old", 0)
    ring.write("older", 1)
    ring.log.open()
    await until(lambda: not ring.log.live)
    assert len(os.listdir("/proc/self/fd")) == before + len(ring.ends)


async def test_what_a_process_wrote_is_told_only_to_who_asks_and_never_of_the_past(ring: Ring) -> None:
    ring.write("old drill", 0, priority=12)
    own: list[str] = []
    theirs: list[str] = []
    ring.log.listen(lambda line: own.append(line.text), past=True, foreign=lambda line: theirs.append(line.text))
    plain: list[str] = []
    ring.log.listen(lambda line: plain.append(line.text))
    ring.log.open()
    ring.write("drill", 1, priority=12)
    ring.write("kernel", 2)
    await until(lambda: plain)
    assert (own, theirs, plain) == (["kernel"], ["drill"], ["kernel"])
    assert ring.log.foreign == 1
