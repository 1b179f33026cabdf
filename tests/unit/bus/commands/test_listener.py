"""Commands over the bus, from the topic to the reply: who may, what is refused, and that each id counts once."""

import asyncio
import json
from typing import Any

import pytest

from supervisor.bus.commands import BURST
from supervisor.bus.messages import severity
from supervisor.core.mail import REMEMBERED
from supervisor.ports import Properties
from tests.support.phone import CMD, REPLY, Phone, told_rows
from tests.support.words import Words, told

MAY = {"principals": {"phone": ["approve", "deny", "ack", "silence"], "panel": ["ack"]}}


def test_a_phone_approves_and_hears_what_came_of_it() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        await words.fire()
        reply = await phone.says("phone/approve", {"id": "a1", "target": "ap-1"})
        assert reply is not None
        assert (reply["id"], reply["status"], reply["data"]["verb"]) == ("a1", "ok", "restart")
        assert reply["data"]["plan"] > 0
        await words.run(60)
        assert [row.body["verb"] for row in words.rows("action.verified")] == ["restart"]
        (row,) = words.rows("action.approved")
        assert row.body["answered_by"] == "bus:phone"
        (row,) = words.rows("daemon.command")
        assert (row.body["principal"], row.body["allowed"], row.body["repeat"]) == ("bus:phone", True, False)
        assert row.body["text"].startswith("approve ap-1 by bus:phone was obeyed: ")

    told(story, commands=MAY)


def test_a_repeat_gets_the_first_answer_and_does_nothing_even_after_a_restart() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        await words.fire()
        first = await phone.says("phone/deny", {"id": "a1", "target": "oracle"})
        assert [one.id for one in words.open] == ["ap-2"]
        again = await phone.says("phone/deny", {"id": "a1", "target": "oracle"})
        await words.restart()
        later = await phone.says("phone/deny", {"id": "a1", "target": "oracle"})
        assert first == again == later
        assert [one.id for one in words.open] == ["ap-2"], "the second question was not answered by a repeat"
        assert [row.body["repeat"] for row in words.rows("daemon.command")] == [False, True, True]
        other = await phone.says("panel/ack", {"id": "a1", "target": "oracle"})
        assert other is not None
        assert other["status"] == "ok", "an id belongs to who said it"

    told(story, commands=MAY)


@pytest.mark.parametrize(
    ("where", "body", "reason", "says"),
    [
        ("thief/approve", {"id": "1", "target": "ap-1"}, "not_allowed", "'thief' may not command this box"),
        ("panel/approve", {"id": "1", "target": "ap-1"}, "not_allowed", "panel may not approve"),
        (
            "phone/explode",
            {"id": "1", "target": "oracle"},
            "unknown_verb",
            "There is no command 'explode' over the bus",
        ),
        ("phone/approve", b"yes", "bad_parameter", "This is not JSON"),
        ("phone/approve", b"[]", "bad_parameter", "This is not an object"),
        ("phone/approve", b"[" * 3000, "bad_parameter", "This is not JSON"),
        ("phone/approve", {"target": "ap-1"}, "bad_parameter", "`id` must be a text of 1 to 128 characters"),
        ("phone/approve", {"id": 7, "target": "ap-1"}, "bad_parameter", "`id` must be a text"),
        ("phone/approve", {"id": "1", "target": ["ap-1"]}, "bad_parameter", "`target` must be a text"),
        ("phone/approve", {"id": "1", "override": "x"}, "bad_parameter", "`override` is never taken over the bus"),
        ("phone/approve", {"id": "1", "params": {"a": 1}}, "bad_parameter", "`params` must be an object of texts"),
        ("phone/approve", {"id": "1", "target": "x" * 513}, "bad_parameter", "at most 512 characters"),
        ("phone/approve", {"id": "1", "target": "x" * 5000}, "bad_parameter", "at most 4096 bytes"),
        ("phone/approve", {"id": "1", "target": "ap-1", "at": 1.0}, "stale", "more than 60 s ago"),
        ("phone/approve", {"id": "1", "target": "ap-1", "at": 9e9}, "stale", "more than 60 s in the future"),
        ("phone/approve", b'{"id": "1", "target": "ap-1", "at": NaN}', "bad_parameter", "This is not JSON"),
        ("phone/approve", {"id": "1", "target": "ap-1", "exp": 1.0}, "stale", "It has expired"),
        ("phone/approve", {"id": "1", "target": "ap-1", "at": 10**400}, "bad_parameter", "`at` must be a number"),
        ("phone/approve", {"id": "1", "target": "ap-1", "aud": "other"}, "bad_parameter", "for the box 'other'"),
        ("phone/approve", {"id": "1", "document": {}}, "bad_parameter", "There is no key 'document' in a command"),
        ("phone/approve", b'{"id": "1", "target": "ap-1", "target": "ap-2"}', "bad_parameter", "stands twice"),
        ("phone/approve", b'{"id": "1", "target": "\\ud800"}', "bad_parameter", "`target` must be a text"),
        ("phone/approve", {"id": "1", "target": "ap-1", "at": "now"}, "bad_parameter", "`at` must be a number"),
        ("phone/approve", {"id": "1", "target": "ap-7"}, "no_target", "Nothing waits for a word about 'ap-7'"),
        ("phone/silence", {"id": "1", "target": "name"}, "bad_parameter", "'name' is not a matcher"),
    ],
)
def test_what_is_refused_is_answered_and_told(where: str, body: Any, reason: str, says: str) -> None:
    async def story(words: Words) -> None:
        await words.fire()
        reply = await Phone(words).says(where, body)
        assert reply is not None
        assert (reply["status"], reply["data"]["reason"]) == ("error", reason)
        assert says in reply["error"]
        assert told_rows(words) == [(False, reason)]
        assert [one.id for one in words.open] == ["ap-1"]
        assert words.kinds("action.planned") == []

    told(story, commands=MAY)


