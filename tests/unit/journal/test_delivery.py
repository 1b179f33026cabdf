"""What became of public rows: waiting until somebody says otherwise, in order, over restarts."""

from pathlib import Path

import pytest

from supervisor.errors import JournalError
from supervisor.journal import Journal
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
