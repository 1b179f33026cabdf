"""A phone says yes, and says it again with the same id until it hears an answer; the daemon is killed at any point."""

import json

import pytest

from tests.support.words import ASKS, Words, told

MAY = {"principals": {"phone": ["approve", "deny"]}}
ONE = ASKS.replace("  - do: stop\n", "")
CMD, REPLY = "resurgam/sim/cmd/phone/approve", "resurgam/sim/reply/phone/approve"


async def _until_answered(words: Words) -> list[bytes]:
    got = words.world.broker.subscribe("phone", REPLY)
    for _ in range(20):
        words.world.broker.take(CMD, json.dumps({"id": "a1", "target": "ap-1"}).encode(), False)
        await words.run(5)
        if got.payloads():
            break
    return got.payloads()


def _points() -> int:
    """How many places there are to be killed at between the yes and the end of what it set off."""

    async def story(words: Words) -> int:
        await words.fire()
        before = words.world.points
        await _until_answered(words)
        await words.run(60)
        return words.world.points - before

    return told(story, ONE, commands=MAY)


def test_there_are_places_enough_to_be_killed_at() -> None:
    assert 6 < _points() < 60


@pytest.mark.parametrize("place", range(1, 25))
def test_a_yes_is_obeyed_exactly_once_whenever_we_are_killed(place: int) -> None:
    async def story(words: Words) -> None:
        await words.fire()
        words.world.kill_at = frozenset({words.world.points + place})
        answers = await _until_answered(words)
        await words.run(120)
        assert answers, "the phone hears an answer"
        assert {json.loads(answer)["status"] for answer in answers} == {"ok"}
        assert len(words.rows("action.approved")) == 1
        planned = [row for row in words.rows("action.planned") if row.body["verb"] == "restart"]
        assert len(planned) == 1
        assert words.open == ()
        assert [row.body["verb"] for row in words.rows("action.verified")].count("restart") == 1

    told(story, ONE, commands=MAY)
