"""The recorder: readings come back bit for bit, and no trouble with its file ever reaches the caller."""

import math
import struct
from pathlib import Path

import pytest

from supervisor.clock import ManualClock
from supervisor.facts import Labels
from supervisor.journal.prune import used_bytes
from supervisor.journal.recorder import Recorder, _pack, unpack

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def series(name: str) -> Labels:
    return (("__name__", "up"), ("name", name))


A, B = series("a"), series('b"\n€')


def bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def test_readings_come_back_after_a_restart_in_order(tmp_path: Path) -> None:
    path = tmp_path / "recorder.db"
    recorder = Recorder.open(path, ManualClock())
    assert recorder.write([(A, 1000, 1.5), (B, 1000, -0.0), (A, 2000, math.inf)]) == 3
    assert recorder.write([(A, 3000, STALE), (B, 2500, 1e300)]) == 2
    recorder.close()
    again = Recorder.open(path, ManualClock())
    found = list(again.read())
    assert [(label, ms) for label, ms, _ in found] == [(A, 1000), (B, 1000), (A, 2000), (A, 3000), (B, 2500)]
    assert [bits(value) for _, _, value in found] == [bits(v) for v in (1.5, -0.0, math.inf, STALE, 1e300)]
    assert [(label, ms) for label, ms, _ in again.read(2500)] == [(A, 3000), (B, 2500)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert (again.trouble, again.dropped, again.remade) == ("", 0, 0)


def test_nothing_to_write_is_fine(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "recorder.db", ManualClock())
    assert recorder.write([]) == 0
    assert list(recorder.read()) == []


def test_blocks_are_small() -> None:
    ids = list(range(1, 601))
    data = _pack(ids, [5000] * 600, [float(n * 4096) for n in ids])
    assert len(data) < 600 * 4
    assert list(unpack(5000, data)) == [(n, 5000, float(n * 4096)) for n in ids]


def test_old_readings_and_their_series_are_forgotten_by_itself(tmp_path: Path) -> None:
    clock = ManualClock(wall=1000.0)
    recorder = Recorder.open(tmp_path / "recorder.db", clock, keep_ms=3_600_000)
    recorder.write([(A, 1_000_000, 1.0)])
    clock.advance(1800)
    recorder.write([(B, 2_800_000, 2.0)])
    clock.advance(1900)
    recorder.write([(B, 4_700_000, 3.0)])
    assert [(label, ms) for label, ms, _ in recorder.read()] == [(B, 2_800_000), (B, 4_700_000)]
    recorder.write([(A, 4_700_000, 4.0)])
    assert [value for label, _, value in recorder.read() if label == A] == [4.0], "a series may come back"
    assert recorder._db is not None
    assert recorder._db.execute("SELECT count(*) FROM series").fetchone()[0] == 2


def test_the_file_stays_within_its_size(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "recorder.db", ManualClock(wall=1.0), max_bytes=60_000)
    names: list[Labels] = [series(str(n)) for n in range(100)]
    for ms in range(100):
        recorder.write([(name, ms, math.sqrt(ms * 1000 + n)) for n, name in enumerate(names)])
    assert recorder.prune(1000) > 0
    found = list(recorder.read())
    assert recorder._db is not None
    assert used_bytes(recorder._db) <= 60_000
    assert found[-1][1] == 99
    assert 0 < len(found) < 10_000
    assert len(found) % 100 == 0, "whole writes are forgotten, the oldest first"


@pytest.mark.parametrize("content", [b"this is no database at all" * 300, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recorder.db"
    path.write_bytes(content)
    recorder = Recorder.open(path, ManualClock())
    assert recorder.remade == 1
    assert recorder.write([(A, 1, 1.0)]) == 1
    assert list(recorder.read()) == [(A, 1, 1.0)]


def test_a_damaged_block_costs_the_file_and_nothing_else(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "recorder.db", ManualClock())
    recorder.write([(A, 1, 1.0)])
    assert recorder._db is not None
    recorder._db.execute("UPDATE blocks SET data = x'00ff'")
    assert list(recorder.read()) == []
    assert "failed" in recorder.trouble
    assert recorder.write([(A, 2, 2.0)]) == 1
    assert list(recorder.read()) == [(A, 2, 2.0)]


def test_a_full_disk_is_counted_and_over_when_there_is_room(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "recorder.db", ManualClock())
    recorder.write([(A, 1, 1.0)])
    db = recorder._db
    assert db is not None
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    many = [(series(f"n{n}"), 2, float(n)) for n in range(500)]
    assert recorder.write(many) == 0
    assert recorder.dropped == 500
    assert "full" in recorder.trouble
    db.execute("PRAGMA max_page_count = 100000")
    assert recorder.write(many) == 500
    assert recorder.trouble == ""
    assert len(list(recorder.read())) == 501


def test_without_a_place_to_write_it_only_counts(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "absent" / "recorder.db", ManualClock())
    assert recorder.write([(A, 1, 1.0)]) == 0
    assert (recorder.dropped, list(recorder.read()), recorder.prune(1)) == (1, [], 0)
    assert "cannot be used" in recorder.trouble
    recorder.close()
