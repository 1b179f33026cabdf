"""The reader of the kernel's log, on a socket that hands out one record at a time as the log does."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
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
