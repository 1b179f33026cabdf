"""What a recreation must carry over, and what it must not bring: in the whole house, where a loss reaches the box."""

from typing import Any

from supervisor.ports import ExecResult
from tests.sim.stage import GOOD, OWNED, Stage, compose, play, read

NAME = "box-oracle-1"
BACKUP = {"box.oracle": {"before": {"exec": ["dump"], "within": "1m"}}}


async def serving(stage: Stage, **config: Any) -> str:
    """A service of compose with a file that compose put there before its start; the id of its container."""
    stage.image("local/oracle:1", **config)
    labels = {**compose("box", "oracle"), **OWNED}
    run = stage.engine.human_run
    made = run(NAME, "local/oracle:1", labels, "always", networks=("box",), start=False, host={"ShmSize": 1 << 30})
    stage.engine.write_file(NAME, "/run/secrets/token", b"hunter2")
    await stage.world.run(1)
    stage.engine.human_start(NAME)
    await stage.begin()
    await stage.world.run(90)
    return made


async def goes_to(stage: Stage, image: str) -> str:
    """A person asks for it; how that ended."""
    await stage.ask("phoenix", image=image)
    await stage.until(stage.ended, 120, "end of the phoenix")
    await stage.world.run(30)
    return stage.outcome().kind


def test_a_file_that_compose_injected_is_there_in_the_new_container() -> None:
    async def story(stage: Stage) -> None:
        old = await serving(stage)
        stage.image("local/oracle:2", GOOD, Labels={"v": "2"})
        assert await goes_to(stage, "local/oracle:2") == "action.verified", stage.outcome().body["text"]
        box = stage.box()
        assert box is not None
        assert box.id != old
        there = stage.engine.world.get(NAME).files.stat("/run/secrets/token")
        assert there is not None, "the secret file was left behind"
        stage.holds()

    play(story)


def test_an_image_that_runs_as_root_is_refused_where_the_old_one_did_not() -> None:
    async def story(stage: Stage) -> None:
        old = await serving(stage, User="1000")
        stage.image("local/oracle:2", GOOD, Labels={"v": "2"}, User="root")
        assert await goes_to(stage, "local/oracle:2") != "action.verified", "it got more rights than it had"
        assert "root" in stage.outcome().body["text"]
        box = stage.box()
        assert box is not None
        assert (box.id, box.running) == (old, True)
        stage.holds({NAME: old})

    play(story)


def test_an_engine_that_loses_something_on_the_way_is_noticed_before_the_old_one_stops() -> None:
    async def story(stage: Stage) -> None:
        old = await serving(stage)
        made = stage.engine.made

        def forgetful(name: str, spec: Any) -> str:
            return made(name, {**spec, "HostConfig": {**spec["HostConfig"], "ShmSize": 64 << 20}})

        stage.engine.made = forgetful  # type: ignore[method-assign]
        stage.image("local/oracle:2", GOOD, Labels={"v": "2"})
        assert await goes_to(stage, "local/oracle:2") == "action.failed", "it is not like the old one"
        box = stage.box()
        assert box is not None
        assert (box.id, box.running) == (old, True)
        stage.holds({NAME: old})

    play(story)


def test_a_backup_that_fails_leaves_the_old_one_serving() -> None:
    async def story(stage: Stage) -> None:
        old = await serving(stage)
        stage.engine.set_exec(NAME, ExecResult(1, "no space left"), "dump")
        stage.image("local/oracle:2", GOOD, Labels={"v": "2"})
        assert await goes_to(stage, "local/oracle:2") == "action.failed", "it moved on without a backup"
        assert "no space left" in stage.outcome().body["text"]
        box = stage.box()
        assert box is not None
        assert (box.id, box.running) == (old, True)
        stage.holds({NAME: old})

    play(story, read(services=BACKUP))


def test_the_new_one_starts_only_once_there_is_room() -> None:
    async def story(stage: Stage) -> None:
        await serving(stage)
        stage.image("local/oracle:2", GOOD, Labels={"v": "2"})
        stage.world.room.wanting = "it needs 90 GiB of memory, 12 GiB are free"
        await stage.ask("phoenix", image="local/oracle:2")
        await stage.world.run(20)
        starts = len(stage.starts())
        stage.world.room.wanting = ""
        await stage.until(stage.ended, 120, "end of the phoenix")
        assert starts == 0, "it was started where there was no room"
        assert stage.outcome().kind == "action.verified"
        stage.holds()

    play(story)
