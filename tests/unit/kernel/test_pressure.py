"""The ladder of stall triggers, on plain files and on a kernel that refuses."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.kernel import pressure
from supervisor.kernel.pressure import LADDER, Armed, Spec, arm, stalled
from supervisor.kernel.watches import Cannot


class Refusing:
    """A kernel whose write(2) refuses what `refuses` says."""

    def __init__(self, refuses: Callable[[bytes], int]) -> None:
        self.refuses = refuses
        self.tried: list[tuple[int, bytes]] = []

    def write(self, number: int, data: bytes) -> int:
        self.tried.append((number, data))
        code = self.refuses(data)
        if code:
            raise OSError(code, os.strerror(code))
        return len(data)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[bytes], int]], Refusing]:
    def use(refuses: Callable[[bytes], int]) -> Refusing:
        made = Refusing(refuses)
        monkeypatch.setattr(pressure.os, "write", made.write)
        return made

    return use


def test_the_better_trigger_is_taken_where_it_may_be(tmp_path: Path) -> None:
    file = tmp_path / "memory"
    file.write_bytes(b"")
    made = arm(str(file))
    assert isinstance(made, Armed)
    assert made.spec == Spec(50_000, 500_000)
    os.close(made.number)
    assert file.read_bytes() == b"some 50000 500000\0", "the kernel overwrites the last byte"


def test_without_the_right_for_it_windows_of_two_seconds(
    tmp_path: Path, kernel: Callable[[Callable[[bytes], int]], Refusing]
) -> None:
    (tmp_path / "memory").write_bytes(b"")
    asked = kernel(lambda data: 0 if b" 2000000\0" in data else errno.EINVAL)
    made = arm(str(tmp_path / "memory"))
    assert isinstance(made, Armed)
    assert made.spec == LADDER[-1]
    assert made.spec.window % 2_000_000 == 0
    assert [data for _, data in asked.tried] == [spec.written() for spec in LADDER]
    os.close(made.number)


def test_a_kernel_that_takes_none_is_said_and_nothing_stays_open(
    tmp_path: Path, kernel: Callable[[Callable[[bytes], int]], Refusing]
) -> None:
    (tmp_path / "memory").write_bytes(b"")
    kernel(lambda _: errno.EINVAL)
    before = len(os.listdir("/proc/self/fd"))
    assert isinstance(arm(str(tmp_path / "memory")), Cannot)
    assert len(os.listdir("/proc/self/fd")) == before


def test_another_refusal_ends_the_ladder(tmp_path: Path, kernel: Callable[[Callable[[bytes], int]], Refusing]) -> None:
    (tmp_path / "memory").write_bytes(b"")
    asked = kernel(lambda _: errno.EROFS)
    made = arm(str(tmp_path / "memory"))
    assert isinstance(made, Cannot)
    assert "ProtectControlGroups" in made.cure
    assert len(asked.tried) == 1


def test_a_kernel_that_does_not_measure_names_the_cure() -> None:
    made = arm("/proc/pressure/nosuch")
    assert isinstance(made, Cannot)
    assert "psi=1" in made.cure


def test_one_that_was_switched_off_names_it_too(
    tmp_path: Path, kernel: Callable[[Callable[[bytes], int]], Refusing]
) -> None:
    (tmp_path / "memory").write_bytes(b"")
    kernel(lambda _: errno.EOPNOTSUPP)
    made = arm(str(tmp_path / "memory"))
    assert isinstance(made, Cannot)
    assert "psi=1" in made.cure


def test_a_group_that_is_gone_has_no_cure(tmp_path: Path) -> None:
    made = arm(str(tmp_path / "memory.pressure"))
    assert isinstance(made, Cannot)
    assert made.cure == ""


@pytest.mark.parametrize(
    ("text", "total"),
    [
        (b"some avg10=0.00 avg60=0.12 avg300=0.21 total=1234567\nfull avg10=0.00 total=99\n", 1234567),
        (b"", 0),
        (b"rubbish\n", 0),
    ],
)
def test_the_time_lost_is_read(tmp_path: Path, text: bytes, total: int) -> None:
    (tmp_path / "memory").write_bytes(text)
    number = os.open(tmp_path / "memory", os.O_RDONLY)
    assert stalled(number) == total
    os.close(number)
