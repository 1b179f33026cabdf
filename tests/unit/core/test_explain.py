"""Explaining a rule beside the turns: what is looked at is a copy, in bounded time, and the rest is said anyhow."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.clock import ManualClock
from supervisor.core import asked, shown
from supervisor.core.asked import MOST_WAITING, TORN, Asked
from supervisor.facts import Json, Sample, labels
from supervisor.lab.loop import SimLoop
from supervisor.rules.explaining import reasons
from tests.support.rules import Box, rule

TEXT = rule("x > 5", for_="1m")


def core_of(box: Box) -> Any:
    """As much of a decider as the reasons need."""
    return SimpleNamespace(rules=box.engine, now=box.now)


@pytest.fixture
def box() -> Box:
    found = Box(TEXT)
    found.put(x__oracle=9)
    found.wait(20)
    return found


def values(told: Json) -> list[float]:
    return [row["value"] for row in told["parts"][0]["rows"]]


async def test_the_reasons_are_those_of_this_instant(box: Box) -> None:
    (told,) = await shown.reasons(core_of(box), Asked(box.store, ManualClock(box.now)), "A")
    assert [told] == box.reasons()
    assert told["at"] == 1020.0
    assert await shown.reasons(core_of(box), Asked(box.store, ManualClock(box.now)), "Nobody") == []


async def test_expressions_are_looked_at_on_the_thread_and_the_loop_goes_on(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, opened = threading.Event(), threading.Event()
    original = reasons.explained

    def slow(*given: Any) -> list[Json]:
        assert threading.current_thread().name.startswith("asked")
        there.set()
        assert opened.wait(5), "nobody let it go on: the loop stands still"
        return original(*given)

    monkeypatch.setattr(shown, "explained", slow)
    waiting = asyncio.ensure_future(shown.reasons(core_of(box), Asked(box.store, ManualClock(box.now)), "A"))
    while not there.is_set() and not waiting.done():
        await asyncio.sleep(0)
    box.wait(1)
    box.put(x__oracle=1)  # what happens meanwhile is not part of the answer
    opened.set()
    (told,) = await waiting
    assert values(told) == [9.0]
    assert told["alerts"][0]["state"] == "pending"
    assert box.engine.active() == ()


async def test_rules_and_samples_are_of_one_instant_though_a_turn_came_between() -> None:
    box = Box(TEXT)
    box.put(**{f"x__n{number}": 9 for number in range(200)})
    turns = 0

    class Slow(ManualClock):
        """Every look at it takes longer than a slice."""

        def mono(self) -> float:
            self.advance(0.01)
            return super().mono()

    questions = Asked(box.store, Slow(box.now), lambda: turns)
    waiting = asyncio.ensure_future(shown.reasons(core_of(box), questions, "A"))
    for _ in range(3):
        await asyncio.sleep(0)
    turns += 1
    box.put(**{f"x__n{number}": 9 for number in range(200, 300)})
    (told,) = await waiting
    assert (told["alerts_count"], told["parts"][0]["count"]) == (300, 300)
    assert TORN not in told["notes"]


async def test_where_samples_are_too_many_less_of_the_past_is_looked_at(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.store.keep(1e6)
    for second in range(2000):
        box.store.append(1021.0 + second, [Sample(labels("x", name="oracle"), 9.0)])
    clock = ManualClock(3021.0)
    monkeypatch.setattr(asked, "MOST_SAMPLES", 1300)
    (told,) = await shown.reasons(core_of(box), Asked(box.store, clock), "A")
    assert (values(told), told["notes"]) == ([9.0], [])
    assert told["parts"][0]["since"] is not None
    monkeypatch.setattr(asked, "MOST_SAMPLES", 100)
    (told,) = await shown.reasons(core_of(box), Asked(box.store, clock), "A")
    assert "more than 100 samples" in told["notes"][0]
    assert (told["parts"], told["alerts"][0]["state"]) == ([], "pending")


async def test_where_enough_questions_wait_the_rule_is_told_without_its_values(box: Box) -> None:
    questions = Asked(box.store, ManualClock(box.now))
    questions._waiting = MOST_WAITING + 1
    (told,) = await shown.reasons(core_of(box), questions, "A")
    assert "questions wait already" in told["notes"][0]
    assert told["alerts"][0]["fires_at"] == 1060.0


async def test_only_some_rules_of_one_name_are_explained() -> None:
    box = Box(*[rule("x > 5") for _ in range(shown.MOST_RULES + 3)])
    box.put(x=9)
    found = await shown.reasons(core_of(box), Asked(box.store, ManualClock(box.now)), "A")
    assert len(found) == shown.MOST_RULES


def test_under_the_virtual_clock_it_is_the_loop_itself(box: Box) -> None:
    loop = SimLoop()
    (told,) = loop.run_until_complete(shown.reasons(core_of(box), Asked(box.store, loop.clock), "A"))
    assert told["rule"] == "rules0.yaml:g:0"
