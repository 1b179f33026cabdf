"""Page cache is dropped of plain files only: no link is followed, nothing else opened, and it ends when time is up."""

import os
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
