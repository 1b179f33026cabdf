"""Commands that disturb: obeyed with a signature, asked about without one, and never on the word of whoever asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from supervisor.bus.messages import severity
from supervisor.core.second_word import LASTS, MOST
from supervisor.facts import Intent
from tests.support.phone import KEY, Phone, key_file, signed
from tests.support.words import Words, told

VERBS = ["restart", "stop", "start", "scale", "phoenix", "resume", "pause", "approve", "deny", "notify", "ack"]


def may(folder: Path, **more: Any) -> dict[str, Any]:
    """phone has a key; panel and remote have none."""
    phone = {"verbs": VERBS, "secret_file": key_file(folder)}
    return {"principals": {"phone": phone, "panel": VERBS, "remote": ["approve", "deny"]}, **more}


def done(words: Words) -> list[str]:
    return [row.body["verb"] for row in words.rows("action.verified")]


def refusals(words: Words) -> list[str]:
    return [row.body["reason"] for row in words.rows("daemon.command") if not row.body["allowed"]]


def test_a_signed_command_is_obeyed_like_that_of_a_person(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        answer = await phone.signs("phone/restart", {"id": "1", "target": "oracle"})
        assert (answer["status"], answer["data"]["plan"] > 0, answer["data"]["by"]) == ("ok", True, "bus:phone")
        await words.run(60)
        assert done(words) == ["restart"]
        (row,) = words.rows("daemon.command")
        assert (row.body["signed"], row.body["plan"]) == (True, answer["data"]["plan"])
        for number in (2, 3):
            await phone.signs("phone/restart", {"id": f"{number}", "target": "oracle"})
            await words.run(60)
        answer = await phone.signs("phone/restart", {"id": "4", "target": "oracle"})
        assert answer["data"]["reason"] == "budget_service", "a signature lifts no budget"
        assert done(words) == ["restart"] * 3

    told(story, playbooks="", commands=may(tmp_path))


def test_a_signed_command_that_was_caught_does_nothing_a_second_time(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        caught = signed("phone", "restart", {"id": "1", "target": "oracle"}, words.clock.wall())
        first = await phone.asks("phone/restart", caught)
        await words.run(20)
        assert await phone.asks("phone/restart", caught) == first
        await words.run(3600)
        assert await phone.asks("phone/restart", caught) == first
        await words.restart()
        assert await phone.asks("phone/restart", caught) == first
        assert done(words) == ["restart"]
        again = await phone.asks("panel/restart", caught)
        assert again["data"]["reason"] == "bad_signature", "nobody else can say it"

    told(story, playbooks="", commands=may(tmp_path))


@pytest.mark.parametrize(
    ("where", "other", "key", "says"),
    [
        ("phone/restart", {"sig": "0" * 64}, KEY, "not that of phone for this very command"),
        ("phone/restart", {"target": "other"}, KEY, "not that of phone"),
        ("phone/restart", {"if_rev": 0}, KEY, "not that of phone"),
        ("phone/restart", {"params": {"within": "1s"}}, KEY, "not that of phone"),
        ("phone/restart", {"id": "2"}, KEY, "not that of phone"),
        ("phone/stop", {}, KEY, "not that of phone"),
        ("phone/restart", {}, "f" * 64, "not that of phone"),
        ("panel/restart", {}, KEY, "commands.principals.panel names no `secret_file`"),
        ("phone/restart", {"sig": "A" * 64}, KEY, "64 hexadecimal digits"),
        ("phone/restart", {"sig": ""}, KEY, "64 hexadecimal digits"),
        ("phone/restart", {"sig": "١" * 64}, KEY, "64 hexadecimal digits"),
        ("phone/restart", {"exp": None}, KEY, "says `at` and `exp`"),
        ("phone/restart", {"at": 1.5}, KEY, "in whole unix seconds"),
        ("phone/restart", {"exp": 9_999_999_999}, KEY, "at most 60 s after its `at`"),
        ("phone/restart", {"exp": 1}, KEY, "at most 60 s after its `at`"),
        ("phone/ack", {"sig": "0" * 64}, KEY, "not that of phone"),
    ],
)
def test_a_signature_that_is_not_good_is_refused_and_told_as_a_warning(
    where: str, other: dict[str, Any], key: str, says: str, tmp_path: Path
) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        body = signed("phone", "restart", {"id": "1", "target": "oracle"}, words.clock.wall(), key) | other
        answer = await phone.asks(where, body)
        assert (answer["status"], answer["data"]["reason"]) == ("error", "bad_signature")
        assert says in answer["error"]
        (row,) = words.rows("daemon.command")
        assert severity(row) == "warning"
        assert words.open == (), "it does not become a question either"
        assert words.kinds("action.planned") == []

    told(story, playbooks="", commands=may(tmp_path))


def test_a_signed_command_of_another_minute_is_refused(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        for now in (words.clock.wall() - 90, words.clock.wall() + 90):
            body = signed("phone", "restart", {"id": f"{now}", "target": "oracle"}, now)
            assert (await phone.asks("phone/restart", body))["data"]["reason"] == "stale"
        assert words.kinds("action.planned") == []

    told(story, playbooks="", commands=may(tmp_path))


def test_a_key_that_changes_counts_at_once_and_one_that_is_bad_is_said(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        telling = words.life.telling
        assert telling.troubles()["command keys"] == ""
        key_file(tmp_path, key="b" * 64)
        assert (await phone.signs("phone/ack", {"id": "1", "target": "x"}))["data"]["reason"] == "bad_signature"
        assert (await phone.signs("phone/ack", {"id": "1", "target": "x"}, "b" * 64))["data"]["reason"] == "no_target"
        key_file(tmp_path, key="short")
        answer = await phone.signs("phone/restart", {"id": "2", "target": "oracle"}, "short")
        assert "fewer than 32 bytes" in answer["error"]
        assert "phone" in telling.troubles()["command keys"]
        (tmp_path / "phone.key").chmod(0o644)
        answer = await phone.signs("phone/restart", {"id": "3", "target": "oracle"})
        assert "everyone can read this secret" in answer["error"]
        key_file(tmp_path)
        assert (await phone.signs("phone/restart", {"id": "4", "target": "oracle"}))["status"] == "ok"
        assert telling.troubles()["command keys"] == ""

    told(story, playbooks="", commands=may(tmp_path))


@pytest.mark.parametrize("who", ["remote", "uid:0"])
def test_without_a_signature_somebody_else_must_say_yes(who: str, tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        answer = await phone.asks("panel/restart", {"id": "1", "target": "oracle"})
        assert (answer["status"], answer["data"]["reason"], answer["data"]["approval"]) == (
            "error",
            "needs_approval",
            "ap-1",
        )
        assert "resurgam approve ap-1" in answer["error"]
        (asked,) = words.open
        assert 100 < asked.expires_at - words.clock.wall() <= 120
        assert "another principal or the command line must say yes" in asked.text
        assert words.kinds("action.") == ["action.approval"]

        own = await phone.asks("panel/approve", {"id": "2", "target": "ap-1"})
        assert own["data"]["reason"] == "not_allowed"
        assert "cannot say yes to it as well" in own["error"]
        own = await phone.signs("phone/approve", {"id": "2", "target": "oracle", "if_rev": 10**6})
        assert own["data"]["reason"] == "stale"
        assert words.open == (asked,)
        assert words.kinds("action.planned") == []

        if who == "remote":
            yes = await phone.asks("remote/approve", {"id": "1", "target": "ap-1"})
            assert (yes["status"], yes["data"]["plan"] > 0) == ("ok", True)
        else:
            assert (await words.says("approve", "ap-1"))[0]
        await words.run(60)
        assert (done(words), words.open) == (["restart"], ())
        repeat = await phone.asks("panel/restart", {"id": "1", "target": "oracle"})
        assert repeat == answer

    told(story, playbooks="", commands=may(tmp_path))


def test_such_a_question_lapses_after_two_minutes(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        await Phone(words).asks("panel/stop", {"id": "1", "target": "oracle"})
        await words.run(110)
        assert [one.id for one in words.open] == ["ap-1"]
        await words.run(20)
        assert words.open == ()
        assert "nobody answered within two minutes" in words.rows("action.denied")[0].body["text"]
        assert not (await words.says("approve", "ap-1"))[0]
        assert words.kinds("action.planned") == []

    told(story, playbooks="", commands=may(tmp_path))


def test_whoever_asked_may_take_it_back(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        await phone.asks("panel/stop", {"id": "1", "target": "oracle"})
        assert (await phone.asks("panel/deny", {"id": "2", "target": "ap-1"}))["status"] == "ok"
        assert words.open == ()

    told(story, playbooks="", commands=may(tmp_path))


def test_resuming_needs_a_second_word_too_and_pausing_does_not(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        assert (await phone.asks("panel/pause", {"id": "1"}))["status"] == "ok"
        answer = await phone.asks("panel/resume", {"id": "2"})
        assert (answer["data"]["reason"], answer["data"]["approval"]) == ("needs_approval", "ap-1")
        assert "*" in words.life.core.snapshot.pauses
        assert (await phone.asks("remote/approve", {"id": "1", "target": "ap-1"}))["status"] == "ok"
        assert words.life.core.snapshot.pauses == {}
        assert words.open == ()
        assert (await phone.asks("panel/pause", {"id": "3", "target": "oracle"}))["status"] == "ok"
        assert (await phone.signs("phone/resume", {"id": "4", "target": "oracle"}))["status"] == "ok"
        assert words.life.core.snapshot.pauses == {}
        nothing = await phone.asks("panel/resume", {"id": "5"})
        assert (nothing["status"], nothing["data"]["text"]) == ("ok", "Nothing is paused.")
        assert words.open == (), "nobody is asked about nothing"

    told(story, playbooks="", commands=may(tmp_path))


def test_nobody_is_asked_about_what_would_be_refused_anyway(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        for number, (verb, target, params, reason) in enumerate(
            (
                ("restart", "nobody", {}, "no_target"),
                ("restart", "oracle", {"gently": "yes"}, "bad_parameter"),
                ("phoenix", "oracle", {}, "no_known_good"),
                ("scale", "oracle", {"replicas": "7"}, "bad_parameter"),
                ("start", "oracle", {}, "needs_approval"),
            )
        ):
            answer = await phone.asks(f"panel/{verb}", {"id": f"{number}", "target": target, "params": params})
            assert answer["data"]["reason"] == reason
        assert [one.intent.verb for one in words.open] == ["start"]
        assert words.kinds("action.refused") == [], "each refusal is told once, as the command's"

    told(story, playbooks="", commands=may(tmp_path))


def test_one_who_asks_and_asks_leaves_room_for_others(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        for number in range(MOST + 3):
            ask = {"id": f"{number}", "target": "oracle", "params": {"within": f"{number + 1}m"}}
            answer = await phone.asks("panel/restart", ask)
        assert len(words.open) == MOST
        assert "Too many questions wait for a word already" in answer["error"]
        assert "approval" not in answer["data"]
        again = await phone.asks("panel/restart", {"id": "again", "target": "oracle", "params": {"within": "1m"}})
        assert again["data"]["approval"] == "ap-1", "the same wish is the same question"
        assert (await phone.asks("phone/stop", {"id": "1", "target": "oracle"}))["data"]["approval"] == f"ap-{MOST + 1}"

    told(story, playbooks="", commands=may(tmp_path))


def test_who_takes_back_what_they_asked_and_asks_again_gives_nobody_a_ringing_phone(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        for number in range(3 * MOST):
            await phone.asks("phone/stop", {"id": f"s{number}", "target": "oracle"})
            for one in words.open:
                await phone.asks("phone/deny", {"id": f"d{number}", "target": one.id})
        assert len(words.kinds("action.approval")) == MOST
        await words.run(LASTS)
        assert "approval" in (await phone.asks("phone/stop", {"id": "later", "target": "oracle"}))["data"]

    told(story, playbooks="", commands=may(tmp_path))


def test_a_question_of_an_open_plan_waits_as_long_as_any_and_a_signed_yes_counts(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        core, phone = words.life.core.decider, Phone(words)
        asked = Intent("phoenix", "oracle", {}, "", "bus:phone")
        ident = core.approvals.ask(core, asked, "Its data may have changed.", plan=7, step="back_aside")
        await words.run(2 * LASTS)
        assert [one.id for one in core.approvals.open()] == [ident]
        assert (await phone.asks("phone/approve", {"id": "1", "target": ident}))["data"]["reason"] == "not_allowed"
        assert (await phone.signs("phone/approve", {"id": "2", "target": ident}))["status"] == "ok"

    told(story, playbooks="", commands=may(tmp_path))


def test_what_tells_people_needs_no_second_word(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        ask = {"id": "1", "target": "oracle", "params": {"message": "dinner"}}
        assert (await Phone(words).asks("panel/notify", ask))["status"] == "ok"
        assert [row.body["text"] for row in words.rows("action.verified")] == ["dinner"]

    told(story, playbooks="", commands=may(tmp_path))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("current", "allowed"),
        ("last-known-good", "no_known_good"),
        ("local/oracle:1", "allowed"),
        ("local/oracle:12", "allowed"),
        ("local/other:1", "not_allowed"),
        ("local/oracle:1/../evil", "not_allowed"),
        ("evil/local/oracle:1", "not_allowed"),
        ("local/oracle", "not_allowed"),
        ("local/oracle: 1", "not_allowed"),
        ("", "not_allowed"),
    ],
)
def test_an_image_over_the_bus_is_one_of_those_that_are_listed(image: str, reason: str, tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        ask = {"id": "1", "target": "oracle", "params": {"image": image}}
        answer = await Phone(words).signs("phone/phoenix", ask)
        assert answer["data"]["reason"] == reason

    told(story, playbooks="", commands=may(tmp_path, images=["local/oracle:*"]))


def test_without_a_list_no_image_may_be_named(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        ask = {"id": "1", "target": "oracle", "params": {"image": "local/oracle:1"}}
        answer = await Phone(words).signs("phone/phoenix", ask)
        assert answer["data"]["reason"] == "not_allowed"
        assert answer["error"] == ("Over the bus an image may be last-known-good or current, and not 'local/oracle:1'.")

    told(story, playbooks="", commands=may(tmp_path))


def test_if_rev_is_the_rev_of_the_document_that_was_looked_at(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        container, daemon = "resurgam/sim/state/container/oracle", "resurgam/sim/state/daemon"

        def shown(topic: str) -> int:
            return int(json.loads(words.world.broker.retained[topic])["rev"])

        seen = shown(container)
        assert seen > 0
        await words.life.ask("notify", "oracle", message="something")
        await words.run(1)
        late = await phone.signs("phone/restart", {"id": "1", "target": "oracle", "if_rev": seen})
        assert (late["data"]["reason"], late["data"]["rev"]) == ("stale", shown(container))
        assert f"its rev is {shown(container)} now, not {seen}" in late["error"]
        assert words.kinds("action.planned") == []
        await phone.asks("stranger/restart", {"id": "1", "target": "oracle"})
        now = late["data"]["rev"]
        answer = await phone.signs("phone/restart", {"id": "2", "target": "oracle", "if_rev": now})
        assert (answer["status"], answer["data"]["rev"]) == ("ok", now)
        await words.run(60)

        wrong = await phone.asks("phone/pause", {"id": "3", "if_rev": shown(daemon) + 1})
        assert wrong["data"]["reason"] == "stale"
        right = await phone.asks("phone/pause", {"id": "4", "if_rev": shown(daemon)})
        assert right["status"] == "ok"
        await words.restart()
        assert (await phone.asks("phone/pause", {"id": "5", "target": "oracle", "if_rev": shown(container)}))[
            "status"
        ] == "ok"
        nobody = await phone.asks("phone/restart", {"id": "6", "target": "nobody", "if_rev": 0})
        assert nobody["data"]["reason"] == "no_target"

    told(story, playbooks="", commands=may(tmp_path))


def test_a_question_is_answered_only_while_it_is_as_it_was(tmp_path: Path) -> None:
    async def story(words: Words) -> None:
        phone = Phone(words)
        await phone.asks("panel/restart", {"id": "1", "target": "oracle"})
        seen = words.life.core.snapshot.revisions["oracle"]
        late = await phone.asks("remote/approve", {"id": "1", "target": "ap-1", "if_rev": seen - 1})
        assert late["data"]["reason"] == "stale"
        assert (await phone.asks("remote/approve", {"id": "2", "target": "ap-1", "if_rev": seen}))["status"] == "ok"

    told(story, playbooks="", commands=may(tmp_path))
