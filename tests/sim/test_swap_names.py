"""A slot without a gate, whose callers use the name of a container: the holder bears it, whoever that is."""

import asyncio

import pytest

from supervisor.core.standing import Loaded
from tests.sim.slots import GOOD, A, B, Slots, loaded, told

NAME = "llm"


def by_name() -> Loaded:
    """The same race, by name."""
    return loaded({"listen": "none", "rename": NAME})


def bears_it(stage: Slots, model: str) -> None:
    """This model's container alone is called so, and the other has its own name."""
    names = {one: box.name for one in (A, B) if (box := stage.at(one).container) is not None}
    other = A if model == B else B
    assert names == {model: NAME, other: f"box-{other}-1"}, stage.tail()
    assert stage.slot().address == NAME


def test_the_name_goes_with_the_slot_and_comes_back() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared()
        for to in (B, A):
            ended = await stage.swap(to)
            assert ended.kind == "action.verified", ended.body["text"]
            assert stage.holds_it(to) == [], stage.tail()
            bears_it(stage, to)

    told(story, by_name())


def test_a_bad_candidate_gives_the_name_back() -> None:
    async def story(stage: Slots) -> None:
        await stage.prepared(b=GOOD.changed(rate=5.0))
        ended = await stage.swap()
        assert ended.kind == "action.rolled_back"
        assert stage.holds_it(A) == [], stage.tail()
        names = {one: box.name for one in (A, B) if (box := stage.at(one).container) is not None}
        assert names[B] == f"box-{B}-1"
        assert names[A] in (NAME, f"box-{A}-1")

    told(story, by_name())


@pytest.mark.parametrize("rate", [20.0, 5.0])
def test_a_kill_anywhere_leaves_one_of_them_with_the_name(rate: float) -> None:
    def tell(kill: int) -> int:
        points: list[int] = []

        async def story(stage: Slots) -> None:
            await stage.prepared(b=GOOD.changed(rate=rate))
            first = stage.world.points
            stage.world.kill_at = frozenset((first + kill,))
            for _attempt in range(3):
                question = asyncio.ensure_future(stage.life.ask("swap", "oracle", to=B))
                await stage.world.run(60)
                question.cancel()
                await stage.until(lambda: not stage.space("plan"), 600, "end of the plan", step=5)
                if stage.ended("swap")[-1].kind in ("action.verified", "action.rolled_back"):
                    break
            points.append(stage.world.points - first)
            holder = stage.slot().holder
            assert stage.holds_it(holder) == [], stage.tail()
            names = [box.name for box in stage.engine.containers()]
            assert len(names) == len(set(names)) == 2
            if stage.disturbed(holder):
                assert stage.at(holder).container.name == NAME, stage.tail()  # type: ignore[union-attr]

        told(story, by_name(), invariants=False)
        return points[0]

    whole = tell(0)
    for kill in range(9, whole, 31):
        tell(kill)
