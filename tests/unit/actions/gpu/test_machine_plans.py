"""gpu-reset and reboot, step by step, on a simulated machine: what is looked at, what is asked once, what is told."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from supervisor.actions.gpu import plan as machine_plan
from supervisor.actions.gpu.absent import WHY, NoDriver, NoEngine, NoHardware
from supervisor.actions.runner import Runner
from supervisor.clock import ManualClock
from supervisor.errors import EngineError, HardwareError
from supervisor.facts import Container, Fact, Intent, Plan, PlanEnded, StepEnded
from supervisor.lab.engine import SimEngine
from supervisor.lab.gpu import SimCards, SimReader
from supervisor.lab.hardware import SimHardware, SimMachineHands
from supervisor.lab.loop import SimLoop
from supervisor.lab.prober import SimProber
from supervisor.lab.room import SimRoom
from supervisor.verdicts import Reason, Verdict, no, yes

BUS, UUID = "00000000:17:00.0", "GPU-00000000-0000-4000-8000-000000000000"


class Box:
    """A machine with one card, a reader that has it open, and a core that says yes."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop, self.clock = loop, loop.clock
        engine = SimEngine(self.clock)
        self.cards = SimCards(self.clock, engine.world, None)  # type: ignore[arg-type]
        self.card = self.cards.add()
        self.reader = SimReader(self.cards)
        self.reader.open = True
        self.hands = SimMachineHands(self.clock, self.cards, lambda: None, lambda _seconds: None)
        self.refuse: Callable[[str], Verdict | None] = lambda _step: None
        self.asked: list[str] = []
        self.facts: list[Fact] = []
        hardware = SimHardware(self.hands, self.reader, lambda: None)
        ports = (self.permit, self.facts.append, self.clock, None, None, hardware, self.reader)
        self.runner = Runner({}, SimProber(engine), SimRoom(), *ports)

    async def permit(self, _plan: int, step: str, _seen: tuple[Container, ...]) -> Verdict:
        self.asked.append(step)
        refused = self.refuse(step)
        return refused if refused is not None else yes()

    def plan(self, verb: str, **more: Any) -> Plan:
        found = {"uuid": UUID, "bus_id": BUS, "card": "GPU 0 (NVIDIA H200)", "fault": ""}
        target = f"gpu:{UUID}" if verb == "gpu-reset" else "host"
        intent = Intent(verb, target, {}, "a test", "uid:0")
        made = machine_plan.build(intent, plan_id=1, op="abc", now=self.clock.wall(), found=found)
        return replace(made, **more)

    def run(self, plan: Plan, meanwhile: Callable[[], None] | None = None, after: float = 0.0) -> PlanEnded:
        async def whole() -> PlanEnded:
            self.runner.start(plan)
            if meanwhile is not None:
                self.loop.call_later(after, meanwhile)
            while self.runner.running:
                await asyncio.sleep(1.0)
            return next(fact for fact in self.facts if isinstance(fact, PlanEnded))

        return self.loop.run_until_complete(whole())

    def told(self) -> str:
        return " ".join(fact.text for fact in self.facts if isinstance(fact, StepEnded))


@pytest.fixture
def box() -> Iterator[Box]:
    loop = SimLoop(ManualClock())
    asyncio.set_event_loop(loop)
    yield Box(loop)
    asyncio.set_event_loop(None)
    loop.close()


def test_a_reset_lets_go_of_the_driver_first_and_asks_it_again_afterwards(box: Box) -> None:
    box.card.recovery = "reset"
    ended = box.run(box.plan("gpu-reset"))
    assert ended.outcome.reason is Reason.VERIFIED
    assert ended.outcome.text == "GPU 0 (NVIDIA H200) was reset and is well again."
    assert box.asked == ["look", "reset", "verify"]
    assert box.reader.held == ""
    assert box.cards.asked, "its word on the card is what counts"


def test_where_the_reset_fails_the_driver_is_as_it_was(box: Box) -> None:
    box.hands.refuses = "Resetting GPU is not supported."
    ended = box.run(box.plan("gpu-reset"))
    assert ended.outcome.reason is Reason.FAILED
    assert "not supported" in ended.outcome.text
    assert "not tried again by itself" in ended.outcome.text
    assert box.reader.held == ""
    box.facts.clear()
    box.reader.hold("XID 119")
    box.run(box.plan("gpu-reset"))
    assert box.reader.held == "XID 119", "asking would hang as before"


def test_a_card_in_use_is_left_and_a_later_try_is_open(box: Box) -> None:
    box.hands.strangers[BUS] = ("nvidia-persistenced (pid 12)",)
    ended = box.run(box.plan("gpu-reset"))
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert ended.data["why"] == "gpu_busy"
    assert "systemctl stop nvidia-persistenced" in ended.outcome.text
    assert box.hands.resets == []
    assert box.reader.held == ""


