"""The simulated cards: what a daemon is told of them, by the same parsing as the real driver's answers."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

pytest.register_assert_rewrite("tests.support.driver_suite")

from supervisor.facts import GpuReading, Sweep  # noqa: E402
from supervisor.lab.engine import SimEngine, SimImage  # noqa: E402
from supervisor.lab.gpu import GIB, HANGS, SimCards, SimReader, SimVram  # noqa: E402
from supervisor.lab.kernel.dockerd import KernelDockerd  # noqa: E402
from supervisor.lab.kernel.machine import Version  # noqa: E402
from supervisor.lab.kernel.sim import SimKernel  # noqa: E402
from supervisor.lab.loop import SimLoop  # noqa: E402
from supervisor.signals.gpu.owners import Owners  # noqa: E402
from tests.support.driver_suite import CHECKS, Check  # noqa: E402

T = TypeVar("T")
ALL = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}


class Bench:
    def __init__(self, groups: Version = 2) -> None:
        self.loop = SimLoop()
        clock = self.loop.clock
        memory = {"MemTotal": 1e12, "MemAvailable": 1e12, "SwapTotal": 0.0, "SwapFree": 0.0}
        kernel = SimKernel(clock, lambda: memory, groups)
        self.engine = SimEngine(clock, "docker", lambda clock, name: KernelDockerd(clock, name, kernel))
        self.engine.add_image(SimImage(tags=("local/oracle:1",)).full())
        self.cards = SimCards(clock, self.engine.world, kernel)
        self.reader, self.owners = SimReader(self.cards), Owners(self.cards, clock)

    def runs(self, name: str = "oracle", **host: object) -> str:
        return self.engine.human_run(name, "local/oracle:1", host=host or dict(ALL))

    def play(self, story: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(story)

    def read(self, depth: str = "fast") -> GpuReading:
        return self.play(self.reader.snapshot(depth))

    def users(self) -> dict[int, list[tuple[str, str, int]]]:
        """Card index -> (kind, container id, GiB) of who uses it."""
        self.owners.take(Sweep(0.0, 0.0, "docker", self.play(self.engine.list())))
        return {
            card.index: [(user.kind, user.container_id, user.used // GIB) for user in card.users]
            for card in self.owners.name(self.read().cards)
        }


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.cards.add()
    made.cards.add()
    return made


def test_who_asks_for_cards_holds_some_of_each(bench: Bench) -> None:
    oracle = bench.runs()
    bench.runs("db", NetworkMode="bridge")
    assert bench.users() == {0: [("container", oracle, 1)], 1: [("container", oracle, 1)]}


def test_what_a_container_holds_grows_while_it_loads_and_is_free_when_it_ends(bench: Bench) -> None:
    bench.cards.vram["oracle"] = SimVram({0: 90 * GIB}, load=300.0)
    oracle = bench.runs()
    bench.loop.clock.advance(150.0)
    assert bench.users() == {0: [("container", oracle, 45)], 1: []}
    bench.loop.clock.advance(1000.0)
    assert bench.read().cards[0].free == (96 - 1 - 90) * GIB
    bench.engine.human_stop("oracle")
    bench.loop.clock.advance(1.0)
    bench.play(bench.engine.list())
    assert bench.users() == {0: [], 1: []}
    assert bench.read().cards[0].free == 95 * GIB


def test_a_process_may_outlive_its_container(bench: Bench) -> None:
    oracle = bench.runs()
    bench.users()
    bench.engine.human_remove("oracle", force=True)
    bench.cards.leave_behind(oracle, 0, 5 * GIB)
    assert bench.users() == {0: [("orphan", oracle, 5)], 1: []}


@pytest.mark.parametrize(("groups", "denied"), [(1, True), (2, False)])
def test_who_lost_the_cards_is_seen_where_the_list_of_devices_can_be_read(groups: Version, denied: bool) -> None:
    bench = Bench(groups)
    bench.cards.add()
    oracle = bench.runs()
    bench.users()
    assert bench.owners.denied() == ()
    bench.cards.strip("oracle")
    assert bench.users() == {0: []}
    assert bench.owners.denied() == ((oracle,) if denied else ())


def test_a_lost_card_has_an_error_and_the_others_go_on(bench: Bench) -> None:
    bench.cards.cards[0].lose()
    first, second = bench.read().cards
    assert (first.error, first.code, first.uuid) == ("GPU is lost", 15, bench.cards.cards[0].uuid)
    assert (second.error, second.total) == ("", 96 * GIB)
    bench.cards.boot()
    assert bench.read().cards[0].error == ""


def test_a_driver_that_hangs_takes_its_time_and_one_that_is_held_is_not_asked(bench: Bench) -> None:
    bench.cards.trouble, bench.cards.text = "hung", "it does not answer"
    began = bench.loop.clock.mono()
    assert bench.read().trouble == "hung"
    assert bench.loop.clock.mono() - began == pytest.approx(HANGS)
    bench.reader.hold("XID 119.")
    assert (bench.read().trouble, bench.read().text) == ("stopped", "XID 119.")
    assert [depth for _at, depth in bench.cards.asked] == ["fast"]


def test_a_verdict_and_hidden_memory_are_told(bench: Bench) -> None:
    bench.cards.cards[0].recovery = "reset"
    bench.cards.cards[0].hidden = 3 * GIB
    card = bench.read("slow").cards[0]
    assert (card.recovery, card.free, card.users) == ("reset", 92 * GIB, ())


class Lab:
    """The simulated driver of a machine with two cards."""

    def __init__(self, bench: Bench) -> None:
        self.cards, self.driver = bench.cards, bench.reader

    def lose(self, index: int) -> None:
        self.cards.cards[index].lose()

    def refuse(self) -> None:
        self.cards.trouble = "refused"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_simulated_driver_passes_the_suite_of_the_real_one(bench: Bench, check: Check) -> None:
    bench.play(check(Lab(bench)))
