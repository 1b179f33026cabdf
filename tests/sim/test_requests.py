"""Story 7 on a virtual clock: a request file asks for a project to be recreated, once, whatever happens meanwhile."""

from typing import Any

import pytest

from supervisor.errors import ConfigError, Mistake
from supervisor.facts import Json
from supervisor.lab.requests import SimFolder
from tests.sim.stage import OWNED, Stage, play, read

FOLDER = "/srv/state"
WATCHED = ({"folder": FOLDER, "project": "box", "grace": "10s"},)
APPLIED = ({"folder": FOLDER, "project": "box", "grace": "10s", "compose": "compose.yml"},)
DEPENDS = {"com.docker.compose.depends_on": "db:service_started:false"}


async def two(stage: Stage) -> SimFolder:
    """A project of two, app after db; app is the one that asks."""
    for word, more in (("db", {}), ("app", DEPENDS)):
        stage.image(f"local/{word}:1")
        await stage.up(word, {**OWNED, **more})
    await stage.begin()
    await stage.world.run(5)
    return stage.world.folders[FOLDER]


def boxes(stage: Stage) -> dict[str, str]:
    return {box.name: box.id for box in stage.engine.containers() if ".resurgam-" not in box.name}


def ends(stage: Stage) -> list[str]:
    return [row.body["state"] for row in stage.rows("action.rollout") if row.body["state"] != "planned"]


def recreated(stage: Stage) -> list[str]:
    return [row.subject for row in stage.ended()]


def served(service: str, **more: Any) -> Json:
    return {"service": service, "image": f"local/{service}:1", "networks": [{"key": "box", "real": True}], **more}


def test_after_its_grace_the_project_is_recreated_in_order_and_the_file_is_gone() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        before = boxes(stage)
        folder.request(stage.clock.wall())
        await stage.world.run(8)
        assert recreated(stage) == []
        assert folder.file is not None
        await stage.until(lambda: ends(stage), 600, "the rollout's end")
        assert (ends(stage), recreated(stage)) == (["verified"], ["box.db", "box.app"])
        assert folder.file is None
        assert all(boxes(stage)[name] != was for name, was in before.items())
        assert {row.body["by"] for row in stage.ended()} == {"request:box"}
        await stage.world.run(60)
        assert ends(stage) == ["verified"]
        stage.holds()

    play(story, read(requests=WATCHED))


def test_a_file_that_goes_away_in_its_grace_asked_for_nothing() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        folder.request(stage.clock.wall())
        await stage.world.run(5)
        folder.file = None
        await stage.world.run(60)
        assert stage.rows("action.rollout", "action.refused") == []

    play(story, read(requests=WATCHED))


@pytest.mark.parametrize("after", [4.0, 10.6, 11.5, 14.0])
def test_a_kill_in_the_grace_or_after_the_word_leads_to_exactly_one_run(after: float) -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        folder.request(stage.clock.wall())
        await stage.world.run(after)
        await stage.kill()
        await stage.begin()
        await stage.until(lambda: ends(stage), 900, "the rollout's end")
        await stage.world.run(90)
        begun = [row for row in stage.rows("action.rollout") if row.body["state"] == "planned"]
        assert len(begun) == 1, stage.tail()
        assert folder.file is None
        stage.holds()

    play(story, read(requests=WATCHED))


@pytest.mark.parametrize("place", range(1, 8))
def test_a_kill_at_any_point_of_the_decision_leads_to_exactly_one_run(place: int) -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        folder.request(stage.clock.wall())
        await stage.world.run(9)
        stage.world.kill_at = frozenset({stage.world.points + place})
        await stage.until(lambda: ends(stage), 900, "the rollout's end")
        await stage.world.run(90)
        assert len([row for row in stage.rows("action.rollout") if row.body["state"] == "planned"]) == 1, stage.tail()
        assert folder.file is None
        assert len(stage.space("request")) == 1

    play(story, read(requests=WATCHED))


def test_a_file_that_cannot_be_removed_is_not_obeyed_twice_also_not_after_a_restart() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        folder.locked = True
        folder.request(stage.clock.wall())
        await stage.until(lambda: ends(stage), 600, "the rollout's end")
        assert "cannot be removed" in stage.life.requests[0].trouble
        await stage.kill()
        await stage.begin()
        await stage.world.run(120)
        assert ends(stage) == ["verified"]

    play(story, read(requests=WATCHED))


def test_a_second_request_while_one_runs_does_nothing_and_says_so() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        folder.request(stage.clock.wall())
        await stage.until(lambda: recreated(stage) or folder.file is None, 60, "the word")
        folder.request(stage.clock.wall())
        stage.life.requests[0].entry = stage.life.requests[0].entry.model_copy(update={"grace": 0.0})
        await stage.until(lambda: ends(stage), 600, "the rollout's end")
        await stage.world.run(60)
        assert ends(stage) == ["verified"]
        assert len(stage.refusals("locked")) == 1
        assert "works on the project box already" in stage.refusals("locked")[0].body["text"]
        assert folder.file is None

    play(story, read(requests=WATCHED))


def test_a_request_of_long_ago_and_one_that_is_a_link_are_not_obeyed_and_that_is_said_once() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        folder.request(stage.clock.wall() - 700)
        folder.locked = True
        await stage.world.run(120)
        assert len(stage.refusals("stale")) == 1
        folder.request(stage.clock.wall(), is_file=False)
        await stage.world.run(60)
        assert len(stage.refusals("bad_parameter")) == 1
        assert recreated(stage) == []

    play(story, read(requests=WATCHED))


def test_the_compose_file_in_the_folder_is_applied() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        labels = {"Labels": {**OWNED}}
        folder.services = {
            "db": served("db", config={"Env": ["A=1"], **labels}),
            "app": served("app", config=labels),
        }
        folder.request(stage.clock.wall())
        await stage.until(lambda: ends(stage), 600, "the rollout's end")
        assert ends(stage) == ["verified"], stage.tail()
        raw = await stage.engine.raw("box-db-1")
        assert "A=1" in raw["Config"]["Env"]

    play(story, read(requests=APPLIED))


def test_what_widens_rights_waits_for_a_person_and_nothing_is_begun_before() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        before = boxes(stage)
        labels = {"Labels": {**OWNED}}
        folder.services = {
            "db": served("db", config=labels),
            "app": served("app", config=labels, host={"Privileged": True}),
        }
        folder.request(stage.clock.wall())
        await stage.world.run(60)
        assert len(stage.refusals("needs_approval")) == 1
        assert boxes(stage) == before
        assert [one.id for one in stage.snapshot.approvals] == ["ap-1"]
        await stage.ask("approve", "ap-1")
        await stage.until(lambda: ends(stage), 600, "the rollout's end")
        assert ends(stage) == ["verified"], stage.tail()
        assert (await stage.engine.raw("box-app-1"))["HostConfig"]["Privileged"] is True

    play(story, read(requests=APPLIED))


def test_a_bad_compose_file_changes_nothing_and_its_mistakes_are_said() -> None:
    async def story(stage: Stage) -> None:
        folder = await two(stage)
        before = boxes(stage)
        folder.services = ConfigError([Mistake("compose.yml", 3, 5, "the key 'porst' is not known")])
        folder.request(stage.clock.wall())
        await stage.world.run(60)
        assert "compose.yml:3:5" in stage.refusals("bad_parameter")[0].body["text"]
        assert boxes(stage) == before
        assert folder.file is None

    play(story, read(requests=APPLIED))