def test_what_the_broker_kept_is_refused_once_and_cleared() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        phone = Phone(words)
        reply = await phone.says("phone/approve", {"id": "1", "target": "ap-1"}, retain=True)
        assert reply is not None
        assert (reply["data"]["reason"], reply["id"]) == ("stale", "1")
        assert f"{CMD}/phone/approve" not in phone.broker.retained
        phone.broker.retained[f"{CMD}/phone/deny"] = b'{"id": "2", "target": "ap-1"}'
        phone.broker.cut()
        await words.run(60)
        assert told_rows(words) == [(False, "stale"), (False, "stale")]
        assert f"{CMD}/phone/deny" not in phone.broker.retained
        assert [one.id for one in words.open] == ["ap-1"]
        assert (await phone.says("phone/approve", {"id": "1", "target": "ap-1"}))["status"] == "ok"  # type: ignore[index]

    told(story, commands=MAY)


def test_a_fresh_command_says_when_and_is_obeyed() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        phone = Phone(words)
        at = words.clock.wall() - 59
        reply = await phone.says("phone/ack", {"id": "1", "target": "oracle", "at": at, "params": {"reason": "mine"}})
        assert reply is not None
        assert reply["status"] == "ok"
        assert words.life.core.snapshot.incidents[0].acked.startswith("bus:phone at ")
        reply = await phone.says("phone/silence", {"id": "2", "target": 'name="oracle"', "params": {"for": "1h"}})
        assert reply is not None
        assert reply["status"] == "ok"
        assert words.life.core.snapshot.silences[0].by == "bus:phone"
        mute = {"id": "3", "target": 'name="oracle"', "params": {"for": "1h"}, "if_rev": 10**6}
        assert (await phone.asks("phone/silence", mute))["data"]["reason"] == "stale", "matchers concern the whole box"

    told(story, commands=MAY)


def test_a_name_that_no_topic_holds_is_refused_without_an_answer() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        assert await phone.says(f"{'x' * 101}/ack", {"id": "1", "target": "oracle"}) is None
        assert told_rows(words) == [(False, "not_allowed")]

    told(story, commands=MAY)


def test_nothing_is_heard_unless_somebody_may_speak() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        phone = Phone(words)
        assert await phone.says("phone/approve", {"id": "1", "target": "ap-1"}) is None
        assert told_rows(words) == []

    told(story)


