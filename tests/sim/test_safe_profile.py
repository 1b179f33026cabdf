"""The safe profile in a whole daemon: into it after faults that repeat, back once it was quiet, also over kills; what a
rollback, a plain Phoenix and a `compose up` in between make of it; and what it was before comes back exactly."""

import asyncio
from functools import cache
from typing import Any

import pytest

from supervisor.lab.engine import Behaviour
from supervisor.lab.gpu import GIB, SimVram
from supervisor.services import PROFILE_LABEL, is_temp
from tests.sim.stage import Stage, play, read

NAME = "box-oracle-1"
FAULT = "NVRM: Xid (PCI:0000:17:00): 8, pid={pid}, name=python3, GPU stopped processing"
SAFE = {"env": {"GGML_CUDA_DISABLE_GRAPHS": "1", "MODE": "gently7"}, "args": ["--slow"], "quiet": "1h"}
LOADED = read(services={"box.oracle": {"exclusive": ["gpu:0"], "safe": SAFE}}, proof="10s")
IMAGE = {"Cmd": ["serve"]}
OURS = ("resurgam.op", "resurgam.ref")
LATER = "phoenix", {"image": "current"}


def config(stage: Stage) -> dict[str, Any]:
    """What of its container a profile could change, as the engine has it."""
    made = raw(stage, NAME)["Config"]
    labels = {name: value for name, value in made["Labels"].items() if name not in OURS}
    return {"Env": sorted(made.get("Env") or ()), "Cmd": made.get("Cmd"), "Labels": labels}


def raw(stage: Stage, name: str) -> dict[str, Any]:
    """Its inspect, as the engine has it."""
    return stage.engine.world.get(name).raw()


async def prepared(stage: Stage) -> dict[str, Any]:
    """The model runs on its card, proved; its configuration."""
    stage.world.cards.add()
    stage.world.cards.vram["oracle"] = SimVram({0: 8 * GIB})
    stage.image("local/oracle:1", Behaviour(healthy_after=1.0), Env=["MODE=fast"], **IMAGE)
    await stage.up()
    await stage.begin()
    await stage.until(lambda: stage.space("proved") and not stage.space("plan"), 100, "proof", step=5)
    return config(stage)


async def goes(stage: Stage, profile: str) -> None:
    """A person asks for it, and it is done."""
    answer = await stage.ask("phoenix", override="a test", profile=profile, image="current")
    assert answer.verdict.ok, answer.verdict.text
    await stage.until(lambda: not stage.space("plan"), 200, "end of the phoenix", step=1)
    assert stage.outcome().kind == "action.verified", stage.outcome().body["text"]


async def faulty(stage: Stage) -> None:
    """The model runs into a fault, and the episode ends."""
    box = stage.box()
    assert box is not None
    stage.world.log.write(FAULT.format(pid=box.pid))
    await stage.world.run(200)


def is_safe(stage: Stage) -> bool:
    made = config(stage)
    there = {"GGML_CUDA_DISABLE_GRAPHS=1", "MODE=gently7"} <= set(made["Env"])
    return there and made["Cmd"] == ["serve", "--slow"] and made["Labels"].get(PROFILE_LABEL) == "safe"


def test_faults_that_repeat_bring_it_into_its_profile_and_quiet_hours_back_over_a_kill() -> None:
    async def story(stage: Stage) -> None:
        before = await prepared(stage)
        await faulty(stage)
        assert config(stage) == before, "once is no reason"
        await faulty(stage)
        await stage.until(lambda: stage.service().profile == "safe", 200, "its safe profile", step=5)
        await stage.until(lambda: not stage.space("plan"), 100, "end of the phoenix", step=5)
        assert is_safe(stage)
        (told,) = [row for row in stage.ended() if row.kind == "action.verified"]
        assert "its safe profile" in told.body["text"]
        assert "gently7" not in repr([row.body for row in stage.rows()]), "no value is told"
        await stage.world.run(1800)
        await faulty(stage)
        await stage.kill()
        await stage.begin()
        await stage.world.run(3000)
        assert is_safe(stage), "a fault within the hour: it begins anew"
        assert stage.alert("GpuSafeProfileActive")
        await stage.until(lambda: stage.service().profile == "", 1500, "the way back", step=15)
        await stage.until(lambda: not stage.space("plan"), 100, "end of the phoenix", step=5)
        assert config(stage) == before
        assert stage.space("profile") == {}
        await stage.world.run(200)
        assert stage.alert("GpuSafeProfileActive") is None
        assert len(stage.ended()) == 2
        stage.holds()

    play(story, LOADED)


