"""Who is asked for ever, when, and what counts: on a virtual clock, by a prober that answers as it is told."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.config.watching import ProbeSettings
from supervisor.facts import Container, EngineState, Needs, Probed, Service, Snapshot, Wanted
from supervisor.lab.loop import SimLoop
from supervisor.ports import ProbeResult
from supervisor.signals.probes import questions
from supervisor.signals.probes.watch import AT_ONCE, ProbeWatch
from supervisor.verdicts import yes

OK, NO = ProbeResult(True, "200 OK", 0.01), ProbeResult(False, "connection refused", 0.01)
START = 1_760_000_000.0


def service(name: str = "oracle", started: float = START - 3600.0, **needs: Any) -> Service:
    box = Container(f"id-{name}", name, "sha256:1", "img", status="running", started_at=started)
    declared = Needs(**{"probe": "http://:8000/health", **needs})
    return Service(name, "docker", box, yes("ours"), declared, Wanted(), True)


def snapshot(*services: Service, up: bool = True) -> Snapshot:
    blank = {"at": 0.0, "mono": 0.0, "rev": 1, "host": "h", "version": "1", "epoch": "e", "seq": 1, "started_at": 0.0}
    blank |= {"mode": "heal", "status": "ok", "problems": (), "pauses": {}, "services": services}
    known = {field: blank.get(field, ()) for field in ("alerts", "incidents", "plans", "decisions", "rules")}
    return Snapshot(**blank, engines=(EngineState(0, 0, "docker", up, "", "", ""),), **known)


class Prober:
    """Answers `result`, or what `say` makes of it, after `takes` seconds."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.result, self.takes = clock, OK, 0.0
        self.say: Callable[[str], ProbeResult] = lambda _name: self.result
        self.asked: list[tuple[float, str]] = []
        self.now = self.most = 0

    async def probe(
        self, needs: Needs, container: Container | None, timeout: float, *, gentle: bool = False
    ) -> ProbeResult:
        assert gentle, "nothing is woken by who asks for ever"
        name = container.name if container is not None else needs.probe
        self.asked.append((self.clock.mono(), name))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.takes)
            return self.say(name)
        finally:
            self.now -= 1

    async def benchmark(self, needs: Needs, container: Container) -> ProbeResult:
        raise AssertionError


class Box:
    """A watch, and the snapshot it looks at."""

    def __init__(self, loop: SimLoop, *services: Service, outside: tuple[ProbeSettings, ...] = (), **more: Any) -> None:
        self.clock, self.prober, self.told = loop.clock, Prober(loop.clock), list[Probed]()
        self.snapshot = snapshot(*services)
        self.watch = ProbeWatch(self.prober, self.told.append, self.clock, lambda: self.snapshot, outside, **more)  # type: ignore[arg-type]
        self.task = asyncio.ensure_future(self.watch.run())

    def show(self, *services: Service, up: bool = True) -> None:
        self.snapshot = snapshot(*services, up=up)
        self.watch.changed()

    def when(self, name: str = "oracle") -> list[float]:
        return [at for at, who in self.prober.asked if who == name]

    @property
    def words(self) -> list[str]:
        return ["failing" if one.failing else "ok" if one.ok else "no" for one in self.told]


def played(story: Callable[[SimLoop], Awaitable[None]]) -> None:
    """Play a story in a virtual loop."""
    loop = SimLoop(ManualClock(wall=START))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(story(loop))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
        asyncio.set_event_loop(None)


def test_it_is_asked_at_its_interval_for_ever() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(probe_interval=20.0))
        await asyncio.sleep(300)
        first, *others = box.when()
        assert first < 15
        gaps = [after - before for before, after in itertools.pairwise(others)]
        assert gaps == pytest.approx([20.0] * len(gaps))
        assert len(gaps) > 10
        fact = box.told[-1]
        assert (fact.name, fact.service, fact.container_id, fact.started_at) == (
            "oracle", "oracle", "id-oracle", START - 3600,
        )  # fmt: skip
        assert set(box.words) == {"ok"}

    played(story)


