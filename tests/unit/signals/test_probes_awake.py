"""A completion that is asked for ever: of a model that is in memory, one token, never the same text; nothing is woken
or loaded for it, whichever server it is."""

from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.facts import Container, Needs
from supervisor.ports import ProbeResult
from supervisor.signals.probes import ServiceProber
from tests.support import model_servers as servers
from tests.support.model_servers import Server, listed, served

BOX = Container("a" * 64, "oracle", "sha256:1", "oracle:1", status="running", address="127.0.0.1", started_at=1.0)
LATER, SOON, NEVER = "2025-10-09T09:00:00.123456789Z", "2025-10-09T08:53:28Z", "2318-01-18T00:00:00Z"
"""ManualClock begins at 2025-10-09T08:53:20Z"""


async def ask(server: Server, model: str = "", times: int = 1, path: str = "") -> ProbeResult:
    """What the last of so many questions came to."""
    prober = ServiceProber(ManualClock(), {})
    try:
        async with served(server):
            needs = Needs(probe=f"completion://:{server.port}{path}", probe_model=model, probe_from_label=True)
            for _ in range(times):
                found = await prober.probe(needs, BOX, 30.0, gentle=True)
    finally:
        await prober.close()
    assert server.loads == [], "nothing is ever loaded or woken by a question"
    return found


WELL: list[tuple[Server, str, str]] = [
    (servers.vllm("big", "lora"), "", "big"),
    (servers.vllm("big", "lora"), "lora", "lora"),
    (servers.vllm("big", sleeping=False), "", "big"),
    (Server({"/v1/models": listed("m", owner="sglang")}, ("m",)), "", "m"),
    (servers.llama(), "", "tiny"),
    (servers.llama("tiny"), "tiny", "tiny"),
    (servers.router(a="unloaded", b="loaded", c="sleeping"), "", "b"),
    (servers.router(a="unloaded", b="loaded"), "b", "b"),
    (servers.llama_swap("a", "b", b="ready"), "", "b"),
    (servers.lm_studio(a=("llm", "not-loaded"), e=("embeddings", "loaded"), b=("vlm", "loaded")), "", "b"),
    (servers.tabby("a", "b", loaded="b"), "", "b"),
    (servers.localai("a", "b", loaded=("whisper", "b")), "b", "b"),
    (servers.vllm_mlx(a=False, b=True), "", "b"),
    (Server({"/v1/models": listed("only", owner="me")}, ("only",)), "", "only"),
    (Server({"/props": {"default_generation_settings": {}}}, ("",)), "", ""),
    (Server({"/v1/models": {"data": [{"id": "m", "aliases": ["n"]}]}}, ("m",)), "n", "m"),
]

ASLEEP: list[tuple[Server, str, str]] = [
    (servers.vllm("big", sleeping=True), "", "sleeps"),
    (servers.vllm("big", sleeping=False, paused=True), "", "is paused"),
    (servers.llama(sleeping=True), "", "sleeps"),
    (servers.router(a="unloaded", c="sleeping", d="loading"), "", "no model is loaded"),
    (servers.router(a="unloaded", b="loaded"), "a", "a is not loaded (b is)"),
    (servers.llama_swap("a"), "", "no model is loaded"),
    (servers.llama_swap("a", a="starting"), "", "no model is loaded"),
    (servers.llama_swap("a", ttl=300, a="ready"), "", "longer than its ttl (5m)"),
    (servers.ollama("a", "b"), "", "no model is loaded"),
    (servers.ollama("a", "b", loaded=("b",), until=LATER), "a", "a is not loaded (b is)"),
    (servers.ollama("a", loaded=("a",), until=SOON), "", "about to be unloaded"),
    (servers.lm_studio(a=("llm", "not-loaded")), "", "no model is loaded"),
    (servers.lm_studio(e=("embeddings", "loaded")), "", "no model is loaded"),
    (servers.tabby("a", "b"), "", "no model is loaded"),
    (servers.localai("a", loaded=()), "", "no model is loaded"),
    (servers.vllm_mlx(a=False), "", "no model is loaded"),
    (Server({"/v1/models": listed()}), "", "no model is there"),
]

