"""A kill at journal, engine and hardware steps of what is done to a card and to the machine.

As in test_kill_matrix: each story is told once undisturbed, then with a kill at many of its points (all of those around
the deed), the next daemon starting half a second later. Nothing is done twice, nothing beside somebody who uses the
card. Either everything is as without the kill, or (where it came between the word that it may be done and the deed) it
was not done, people were told, and the model stays down.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import pytest

from tests.sim.gpus import down, loaded, prepared, serving
from tests.sim.stage import Stage, play

RESET, REBOOT = loaded(reset=True), loaded(reboot=True)


async def reset(stage: Stage) -> None:
    """A card needs a reset; a rule has it done."""
    stage.world.cards.cards[0].recovery = "reset"
    await stage.world.run(450)


async def reboot(stage: Stage) -> None:
    """A card needs a restart of the machine."""
    stage.world.cards.cards[0].recovery = "reboot"
    await stage.world.run(900)


async def quiesced(stage: Stage) -> None:
    """A rule stops the model for a card that gets well by itself."""
    card = stage.world.cards.cards[0]
    card.recovery = "drain_reset"
    await stage.until(lambda: stage.alert("GpuResetRequired"), 100, "alert", step=5)
    await stage.world.run(20)
    card.recovery = "none"
    await stage.world.run(250)


STORIES: dict[str, Callable[[Stage], Awaitable[None]]] = {"reset": reset, "reboot": reboot, "quiesced": quiesced}
SETTINGS = {"reset": RESET, "reboot": REBOOT, "quiesced": loaded()}
STRIDE = {"reset": 5, "reboot": 8, "quiesced": 8}
"""every so many points away from the deed: the same is done there as in the other stories"""
NEAR = 6
VERBS = {"reset": "gpu-reset", "reboot": "reboot", "quiesced": "quiesce"}


@dataclass(frozen=True)
class Told:
    """A story that was told: whether the model serves as before, its first and last point, what was found wrong."""

    serves: bool
    undone: bool
    """it was permitted and not done, which was told; the model stays down"""
    deeds: tuple[int, int]
    """resets, restarts"""
    first: int
    points: int
    deed: int
    """the point of it; 0 for none"""
    found: str


def tell(name: str, kills: tuple[int, ...] = ()) -> Told:
    """Tell a story with kills at these points."""
    tale: list[Told] = []

    async def story(stage: Stage) -> None:
        _card, watcher = await prepared(stage)
        first = stage.world.points
        stage.world.kill_at = frozenset(first + kill for kill in kills)
        await STORIES[name](stage)
        last, hands = stage.world.points, stage.world.hands
        deeds = len(hands.resets), len(hands.reboots)
        undone = down(stage) and deeds == (0, 0) and not stage.space("plan") and _untold(stage, name)
        found = [*watcher.found]
        try:
            stage.holds()
        except AssertionError as err:
            found.append(str(err))
        deed = watcher.points[0] if watcher.points else 0
        tale.append(Told(serving(stage), undone, deeds, first, last, deed, "\n".join(found)))

    play(story, SETTINGS[name])
    return tale[0]


def _untold(stage: Stage, name: str) -> bool:
    """Whether people were told that it was not done."""
    ends = [row for row in stage.ended(VERBS[name]) if row.kind == "action.failed" and row.public]
    return len(ends) == 1 and "again" in ends[0].body["text"]


@cache
def undisturbed(name: str) -> Told:
    """The story without a kill."""
    calm = tell(name)
    assert not calm.found, calm.found
    return calm


def trouble(name: str, kills: tuple[int, ...]) -> list[str]:
    """What is wrong with one telling; [] for nothing."""
    calm = undisturbed(name)
    try:
        told = tell(name, kills)
    except Exception as err:
        return [f"{name} {kills}\n{type(err).__name__}: {err}"]
    found = told.found
    if not (told.serves and told.deeds == calm.deeds) and not (told.undone and kills):
        found += f"\ncomes to rest otherwise: {told}"
    return [f"{name} {kills}\n{found}"] if found else []


@pytest.mark.parametrize("name", ["reset", "reboot"])
def test_between_the_word_and_the_deed_it_is_left_undone_and_told(name: str) -> None:
    told = undisturbed(name)
    assert tell(name, (told.deed - told.first,)).undone


def test_the_stories_end_as_they_should() -> None:
    calm = {name: undisturbed(name) for name in STORIES}
    assert all(told.serves and not told.undone for told in calm.values())
    assert {name: told.deeds for name, told in calm.items()} == {"reset": (1, 0), "reboot": (0, 1), "quiesced": (0, 0)}


@pytest.mark.parametrize("name", STORIES)
def test_one_kill_anywhere_changes_nothing_or_leaves_it_undone_and_told(name: str) -> None:
    told = undisturbed(name)
    near = range(told.deed - told.first - NEAR, told.deed - told.first + NEAR) if told.deed else ()
    points = sorted({*range(1, told.points - told.first + 1, STRIDE[name]), *near})
    found = [text for point in points for text in trouble(name, (point,))]
    assert not found, f"{len(found)} of {len(points)} points:\n" + "\n\n".join(found[:3])
