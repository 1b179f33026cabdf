"""Random worlds hold every invariant, and a seed is a run. `RESURGAM_SEEDS` names others (`make soak`: new ones)."""

import os

import pytest

from tests.sim.worlds import Play, Script, digest

FIXED = 100


def seeds() -> list[int]:
    """RESURGAM_SEEDS: `3,17` are these, `1000:500` are 500 from 1000 on (make soak takes new ones each time)."""
    wanted = os.environ.get("RESURGAM_SEEDS", "")
    if ":" in wanted:
        first, count = (int(word) for word in wanted.split(":"))
        return list(range(first, first + count))
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
