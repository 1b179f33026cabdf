"""`resurgam plan` from the core to the document: the same guard, the same steps, and nothing is touched or kept."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from supervisor.config import Settings
from supervisor.core.standing import Loaded
from supervisor.facts import Command, Json
from supervisor.kernel.hands import ControlGroups
from supervisor.lab.boxes import SimImage
from supervisor.lab.house import Life, SimWorld
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.loop import SimLoop
from supervisor.rules import RuleSet
from supervisor.web.previewing import Foresight

T = TypeVar("T")
OLD, NEW = "local/oracle:1", "local/oracle:2"
OURS = {"resurgam.enable": "true"}
COMPOSED = OURS | {
    "com.docker.compose.project": "ai",
    "com.docker.compose.service": "oracle",
    "com.docker.compose.image": "sha256:x",
}


def told(story: Callable[[Life, Callable[..., Awaitable[Json]]], Awaitable[T]], **run: Any) -> T:
    """What a story gives on a box with a service `oracle`; `look(verb, target, params)` is a preview of it."""
    loop = SimLoop()

    async def play() -> T:
        world = SimWorld(loop, Loaded(Settings(host="sim"), RuleSet((), ()), (), ()))
        engine = world.engine
        engine.add_image(SimImage(tags=(OLD,), config={"Env": ["FOO=v1", "CUDA_VERSION=12.1"], "User": "app"}).full())
        engine.add_image(SimImage(tags=(NEW,), config={"Env": ["FOO=v2", "CUDA_VERSION=12.4"], "User": "app"}).full())
        engine.add_image(SimImage(tags=("local/oracle:root",), config={}).full())
        given = {"labels": OURS, "env": ("API_KEY=hunter2", "MODEL=big"), "policy": "always", **run}
        engine.human_run("oracle", OLD, **given)
        life = await world.begin()
        await world.run(2.0)
        groups = ControlGroups(world.kernel, loop.clock)
        foresight = Foresight(life.core, {"docker": engine}, world.room, groups)

        async def look(verb: str, target: str = "oracle", **params: str) -> Json:
            return await foresight(Command(0.0, 0.0, verb, target, params, "uid:0", "socket"))

        writes, seq = len(engine.writes), life.journal.last_seq
        found = await story(life, look)
        assert len(engine.writes) == writes, "nothing was touched"
        assert life.journal.last_seq == seq, "nothing was written down"
        await world.finish()
        return found

    return loop.run_until_complete(play())


def words(document: Json, kind: str) -> dict[str, Json]:
    return {trait["what"]: trait for trait in document["stages"][0]["fidelity"] if trait["kind"] == kind}


def test_a_phoenix_to_another_image_says_everything_and_does_nothing() -> None:
    document = told(lambda _life, look: look("phoenix", image=NEW), labels=COMPOSED)
    assert document["allowed"], document["text"]
    (stage,) = document["stages"]
    assert stage["image"]["ref"] == OLD
    assert stage["image"]["from"] != stage["image"]["to"]
    forward = [step["name"] for step in stage["steps"] if not step["back"]]
    assert forward[0] == "look"
    assert forward.index("create") < forward.index("stop") < forward.index("start") < forward.index("commit")
    assert [step["name"] for step in stage["steps"] if step["back"]]
    assert stage["steps"][forward.index("create")]["writes"] == ["oracle.resurgam-new-…"]
    assert words(document, "ambiguous")["env FOO"]["after"] == "v2"
    assert "keep-env" in words(document, "ambiguous")["env FOO"]["how"]
    assert words(document, "image")["env CUDA_VERSION"]["after"] == "12.4"
    assert words(document, "kept")["env MODEL"]["before"] == "big"
    assert "label com.docker.compose.image" in words(document, "changed")
    assert "its log so far" in words(document, "lost")
    assert "hunter2" not in repr(document)
    assert stage["waits"]["limit"] > 0


def test_the_guards_refusal_is_said_and_the_report_is_there_all_the_same() -> None:
    async def story(life: Life, look: Callable[..., Awaitable[Json]]) -> Json:
        return await look("phoenix", image=NEW)

    document = told(story, labels={})
    assert (document["allowed"], document["reason"]) == (False, "not_owned")
    assert document["stages"][0]["fidelity"]


def test_an_image_that_runs_as_root_is_refused_with_the_field() -> None:
    document = told(lambda _life, look: look("phoenix", image="local/oracle:root"))
    assert not document["allowed"]
    assert [change["field"] for change in document["stages"][0]["rights"]] == ["User"]
    assert "root" in document["text"]


def test_an_image_that_is_not_there_is_refused() -> None:
    document = told(lambda _life, look: look("phoenix", image="local/oracle:9"))
    assert (document["allowed"], document["reason"]) == (False, "image_gone")


def test_a_restart_a_stop_and_what_makes_no_sense() -> None:
    async def story(_life: Life, look: Callable[..., Awaitable[Json]]) -> list[Json]:
        return [
            await look("restart"),
            await look("stop"),
            await look("restart", "nobody"),
            await look("dance"),
            await look("restart", within="soon"),
            await look("rollback"),
        ]

    found = told(story)
    assert [document["reason"] for document in found] == [
        "allowed",
        "allowed",
        "no_target",
        "unknown_verb",
        "bad_parameter",
        "no_known_good",
    ]
    assert [step["name"] for step in found[1]["stages"][0]["steps"]] == ["look", "stop", "keep_down"]
    assert all(document["text"].endswith(".") for document in found)


def test_a_project_is_shown_stage_by_stage_in_its_order() -> None:
    async def story(life: Life, look: Callable[..., Awaitable[Json]]) -> Json:
        return await look("restart", "ai")

    document = told(story, labels=COMPOSED)
    assert [stage["service"] for stage in document["stages"]] == ["ai.oracle"]
    assert document["allowed"]


def test_what_would_be_done_to_its_memory_is_said_with_its_figures() -> None:
    async def story(life: Life, look: Callable[..., Awaitable[Json]]) -> None:
        life.world.kernel.declare("oracle", SimLoad(anon=3 * 2.0**30))
        frozen = (await look("freeze", **{"for": "1m"}))["stages"][0]
        assert [step["name"] for step in frozen["steps"]] == ["look", "freeze"]
        assert frozen["refused"] is None
        assert frozen["notes"][0] == "It uses 3 GiB, nobody knows its plan."
        assert "stand still for 1m at most" in frozen["notes"][1]
        assert "Above 4 GiB" in (await look("fuse", at="4GiB"))["stages"][0]["notes"][1]
        assert "does not stand still" in (await look("thaw"))["stages"][0]["notes"][1]
        refused = await look("drop-cache")
        assert (refused["allowed"], refused["reason"]) == (False, "unsupported")

    told(story)