@pytest.mark.parametrize(
    ("needs", "interval", "timeout"),
    [
        ({}, 15.0, 5.0),
        ({"probe": "completion://:8000"}, 60.0, 30.0),
        ({"probe": "", "probe_argv": ("check",)}, 60.0, 10.0),
        ({"probe_interval": 7.0, "probe_timeout": 2.0}, 7.0, 2.0),
        ({"probe_interval": 0.01}, 1.0, 5.0),
    ],
)
def test_the_rhythm_that_suits_its_kind(needs: dict[str, Any], interval: float, timeout: float) -> None:
    (found,) = questions.of_services((service(**needs),))
    assert (found.interval, found.timeout) == (interval, timeout)


def test_failures_count_once_there_are_as_many_in_a_row_as_declared() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(probe_retries=2))
        box.prober.result = NO
        await asyncio.sleep(65)
        assert box.words[:3] == ["no", "failing", "failing"]
        box.prober.result = OK
        await asyncio.sleep(20)
        box.prober.result = NO
        await asyncio.sleep(16)
        assert box.words[-2:] == ["ok", "no"]

    played(story)


@pytest.mark.parametrize("word", ["broken", "asleep"])
def test_what_says_nothing_ends_the_row(word: str) -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(probe_retries=2))
        answers = iter([NO, replace(NO, **{word: True}), NO, NO])
        box.prober.say = lambda _name: next(answers, NO)
        await asyncio.sleep(75)
        assert box.words[:4] == ["no", "no", "no", "failing"]

    played(story)


def test_a_start_has_its_grace_and_is_asked_often_until_it_answers() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(started=START, startup=100.0, probe_retries=2))
        box.prober.result = NO
        await asyncio.sleep(92)
        assert set(box.words) == {"no"}
        assert box.when()[:4] == [0, 5, 10, 15]
        box.prober.result = OK
        await asyncio.sleep(5)
        assert box.words[-1] == "ok"
        asked = len(box.told)
        await asyncio.sleep(30)
        assert len(box.told) - asked <= 3, "from then on at its interval"

    played(story)


def test_the_grace_ends_with_the_first_good_answer_or_with_its_time() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(started=START, startup=1000.0, probe_retries=2))
        await asyncio.sleep(1)
        box.prober.result = NO
        await asyncio.sleep(45)
        assert box.words[-1] == "failing", "it answered well before"
        late = Box(loop, service("late", started=START, startup=100.0, probe_retries=2))
        late.prober.result = NO
        await asyncio.sleep(100)
        assert late.words[-1] == "failing"

    played(story)


def test_what_was_learned_of_its_loads_lengthens_the_grace() -> None:
    loads = (400.0,) * 8
    (found,) = questions.of_services((replace(service(startup=300.0), loads=loads),))
    assert found.startup == 800.0


def test_nobody_asks_what_does_not_run_or_what_a_plan_works_on_or_what_nobody_sees() -> None:
    async def story(loop: SimLoop) -> None:
        one = service(probe_interval=5.0)
        assert one.container is not None
        box = Box(loop, one)
        await asyncio.sleep(30)
        idle = (
            [replace(one, plan=7)],
            [replace(one, container=replace(one.container, status="paused"))],
            [replace(one, container=None)],
            [replace(one, needs=Needs())],
            [],
        )
        for services in idle:
            box.show(*services)
            await asyncio.sleep(0)
            asked = len(box.prober.asked)
            await asyncio.sleep(60)
            assert len(box.prober.asked) == asked, services
        box.show(one, up=False)
        await asyncio.sleep(60)
        assert len(box.prober.asked) == asked
        box.show(one)
        await asyncio.sleep(30)
        assert len(box.prober.asked) > asked

    played(story)


def test_an_answer_that_comes_after_its_run_is_over_is_dropped() -> None:
    async def story(loop: SimLoop) -> None:
        one = service(probe_interval=5.0)
        assert one.container is not None
        box = Box(loop, one)
        box.prober.takes, box.prober.result = 3.0, NO
        await box_asked(box)
        box.show(replace(one, plan=7))
        await asyncio.sleep(30)
        assert box.told == []
        again = replace(one, container=replace(one.container, started_at=loop.clock.wall()))
        box.show(again)
        await asyncio.sleep(4)
        assert [fact.started_at for fact in box.told] == [again.container.started_at]  # type: ignore[union-attr]

    played(story)


