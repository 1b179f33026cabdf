"""Reading rules again: in order, once for many who ask, and never half of what is bad."""

import asyncio
import threading
from pathlib import Path

import pytest

from supervisor.config import Settings
from supervisor.core.reading import Reader
from supervisor.errors import UsageError

GOOD = "groups: [{name: g, rules: [{alert: A, expr: x > 0}]}]"


def settings(folder: Path) -> Settings:
    return Settings(rules=(str(folder),))


async def test_a_storm_of_words_is_read_twice_and_the_last_reading_is_taken_last(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(GOOD)
    begun, go = threading.Event(), threading.Event()
    reads: list[str] = []

    def slow() -> Settings:
        reads.append((tmp_path / "r.yaml").read_text())
        begun.set()
        assert go.wait(5.0)
        return settings(tmp_path)

    reader = Reader()
    taken: list[int] = []

    async def ask() -> None:
        loaded = await reader.read(slow, None, "word")
        if loaded is not None:
            taken.append(len(loaded.rules.rules))

    first = asyncio.create_task(ask())
    await asyncio.get_running_loop().run_in_executor(None, begun.wait, 5.0)
    storm = [asyncio.create_task(ask()) for _ in range(50)]
    await asyncio.sleep(0)
    (tmp_path / "r.yaml").write_text(GOOD.replace("alert: A", "record: a"))
    (tmp_path / "s.yaml").write_text(GOOD)
    go.set()
    await asyncio.gather(first, *storm)
    assert len(reads) == 2
    assert taken[-1] == 2  # what lay there last


async def test_a_reading_of_another_kind_is_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(GOOD)
    reader = Reader()
    found = await asyncio.gather(*[reader.read(lambda: settings(tmp_path), None, kind) for kind in ("a", "b", "b")])
    assert [loaded is not None for loaded in found] == [True, True, False]


async def test_one_bad_file_among_good_ones_gives_nothing_but_its_mistakes(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(GOOD.replace("x > 0", "x >"))
    with pytest.raises(UsageError, match=r"bad\.yaml:1:\d+: expr: "):
        await Reader().read(lambda: settings(tmp_path), None, "word")


async def test_a_table_of_faults_is_read_with_the_rules_and_a_bad_one_leaves_the_running_set(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    table = tmp_path / "xids.yaml"
    table.write_text("xids: [{xid: 79, name: is gone, class: bus, remedy: power}]")
    said = Settings.model_validate({"rules": [str(tmp_path / "rules")], "gpu": {"xids": str(table)}})
    loaded = await Reader().read(lambda: said, None, "word")
    assert loaded is not None
    assert (loaded.xids.of(79).remedy, loaded.xids.of(119).remedy) == ("power", "reset")
    table.write_text("xids: [{xid: 79}]")
    with pytest.raises(UsageError, match=r"xids\.yaml:1:"):
        await Reader().read(lambda: said, None, "word")
