"""Reading what people name: whatever it is, the answer comes, and it is never more than was asked for."""

import os
from pathlib import Path

import pytest

from supervisor.config.reading import read_bytes, read_text


def test_a_file_is_read_up_to_the_bound_and_one_byte_says_that_it_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"12345")
    assert read_bytes(file, 5) == b"12345"
    assert read_bytes(file, 3) == b"1234"
    with file.open("wb") as handle:
        handle.truncate(1 << 40)  # takes no room on the disk
    assert read_bytes(file, 10) == bytes(11)


def test_a_letter_cut_in_two_by_the_bound_is_no_bad_text(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("ééé", "utf-8")
    assert len(read_text(file, 4).encode()) > 4
    assert read_text(file, 6) == "ééé"
    file.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_text(file, 6)


def test_pipes_devices_and_folders_are_no_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="a pipe or a device"):
        read_bytes(pipe, 10)
    with pytest.raises(OSError, match="a pipe or a device"):
        read_bytes(Path("/dev/zero"), 10)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none", 10)


def test_a_pipe_that_the_shell_opened_is_read_to_its_end() -> None:
    end, start = os.pipe()
    try:
        os.write(start, b"interval: 1m")
        os.close(start)
        assert read_text(Path(f"/dev/fd/{end}"), 100) == "interval: 1m"
    finally:
        os.close(end)
