"""freeze and fuse hold a container until a known moment; thaw and unfuse give back what there was."""

import pytest

from supervisor.facts import Needs
from supervisor.lab.engine import Fault
from supervisor.verdicts import Reason
from tests.support.groups import GIB
from tests.support.runner import Killed


def test_a_freeze_lets_it_stand_still_and_leaves_a_hold_with_its_end(box):
    ended = box.done("freeze", **{"for": "2m"})
    assert ended.outcome.reason is Reason.VERIFIED
    assert box.now.frozen
    assert ended.data["hold"]["until"] == pytest.approx(box.box.clock.wall() + 120, abs=1)
    assert ended.data["memory"]["used_before"] == 6 * GIB
    assert "resurgam thaw leak" in ended.outcome.text
    assert box.engine.writes == [], "the engine is only asked"


def test_the_end_is_durable_before_anything_is_done(box):
    kept = []
    box.groups.on_call = lambda op, _key, when: (
        kept.append(box.box.core.journal[1].data()) if when == "before" else None
    )
    box.done("freeze")
    assert kept[0]["until"] > kept[0]["since"] > 0
    assert kept[0]["pid"] > 0


def test_what_stands_still_goes_on_again(box):
    box.done("freeze")
    ended = box.done("thaw")
    assert ended.outcome.ok
    assert not box.now.frozen


def test_a_thaw_of_our_own_asks_no_engine(box):
    box.done("freeze")
    box.engine.go_away()
    found = {"pid": box.box.engine.world.find("leak").pid or 1, "held_since": 1.0}
    ended = box.run(box.plan("thaw", by="resurgam", found=found))
    assert ended.outcome.ok, ended.outcome
    assert not box.now.frozen


def test_a_thaw_of_what_has_died_is_done(box):
    box.done("freeze")
    box.engine.world.find("leak").override = None
    box.engine.human_stop("leak")
    box.box.let(30)
    assert box.done("thaw").outcome.ok


@pytest.mark.parametrize(("verb", "what"), [("freeze", "frozen"), ("fuse", "high")])
def test_where_the_kernel_cannot_nothing_is_touched_and_the_ladder_climbs_at_once(box, verb, what):
    box.groups.why[verb] = "there is no memory.high with control groups v1; boot with v2"
    ended = box.done(verb)
    assert ended.outcome.reason is Reason.FAILED
    assert ended.data == {"why": "unsupported"}
    assert "boot with v2" in ended.outcome.text
    assert box.box.core.last[1].phase == "before"
    assert not getattr(box.now, what)


@pytest.mark.parametrize("verb", ["freeze", "fuse"])
def test_where_the_kernel_refuses_in_the_midst_the_hold_is_over_at_once(box, verb):
    box.groups.refuse[verb] = "a process is in uninterruptible sleep"
    ended = box.done(verb)
    assert ended.outcome.reason is Reason.FAILED
    assert "uninterruptible" in ended.outcome.text
    assert ended.data["hold"]["until"] <= box.box.clock.wall()


def test_what_does_not_run_is_not_frozen(box):
    plan = box.plan("freeze")
    box.engine.human_stop("leak")
    box.box.let(20)
    ended = box.run(plan)
    assert (ended.outcome.reason, ended.data) == (Reason.FAILED, {"why": "unsupported"})
    assert box.wrote == []


def test_an_engine_that_keeps_silent_ends_it_soon(box):
    plan = box.plan("freeze")
    box.engine.fault = lambda op, key: Fault.cut()
    began = box.box.clock.mono()
    ended = box.run(plan)
    assert ended.outcome.reason is Reason.FAILED
    assert box.box.clock.mono() - began < 20
    assert box.wrote == []


def test_a_fuse_stands_at_the_plan_or_at_what_it_uses_if_that_is_more(box):
    ended = box.done("fuse")
    assert box.now.high == 7 * GIB, "never below what is charged to it"
    assert ended.data["hold"]["before"] == "max"
    assert ended.data["memory"]["expected"] == ended.data["memory"]["got"] == 7 * GIB
    box.groups.set(box.id, anon=GIB, file=0.0, usage=GIB, high=0.0)
    box.done("fuse")
    assert box.now.high == 4 * GIB


