"""What a model takes of a card while it is tried: its own processes count, not what neighbours do meanwhile."""

from dataclasses import replace

import pytest

from supervisor.actions.gpu.absent import NoDriver
from supervisor.facts import GpuReading, Needs
from supervisor.journal.codec import dump
from supervisor.lab.minds import SimModel
from supervisor.signals.gpu.told import reading_from
from tests.support.swap_lab import CRITERIA, GIB, SwapLab

TAKES = SimModel(load=3.0, rate=40.0, vram={0: int(50 * GIB)})


class Driver(NoDriver):
    """Tells whose the processes are (signals/gpu/owners), or of none at all, as to one in a PID namespace."""

    def __init__(self, box: SwapLab, *, blind: bool = False) -> None:
        self._box, self._blind = box, blind

    async def snapshot(self, depth: str) -> GpuReading:
        found = reading_from(self._box.cards.said(), full=False)
        whose = {one.pid: one.id for one in self._box.engine.containers()}
        cards = []
        for card in found.cards:
            users = [
                replace(one, kind="container", container_id=whose[one.pid]) if one.pid in whose else one
                for one in card.users
            ]
            cards.append(replace(card, users=() if self._blind else tuple(users)))
        return replace(found, cards=tuple(cards), namespaced=self._blind)


@pytest.fixture
def box(lab):
    """Two cards; while b is measured, something else takes 30 GiB of each."""

    def make(*, blind=False, **more):
        made = lab(**more)
        for _index in range(2):
            made.cards.add()
        made.world.declare("b", TAKES)
        made.core.driver = Driver(made, blind=blind)
        made.core.runner = made.core.fresh()
        other = "e" * 64
        made.at_step("bench", lambda: [made.cards.leave_behind(other, index, int(30 * GIB)) for index in (0, 1)])
        return made

    return make


def declares(size):
    return {"b": {"needs": dump(Needs(startup=60.0, probe="http://:8000", vram=(("0", int(size * GIB)),)))}}


def test_what_a_neighbour_takes_meanwhile_is_not_the_models(box):
    made = box(criteria=replace(CRITERIA, vram=(("0", int(60 * GIB)), ("1", int(GIB)))))
    ended = made.do(made.plan())
    assert ended.data["verdict"] == "GO", ended.outcome.text
    assert ended.data["measured"]["vram"] == {made.cards.cards[0].uuid: int(50 * GIB)}


def test_where_nobody_tells_whose_it_is_all_that_is_gone_counts(box):
    made = box(blind=True, criteria=replace(CRITERIA, vram=(("0", int(60 * GIB)),)))
    assert "80 GiB, wanted 60 GiB at most" in made.do(made.plan()).outcome.text


@pytest.mark.parametrize(("size", "verdict"), [(48, "GO"), (47, "NO-GO")])
def test_what_is_declared_of_a_card_is_what_it_may_take(box, size, verdict):
    made = box()
    ended = made.do(made.plan(parts=declares(size)))
    assert ended.data["verdict"] == verdict, ended.outcome.text
    if verdict == "NO-GO":
        assert "wanted 49.4 GiB at most (47 GiB are declared)" in ended.outcome.text


def test_what_is_declared_refuses_nobody_for_what_may_be_a_neighbours(box):
    made = box(blind=True)
    assert made.do(made.plan(parts=declares(10))).data["verdict"] == "GO"


def test_one_that_is_only_measured_is_held_against_its_cards_too(box):
    made = box(criteria=replace(CRITERIA, vram=(("gpu:0", int(40 * GIB)),)))
    made.world.declare("a", replace(TAKES, rate=20.0))
    ended = made.do(made.plan("bench", leaves="", comes="a"))
    assert "50 GiB, wanted 40 GiB at most" in ended.outcome.text
