"""The hash chain: whatever is changed, taken out or put in afterwards is found."""

import random
from pathlib import Path

import pytest

from supervisor.journal import Journal
from tests.support.journals import add, open_journal


def ten() -> Journal:
    journal = open_journal()
    for n in range(10):
        add(journal, ["alert.firing"], subject=f"s{n}", at=float(n), public=True, n=n)
    assert journal.verify() == ()
    return journal


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("UPDATE rows SET at = at + 1 WHERE seq = 4", "row 4 is not what was written"),
        ("UPDATE rows SET kind = 'alert.resolved' WHERE seq = 4", "row 4 is not what was written"),
        ("UPDATE rows SET subject = 'x' WHERE seq = 4", "row 4 is not what was written"),
        ("UPDATE rows SET body = '{}' WHERE seq = 4", "row 4 is not what was written"),
        ("UPDATE rows SET public = 0 WHERE seq = 4", "row 4 is not what was written"),
        ("UPDATE rows SET digest = zeroblob(32) WHERE seq = 4", "row 4 is not what was written"),
        ("UPDATE rows SET digest = 'text' WHERE seq = 10", "row 10 is not what was written"),
        ("DELETE FROM rows WHERE seq IN (4, 5)", "rows 4 to 5 are missing"),
        ("DELETE FROM rows WHERE seq = 10", "rows 10 to 10 are missing at the end"),
        ("DELETE FROM rows WHERE seq < 3", "rows 1 to 2 are missing"),
        ("INSERT INTO rows SELECT 11, at, kind, subject, body, public, digest FROM rows WHERE seq = 10", "row 11"),
        ("INSERT INTO rows SELECT 0, at, kind, subject, body, public, digest FROM rows WHERE seq = 1", "row 0"),
        ("UPDATE inner SET value = '10:' || hex(zeroblob(32)) WHERE key = 'head'", "row 10 is not what was written"),
    ],
)
def test_tampering_is_found(sql: str, wanted: str) -> None:
    journal = ten()
    journal._db.execute(sql)
    assert any(problem.startswith(wanted) for problem in journal.verify()), journal.verify()


def test_rows_taken_off_the_end_do_not_get_their_numbers_again() -> None:
    journal = ten()
    journal._db.execute("DELETE FROM rows WHERE seq > 8")
    again = open_journal(image=journal.image())
    assert add(again) == 11
    assert again.verify() == ("rows 9 to 10 are missing",)


def test_a_long_list_of_problems_ends() -> None:
    journal = open_journal()
    add(journal, ["decision"] * 300)
    journal._db.execute("UPDATE rows SET body = '{\"x\":1}'")
    assert len(journal.verify()) == 101


@pytest.mark.parametrize("part", range(8))
def test_a_flipped_bit_in_a_row_is_found_or_the_file_is_set_aside(ram: Path, part: int) -> None:
    path = ram / "journal.db"
    journal = open_journal(path)
    for n in range(20):
        add(journal, ["alert.firing"], subject="ai.oracle", at=float(n), text=f"marker-{n:03d}-" + "y" * 20)
    rows = journal.rows()
    journal.close()
    whole = path.read_bytes()
    start = whole.index(b"marker-011-") - 45  # from the row's header to its digest
    chance = random.Random(part)
    for offset in range(start + part, start + 120, 8):
        harmed = bytearray(whole)
        harmed[offset] ^= 1 << chance.randrange(8)
        path.write_bytes(harmed)
        again = open_journal(path)
        found, aside = again.verify(), again.set_aside
        # one byte of a row's header means nothing to SQLite: then what is read is still what was written
        same = not aside and not found and again.rows() == rows
        again.close()
        assert found or aside or same, f"byte {offset} was changed and nobody noticed"
        if aside:
            aside.unlink()
