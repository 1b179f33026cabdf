"""Servers that are described by data, each against a double with the replies that it documents: what a look makes of
them, that a look disturbs nothing, and that a verb brings about what it is for, once, or says why not."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import ServerError
from supervisor.facts import ServerLook, SlotModel
from supervisor.facts.slots import ASLEEP, FAILED, LOADED, LOADING, UNKNOWN, UNLOADED
from supervisor.servers import described
from supervisor.servers.door import Door, session
from supervisor.servers.generic import Generic, found
from supervisor.servers.places import Place
from supervisor.servers.understood import Said
from tests.support.described_servers import (
    DOUBLES,
    Double,
    LlamaSwap,
    LmStudio,
    LocalAi,
    MlxLm,
    OpenAi,
    OptaLmx,
    SgLang,
    Tabby,
    Triton,
    VllmMlx,
    served,
)

A = SlotModel("a", inside=True, url="http://127.0.0.1:1")
ALONE = SlotModel("oracle", service="oracle")
BOTH_WAYS = ("opta-lmx", "llama-swap", "lm-studio", "localai", "tabbyapi", "triton")
"""those that load and unload by word"""
BY_REQUEST = ("vllm-mlx", "mlx-lm")
SLOWLY = ("opta-lmx", "llama-swap", "lm-studio", "localai", "triton", "vllm-mlx")
"""those whose loads may come about after they have answered"""


class Timed:
    """A door at which every question takes a second."""

    def __init__(self, door: Door, clock: ManualClock) -> None:
        self.door, self.clock = door, clock

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> Said:
        self.clock.advance(1.0)
        return await self.door.ask(method, path, body, headers, 10.0)

    async def events(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> AsyncGenerator[Said, None]:
        self.clock.advance(1.0)
        async for said in self.door.events(method, path, body, headers, within):
            yield said


class Hands:
    """A kind of server, its double, and the door between them."""

    def __init__(self, name: str, door: Door, key: str = "") -> None:
        self.clock = ManualClock()
        self.generic = Generic(described.shipped()[name], self.clock, poll=0.0)
        self.door, self.headers = Timed(door, self.clock), self.generic.headers(key)

    async def look(self, model: SlotModel = A) -> ServerLook:
        return await self.generic.look(Place(self.door, model, self.headers), 60.0)

    async def do(self, verb: str, model: SlotModel = A, within: float = 60.0) -> str:
        return await self.generic.do(verb, Place(self.door, model, self.headers), within)

    async def recognised(self) -> bool:
        return await self.generic.recognised(self.door, self.headers, 5.0)


# ------------------------------------------------------------ all of them


def test_every_kind_has_a_double_that_says_what_the_real_one_says() -> None:
    assert set(DOUBLES) == set(described.shipped())


@pytest.mark.parametrize("name", DOUBLES)
async def test_a_look_disturbs_nothing_whatever_is_there(name: str) -> None:
    for loaded, model in (([], A), (["a"], A), (["b"], A), ([], ALONE), (["a"], ALONE)):
        double = DOUBLES[name](loaded=list(loaded))
        async with served(double) as door:
            hands = Hands(name, door)
            await hands.look(model)
            await hands.recognised()
        assert double.disturbed == []
        assert double.got


@pytest.mark.parametrize("name", BOTH_WAYS)
async def test_loaded_and_put_away_and_neither_is_done_twice(name: str) -> None:
    double = DOUBLES[name]()
    async with served(double) as door:
        hands = Hands(name, door)
        assert (await hands.look()).state == UNLOADED
        await hands.do("load")
        look = await hands.look()
        assert (look.state, look.server) == (LOADED, name)
        assert "a" in look.loaded
        done = len(double.disturbed)
        assert "already" in await hands.do("load")
        assert len(double.disturbed) == done
        await hands.do("unload")
        assert (await hands.look()).state == UNLOADED
        done = len(double.disturbed)
        assert "already" in await hands.do("unload")
        assert len(double.disturbed) == done


@pytest.mark.parametrize("name", SLOWLY)
async def test_a_verb_returns_once_it_has_come_about_and_not_when_it_was_taken(name: str) -> None:
    double = DOUBLES[name](late=4)
    async with served(double) as door:
        hands = Hands(name, door)
        await hands.do("load")
        assert double.loaded == ["a"]
        if name in BOTH_WAYS:
            await hands.do("unload")
            assert double.loaded == []
            assert double.coming == []


@pytest.mark.parametrize("name", ["llama-swap", "triton", "vllm-mlx"])
async def test_a_load_that_is_under_way_is_waited_for_and_not_begun_again(name: str) -> None:
    double = DOUBLES[name](coming=[(5, "load", "a")])
    async with served(double) as door:
        hands = Hands(name, door)
        assert (await hands.look()).state == LOADING
        assert "already" in await hands.do("load")
        assert double.disturbed == []


@pytest.mark.parametrize("name", SLOWLY)
async def test_what_does_not_come_about_in_time_is_an_error_that_says_how_it_stands(name: str) -> None:
    double = DOUBLES[name](late=10_000)
    async with served(double) as door:
        with pytest.raises(ServerError, match="not loaded in time"):
            await Hands(name, door).do("load", within=20.0)


@pytest.mark.parametrize("name", [*BOTH_WAYS, *BY_REQUEST])
async def test_a_load_that_fails_says_why(name: str) -> None:
    double = DOUBLES[name](fails=True)
    title = described.shipped()[name].title
    async with served(double) as door:
        with pytest.raises(ServerError, match=title) as caught:
            await Hands(name, door).do("load")
        assert double.loaded == []
        assert len(double.disturbed) == 1, "it is not tried again by itself"
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", [*BOTH_WAYS, *BY_REQUEST])
async def test_a_model_it_does_not_have_is_refused_and_nothing_else_is_touched(name: str) -> None:
    double = DOUBLES[name](loaded=["b"] if name != "mlx-lm" else [])
    async with served(double) as door:
        with pytest.raises(ServerError):
            await Hands(name, door).do("load", SlotModel("nobody", inside=True, url="http://x:1"))
        assert double.loaded == (["b"] if name != "mlx-lm" else [])


@pytest.mark.parametrize("name", [*BOTH_WAYS, *BY_REQUEST])
async def test_the_name_its_server_knows_it_by_is_the_one_that_is_sent(name: str) -> None:
    double = DOUBLES[name](known=("org/deep seek:v3.2", "b"))
    asked = SlotModel("oracle", inside=True, url="http://x:1", model="org/deep seek:v3.2")
    async with served(double) as door:
        await Hands(name, door).do("load", asked)
        assert double.loaded == ["org/deep seek:v3.2"]


@pytest.mark.parametrize("name", DOUBLES)
async def test_a_server_that_answers_nonsense_is_unknown(name: str) -> None:
    for status, document in ((200, "<html>"), (500, {"error": {"message": "boom"}}), (200, []), (200, {}), (302, "")):

        class Nonsense(Double):
            def reply(self, method: str, path: str, query: Any, body: Any) -> Any:
                return status, document  # noqa: B023 - it is used before the next one is made

        async with served(Nonsense()) as door:
            look = await Hands(name, door).look()
        assert look.state in (UNKNOWN, UNLOADED), (status, document)
        assert look.state == UNKNOWN or status == 200
        assert look.in_flight is None
        assert look.text


@pytest.mark.parametrize("name", DOUBLES)
async def test_a_server_that_is_not_there_is_an_error_and_no_state(name: str) -> None:
    double = DOUBLES[name]()
    async with served(double) as door:
        hands = Hands(name, door)
        double.fell = "gone"
        look = await hands.look()
        assert look.state in (UNKNOWN, LOADING, FAILED)


@pytest.mark.parametrize(
    "name", ["opta-lmx", "llama-swap", "lm-studio", "localai", "tabbyapi", "vllm-mlx", "sglang", "openai"]
)
async def test_the_key_is_sent_as_the_server_wants_it(name: str) -> None:
    double = DOUBLES[name](key="s3cret", loaded=["a"])
    async with served(double) as door:
        model = ALONE if name == "openai" else A
        assert (await Hands(name, door, "s3cret").look(model)).state == LOADED
        without = await Hands(name, door).look(model)
        assert without.state == UNKNOWN
        assert "key-file" in without.text
        assert "s3cret" not in without.text


# ------------------------------------------------------------ being told apart


@pytest.mark.parametrize("name", [one for one in DOUBLES if described.shipped()[one].recognised])
async def test_each_is_recognised_and_taken_for_no_other(name: str) -> None:
    double = DOUBLES[name](loaded=["a"])
    async with served(double) as door:
        found = [kind for kind in described.shipped() if await Hands(kind, door).recognised()]
    assert found[0] == name
    assert set(found[1:]) <= {"openai", "tabbyapi"}, "what only lists models is taken last"


@pytest.mark.parametrize("name", [one for one in DOUBLES if described.shipped()[one].recognised])
async def test_which_one_it_is_is_found_out_without_disturbing_it(name: str) -> None:
    double = DOUBLES[name](loaded=["a"], key="k" if described.shipped()[name].key else "")
    async with served(double) as door:
        kinds = [Generic(kind, ManualClock()) for kind in described.shipped().values()]
        one = await found(kinds, door, "k", 60.0)
        assert one is not None
        assert one.name == name
        assert double.disturbed == []


async def test_where_nobody_answers_nobody_is_found() -> None:
    kinds = [Generic(kind, ManualClock()) for kind in described.shipped().values()]
    async with session() as web:
        with pytest.raises(ServerError, match="nothing listens"):
            await found(kinds, Door(web, "http://127.0.0.1:1"), "", 60.0)
    async with served(MlxLm()) as door:
        one = await found([kind for kind in kinds if kind.name != "openai"], door, "", 60.0)
        assert one is None


# ------------------------------------------------------------ what each says beside


async def test_opta_lmx_tells_memory_and_work() -> None:
    async with served(OptaLmx(loaded=["a"])) as door:
        look = await Hands("opta-lmx", door).look()
        assert (look.memory, look.used, look.identity.build, look.identity.model) == (20.5e9, 7.0, "0.7.1", "a")


async def test_opta_lmx_never_downloads_for_a_swap() -> None:
    double = OptaLmx(known=())
    async with served(double) as door:
        with pytest.raises(ServerError, match="download it there first"):
            await Hands("opta-lmx", door).do("load")
        assert [path for _method, path, _body in double.disturbed] == ["/admin/models/load"]
        assert "auto_download" not in double.disturbed[0][2]


async def test_lm_studio_puts_every_instance_of_a_model_away() -> None:
    double = LmStudio(loaded=["a", "a#2", "b"])
    async with served(double) as door:
        hands = Hands("lm-studio", door)
        look = await hands.look()
        assert look.identity.aliases == ("a", "a#2")
        assert look.identity.context == 16384
        assert look.loaded == ("a", "a#2", "b")
        await hands.do("unload")
        assert double.loaded == ["b"]


async def test_an_error_is_one_whatever_its_status() -> None:
    """LM Studio before 0.4 knows no such address, and says so with 200."""

    class Old(LmStudio):
        def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
            return super().reply(method, path if method == "GET" else "/unknown", query, body)

    async with served(Old()) as door:
        with pytest.raises(ServerError, match="Unexpected endpoint"):
            await Hands("lm-studio", door).do("load")


async def test_llama_swap_that_stops_a_model_still_has_its_memory() -> None:
    double = LlamaSwap(coming=[(100, "stop", "a")])
    async with served(double) as door:
        assert (await Hands("llama-swap", door).look()).state == UNKNOWN


async def test_localai_tells_memory_and_whether_it_works_and_its_work_is_waited_for() -> None:
    double = LocalAi(loaded=["a"], busy=3)
    async with served(double) as door:
        hands = Hands("localai", door)
        look = await hands.look()
        assert (look.in_flight, look.memory) == (1, 1073741824.0)
        await hands.do("unload")
        assert double.loaded == []


async def test_work_that_does_not_end_in_time_is_not_cut() -> None:
    double = LocalAi(loaded=["a"], busy=10_000)
    async with served(double) as door:
        with pytest.raises(ServerError, match="still works on 1 request"):
            await Hands("localai", door).do("unload", within=30.0)
        assert double.loaded == ["a"]
        assert double.disturbed == []


async def test_tabby_tells_its_load_as_events_and_never_its_health() -> None:
    double = Tabby()
    async with served(double) as door:
        hands = Hands("tabbyapi", door)
        assert await hands.do("load") == "finished"
        assert (await hands.look()).identity.context == 8192
        assert "/health" not in [path for _method, path, _body in double.got]


async def test_tabby_whose_events_break_off_has_not_loaded() -> None:
    double = Tabby(late=-1)
    async with served(double) as door:
        with pytest.raises(ServerError, match="broke off"):
            await Hands("tabbyapi", door).do("load")


async def test_tabby_with_another_model_has_not_this_one() -> None:
    async with served(Tabby(loaded=["b"])) as door:
        look = await Hands("tabbyapi", door).look()
        assert (look.state, look.loaded) == (UNLOADED, ("b",))
        assert (await Hands("tabbyapi", door).look(ALONE)).state == LOADED


async def test_triton_without_explicit_control_says_what_to_do() -> None:
    double = Triton()
    double.explicit = False
    async with served(double) as door:
        with pytest.raises(ServerError, match="--model-control-mode=explicit"):
            await Hands("triton", door).do("load")


async def test_vllm_mlx_tells_its_work_and_says_that_it_cannot_unload() -> None:
    double = VllmMlx(loaded=["a"], busy=2)
    async with served(double) as door:
        hands = Hands("vllm-mlx", door)
        look = await hands.look()
        assert (look.in_flight, look.memory) == (2, 3.5e9)
        assert "own timers" in hands.generic.cannot("unload", A)
        with pytest.raises(ServerError, match="own timers"):
            await hands.do("unload")
        assert double.disturbed == []


async def test_mlx_lm_alone_counts_as_loaded_and_inside_it_nobody_knows() -> None:
    double = MlxLm(loaded=["a"])
    async with served(double) as door:
        hands = Hands("mlx-lm", door)
        assert (await hands.look(ALONE)).state == LOADED
        assert (await hands.look(A)).state == UNKNOWN
        await hands.do("load", SlotModel("b", inside=True, url="http://x:1"))
        assert double.loaded == ["b"]


async def test_a_plain_server_counts_by_what_it_lists() -> None:
    double = OpenAi()
    async with served(double) as door:
        hands = Hands("openai", door)
        look = await hands.look(ALONE)
        assert (look.state, look.identity.model, look.in_flight) == (LOADED, "a", None)
        assert (await hands.look(A)).state == UNKNOWN
        double.coming = [(3, "load", "a")]
        assert (await hands.look(ALONE)).state == LOADING
        for verb in ("load", "unload", "sleep", "wake"):
            assert hands.generic.cannot(verb, ALONE)


# ------------------------------------------------------------ SGLang, which falls over


async def test_sglang_sleeps_and_wakes_with_its_weights_and_both_may_be_repeated() -> None:
    double = SgLang()
    async with served(double) as door:
        hands = Hands("sglang", door)
        look = await hands.look(ALONE)
        assert (look.state, look.in_flight, look.used, look.identity.path) == (LOADED, 0, 77.0, "/models/a")
        await hands.do("sleep", ALONE)
        assert (double.released, double.fell) == (True, "")
        assert (await hands.look(ALONE)).state == ASLEEP
        assert "already" in await hands.do("sleep", ALONE)
        await hands.do("wake", ALONE)
        assert (double.released, double.weights, double.fell, double.mark) == (False, True, "", "default")
        assert "already" in await hands.do("wake", ALONE)
        assert double.fell == ""


async def test_sglang_at_work_is_waited_for() -> None:
    double = SgLang(busy=5)
    async with served(double) as door:
        await Hands("sglang", door).do("sleep", ALONE)
        assert (double.released, double.fell) == (True, "")


async def test_sglang_that_does_not_count_its_work_is_not_put_to_sleep() -> None:
    double = SgLang()
    double.counts = False
    async with served(double) as door:
        with pytest.raises(ServerError, match="--enable-metrics"):
            await Hands("sglang", door).do("sleep", ALONE, within=20.0)
        assert (double.released, double.mark) == (False, "default")


@pytest.mark.parametrize("verb", ["sleep", "wake"])
async def test_sglang_that_was_left_half_way_is_not_touched(verb: str) -> None:
    double = SgLang()
    double.mark = "resurgam-on-the-way"
    async with served(double) as door:
        hands = Hands("sglang", door)
        assert (await hands.look(ALONE)).state == UNKNOWN
        with pytest.raises(ServerError, match="restart its container"):
            await hands.do(verb, ALONE)
        assert double.disturbed == []


async def test_sglang_whose_weights_do_not_come_back_is_not_awake() -> None:
    double = SgLang()
    async with served(double) as door:
        hands = Hands("sglang", door)
        await hands.do("sleep", ALONE)
        double.fails = True
        with pytest.raises(ServerError, match="Failed to get weights"):
            await hands.do("wake", ALONE)
        assert (await hands.look(ALONE)).state == UNKNOWN
