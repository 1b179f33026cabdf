"""A saved rule file is noticed, once, and not before it is whole."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.lab.loop import SimLoop
from supervisor.signals.rule_folders import EVERY, watch


def play(folders: list[Path], script: dict[int, Callable[[], object]], looks: int) -> list[int]:
    """Run a script (look -> what happens just before it) for so many looks; the looks at which a change was told."""
    loop, told = SimLoop(), []
    start = loop.time()

    async def changed() -> None:
        told.append(round((loop.time() - start) / EVERY))

    async def story() -> None:
        watching = asyncio.ensure_future(watch(lambda: folders, changed))
        await asyncio.sleep(EVERY / 2)
        for look in range(1, looks + 1):
            script.get(look, lambda: None)()
            await asyncio.sleep(EVERY)
        watching.cancel()

    loop.run_until_complete(story())
    return told


def test_a_new_file_is_told_once_after_one_quiet_look(tmp_path: Path) -> None:
    assert play([tmp_path], {2: lambda: (tmp_path / "a.yaml").write_text("groups: []")}, 8) == [3]


def test_a_file_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    script = {look: (lambda text="x" * look: file.write_text(text)) for look in (1, 2, 3)}
    assert play([tmp_path], script, 8) == [4]


def test_a_file_that_goes_and_one_that_is_replaced_are_changes(tmp_path: Path) -> None:
    kept, gone, fresh = tmp_path / "kept.yaml", tmp_path / "gone.yaml", tmp_path / "fresh"
    for file in (kept, gone, fresh):
        file.write_text("groups: []")
    assert play([tmp_path], {1: gone.unlink, 4: lambda: fresh.rename(kept)}, 8) == [2, 5]


@pytest.mark.parametrize("name", ["notes.txt", ".a.yaml.swp", ".hidden.yaml"])
def test_other_files_are_no_news(tmp_path: Path, name: str) -> None:
    assert play([tmp_path], {1: lambda: (tmp_path / name).write_text("x")}, 5) == []


def test_a_single_file_and_a_folder_that_comes_and_goes(tmp_path: Path) -> None:
    file, folder = tmp_path / "one.yaml", tmp_path / "later"
    file.write_text("groups: []")
    script: dict[int, Callable[[], object]] = {
        1: folder.mkdir,
        2: lambda: (folder / "a.yaml").write_text(""),
        5: lambda: file.write_text("groups:\n"),
    }
    assert play([file, folder], script, 8) == [3, 6]
