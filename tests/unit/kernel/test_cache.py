"""Page cache is dropped of plain files only: no link is followed, nothing else opened, and it ends when time is up."""

import os
import stat
from pathlib import Path

import pytest

from supervisor.errors import GroupError
from supervisor.kernel import cache


def never() -> bool:
    return False


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of weights, with things in it that are none."""
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (folder / "one.gguf").write_bytes(b"x" * 1000)
    (folder / "parts" / "two.gguf").write_bytes(b"x" * 200)
    (tmp_path / "secret").write_bytes(b"x" * 7)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "three").write_bytes(b"x" * 90)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "pipe")
    return folder


def test_a_folder_is_walked_without_its_links(model: Path) -> None:
    assert cache.drop((str(model),), never) == 1200.0


def test_a_file_is_a_path_too_and_what_was_named_may_be_a_link(model: Path) -> None:
    assert cache.drop((str(model / "one.gguf"), str(model / "parts")), never) == 1200.0
    assert cache.drop((str(model / "link"),), never) == 7.0
    assert cache.drop((str(model / "more"),), never) == 90.0


def test_what_is_no_plain_file_is_left_alone(model: Path) -> None:
    assert cache.drop((str(model / "pipe"),), never) == 0.0


def test_it_ends_when_the_time_is_up(model: Path) -> None:
    looks: list[int] = []

    def late() -> bool:
        looks.append(1)
        return len(looks) > 2  # a link, and one file

    assert cache.drop((str(model),), late) == 1000.0


def test_it_ends_after_very_many_files(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 1)
    assert cache.drop((str(model / "one.gguf"), str(model / "parts")), never) == 1000.0


def test_a_path_that_is_not_there_is_said(model: Path) -> None:
    with pytest.raises(GroupError, match="none cannot be read"):
        cache.drop((str(model / "none"),), never)


def test_a_very_deep_tree_is_gone_through_only_so_far(model: Path) -> None:
    """Whoever runs there may have made thousands of folders in each other, and each is an open file of ours."""
    bottom = model.joinpath(*["d"] * (cache.DEEPEST + 1))
    bottom.mkdir(parents=True)
    (bottom / "too-deep").write_bytes(b"1234567")
    before = len(os.listdir("/proc/self/fd"))
    assert cache.drop((str(model),), never) == 1200.0
    assert len(os.listdir("/proc/self/fd")) == before
    (bottom.parent / "just-so").write_bytes(b"1234567")
    assert cache.drop((str(model),), never) == 1207.0


def test_folders_without_a_file_use_up_the_time_too(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).mkdir()
    looks: list[int] = []

    def late() -> bool:
        looks.append(1)
        return len(looks) > 5

    assert cache.drop((str(tmp_path),), late) == 0.0
    assert len(looks) == 6


def test_what_is_swapped_for_something_else_meanwhile_is_never_opened(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening alone can do harm: a device's node, made by whoever runs there, starts a watchdog."""
    target, opened, looks = model / "one.gguf", [], []
    real_open, real_stat = os.open, os.stat

    def swap() -> None:
        if not looks:
            looks.append("the first look")
            os.mkfifo(model / "new")
            os.replace(model / "new", target)

    def stat_of(path: str, **how: object) -> os.stat_result:
        found = real_stat(path, **how)  # type: ignore[arg-type]
        if os.path.basename(path) == target.name:
            swap()
        return found

    def open_of(path: str, flags: int, **how: object) -> int:
        number = real_open(path, flags, **how)  # type: ignore[arg-type]
        if flags & os.O_PATH:
            swap() if path == target.name else None
        else:
            opened.append(os.fstat(number).st_mode)
        return number

    monkeypatch.setattr(cache.os, "stat", stat_of)
    monkeypatch.setattr(cache.os, "open", open_of)
    cache.drop((str(model),), never)
    assert looks
    assert opened
    assert all(stat.S_ISREG(mode) or stat.S_ISDIR(mode) for mode in opened)
