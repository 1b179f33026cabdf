"""Memory is really free, and stays so, before the next model starts."""

import asyncio
import math

import pytest

from supervisor.actions.swap import freed
from supervisor.facts import Free, Needs, SlotModel
from supervisor.journal.codec import dump
from supervisor.lab.room import SimRoom
from tests.support.swap_lab import GIB, SimModel


def declared(box, size):
    """Both need so much, and the one that serves was measured to take it."""
    needs = dump(Needs(startup=60.0, memory=int(size * GIB), probe="http://:8000"))
    return {"a": {"needs": needs, "measured": {"memory": size * GIB}}, "b": {"needs": needs}}


def started(box):
    return next(at for op, key, at in box.engine.writes if op == "start")


def stopped(box):
    return next(at for op, key, at in box.engine.writes if op == "stop")


def test_memory_that_comes_back_late_is_waited_for(lab):
    box = lab()
    box.world.declare("a", SimModel(load=2.0, rate=20.0, memory=300 * GIB, late=20.0))
    box.run(_nap(5.0))
    ended = box.do(box.plan(parts=declared(box, 300)))
    assert ended.outcome.ok, ended
    assert started(box) - stopped(box) >= 20.0
    assert any(note.step == "freed" and "memory are free" in note.text for note in box.core.notes)


class GivesBackSlowly(SimRoom):
    """What is free grows by 10 GiB with every look, so many times."""

    def __init__(self, models, times):
        super().__init__(models=models)
        self.looks, self.times = 0, times

    async def free(self):
        self.looks += 1
        return Free(100 * GIB + min(self.looks, self.times) * 10 * GIB)


def test_enough_is_not_stable_while_it_still_comes_back(lab):
    box = lab()
    box.core.room = GivesBackSlowly(box.world, 30)
    box.core.runner = box.core.fresh()
    assert box.do(box.plan()).outcome.ok
    assert started(box) - stopped(box) > 5.0
    assert box.core.room.looks > 30, "the next one starts once two looks are alike"


def test_what_its_last_good_run_took_is_waited_for_where_nothing_is_declared(lab):
    box = lab()
    box.world.declare("a", SimModel(load=2.0, rate=20.0, memory=300 * GIB, late=20.0))
    box.run(_nap(5.0))
    taken = {"a": {"measured": {"memory": 300 * GIB}}, "b": {"measured": {"memory": 300 * GIB}}}
    ended = box.do(box.plan(parts=taken))
    assert ended.outcome.ok, ended
    assert started(box) - stopped(box) >= 20.0


@pytest.mark.parametrize("word", ["0", "gpu:0"])
def test_what_is_declared_of_a_card_by_its_number_is_waited_for_where_its_server_runs_on(lab, word):
    """A wake, or a load into a server that runs: no container is started, which would wait for its card itself."""
    box = lab(models=(SlotModel("a", "a"), SlotModel("b", "b", sleep=2)))
    box.cards.add()
    box.engine.human_start("b")
    box.run(_nap(5.0))
    ended = box.do(box.plan("sleep", leaves="b", comes=""))
    assert ended.outcome.ok, ended.outcome.text
    box.cards.leave_behind("a", 0, int(60 * GIB))
    needs = dump(Needs(startup=60.0, probe="http://:8000", vram=((word, int(80 * GIB)),)))
    ended = box.do(box.plan("wake", leaves="", comes="b", parts={"b": {"needs": needs}}))
    assert not ended.outcome.ok
    assert "VRAM" in ended.outcome.text
    assert "needs 80 GiB" in ended.outcome.text
    assert ("wake", "b") not in [(verb, name) for verb, name, _at in box.world.verbs]


def test_the_way_back_waits_for_the_memory_of_the_one_that_did_not_do(lab):
    box = lab()
    box.world.declare("b", SimModel(load=3.0, rate=9.0, memory=300 * GIB, late=20.0))
    needs = declared(box, 300)
    ended = box.do(box.plan(parts={"a": {"needs": needs["b"]["needs"]}}))
    assert ended.data.get("holder") == "a", ended.outcome
    ended_b = next(at for op, key, at in reversed(box.engine.writes) if op == "stop")
    again = next(at for op, key, at in reversed(box.engine.writes) if op == "start")
    assert again - ended_b >= 20.0


def test_memory_that_never_comes_back_goes_back(lab):
    box = lab()
    box.world.declare("a", SimModel(load=2.0, rate=20.0, memory=300 * GIB, late=math.inf))
    box.run(_nap(5.0))
    ended = box.do(box.plan(parts=declared(box, 300)))
    assert "there is no room for b" in ended.outcome.text
    assert ended.data["holder"] == "a"
    assert ended.data["no_go"] is None
    assert box.both_ran == []


def test_nothing_is_waited_for_where_everything_was_free_from_the_first_look_on(lab):
    box = lab()
    ended = box.do(box.plan())
    assert ended.outcome.ok
    assert started(box) - stopped(box) < 2.0


def test_looks_are_alike_within_what_others_do_on_the_machine():
    one = Free(100 * GIB, {"GPU-aa": 90 * GIB})
    assert freed.alike(one, Free(100.1 * GIB, {"GPU-aa": 90 * GIB}))
    assert not freed.alike(one, Free(103 * GIB, {"GPU-aa": 90 * GIB}))
    assert not freed.alike(one, Free(97 * GIB, {"GPU-aa": 90 * GIB}))
    assert not freed.alike(one, Free(100 * GIB, {"GPU-aa": 92 * GIB}))
    assert not freed.alike(one, Free(100 * GIB))


async def _nap(seconds):
    await asyncio.sleep(seconds)