BROKEN: list[tuple[Server, str, str]] = [
    (Server({"/v1/models": listed("a", "b", owner="me")}), "", "lists 2 models"),
    (Server({"/v1/models": listed("a", "b", owner="me")}), "a", "lists 2 models"),
    (Server({"/v1/models": listed("a", owner="me")}), "b", "lists 'a', not 'b'"),
    (Server(), "", "does not list its models"),
    (Server({"/v1/models": listed("a", owner="docker")}), "", "Docker's model runner"),
    (servers.localai("a", loaded=None), "", "does not say which of its models are loaded"),
    (servers.localai("a", "b", loaded=("a",)), "", "say which one completes text"),
    (servers.ollama("a", loaded=("a",), until=LATER, context=0), "", "with which context"),
    (servers.ollama("a", loaded=("a",), until="tomorrow"), "", "until when"),
    (Server({"/v1/models": (401, {"error": "no"})}), "", "wants a key"),
    (Server({"/v1/models": (302, "elsewhere")}), "", "sends us elsewhere"),
]

UNWELL: list[tuple[Server, str]] = [
    (Server({"/v1/models": (503, {"error": {"message": "Loading model"}})}), "is loading"),
    (Server({"/v1/models": (500, "oops")}), "500 oops"),
    (Server({"/v1/models": "<html>"}), "something that is no completion"),
    (Server({"/v1/models": listed("m", owner="vllm")}, ("m",), answer={"choices": [{"text": ""}]}), "a single token"),
]


@pytest.mark.parametrize(("server", "model", "asked"), WELL)
async def test_a_model_in_memory_is_asked_for_one_token(server: Server, model: str, asked: str) -> None:
    found = await ask(server, model)
    assert (found.ok, found.broken, found.asleep) == (True, False, False), found.text
    (body,) = server.asked
    assert body.get("model", "") == asked
    assert body["max_tokens"] == 1
    assert found.rate > 0


@pytest.mark.parametrize(("server", "model", "said"), ASLEEP)
async def test_one_that_is_not_is_asleep_and_is_left_alone(server: Server, model: str, said: str) -> None:
    found = await ask(server, model)
    assert (found.ok, found.broken, found.asleep) == (False, False, True), found.text
    assert said in found.text
    assert server.asked == []


@pytest.mark.parametrize(("server", "model", "said"), BROKEN)
async def test_what_cannot_be_told_apart_is_not_asked(server: Server, model: str, said: str) -> None:
    found = await ask(server, model)
    assert (found.ok, found.broken, found.asleep) == (False, True, False), found.text
    assert said in found.text
    assert server.asked == []


@pytest.mark.parametrize(("server", "said"), UNWELL)
async def test_one_that_does_not_answer_is_not_well(server: Server, said: str) -> None:
    found = await ask(server)
    assert (found.ok, found.broken, found.asleep) == (False, False, False), found.text
    assert said in found.text


@pytest.mark.parametrize(("until", "kept"), [(LATER, "400.123s"), (NEVER, -1)])
async def test_ollama_is_asked_without_a_trace(until: str, kept: Any) -> None:
    """With the context it was loaded with, for another one would load it anew; its time to live goes on as it was."""
    server = servers.ollama("a", "b", loaded=("b:latest",), until=until)
    assert (await ask(server, "b")).ok
    (body,) = server.asked
    assert body["model"] == "b:latest"
    assert body["keep_alive"] == kept
    assert body["options"] == {"num_predict": 1, "num_ctx": 8192, "temperature": 0}


async def test_an_ollama_that_only_embeds_now_is_left_alone() -> None:
    server = servers.ollama("a", "e")
    entry = {"name": "e", "expires_at": LATER, "context_length": 512, "details": {"family": "nomic-bert"}}
    server.pages["/api/ps"] = {"models": [entry]}
    assert (await ask(server)).asleep