def test_a_flood_is_dropped_and_the_box_goes_on() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        for number in range(60):
            phone.broker.take(f"{CMD}/thief/approve", b'{"id": "%d"}' % number, False)
        await asyncio.sleep(1.0)
        assert len(told_rows(words)) == BURST
        await words.run(30)
        reply = await phone.says("phone/ack", {"id": "x", "target": "oracle"})
        assert reply is not None, "a minute later there is room again"

    told(story, commands=MAY)


def test_one_that_floods_talks_nobody_else_down() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        await words.fire()
        for number in range(3 * int(BURST)):
            words.world.broker.take(f"{CMD}/panel/ack", json.dumps({"id": f"p{number}", "target": "x"}).encode(), False)
            words.world.broker.take(f"{CMD}/nobody{number}/ack", b"{}", False)
        await asyncio.sleep(1.0)
        phone.got.got.clear()
        reply = await phone.says("phone/approve", {"id": "a1", "target": "ap-1"})
        assert reply is not None
        assert reply["status"] == "ok"
        assert words.life.telling.commands is not None
        assert words.life.telling.commands.dropped >= int(BURST), "and what came too fast is counted"

    told(story, commands=MAY)


def test_a_lost_connection_is_taken_up_again() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        phone = Phone(words)
        phone.broker.kill()
        await words.run(5)
        phone.broker.start()
        await words.run(60)
        assert (await phone.says("phone/ack", {"id": "x", "target": "oracle"})) is not None

    told(story, commands=MAY)


def test_a_broker_that_lets_us_read_nothing_is_said_and_messages_go_on() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        phone.broker.denied = (f"{CMD}/",)
        phone.broker.cut()
        await words.run(60)
        commands = words.life.telling.commands
        assert commands is not None
        assert "No command is heard over the bus" in commands.trouble
        assert words.life.core.snapshot.bus is not None
        assert words.life.core.snapshot.bus.connected
        phone.broker.denied = ()
        phone.broker.cut()
        await words.run(60)
        assert commands.trouble == ""

    told(story, commands=MAY)


def test_the_last_thousand_ids_of_each_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REMEMBERED == 1000
    monkeypatch.setattr("supervisor.core.mail.REMEMBERED", 3)

    async def story(words: Words) -> None:
        phone = Phone(words)
        for number in range(5):
            await phone.says("phone/ack", {"id": f"i{number}", "target": "oracle"})
        kept = words.world.disk.space("command")
        assert sorted(one["id"] for one in kept.values()) == ["i2", "i3", "i4"]
        await phone.says("phone/ack", {"id": "i2", "target": "oracle"})
        await phone.says("phone/ack", {"id": "i0", "target": "oracle"})
        assert [row.body["repeat"] for row in words.rows("daemon.command")] == [False] * 5 + [True, False]

    told(story, commands=MAY)


def test_an_answer_goes_where_it_is_awaited_and_nowhere_else() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        ask = {"id": "a", "transaction": "t-7", "target": "oracle"}
        mine = Properties(response=f"{REPLY}/phone/my/own", correlation=b"\x00\xff")
        (answer,) = await phone.hears("phone/ack", ask, properties=mine)
        assert (answer.topic, answer.properties.correlation) == (f"{REPLY}/phone/my/own", b"\x00\xff")
        body = json.loads(answer.payload)
        assert (body["id"], body["transaction"], body["status"]) == ("a", "t-7", "error")
        assert body["error"] == body["data"]["text"]
        for outside in (
            "resurgam/sim/event/alert",
            f"{REPLY}/panel/ack",
            f"{REPLY}/phone/",
            f"{REPLY}/phone/#",
            "x" * 600,
        ):
            (answer,) = await phone.hears("phone/ack", ask, properties=Properties(response=outside, correlation=b"c"))
            assert (answer.topic, answer.properties.correlation) == (f"{REPLY}/phone/ack", b"c")

    told(story, commands=MAY)


def test_a_transaction_does_for_an_id() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        phone = Phone(words)
        first = await phone.asks("phone/ack", {"transaction": "t1", "target": "oracle"})
        assert (first["id"], first["transaction"], first["status"]) == ("t1", "t1", "ok")
        again = await phone.asks("phone/ack", {"id": "t1", "target": "oracle"})
        assert again["data"] == first["data"]
        assert [row.body["repeat"] for row in words.rows("daemon.command")] == [False, True]

    told(story, commands=MAY)


