"""Files of the kernel stay open, and are opened again where another one stands in their place."""

import errno
import os
from pathlib import Path

import pytest

from supervisor.kernel.tree import NEARLY, PIECE, KernelFiles
from supervisor.kernel.words import Words


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path, tree = tmp_path / "meminfo", KernelFiles()
    path.write_bytes(b"one")
    assert tree.read(str(path)) == b"one"
    with path.open("r+b") as file:
        file.write(b"two")
    assert tree.read(str(path)) == b"two"
    tree.close()


@pytest.mark.parametrize("size", [0, 1, NEARLY - 1, NEARLY, 4096, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_the_whole_of_it_however_large(tmp_path: Path, size: int) -> None:
    path, tree = tmp_path / "stat", KernelFiles()
    path.write_bytes(os.urandom(size))
    assert tree.read(str(path)) == path.read_bytes()
    tree.close()


def test_a_group_that_was_made_again_by_the_same_name_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tree = tmp_path / "memory.current", KernelFiles()
    path.write_bytes(b"1\n")
    assert tree.read(str(path)) == b"1\n"
    removed = tree._open[str(path)]
    real = os.pread

    def gone(number: int, size: int, at: int) -> bytes:
        if number == removed:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return real(number, size, at)

    other = os.open(os.devnull, os.O_RDONLY)  # so that the new file does not get the old one's number
    monkeypatch.setattr(os, "pread", gone)
    monkeypatch.setattr(os, "close", lambda number: None)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        tree.read(str(path))
    path.write_bytes(b"2\n")
    assert tree.read(str(path)) == b"2\n"
    monkeypatch.undo()
    os.close(other)
    os.close(removed)
    tree.close()


def test_what_is_forgotten_is_closed_and_nothing_else(tmp_path: Path) -> None:
    tree = KernelFiles()
    for name in ("a", "ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_bytes(b"1")
        tree.read(str(tmp_path / name / "stat"))
    tree.forget((f"{tmp_path}/a/",))
    assert list(tree._open) == [f"{tmp_path}/ab/stat"]
    tree.close()
    assert tree._open == {}


def test_words_are_found_by_where_they_stood() -> None:
    words = Words((b"anon", b"file", b"kernel"))
    assert words.pick(b"anon 1\nfile 2\n") == (1.0, 2.0, 0.0)
    assert words.there == (True, True, False)
    assert words.pick(b"anon 3\nfile 4\n") == (3.0, 4.0, 0.0)
    assert words.pick(b"new 9\nanon 3\nfile 4\nkernel 5\n") == (3.0, 4.0, 5.0)
    assert words.pick(b"file 4\nanon 3\nkernel 5\nnew 9\n") == (3.0, 4.0, 5.0), "the same lines in another order"
    assert words.pick(b"") == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError):
        words.pick(b"anon file\n")


def test_what_is_not_there_is_not_writable_and_asking_changes_nothing(tmp_path: Path) -> None:
    path, tree = tmp_path / "memory.high", KernelFiles()
    assert not tree.writable(str(path))
    assert not path.exists()
    path.write_bytes(b"max\n")
    assert tree.writable(str(path))
    assert path.read_bytes() == b"max\n"
    tree.close()
