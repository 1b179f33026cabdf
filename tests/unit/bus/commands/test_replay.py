"""Replay: what was told is told again, byte by byte and in order; and a consumer that counts would never be done."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from supervisor.bus.commands import replay
from supervisor.bus.commands.envelope import Envelope
from supervisor.bus.commands.replay import Replay, asked
from supervisor.bus.messages import render
from supervisor.clock import ManualClock
from supervisor.errors import BrokerError
from supervisor.facts import Json
from supervisor.journal import Journal, JournalThread
from supervisor.lab.broker import SimBroker, SimBrokerWorld, Subscriber
from supervisor.lab.loop import SimLoop
from tests.support.words import Words, told

WHERE = "resurgam/box/reply/logger/replay"


class Desk:
    """A journal, a broker and the verb between them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.loop = SimLoop(self.clock)
        self.journal = Journal.open(None, self.clock)
        self.replay = Replay(JournalThread(self.journal), "box")
        self.world = SimBrokerWorld()
        self.broker: SimBroker
        self.heard: Subscriber

    def play(self, story: Callable[[], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            self.heard = self.world.subscribe("logger", "resurgam/box/reply/#")
            self.broker = self.world()
            await self.broker.connect()
            await story()

        self.loop.run_until_complete(all_of_it())

    def write(self, count: int, *, public: bool = True, size: int = 10, kind: str = "container.died") -> None:
        batch = self.journal.batch()
        for _ in range(count):
            batch.row(kind, "oracle", {"text": "x" * size}, self.clock.wall(), public)
        self.journal.commit(batch)

    async def ask(self, principal: str = "logger", **params: str) -> Json:
        return await self.replay(self.broker, principal, Envelope(id="r", params=params))

    def seqs(self) -> list[int]:
        return [json.loads(one.payload)["seq"] for one in self.heard.got]

    def live(self) -> list[bytes]:
        """What every public row looks like as an event."""
        rendered = [render(row, "box", self.journal.epoch) for row in self.journal.rows(public=True)]
        return [message.payload for message in rendered if message is not None]


def test_a_span_is_told_again_byte_by_byte_and_the_answer_says_how_far_it_went() -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(120)
        desk.write(3, public=False)
        desk.write(2)
        told_of = {"from": 1, "to": 125, "sent": 122, "next": None}
        assert await desk.ask() == told_of | {"oldest": 1, "last": 125, "epoch": desk.journal.epoch}
        assert [one.payload for one in desk.heard.got] == desk.live()
        assert {one.topic for one in desk.heard.got} == {WHERE}

    desk.play(story)


@pytest.mark.parametrize(
    ("params", "seqs"),
    [
        ({"from": "3", "to": "5"}, [3, 4, 5]),
        ({"after": "7"}, [8, 9, 10]),
        ({"to": "2"}, [1, 2]),
        ({"from": "10", "to": "999"}, [10]),
        ({"from": "11"}, []),
        ({"after": "10"}, []),
    ],
)
def test_a_span_has_both_its_ends(params: dict[str, str], seqs: list[int]) -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(10)
        answer = await desk.ask(**params)
        assert desk.seqs() == seqs
        assert (answer["sent"], answer["next"], answer["last"]) == (len(seqs), None, 10)

    desk.play(story)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"from": "x"}, "`from` must be the `seq` of an event, in digits, and 'x' is none"),
        ({"to": "-1"}, "in digits"),
        ({"to": "9" * 40}, "in digits"),
        ({"from": "٣"}, "in digits"),
        ({"from": "5", "to": "4"}, "nothing to tell"),
        ({"from": "5", "after": "4"}, "take one of them out"),
        ({"since": "4"}, "no parameter 'since'"),
    ],
)
def test_what_is_no_span_is_said_in_words(params: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        asked(params)
    assert words in str(caught.value)


def pages(desk: Desk) -> Callable[[], Awaitable[list[Json]]]:
    async def walk() -> list[Json]:
        answers = [await desk.ask()]
        while answers[-1]["next"] is not None:
            answers.append(await desk.ask(**{"from": str(answers[-1]["next"])}))
        return answers

    return walk


@pytest.mark.parametrize(
    ("count", "size", "parts"), [(1100, 10, [500, 500, 100]), (500, 10, [500]), (60, 40_000, None)]
)
def test_a_long_span_comes_in_parts_that_join(count: int, size: int, parts: list[int] | None) -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(count, size=size)
        answers = await pages(desk)()
        assert desk.seqs() == list(range(1, count + 1))
        assert [one["from"] for one in answers[1:]] == [one["to"] + 1 for one in answers[:-1]]
        if parts is None:
            assert len(answers) == 3
            assert all(one["sent"] * size < replay.SIZE for one in answers)
        else:
            assert [one["sent"] for one in answers] == parts

    desk.play(story)


def test_one_event_that_is_larger_than_a_part_comes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SIZE", 100)
    desk = Desk()

    async def story() -> None:
        desk.write(3, size=500)
        assert [one["sent"] for one in await pages(desk)()] == [1, 1, 1]
        assert desk.seqs() == [1, 2, 3]

    desk.play(story)


def shed_some(desk: Desk) -> list[tuple[int, int]]:
    """What a replay tells of rows with all kinds of fates, as (seq, prior)."""
    found: list[tuple[int, int]] = []

    async def story() -> None:
        desk.write(8)
        states = ("done", "unheard", "shed", "digested", "dead", "skipped", "expired")
        desk.journal.deliver([(seq, state, 1, "") for seq, state in enumerate(states, 1)])
        await desk.ask()
        found.extend((body["seq"], body["prior"]) for body in (json.loads(one.payload) for one in desk.heard.got))

    desk.play(story)
    return found


WHOLE = [(seq, seq - 1) for seq in range(1, 9)]


def test_what_became_of_a_row_as_an_event_does_not_matter() -> None:
    assert shed_some(Desk()) == WHOLE


def test_planted_a_replay_of_what_was_told_leaves_holes_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = replay._piece

    def told_only(journal: Journal, host: str, after: int, upto: int) -> list[Any]:
        found = real(journal, host, after, upto)
        fates = journal.delivery_of(event.seq for event in found)
        return [event for event in found if fates[event.seq] in ("done", "unheard", "waiting")]

    monkeypatch.setattr(replay, "_piece", told_only)
    assert shed_some(Desk()) == [(1, 0), (2, 1), (8, 7)]


def test_after_a_prune_the_first_event_left_names_none_before_it() -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(5)
        desk.journal.deliver([(seq, "done", 1, "") for seq in range(1, 6)])
        desk.clock.advance(91 * 86_400.0)
        desk.write(2)
        desk.journal.prune(desk.clock.wall())
        answer = await desk.ask(**{"from": "2"})
        assert (answer["oldest"], answer["sent"], answer["to"]) == (6, 2, 7)
        assert [json.loads(one.payload)["prior"] for one in desk.heard.got] == [0, 6]

    desk.play(story)


def test_what_the_broker_does_not_take_comes_short_so_that_the_chain_has_no_hole() -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(1)
        desk.write(1, size=300)
        desk.write(1)
        desk.world.codes[b"x" * 300] = 0x95
        assert (await desk.ask())["sent"] == 3
        bodies = [json.loads(one.payload) for one in desk.heard.got]
        assert sorted((body["seq"], body["prior"]) for body in bodies) == [(1, 0), (2, 1), (3, 2)]
        assert "`resurgam show 2` has it" in next(body for body in bodies if body["seq"] == 2)["data"]["trimmed"]

    desk.play(story)


def test_a_lost_connection_ends_it_and_leaves_nothing_behind() -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(400)
        asking = asyncio.ensure_future(desk.ask())
        await asyncio.sleep(0.02)
        desk.world.kill()
        with pytest.raises(BrokerError):
            await asking
        assert 0 < len(desk.heard.got) < 400
        assert desk.seqs() == list(range(1, len(desk.heard.got) + 1))
        assert len(asyncio.all_tasks()) == 1

    desk.play(story)


def test_a_broker_that_refuses_the_topic_is_not_asked_five_hundred_times() -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(400)
        desk.world.denied = (WHERE,)
        with pytest.raises(BrokerError):
            await desk.ask()
        assert desk.world.taken == []
        assert desk.clock.mono() < 0.1

    desk.play(story)


def test_many_may_ask_at_once_and_each_gets_all_of_it() -> None:
    desk = Desk()

    async def story() -> None:
        desk.write(100)
        desk.world.subscribe("all", "#")
        names = [f"p{number}" for number in range(6)]
        answers = await asyncio.gather(*(desk.ask(name) for name in names))
        assert [one["sent"] for one in answers] == [100] * 6
        for name in names:
            mine = [one for one in desk.heard.got if one.topic == f"resurgam/box/reply/{name}/replay"]
            assert [json.loads(one.payload)["seq"] for one in mine] == list(range(1, 101))

    desk.play(story)


# ------------------------------------------------------------ in a whole house


def answer_of(got: list[Any]) -> Json:
    (found,) = [body for body in (json.loads(one.payload) for one in got) if "status" in body]
    return found


def test_a_principal_asks_over_the_bus_and_hears_what_it_missed() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        await words.calm()
        broker = words.world.broker
        got = broker.subscribe("logger", "resurgam/sim/reply/logger/#").got
        broker.take("resurgam/sim/cmd/logger/replay", json.dumps({"id": "r1", "params": {"from": "1"}}).encode(), False)
        await asyncio.sleep(1.0)
        answer = answer_of(got)
        assert (answer["id"], answer["status"], answer["data"]["next"]) == ("r1", "ok", None)
        assert got[-1].payload == json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
        rows = [row for row in words.rows() if row.seq <= answer["data"]["to"]]
        assert rows[-1].kind == "daemon.command"  # the question itself
        assert [json.loads(one.payload)["seq"] for one in got[:-1]] == [row.seq for row in rows]

    told(story, commands={"principals": {"logger": ["replay"]}})


@pytest.mark.parametrize(
    ("may", "params", "reason"), [(["ack"], {}, "not_allowed"), (["replay"], {"to": "x"}, "bad_param")]
)
def test_who_may_not_or_asks_wrongly_is_told_and_hears_no_event(may: list[str], params: Json, reason: str) -> None:
    async def story(words: Words) -> None:
        broker = words.world.broker
        got = broker.subscribe("logger", "resurgam/sim/reply/logger/#").got
        broker.take("resurgam/sim/cmd/logger/replay", json.dumps({"id": "r1", "params": params}).encode(), False)
        await asyncio.sleep(1.0)
        (only,) = got
        answer = json.loads(only.payload)
        assert answer["status"] == "error"
        assert answer["data"]["reason"].startswith(reason)

    told(story, commands={"principals": {"logger": may}})


def test_events_name_the_one_before_because_their_numbers_have_holes() -> None:
    """The planted mistake: a consumer that waits for seq + 1. Private rows have numbers, too."""

    async def story(words: Words) -> None:
        await words.fire()
        broker = words.world.broker
        got = broker.subscribe("logger", "resurgam/sim/reply/logger/#").got
        broker.take("resurgam/sim/cmd/logger/replay", b'{"id": "r1"}', False)
        await asyncio.sleep(1.0)
        events = [json.loads(one.payload) for one in got[:-1]]
        seqs = [event["seq"] for event in events]
        assert any(later != earlier + 1 for earlier, later in pairwise(seqs))
        assert [event["prior"] for event in events] == [0, *seqs[:-1]]

    told(story, commands={"principals": {"logger": ["replay"]}})
