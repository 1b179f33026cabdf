"""A whole compose project, asked for over the bus: with a signature at once, without one after a second word."""

import json
from pathlib import Path
from typing import Any

from tests.sim.stage import OWNED, Stage, play, read
from tests.support.phone import CMD, REPLY, key_file, signed

VERBS = ["restart", "approve"]


async def two(stage: Stage) -> None:
    for word in ("db", "web"):
        stage.image(f"local/{word}:1")
        await stage.up(word, OWNED)
    await stage.begin()
    await stage.world.run(5)


async def says(stage: Stage, where: str, body: dict[str, Any]) -> dict[str, Any]:
    heard = stage.world.broker.subscribe("phone", f"{REPLY}/#")
    stage.world.broker.take(f"{CMD}/{where}", json.dumps(body).encode(), False)
    await stage.world.run(1)
    found: dict[str, Any] = json.loads(heard.got[-1].payload)
    return found


def rollouts(stage: Stage) -> list[str]:
    return [str(row.body["state"]) for row in stage.rows("action.rollout")]


def test_a_project_waits_for_a_second_word_and_is_then_done_in_its_order() -> None:
    async def story(stage: Stage) -> None:
        await two(stage)
        asked = await says(stage, "panel/restart", {"id": "1", "target": "box"})
        assert (asked["data"]["reason"], asked["data"]["approval"]) == ("needs_approval", "ap-1")
        assert rollouts(stage) == []
        own = await says(stage, "panel/approve", {"id": "2", "target": "ap-1"})
        assert own["data"]["reason"] == "not_allowed"
        done = await says(stage, "phone/approve", {"id": "1", "target": "ap-1"})
        assert (done["status"], done["data"]["rollout"]) == ("ok", 1)
        assert stage.snapshot.approvals == ()
        await stage.until(lambda: "verified" in rollouts(stage), 600, "the end of the rollout")
        assert {row.body["by"] for row in stage.rows("action.planned") if row.body["verb"] == "restart"} == {
            "bus:panel"
        }

    play(story, read(commands={"principals": {"phone": VERBS, "panel": VERBS}}))


def test_a_signed_project_is_done_at_once_but_never_with_a_revision(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await two(stage)
        body = {"id": "1", "target": "project:box", "if_rev": 0}
        answer = await says(stage, "phone/restart", signed("phone", "restart", body, stage.clock.wall()))
        assert answer["data"]["reason"] == "no_target"
        assert "`if_rev` is for one service, or the whole box" in answer["error"]
        body = {"id": "2", "target": "project:box"}
        answer = await says(stage, "phone/restart", signed("phone", "restart", body, stage.clock.wall()))
        assert (answer["status"], answer["data"]["rollout"]) == ("ok", 1)

    phone = {"verbs": VERBS, "secret_file": key_file(tmp_path)}
    play(story, read(commands={"principals": {"phone": phone}}))
