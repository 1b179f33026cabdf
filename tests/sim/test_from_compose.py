"""A Phoenix from a compose file on a virtual clock: what is made, what is asked, and kills on the way."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import Command, Decision, Json
from supervisor.verdicts import Reason
from tests.sim.stage import CRASHES, OWNED, Stage, compose, play


def document(**more: Any) -> Json:
    """The service oracle of the file, as what runs; `more` on top."""
    config = {"Labels": dict(OWNED), **more.pop("config", {})}
    plain = {"service": "oracle", "image": "local/oracle:1", "networks": [{"key": "box", "real": True}]}
    return {"oracle": {**plain, "host": {"RestartPolicy": {"Name": "always"}}, "config": config, **more}}


def asked(stage: Stage, services: Json) -> "asyncio.Future[Decision]":
    """The command is on its way."""
    clock = stage.clock
    fact = Command(clock.wall(), clock.mono(), "phoenix", "box.oracle", {}, "uid:0", "socket", document=services)
    return asyncio.ensure_future(stage.life.core.ask(fact))


async def apply(stage: Stage, services: Json) -> Decision:
    question = asked(stage, services)
    await stage.until(question.done, 20, "an answer")
    return question.result()


def test_the_container_is_made_as_the_file_says_and_proved() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        services = document(config={"Env": ["A=1"], "Labels": {**OWNED, "team": "x"}})
        services["oracle"]["files"] = [{"path": "/run/secrets/k", "text": "t0p-token"}]
        assert (await apply(stage, services)).verdict.ok
        await stage.until(lambda: stage.ended(), 600, "the end")
        assert stage.outcome().kind == "action.verified", stage.tail()
        raw = await stage.engine.raw("box-oracle-1")
        assert "A=1" in raw["Config"]["Env"]
        assert raw["Config"]["Labels"]["team"] == "x"
        assert raw["Config"]["Labels"]["com.docker.compose.service"] == "oracle"
        assert b"t0p-token" in await stage.engine.get_archive("box-oracle-1", "/run/secrets/k", 1 << 20)
        assert "t0p-token" not in str([row.body for row in stage.rows()])
        assert "t0p-token" not in str(await stage.life.core.explain("box.oracle"))
        stage.holds()

    play(story)


def test_a_file_whose_image_is_bad_is_rolled_back() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        before = stage.box()
        stage.image("local/next:1", CRASHES)
        assert (await apply(stage, document(image="local/next:1"))).verdict.ok
        await stage.until(lambda: stage.ended(), 600, "the end")
        assert stage.outcome().kind == "action.rolled_back"
        after = stage.box()
        assert before is not None
        assert after is not None
        assert after.id == before.id
        stage.holds()

    play(story)


def test_the_plan_itself_asks_where_the_door_did_not() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        before = stage.names()
        host = {"Privileged": True, "RestartPolicy": {"Name": "always"}}
        assert (await apply(stage, document(host=host))).verdict.ok
        await stage.until(lambda: stage.ended(), 60, "the end")
        assert stage.outcome().kind == "action.ended_early", stage.tail()
        assert "privileged" in stage.outcome().body["text"]
        assert stage.names() == before
        [question] = stage.snapshot.approvals
        assert (await stage.ask("approve", question.id)).verdict.ok
        await stage.until(lambda: len(stage.ended()) == 2, 600, "the end of the approved one")
        assert stage.outcome().kind == "action.verified", stage.tail()
        assert (await stage.engine.raw("box-oracle-1"))["HostConfig"]["Privileged"] is True

    play(story)


@pytest.mark.parametrize(
    ("services", "reason", "says"),
    [
        ({"other": {"service": "other", "image": "i"}}, Reason.NO_TARGET, "has no service 'oracle'"),
        (document(project="elsewhere"), Reason.BAD_PARAMETER, "'elsewhere'"),
    ],
)
def test_a_file_that_is_not_about_this_service_is_refused(services: Json, reason: Reason, says: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        answer = await apply(stage, services)
        assert answer.verdict.reason is reason
        assert says in answer.verdict.text

    play(story)


@pytest.mark.parametrize(
    "services",
    [
        {"oracle": {"service": "oracle", "image": "local/oracle:1", "host": {"Binds": ["/:/host"]}}},
        {"oracle": {"service": "oracle", "image": "local/oracle:1", "config": {"Env": 5}}},
        document(config={"Labels": {}}),
        document(image="local/nowhere:1"),
        document(container_name="other"),
    ],
)
def test_a_document_that_cannot_be_done_ends_before_anything_is_touched(services: Json) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        before = (stage.box(), stage.names())
        await apply(stage, services)
        await stage.until(lambda: stage.ended(), 60, "the end")
        assert stage.outcome().kind == "action.failed", stage.tail()
        assert (stage.box(), stage.names()) == before

    play(story)


@pytest.mark.parametrize("place", range(2, 40, 4))
def test_a_kill_on_the_way_leaves_exactly_one_serving_container(place: int) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        services = document(config={"Env": ["A=1"]})
        services["oracle"]["files"] = [{"path": "/run/secrets/k", "text": "x"}]
        stage.world.kill_at = frozenset({stage.world.points + place})
        question = asked(stage, services)
        await stage.world.run(300)
        question.cancel()
        assert not stage.plans()
        serving = [box for box in stage.engine.containers() if box.running]
        assert [box.name for box in serving] == ["box-oracle-1"]
        stage.holds()

    play(story)


PRIVILEGED = {"Privileged": True, "RestartPolicy": {"Name": "always"}}
SEES = {"type": "bind", "source": "/srv/keys", "target": "/keys"}


async def question(stage: Stage, services: Json, widens: str = "", override: str = "") -> str:
    """The id of the question that a file leads to: asked by the door where it knows what widens, else by the plan."""
    clock = stage.clock
    fact = Command(clock.wall(), clock.mono(), "phoenix", "box.oracle", {}, "uid:0", "socket", document=services)
    fact = replace(fact, widens=widens, override=override)
    await stage.life.core.ask(fact)
    await stage.until(lambda: bool(stage.snapshot.approvals), 60, "a question")
    return stage.snapshot.approvals[0].id


@pytest.mark.parametrize("widens", ["", "box.oracle: It would be privileged: the whole host would be open to it"])
def test_a_yes_is_good_for_what_was_asked_and_not_for_what_it_has_become_since(widens: str) -> None:
    """The file names a folder that the container saw when the question was put, and does not see any more."""

    async def story(stage: Stage) -> None:
        stage.image("local/oracle:1")
        said = {**compose("box", "oracle"), **OWNED}
        seen = {"Binds": ["/srv/keys:/keys"]}
        stage.engine.human_run("box-oracle-1", "local/oracle:1", said, "always", networks=("box",), host=seen)
        await stage.world.begin()
        await stage.world.run(30)
        ident = await question(stage, document(host=PRIVILEGED, mounts=[SEES]), widens)
        assert "/srv/keys" not in stage.snapshot.approvals[0].text
        await stage.up()  # compose made it anew, without the folder
        await stage.world.run(30)
        before = stage.names()
        assert (await stage.ask("approve", ident)).verdict.ok
        await stage.world.run(60)
        assert stage.outcome().kind == "action.ended_early", stage.tail()
        assert "other than what uid:0 agreed to" in stage.outcome().body["text"]
        assert "/srv/keys" in stage.outcome().body["text"]
        assert stage.names() == before
        assert (await stage.engine.raw("box-oracle-1"))["HostConfig"].get("Privileged") is not True

    play(story)


def test_a_yes_to_what_the_door_asked_is_enough_for_the_plan() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        widens = "box.oracle: It would be privileged: the whole host would be open to it"
        ident = await question(stage, document(host=PRIVILEGED), widens)
        assert (await stage.ask("approve", ident)).verdict.ok
        await stage.until(lambda: bool(stage.ended()), 600, "the end")
        assert stage.outcome().kind == "action.verified", stage.tail()

    play(story)


def test_a_question_about_a_file_is_answered_by_its_id_alone() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        ident = await question(stage, document(host=PRIVILEGED), "box.oracle: more")
        answer = (await stage.ask("approve", "box.oracle")).verdict
        assert (answer.ok, answer.reason) == (False, Reason.AMBIGUOUS_TARGET)
        assert f"say {ident}" in answer.text
        assert (await stage.ask("deny", ident)).verdict.ok

    play(story)


@pytest.mark.parametrize(("who", "lifted"), [("uid:0", True), ("bus:phone", False)])
def test_an_override_is_not_said_over_the_bus_for_a_file_either(who: str, lifted: bool) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        widens = "box.oracle: It would be privileged: the whole host would be open to it"
        ident = await question(stage, document(host=PRIVILEGED), widens, override="the game is on")
        door = "bus" if who.startswith("bus") else "socket"
        now, mono = stage.clock.wall(), stage.clock.mono()
        await stage.life.core.ask(Command(now, mono, "approve", ident, {}, who, door, "x"))
        [made] = stage.snapshot.plans
        assert (made.override, made.approved) == ("the game is on" if lifted else "", who)
        await stage.until(lambda: bool(stage.ended()), 600, "the end")

    play(story)
