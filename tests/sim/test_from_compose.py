"""A Phoenix from a compose file on a virtual clock: what is made, what is asked, and kills on the way."""

import asyncio
from typing import Any

import pytest

from supervisor.facts import Command, Decision, Json
from supervisor.verdicts import Reason
from tests.sim.stage import CRASHES, OWNED, Stage, play


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
