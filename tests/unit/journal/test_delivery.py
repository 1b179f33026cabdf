"""What became of public rows: waiting until somebody says otherwise, in order, over restarts."""

from pathlib import Path

import pytest

from supervisor.errors import JournalError
from supervisor.journal import Backlog, Journal
from tests.support.journals import add, open_journal


def waiting(journal: Journal, limit: int = 100) -> list[int]:
    return [row.seq for row in journal.undelivered(limit)]


def test_public_rows_wait_and_private_ones_do_not() -> None:
    journal = open_journal()
    add(journal, ["alert.firing"], public=True)
    add(journal, ["decision"])
    add(journal, ["alert.resolved"], public=True)
    assert waiting(journal) == [1, 3]
    assert waiting(journal, limit=1) == [1]
    assert journal.delivery_counts() == {"waiting": 2}


def test_marks_settle_rows_in_any_order(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    add(journal, ["alert.firing"] * 6, public=True)
    journal.deliver([(3, "delivered", 1, ""), (1, "delivered", 2, ""), (2, "waiting", 4, "refused for now")])
    assert waiting(journal) == [2, 4, 5, 6]
    assert journal.delivery_counts() == {"delivered": 2, "waiting": 4}
    journal.deliver([(2, "dead", 5, "the broker refuses it"), (4, "unheard", 1, "")])
    journal.deliver([(4, "delivered", 2, "somebody came")])
    assert journal.delivery_counts() == {"dead": 1, "delivered": 3, "waiting": 2}
    journal.close()
    again = open_journal(tmp_path / "journal.db")
    assert waiting(again) == [5, 6]
    assert again.delivery_counts() == {"dead": 1, "delivered": 3, "waiting": 2}
    again.deliver([(5, "delivered", 1, ""), (6, "delivered", 1, "")])
    assert waiting(again) == []
    add(again, ["alert.firing"], public=True)
    assert waiting(again) == [7]


def test_marks_for_rows_that_nobody_waits_for_are_dropped() -> None:
    journal = open_journal()
    add(journal, ["decision"])
    journal.deliver([(1, "delivered", 1, ""), (99, "delivered", 1, "")])
    assert journal.delivery_counts() == {"waiting": 0}


def test_a_turn_after_marks_is_flushed_to_the_disk_again(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    add(journal, ["alert.firing"], public=True)
    journal.deliver([(1, "delivered", 1, "")])
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_marks_that_cannot_be_written_change_nothing(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    add(journal, ["alert.firing"] * 400, public=True)
    journal._db.execute(f"PRAGMA max_page_count = {journal._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(JournalError):
        journal.deliver([(seq, "delivered", 1, "r" * 400) for seq in range(1, 401)])
    assert journal.delivery_counts() == {"waiting": 400}
    assert waiting(journal, limit=1) == [1]


def test_what_became_of_rows_can_be_asked_for(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    add(journal, ["alert.firing"] * 3, public=True)
    add(journal, ["decision"])
    journal.deliver([(1, "done", 1, ""), (3, "unheard", 1, "")])
    assert journal.delivery_of([3, 1, 2, 4, 99]) == {1: "done", 2: "waiting", 3: "unheard"}
    assert journal.delivery_of([]) == {}
    add(journal, ["alert.firing"] * 1200, public=True)
    assert len(journal.delivery_of(range(1, 2000))) == 1203


def test_the_backlog_is_counted_in_rows_and_bytes_over_restarts_and_marks(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db")
    assert journal.backlog() == Backlog()
    for at, kind, public in ((10.0, "container.died", True), (11.0, "decision", False), (12.0, "container.died", True)):
        batch = journal.batch()
        batch.row(kind, "x", {"log": "y" * 100}, at, public)
        journal.commit(batch)
    size = len('{"log":""}') + 100
    assert journal.backlog() == Backlog(2, 2 * size, 1, 10.0)
    journal.deliver([(1, "waiting", 1, "tried")])
    assert journal.backlog() == Backlog(2, 2 * size, 1, 10.0)
    journal.deliver([(1, "done", 2, "")])
    assert journal.backlog() == Backlog(1, size, 3, 12.0)
    journal.deliver([(1, "waiting", 2, "")])
    assert journal.backlog().size == 2 * size
    journal.deliver([(1, "done", 2, "")])
    journal.close()
    again = open_journal(tmp_path / "journal.db")
    assert again.backlog() == Backlog(1, size, 3, 12.0)
    again.deliver([(3, "shed", 0, "")])
    assert again.backlog() == Backlog()


def test_only_what_is_above_a_row_is_read(tmp_path: Path) -> None:
    journal = open_journal()
    add(journal, ["alert.firing"] * 6, public=True)
    journal.deliver([(1, "done", 1, ""), (5, "done", 1, "")])
    assert [row.seq for row in journal.undelivered(2, after=3)] == [4, 6]
    assert [row.seq for row in journal.undelivered(2, after=0)] == [2, 3]
