"""Described servers that answer anything at all: a look is a look or a ServerError, and nothing else comes of it."""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.clock import ManualClock
from supervisor.errors import ServerError
from supervisor.facts import SlotModel
from supervisor.facts.slots import STATES
from supervisor.servers import described
from supervisor.servers.generic import Generic
from supervisor.servers.places import Place
from supervisor.servers.understood import Said

_KEYS = sorted(
    {
        "data", "models", "loaded", "id", "key", "state", "status", "running", "model", "loaded_models", "memory",
        "total", "loaded_instances", "config", "context_length", "model_manager", "memory_gb", "num_running",
        "weight_version", "model_path", "parameters", "max_seq_len", "count", "backends", "name", "error", "value",
        "version", "success", "request_count", "max_model_len", "num_waiting",
    }
)  # fmt: skip
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["a", "loaded", "ready", "READY", "resurgam-asleep", "x\x00\u202e\n", "1e999", "{model}"])
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=25,
)
_ANSWERS = st.lists(
    st.tuples(st.sampled_from([200, 200, 200, 202, 302, 403, 404, 500, 503]), _JSON), min_size=1, max_size=4
)


class Anything:
    """Answers one thing after another, then the last one for ever."""

    def __init__(self, answers: list[tuple[int, Any]], clock: ManualClock) -> None:
        self.answers, self.clock, self.sent = answers, clock, list[tuple[str, str]]()

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> Said:
        assert path.startswith("/")
        assert within > 0
        json.dumps(body)
        self.sent.append((method, path))
        self.clock.advance(1.0)
        status, document = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Said(status, json.dumps(document), document)

    async def events(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> AsyncGenerator[Said, None]:
        for _ in range(3):
            yield await self.ask(method, path, body, headers, within)


def run(work: Any) -> Any:
    """Run what never really waits."""
    try:
        while True:
            work.send(None)
    except StopIteration as done:
        return done.value


@pytest.mark.parametrize("name", described.shipped())
@given(answers=_ANSWERS, inside=st.booleans(), verb=st.sampled_from(["load", "unload", "sleep", "wake"]))
@settings(max_examples=15, deadline=None)
def test_whatever_it_answers(name: str, answers: list[tuple[int, Any]], inside: bool, verb: str) -> None:
    clock = ManualClock()
    hands = Generic(described.shipped()[name], clock, poll=0.0)
    model = SlotModel("a", service="" if inside else "a", inside=inside)
    look = run(hands.look(Place(Anything(list(answers), clock), model, {}), 5.0))
    assert look.state in STATES
    assert look.text.isprintable()
    assert all(text.isprintable() for text in (look.identity.model, look.identity.path, *look.loaded))
    assert look.in_flight is None or look.in_flight >= 0
    assert look.memory >= 0
    try:
        said = run(hands.do(verb, Place(Anything(list(answers), clock), model, {}), 20.0))
    except ServerError as err:
        said = str(err)
    assert said.isprintable()
