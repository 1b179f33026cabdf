"""Random worlds around a slot hold every invariant, and a seed is a run. `RESURGAM_SLOT_SEEDS` names others."""

import os
from functools import cache

import pytest

from tests.sim.slot_kinds import KINDS
from tests.sim.slot_worlds import Play, Script
from tests.sim.worlds import digest

FIXED = (1, 2, 3, 5, 8)
"""one of each kind: lone, sleepers, inside, named, beside"""


def seeds() -> list[int]:
    """RESURGAM_SLOT_SEEDS: `3,17` are these, `1000:500` are 500 from 1000 on."""
    wanted = os.environ.get("RESURGAM_SLOT_SEEDS", "")
    if ":" in wanted:
        first, count = (int(word) for word in wanted.split(":"))
        return list(range(first, first + count))
    return [int(word) for word in wanted.split(",")] if wanted else list(FIXED)


@cache
def played(seed: int) -> tuple[Play, tuple[str, ...]]:
    """A world, and what was found in it."""
    play = Play(Script.of(seed))
    return play, tuple(play.run())


@pytest.mark.parametrize("seed", seeds())
def test_the_invariants_hold_in_a_world_in_which_models_are_swapped(seed: int) -> None:
    play, found = played(seed)
    script = play.script
    head = f"seed {seed}: RESURGAM_SLOT_SEEDS={seed} replays it; {script.kind} {script.slot} {script.events}"
    assert not found, "\n".join([head, *found, play.stage.tail()])


def test_the_same_seed_is_the_same_run() -> None:
    again = Play(Script.of(seeds()[0]))
    again.run()
    assert digest(played(seeds()[0])[0].world) == digest(again.world)


def test_every_kind_of_slot_has_a_world() -> None:
    assert {Script.of(seed).kind for seed in FIXED} == set(KINDS)