def test_a_fuse_that_was_asked_for_is_not_put_below_what_it_uses(box):
    box.done("fuse", at="9GiB")
    assert box.now.high == 9 * GIB
    box.done("fuse", at="1GiB")
    assert box.now.high == 7 * GIB


def test_a_fuse_above_the_limit_would_never_blow(box):
    box.groups.set(box.id, limit=7 * GIB)
    ended = box.done("fuse")
    assert ended.data["why"] == "unsupported"
    assert box.now.high == 0


def test_an_unfuse_gives_back_what_stood_there_before(box):
    box.groups.set(box.id, high=8 * GIB)
    ended = box.done("fuse", at="7.5GiB")
    assert ended.data["hold"]["before"] == str(int(8 * GIB))
    box.done("unfuse", found={"before": ended.data["hold"]["before"], "held_since": 1.0})
    assert box.now.high == 8 * GIB


def test_a_fuse_that_is_not_ours_stays(box):
    box.groups.set(box.id, high=8 * GIB)
    ended = box.done("unfuse")
    assert not ended.outcome.ok
    assert box.now.high == 8 * GIB


def test_our_own_stop_lets_it_go_first(box):
    box.done("freeze")
    seen = []
    box.engine.on_call = lambda op, _key, when: seen.append((op, when, box.now.frozen))
    assert box.done("stop").outcome.ok
    assert seen[0] == ("stop", "before", False)


@pytest.mark.parametrize("verb", ["freeze", "fuse"])
def test_a_kill_anywhere_leaves_it_held_once_and_known(killed_at, verb):
    for number in range(1, 40):
        with killed_at(number) as (box, point):
            try:
                ended = box.done(verb)
            except Killed:
                box.groups.on_call = lambda op, key, when: None
                box.box.let(0.5)
                point.at = -1
                (ended,) = box.box.run(box.box.core.recover())
            else:
                assert number > 5, "there were points to be killed at"
                return
            assert ended.outcome.ok, (point.seen, ended)
            assert ended.data["hold"]["before"] in ("", "max")
            assert box.now.frozen if verb == "freeze" else box.now.high == 7 * GIB
            assert box.box.core.journal == {}
    raise AssertionError("the story has no end")


def test_a_process_that_comes_too_late_lets_it_go(killed_at):
    with killed_at(6) as (box, point):
        with pytest.raises(Killed):
            box.done("freeze", **{"for": "1m"})
        assert point.seen[-1].startswith(("freeze", "permit freeze"))
        box.groups.on_call = lambda op, key, when: None
        box.box.let(600)
        point.at = -1
        (ended,) = box.box.run(box.box.core.recover())
        assert not ended.outcome.ok
        assert ended.data["hold"]["until"] < box.box.clock.wall()


def test_stop_over_plan_leaves_alone_what_keeps_to_its_plan_by_now(box):
    box.groups.set(box.id, anon=3 * GIB)
    ended = box.done("stop", over_plan="true")
    assert (ended.outcome.reason, ended.data) == (Reason.ENDED_EARLY, {"why": "within_plan"})
    assert box.alive("leak")
    box.groups.set(box.id, anon=5 * GIB)
    assert box.done("stop", over_plan="true").outcome.ok
    assert not box.alive("leak")


def test_stop_over_plan_of_what_has_no_plan_is_as_it_was_decided(box):
    assert box.done("stop", needs=Needs(), over_plan="true").outcome.ok
    assert not box.alive("leak")


@pytest.mark.parametrize("verb", ["freeze", "fuse"])
def test_a_run_that_nobody_looked_at_is_not_held(box, verb):
    """Its hold would be of the earlier run, and be forgotten as over: nobody would let the new one go."""

    def anew(step):
        if step == "look":
            box.engine.world.find("leak").started += 0.5

    box.box.core.at_step = anew
    ended = box.done(verb)
    assert ended.outcome.reason is Reason.FAILED
    assert "started anew" in ended.outcome.text
    assert box.wrote == []
