"""The simulated model servers: what they say, what they do, and what they keep of the memory and the cards."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

pytest.register_assert_rewrite("tests.support.model_server_suite")

from supervisor.errors import ServerError  # noqa: E402
from supervisor.facts import Completion, Needs, ServerLook, SlotModel, WeightsLook  # noqa: E402
from supervisor.lab.engine import Behaviour, SimEngine, SimImage  # noqa: E402
from supervisor.lab.fence import Fence, Killed  # noqa: E402
from supervisor.lab.gpu import GIB, SimCards  # noqa: E402
from supervisor.lab.kernel.dockerd import KernelDockerd  # noqa: E402
from supervisor.lab.kernel.sim import SimKernel  # noqa: E402
from supervisor.lab.loop import SimLoop  # noqa: E402
from supervisor.lab.minds import FOR_EVER, NONSENSE, SENSE, SimModel  # noqa: E402
from supervisor.lab.models import SimModels  # noqa: E402
from supervisor.lab.room import SimRoom  # noqa: E402
from supervisor.lab.serving import SimServer, SimWeights  # noqa: E402
from supervisor.ports import ModelAt  # noqa: E402
from tests.support.model_server_suite import CHECKS, Check  # noqa: E402

T = TypeVar("T")
ORACLE = SlotModel("oracle", service="oracle")
SLEEPER = SlotModel("oracle", service="oracle", sleep=1)
INSIDE = SlotModel("small", service="oracle", inside=True, model="small:7b")
ELSEWHERE = SlotModel("mac", inside=True, url="http://mac:1234", model="mac-7b")


class Bench:
    """A box with two cards, and one daemon's hands on its model servers."""

    def __init__(self, loop: Any = None) -> None:
        self.loop = loop or SimLoop()
        clock = self.loop.clock
        memory = {"MemTotal": 384.0 * GIB, "MemAvailable": 376.0 * GIB, "SwapTotal": 0.0, "SwapFree": 0.0}
        self.kernel = SimKernel(clock, lambda: memory, 2)
        self.engine = SimEngine(clock, "docker", lambda clock, name: KernelDockerd(clock, name, self.kernel))
        self.engine.add_image(SimImage(tags=("local/oracle:1",), run=Behaviour(memory=0)).full())
        self.cards = SimCards(clock, self.engine.world, self.kernel)
        self.cards.add(), self.cards.add()
        self.models = SimModels(self.engine, self.cards, self.kernel)
        self.room = SimRoom(models=self.models)
        self.fence, self.points = Fence(), 0
        self.server = SimServer(self.models, self.fence.check, self._point)

    def _point(self) -> None:
        self.points += 1

    def runs(self, name: str = "oracle", **more: Any) -> None:
        self.engine.human_run(name, "local/oracle:1", **more)

    def at(self, model: SlotModel = ORACLE, name: str = "oracle") -> ModelAt:
        return ModelAt(model, container=self.engine.container(name) if not model.url else None)

    def play(self, story: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(story)

    def look(self, model: SlotModel = ORACLE) -> ServerLook:
        return self.play(self.server.look(self.at(model)))

    def do(self, verb: str, model: SlotModel, within: float = 60.0) -> str:
        said: str = self.play(getattr(self.server, verb)(self.at(model), within))
        return said

    def complete(self, model: SlotModel = ORACLE, prompt: str = "Hi", within: float = 60.0) -> Completion:
        return self.play(self.server.complete(self.at(model), prompt, 50, within))

    def pass_by(self, seconds: float) -> None:
        self.play(asyncio.sleep(seconds))

    def stops(self, *names: str) -> None:
        async def story() -> None:
            for name in names:
                self.engine.human_stop(name)
            await asyncio.sleep(1.0)

        self.play(story())

    def used(self) -> tuple[int, int]:
        """GiB of memory, and of the first card."""
        free = self.room.now()
        return round((382 * GIB - free.memory) / GIB), round(95 - free.vram[self.cards.cards[0].uuid] / GIB)


class Lab:
    """Implements model_server_suite.Lab."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.server = bench, bench.server
        self.at = bench.at(SlotModel("oracle", service="oracle", model="tiny"))

    async def kill(self) -> None:
        self.bench.engine.crash("oracle", 137)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        while not await condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    bench = Bench(asyncio.get_running_loop())
    bench.runs()
    yield Lab(bench)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_suite_of_model_servers(check: Check) -> None:
    SimLoop().run_until_complete(check(lab))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_model_loads_with_its_container_and_answers_once_it_is_loaded(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(load=100.0, memory=40 * GIB, vram={0: 60 * GIB}, rate=25.0))
    bench.runs()
    bench.pass_by(50.0)
    look = bench.look()
    assert (look.state, look.in_flight) == ("loading", 0)
    assert look.progress == pytest.approx(0.5, abs=0.01)
    assert bench.used() == (20, 30)
    with pytest.raises(ServerError, match="503: it is loading"):
        bench.complete()
    bench.pass_by(60.0)
    look = bench.look()
    assert (look.state, look.identity.model, look.memory, look.vram) == ("loaded", "oracle", 40 * GIB, 60 * GIB)
    answer = bench.complete()
    assert (answer.text, answer.rate, answer.tokens, answer.model) == (SENSE, 25.0, 50, "oracle")
    assert answer.seconds == pytest.approx(2.1)
    assert bench.used() == (40, 60)
    bench.stops("oracle")
    assert (bench.look().state, bench.used()) == ("unloaded", (0, 0))


def test_one_that_is_never_ready_loads_for_ever(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(load=FOR_EVER))
    bench.runs()
    bench.pass_by(100_000.0)
    assert (bench.look().state, bench.look().progress) == ("loading", -1.0)


def test_what_is_said_of_a_model_counts_for_the_life_it_is_said_in(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(breaks_in=1, sticky=True))
    bench.runs()
    with pytest.raises(ServerError, match="half-way"):
        bench.complete()
    assert bench.look().state == "failed"
    with pytest.raises(ServerError, match="503"):
        bench.complete()
    bench.stops("oracle")
    bench.models.declare("oracle", SimModel(says="another"))
    bench.engine.human_start("oracle")
    assert (bench.look().state, bench.look().identity.model, bench.complete().text) == ("loaded", "another", SENSE)


def test_one_may_die_in_the_middle_of_an_answer(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(dies_in=2))
    bench.runs()
    bench.complete()
    with pytest.raises(ServerError, match="half-way"):
        bench.complete()
    box = bench.engine.container("oracle")
    assert box is not None
    assert (box.status, box.exit_code) == ("exited", 139)
    with pytest.raises(ServerError, match="does not answer"):
        bench.complete()


def test_a_container_that_is_stopped_cuts_what_it_answers(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(rate=1.0))
    bench.runs()

    async def story() -> None:
        asked = asyncio.ensure_future(bench.server.complete(bench.at(), "Hi", 50, 600.0))
        await asyncio.sleep(10.0)
        assert (await bench.server.look(bench.at())).in_flight == 1
        bench.engine.human_stop("oracle")
        with pytest.raises(ServerError, match="half-way"):
            await asked

    bench.play(story())


def test_a_slow_answer_is_waited_for_no_longer_than_said(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(rate=1.0))
    bench.runs()
    began = bench.loop.clock.mono()
    with pytest.raises(ServerError, match="within 20 s"):
        bench.complete(within=20.0)
    assert bench.loop.clock.mono() - began == pytest.approx(20.0, abs=0.1)


def test_answers_are_as_declared(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(answers={"2+3": "It is 5."}))
    bench.runs()
    assert (bench.complete(prompt="What is 2+3?").text, bench.complete().text) == ("It is 5.", SENSE)
    bench.models.declare("oracle", SimModel(senseless=True))
    assert bench.complete(prompt="What is 2+3?").text == NONSENSE


def test_a_sleeper_gives_its_cards_back_and_has_its_weights_wait_in_memory(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(memory=4 * GIB, vram={0: 60 * GIB}))
    bench.runs()
    assert bench.server.cannot("sleep", ORACLE)
    assert not bench.server.cannot("sleep", SLEEPER)
    assert bench.do("sleep", SLEEPER) == bench.do("sleep", SLEEPER) == "its server says asleep"
    assert (bench.look().state, bench.used()) == ("asleep", (64, 0))
    with pytest.raises(ServerError, match="503: it is asleep"):
        bench.complete()
    assert bench.look().state == "asleep", "a look or a question wakes nobody"
    began = bench.loop.clock.mono()
    assert bench.do("wake", SLEEPER) == "its server says loaded"
    assert bench.loop.clock.mono() - began == pytest.approx(0.5, abs=0.01)
    assert (bench.complete().text, bench.used()) == (SENSE, (4, 60))
    assert [verb for verb, _name, _at in bench.models.verbs] == ["sleep", "sleep", "wake"]


def test_a_restart_ends_a_sleep(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(vram={0: 60 * GIB}))
    bench.runs(policy="always")
    bench.do("sleep", SLEEPER)
    bench.engine.crash("oracle")
    bench.pass_by(1.0)
    assert (bench.look(SLEEPER).state, bench.used()[1]) == ("loaded", 60)


def test_one_may_wake_out_of_its_senses_or_hide_that_it_sleeps(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(wakes_senseless=True, hides_sleep=True))
    bench.runs()
    assert bench.complete().text == SENSE
    bench.do("sleep", SLEEPER)
    assert bench.look().state == "loaded"
    assert bench.models.state(bench.at(SLEEPER)) == "asleep"
    with pytest.raises(ServerError):
        bench.complete(within=5.0)
    bench.do("wake", SLEEPER)
    assert bench.complete().text == NONSENSE


def test_models_inside_a_server_come_and_go_while_it_runs(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(load=20.0, memory=8 * GIB), inside="small:7b")
    bench.runs()
    assert (bench.look(INSIDE).state, bench.used()[0]) == ("unloaded", 0)
    began = bench.loop.clock.mono()
    assert bench.do("load", INSIDE) == "its server says loaded"
    assert bench.loop.clock.mono() - began == pytest.approx(20.0, abs=0.1)
    look = bench.look(INSIDE)
    assert (look.state, look.loaded, look.identity.model, bench.used()[0]) == ("loaded", ("small:7b",), "small:7b", 8)
    began = bench.loop.clock.mono()
    bench.do("load", INSIDE)
    assert bench.loop.clock.mono() - began < 1.0, "what is so stays so"
    assert bench.complete(INSIDE).model == "small:7b"
    assert bench.do("unload", INSIDE) == "its server says unloaded"
    assert (bench.look(INSIDE).state, bench.used()[0]) == ("unloaded", 0)


def test_a_load_that_takes_too_long_goes_on_without_whoever_waited(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(load=20.0), inside="small:7b")
    bench.runs()
    with pytest.raises(ServerError, match="not loaded within 5 s"):
        bench.do("load", INSIDE, within=5.0)
    assert bench.look(INSIDE).state == "loading"
    bench.pass_by(16.0)
    assert bench.look(INSIDE).state == "loaded"


def test_a_server_elsewhere_needs_no_container(bench: Bench) -> None:
    assert bench.look(ELSEWHERE).state == "unknown"
    bench.models.declare("mac:1234", SimModel(), inside="mac-7b")
    assert bench.look(ELSEWHERE).state == "unloaded"
    bench.do("load", ELSEWHERE)
    assert bench.complete(ELSEWHERE).text == SENSE
    bench.models.away.add("mac:1234")
    assert bench.look(ELSEWHERE).state == "unknown"
    with pytest.raises(ServerError, match="does not answer"):
        bench.do("unload", ELSEWHERE)


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_a_server_may_refuse(bench: Bench, verb: str) -> None:
    bench.models.declare("oracle", SimModel(refuses={verb: "409: it is in use"}), inside="small:7b")
    bench.runs()
    with pytest.raises(ServerError, match="409: it is in use"):
        bench.do(verb, INSIDE)
    assert bench.models.verbs == []


def test_one_that_says_yes_and_does_not_sleep_is_no_sleeper(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(ignores=("sleep",)))
    bench.runs()
    with pytest.raises(ServerError, match="does not sleep"):
        bench.do("sleep", SLEEPER)


def test_memory_may_come_back_late_or_never(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(memory=10 * GIB, vram={0: 20 * GIB}, late=30.0))
    bench.models.declare("leaky", SimModel(vram={0: 7 * GIB}, late=FOR_EVER))
    bench.runs(), bench.runs("leaky")
    bench.stops("oracle", "leaky")
    bench.pass_by(20.0)
    assert bench.used() == (10, 27)
    bench.pass_by(20.0)
    assert bench.used() == (0, 7)
    bench.pass_by(100_000.0)
    assert bench.used() == (0, 7)


def test_how_many_requests_it_works_on_is_told_where_it_counts_them(bench: Bench) -> None:
    bench.runs()
    bench.models.busy["oracle"] = 3
    assert bench.look().in_flight == 3
    bench.models.declare("oracle", SimModel(counts=False))
    assert bench.look().in_flight is None


def test_callers_reach_it_by_its_address_and_by_its_port(bench: Bench) -> None:
    bench.runs(ports={"8000/tcp": "8001"}, networks=("box",))
    box = bench.engine.container("oracle")
    assert box is not None
    for host in (f"{box.address}:8000", "127.0.0.1:8001"):
        assert bench.play(bench.models.call(f"http://{host}")).text == SENSE
    bench.stops("oracle")
    with pytest.raises(ConnectionRefusedError):
        bench.play(bench.models.call("http://127.0.0.1:8001"))


def test_a_dead_daemon_reaches_no_server_and_every_verb_is_a_place_to_die(bench: Bench) -> None:
    bench.models.declare("oracle", SimModel(load=20.0), inside="small:7b")
    bench.runs()
    bench.do("load", INSIDE)
    bench.complete(INSIDE)
    assert bench.points == 3

    async def story() -> None:
        unload = asyncio.ensure_future(bench.server.unload(bench.at(INSIDE), 5.0))
        await asyncio.sleep(0)
        bench.fence.closed = True
        with pytest.raises(Killed):
            await unload
        with pytest.raises(Killed):
            await bench.server.look(bench.at(INSIDE))

    bench.play(story())
    assert bench.models.state(bench.at(INSIDE)) == "unloaded", "what was sent has its effect"


def test_the_files_of_a_model_are_as_a_test_says() -> None:
    async def story() -> None:
        weights = SimWeights()
        weights.files["bad"] = WeightsLook("gguf", "deepseek3_2", 18)
        assert (await weights.look(SlotModel("bad"))).architecture == "deepseek3_2"
        assert (await weights.look(SlotModel("good", files=("/m.gguf",)))).kind == "gguf"
        assert (await weights.look(ORACLE)).kind == ""

    SimLoop().run_until_complete(story())


def test_what_is_short_is_said_before_anything_starts(bench: Bench) -> None:
    needs = Needs(memory=300 * GIB, vram=(("0", 50 * GIB),))

    def held() -> str:
        box = bench.engine.container("oracle")
        assert box is not None
        return bench.play(bench.room.held(needs, box))

    bench.runs()
    assert held() == "", "where no model is declared there is plenty"
    bench.models.declare("oracle", SimModel(vram={0: 60 * GIB}))
    assert "GPU 0 has 35 GiB of VRAM free, it needs 50 GiB" in held()
    bench.models.declare("oracle", SimModel(memory=100 * GIB))
    assert "of memory are free, it needs 300 GiB" in held()
