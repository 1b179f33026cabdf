"""What is held ends: by time, by a person, by the container's own end, by ours; and after a kill.

On the whole core with a simulated engine and kernel, on virtual time.
"""

import asyncio

import pytest

from supervisor.actions.memory import holding
from supervisor.facts import EngineEvent
from supervisor.journal import Journal
from supervisor.lab.engine import Behaviour
from supervisor.lab.kernel.load import SimLoad
from tests.sim.memory import MemoryWatcher, held
from tests.sim.stage import Stage, play, read

GIB = 2.0**30
SERVICES = {"box.oracle": {"memory": "4GiB"}}


def tell(story, groups=2, files=None, services=None):
    """Tell a story about one service that uses 6 GiB of its 4; the invariants hold all the way and at the end."""

    async def told(stage: Stage) -> None:
        watcher = MemoryWatcher(stage.world)
        stage.world.kernel.declare("box.oracle", SimLoad(anon=6 * GIB, file=GIB))
        stage.image("local/oracle:1", Behaviour(healthy_after=1.0))
        await stage.up()
        await stage.begin()
        await stage.world.run(80)
        await story(stage)
        assert not [*watcher.found, *held(stage.world)], (watcher.found, held(stage.world), stage.tail())

    return play(told, read(files, services=services or SERVICES), groups=groups)


def frozen(stage: Stage) -> bool:
    box = stage.box()
    group = stage.world.kernel.machine.find(box.id) if box is not None else None
    return group is not None and bool(group.freezers)


def high(stage: Stage) -> float:
    group = stage.world.kernel.machine.find(stage.box().id)
    return group.high


@pytest.mark.parametrize("groups", [1, 2, "hybrid"])
def test_a_freeze_ends_by_itself_and_people_are_told_of_both(groups):
    async def story(stage):
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        assert frozen(stage)
        (hold,) = stage.snapshot.holds
        assert (hold.service, hold.kind) == ("box.oracle", "freeze")
        assert hold.until == pytest.approx(stage.clock.wall() + 55, abs=2)
        await stage.world.run(60)
        assert not frozen(stage)
        assert stage.snapshot.holds == ()
        assert [row.body["reason"] for row in (stage.outcome("freeze"), stage.outcome("thaw"))] == ["verified"] * 2
        assert "time of the freeze is over" in stage.outcome("thaw").body["cause"]

    tell(story, groups)


def test_a_fuse_ends_by_itself_and_memory_high_is_given_back():
    async def story(stage):
        await stage.ask("fuse", **{"for": "10m"})
        await stage.world.run(5)
        assert high(stage) == 7 * GIB
        assert stage.outcome("fuse").body["memory"]["expected"] == 7 * GIB
        await stage.world.run(610)
        assert high(stage) == float("inf")
        assert stage.space("hold") == {}

    tell(story)


def test_a_person_ends_it_earlier_and_it_is_not_ended_twice():
    async def story(stage):
        await stage.ask("freeze")
        await stage.world.run(5)
        await stage.ask("thaw")
        await stage.world.run(200)
        assert not frozen(stage)
        assert len(stage.ended("thaw")) == 1

    tell(story)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_persons_docker_stop_of_what_stands_frozen_lets_it_go_and_stays_their_wish(groups):
    async def story(stage):
        await stage.ask("freeze", **{"for": "1h"})
        await stage.world.run(5)
        stopping = asyncio.ensure_future(stage.engine.stop("box-oracle-1", 10.0))
        await stage.world.run(30)
        assert stopping.done()
        assert stage.box().status == "exited"
        assert (stage.service().wanted.state, stage.service().wanted.by) == ("stopped", "person")
        assert stage.snapshot.holds == ()

    tell(story, groups)


@pytest.mark.parametrize("verb", ["stop", "restart", "phoenix"])
@pytest.mark.parametrize("groups", [1, 2])
def test_what_we_stop_ourselves_is_let_go_first(groups, verb):
    async def story(stage):
        await stage.ask("freeze", **{"for": "1h"})
        await stage.world.run(5)
        await stage.ask(verb)
        await stage.world.run(120)
        assert stage.outcome(verb).body["reason"] == "verified", stage.tail()
        assert stage.snapshot.holds == ()
        assert not stage.ended("thaw"), "the plan itself let it go"

    tell(story, groups)


def test_a_container_that_dies_by_itself_is_forgotten():
    async def story(stage):
        await stage.ask("fuse", **{"for": "1h"})
        await stage.world.run(5)
        stage.engine.crash("box-oracle-1", 1)
        await stage.world.run(5)
        assert stage.snapshot.holds == ()
        assert not stage.ended("unfuse")

    tell(story)


def test_a_renamed_container_is_let_go_all_the_same():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        stage.engine.human_rename("box-oracle-1", "elsewhere")
        await stage.world.run(120)
        assert not stage.world.kernel.machine.find(stage.box("elsewhere").id).freezers

    tell(story)


def test_an_engine_that_is_away_holds_nobody_up():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        stage.engine.go_away()
        await stage.world.run(70)
        assert not frozen(stage)
        stage.engine.come_back()
        await stage.world.run(30)

    tell(story)


@pytest.mark.parametrize("away", [10.0, 3600.0])
def test_after_a_kill_the_next_start_lets_it_go_when_its_time_is_over(away):
    async def story(stage):
        await stage.ask("freeze", **{"for": "2m"})
        await stage.world.run(5)
        await stage.kill()
        await asyncio.sleep(away)
        assert frozen(stage)
        await stage.begin()
        await stage.world.run(5)
        assert frozen(stage) is (away < 100)
        await stage.world.run(130)
        assert not frozen(stage)

    tell(story)


