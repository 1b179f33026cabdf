"""One answer of a model: whole or not at all, and how fast by the server's clock, else by ours."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import ServerError
from supervisor.facts import Completion, Json, SlotModel
from supervisor.servers import asking
from supervisor.servers.asking import CHAT, NATIVE, OLLAMA, TEXT, Way, triton
from supervisor.servers.completing import complete
from supervisor.servers.door import said
from supervisor.servers.places import Place
from supervisor.servers.understood import Said

DONE = b"[DONE]"


class Spoken:
    """A door that says what a test wants: for each path its pieces, a second after one another."""

    def __init__(self, clock: ManualClock, **answers: Sequence[Any]) -> None:
        self.clock, self.answers = clock, answers
        self.asked: list[tuple[str, Json]] = []

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> Said:
        raise AssertionError("only streams are asked for")

    async def events(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> AsyncGenerator[Said, None]:
        self.asked.append((path, dict(body or {})))
        key = path.rsplit("/", 1)[-1] if "chat" not in path else "chat"
        for one in self.answers.get(key, [Said(404, "Not Found")]):
            self.clock.advance(1.0)
            yield one if isinstance(one, Said) else said(200, one if isinstance(one, bytes) else _json(one))


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def chat(text: str | None = None, reason: str | None = None, **more: Any) -> Json:
    delta = {"content": text} if text is not None else {}
    return {"model": "m", "choices": [{"delta": delta, "finish_reason": reason}], **more}


async def answer(tokens: int = 8, exact: bool = False, **answers: Sequence[Any]) -> Completion:
    clock = ManualClock()
    place = Place(Spoken(clock, **answers), SlotModel("a"), {})
    ways = (Way(CHAT, CHAT), Way(TEXT, TEXT), Way(NATIVE, NATIVE))
    return await complete(place, ways, "a", "Count.", tokens, 600.0, clock, exact=exact)


async def test_pieces_are_put_together_and_timed_by_our_clock_where_the_server_has_none() -> None:
    usage = {"choices": [], "usage": {"completion_tokens": 9, "prompt_tokens": 30}}
    found = await answer(chat=[chat(""), chat("one"), chat(", two"), chat(", three", "length"), usage, DONE])
    assert found.text == "one, two, three"
    assert (found.tokens, found.prompt_tokens, found.model) == (9, 30, "m")
    assert (found.first_token, found.seconds) == (2.0, 6.0)
    assert found.rate == pytest.approx(8 / 2.0)  # nine tokens: eight came within the two seconds after the first
    assert found.prompt_rate == pytest.approx(15.0)


async def test_the_servers_own_timings_go_before_our_clock() -> None:
    timings = {"predicted_per_second": 42.5, "prompt_per_second": 900.0}
    found = await answer(chat=[chat("x", "length"), chat(None, None, timings=timings), DONE])
    assert (found.rate, found.prompt_rate) == (42.5, 900.0)


async def test_rates_that_are_no_rates_are_not_believed() -> None:
    for bad in (float("nan"), float("inf"), -1, 0, "9", True, None, 1e300):
        timings = {"predicted_per_second": bad, "prompt_per_second": bad}
        found = await answer(chat=[chat("x"), chat("y", "stop", timings=timings), DONE])
        assert (found.rate, found.prompt_rate) == (1.0, 0.0)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [chat("x")],
        [chat("x"), chat("y")],
        [chat("x"), {"error": {"message": "CUDA error"}}],
        [chat("x"), b"<html>", DONE],
        [chat("x"), b"[1]", DONE],
        [chat(""), chat(None, "stop"), DONE],
    ],
)
async def test_an_answer_that_is_cut_broken_or_empty_is_none(pieces: Sequence[Any]) -> None:
    with pytest.raises(ServerError) as caught:
        await answer(chat=pieces)
    assert str(caught.value).endswith(".")


async def test_what_broke_it_off_is_said() -> None:
    with pytest.raises(ServerError, match="broke off after 2 pieces"):
        await answer(chat=[chat("x"), chat("y")])
    with pytest.raises(ServerError, match="CUDA error"):
        await answer(chat=[chat("x"), {"error": {"message": "CUDA error"}}])


async def test_a_model_that_only_thinks_answers_with_its_thoughts() -> None:
    thinks = {"choices": [{"delta": {"reasoning_content": "Hm"}, "finish_reason": None}]}
    assert (await answer(chat=[thinks, chat(None, "length"), DONE])).text == "Hm"
    assert (await answer(chat=[thinks, chat("Yes", "length"), DONE])).text == "Yes"


async def test_one_token_without_text_counts_where_the_server_counted_it() -> None:
    usage = {"choices": [], "usage": {"completion_tokens": 1}}
    assert (await answer(tokens=1, chat=[chat(None, "length"), usage, DONE])).tokens == 1


async def test_the_next_way_is_asked_where_one_is_not_known() -> None:
    no_template = Said(400, '{"error": "no chat template"}', {"error": "no chat template"})
    whole = {"choices": [{"text": "one", "finish_reason": "length"}]}
    assert (await answer(chat=[no_template], completions=[whole, DONE])).text == "one"
    assert (await answer(completion=[{"content": "x", "stop": False}, {"content": "y", "stop": True}])).text == "xy"
    with pytest.raises(ServerError, match="no way to complete"):
        await answer()


@pytest.mark.parametrize(
    ("status", "document", "says"),
    [
        (401, {}, "key-file"),
        (404, {"error": {"message": "The model `a` does not exist"}}, "does not exist"),
        (400, {"error": {"message": "maximum context length exceeded"}}, "context length"),
        (500, {"error": {"message": "out of memory"}}, "out of memory"),
        (503, {"error": {"message": "Loading model"}}, "Loading model"),
        (302, {}, "302"),
    ],
)
async def test_what_concerns_the_model_itself_is_not_asked_another_way(status: int, document: Json, says: str) -> None:
    whole = {"choices": [{"text": "one", "finish_reason": "length"}]}
    with pytest.raises(ServerError, match=says):
        await answer(chat=[Said(status, _json(document).decode(), document)], completions=[whole, DONE])


def test_what_is_asked_each_way() -> None:
    assert Way(CHAT, CHAT, {"cache_prompt": False}).question("m", "Hi", 9, stream=True, exact=True) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 9,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": False,
    }
    assert "temperature" not in Way(TEXT, TEXT).question("", "Hi", 9, stream=False, exact=False)
    kept = {"keep_alive": "9s", "options": {"num_ctx": 8192}}
    assert Way(OLLAMA, OLLAMA, kept).question("m", "Hi", 9, stream=True, exact=False) == {
        "model": "m",
        "prompt": "Hi",
        "stream": True,
        "keep_alive": "9s",
        "options": {"num_predict": 9, "num_ctx": 8192},
    }
    assert triton("a/b").path == "/v2/models/a%2Fb/generate"


def test_numbers_beyond_all_measure_tell_nothing() -> None:
    for one in (10**400, -(10**400), 1e308, 5e-324):
        asking.rates_of({"eval_count": 5, "eval_duration": one, "prompt_eval_count": 1, "prompt_eval_duration": one})
        asking.rates_of({"timings": {"predicted_per_second": one, "prompt_per_second": one}})
    assert asking.rates_of({"eval_count": 5, "eval_duration": 10**400}) == (0.0, 0.0)