def test_a_plain_phoenix_a_restart_and_a_rollback_keep_it_and_the_spare_is_of_before() -> None:
    async def story(stage: Stage) -> None:
        before = await prepared(stage)
        await goes(stage, "safe")
        spare = next(box for box in stage.engine.containers() if is_temp(box.name))
        assert PROFILE_LABEL not in spare.labels
        assert raw(stage, spare.name)["Config"]["Cmd"] == ["serve"]
        again = await stage.ask("phoenix", profile="safe", image="current")
        assert again.verdict.reason.value == "already_done"
        stage.image("local/oracle:1", Behaviour(healthy_after=1.0), Env=["MODE=fast", "NEW=1"], Cmd=["serve2"])
        for verb, params in (("restart", {}), ("phoenix", {"image": "current"}), ("rollback", {}), LATER):
            answer = await stage.ask(verb, override="a test", **params)
            assert answer.verdict.ok, answer.verdict.text
            await stage.until(lambda: not stage.space("plan"), 200, f"end of the {verb}", step=1)
            assert stage.outcome(verb).kind == "action.verified", stage.outcome(verb).body["text"]
            assert is_safe(stage), verb
            await stage.world.run(60)
        await goes(stage, "normal")
        now = config(stage)
        assert (now["Cmd"], "NEW=1" in now["Env"]) == (["serve2"], True), "what the image brings is the image's again"
        assert (now["Labels"], {"MODE=fast"} & set(now["Env"])) == (before["Labels"], {"MODE=fast"})

    play(story, LOADED)


def test_a_compose_up_in_between_wins() -> None:
    async def story(stage: Stage) -> None:
        before = await prepared(stage)
        await goes(stage, "safe")
        await stage.up()
        await stage.world.run(90)
        assert stage.service().profile == ""
        assert stage.space("profile") == {}
        assert config(stage) == before
        answer = await stage.ask("phoenix", profile="normal", image="current")
        assert answer.verdict.reason.value == "already_done"

    play(story, LOADED)


async def there_and_back(stage: Stage) -> tuple[int, int, bool]:
    """Into the profile and out of it; (first point, last point, whether all is as before)."""
    before = await prepared(stage)
    first = stage.world.points
    stage.world.kill_at = frozenset(first + kill for kill in KILLS)
    for profile, name in (("safe", "safe"), ("normal", "")):
        for _ in range(3):
            if stage.service().profile == name:
                break
            asked = asyncio.ensure_future(stage.life.ask("phoenix", "box.oracle", profile=profile, image="current"))
            await stage.world.run(20)
            asked.cancel()  # whoever was to answer may have been killed
            await stage.until(lambda: stage.world.life and not stage.space("plan"), 300, "end", step=1)
        assert stage.service().profile == name, f"{profile}\n{stage.tail()}"
        if name:
            assert is_safe(stage)
            assert stage.space("profile")["box.oracle"]["before"] == {
                "env": {"GGML_CUDA_DISABLE_GRAPHS": None, "MODE": None},
                "cmd_of_image": True,
            }
    assert stage.space("profile") == {}
    stage.holds()
    return first, stage.world.points, config(stage) == before


KILLS: list[int] = []


def test_a_kill_at_the_commit_loses_nothing_of_what_was_before() -> None:
    async def story(stage: Stage) -> None:
        before = await prepared(stage)
        asked = asyncio.ensure_future(stage.life.ask("phoenix", "box.oracle", profile="safe", image="current"))
        await stage.until(lambda: any("commit" in plan.begun for plan in stage.plans()), 60, "the commit", step=0.001)
        await stage.kill()
        asked.cancel()
        await stage.begin()
        await stage.world.run(60)
        assert is_safe(stage)
        assert stage.space("profile"), "what it was before is lost"
        await goes(stage, "normal")
        assert config(stage) == before

    play(story, LOADED)


@cache
def undisturbed() -> tuple[int, int, bool]:
    return told(())


def told(kills: tuple[int, ...]) -> tuple[int, int, bool]:
    found: list[tuple[int, int, bool]] = []

    async def story(stage: Stage) -> None:
        found.append(await there_and_back(stage))

    KILLS[:] = kills
    play(story, LOADED)
    return found[0]


@pytest.mark.parametrize("part", range(4))
def test_a_kill_anywhere_on_the_way_there_and_back_changes_nothing_about_the_end(part: int) -> None:
    first, last, same = undisturbed()
    assert same
    points = last - first
    for point in range(1 + part * 4, points, 16):
        assert told((point,))[2], f"killed at {point} of {points}"
