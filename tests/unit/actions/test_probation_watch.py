"""The watch on a simulated engine: what it asks, what decides, and what it reports of its probes."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from supervisor.actions.asking import ENOUGH
from supervisor.actions.hand import Hand
from supervisor.actions.probation import SETTLE, SETTLE_PLAIN, Baseline, load_seconds, watch
from supervisor.facts import Benchmark, EngineEvent, Needs
from supervisor.lab.engine import NEVER, Behaviour, SimImage
from supervisor.ports import ProbeResult
from tests.support.runner import sim_box

PROBE = Needs(probe="http://:8000/health", startup=30.0)


@pytest.fixture
def box():
    with sim_box() as made:
        yield made


class Scripted:
    """A prober that answers one after the other; the last answer for ever. A number is a wait before the next."""

    def __init__(self, *answers, speed=None) -> None:
        self.answers, self.speed = list(answers), speed
        self.times, self.timeouts, self.measured = [], [], 0

    async def probe(self, needs, container, timeout):
        self.times.append(asyncio.get_running_loop().time())
        self.timeouts.append(timeout)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, float):
            await asyncio.sleep(found)
            found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        await asyncio.sleep(0.001)
        return found

    async def benchmark(self, needs, container):
        self.measured += 1
        await asyncio.sleep(2.0)
        return self.speed


WELL, UNWELL = ProbeResult(True, "200 OK"), ProbeResult(False, "503 loading")
BROKEN = ProbeResult(False, "no such tool", broken=True)


def watched(box, prober=None, needs=PROBE, seconds=30.0, run=None, meanwhile=None, made=True):
    """What the watch finds about a container that was just started. `made`: the plan made it."""
    box.engine.add_image(SimImage(tags=("local/m:1",), run=run or Behaviour()))
    box.engine.human_run("m", "local/m:1")
    service = box.service("m", needs=needs)
    plan = box.plan("restart", service)
    if made:
        plan = replace(plan, container_id="f" * 64)
    prober = prober or box.prober
    core = box.core
    hand = Hand(plan, box.engine, prober, core.room, core.permit, core.submit, box.clock)
    found = box.engine.container("m")
    hand.watching = found.id

    async def hear():
        async for event in box.engine.events():
            if isinstance(event, EngineEvent):
                hand.notice(event)

    async def go():
        tasks = [asyncio.ensure_future(hear())]
        if meanwhile is not None:
            tasks.append(asyncio.ensure_future(meanwhile()))
        try:
            return await watch(hand, found.id, seconds, Baseline(found.started_at, 0))
        finally:
            for task in tasks:
                task.cancel()

    began = box.clock.mono()
    finding = box.run(go())
    return finding, box.clock.mono() - began


def test_it_is_asked_from_the_first_second_in_half_second_steps(box):
    prober = Scripted(UNWELL, UNWELL, UNWELL, WELL)
    finding, took = watched(box, prober)
    assert finding.ok
    gaps = [b - a for a, b in zip(prober.times, prober.times[1:], strict=False)]
    assert prober.times[0] < 0.1
    assert all(gap == pytest.approx(0.5, abs=0.05) for gap in gaps)
    assert took == pytest.approx(1.5 + SETTLE, abs=0.2)


def test_it_reports_what_the_probe_said(box):
    finding, _took = watched(box, Scripted(UNWELL, UNWELL, WELL))
    asked = finding.asked
    assert (asked.kind, asked.failed, asked.text, asked.broken) == ("http", 2, "200 OK", "")
    assert asked.ok >= 10
    assert asked.first_ok == pytest.approx(1.0, abs=0.1)
    proof = finding.proof()["probe"]
    assert proof["first_ok_after"] == asked.first_ok
    assert (proof["ok"], proof["failed"], proof["last"]) == (asked.ok, 2, "200 OK")


def test_one_failure_begins_the_stretch_anew(box):
    finding, took = watched(box, Scripted(*[WELL] * 8, UNWELL, WELL))
    assert finding.ok
    assert took == pytest.approx(4.5 + SETTLE, abs=0.3)


def test_never_well_in_its_time_is_its_fault_and_says_what_the_probe_said(box):
    finding, took = watched(box, Scripted(UNWELL), seconds=12.0)
    assert (finding.ok, finding.its_fault) == (False, True)
    assert "503 loading" in finding.text
    assert finding.asked.ok == 0
    assert finding.proof()["probe"]["failed"] > 20
    assert took == pytest.approx(12.0, abs=1.0)


def test_a_death_is_seen_while_a_question_waits(box):
    async def crash():
        await asyncio.sleep(2.0)
        box.engine.crash("m")

    finding, took = watched(box, Scripted(20.0, WELL), meanwhile=crash)
    assert (finding.ok, finding.its_fault) == (False, True)
    assert "139" in finding.text
    assert took < 3.0


def test_a_question_on_its_way_at_the_end_is_waited_for(box):
    """It answered nine times, then hangs: the ninth answer is not the last word."""
    finding, _took = watched(box, Scripted(*[WELL] * 9, 6.0, UNWELL), seconds=20.0)
    assert not finding.ok
    assert "503" in finding.text


def test_slow_answers_must_still_be_enough(box):
    prober = Scripted(*[answer for _ in range(9) for answer in (3.0, WELL)])
    finding, _took = watched(box, prober)
    assert finding.ok
    assert finding.asked.ok == ENOUGH


def test_one_completion_is_enough_and_gets_more_time(box):
    prober = Scripted(20.0, WELL)
    finding, _took = watched(box, prober, Needs(probe="completion://:8000", startup=60.0), seconds=60.0)
    assert finding.ok
    assert finding.asked.ok == 1
    assert prober.timeouts[0] >= 20.0


def test_without_a_completion_a_model_is_not_healthy(box):
    loading = ProbeResult(False, "is loading (Loading model)")
    finding, _took = watched(box, Scripted(loading), Needs(probe="completion://:8000"), seconds=10.0)
    assert not finding.ok
    assert "is loading" in finding.text


def test_a_broken_probe_counts_as_not_there_and_is_said(box):
    finding, took = watched(box, Scripted(BROKEN))
    assert finding.ok
    assert not finding.checked
    assert "its probe cannot run (no such tool) and it runs" in finding.text
    assert finding.asked.broken == "no such tool"
    assert took == pytest.approx(SETTLE_PLAIN, abs=0.2)


def test_a_probe_that_fails_in_a_way_it_should_not_is_held_against_nobody(box):
    finding, _took = watched(box, Scripted(RuntimeError("boom")))
    assert finding.ok
    assert "RuntimeError: boom" in finding.asked.broken


def test_a_health_check_without_its_tool_is_broken_not_unhealthy(box):
    finding, took = watched(box, needs=Needs(), run=Behaviour(check_missing="curl"))
    assert finding.ok
    assert "its health check cannot run" in finding.text
    assert "curl" in finding.check
    assert finding.proof()["check"] == finding.check
    assert took >= SETTLE_PLAIN


def test_a_health_check_that_says_no_is_believed_at_once(box):
    finding, took = watched(box, run=Behaviour(unhealthy_at=1.0, healthy_after=NEVER))
    assert (finding.ok, finding.its_fault) == (False, True)
    assert took < 2.0


def test_a_child_killed_for_want_of_memory_fails_it(box):
    finding, took = watched(box, Scripted(WELL), run=Behaviour(oom_child_after=3.0))
    assert (finding.ok, finding.its_fault) == (False, True)
    assert "out-of-memory" in finding.text
    assert took < 4.0


def test_a_command_is_asked_through_the_engine(box):
    needs = Needs(probe_argv=("true",), startup=30.0)
    finding, _took = watched(box, needs=needs, run=Behaviour(healthy_after=2.0))
    assert finding.ok
    assert finding.asked.kind == "exec"
    assert finding.asked.failed >= 1


def test_a_command_that_does_not_end_is_given_a_rest(box):
    prober = Scripted(*[answer for _ in range(9) for answer in (10.0, UNWELL)])
    watched(box, prober, Needs(probe_argv=("hang",)), seconds=60.0)
    assert len(prober.times) == 2, "the engine cannot end it: others like it must not pile up"


# ------------------------------------------------------------ how fast


FAST = Needs(probe="completion://:8000", benchmark=Benchmark(at_least=12.0, tokens=64, within=60.0))


@pytest.mark.parametrize(
    ("speed", "ok", "its_fault", "words"),
    [
        (ProbeResult(True, "", rate=41.2), True, False, "it answers 41.2 tokens/s, wanted 12"),
        (ProbeResult(True, "", rate=12.0), True, False, "12.0 tokens/s"),
        (ProbeResult(True, "", rate=8.1), False, True, "answers 8.1 tokens/s, wanted 12"),
        (ProbeResult(False, "no answer within 1m"), False, True, "failed its benchmark: no answer within 1m"),
        (ProbeResult(False, "no such path", broken=True), True, False, "its benchmark cannot run (no such path)"),
    ],
)
def test_a_model_is_measured_once_after_it_proved_well(box, speed, ok, its_fault, words):
    prober = Scripted(WELL, speed=speed)
    finding, took = watched(box, prober, FAST, seconds=7.0)
    assert (finding.ok, finding.its_fault) == (ok, its_fault)
    assert words in finding.text
    assert prober.measured == 1
    assert took >= SETTLE + 2.0
    assert finding.rate == speed.rate
    assert finding.proof().get("rate", 0) == speed.rate


def test_the_container_that_was_found_is_not_measured(box):
    """It is what there is: going back to it must not fail because it is slow."""
    prober = Scripted(WELL, speed=ProbeResult(True, "", rate=1.0))
    finding, _took = watched(box, prober, FAST, made=False)
    assert finding.ok
    assert prober.measured == 0


def test_a_model_that_dies_while_it_is_measured_has_died(box):
    prober = Scripted(WELL, speed=ProbeResult(True, "", rate=99.0))
    finding, _took = watched(box, prober, FAST, run=Behaviour(exit_after=SETTLE + 1.0, exit_code=139))
    assert (finding.ok, finding.its_fault) == (False, True)
    assert "139" in finding.text


# ------------------------------------------------------------ how long it took


@pytest.mark.parametrize(
    ("needs", "run", "learned"),
    [
        (PROBE, Behaviour(healthy_after=4.0), True),
        (Needs(), Behaviour(healthy_after=4.0), True),
        (Needs(), Behaviour(), False),
    ],
)
def test_a_load_is_learned_where_more_than_its_running_was_seen(box, needs, run, learned):
    finding, _took = watched(box, needs=needs, run=run)
    hand = SimpleNamespace(data={"launched_start": finding.well_at - 4.25})
    assert load_seconds(hand, "start", finding) == (4.25 if learned else 0.0)
    assert load_seconds(SimpleNamespace(data={}), "start", finding) == 0.0, "it ran already"


def test_a_restart_tells_how_long_it_took(box):
    box.engine.add_image(SimImage(tags=("local/m:1",), run=Behaviour(healthy_after=4.0)))
    box.engine.human_run("m", "local/m:1")
    box.let(5.0)
    ended = box.run(box.core.run(box.plan("restart", box.service("m"))))
    assert ended.outcome.ok
    assert ended.data["load_seconds"] == pytest.approx(4.0, abs=0.7)
