"""Nobody who is being answered is cut: drained first, and what nobody knows counts as busy."""

import asyncio

from supervisor.verdicts import Reason, no
from tests.support.swap_lab import SimModel


def untouched(box, ended, why):
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert ended.data["why"] == why
    assert "holder" not in ended.data
    assert box.ops() == []
    assert box.status() == {"a": (True, "unless-stopped"), "b": (False, "unless-stopped")}
    assert box.gate.state("oracle").open
    assert box.callers.unanswered == ()


def test_what_is_in_flight_is_waited_for(lab):
    box = lab()
    box.world.busy["a"] = 2
    stopped_with = []
    box.engine.on_call = lambda op, key, when: stopped_with.append(box.world.busy["a"])
    box.loop.call_later(20.0, lambda: box.world.busy.update(a=0))
    ended = box.do(box.plan())
    assert ended.outcome.ok
    assert stopped_with[0] == 0
    assert any(note.step == "drain" and "2 requests in flight" in note.text for note in box.core.notes)


def test_what_does_not_end_in_time_ends_the_swap_with_nothing_touched(lab):
    box = lab()
    box.world.busy["a"] = 1
    ended = box.do(box.plan())
    untouched(box, ended, "in_use")
    assert "1 request in flight after 30s" in ended.outcome.text
    assert "resurgam swap oracle --to b --cut" in ended.outcome.text


def test_what_nobody_knows_counts_as_busy(lab):
    box = lab()
    box.world.declare("a", SimModel(rate=20.0, counts=False))
    ended = box.do(box.plan())
    untouched(box, ended, "in_use")
    assert "nobody knows how many requests a works on" in ended.outcome.text


def test_they_are_cut_where_a_person_says_so(lab):
    box = lab()
    box.world.busy["a"] = 1
    ended = box.do(box.plan(cut="true"))
    assert ended.outcome.ok
    assert ("cut", "oracle", "") in box.gate.told


def test_a_slot_may_allow_it_for_good(lab):
    box = lab(cut=True)
    box.world.busy["a"] = 1
    assert box.do(box.plan()).outcome.ok


def test_a_wish_ends_it_while_it_drains(lab):
    box = lab()
    box.world.busy["a"] = 1
    box.loop.call_later(5.0, lambda: box.core.runner.end(7, no(Reason.PAUSED, "Somebody paused everything.")))
    ended = box.do(box.plan())
    untouched(box, ended, "paused")


def test_a_model_that_does_not_run_is_not_waited_for(lab):
    box = lab(gate=False)
    box.world.busy["a"] = 1
    box.engine.human_stop("a")
    box.run(asyncio.sleep(2.0))
    ended = box.do(box.plan())
    assert ended.outcome.ok
    assert ended.data["holder"] == "b"
