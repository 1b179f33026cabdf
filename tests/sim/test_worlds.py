"""Random worlds hold every invariant, and a seed is a run. `RESURGAM_SEEDS=new:500` tries new ones (make soak)."""

import os

import pytest

from supervisor.clock import SystemClock
from tests.sim.worlds import Play, Script, digest

FIXED = 150


def seeds() -> list[int]:
    wanted = os.environ.get("RESURGAM_SEEDS", "")
    if wanted.startswith("new:"):
        start = int(SystemClock().token(4), 16)
        return [start + number for number in range(int(wanted[4:]))]
    return [int(word) for word in wanted.split(",")] if wanted else list(range(FIXED))


@pytest.mark.parametrize("seed", seeds())
def test_the_invariants_hold_in_a_world_full_of_faults(seed: int) -> None:
    play = Play(Script.of(seed))
    found = play.run()
    assert not found, "\n".join([f"seed {seed}: RESURGAM_SEEDS={seed} replays it", *found, *last_rows(play)])


def last_rows(play: Play, count: int = 40) -> list[str]:
    rows = play.world.disk.rows(limit=count, newest_first=True)
    return [f"{row.at:.3f} {row.kind} {row.subject} {row.body.get('text', '')}"[:200] for row in reversed(rows)]


def test_the_same_seed_is_the_same_run() -> None:
    first, second = Play(Script.of(7)), Play(Script.of(7))
    first.run(), second.run()
    assert digest(first.world) == digest(second.world)
