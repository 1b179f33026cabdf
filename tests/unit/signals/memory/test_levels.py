"""Levels of limits, pressure and swap as sources, on files in a folder."""

import os
from pathlib import Path

import pytest

from supervisor.kernel.groups import Place
from supervisor.kernel.tree import KernelFiles
from supervisor.signals.memory import levels
from supervisor.signals.memory.levels import Pressure, Swaps, Thresholds
from supervisor.signals.memory.sources import AGAIN
from tests.support.memory_news import KEY, First, Heard, soon


async def test_thresholds_wake_on_the_way_up_once_each(heard: Heard, first: First) -> None:
    source = Thresholds(heard.clock, heard.wake, KernelFiles(), str(first.folder))
    source.look(0.0, {KEY: first.place})
    asked = first.asked()
    assert [words[-1] for words in asked] == [800, 900, 950]
    (number,) = {words[0] for words in asked}
    watch = source.watches[KEY]
    assert watch is not None
    for calls, (usage, wakes) in enumerate(((810, 1), (960, 2), (700, 2), (960, 2)), 1):
        heard.clock.advance(0.1)
        first.says(usage=usage)
        os.eventfd_write(number, 1)
        await soon(lambda wanted=calls: watch.calls == wanted)  # type: ignore[misc]
        assert heard.wakes == wakes, usage
    heard.clock.advance(1.0)
    for calls, (usage, wakes) in enumerate(((0, 2), (820, 3)), 5):
        first.says(usage=usage)
        os.eventfd_write(number, 1)
        await soon(lambda wanted=calls: watch.calls == wanted)  # type: ignore[misc]
        assert heard.wakes == wakes, usage
    assert source.source().live
    assert "1 container with a limit" in source.source().text
    source.close()


async def test_a_limit_that_is_raised_moves_its_thresholds(heard: Heard, first: First) -> None:
    source = Thresholds(heard.clock, heard.wake, KernelFiles(), str(first.folder))
    source.look(0.0, {KEY: first.place})
    first.asked()
    first.says(limit=2000)
    source.look(1.0, {KEY: first.place})
    assert first.asked() == [], "it is not looked at each second"
    source.look(levels.LIMITS, {KEY: first.place})
    assert [words[-1] for words in first.asked()] == [1600, 1800, 1900]
    source.close()


@pytest.mark.parametrize("limit", [0, 1 << 62])
async def test_without_a_limit_there_is_nothing_to_watch(heard: Heard, first: First, limit: int) -> None:
    first.says(limit=limit)
    source = Thresholds(heard.clock, heard.wake, KernelFiles(), str(first.folder))
    source.look(0.0, {KEY: first.place})
    assert first.asked() == []
    assert source.source().live
    source.close()


async def test_version_2_has_no_thresholds_and_says_what_it_has(heard: Heard, tmp_path: Path) -> None:
    source = Thresholds(heard.clock, heard.wake, KernelFiles(), str(tmp_path))
    source.look(0.0, {KEY: Place(str(tmp_path), "", str(tmp_path), "", 2)})
    assert not source.source().live
    assert "version 2" in source.source().text


async def test_a_group_that_is_gone_is_let_go_of(heard: Heard, first: First) -> None:
    before = len(os.listdir("/proc/self/fd"))
    tree = KernelFiles()
    source = Thresholds(heard.clock, heard.wake, tree, str(first.folder))
    source.look(0.0, {KEY: first.place})
    (number,) = {words[0] for words in first.asked()}
    tree.forget((f"{first.folder}/",))
    first.gone()
    os.eventfd_write(number, 1)  # as the kernel does on rmdir
    await soon(lambda: source.watches == {KEY: None})
    source.look(1.0, {KEY: first.place})
    assert source.source().live, "that its container ended is no trouble of ours"
    source.look(2.0, {})
    assert source.watches == {}
    assert len(os.listdir("/proc/self/fd")) == before
    source.close()


async def test_pressure_that_is_not_measured_names_the_cure(heard: Heard) -> None:
    source = Pressure(heard.clock, heard.wake, "/proc/pressure/nosuch")
    source.look(0.0, {})
    assert not source.source().live
    assert "psi=1" in source.source().cure


async def test_swaps_that_cannot_be_watched_are_said(heard: Heard, tmp_path: Path) -> None:
    source = Swaps(heard.clock, heard.wake, str(tmp_path / "swaps"))
    source.look(0.0, {})
    assert not source.source().live
    (tmp_path / "swaps").write_text("Filename\n")  # a plain file tells nothing
    source.look(AGAIN, {})
    assert not source.source().live
