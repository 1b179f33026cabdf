"""Two kills, the second soon after the first, in the stories of a Phoenix that are told with single kills elsewhere.

A way back that waits for a word, a backup, a rollback that moves its tag (test_kill_matrix), a project with a shared
network (test_rollouts), a request file (test_requests). Pairs are spread over all points, the neighbours first;
RESURGAM_PAIRS is how many for each story (make soak takes many).
"""

import os
from collections.abc import Iterator

import pytest

from tests.sim import test_kill_matrix as matrix
from tests.sim import test_rollouts as rollouts
from tests.sim.stage import Stage, play, read
from tests.sim.test_requests import WATCHED, boxes, ends, two

PAIRS = int(os.environ.get("RESURGAM_PAIRS", "10"))


def near(points: int, shift: int) -> Iterator[tuple[int, int]]:
    """Pairs of points. `shift`: so that two stories of one length are not told alike."""
    for first, later in matrix.pairs(points - shift, PAIRS):
        yield first + shift, later + shift


@pytest.mark.parametrize("name", matrix.MORE)
def test_a_second_kill_soon_after_the_first_changes_nothing_about_the_end(name: str) -> None:
    points = matrix.undisturbed(name).points
    shift = 1 + 5 * list(matrix.MORE).index(name)
    found = [text for kills in near(points, shift) for text in matrix.trouble(name, kills)]
    assert not found, f"{len(found)} of {PAIRS} pairs:\n" + "\n\n".join(found[:3])


def test_a_project_that_is_killed_twice_comes_to_the_same_end() -> None:
    stands, bad, points, wrong = rollouts.tell(())
    assert (bad, wrong) == ([], "")
    for kills in near(points, 3):
        again = rollouts.tell(kills)
        assert (again[0], again[1], again[3]) == (stands, [], ""), f"killed at points {kills}: {again}"


def request(kills: tuple[int, int] | None) -> tuple[int, list[str]]:
    """A request file, with kills so many points after it was written: (points, what stands). One run, and no more."""
    told: list[tuple[int, list[str]]] = []

    async def story(stage: Stage) -> None:
        folder = await two(stage)
        began = stage.world.points
        folder.request(stage.clock.wall())
        stage.world.kill_at = frozenset(began + kill for kill in kills or ())
        await stage.until(lambda: ends(stage) and not stage.space("plan"), 1800, "the rollout's end")
        points = stage.world.points - began
        await stage.world.run(120)
        begun = [row for row in stage.rows("action.rollout") if row.body["state"] == "planned"]
        assert len(begun) == 1, f"{kills}: {len(begun)} runs\n{stage.tail()}"
        assert ends(stage) == ["verified"], f"{kills}: {stage.tail()}"
        assert folder.file is None
        stage.holds()
        told.append((points, sorted(boxes(stage))))

    play(story, read(requests=WATCHED))
    return told[0]


def test_a_request_that_is_killed_twice_is_obeyed_once() -> None:
    points, stands = request(None)
    assert points > 40
    for kills in near(points, 2):
        assert request(kills)[1] == stands
