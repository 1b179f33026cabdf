"""Model servers that answer anything at all: a look tells some state or raises ServerError, and nothing else."""

import contextlib
import json
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import ServerError
from supervisor.facts import ServerLook, SlotModel
from supervisor.facts.slots import STATES
from supervisor.servers import finding
from supervisor.servers.asking import CHAT, Way
from supervisor.servers.completing import complete
from supervisor.servers.door import said
from supervisor.servers.places import Place
from supervisor.servers.understood import Said

WORDS = (
    *("id", "data", "models", "status", "value", "model", "name", "owned_by", "llamacpp", "vllm", "library", "aliases"),
    *("is_sleeping", "is_paused", "meta", "n_ctx", "default_generation_settings", "size", "size_vram", "expires_at"),
    *("context_length", "loaded", "running", "state", "choices", "delta", "content", "usage", "timings", "error", "a"),
    *("finish_reason", "completion_tokens", "predicted_per_second", "failed", "progress", "exit_code", "model_manager"),
)
STATUSES = (200, 200, 200, 200, 204, 302, 400, 401, 404, 500, 503)


class Raving:
    """A door to a server that answers whatever comes into its mind."""

    def __init__(self, dice: random.Random, clock: ManualClock) -> None:
        self.dice, self.clock = dice, clock

    def thing(self, depth: int = 0) -> Any:
        """Any JSON."""
        kind = self.dice.randrange(9 if depth < 4 else 6)
        if kind < 2:
            return self.dice.choice(WORDS)
        if kind < 6:
            return self.dice.choice(
                (None, True, False, 0, -1, 7, 1e308, float("nan"), float("inf"), 10**40, "", "\x00")
            )
        if kind < 7:
            return [self.thing(depth + 1) for _ in range(self.dice.randrange(4))]
        return {self.dice.choice(WORDS): self.thing(depth + 1) for _ in range(self.dice.randrange(7))}

    def answer(self) -> Said:
        self.clock.advance(0.5)
        raw = self.dice.choice((json.dumps(self.thing()).encode(), b"llamacpp:requests_processing NaN\n", b"\xff", b""))
        return said(self.dice.choice(STATUSES), raw)

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> Said:
        if self.dice.random() < 0.1:
            raise ServerError("no answer.")
        return self.answer()

    async def events(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> AsyncGenerator[Said, None]:
        for _ in range(self.dice.randrange(4)):
            yield said(200, json.dumps(self.thing()).encode()) if self.dice.random() < 0.9 else self.answer()


@pytest.mark.parametrize("name", finding.kinds())
async def test_no_answer_breaks_a_look(name: str) -> None:
    clock = ManualClock()
    door = Raving(random.Random(name), clock)
    adapter = finding.adapters(clock, 0.0)[name]
    for inside in (True, False) * 60:
        place = Place(door, SlotModel("a", inside=inside, url="http://x:1", model="a"), {})
        try:
            seen = await adapter.look(place, 60.0)
        except ServerError:
            continue
        assert isinstance(seen, ServerLook)
        assert seen.state in STATES
        assert seen.text
        assert seen.text.isprintable()
        assert seen.in_flight is None or seen.in_flight >= 0


async def test_no_answer_breaks_finding_out_or_asking() -> None:
    clock = ManualClock()
    door = Raving(random.Random(8), clock)
    known = finding.adapters(clock, 0.0)
    place = Place(door, SlotModel("a"), {})
    for _ in range(150):
        with contextlib.suppress(ServerError):
            assert (await finding.find(known, door, "", 60.0, clock)).name in known
        with contextlib.suppress(ServerError):
            assert (await complete(place, (Way(CHAT, CHAT),), "a", "Hi", 8, 60.0, clock)).text


class Endless(Raving):
    """Says the same to everything."""

    def __init__(self, document: object) -> None:
        super().__init__(random.Random(0), ManualClock())
        self.always = said(200, json.dumps(document).encode())

    def answer(self) -> Said:
        return self.always

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], within: float
    ) -> Said:
        return self.answer()


@pytest.mark.parametrize("name", finding.kinds())
async def test_a_server_with_endless_lists_and_words_is_kept_short(name: str) -> None:
    """What is seen goes to the journal and the bus every few seconds."""
    clock = ManualClock()
    word = "w" * 2_000
    each = {"id": "a", "status": {"value": "loaded"}, "model": "a", "name": "a", "state": "loaded"}
    failed = {"id": "a", "status": {"value": "unloaded", "failed": True, "exit_code": word}, "state": word}
    for listed in ([each] * 1_100, [failed]):
        kinds = dict.fromkeys(("data", "models", "running"), listed)
        door = Endless({**kinds, "status": word, "version": word, "is_sleeping": False})
        adapter = finding.adapters(clock, 0.0)[name]
        for inside in (True, False):
            place = Place(door, SlotModel("a", inside=inside, url="http://x:1", model="a"), {})
            with contextlib.suppress(ServerError):
                seen = await adapter.look(place, 60.0)
                assert len(seen.text) <= 1_000
                assert len(seen.loaded) <= 1_000
                assert len(seen.identity.aliases) <= 1_000
