"""What lies between the stop and the start of a Phoenix: few calls, none of them a look that another one waits for; and
still nothing goes on from a state that nobody has seen."""

from dataclasses import replace

import pytest

from supervisor.lab.engine import Behaviour, Fault, SimImage
from supervisor.services import is_temp
from supervisor.verdicts import Reason
from tests.support.runner import sim_box

GOOD = SimImage(tags=("local/oracle:1",), run=Behaviour(healthy_after=2.0))


@pytest.fixture
def box():
    with sim_box() as made:
        made.good = made.engine.add_image(GOOD)
        yield made


def healthy(box, **changes):
    box.engine.add_image(SimImage(tags=("local/oracle:0",), run=Behaviour(healthy_after=2.0, **changes)))
    box.engine.human_run("oracle", "local/oracle:0", policy="always")
    box.let(4.0)
    return box.service("oracle", proved_image=box.good)


def between(box, plan):
    """Run it; (ending, the calls from the stop's to the start's, in order, as (operation, temporary names by then))."""
    calls = []

    def heard(op, _key):
        names = [each.name for each in box.engine.containers() if is_temp(each.name)]
        calls.append((op, [name.split("resurgam-")[1].split("-")[0] for name in sorted(names)]))

    box.engine.fault = heard
    ended = box.run(box.core.run(plan))
    ops = [op for op, _names in calls]
    first, last = ops.index("stop"), ops.index("start")
    return ended, calls[first : last + 1]


def test_only_what_has_to_be_done_keeps_the_service_away(box):
    ended, calls = between(box, box.plan("phoenix", healthy(box), box.good))
    assert ended.outcome.ok
    assert sorted(op for op, _names in calls) == ["inspect", "rename", "rename", "set_policy", "start", "stop"]
    assert [op for op, _names in calls if op != "inspect"] == ["stop", "set_policy", "rename", "rename", "start"]


def test_the_old_one_is_looked_at_once_it_is_parked_and_before_the_new_one_starts(box):
    _ended, calls = between(box, box.plan("phoenix", healthy(box), box.good))
    looked = [names for op, names in calls if op == "inspect"]
    assert looked == [["new", "parked"]]


def test_how_the_old_one_ended_is_kept(box):
    plan = box.plan("phoenix", healthy(box, stop_code=3), box.good)
    box.run(box.core.run(plan))
    data = box.core_data()
    assert data["old_exit"] == 3
    assert data["ended_at"] > data["stopped_at"]
    assert "It stopped with exit code 3." in [note.text for note in box.core.notes]


def test_a_stop_that_takes_long_is_followed_by_a_look_at_both(box):
    _ended, calls = between(box, box.plan("phoenix", healthy(box, stop_takes=3.0), box.good))
    assert [op for op, _names in calls][:4] == ["stop", "inspect", "inspect", "set_policy"]


def test_who_renames_the_old_one_while_it_stops_keeps_that_name(box):
    plan = box.plan("phoenix", healthy(box, stop_takes=3.0), box.good)

    def rename(op, _key, when):
        if (op, when) == ("stop", "before"):
            box.engine.on_call = None
            box.engine.world.timers.after(1.0, lambda: box.engine.human_rename("oracle", "mine"))

    box.engine.on_call = rename
    box.run(box.core.run(plan))
    seen = box.engine.container(plan.container_id)
    assert seen is None or seen.name == "mine"


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("op", ["stop", "set_policy", "rename"])
@pytest.mark.parametrize("fault", [Fault.effect_then_timeout(), Fault.effect_then_cut()])
def test_an_answer_that_was_lost_is_followed_by_a_look(box, op, nth, fault):
    plan, calls, left = box.plan("phoenix", healthy(box), box.good), [], [nth]

    def lose(asked, _key):
        calls.append(asked)
        left[0] -= asked == op
        return fault if asked == op and left[0] == 0 else None

    box.engine.fault = lose
    assert box.run(box.core.run(plan)).outcome.ok
    at = [index for index, asked in enumerate(calls) if asked == op]
    if len(at) >= nth:
        assert calls[at[nth - 1] + 1] == "inspect"
    assert calls.count(op) == {"stop": 1, "set_policy": 1, "rename": 2}[op]


def test_a_look_beside_that_fails_is_made_up_for_before_the_start(box):
    plan, calls = box.plan("phoenix", healthy(box), box.good), []

    def lose(asked, _key):
        beside = asked == "inspect" and calls[-1:] == ["rename"] and calls.count("rename") == 2
        calls.append(asked)
        return Fault.cut() if beside and calls.count("start") == 0 and calls[-3:-1] != ["inspect"] else None

    box.engine.fault = lose
    assert box.run(box.core.run(plan)).outcome.ok
    second = len(calls) - 1 - calls[::-1].index("rename")
    assert calls[second + 1 : calls.index("start")] == ["inspect"] * 3, calls


def test_an_old_one_that_somebody_starts_before_it_is_held_down_does_not_run_beside_the_new_one(box):
    plan, starts = box.plan("phoenix", healthy(box), box.good), []

    def meddle(op, key, when):
        if (op, when) == ("stop", "after") and not starts:
            starts.append("by hand")
            box.engine.human_start(plan.container_id)
        if (op, when) == ("start", "before"):
            others = [each.status for each in box.engine.containers() if each.id != key]
            assert "running" not in others

    box.engine.on_call = meddle
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason in (Reason.VERIFIED, Reason.ROLLED_BACK)
    running = [each.name for each in box.engine.containers() if each.running]
    assert running == ["oracle"]


def test_a_container_in_a_crash_loop_is_handed_back_and_started_again(box):
    """It was started by the engine after our last look at it: that is not our start on the way back."""
    bad = box.engine.add_image(SimImage(tags=("local/oracle:2",), run=Behaviour(exit_after=0.2, exit_code=139)))
    box.engine.human_run("oracle", "local/oracle:2", policy="always")
    box.let(4.0)
    service = replace(box.service("oracle", healthy=False, streak=4), proved_image="")
    worse = box.engine.add_image(SimImage(tags=("local/oracle:3",), run=Behaviour(exit_after=0.1, exit_code=1)))
    box.run(box.core.run(box.plan("phoenix", service, worse)))
    seen = box.engine.container("oracle")
    assert seen.image_id == bad
    assert seen.status in ("restarting", "running")
