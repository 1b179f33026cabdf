"""Completion probes and benchmarks against a model server: which way it is asked, what counts as an answer."""

import pytest

from supervisor.clock import ManualClock, SystemClock
from supervisor.facts import Benchmark, Container, Needs
from supervisor.servers.asking import ways
from supervisor.signals.probes import ServiceProber
from tests.support.models import CHAT, NATIVE, TEXT, ModelServer, served

BOX = Container("a" * 64, "oracle", "sha256:1", "oracle:1", status="running", address="127.0.0.1")


async def ask(server: ModelServer, path: str = "", timeout: float = 2.0, **needs):
    prober = ServiceProber(ManualClock(), {})
    async with served(server):
        found = await prober.probe(Needs(probe=f"completion://:{server.port}{path}", **needs), BOX, timeout)
        await prober.close()
    return found


async def measure(server: ModelServer, tokens: int = 8, at_least: float = 1.0, within: float = 2.0, probe: str = ""):
    prober = ServiceProber(SystemClock(), {})
    async with served(server):
        needs = Needs(
            probe=probe or f"completion://:{server.port}",
            benchmark=Benchmark(at_least=at_least, tokens=tokens, within=within),
        )
        found = await prober.benchmark(needs, BOX)
        await prober.close()
    return found


@pytest.mark.parametrize(
    ("speaks", "answered"), [((TEXT, CHAT), TEXT), ((CHAT,), CHAT), ((NATIVE,), NATIVE), ((CHAT, NATIVE), CHAT)]
)
async def test_it_is_asked_in_the_way_it_understands(speaks, answered):
    server = ModelServer(speaks=speaks)
    found = await ask(server)
    assert (found.ok, found.broken) == (True, False)
    assert "6, 7" in found.text
    path, body = server.asked[-1]
    assert path == answered
    assert (body.get("max_tokens") or body.get("n_predict")) <= 16, "a probe asks for a few tokens only"


async def test_the_model_is_the_first_that_is_listed_unless_one_is_declared():
    server = ModelServer(models=("first", "second"))
    await ask(server)
    assert [body["model"] for path, body in server.asked if path == TEXT] == ["first"]
    server.asked.clear()
    await ask(server, probe_model="second")
    assert [(path, body["model"]) for path, body in server.asked] == [(TEXT, "second")], "no list is asked for then"


async def test_a_server_without_a_list_of_models_is_asked_without_one():
    server = ModelServer(lists=False)
    assert (await ask(server)).ok
    assert "model" not in server.asked[-1][1]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/openai/v1", "/openai" + TEXT),
        ("/llama", "/llama" + TEXT),
        ("/api/v1/chat/completions", "/api/v1/chat/completions"),
    ],
)
async def test_a_path_goes_in_front_or_is_the_only_one(path, asked):
    server = ModelServer()
    assert (await ask(server, path)).ok
    assert server.asked[-1][0] == asked


@pytest.mark.parametrize("path", ["/v1/completions", "/x/completion", "/v1/chat/completions/"])
def test_an_exact_path_is_one_way(path):
    assert len(ways(path)) == 1


@pytest.mark.parametrize(
    ("status", "said", "broken", "words"),
    [
        (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}, False, "is loading"),
        (503, {"error": "no slot"}, False, "503 no slot"),
        (500, {"error": {"message": "CUDA error: an illegal memory access"}}, False, "illegal memory access"),
        (429, {"error": "busy"}, False, "429 busy"),
        (401, {"error": "no key"}, True, "wants a key"),
        (400, {"detail": "this model does not do completions"}, True, "knows no way to complete"),
        (404, {"error": {"message": "The model `tiny` does not exist"}}, False, "does not serve the model 'tiny'"),
        (200, None, False, "something that is no completion"),
    ],
)
async def test_what_an_unhappy_answer_means(status, said, broken, words):
    server = ModelServer(status=status, said=said)
    if status == 200:
        server._document = lambda *args: []  # type: ignore[method-assign,assignment]
    found = await ask(server)
    assert (found.ok, found.broken) == (False, broken)
    assert words in found.text


async def test_a_server_that_knows_no_completions_is_broken_not_unwell():
    found = await ask(ModelServer(speaks=()))
    assert found.broken
    assert "completion://:8000/v1" in found.text, "it says what to declare"


async def test_an_answer_without_a_token_is_unwell():
    found = await ask(ModelServer(text=""))
    assert (found.ok, found.broken) == (False, False)
    assert "without a single token" in found.text


async def test_nobody_there_yet_is_unwell(unused_tcp_port):
    prober = ServiceProber(ManualClock(), {})
    found = await prober.probe(Needs(probe=f"completion://:{unused_tcp_port}"), BOX, 2.0)
    await prober.close()
    assert (found.ok, found.broken) == (False, False)


async def test_one_that_thinks_too_long_is_unwell():
    found = await ask(ModelServer(takes=5.0), timeout=0.1)
    assert (found.ok, found.broken) == (False, False)
    assert "no answer within" in found.text


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("speaks", [(TEXT,), (CHAT,), (NATIVE,)])
async def test_a_benchmark_counts_the_tokens_over_the_clock(speaks, usage):
    server = ModelServer(speaks=speaks, usage=usage, takes=0.005)
    found = await measure(server, tokens=8)
    assert found.ok
    assert 1.0 < found.rate <= 8 / 0.04, "8 tokens, 5 ms before each"
    assert "tokens/s (8 in" in found.text


async def test_a_server_that_does_not_stream_is_measured_by_its_own_count():
    assert (await measure(ModelServer(streams=False, takes=0.002))).rate > 0
    found = await measure(ModelServer(streams=False, usage=False))
    assert found.broken
    assert "neither streams nor says" in found.text


async def test_a_benchmark_that_ended_at_once_says_nothing_about_speed():
    found = await measure(ModelServer(tokens=2), tokens=64)
    assert found.broken
    assert "2 of 64 tokens" in found.text


async def test_a_benchmark_that_does_not_end_in_time_is_unwell():
    found = await measure(ModelServer(takes=1.0), within=0.1)
    assert (found.ok, found.broken) == (False, False)


async def test_a_benchmark_asks_where_an_http_probe_points():
    server = ModelServer()
    prober = ServiceProber(SystemClock(), {})
    async with served(server):
        needs = Needs(probe=f"http://:{server.port}/health", benchmark=Benchmark(at_least=1.0, tokens=8))
        assert (await prober.benchmark(needs, BOX)).ok
        await prober.close()
    assert server.asked[-1][0] == TEXT


@pytest.mark.parametrize("probe", ["tcp://:1", "grpc://:1"])
async def test_a_benchmark_without_a_model_server_is_broken(probe):
    found = await measure(ModelServer(), probe=probe)
    assert found.broken
    assert "completion://" in found.text
