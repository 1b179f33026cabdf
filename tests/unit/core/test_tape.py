"""The past before what is in memory: read back from the recorder, bounded, and said where it ends."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from supervisor.clock import ManualClock
from supervisor.core import shown, tape
from supervisor.core.asked import Asked
from supervisor.core.tape import Older, Tape
from supervisor.facts import Labels, labels
from supervisor.journal import JournalThread
from supervisor.journal.recorder import Recorder
from supervisor.samples import STALE, Store, is_stale
from supervisor.units import Matcher
from tests.support.rules import Box, rule

X, Y = labels("x", name="oracle"), labels("y")
WANTED = [(Matcher("__name__", "=", "x"),)]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    found = Recorder.open(tmp_path / "recorder.db", ManualClock(10_000.0))
    yield found
    found.close()


@pytest.fixture
def thread() -> Iterator[JournalThread]:
    found = JournalThread()
    yield found
    found.close()


def fill(recorder: Recorder, count: int, start: int = 1000, series: Labels = X) -> None:
    """One block for each of `count` samples, a second apart: 0, 1, 2 …"""
    for second in range(count):
        recorder.write([(series, (start + second) * 1000, float(second)), (Y, (start + second) * 1000, 1.0)])


async def test_older_samples_are_put_before_those_in_memory(recorder: Recorder, thread: JournalThread) -> None:
    fill(recorder, 60)
    recorder.write([(X, 1060_000, STALE)])
    older = await Tape(recorder, thread).read(1010_000, 2_000_000)
    store = Store()
    store.restore([(X, 1059_000, 59.0), (X, 1060_000, STALE), (X, 1090_000, 7.0)])
    assert older.extend(store, WANTED) == 1010_000
    (series,) = store.select(WANTED[0])
    assert list(series.times) == [*range(1010_000, 1061_000, 1000), 1090_000]
    assert list(series.values)[:2] + list(series.values)[48:50] == [10.0, 11.0, 58.0, 59.0]
    assert [is_stale(series.values[hole]) for hole in series.holes] == [True]
    assert store.select((Matcher("__name__", "=", "y"),)) == []


async def test_a_series_that_memory_has_forgotten_comes_back(recorder: Recorder, thread: JournalThread) -> None:
    fill(recorder, 10)
    store = Store()
    older = await Tape(recorder, thread).read(0, 2_000_000)
    assert older.extend(store, WANTED) == 1000_000, "nothing was recorded before"
    assert [len(series.times) for series in store.select(WANTED[0])] == [10]


async def test_nothing_recorded_is_nothing_gained(recorder: Recorder, thread: JournalThread) -> None:
    older = await Tape(recorder, thread).read(0, 5_000)
    assert (older.since, older.extend(Store(), WANTED)) == (5_000, 5_000)


async def test_of_too_much_the_newer_part_is_taken(
    recorder: Recorder, thread: JournalThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(recorder, 100)
    monkeypatch.setattr(tape, "MOST_READINGS", 40)
    store = Store()
    older = await Tape(recorder, thread).read(0, 2_000_000)
    assert older.extend(store, WANTED) == 1080_000
    assert store.select(WANTED[0])[0].times[0] == 1080_000
    monkeypatch.setattr(tape, "MOST_BYTES", 1500)
    fewer = await Tape(recorder, thread).read(0, 2_000_000)
    assert 0 < len(fewer.blocks) < 100
    assert fewer.since == fewer.blocks[0][0] > 1000_000


def test_a_damaged_block_ends_it() -> None:
    assert Older(1000, ((1000, b"no block"),)).extend(Store(), WANTED) > 1 << 60


async def test_an_explanation_reaches_back_to_what_was_recorded(recorder: Recorder, thread: JournalThread) -> None:
    box = Box(rule("x > 5"), start=10_000.0)
    for minute in range(134):
        recorder.write([(X, 2_000_000 + minute * 60_000, 9.0 if minute > 9 else 1.0)])
    box.put(x__oracle=9)
    box.wait(5)
    core, questions = SimpleNamespace(rules=box.engine, now=box.now), Asked(box.store, ManualClock(box.now))
    (alone,) = await shown.reasons(core, questions, "A")  # type: ignore[arg-type]
    assert alone["parts"][0]["since"] == 10_000.0
    (told,) = await shown.reasons(core, questions, "A", Tape(recorder, thread))  # type: ignore[arg-type]
    assert (told["parts"][0]["since"], told["parts"][0]["at_least"]) == (2600.0, False)
    assert told["parts"][0]["moved"]["value"] == 9.0
    assert told["parts"][1]["at_least"], "what was before the recording nobody knows"
    assert told["alerts"][0]["active_at"] == 10_000.0
    assert [told[key] for key in ("ahead", "ahead_until")] == [alone[key] for key in ("ahead", "ahead_until")]
