"""The runner's own edges: unknown engines, its own mistakes, plans that run already."""

from dataclasses import replace

import pytest

from supervisor.actions import runner as runner_module
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.verdicts import Reason
from tests.support.runner import sim_box


@pytest.fixture
def box():
    with sim_box() as made:
        made.image = made.engine.add_image(SimImage(tags=("qwen:1",), run=Behaviour(healthy_after=1.0)))
        made.engine.human_run("qwen", "qwen:1", policy="always")
        made.let(3.0)
        yield made


def test_an_engine_that_is_not_there_any_more_ends_the_plan_in_words(box):
    plan = replace(box.plan("restart", box.service("qwen")), engine="other")
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.FAILED
    assert "other" in ended.outcome.text


def test_a_plan_that_runs_is_not_started_twice(box):
    plan = box.plan("restart", box.service("qwen"))

    async def twice():
        box.core.journal[plan.id] = plan
        box.core.runner.start(plan)
        box.core.runner.start(plan)
        return await box.core.wait(plan.id)

    assert box.run(twice()).outcome.ok
    assert [op for op, _key, _at in box.engine.writes] == ["stop", "start"]


def test_a_mistake_of_our_own_is_counted_reported_and_taken_up_once_more(box, monkeypatch):
    calls = []
    real = runner_module.MANEUVERS["phoenix"]

    async def flawed(hand):
        calls.append(hand.resumed)
        if len(calls) == 1:
            monkeypatch.setattr(hand, "stop", None)
        else:
            monkeypatch.undo()
        return await real(hand)

    monkeypatch.setitem(runner_module.MANEUVERS, "phoenix", flawed)
    service = box.service("qwen", proved_image=box.image)
    ended = box.run(box.core.run(box.plan("phoenix", service, box.image)))
    assert calls == [False, True]
    assert box.core.runner.crashes == 1
    assert ended.outcome.ok, ended
    assert [note for note in box.core.notes if "Resurgam itself failed" in note.text]


def test_notify_has_no_steps_and_is_done(box):
    plan = box.plan("notify", box.service("qwen"), message="hello")
    assert plan.steps == ()
    assert box.run(box.core.run(plan)).outcome.ok
    assert box.engine.writes == []
