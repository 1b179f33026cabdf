"""What the doors see of the core (core.turn.Core satisfies it), and what both doors share.

In: nothing. Out: the House protocol and the JSON answers.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from aiohttp import web

from supervisor.clock import Clock
from supervisor.core.asked import Asked
from supervisor.facts import Fact, Json, Labels, Snapshot
from supervisor.journal import Journal
from supervisor.rules.engine import RuleState

T = TypeVar("T")


class House(Protocol):
    """The core, as a door sees it."""

    @property
    def snapshot(self) -> Snapshot:
        """How everything stands now."""

    @property
    def clock(self) -> Clock:
        """Where time and ids come from."""

    @property
    def questions(self) -> Asked:
        """Who answers questions about the samples."""

    def rule_states(self) -> Sequence[tuple[str, RuleState]]:
        """How every rule stands, with its file, in the order of the files."""

    async def ask(self, fact: Fact) -> Any:
        """Hand over a command; a facts.Decision comes back once the deciding turn is durable."""

    async def next(self, rev: int) -> Snapshot:
        """The first snapshot newer than `rev`."""

    async def read(self, fn: Callable[[Journal], T]) -> T:
        """Read the journal, on its own thread."""

    def metrics(self, now: float) -> Iterable[tuple[Labels, float]]:
        """Every series with its newest value."""

    async def explain(self, word: str) -> Json:
        """What only the core knows about an alert or a service; empty where nothing has that name."""


def dumps(value: Any) -> str:
    """Strict JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def answer(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.json_response(value, status=status, dumps=dumps, headers={"Cache-Control": "no-store"})


def problem(text: str, status: int) -> web.Response:
    """An error in one sentence: `{"error": …}`."""
    return answer({"error": text}, status)