def test_a_repeat_that_comes_late_hears_what_became_of_it() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        phone = Phone(words)
        ask = {"id": "a1", "target": "oracle", "at": words.clock.wall(), "exp": words.clock.wall() + 30}
        first = await phone.asks("phone/ack", ask)
        await words.run(300)
        assert await phone.asks("phone/ack", ask) == first
        assert (await phone.asks("phone/ack", {**ask, "id": "a2"}))["data"]["reason"] == "stale"

    told(story, commands=MAY)


def test_pausing_and_telling_everything_again_need_no_second_word() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        paused = await phone.asks("phone/pause", {"id": "1", "params": {"for": "1h", "reason": "backup"}})
        assert paused["status"] == "ok"
        assert words.life.core.snapshot.pauses["*"][0] == "backup"
        wrong = await phone.asks("phone/pause", {"id": "2", "params": {"forever": "1h"}})
        assert wrong["error"] == "pause has no parameter 'forever'; it knows: for, reason."
        await words.run(5)
        before = len(words.world.broker.taken)
        answer = await phone.asks("phone/refresh", {"id": "3"})
        assert (answer["status"], answer["data"]["text"]) == ("ok", "refresh goes ahead.")
        again = [topic for topic, _payload in words.world.broker.taken[before:]]
        assert "resurgam/sim/state/container/oracle" in again, "though nothing had changed"
        before = len(words.world.broker.taken)
        assert await phone.asks("phone/refresh", {"id": "3"}) == answer
        assert "resurgam/sim/state/container/oracle" not in [topic for topic, _ in words.world.broker.taken[before:]]

    told(story, commands={"principals": {"phone": ["pause", "refresh"]}})


def test_what_is_only_said_changes_no_revision_and_fills_no_memory() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        await phone.says("phone/ack", {"id": "0", "target": "nothing"})
        before = dict(words.life.core.snapshot.revisions)
        for number in range(5):
            await phone.says(f"stranger{number}/ack", {"id": "1", "target": "oracle"})
        await phone.says("phone/ack", {"id": "2", "target": "nothing"})
        after = words.life.core.snapshot.revisions
        assert {key for key in after if after[key] != before.get(key)} == {"bus:phone", "bus:?"}
        assert [severity(row) for row in words.rows("daemon.command")] == ["info"] * 7

    told(story, commands=MAY)


ENDLESS = "9" * 400 + "y"


@pytest.mark.parametrize(
    ("where", "target", "params"),
    [
        ("phone/pause", "", {"for": ENDLESS}),
        ("phone/silence", 'name="oracle"', {"for": ENDLESS}),
        ("phone/restart", "oracle", {"within": ENDLESS}),
    ],
)
def test_a_time_that_no_number_holds_is_refused(where: str, target: str, params: dict[str, str]) -> None:
    async def story(words: Words) -> None:
        reply = await Phone(words).asks(where, {"id": "1", "target": target, "params": params})
        assert reply["data"]["reason"] == "bad_parameter"

    told(story, commands={"principals": {"phone": ["pause", "silence", "restart"]}})


def test_a_short_pause_does_not_end_a_longer_one() -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        for target in ("", "oracle"):
            await words.says("pause", target, reason="work on the machine")
            for number, length in enumerate(("0s", "1ms", "5m")):
                body = {"id": f"{target}{number}", "target": target, "params": {"for": length}}
                assert "is paused already, for longer" in (await phone.asks("phone/pause", body))["data"]["text"]
        await words.run(600)
        assert {key: why for key, (why, _until) in words.life.core.snapshot.pauses.items()} == {
            "*": "work on the machine",
            "oracle": "work on the machine",
        }
        await words.says("pause", "", **{"for": "10m"})
        await phone.asks("phone/pause", {"id": "long", "params": {"for": "20m"}})
        await words.run(900)
        assert words.life.core.snapshot.pauses["*"][0] == "by bus:phone"

    told(story, commands={"principals": {"phone": ["pause"]}})