async def test_no_two_questions_are_the_same_text() -> None:
    server = servers.llama()
    await ask(server, times=3)
    assert len({body["prompt"] for body in server.asked}) == 3
    chat = servers.llama()
    chat.completes, chat.answer = "/v1/chat/completions", {"choices": [{"message": {"content": "6"}}]}
    await ask(chat, times=2)
    assert len({body["messages"][0]["content"] for body in chat.asked}) == 2
    native = servers.llama()
    native.pages.pop("/v1/models")
    native.completes, native.answer, native.awake = "/completion", {"content": " 6"}, ("",)
    await ask(native, times=2)
    assert [body["cache_prompt"] for body in native.asked] == [False, False]


async def test_a_token_without_text_is_a_token() -> None:
    server = servers.llama()
    server.answer = {"choices": [{"text": "", "finish_reason": "length"}], "usage": {"completion_tokens": 1}}
    found = await ask(server)
    assert found.ok
    assert "no text" in found.text


async def test_nothing_that_wakes_is_ever_asked() -> None:
    """What is known to wake or load: llama.cpp's /slots, a router's /metrics?model=…, llama-swap's /upstream/…"""
    for make in (servers.llama, servers.ollama, lambda: servers.router(a="unloaded")):
        server = make()
        await ask(server)
        assert not [path for path in server.got if path.startswith(("/slots", "/metrics", "/upstream", "/health"))]


async def test_a_server_in_front_of_which_there_is_a_path() -> None:
    server = Server({"/llm/v1/models": listed("only")}, ("only",), completes="/llm/v1/completions")
    assert (await ask(server, path="/llm/v1")).ok
    assert all(path.startswith("/llm/") for path in server.got)


async def test_what_a_run_of_a_container_was_told_apart_as_is_remembered() -> None:
    """Or the log of an ordinary server would fill with questions that are not for it."""
    server = Server({"/v1/models": listed("only")}, ("only",))
    await ask(server, times=1)
    first = len(server.got)
    server = Server({"/v1/models": listed("only")}, ("only",))
    await ask(server, times=3)
    assert len(server.got) == first + 2 * 3, "the list, /props and the completion"


async def test_what_is_remembered_ends_with_another_list() -> None:
    server = Server({"/v1/models": listed("only")}, ("only",))
    prober = ServiceProber(ManualClock(), {})
    try:
        async with served(server):
            needs = Needs(probe=f"completion://:{server.port}", probe_from_label=True)
            assert (await prober.probe(needs, BOX, 30.0, gentle=True)).ok
            server.awake, server.pages = (), servers.llama_swap("other").pages
            server.pages["/v1/models"] = listed("other")
            assert (await prober.probe(needs, BOX, 30.0, gentle=True)).asleep
    finally:
        await prober.close()
    assert server.loads == []


async def test_a_list_without_an_end_is_not_read_to_its_end() -> None:
    server = Server({"/v1/models": " " * (1 << 20) + "{}"})
    found = await ask(server)
    assert (found.ok, found.broken) == (False, False)
    assert "1 MiB" in found.text


async def test_a_page_without_an_end_where_another_server_has_its_own_is_no_matter() -> None:
    server = Server({"/v1/models": listed("only"), "/system": "<" * (1 << 21)}, ("only",))
    assert (await ask(server)).ok


@pytest.mark.parametrize(
    "page",
    [
        {"data": None},
        {"data": ["x", 7, None]},
        {"data": [{"id": 7, "owned_by": ["vllm"], "status": "x", "aliases": 3}]},
        {"data": [{"status": {"value": 9}}]},
    ],
)
async def test_an_odd_list_breaks_nothing(page: Any) -> None:
    server = Server({"/v1/models": page, "/running": {"running": [3]}, "/api/ps": {"models": {}}})
    found = await ask(server)
    assert not found.ok
    assert "itself failed" not in found.text


async def test_a_plan_that_just_started_it_asks_for_more_than_that() -> None:
    """Its probation is proof that the model works, and the first load is what it waits for."""
    server = servers.llama()
    prober = ServiceProber(ManualClock(), {})
    try:
        async with served(server):
            assert (await prober.probe(Needs(probe=f"completion://:{server.port}"), BOX, 30.0)).ok
    finally:
        await prober.close()
    assert server.asked[0]["max_tokens"] == 8
