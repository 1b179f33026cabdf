"""docs/examples/consumer.py: what it makes of the messages it gets (its proof is in tests/real/test_bus_chaos.py)."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from supervisor.lab.loop import SimLoop

CODE = (Path(__file__).parents[3] / "docs" / "examples" / "consumer.py").read_text()
START = "asyncio.run(Consumer().run())"


class Asked:
    """Stands for the client: what was published."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def publish(self, where: str, payload: str, qos: int) -> None:
        assert (where, qos) == ("resurgam/box/cmd/logger/replay", 1)
        self.asked.append(json.loads(payload))


class Desk:
    """One consumer over one file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, code: str = CODE) -> None:
        self.file, self._patch, self._code = folder / "events.jsonl", monkeypatch, code.replace(START, "")
        assert START in CODE
        self.begin()

    def begin(self) -> None:
        """A new life."""
        argv = ["consumer.py", "127.0.0.1", "1883", "logger", "secret", "resurgam/box", str(self.file)]
        self._patch.setattr(sys, "argv", argv)
        found: dict[str, Any] = {}
        exec(compile(self._code, "consumer.py", "exec"), found)
        self.consumer = found["Consumer"]()
        self.client = Asked()

    def mark(self, last: int, epoch: str = "e") -> None:
        body = {"epoch": epoch, "oldest": 1, "last": last, "at": "2026-01-01T00:00:00Z"}
        self.consumer.heard("resurgam/box/journal", json.dumps(body).encode())

    def event(self, seq: int, prior: int, epoch: str = "e", *, replayed: bool = False) -> None:
        where = "resurgam/box/reply/logger/replay" if replayed else "resurgam/box/event/alert"
        self.consumer.heard(where, self.line(seq, prior, epoch))

    def line(self, seq: int, prior: int, epoch: str = "e") -> bytes:
        return json.dumps({"id": f"{epoch}-{seq}", "epoch": epoch, "seq": seq, "prior": prior, "text": "ä"}).encode()

    def done(self, following: int | None = None) -> None:
        body = {"id": self.client.asked[-1]["id"], "status": "ok", "data": {"next": following}}
        self.consumer.heard("resurgam/box/reply/logger/replay", json.dumps(body).encode())

    def watch(self, seconds: float, *, then: Any = None) -> None:
        """Let the watch go on for so long."""

        async def awhile() -> None:
            task = asyncio.ensure_future(self.consumer.watch(self.client))
            await asyncio.sleep(seconds)
            if then is not None:
                then()
                await asyncio.sleep(seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        SimLoop().run_until_complete(awhile())

    @property
    def seqs(self) -> list[int]:
        return [json.loads(line)["seq"] for line in self.file.read_bytes().splitlines()]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path, monkeypatch)
    made.mark(0)
    return made


def test_it_is_short_enough_to_be_read() -> None:
    assert len(CODE.splitlines()) <= 60


def test_events_become_lines_byte_by_byte_and_repeats_do_not(desk: Desk) -> None:
    for seq, prior in ((1, 0), (3, 1), (3, 1), (1, 0), (4, 3)):
        desk.event(seq, prior)
    assert desk.file.read_bytes() == b"".join(desk.line(*one) + b"\n" for one in ((1, 0), (3, 1), (4, 3)))
    desk.watch(10.0)
    assert desk.client.asked == []


def test_a_hole_is_seen_by_the_next_event_and_asked_for_from_its_place(desk: Desk) -> None:
    desk.event(1, 0)
    desk.event(5, 4)
    assert desk.seqs == [1]
    desk.watch(3.0)
    assert [one["params"] for one in desk.client.asked] == [{"after": "1"}]
    for seq, prior in ((2, 1), (4, 2), (5, 4)):
        desk.event(seq, prior, replayed=True)
    assert desk.seqs == [1, 2, 4, 5]


def test_a_hole_at_the_end_is_seen_by_the_watermark(desk: Desk) -> None:
    desk.event(1, 0)
    desk.mark(7)
    desk.watch(3.0)
    assert [one["params"] for one in desk.client.asked] == [{"after": "1"}]


def test_what_comes_in_the_meantime_waits_for_its_turn(desk: Desk) -> None:
    desk.mark(2)
    desk.watch(3.0)
    desk.event(3, 2)
    desk.event(1, 0, replayed=True)
    desk.event(4, 3)
    desk.event(2, 1, replayed=True)
    assert desk.seqs == [1, 2, 3, 4]


def test_it_asks_again_while_nothing_comes_and_each_question_has_its_own_id(desk: Desk) -> None:
    desk.mark(7)
    desk.watch(9.0)
    assert len({one["id"] for one in desk.client.asked}) == len(desk.client.asked) == 4


def test_the_next_part_is_asked_for_at_once(desk: Desk) -> None:
    desk.mark(900)

    def part() -> None:
        desk.event(1, 0, replayed=True)
        desk.done(following=2)

    desk.watch(2.1, then=part)
    assert [one["params"]["after"] for one in desk.client.asked][:2] == ["0", "1"]


def test_what_the_journal_has_no_more_is_not_waited_for(desk: Desk) -> None:
    desk.event(1, 0)
    desk.mark(60)
    desk.watch(3.0)
    desk.event(50, 0, replayed=True)
    desk.event(60, 50, replayed=True)
    assert desk.seqs == [1, 50, 60]


def test_its_file_is_its_place_and_a_line_that_was_cut_off_was_not_heard(desk: Desk) -> None:
    desk.event(1, 0)
    desk.event(2, 1)
    desk.consumer.file.close()
    with desk.file.open("ab") as torn:
        torn.write(desk.line(3, 2)[:20])
    desk.begin()
    desk.mark(3)
    desk.event(2, 1)
    desk.event(3, 2)
    assert desk.seqs == [1, 2, 3]
    desk.consumer.file.close()
    desk.file.write_bytes(desk.line(1, 0)[:20])
    desk.begin()
    assert (desk.consumer.place, desk.file.read_bytes()) == (0, b"")


def test_a_new_journal_begins_anew_and_late_words_of_the_old_one_are_dropped(desk: Desk) -> None:
    desk.event(1, 0)
    desk.event(2, 1)
    desk.mark(1, epoch="f")
    desk.event(3, 2)
    desk.event(1, 0, epoch="f")
    assert [json.loads(line)["id"] for line in desk.file.read_bytes().splitlines()] == ["e-1", "e-2", "f-1"]


def test_planted_one_that_counts_never_gets_over_a_number_that_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Private rows have numbers, too: what this proves would be lost on a consumer that trusts seq + 1."""
    assert 'body["prior"]' in CODE
    desk = Desk(tmp_path, monkeypatch, CODE.replace('body["prior"]', 'body["seq"] - 1'))
    desk.mark(3)
    desk.event(1, 0)
    desk.event(3, 1)
    desk.watch(3.0)
    desk.event(3, 1, replayed=True)
    assert desk.seqs == [1]
