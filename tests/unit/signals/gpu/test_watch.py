"""The rhythm of looking at the cards: who is asked, how much, and when nobody is."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from supervisor.config.settings import GpuSettings
from supervisor.facts import (
    Container,
    Fact,
    GpuCard,
    GpuProcess,
    GpuReading,
    GpuState,
    Needs,
    Plan,
    Readings,
    Service,
    Snapshot,
    Step,
    Sweep,
)
from supervisor.lab.loop import SimLoop
from supervisor.samples import is_stale
from supervisor.signals.gpu.owners import DEVICES, Owners
from supervisor.signals.gpu.watch import TURN, GpuWatch
from supervisor.verdicts import yes
from tests.support.kernel_files import Files

ONE = "a3b8" * 16
BUS = "00000000:17:00.0"
TURN_LOCK = "gpu:turn"
FAST = {"DCGM_FI_DEV_GPU_TEMP": 38.0}
SLOW = {**FAST, "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 7.0}


class FakeDriver:
    """Answers what a test says, and notes what it was asked."""

    def __init__(self) -> None:
        self.cards: tuple[GpuCard, ...] = (GpuCard(0, "GPU-aa", BUS, "NVIDIA H200", total=100, free=60),)
        self.trouble = ""
        self.asked: list[str] = []
        self.running = False
        self.held = ""

    async def snapshot(self, depth: str) -> GpuReading:
        assert not self.held
        self.asked.append(depth)
        self.running = not self.trouble
        if self.trouble:
            return GpuReading(trouble=self.trouble, text="Why.", full=depth != "fast")
        values = FAST if depth == "fast" else SLOW
        cards = tuple(card if card.error else replace(card, values=values) for card in self.cards)
        return GpuReading(cards, driver="580.1", library="580.1", full=depth != "fast")

    def hold(self, why: str) -> None:
        self.held, self.running = why, False

    def resume(self) -> None:
        self.held = ""


class FakeMachine:
    """A machine with one board."""

    def __init__(self) -> None:
        self.boards: Mapping[str, str] = {BUS: "10de:2335, driver nvidia"}
        self.sleeps = self.sleepy = False
        self.disk: tuple[str, ...] = ("580.1",)
        self.looks = 0

    def find(self) -> Mapping[str, str]:
        self.looks += 1
        return self.boards

    def asleep(self, boards: Sequence[str]) -> bool:
        return self.sleeps and bool(boards)

    def may_sleep(self, boards: Sequence[str]) -> bool:
        return self.sleepy

    def loaded(self) -> bool:
        return bool(self.boards)

    def module(self) -> str:
        return "580.1"

    def libraries(self) -> tuple[str, ...]:
        return self.disk


class Bench:
    def __init__(self, **settings: object) -> None:
        self.loop = SimLoop()
        clock = self.loop.clock
        self.driver, self.machine, self.files = FakeDriver(), FakeMachine(), Files()
        self.snapshot = Snapshot(0.0, 0.0, 1, "box", "0", "epoch", 0, 0.0, "heal", "ok")
        self.facts: list[Readings] = []
        self.owners = Owners(self.files, clock)
        about = (self.owners, self._heard, clock, lambda: self.snapshot, GpuSettings(**settings))
        self.watch = GpuWatch(self.driver, self.machine, *about, host="box", turn=TURN_LOCK)

    def _heard(self, fact: Fact) -> None:
        assert isinstance(fact, Readings)
        self.facts.append(fact)

    def look(self, after: float = 0.0) -> float:
        """One round, so many seconds from now; when it wants the next."""

        async def story() -> float:
            await asyncio.sleep(after)
            return await self.watch.look()

        return self.loop.run_until_complete(story())

    def live(self, seconds: float, then: Callable[[], None] = lambda: None) -> None:
        """Let it run by itself."""

        async def story() -> None:
            task = asyncio.ensure_future(self.watch.run())
            await asyncio.sleep(seconds / 2)
            then()
            await asyncio.sleep(seconds / 2)
            task.cancel()

        self.loop.run_until_complete(story())

    def stands(self, **about: object) -> None:
        self.snapshot = replace(self.snapshot, **about)  # type: ignore[arg-type]
        self.watch.changed()

    @property
    def reading(self) -> GpuReading:
        found = self.facts[-1].gpu
        assert found is not None
        return found


def service(**about: object) -> Service:
    box = Container(ONE, "oracle", "", "", status="running", pid=50, **about)  # type: ignore[arg-type]
    return Service("oracle", "docker", box, yes())


def plan(*begun: str, locks: tuple[str, ...] = (TURN_LOCK,)) -> Plan:
    steps = (Step("look", "before"), Step("stop", "inside"), Step("tidy", "after"))
    about = ("oracle", "docker", {}, "", "", 0.0, "op", ONE, "oracle")
    return Plan(1, "restart", *about, locks=locks, steps=steps, begun=begun)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    return Bench()


# ------------------------------------------------------------ what a reading has


def test_a_reading_has_the_cards_and_what_the_machine_says(bench: Bench) -> None:
    assert bench.look() == 5.0
    assert bench.facts[-1].collector == "gpu"
    assert bench.reading.cards[0].uuid == "GPU-aa"
    assert bench.reading.boards == {BUS: "10de:2335, driver nvidia"}
    assert (bench.reading.trouble, bench.reading.full) == ("", True)
    assert {dict(one.labels)["__name__"] for one in bench.facts[-1].samples} == set(SLOW)


def test_processes_get_their_containers(bench: Bench) -> None:
    bench.owners.take(Sweep(0.0, 0.0, "docker", (Container(ONE, "oracle", "", "", status="running"),)))
    bench.files.files["/proc/4711/cgroup"] = f"0::/docker/{ONE}\n"
    bench.driver.cards = (replace(bench.driver.cards[0], users=(GpuProcess(4711, 40),)),)
    bench.look()
    (user,) = bench.reading.cards[0].users
    assert (user.kind, user.container_id, user.used) == ("container", ONE, 40)
    bench.files.gone("/proc/4711")
    assert bench.owners.owner_of(4711) == ONE


def test_who_may_not_open_the_cards_is_told(bench: Bench) -> None:
    box = Container(ONE, "oracle", "", "", status="running", pid=50, gpu=True)
    bench.owners.take(Sweep(0.0, 0.0, "docker", (box,)))
    bench.files.files["/proc/50/cgroup"] = f"7:devices:/docker/{ONE}\n"
    bench.files.files[f"{DEVICES}/docker/{ONE}/devices.list"] = "c 195:* rwm\n"
    bench.look()
    assert bench.reading.denied == ()
    bench.files.files[f"{DEVICES}/docker/{ONE}/devices.list"] = "c 1:3 rwm\n"
    bench.look(10.0)
    assert bench.reading.denied == (ONE,)


def test_what_is_asked_seldom_stays_in_the_reading_and_makes_no_sample(bench: Bench) -> None:
    bench.look()
    bench.look(5.0)
    assert bench.driver.asked == ["rare", "fast"]
    assert bench.reading.cards[0].values == SLOW
    assert not bench.reading.full
    assert [dict(one.labels)["__name__"] for one in bench.facts[-1].samples] == list(FAST)


def test_a_lost_card_has_no_values_from_before_and_its_series_end(bench: Bench) -> None:
    bench.look()
    bench.driver.cards = (GpuCard(0, "GPU-aa", BUS, error="GPU is lost", code=15),)
    assert bench.look(5.0) == 5.0
    assert bench.reading.cards[0].values == {}
    assert {dict(one.labels)["__name__"] for one in bench.facts[-1].samples if is_stale(one.value)} == set(SLOW)


# ------------------------------------------------------------ the rhythm


def test_it_asks_fast_and_slow_and_rarely(bench: Bench) -> None:
    bench.live(1199.0)
    counts = {depth: bench.driver.asked.count(depth) for depth in ("rare", "slow", "fast")}
    assert counts == {"rare": 2, "slow": 18, "fast": 220}


def test_after_trouble_everything_is_asked_anew(bench: Bench) -> None:
    bench.look()
    bench.driver.trouble = "error"
    assert bench.look(5.0) == 5.0
    bench.driver.trouble = ""
    bench.look(5.0)
    assert bench.driver.asked == ["rare", "fast", "rare"]


@pytest.mark.parametrize("trouble", ["no_driver", "refused", "no_nvml", "mismatch"])
def test_what_lasts_is_told_and_asked_again_slowly(bench: Bench, trouble: str) -> None:
    bench.driver.trouble = trouble
    assert bench.look() == 15.0
    assert (bench.reading.trouble, bench.reading.text) == (trouble, "Why.")
    assert bench.reading.boards == {BUS: "10de:2335, driver nvidia"}


# ------------------------------------------------------------ laziness


def without_gpu(bench: Bench) -> None:
    bench.machine.boards = {}
    bench.driver.cards, bench.driver.trouble = (), "no_driver"


def test_a_machine_without_a_gpu_is_looked_at_once_a_minute_and_nothing_is_told(bench: Bench) -> None:
    without_gpu(bench)
    bench.live(600.0)
    assert bench.machine.looks == 10
    assert bench.driver.asked == []
    assert bench.facts == []


def test_the_first_service_that_asks_for_a_gpu_is_noticed_at_once(bench: Bench) -> None:
    without_gpu(bench)
    bench.live(20.0, then=lambda: bench.stands(services=(service(gpu=True),)))
    assert len(bench.driver.asked) == 1
    assert bench.reading.trouble == "no_driver"


@pytest.mark.parametrize(
    "about", [{"needs": Needs(vram=(("", 1),))}, {"container": service(gpu=True, gpus=("all",)).container}]
)
def test_who_is_to_have_a_gpu_wants_to_know_of_it(bench: Bench, about: Mapping[str, object]) -> None:
    without_gpu(bench)
    bench.stands(services=(replace(service(), **about),))  # type: ignore[arg-type]
    bench.look()
    assert bench.reading.trouble == "no_driver"


def test_a_card_of_another_maker_is_not_looked_for(bench: Bench) -> None:
    without_gpu(bench)
    bench.stands(services=(service(gpu=True, gpus=("/dev/kfd", "/dev/dri/renderD128")),))
    assert bench.look() == 60.0
    assert bench.facts == []


def test_when_nothing_asks_for_a_gpu_any_more_the_core_hears_that_too(bench: Bench) -> None:
    without_gpu(bench)
    bench.stands(services=(service(gpu=True),))
    bench.look()
    bench.stands(services=())
    bench.look(60.0)
    assert (bench.facts[-1].gpu, bench.facts[-1].samples) == (None, ())
    told = len(bench.facts)
    bench.look(60.0)
    assert len(bench.facts) == told


def test_cards_that_are_to_be_there_are_missed_without_a_board(bench: Bench) -> None:
    without_gpu(bench)
    bench.stands(gpus=GpuState(expected=2))
    bench.look()
    assert bench.reading.trouble == "no_driver"


def test_cards_that_the_settings_want_are_missed_without_a_board() -> None:
    bench = Bench(expected=1)
    without_gpu(bench)
    bench.look()
    assert bench.reading.trouble == "no_driver"


def test_switched_off_it_asks_nobody() -> None:
    bench = Bench(enable=False)
    assert "enable: false" in bench.driver.held  # nor does the gate inside plans
    bench.stands(services=(service(gpu=True),))
    bench.live(600.0)
    assert (bench.machine.looks, bench.driver.asked, bench.facts) == (0, [], [])


# ------------------------------------------------------------ hands off


def test_after_a_fault_the_driver_is_not_asked_until_the_core_says_so(bench: Bench) -> None:
    bench.look()
    bench.driver.hold("XID 119.")  # at the edge, the moment the line was read
    bench.look(5.0)
    assert (bench.reading.trouble, bench.reading.text) == ("stopped", "XID 119.")
    bench.stands(gpus=GpuState(quiet="XID 119."))
    bench.look(5.0)
    assert len(bench.driver.asked) == 1
    bench.stands(gpus=GpuState())
    assert not bench.driver.held
    bench.look(5.0)
    assert bench.driver.asked == ["rare", "rare"]


def test_what_the_core_remembers_from_before_a_restart_is_obeyed(bench: Bench) -> None:
    bench.snapshot = replace(bench.snapshot, gpus=GpuState(quiet="XID 79."))
    bench.look()
    assert bench.driver.held == "XID 79."
    assert bench.driver.asked == []


def test_who_else_holds_the_driver_lets_it_go_himself(bench: Bench) -> None:
    bench.driver.hold("A reset is under way.")
    bench.live(120.0)
    assert bench.driver.held == "A reset is under way."
    assert bench.driver.asked == []


def test_a_card_that_is_being_reset_is_not_opened_because_the_core_may_ask_again(bench: Bench) -> None:
    bench.stands(gpus=GpuState(quiet="XID 119."))
    reset = replace(plan("look", "reset"), verb="gpu-reset")
    bench.driver.hold("The card is being reset.")
    bench.stands(plans=(reset,))
    bench.stands(gpus=GpuState())  # a person's `gpu resume`, or the driver's own word, in the middle of it
    bench.look(5.0)
    assert (bench.driver.held, bench.driver.asked) == ("The card is being reset.", [])
    bench.stands(plans=())
    bench.look(5.0)
    assert (bench.driver.held, bench.driver.asked) == ("", ["rare"])


def test_a_person_gets_the_driver_for_a_while(bench: Bench) -> None:
    bench.look()
    bench.stands(gpus=GpuState(released=bench.loop.clock.wall() + 60.0))
    assert "resurgam gpu resume" in bench.driver.held
    bench.look(30.0)
    assert bench.reading.trouble == "stopped"
    bench.look(31.0)
    assert not bench.driver.held
    assert len(bench.driver.asked) == 2


def test_boards_that_sleep_are_not_woken(bench: Bench) -> None:
    bench.machine.sleeps = True
    bench.look()
    assert bench.reading.trouble == "asleep"
    assert bench.reading.boards
    assert bench.driver.asked == []


def test_boards_that_may_sleep_are_left_alone_while_nobody_uses_them(bench: Bench) -> None:
    bench.machine.sleepy = True
    assert bench.look() == 180.0
    bench.driver.cards = (replace(bench.driver.cards[0], users=(GpuProcess(4711, 40),)),)
    assert bench.look(180.0) == 5.0


def test_a_container_that_asks_for_a_card_ends_the_rest(bench: Bench) -> None:
    bench.machine.sleepy = True

    def begins() -> None:
        bench.owners.take(Sweep(0.0, 0.0, "docker", (replace(service(gpu=True).container),)))  # type: ignore[type-var]
        bench.stands(services=(service(gpu=True),))

    bench.live(60.0, then=begins)
    assert len(bench.driver.asked) == 1 + 6


# ------------------------------------------------------------ beside plans


def test_the_driver_is_not_opened_while_a_plan_opens_or_closes_the_cards(bench: Bench) -> None:
    bench.stands(plans=(plan("look", "stop"),))
    assert bench.look() == 5.0
    assert (bench.driver.asked, bench.facts) == ([], [])
    bench.stands(plans=(plan("look", "stop", "tidy"),))
    bench.look(5.0)
    assert len(bench.driver.asked) == 1


@pytest.mark.parametrize("begun", [plan("look"), plan(), plan("look", "stop", locks=("service:oracle",))])
def test_plans_that_touch_no_card_do_not_matter(bench: Bench, begun: Plan) -> None:
    bench.stands(plans=(begun,))
    bench.look()
    assert len(bench.driver.asked) == 1


def test_a_driver_that_is_open_already_is_asked_beside_plans(bench: Bench) -> None:
    bench.look()
    bench.stands(plans=(plan("look", "stop"),))
    bench.look(5.0)
    assert len(bench.driver.asked) == 2


def test_a_plan_that_loads_for_half_an_hour_does_not_blind_us(bench: Bench) -> None:
    bench.stands(plans=(plan("look", "stop"),))
    bench.look()
    bench.look(TURN)
    assert len(bench.driver.asked) == 1


# ------------------------------------------------------------ versions


def test_a_library_that_was_upgraded_on_disk_is_a_mismatch_though_the_driver_answers(bench: Bench) -> None:
    bench.look()
    assert bench.reading.trouble == ""
    bench.machine.disk = ("590.2",)
    bench.look(60.0)
    assert bench.reading.trouble == "mismatch"
    assert (bench.reading.driver, bench.reading.library) == ("580.1", "590.2")
    assert "580.1" in bench.reading.text
    assert "590.2" in bench.reading.text
    assert bench.reading.cards  # what runs goes on, and is watched


def test_a_driver_that_is_held_keeps_its_own_reason(bench: Bench) -> None:
    bench.machine.disk = ("590.2",)
    bench.driver.hold("XID 79.")
    bench.look()
    assert bench.reading.trouble == "stopped"


def test_versions_are_told_where_nobody_can_be_asked(bench: Bench) -> None:
    bench.driver.trouble = "hung"
    bench.look()
    assert (bench.reading.driver, bench.reading.library) == ("580.1", "580.1")
