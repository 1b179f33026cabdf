"""The recording over the control socket: whole, in pieces, and as packed as it is kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli.client import Client
from supervisor.clock import ManualClock
from supervisor.errors import UsageError
from supervisor.journal import JournalThread
from supervisor.journal.recorder import Recorder
from supervisor.lab.recording import from_daemon
from supervisor.web.recording import BLOCKS, Recording
from tests.support.house import served
from tests.support.recordings import BEGIN, story


@pytest.fixture
def tape(tmp_path: Path) -> Iterator[Recording]:
    recorder = Recorder.open(tmp_path / "recorder.db", ManualClock(BEGIN))
    rows = story()
    for first in range(0, len(rows), 2):
        recorder.write(rows[first : first + 2])
    thread = JournalThread()
    yield Recording(recorder, thread)
    thread.close()
    recorder.close()


def ask(tape: Recording | None, **query: Any) -> list[dict[str, Any]]:
    with served(recording=tape) as house:
        return list(Client(house.socket).stream("recording", **query))


def test_everything_comes_in_order_and_can_be_replayed(tape: Recording) -> None:
    lines = ask(tape)
    assert len(lines) == 1 + 20 + 1
    assert len(lines) > BLOCKS + 2, "it was read in more than one piece"
    head = lines[0]
    assert (head["format"], head["first"], head["last"]) == (1, BEGIN * 1000, story()[-1][1])
    assert head["services"]
    recording = from_daemon(lines)
    assert [reading for block in recording.blocks(0, 1 << 60) for reading in block] == story()


def test_names_are_told_once(tape: Recording) -> None:
    names = [name for line in ask(tape)[1:-1] for name in line["names"]]
    assert len(names) == len(set(names)) == 2


def test_a_part_is_only_the_blocks_that_touch_it(tape: Recording) -> None:
    lines = ask(tape, **{"from": (BEGIN + 60) * 1000, "to": (BEGIN + 119) * 1000})
    assert [line["first"] for line in lines[1:-1]] == [(BEGIN + 60 + step * 15) * 1000 for step in range(4)]


def test_a_wrong_time_and_a_house_without_a_recorder_are_said(tape: Recording) -> None:
    with pytest.raises(UsageError, match="from is not a time"):
        ask(tape, **{"from": "yesterday"})
    with pytest.raises(UsageError, match="keeps no recording"):
        ask(None)


def test_a_line_is_strict_json(tape: Recording) -> None:
    assert all(json.dumps(line, allow_nan=False) for line in ask(tape))
