"""The watch over an engine: nothing is lost between subscribing and listing, over losses, restarts and slow answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from supervisor.errors import EngineError
from supervisor.facts import EngineEvent, EngineState, ImageRef, Looked, Readings, Sweep, labels
from supervisor.lab.engine import Behaviour, Fault, SimEngine, SimImage
from supervisor.lab.loop import SimLoop
from supervisor.signals.docker import Watch


class Box:
    """A simulated engine and a watch over it; `facts` is what the core would be handed."""

    def __init__(self, **settings: float) -> None:
        self.loop = SimLoop()
        self.engine = SimEngine(self.loop.clock, "docker")
        self.engine.add_image(SimImage(tags=("local/serve:1",)))
        self.engine.add_image(
            SimImage(
                tags=("local/loop:1",), run=Behaviour(exit_after=0.2, exit_code=139, log=("API_TOKEN=hush", "boom"))
            )
        )
        self.facts: list[Any] = []
        self.watch = Watch(self.engine, self.facts.append, self.loop.clock, **settings)

    def play(self, story: Callable[[], Any]) -> None:
        """Run a story beside the watch, from the moment its first sweep is in."""

        async def both() -> None:
            task = asyncio.ensure_future(self.watch.run())
            await asyncio.sleep(0.5)
            try:
                await story()
            finally:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await asyncio.sleep(0)
            assert [one for one in asyncio.all_tasks() if one is not asyncio.current_task()] == []

        self.loop.run_until_complete(both())
        self.loop.close()

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def events(self, container_id: str) -> list[str]:
        return [event.kind for event in self.of(EngineEvent) if event.object_id == container_id]


@pytest.fixture
def box():
    return Box()


def test_it_says_the_engine_answers_then_tells_everything_at_once(box):
    ids = [box.engine.human_run(name, "local/serve:1") for name in ("a", "b")]

    async def story():
        state, sweep = box.of(EngineState)[0], box.of(Sweep)[0]
        assert (state.up, state.engine, state.identity, state.version) == (True, "docker", "docker-1", "20.10.24")
        assert "answers" in state.text
        assert [one.id for one in sweep.containers] == sorted(ids)
        assert box.facts.index(state) < box.facts.index(sweep)
        assert len(box.of(Sweep)) == 1
        assert not [event for event in box.of(EngineEvent) if event.kind == "subscribed"]

    box.play(story)


def test_a_death_is_told_at_once_and_its_evidence_follows(box):
    async def story():
        box.engine.latency["inspect"] = 3.0
        made = box.engine.human_run("a", "local/loop:1")
        await asyncio.sleep(0.21)
        assert box.events(made) == ["create", "start", "die"]
        assert not box.of(Looked)
        await asyncio.sleep(7)
        looked = box.of(Looked)[-1]
        assert (looked.object_id, looked.container.status, looked.container.exit_code) == (made, "exited", 139)
        assert looked.log == ("API_TOKEN=***", "boom")
        assert len(box.of(Looked)) == 2

    box.play(story)


def test_many_events_are_one_look(box):
    async def story():
        made = box.engine.human_run("a", "local/serve:1")
        for number in range(50):
            box.engine.human_rename(made, f"a{number}")
        await asyncio.sleep(1)
        assert len(box.events(made)) == 52
        looks = [fact for fact in box.of(Looked) if fact.object_id == made]
        assert looks[-1].container.name == "a49"
        assert len(looks) <= 3

    box.play(story)


def test_looks_at_one_container_never_overtake_each_other(box):
    async def story():
        made = box.engine.human_run("a", "local/serve:1")
        await asyncio.sleep(1)
        box.facts.clear()
        late = iter([5.0])
        box.engine.fault = lambda op, key: Fault.delay(next(late, 0.0)) if op == "inspect" else None
        box.engine.human_rename("a", "b")
        await asyncio.sleep(1)
        box.engine.human_rename("b", "c")
        other = box.engine.human_run("other", "local/serve:1")
        await asyncio.sleep(1)
        assert [fact.object_id for fact in box.of(Looked)] == [other]
        await asyncio.sleep(10)
        assert [fact.container.name for fact in box.of(Looked) if fact.object_id == made] == ["c", "c"]

    box.play(story)


def test_a_removed_container_is_looked_at_and_gone(box):
    async def story():
        made = box.engine.human_run("a", "local/serve:1")
        box.engine.human_remove("a", force=True)
        await asyncio.sleep(1)
        assert box.events(made) == ["create", "start", "kill", "die", "destroy"]
        looked = [fact for fact in box.of(Looked) if fact.object_id == made]
        assert looked[-1].container is None
        assert looked[-1].log == ()

    box.play(story)


def test_a_tag_that_moves_is_told_at_once_and_one_that_goes_is_found(box):
    box.engine.human_run("a", "local/serve:1")

    async def story():
        new = box.engine.world.shelf.tags["local/loop:1"]
        box.engine.latency["images"] = 2.0
        box.engine.human_tag("local/loop:1", "local/serve:1")
        await asyncio.sleep(0.01)
        assert [(fact.ref, fact.image_id) for fact in box.of(ImageRef)] == [("local/serve:1", new)]
        await asyncio.sleep(5)
        assert len(box.of(ImageRef)) == 1
        box.engine.human_untag("local/serve:1")
        await asyncio.sleep(5)
        assert [(fact.ref, fact.image_id) for fact in box.of(ImageRef)[1:]] == [("local/serve:1", "")]

    box.play(story)


def test_a_lost_stream_is_told_once_and_what_was_missed_comes_again(box):
    made = box.engine.human_run("a", "local/serve:1")

    async def story():
        box.engine.go_away()
        await asyncio.sleep(30)
        box.engine.crash("a", 139)
        await asyncio.sleep(0)
        assert [state.up for state in box.of(EngineState)] == [True, False]
        box.engine.come_back()
        await asyncio.sleep(20)
        assert [state.up for state in box.of(EngineState)] == [True, False, True]
        assert box.events(made)[-1] == "die"
        assert box.of(Sweep)[-1].containers[0].exit_code == 139
        assert len(box.of(Sweep)) == 2

    box.play(story)


def test_a_restarted_engine_is_a_new_one_and_swept(box):
    made = box.engine.human_run("a", "local/serve:1", policy="always")
    box.engine.human_run("b", "local/serve:1")

    async def story():
        asked = []
        box.engine.fault = lambda op, key: asked.append(op)
        box.engine.restart_engine(down=2.0)
        await asyncio.sleep(20)
        states = box.of(EngineState)
        assert [(state.up, state.identity) for state in states] == [
            (True, "docker-1"),
            (False, "docker-1"),
            (True, "docker-2"),
        ]
        assert {one.name: one.status for one in box.of(Sweep)[-1].containers} == {"a": "running", "b": "exited"}
        assert "die" not in box.events(made)

    box.play(story)


def test_an_absent_engine_is_said_in_words_and_tried_until_it_comes(box):
    box.engine.go_away()

    async def story():
        (state,) = box.of(EngineState)
        assert state.up is False
        assert "does not answer" in state.text
        await asyncio.sleep(600)
        assert len(box.of(EngineState)) == 1
        box.engine.come_back()
        await asyncio.sleep(16)
        assert box.of(EngineState)[-1].up
        assert box.of(Sweep)

    box.play(story)


def test_a_list_that_fails_is_tried_again_before_the_engine_counts_as_lost(box):
    async def story():
        failures = iter([True, True])
        box.engine.fault = lambda op, key: Fault.refuse(500) if op == "list" and next(failures, False) else None
        box.watch.resweep()
        await asyncio.sleep(10)
        assert (len(box.of(Sweep)), len(box.of(EngineState))) == (2, 1)
        box.engine.fault = lambda op, key: Fault.refuse(500, "disk full") if op == "list" else None
        box.watch.resweep()
        await asyncio.sleep(10)
        assert box.of(EngineState)[1].up is False
        assert "disk full" in box.of(EngineState)[1].text

    box.play(story)


def test_sweeps_come_by_themselves_and_are_not_crowded_when_asked_for():
    box = Box(sweep_every=60, stats_every=0)

    async def story():
        await asyncio.sleep(130)
        assert len(box.of(Sweep)) == 3
        for _ in range(20):
            box.watch.resweep()
            await asyncio.sleep(0.1)
        assert len(box.of(Sweep)) <= 7

    box.play(story)


def test_a_look_the_engine_refuses_leads_to_a_sweep_also_where_nothing_else_runs():
    box = Box(stats_every=15)

    async def story():
        box.engine.fault = lambda op, key: Fault.refuse(500) if op == "inspect" else None
        box.engine.human_run("a", "local/serve:1")
        await asyncio.sleep(2)
        assert not box.of(Looked)
        assert "a" in {one.name for one in box.of(Sweep)[-1].containers}

    box.play(story)


def test_stats_are_one_reading_a_round_under_the_names_people_know():
    box = Box(stats_every=15)
    compose = {"com.docker.compose.project": "stack", "com.docker.compose.service": "oracle"}
    box.engine.human_run("stack_oracle_1", "local/serve:1", labels=compose, host={"Memory": 2**30})
    box.engine.human_run("stack_oracle_1.resurgam-parked-1f2e", "local/serve:1")
    box.engine.human_run("dead", "local/serve:1", start=False)

    async def story():
        await asyncio.sleep(31)
        rounds = box.of(Readings)
        assert len(rounds) == 3
        assert {fact.collector for fact in rounds} == {"docker"}
        about = {
            "name": "stack_oracle_1",
            "container_label_com_docker_compose_project": "stack",
            "container_label_com_docker_compose_service": "oracle",
        }
        values = {sample.labels: sample.value for sample in rounds[-1].samples}
        assert values.keys() == {
            labels("container_memory_working_set_bytes", **about),
            labels("container_spec_memory_limit_bytes", **about),
            labels("container_cpu_usage_seconds_total", **about),
            labels("container_last_seen", **about),
        }
        assert values[labels("container_memory_working_set_bytes", **about)] == 50 * 2**20
        assert values[labels("container_spec_memory_limit_bytes", **about)] == 2**30
        assert values[labels("container_cpu_usage_seconds_total", **about)] > 0
        assert values[labels("container_last_seen", **about)] == rounds[-1].at

    box.play(story)


def test_a_container_that_ended_is_seen_no_more():
    """So `time() - container_last_seen > 60`, the public rule, fires for it and for no other."""
    box = Box(stats_every=15)
    box.engine.human_run("stays", "local/serve:1")
    box.engine.human_run("ends", "local/serve:1")

    async def story():
        await asyncio.sleep(20)
        box.engine.human_stop("ends")
        await asyncio.sleep(100)
        seen = {}
        for fact in box.of(Readings):
            seen |= {s.labels: s.value for s in fact.samples if s.labels[0] == ("__name__", "container_last_seen")}
        now = box.loop.clock.wall()
        assert now - seen[labels("container_last_seen", name="stays")] <= 15
        assert 100 < now - seen[labels("container_last_seen", name="ends")] <= 120

    box.play(story)


def test_a_box_where_nothing_runs_is_left_in_peace():
    box = Box(stats_every=15)

    async def story():
        asked = []
        box.engine.fault = lambda op, key: asked.append(op)
        await asyncio.sleep(200)
        assert asked == []
        box.engine.human_run("a", "local/serve:1")
        await asyncio.sleep(1)
        assert len(box.of(Readings)) == 1

    box.play(story)


def test_a_burst_of_300_events_ends_in_the_true_state(box):
    async def story():
        ids = [box.engine.human_run(f"c{number}", "local/loop:1") for number in range(100)]
        box.engine.latency["inspect"] = 0.02
        await asyncio.sleep(60)
        assert len(box.of(EngineEvent)) == 300
        deaths = [event for event in box.of(EngineEvent) if event.kind == "die"]
        assert len(deaths) == len({event.object_id for event in deaths}) == 100
        last = {fact.object_id: fact.container.status for fact in box.of(Looked)}
        assert last == dict.fromkeys(ids, "exited")

    box.play(story)


def test_a_reader_that_fell_behind_sweeps(box):
    async def story():
        made = box.engine.human_run("a", "local/serve:1")
        for number in range(1100):
            box.engine.human_rename(made, f"a{number}")
        await asyncio.sleep(30)
        assert [state.up for state in box.of(EngineState)] == [True, False, True]
        assert [one.name for one in box.of(Sweep)[-1].containers] == ["a1099"]

    box.play(story)


def test_a_defect_of_our_own_is_counted_and_told_and_the_watch_goes_on(box):
    async def story():
        bad = iter([True])
        whole = box.engine.inspect

        async def inspect(key):
            if next(bad, False):
                raise KeyError("surprise")
            return await whole(key)

        box.engine.inspect = inspect
        made = box.engine.human_run("a", "local/serve:1")
        await asyncio.sleep(5)
        assert box.watch.faults == 1
        down = next(state for state in box.of(EngineState) if not state.up)
        assert "KeyError" in down.text
        assert box.of(EngineState)[-1].up
        assert made in {one.id for one in box.of(Sweep)[-1].containers}

    box.play(story)


def test_an_engine_that_takes_no_subscription_is_down(box):
    box.engine.fault = lambda op, key: Fault.refuse(503, "not now") if op == "events" else None

    async def story():
        (state,) = box.of(EngineState)
        assert (state.up, "not now" in state.text) == (False, True)
        with pytest.raises(EngineError):
            await anext(box.engine.events())

    box.play(story)
