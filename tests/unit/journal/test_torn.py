"""A power cut in mid-write: wherever the log is cut, the journal opens with a clean prefix of whole turns."""

import random
import shutil
from pathlib import Path

import pytest

from tests.support.journals import add, open_journal

TURNS = 5
PARTS = 12
STEP = 512


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a journal as a kill leaves them: turns of two rows and one put, all in the log."""
    folder = tmp_path_factory.mktemp("torn")
    journal = open_journal(folder / "journal.db")
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    for turn in range(1, TURNS + 1):
        batch = journal.batch()
        batch.row("alert.firing", "ai.oracle", {"turn": turn, "text": "x" * 100}, float(turn), public=True)
        batch.row("decision", "ai.oracle", {"turn": turn}, float(turn))
        batch.put("plan", "turns", {"turns": turn})
        journal.commit(batch)
    shutil.copytree(folder, folder / "kept")
    journal.close()
    return folder / "kept"


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("tail", ["nothing", "zeros", "noise"])
def test_every_cut_is_a_clean_prefix(killed: Path, ram: Path, tail: str, part: int) -> None:
    wal = (killed / "journal.db-wal").read_bytes()
    db = (killed / "journal.db").read_bytes()
    path = ram / "journal.db"
    cuts = range(0, len(wal) + 1, STEP)
    assert len(cuts) > 60
    chance = random.Random(part)
    for cut in cuts[part::PARTS]:
        rest = len(wal) - cut
        end = {"nothing": b"", "zeros": bytes(rest), "noise": chance.randbytes(rest)}[tail]
        path.write_bytes(db)
        Path(f"{path}-wal").write_bytes(wal[:cut] + end)
        journal = open_journal(path)
        rows = journal.rows()
        turns = len(rows) // 2
        assert journal.set_aside is None
        assert [row.body["turn"] for row in rows] == [turn for turn in range(1, turns + 1) for _ in (1, 2)]
        assert journal.space("plan") == ({"turns": {"turns": turns}} if turns else {})
        assert journal.delivery_counts() == {"waiting": turns}
        assert add(journal) == 2 * turns + 1
        assert journal.verify() == ()
        if cut == len(wal):
            assert turns == TURNS
        journal.close()
        for left in ("-wal", "-shm"):
            Path(f"{path}{left}").unlink(missing_ok=True)