def test_after_a_kill_an_engine_that_is_not_there_holds_nobody_up():
    async def story(stage):
        await stage.ask("freeze", **{"for": "2m"})
        await stage.world.run(5)
        await stage.kill()
        stage.engine.go_away()
        await asyncio.sleep(600)
        await stage.begin()
        await stage.world.run(5)
        assert not frozen(stage)
        stage.engine.come_back()
        await stage.world.run(30)

    tell(story)


def test_where_the_journal_was_lost_people_are_told_what_stands_still_and_can_end_it():
    async def story(stage):
        await stage.ask("freeze", **{"for": "2m"})
        await stage.world.run(5)
        await stage.kill()
        stage.world.disk = Journal.open(None, stage.clock)
        await stage.begin()
        await stage.until(lambda: stage.alert("ServiceFrozen"), 900, "ServiceFrozen")
        assert frozen(stage), "nobody knows who let it stand still: a person, perhaps"
        await stage.ask("thaw")
        await stage.world.run(5)
        assert not frozen(stage)

    tell(story)


def test_an_orderly_end_of_ours_lets_go_and_says_so():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1h"})
        await stage.ask("fuse", **{"for": "1h"})
        await stage.world.run(5)
        assert len(stage.snapshot.holds) == 2
        await stage.stop()
        assert not frozen(stage)
        assert high(stage) == float("inf")
        assert stage.space("hold") == {}
        assert "Resurgam ends" in stage.outcome("thaw").body["cause"]

    tell(story)


def test_a_pause_of_everything_does_not_keep_it_frozen():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        await stage.ask("pause", target="*")
        await stage.world.run(70)
        assert not frozen(stage)

    tell(story)


@pytest.mark.parametrize("jump", [-28800.0, 28800.0])
def test_a_clock_that_jumps_makes_it_neither_longer_nor_shorter(jump):
    async def story(stage):
        await stage.ask("freeze", **{"for": "2m"})
        await stage.world.run(5)
        stage.clock.jump(jump)
        await stage.world.run(60)
        assert frozen(stage)
        await stage.world.run(70)
        assert not frozen(stage)

    tell(story)


def test_a_kernel_that_does_not_let_go_is_asked_again():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        stage.world.kernel.fault = lambda operation, path: 5 if operation == "write" else 0
        await stage.world.run(90)
        assert frozen(stage)
        stage.world.kernel.fault = lambda operation, path: 0
        await stage.world.run(60)
        assert not frozen(stage)

    tell(story)


@pytest.mark.parametrize("verb", ["freeze", "fuse"])
def test_a_mistake_of_our_own_right_after_it_leaves_nothing_held(monkeypatch, verb):
    before = holding.told

    def mistaken(hand, *memory, **figures):
        if hand.plan.verb == verb:
            raise KeyError("a defect")
        return before(hand, *memory, **figures)

    monkeypatch.setattr(holding, "told", mistaken)

    async def story(stage):
        await stage.ask(verb, **{"for": "1h"})
        await stage.world.run(15)
        assert stage.outcome(verb).body["reason"] == "degraded"
        assert not frozen(stage)
        assert high(stage) == float("inf")

    tell(story)


def test_after_a_clock_that_was_put_back_a_docker_stop_is_heard_all_the_same():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1h"})
        await stage.world.run(5)
        stage.clock.jump(-28800.0)
        await stage.world.run(5)
        stage.engine.human_stop("box-oracle-1", grace=600.0)
        await stage.world.run(5)
        assert not frozen(stage)

    tell(story, groups=1)


def test_a_clock_that_is_put_back_in_the_midst_of_it_makes_it_no_longer():
    async def story(stage):
        def back(operation, path):
            writes.append(path) if operation == "write" else None
            if len(writes) == 3:  # asked twice whether it may be written, then it is
                writes.append("")
                stage.clock.jump(-28800.0)
            return 0

        begun, writes = stage.clock.wall(), []
        stage.world.kernel.fault = back
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        assert stage.clock.wall() < begun
        assert frozen(stage)
        await stage.world.run(70)
        assert not frozen(stage)

    tell(story)


def test_late_news_of_the_start_of_this_very_run_ends_no_hold():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        box = stage.box()
        at = round((box.started_at + 0.2) * 1e9)
        now, mono = stage.clock.wall(), stage.clock.mono()
        stage.life.core.submit(EngineEvent(now, mono, "sim", "container", box.id, "start", at))
        await stage.world.run(5)
        assert frozen(stage)
        assert len(stage.snapshot.holds) == 1
        await stage.world.run(60)
        assert not frozen(stage)

    tell(story)


def test_what_a_person_paused_meanwhile_is_theirs():
    async def story(stage):
        await stage.ask("freeze", **{"for": "1m"})
        await stage.world.run(5)
        stage.engine.human_pause("box-oracle-1")
        await stage.world.run(90)
        assert stage.box().status == "paused"
        assert not stage.ended("thaw")

    tell(story)


UNWELL = """
groups:
- name: owner
  rules:
  - alert: Unwell
    expr: resurgam_service_healthy{name="box-oracle-1"} == 0
    for: 10s
    annotations: {action: "restart"}
"""


def test_what_a_freeze_stirs_up_starts_nothing():
    async def story(stage):
        await stage.ask("freeze", **{"for": "2m"})
        await stage.world.run(5)
        stage.engine.set_health("box-oracle-1", "unhealthy")
        await stage.world.run(60)
        assert stage.alert("Unwell").state == "firing"
        assert not stage.ended("restart")
        assert stage.refusals("own_action")
        stage.engine.set_health("box-oracle-1", "healthy")
        await stage.world.run(120)
        assert not stage.ended("restart")

    tell(story, files={"owner.yaml": UNWELL})