async def box_asked(box: Box) -> None:
    """Until a question is on its way."""
    while not box.prober.now:
        await asyncio.sleep(0.1)


def test_a_new_run_is_counted_anew_and_the_same_run_is_not() -> None:
    async def story(loop: SimLoop) -> None:
        one = service(probe_retries=3)
        assert one.container is not None
        box = Box(loop, one)
        box.prober.result = NO
        await asyncio.sleep(32)
        assert box.words[:2] == ["no", "no"]
        box.show(replace(one, deaths=1, container=replace(one.container, started_at=START - 3599.5)))
        await asyncio.sleep(15)
        assert box.words[-1] == "failing", "an inspect says some milliseconds less than the start event"
        box.show(replace(one, container=replace(one.container, started_at=loop.clock.wall())))
        await asyncio.sleep(20)
        assert box.words[-1] == "no"

    played(story)


def test_a_reload_counts() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(probe_interval=600.0))
        await asyncio.sleep(20)
        assert len(box.told) == 1
        box.show(service(probe="tcp://:1", probe_interval=5.0))
        await asyncio.sleep(60)
        assert len(box.told) > 8

    played(story)


def test_only_so_many_are_on_their_way_at_once_and_those_that_hang_do_not_keep_the_others_out() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, *(service(f"s{number:02}") for number in range(60)))
        box.prober.takes = 4.0
        await asyncio.sleep(120)
        assert box.prober.most == AT_ONCE
        assert {fact.name for fact in box.told} == {f"s{number:02}" for number in range(60)}

    played(story)


def test_they_are_spread_over_time() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, *(service(f"s{number:02}") for number in range(30)))
        await asyncio.sleep(180)
        recent = [at for at, _who in box.prober.asked if at > 150]
        for second in range(150, 180):
            assert len([at for at in recent if second <= at < second + 1]) <= 8

    played(story)


def test_one_that_hangs_beyond_all_deadlines_is_given_up_and_held_against_nobody() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service())
        box.prober.takes = 1e6
        await asyncio.sleep(200)
        assert box.told
        assert all(fact.broken for fact in box.told)
        assert box.watch.faults == len(box.told)

    played(story)


def test_a_prober_that_breaks_is_counted_and_said() -> None:
    def breaks(_name: str) -> ProbeResult:
        raise RuntimeError("boom")

    async def story(loop: SimLoop) -> None:
        box = Box(loop, service())
        box.prober.say = breaks
        await asyncio.sleep(40)
        assert box.told[-1].broken
        assert "RuntimeError: boom" in box.told[-1].text
        assert box.watch.faults >= 2

    played(story)


def test_a_command_that_did_not_end_is_given_rest() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(probe="", probe_argv=("check",), probe_interval=2.0, probe_timeout=1.0))
        box.prober.takes, box.prober.result = 1.5, NO
        await asyncio.sleep(100)
        gaps = [after - before for before, after in itertools.pairwise(box.when())]
        assert min(gaps) >= 30

    played(story)


def test_endpoints_outside_are_asked_too_and_have_no_grace() -> None:
    async def story(loop: SimLoop) -> None:
        entry = ProbeSettings.model_validate({"name": "away", "probe": "https://example.org/h", "retries": 1})
        box = Box(loop, outside=(entry,))
        box.prober.result = NO
        await asyncio.sleep(31)
        assert box.told[0] == Probed(
            box.told[0].at, box.told[0].mono, "away", False, "connection refused", 0.01, failing=True
        )
        assert len(box.told) in (2, 3)
        box.show()
        await asyncio.sleep(31)
        assert len(box.told) >= 4, "a new snapshot does not end them"

    played(story)


def test_speed_is_told_of_what_is_well() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service(probe="completion://:8000"))
        box.prober.result = ProbeResult(True, "completed ' 6'", 0.5, rate=2.0)
        await asyncio.sleep(20)
        assert box.told[0].rate == 2.0

    played(story)


def test_a_watch_that_ends_leaves_no_question_behind() -> None:
    async def story(loop: SimLoop) -> None:
        box = Box(loop, service())
        box.prober.takes = 3.0
        await box_asked(box)
        box.task.cancel()
        await asyncio.sleep(0.1)
        assert box.prober.now == 0

    played(story)
