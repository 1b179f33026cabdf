"""Silences: for a while nobody is told of what matches; it is kept, acted on, and told when the silence ends."""

import json

import pytest

from supervisor.bus import notify
from supervisor.core.silences import Silences, written
from tests.support.words import RULES, Words, told

ACTS = """
playbooks:
- name: tight
  match: ['alertname="Tight"']
  steps: [{do: restart}]
"""
ORACLE = 'name="oracle"'


def alerts(words: Words, public: bool | None = True) -> list[str]:
    return words.kinds("alert.", public=public)


def test_what_matches_is_kept_and_acted_on_but_no_message() -> None:
    async def story(words: Words) -> None:
        got = words.world.broker.subscribe("everybody", "resurgam/sim/event/#")
        ok, _, text = await words.says("silence", f'{ORACLE}\nseverity=~"critical|warning"', **{"for": "2h"})
        assert ok
        assert text.startswith('si-1: no messages about name="oracle", severity=~"critical|warning"; it ends ')
        assert "`resurgam pause` is for those" in text
        await words.fire()
        assert alerts(words) == []
        (row,) = words.rows("alert.firing", public=None)
        assert (row.public, row.body["silenced"]) == (False, "si-1")
        await words.run(60)
        assert [row.body["verb"] for row in words.rows("action.verified")] == ["restart"], "actions go on"
        await words.calm()
        assert alerts(words) == []
        assert alerts(words, None) == ["alert.firing", "alert.resolved"]
        assert not [row for row in words.rows(*notify.KINDS) if row.kind.startswith("alert")], "nor a webhook"
        sent = {json.loads(body)["type"] for body in got.payloads()}
        assert "resurgam.action.verified" in sent
        assert not [kind for kind in sent if kind.startswith("resurgam.alert")]

    told(story, ACTS)


def test_the_end_of_what_people_were_told_of_is_told() -> None:
    async def story(words: Words) -> None:
        await words.fire()
        assert (await words.says("silence", ORACLE, **{"for": "1h"}))[0]
        await words.calm()
        assert alerts(words) == ["alert.firing", "alert.resolved"]

    told(story, "")


def test_what_still_fires_when_the_silence_ends_is_told_then() -> None:
    async def story(words: Words) -> None:
        await words.says("silence", ORACLE, **{"for": "5m"})
        await words.fire()
        await words.run(120)
        assert alerts(words) == []
        await words.restart()
        assert alerts(words) == [], "a restart tells nobody either"
        await words.run(300)
        (row,) = words.rows("alert.")
        assert (row.kind, row.body["was_silenced"]) == ("alert.firing", "si-1")
        assert "si-1 is over" in row.body["text"]
        assert words.life.core.snapshot.silences == ()
        await words.calm()
        assert alerts(words) == ["alert.firing", "alert.resolved"]

    told(story, "")


def test_a_silence_can_be_ended_and_another_one_may_still_hold() -> None:
    async def story(words: Words) -> None:
        await words.says("silence", ORACLE, **{"for": "5m"})
        await words.says("silence", 'alertname="Tight"', **{"for": "1h", "reason": "known"})
        await words.fire()
        assert await words.says("silence", "", end="si-9") == (
            False,
            "no_target",
            "No silence 'si-9' holds; there are: si-1, si-2.",
        )
        assert (await words.says("silence", "", end="si-1"))[0]
        assert alerts(words) == []
        (left,) = words.life.core.snapshot.silences
        assert (left.id, left.why, left.by) == ("si-2", "known", "uid:0")
        assert (await words.says("silence", "", end="si-2"))[0]
        assert alerts(words) == ["alert.firing"]
        assert words.world.disk.space("silence") == {"#": {"last": 2}}

    told(story, "")


@pytest.mark.parametrize("jump", [7200.0, -7200.0])
def test_a_clock_that_jumps_makes_no_silence_longer(jump: float) -> None:
    async def story(words: Words) -> None:
        await words.says("silence", ORACLE, **{"for": "1h"})
        words.clock.jump(jump)
        await words.run(40)
        for one in words.life.core.snapshot.silences:
            assert one.ends_at - words.clock.wall() <= 3600

    told(story, "")


@pytest.mark.parametrize(
    ("target", "params", "says"),
    [
        ("", {"for": "1h"}, 'say what to silence, like name="oracle"'),
        ("oracle", {"for": "1h"}, "'oracle' is not a matcher"),
        ('name=~".*"', {"for": "1h"}, "would mute every message"),
        ('name=~"("', {"for": "1h"}, "bad regular expression"),
        (ORACLE, {}, "say for how long, like --for 2h"),
        (ORACLE, {"for": "91d"}, "it may be up to"),
        (ORACLE, {"for": "0s"}, "is not a time to be silent"),
        (ORACLE, {"for": "long"}, "'long' is not a duration"),
        (ORACLE, {"for": "1h", "until": "x"}, "silence has no parameter 'until'"),
    ],
)
def test_what_is_wrong_is_said(target: str, params: dict[str, str], says: str) -> None:
    async def story(words: Words) -> None:
        ok, reason, text = await words.says("silence", target, **params)
        assert (ok, reason) == (False, "bad_parameter")
        assert says in text
        assert words.life.core.snapshot.silences == ()

    told(story, "", RULES)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{name="a", severity="b"}', ('name="a"', 'severity="b"')),
        ('name="a,b"', ('name="a,b"',)),
        ('name="a\\",b",x="y"', ('name="a\\",b"', 'x="y"')),
        ("name=a\nx=y\n", ("name=a", "x=y")),
        ('name=~"x{1,2}"', ('name=~"x{1,2}"',)),
    ],
)
def test_matchers_are_written_as_alertmanager_writes_them(text: str, parts: tuple[str, ...]) -> None:
    assert written(text) == parts


def test_what_the_journal_keeps_of_a_silence_that_cannot_be_read_mutes_nothing() -> None:
    bad = {"id": "si-1", "matchers": ["("], "by": "x", "why": "", "begins_at": 0.0, "ends_at": 9e9}
    silences = Silences({"si-1": bad, "si-2": {"nonsense": 1}, "#": {"last": 2}})
    assert silences.open() == ()
    assert silences.mutes({"name": "oracle"}, 1.0) is None
