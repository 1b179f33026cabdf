"""Alerts from outside: they are told, silenced and acted on as our own, and their arguments are not obeyed."""

import asyncio
from typing import Any

import pytest

from supervisor.core import outside
from supervisor.core.outside import MOST, REFILL, Taken
from supervisor.facts import Outside, OutsideAlert
from supervisor.journal import Row
from supervisor.units import iso
from tests.support.words import Words, told

DOWN = {"alertname": "ModelDown", "severity": "critical", "name": "oracle"}
RESTARTS = """
playbooks:
- name: model-down
  match: ['alertname="ModelDown"']
  steps:
  - do: restart
"""
VETO = """
groups:
- name: g
  rules:
  - alert: Never
    expr: node_memory_MemAvailable_bytes < 0
    labels: {name: oracle}
"""


async def hand_in(words: Words, *alerts: OutsideAlert) -> Taken:
    clock = words.clock
    done: Taken = await words.life.core.ask(Outside(clock.wall(), clock.mono(), "http", alerts))
    return done


def firing(words: Words) -> list[str]:
    return [alert.name for alert in words.life.core.snapshot.alerts if alert.state == "firing"]


def done(words: Words) -> list[tuple[str, Any]]:
    return [(row.kind, row.body.get("verb")) for row in words.rows("action.planned", "action.verified")]


def test_it_is_told_drives_a_playbook_and_ends_when_it_is_told_to() -> None:
    async def story(words: Words) -> None:
        alert = OutsideAlert(DOWN, {"summary": "the model does not answer"}, words.clock.wall() - 60)
        assert await hand_in(words, alert) == Taken(1, 0)
        await words.run(60)
        (row,) = words.rows("alert.firing")
        assert (row.subject, row.body["alert"]["labels"], row.body["text"]) == (
            "oracle",
            DOWN,
            "the model does not answer",
        )
        assert done(words) == [("action.planned", "restart"), ("action.verified", "restart")]
        assert firing(words) == ["ModelDown"]
        await hand_in(words, OutsideAlert(DOWN, {}, ends_at=words.clock.wall() - 1))
        assert firing(words) == []
        assert words.kinds("alert.") == ["alert.firing", "alert.resolved"]

    told(story, playbooks=RESTARTS)


def test_its_times_are_its_sources_but_none_of_them_lies_ahead() -> None:
    async def story(words: Words) -> None:
        began, ahead = words.clock.wall() - 60, words.clock.wall() + 3600
        await hand_in(words, OutsideAlert(DOWN, {}, began), OutsideAlert(DOWN | {"alertname": "Ahead"}, {}, ahead))
        shown = {alert.name: alert.fired_at for alert in words.life.core.snapshot.alerts if alert.state == "firing"}
        assert shown["ModelDown"] == began
        assert shown["Ahead"] <= words.clock.wall()
        await words.run(100)
        over = words.clock.wall() - 30
        await hand_in(words, OutsideAlert(DOWN, {}, ends_at=over))
        (row,) = words.rows("alert.resolved")
        assert row.body["alert"]["endsAt"] == iso(over)

    told(story, playbooks="")


def test_time_in_which_we_slept_ends_nothing() -> None:
    async def story(words: Words) -> None:
        await hand_in(words, OutsideAlert(DOWN, {}))
        words.clock.jump(7200.0)
        await words.run(200)
        assert firing(words) == ["ModelDown"]
        await words.run(200)
        assert firing(words) == []

    told(story, playbooks="")


def test_the_same_alert_again_is_no_second_one_and_silence_of_its_source_ends_it() -> None:
    async def story(words: Words) -> None:
        for _ in range(3):
            await hand_in(words, OutsideAlert(DOWN, {}))
            await words.run(120)
        assert words.kinds("alert.") == ["alert.firing"]
        await words.run(240)
        assert words.kinds("alert.") == ["alert.firing", "alert.resolved"]

    told(story)


def test_it_stands_over_a_restart_and_still_ends_in_time() -> None:
    async def story(words: Words) -> None:
        await hand_in(words, OutsideAlert(DOWN, {}))
        await words.restart()
        assert firing(words) == ["ModelDown"]
        assert words.kinds("alert.") == ["alert.firing"]
        await words.run(320)
        assert firing(words) == []

    told(story)


def test_a_bare_verb_is_obeyed_and_arguments_are_only_shown() -> None:
    async def story(words: Words) -> None:
        await hand_in(words, OutsideAlert(DOWN, {"action": "phoenix oracle image=evil/oracle:9"}))
        await words.run(60)
        assert done(words) == []
        await hand_in(words, OutsideAlert(DOWN | {"alertname": "Slow"}, {"action": "restart"}))
        await words.run(60)
        assert done(words) == [("action.planned", "restart"), ("action.verified", "restart")]

    told(story, playbooks="")


def test_templates_in_what_it_says_stay_text() -> None:
    async def story(words: Words) -> None:
        await hand_in(words, OutsideAlert(DOWN, {"action": "{{ .Labels.name }}", "summary": "{{ .Labels }}"}))
        await words.run(30)
        rows: list[Row] = words.rows("alert.firing")
        assert [row.body["text"] for row in rows] == ["{{ .Labels }}"]
        assert done(words) == []

    told(story, playbooks="")


def test_it_cannot_forbid_anything() -> None:
    async def story(words: Words) -> None:
        await hand_in(words, OutsideAlert(DOWN, {"veto": "restart stop phoenix scope=host"}))
        assert (await words.says("restart", "oracle"))[0]

    told(story, playbooks="", rules=VETO)


def test_a_silence_mutes_it_and_it_is_told_when_the_silence_is_over() -> None:
    async def story(words: Words) -> None:
        await words.says("silence", 'alertname="ModelDown"', **{"for": "2m"})
        alert = OutsideAlert(DOWN, {}, ends_at=words.clock.wall() + 900)
        await hand_in(words, alert)
        await words.run(60)
        assert words.kinds("alert.") == []
        await words.run(90)
        assert words.kinds("alert.") == ["alert.firing"]

    told(story, playbooks="")


def test_too_many_are_refused_and_what_stands_is_kept_up() -> None:
    async def story(words: Words) -> None:
        many = [OutsideAlert(DOWN | {"number": str(number)}, {}) for number in range(MOST)]
        assert await hand_in(words, *many) == Taken(MOST, 0)
        assert await hand_in(words, OutsideAlert(DOWN, {}), many[0]) == Taken(1, 1)
        await asyncio.sleep(0)

    told(story, playbooks="")


def test_what_fires_and_ends_again_and_again_fills_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 20
    monkeypatch.setattr(outside, "MOST", most)

    async def story(words: Words) -> None:
        begun = 0
        for round_ in range(4):
            many = [OutsideAlert(DOWN | {"number": f"{round_}-{n}"}, {}) for n in range(most)]
            begun += (await hand_in(words, *many)).taken
            over = words.clock.wall()
            await hand_in(words, *[OutsideAlert(one.labels, {}, ends_at=over) for one in many])
            await words.run(1)
        assert most <= begun <= most + 5 * REFILL
        await words.run(60)
        assert await hand_in(words, *[OutsideAlert(DOWN | {"number": f"z{n}"}, {}) for n in range(5)]) == Taken(5, 0)

    told(story, playbooks="")
