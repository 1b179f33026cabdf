"""The hands on model servers: who answers is found out without disturbing it, verbs come about, answers are whole."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import ServerError
from supervisor.facts import Container, Needs, ServerLook, SlotModel
from supervisor.facts.slots import ASLEEP, FAILED, LOADED, LOADING, UNKNOWN, UNLOADED
from supervisor.ports import ModelAt
from supervisor.servers import described
from supervisor.servers.finding import kinds
from supervisor.servers.hands import ModelServers
from tests.support import models
from tests.support.described_servers import DOUBLES, Double
from tests.support.own_servers import LlamaRouter, OllamaServer, VllmServer, address

TELLS = {"sglang", "llama-swap", "lm-studio", "localai", "tabbyapi", "vllm-mlx", "triton", "openai", "opta-lmx"}
"""described kinds that are found out; another one must be declared"""


class Ticking(ManualClock):
    """Every look at it takes a moment, so that what is awaited in vain ends at once."""

    def mono(self) -> float:
        self.advance(0.001)
        return super().mono()


@asynccontextmanager
async def hands() -> AsyncIterator[ModelServers]:
    made = ModelServers(Ticking(), poll=0.0)
    try:
        yield made
    finally:
        await made.close()


def at(url: str, name: str = "a", *, inside: bool = True, server: str = "", sleep: int = 0, key: str = "") -> ModelAt:
    return ModelAt(SlotModel(name, inside=inside, url=url, server=server, sleep=sleep, key_file=key, model=name))


async def seen(double: Double, **said: bool) -> ServerLook:
    async with address(double) as url, hands() as servers:
        return await servers.look(at(url, **said), 60.0)


# ------------------------------------------------------------ who answers


@pytest.mark.parametrize("name", sorted(TELLS & set(DOUBLES)))
async def test_a_described_server_is_found_out_and_not_disturbed(name: str) -> None:
    double = DOUBLES[name](loaded=["a"])
    look = await seen(double, inside=name not in ("sglang", "openai"))
    assert look.server == name
    assert double.disturbed == []


@pytest.mark.parametrize(
    ("double", "name", "inside"),
    [
        (LlamaRouter(loaded=["a"]), "llama-server", True),
        (OllamaServer(loaded=["a"]), "ollama", True),
        (VllmServer(), "vllm", False),
    ],
)
async def test_a_server_with_code_of_its_own_is_found_out_and_not_disturbed(
    double: Double, name: str, inside: bool
) -> None:
    look = await seen(double, inside=inside)
    assert (look.server, look.state) == (name, LOADED)
    assert double.disturbed == []


def test_every_kind_can_be_declared() -> None:
    assert set(kinds()) == {"llama-server", "ollama", "vllm"} | set(described.shipped())


async def test_a_declared_kind_is_not_asked_who_it_is() -> None:
    double = OllamaServer(loaded=["a"])
    async with address(double) as url, hands() as servers:
        assert (await servers.look(at(url, server="ollama"), 60.0)).state == LOADED
    assert [path for _method, path, _body in double.got] == ["/api/ps"]


async def test_who_it_is_is_found_out_once_for_each_run() -> None:
    double = OllamaServer(loaded=["a"])
    async with address(double) as url, hands() as servers:
        await servers.look(at(url), 60.0)
        first = len(double.got)
        await servers.look(at(url), 60.0)
        assert len(double.got) == first + 1


async def test_nobody_there_is_unknown_and_said() -> None:
    async with hands() as servers:
        look = await servers.look(at("http://127.0.0.1:9"), 60.0)
        assert (look.state, look.in_flight) == (UNKNOWN, None)
        assert "nothing listens" in look.text
        with pytest.raises(ServerError, match="nothing listens"):
            await servers.load(at("http://127.0.0.1:9"), 0.1)
        with pytest.raises(ServerError, match="nothing listens"):
            await servers.complete(at("http://127.0.0.1:9"), "Hello", 8, 60.0)


async def test_a_server_that_cannot_be_found_names_the_cure() -> None:
    async with hands() as servers:
        look = await servers.look(ModelAt(SlotModel("a", service="s")))
        assert look.state == UNKNOWN
        assert "say url:" in look.text


async def test_its_own_container_is_asked_at_the_port_of_its_probe() -> None:
    double = VllmServer()
    async with address(double), hands() as servers:
        box = Container("c" * 64, "box", "sha256:x", "x", status="running", address="127.0.0.1")
        needs = Needs(probe=f"completion://:{double.port}")
        assert (await servers.look(ModelAt(SlotModel("a", service="s"), needs, box), 60.0)).state == LOADED


# ------------------------------------------------------------ a router of llama.cpp


@pytest.mark.parametrize(
    ("router", "state"),
    [
        (LlamaRouter(loaded=["a"]), LOADED),
        (LlamaRouter(), UNLOADED),
        (LlamaRouter(loaded=["a"], asleep=["a"]), ASLEEP),
        (LlamaRouter(coming=[(9, "load", "a")]), LOADING),
        (LlamaRouter(exits={"a": 1}), FAILED),
        (LlamaRouter(known=("b",)), FAILED),
    ],
)
async def test_what_a_router_says_of_a_model(router: LlamaRouter, state: str) -> None:
    assert (await seen(router)).state == state
    assert router.disturbed == []


async def test_a_router_tells_what_its_model_works_on() -> None:
    look = await seen(LlamaRouter(loaded=["a"], busy=3))
    assert look.in_flight == 1  # one ended with each of the two looks at its list
    assert (look.identity.model, look.identity.aliases, look.identity.context) == ("a", ("a-too",), 4096)
    assert look.used == 5.0


async def test_a_router_loads_and_unloads_once_and_cuts_nobody() -> None:
    router = LlamaRouter(late=3, busy=4)
    async with address(router) as url, hands() as servers:
        await servers.load(at(url), 60.0)
        assert router.loaded == ["a"]
        verbs = len(router.disturbed)
        assert "already" in await servers.load(at(url), 60.0)
        router.busy = 4
        await servers.unload(at(url), 60.0)
        assert (router.loaded, router.cut) == ([], 0)
        assert "already" in await servers.unload(at(url), 60.0)
        assert len(router.disturbed) == verbs + 1


async def test_a_router_that_cannot_load_says_why() -> None:
    full = LlamaRouter(loaded=["b"], most=1)
    async with address(full) as url, hands() as servers:
        with pytest.raises(ServerError, match="unload another one first"):
            await servers.load(at(url), 60.0)
    broken = LlamaRouter(fails=True)
    async with address(broken) as url, hands() as servers:
        with pytest.raises(ServerError, match="exit code 1"):
            await servers.load(at(url), 60.0)


async def test_a_question_never_loads() -> None:
    for double in (LlamaRouter(), OllamaServer()):
        async with address(double) as url, hands() as servers:
            with pytest.raises(ServerError, match="load"):
                await servers.complete(at(url), "Hello", 8, 60.0)
        assert double.disturbed == []


# ------------------------------------------------------------ Ollama


async def test_ollama_tells_what_its_model_takes_and_until_when() -> None:
    look = await seen(OllamaServer(loaded=["a"], until="2031-01-01T00:00:00Z"))
    assert (look.memory, look.vram) == (5 << 30, 15 << 30)
    assert look.identity.context == 8192
    assert look.until == pytest.approx(1924992000.0)
    assert look.in_flight is not None  # by its connections: it does not count
    assert (await seen(OllamaServer(loaded=["a"]))).until == 0.0


async def test_ollama_loads_for_good_and_puts_away() -> None:
    double = OllamaServer(late=2)
    async with address(double) as url, hands() as servers:
        await servers.load(at(url), 60.0)
        assert double.loaded == ["a"]
        assert "already" in await servers.load(at(url), 60.0)
        double.until = "2031-01-01T00:00:00Z"
        await servers.load(at(url), 60.0)  # it would have left by itself
        assert double.until.startswith("2318")
        await servers.unload(at(url), 60.0)
        assert double.loaded == []
        assert "already" in await servers.unload(at(url), 60.0)


async def test_ollama_without_the_model_says_how_to_get_it() -> None:
    double = OllamaServer(known=("b",))
    assert (await seen(double)).state == FAILED
    async with address(double) as url, hands() as servers:
        with pytest.raises(ServerError, match="ollama pull a"):
            await servers.load(at(url), 60.0)


async def test_ollama_answers_without_being_loaded_anew_or_kept_longer() -> None:
    double = OllamaServer(loaded=["a"], until="2031-01-01T00:00:00Z")
    async with address(double) as url, hands() as servers:
        found = await servers.complete(at(url), "Count.", 8, 60.0, exact=True)
        assert (found.text, found.tokens, found.prompt_tokens) == (" six, seven", 8, 30)
        assert (found.rate, found.prompt_rate) == (16.0, 300.0)
        asked = double.got[-1][2]
        assert asked["options"] == {"num_predict": 8, "temperature": 0, "num_ctx": 8192}
        assert float(asked["keep_alive"].removesuffix("s")) == pytest.approx(1924992000.0 - 1760000000.0, abs=5)
        assert double.disturbed == []
        double.breaks = True
        with pytest.raises(ServerError, match="broke off after 2 pieces"):
            await servers.complete(at(url), "Count.", 8, 60.0)


# ------------------------------------------------------------ vLLM


@pytest.mark.parametrize("level", [1, 2])
async def test_vllm_sleeps_at_its_level_and_wakes_with_its_own_weights(level: int) -> None:
    double = VllmServer(busy=4)
    async with address(double) as url, hands() as servers:
        where = at(url, inside=False, sleep=level)
        await servers.sleep(where, 60.0)
        assert (double.level, double.cut) == (level, 0)
        look = await servers.look(where, 60.0)
        assert (look.state, look.loaded) == (ASLEEP, ())
        assert "already" in await servers.sleep(where, 60.0)
        await servers.wake(where, 60.0)
        assert (double.level, double.tags, double.weights, double.fell) == (0, [], True, "")
        assert "already" in await servers.wake(where, 60.0)
        assert (await servers.look(where, 60.0)).state == LOADED


async def test_vllm_that_was_half_woken_is_woken_to_the_end() -> None:
    double = VllmServer(level=2, weights=False, tags=["kv_cache"])
    async with address(double) as url, hands() as servers:
        await servers.wake(at(url, inside=False, sleep=2), 60.0)
    assert (double.level, double.tags, double.weights) == (0, [], True)


async def test_vllm_put_to_sleep_deeper_by_somebody_gets_its_weights_back_too() -> None:
    double = VllmServer(level=2, weights=False, tags=["weights", "kv_cache"])
    async with address(double) as url, hands() as servers:
        await servers.wake(at(url, inside=False, sleep=1), 60.0)
    assert double.weights


async def test_vllm_that_cannot_sleep_says_what_to_switch_on() -> None:
    double = VllmServer(sleeps=False)
    async with address(double) as url, hands() as servers:
        with pytest.raises(ServerError, match="--enable-sleep-mode"):
            await servers.sleep(at(url, inside=False, sleep=1), 60.0)
        assert (await servers.look(at(url, inside=False), 60.0)).state == LOADED
    assert double.disturbed == []


async def test_vllm_is_not_asked_for_text_while_it_sleeps() -> None:
    async with address(VllmServer(level=1)) as url, hands() as servers:
        with pytest.raises(ServerError, match="while it sleeps"):
            await servers.complete(at(url, inside=False, sleep=1), "Hello", 8, 60.0)


async def test_a_paused_vllm_is_not_taken_for_loaded() -> None:
    look = await seen(VllmServer(paused=True), inside=False)
    assert look.state == UNKNOWN
    assert "paused" in look.text


# ------------------------------------------------------------ before anybody is asked


@pytest.mark.parametrize(
    ("verb", "model", "says"),
    [
        ("sleep", SlotModel("a", service="a"), "sleep: 1 or 2"),
        ("wake", SlotModel("a", service="a"), "sleep: 1 or 2"),
        ("load", SlotModel("a", service="a"), "inside: true"),
        ("unload", SlotModel("a", service="a"), "inside: true"),
        ("sleep", SlotModel("a", service="a", sleep=1, server="llama-server"), "--sleep-idle-seconds"),
        ("sleep", SlotModel("a", service="a", sleep=1, server="openai"), "OpenAI"),
    ],
)
async def test_what_cannot_be_done_is_said_before_and_refused(verb: str, model: SlotModel, says: str) -> None:
    async with hands() as servers:
        assert says in servers.cannot(verb, model)
        with pytest.raises(ServerError) as caught:
            await getattr(servers, verb)(ModelAt(model), 60.0)
        assert says in str(caught.value)


async def test_what_can_be_done_or_nobody_knows_is_not_refused() -> None:
    async with hands() as servers:
        assert servers.cannot("sleep", SlotModel("a", service="a", sleep=2)) == ""
        assert servers.cannot("load", SlotModel("a", inside=True, url="http://x:1")) == ""
        assert servers.cannot("unload", SlotModel("a", inside=True, url="http://x:1", server="ollama")) == ""


# ------------------------------------------------------------ keys


async def test_the_key_is_read_at_each_use_and_never_told(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("wrong-secret\n")
    file.chmod(0o600)
    double = DOUBLES["opta-lmx"](loaded=["a"], key="right-secret")
    async with address(double) as url, hands() as servers:
        where = at(url, server="opta-lmx", key=str(file))
        refused = await servers.look(where, 60.0)
        assert refused.state == UNKNOWN
        assert "secret" not in refused.text
        file.write_text("right-secret\n")
        assert (await servers.look(where, 60.0)).state == LOADED


async def test_a_key_that_everyone_may_read_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret-word\n")
    file.chmod(0o644)
    double = DOUBLES["opta-lmx"](loaded=["a"])
    async with address(double) as url, hands() as servers:
        look = await servers.look(at(url, server="opta-lmx", key=str(file)), 60.0)
        assert look.state == UNKNOWN
        assert "chmod o-rwx" in look.text
        assert "secret-word" not in look.text
    assert double.got == []


# ------------------------------------------------------------ answers


async def test_a_server_that_knows_only_plain_completions_is_asked_that_way() -> None:
    for speaks in ((models.TEXT,), (models.CHAT,), (models.TEXT, models.CHAT), (models.NATIVE,)):
        async with models.served(models.ModelServer(speaks=speaks, usage=False)) as server, hands() as servers:
            where = at(f"http://127.0.0.1:{server.port}", inside=False, server="openai")
            found = await servers.complete(where, "Count.", 5, 60.0)
            assert found.text == " 1 2 3 4 5"
            assert found.tokens == 5  # its pieces, since it does not say
            assert 0 < found.first_token <= found.seconds


async def test_an_answer_that_is_not_streamed_has_no_first_token() -> None:
    async with models.served(models.ModelServer(streams=False)) as server, hands() as servers:
        where = at(f"http://127.0.0.1:{server.port}", inside=False, server="openai")
        found = await servers.complete(where, "Count.", 5, 60.0)
        assert (found.text, found.tokens, found.first_token) == (" 6, 7", 5, 0.0)
        assert found.rate == pytest.approx(5 / found.seconds)
