"""The journal: one turn is one transaction; what was acknowledged is there after a restart."""

import resource
from pathlib import Path

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import JournalError
from tests.support.journals import add, open_journal, put


def test_rows_and_spaces_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = open_journal(path)
    batch = journal.batch()
    assert batch.row("alert.firing", "ai.oracle", {"value": 2.5}, 10.0, public=True) == 1
    batch.put("alert", "fp1", {"state": "firing"})
    journal.commit(batch)
    epoch, rows = journal.epoch, journal.rows()
    journal.close()
    again = open_journal(path, ManualClock(seed=9))
    assert (again.epoch, again.last_seq, again.rows()) == (epoch, 1, rows)
    assert again.space("alert") == {"fp1": {"state": "firing"}}
    assert (again.set_aside, again.why) == (None, "")
    assert add(again) == 2
    assert again.verify() == ()


def test_what_the_batch_shows_is_what_is_read_back(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    batch = journal.batch()
    batch.row("alert.firing", "ai.oracle", {"value": float("nan"), "tuple": (1, 2)}, 10.5, public=True)
    journal.commit(batch)
    assert journal.rows() == batch.rows


def test_selecting_rows() -> None:
    journal = open_journal()
    for n in range(10):
        add(journal, ["alert.firing" if n % 2 else "action.begin"], subject=f"s{n % 3}", public=bool(n % 2), n=n)

    def numbers(**how: object) -> list[int]:
        return [row.seq for row in journal.rows(**how)]  # type: ignore[arg-type]

    assert numbers() == list(range(1, 11))
    assert numbers(after=3, before=7) == [4, 5, 6]
    assert numbers(kinds=("alert.",)) == [2, 4, 6, 8, 10]
    assert numbers(kinds=("alert.firing", "action")) == list(range(1, 11))
    assert numbers(kinds=("alert.fir.",)) == []
    assert numbers(subject="s0", newest_first=True) == [10, 7, 4, 1]
    assert numbers(public=False, limit=2) == [1, 3]
    assert numbers(newest_first=True, limit=1) == [10]
    assert numbers(limit=0) == []


def test_puts_replace_and_take_away() -> None:
    journal = open_journal()
    put(journal, "plan", "2", {"a": 1})
    put(journal, "plan", "1", {"a": 1})
    put(journal, "plan", "2", {"a": 2})
    put(journal, "other", "3", {})
    assert list(journal.space("plan").items()) == [("1", {"a": 1}), ("2", {"a": 2})]
    put(journal, "plan", "1", None)
    assert journal.space("plan") == {"2": {"a": 2}}
    assert journal.last_seq == 0


def test_an_empty_batch_costs_nothing() -> None:
    journal = open_journal()
    points: list[str] = []
    journal.on_commit = points.append
    journal.commit(journal.batch())
    assert points == []


def test_kill_points_stand_before_and_after_the_commit() -> None:
    journal = open_journal()
    seen: list[tuple[str, int]] = []
    journal.on_commit = lambda when: seen.append((when, len(journal.rows())))
    add(journal)
    assert seen == [("before", 0), ("after", 1)]


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
def test_a_kill_leaves_all_of_a_turn_or_nothing(when: str, rows: int) -> None:
    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == when:
            raise Killed

    journal = open_journal()
    journal.on_commit = kill
    batch = journal.batch()
    batch.row("decision", "host", {}, 1.0)
    batch.put("plan", "1", {"a": 1})
    with pytest.raises(Killed):
        journal.commit(batch)
    image = journal.image()
    journal.close()
    again = open_journal(image=image)
    assert (len(again.rows()), len(again.space("plan")), again.last_seq) == (rows, rows, rows)
    assert again.epoch == journal.epoch
    assert again.verify() == ()


def test_a_batch_of_another_time_is_refused() -> None:
    journal = open_journal()
    early = journal.batch()
    early.row("decision", "host", {}, 1.0)
    add(journal)
    with pytest.raises(JournalError, match="made after row 0 came when row 1 was the last"):
        journal.commit(early)
    assert journal.last_seq == 1


def test_a_full_disk_changes_nothing_and_the_same_batch_works_afterwards(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    add(journal)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    batch = journal.batch()
    for _ in range(40):
        batch.row("action.begin", "ai.oracle", {"text": "x" * 1000}, 2.0)
    batch.put("plan", "1", {"a": 1})
    for _ in range(2):
        with pytest.raises(JournalError, match="free some disk space") as found:
            journal.commit(batch)
        assert found.value.full
        assert (journal.last_seq, len(journal.rows()), journal.space("plan")) == (1, 1, {})
    journal._db.execute("PRAGMA max_page_count = 100000")
    batch.row("action.end", "ai.oracle", {}, 3.0)
    journal.commit(batch)
    assert journal.last_seq == 42
    assert journal.space("plan") == {"1": {"a": 1}}
    assert journal.verify() == ()


def test_a_write_that_the_kernel_refuses_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = open_journal(path)
    add(journal)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = Path(f"{path}-wal").stat().st_size
    batch = journal.batch()
    for _ in range(40):
        batch.row("action.begin", "ai.oracle", {"text": "x" * 1000}, 2.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, hard))
    try:
        with pytest.raises(JournalError) as found:
            journal.commit(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found.value.full
    assert (journal.last_seq, len(journal.rows())) == (1, 1)
    journal.commit(batch)
    journal.close()
    again = open_journal(path)
    assert again.last_seq == 41
    assert again.verify() == ()


def test_the_reserve_is_given_back_and_taken_again(tmp_path: Path) -> None:
    from supervisor.journal import Journal
    from supervisor.journal.disk import Reserve

    journal = Journal.open(tmp_path / "journal.db", ManualClock(), reserve=Reserve(tmp_path, size=65536, room=0))
    reserve = tmp_path / "reserve"
    assert reserve.stat().st_size == 65536
    assert reserve.stat().st_blocks * 512 >= 65536, "really taken, not a hole"
    assert reserve.stat().st_mode & 0o777 == 0o600
    assert journal.release_reserve() is True
    assert not reserve.exists()
    assert journal.release_reserve() is False
    journal.prune(1.0)
    assert reserve.exists(), "taken again as soon as there is room"


def test_a_journal_in_memory_has_no_reserve() -> None:
    journal = open_journal()
    assert (journal.release_reserve(), journal.restore_reserve()) == (False, False)


def test_files_are_private(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    add(journal)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
