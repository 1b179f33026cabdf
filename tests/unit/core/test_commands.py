"""What a person hears who pauses and resumes; and that a playbook file which was left out raises an alert's series."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from supervisor.config import Settings
from supervisor.core.standing import Loaded
from supervisor.lab.boxes import SimImage
from supervisor.lab.house import Life, SimWorld
from supervisor.lab.loop import SimLoop
from supervisor.rules import RuleSet
from supervisor.signals import pause_file

T = TypeVar("T")
LEFT_OUT = "/r/mine.playbooks.yaml:5:9: 'call' is no verb"


def told(story: Callable[[Life], Awaitable[T]], *problems: str) -> T:
    """What a story gives on a box with one container, `oracle`."""
    loop = SimLoop()

    async def play() -> T:
        world = SimWorld(loop, Loaded(Settings(host="sim"), RuleSet((), ()), (), problems))
        world.engine.add_image(SimImage(tags=("local/oracle:1",)).full())
        world.engine.human_run("oracle", "local/oracle:1")
        life = await world.begin()
        await world.run(2.0)
        found = await story(life)
        await world.finish()
        return found

    return loop.run_until_complete(play())


async def _says(life: Life, verb: str, target: str = "*", **params: str) -> str:
    return (await life.ask(verb, target, **params)).verdict.text


def test_a_pause_names_what_is_paused_and_how_it_ends() -> None:
    async def story(life: Life) -> list[str]:
        return [
            await _says(life, "pause"),
            await _says(life, "pause", "oracle", **{"for": "2h"}),
            await _says(life, "pause", "oracle"),
            await _says(life, "resume"),
            await _says(life, "resume"),
            await _says(life, "resume", "oracle"),
            await _says(life, "resume", "oracle"),
            await _says(life, "resume"),
        ]

    assert told(story) == [
        "Everything is paused until `resurgam resume`; no new plan starts.",
        "oracle is paused for 2h.",
        "oracle is paused until `resurgam resume oracle`; no new plan starts.",
        "Everything is resumed.",
        "Only single services are paused; resume them by `resurgam resume oracle`.",
        "oracle is resumed.",
        "oracle is not paused.",
        "Nothing is paused.",
    ]


def test_a_resume_does_not_end_what_the_file_holds() -> None:
    async def story(life: Life) -> list[tuple[bool, str]]:
        file = life.core.decider.loaded.settings.state_dir / pause_file.NAME
        await life.ask("pause", "*", reason=pause_file.because(file))
        answer = await life.ask("resume", "*")
        return [(answer.verdict.ok, answer.verdict.text), (bool(life.core.snapshot.pauses), str(file))]

    (ok, text), (paused, file) = told(story)
    assert (ok, paused) == (False, True)
    assert f"as long as the file {file} is there; remove it" in text


def test_a_resume_that_ends_nothing_is_no_news() -> None:
    async def story(life: Life) -> list[str]:
        await life.ask("resume", "*")
        return [row.kind for row in life.rows]

    assert "daemon.resumed" not in told(story)


def test_a_playbook_file_that_was_left_out_is_seen_by_rules() -> None:
    async def story(life: Life) -> list[tuple[str, float]]:
        series = ((dict(labels), value) for labels, value in life.core.metrics(life.clock.wall()))
        return [(one["file"], value) for one, value in series if one["__name__"] == "resurgam_rules_file_healthy"]

    assert told(story, LEFT_OUT) == [("/r/mine.playbooks.yaml", 0.0)]
