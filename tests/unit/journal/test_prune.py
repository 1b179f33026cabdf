"""Pruning: a prefix of the rows, never what is true now, never what nobody was told yet, and the chain still holds."""

from pathlib import Path

import pytest

from supervisor.journal import Journal, prune
from tests.support.journals import add, open_journal, put

DAY = 86400.0


def aged(public: bool = False) -> Journal:
    """Ten rows, one a day, and something that is true now."""
    journal = open_journal(max_age=90 * DAY)
    for day in range(10):
        add(journal, at=day * DAY, public=public)
    put(journal, "plan", "1", {"open": True})
    return journal


def left(journal: Journal) -> list[int]:
    return [row.seq for row in journal.rows()]


def test_only_old_rows_go_and_the_chain_holds() -> None:
    journal = aged()
    done = journal.prune(94 * DAY)
    assert (done.rows, done.upto, done.undelivered, done.more) == (4, 4, 0, False)
    assert left(journal) == [5, 6, 7, 8, 9, 10]
    assert journal.verify() == ()
    assert journal.space("plan") == {"1": {"open": True}}
    assert journal.prune(94 * DAY) == prune.Pruned()


def test_when_all_rows_are_gone_numbers_and_chain_go_on() -> None:
    journal = aged()
    journal.prune(1000 * DAY)
    assert left(journal) == []
    again = open_journal(image=journal.image())
    assert again.last_seq == 10
    assert add(again) == 11
    assert again.verify() == ()


def test_a_prefix_is_cut_not_a_row_in_the_middle() -> None:
    journal = open_journal()
    for at in (50.0, 1.0, 60.0, 2.0):
        add(journal, at=at)
    journal.prune(55.0 + 90 * DAY)
    assert left(journal) == [3, 4], "row 4 says it is old (a clock that was wrong), but row 3 before it is not"


def test_rows_that_wait_for_delivery_stay() -> None:
    journal = aged(public=True)
    journal.deliver([(1, "delivered", 1, ""), (2, "delivered", 1, ""), (4, "delivered", 1, "")])
    assert journal.prune(1000 * DAY).upto == 2
    assert left(journal)[0] == 3
    assert journal.delivery_counts() == {"delivered": 1, "waiting": 7}
    done = journal.prune(1000 * DAY, keep_waiting=False)
    assert (done.rows, done.undelivered) == (8, 7), "and it says how many nobody was told"
    assert journal.delivery_counts() == {"waiting": 0}


def test_a_file_over_its_size_loses_the_oldest_rows_whatever_they_wait_for(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal.db", max_bytes=300_000)
    for n in range(20):
        add(journal, ["alert.firing"] * 10, public=True, text="x" * 3000, n=n)
    before = prune.used_bytes(journal._db)
    assert before > 600_000
    calls, lost = 0, 0
    while True:
        done = journal.prune(2.0)
        calls, lost = calls + 1, lost + done.undelivered
        if not done.more:
            break
        assert calls < 60
    assert prune.used_bytes(journal._db) <= 300_000
    kept = left(journal)
    assert kept == list(range(kept[0], 201)), "what is left is the newest, whole"
    assert len(kept) > 40
    assert lost == 200 - len(kept)
    assert journal.verify() == ()
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert (tmp_path / "journal.db").stat().st_size < before * 0.75, "the room is given back to the disk"


def test_one_call_cuts_a_bounded_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "CHUNK", 4)
    journal = aged()
    assert [journal.prune(1000 * DAY) for _ in range(4)] == [
        prune.Pruned(4, 4, 0, True),
        prune.Pruned(4, 8, 0, True),
        prune.Pruned(2, 10, 0, False),
        prune.Pruned(),
    ]
    assert journal.verify() == ()
