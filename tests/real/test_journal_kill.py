"""SIGKILL of a process that writes the journal: no row it was told is durable is ever lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.clock import SystemClock
from supervisor.journal import Journal

pytestmark = pytest.mark.real

KILLS = 20
ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from supervisor.clock import SystemClock
from supervisor.journal import Journal
journal = Journal.open(Path(sys.argv[1]), SystemClock())
while True:
    batch = journal.batch()
    for _ in range(3):
        seq = batch.row("alert.firing", "ai.oracle", {"text": "x" * 500}, 1.0, public=True)
    batch.put("plan", "last", {"seq": seq})
    journal.commit(batch)
    if seq % 5 == 0:
        journal.deliver([(seq, "delivered", 1, "")])
    print(seq, flush=True)
"""


def test_no_acknowledged_row_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    last = 0
    epochs = []
    for kill in range(KILLS):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=env, text=True)
        assert writer.stdout is not None
        acknowledged = 0
        for _ in range(1 + 37 * kill % 113):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        assert writer.wait(10) == -signal.SIGKILL
        acknowledged = int(rest[-1]) if rest else acknowledged
        journal = Journal.open(path, SystemClock())
        assert journal.set_aside is None
        assert last < acknowledged <= journal.last_seq <= acknowledged + 3
        assert journal.last_seq % 3 == 0, "whole turns only"
        assert journal.space("plan") == {"last": {"seq": journal.last_seq}}
        assert journal.verify() == ()
        last = journal.last_seq
        epochs.append(journal.epoch)
        journal.close()
    assert len(set(epochs)) == 1
