"""Text files with samples: what is read of a folder, and what a bad file does to the others."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.made import ours
from supervisor.facts import Labels, Readings, TargetState, labels
from supervisor.lab.loop import SimLoop
from supervisor.signals.scrapes import textfile
from supervisor.signals.scrapes.textfile import SIZE, Folder, TextFiles

BROKEN = labels("node_textfile_scrape_error")


class Reader:
    """A folder that is read on a virtual clock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loop, self.facts = folder, SimLoop(), list[Readings]()
        self.files = TextFiles(str(folder), self.facts.append, self.loop.clock, ours)  # type: ignore[arg-type]

    def play(self, *steps: Callable[[], Any]) -> None:
        """Each step, and a round after it."""

        async def story() -> None:
            task = asyncio.create_task(self.files.run())
            for step in steps:
                await asyncio.sleep(0)
                step()
                await asyncio.sleep(16)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.loop.run_until_complete(story())
        self.loop.close()

    def samples(self, at: int = -1) -> dict[Labels, float]:
        fact = self.facts[at]
        return {sample.labels: sample.value for sample in (*fact.samples, *fact.brought)}

    def target(self) -> TargetState:
        found = self.facts[-1].target
        assert found is not None
        return found


def put(folder: Path, name: str, text: str) -> Callable[[], None]:
    """As a script does it: written beside, then renamed into place."""

    def step() -> None:
        beside = folder / f"{name}.{os.getpid()}"
        beside.write_text(text)
        beside.rename(folder / name)

    return step


def test_finished_files_are_read_with_their_time(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    (tmp_path / "half.prom.4711").write_text("half 1\n")
    (tmp_path / ".hidden.prom").write_text("hidden 1\n")
    (tmp_path / "notes.txt").write_text("not a metric")
    reader.play(put(tmp_path, "backup.prom", '# TYPE backup_bytes gauge\nbackup_bytes{disk="a"} 17\n'))
    mtime = labels("node_textfile_mtime_seconds", file=str(tmp_path / "backup.prom"))
    assert reader.samples() == {
        labels("backup_bytes", disk="a"): 17.0,
        mtime: (tmp_path / "backup.prom").stat().st_mtime_ns / 1e9,
        BROKEN: 0.0,
    }
    assert reader.facts[-1].whole
    assert (reader.target().job, reader.target().up, reader.target().samples) == ("textfile", True, 1)


def test_a_bad_file_is_left_out_whole_and_the_others_are_taken(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    (tmp_path / "good.prom").write_text("good 1\n")
    reader.play(put(tmp_path, "bad.prom", "fine 1\nroot:x:0:0:secret\n"))
    assert reader.samples()[BROKEN] == 1.0
    assert labels("good") in reader.samples()
    assert labels("fine") not in reader.samples()
    assert reader.target().text == f"{tmp_path}/bad.prom is left out: line 2 is not Prometheus text"


def test_a_file_that_is_rewritten_mended_or_removed(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    file = tmp_path / "a.prom"
    reader.play(put(tmp_path, "a.prom", "a 1\n"), put(tmp_path, "a.prom", "a 2\nb 1\n"), file.unlink)
    values = [{dict(name)["__name__"]: value for name, value in reader.samples(at).items()} for at in range(4)]
    assert [one.get("a") for one in values] == [None, 1.0, 2.0, None]
    assert values[2]["b"] == 1.0
    assert values[3] == {"node_textfile_scrape_error": 0.0}


def test_a_file_that_stays_as_it_was_is_not_read_again(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    file = tmp_path / "a.prom"
    file.write_text("a 1\n")
    before = file.stat()

    def secretly() -> None:
        with file.open("r+") as opened:
            opened.write("a 2\n")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    reader.play(secretly, lambda: None)
    assert reader.samples()[labels("a")] == 1.0


def test_what_is_no_plain_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    os.mkfifo(tmp_path / "pipe.prom")
    (tmp_path / "folder.prom").mkdir()
    (tmp_path / "zero.prom").symlink_to("/dev/zero")
    (tmp_path / "long.prom").write_bytes(b"a 1\n" * (SIZE // 4 + 1))
    (tmp_path / "gone.prom").symlink_to(tmp_path / "nowhere")
    (tmp_path / "z.prom").write_text("z 1\n")
    reader.play(lambda: None)
    mtime = labels("node_textfile_mtime_seconds", file=str(tmp_path / "z.prom"))
    assert reader.samples() == {
        labels("z"): 1.0,
        BROKEN: 1.0,
        mtime: (tmp_path / "z.prom").stat().st_mtime_ns / 1e9,
    }
    text = reader.target().text
    assert "folder.prom is left out" in text
    assert "longer than 1 MiB" in text
    assert text.endswith("(and 1 more)")


def test_a_device_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open one can do harm: a watchdog restarts the machine, a tape is wound back."""
    (tmp_path / "dog.prom").symlink_to("/dev/zero")
    put(tmp_path, "good.prom", "kpi 1\n")()
    opened: list[str] = []
    real = os.open

    def watched(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if not flags & os.O_PATH:
            opened.append(os.path.realpath(path))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", watched)
    reader = Reader(tmp_path)
    reader.play(lambda: None)
    assert reader.samples()[labels("kpi")] == 1.0
    assert reader.samples()[BROKEN] == 1.0
    assert "it is no plain file" in reader.target().text
    assert "/dev/zero" not in opened


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "nowhere")
    reader.play(lambda: None)
    assert reader.samples() == {BROKEN: 1.0}
    assert "cannot be listed: No such file or directory" in reader.target().text


def test_a_file_never_speaks_in_our_name(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    (tmp_path / "a.prom").write_text("up 0\nresurgam_service_healthy 1\nnode_reboot_required 1\n")
    reader.play(lambda: None)
    assert {dict(sample.labels)["__name__"] for sample in reader.facts[-1].brought} == {"node_reboot_required"}
    assert (reader.target().up, reader.target().left_out) == (True, 2)
    assert "left out" in reader.target().text


def test_a_crowd_of_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfile, "FILES", 3)
    reader = Reader(tmp_path)
    for number in range(4):
        (tmp_path / f"{number:04}.prom").touch()
    (tmp_path / "0000.prom").write_text("a 1\n")
    reader.play(lambda: None)
    assert reader.samples()[labels("a")] == 1.0
    assert "more than 3 files" in reader.target().text


def test_a_folder_that_hangs_is_said_to_and_hangs_one_thread_only(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("a 1\n")
    reader, held = Reader(tmp_path), list[asyncio.Future[Folder]]()

    def begin(_work: Callable[[], Folder]) -> asyncio.Future[Folder]:
        held.append(reader.loop.create_future())
        return held[-1]

    reader.files = TextFiles(str(tmp_path), reader.facts.append, reader.loop.clock, ours, begin=begin)  # type: ignore[arg-type]
    late = Folder(wrong=["late, but an answer"])
    reader.play(lambda: None, lambda: None, lambda: None, lambda: held[0].set_result(late), lambda: None)
    texts = [fact.target.text for fact in reader.facts if fact.target is not None]
    assert texts[:3] == [f"{tmp_path} does not answer; see what its disk is doing"] * 3
    assert texts.count("late, but an answer") == 1
    assert len(held) == 2