def test_a_process_of_ours_that_hangs_in_the_driver_is_waited_for_and_nothing_is_reset(box: Box) -> None:
    box.cards.trouble = "hung"
    ended = box.run(box.plan("gpu-reset"))
    assert (ended.outcome.reason, ended.data["why"]) == (Reason.ENDED_EARLY, "gpu_busy")
    assert "our own process" in ended.outcome.text
    assert box.asked == ["look"], "no leave is asked for what cannot be done"
    assert (box.hands.resets, box.reader.held) == ([], "")


def test_a_word_against_it_in_the_last_moment_ends_it_and_the_driver_is_asked_again(box: Box) -> None:
    box.refuse = lambda step: no(Reason.PAUSED, "Everything is paused.") if step == "reset" else None
    assert box.run(box.plan("gpu-reset")).outcome.reason is Reason.ENDED_EARLY
    assert (box.hands.resets, box.reader.held) == ([], "")


def test_a_card_that_stays_lost_is_told_of_and_not_reset_again(box: Box) -> None:
    box.card.lose()
    box.hands.heals = False
    ended = box.run(box.plan("gpu-reset"))
    assert ended.outcome.reason is Reason.FAILED
    assert "GPU is lost" in ended.outcome.text
    assert len(box.hands.resets) == 1


def test_a_later_process_only_looks(box: Box) -> None:
    ended = box.run(box.plan("gpu-reset", begun=("look", "reset"), recovered=1))
    assert ended.outcome.reason is Reason.VERIFIED
    assert box.hands.resets == []
    assert "was ended while it was being reset" in ended.outcome.text


def test_a_restart_is_announced_and_asked_for_once(box: Box) -> None:
    began = box.clock.mono()
    ended = box.run(box.plan("reboot"))
    assert ended.outcome.reason is Reason.VERIFIED, "the simulated machine comes up without a new process here"
    assert [at - began for at in box.hands.reboots] == [pytest.approx(10.0)]
    assert "`resurgam pause` holds it up" in box.told()


def test_a_wish_in_the_last_moment_ends_it(box: Box) -> None:
    wish = no(Reason.PAUSED, "Everything is paused (lunch).")
    ended = box.run(box.plan("reboot"), lambda: box.runner.end(1, wish), 3.0)
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert box.hands.reboots == []


def test_a_machine_that_does_not_go_down_is_given_up_and_not_asked_again(box: Box) -> None:
    box.hands.goes_down = False
    ended = box.run(box.plan("reboot"))
    assert ended.outcome.reason is Reason.FAILED
    assert "did not within 10m" in ended.outcome.text
    assert len(box.hands.reboots) == 1


def test_the_next_start_says_what_came_of_it(box: Box) -> None:
    asked = box.clock.wall() - 90.0
    marks = (("look", True, {"boot": "boot-0", "asked_at": asked}),)
    ended = box.run(box.plan("reboot", begun=("look", "reboot"), marks=marks, recovered=1))
    assert ended.outcome.reason is Reason.VERIFIED
    assert ended.outcome.text == "The machine was restarted and is back, 1m30s after it was asked."
    box.facts.clear()
    same = (("look", True, {"boot": "boot-1", "asked_at": asked}),)
    ended = box.run(box.plan("reboot", begun=("look", "reboot"), marks=same, recovered=1))
    assert ended.outcome.reason is Reason.FAILED
    assert "may have been asked" in ended.outcome.text
    assert box.hands.reboots == []


@pytest.mark.parametrize("verb", ["gpu-reset", "reboot"])
def test_what_cannot_be_done_here_is_said(box: Box, verb: str) -> None:
    box.hands.missing = "it needs root"
    ended = box.run(box.plan(verb))
    assert (ended.outcome.reason, ended.data["why"]) == (Reason.FAILED, "unsupported")
    assert "it needs root" in ended.outcome.text


def test_nothing_stands_in_where_there_is_no_hardware() -> None:
    async def look() -> None:
        hands, driver = NoHardware(), NoDriver()
        assert hands.cannot("reboot", "") == WHY
        assert (hands.boot(), driver.held) == ("", "")
        for call in (hands.users(BUS), hands.reset_gpu(BUS, 1.0), hands.reboot()):
            with pytest.raises(HardwareError):
                await call
        driver.hold("x")
        assert await driver.release("x")
        driver.resume()
        assert (await driver.snapshot("fast")).trouble == "no_driver"

    asyncio.run(look())
    with pytest.raises(EngineError):
        NoEngine().inspect("x")
