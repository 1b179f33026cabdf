"""One suite for all hands on model servers (ports.ModelServer): the real ones before a real server, and the simulated
ones. What maneuvers build on must hold of both.

A check is `async def check(make: Make)`; `make()` opens a lab with one model that is loaded and answers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

import pytest

from supervisor.errors import ServerError
from supervisor.facts import ServerLook
from supervisor.facts.slots import LOADED, UNKNOWN, UNLOADED
from supervisor.ports import ModelAt, ModelServer

LIMIT = 60.0
"""seconds: a limit says only that something hangs"""
LONG = 400
"""tokens of an answer during which something happens"""


class Lab(Protocol):
    """One model server, and the hands on it."""

    server: ModelServer
    at: ModelAt
    """its model, as it is declared: it has a name of its own there, and cannot be loaded, unloaded or put to sleep"""

    async def kill(self) -> None:
        """Its process dies at once, in the middle of whatever it does."""

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Ask until that is so."""


Make = Callable[[], AbstractAsyncContextManager[Lab]]
Check = Callable[[Make], Awaitable[None]]
CHECKS: list[Check] = []


def check(made: Check) -> Check:
    """It is part of the suite."""
    CHECKS.append(made)
    return made


async def look(lab: Lab) -> ServerLook:
    """One look."""
    return await asyncio.wait_for(lab.server.look(lab.at, LIMIT), LIMIT)


async def refused(asked: Awaitable[object]) -> None:
    """It does not come about, and why is said."""
    with pytest.raises(ServerError) as caught:
        await asked
    assert str(caught.value)


@check
async def a_model_that_is_loaded_says_who_it_is(make: Make) -> None:
    async with make() as lab:
        seen = await look(lab)
        assert (seen.state, seen.in_flight) == (LOADED, 0)
        assert lab.at.model.model in (seen.identity.model, *seen.identity.aliases)
        assert seen.text
        assert seen.server


@check
async def looking_is_no_work_for_it(make: Make) -> None:
    async with make() as lab:
        first = await look(lab)
        for _ in range(3):
            assert (await look(lab)).used == first.used >= 0
        await lab.server.complete(lab.at, "Count.", 4, LIMIT)
        await lab.until(lambda: _used_more(lab, first.used))


async def _used_more(lab: Lab, before: float) -> bool:
    return (await look(lab)).used > before


@check
async def an_answer_is_whole_and_timed(make: Make) -> None:
    async with make() as lab:
        found = await lab.server.complete(lab.at, "Count.", 12, LIMIT, exact=True)
        assert found.text
        assert 0 < found.tokens <= 12
        assert found.prompt_tokens > 0
        assert found.rate > 0
        assert found.prompt_rate > 0
        assert 0 < found.first_token <= found.seconds <= LIMIT
        assert lab.at.model.model in found.model


@check
async def the_same_question_asked_exactly_has_the_same_answer(make: Make) -> None:
    async with make() as lab:
        answers = [(await lab.server.complete(lab.at, "Count.", 12, LIMIT, exact=True)).text for _ in range(3)]
        assert len(set(answers)) == 1


@check
async def what_it_works_on_is_counted_and_gone_when_it_is_done(make: Make) -> None:
    async with make() as lab:
        works = asyncio.ensure_future(lab.server.complete(lab.at, "Count.", LONG, LIMIT))
        await lab.until(lambda: _busy(lab, 1))
        await works
        await lab.until(lambda: _busy(lab, 0))


async def _busy(lab: Lab, count: int) -> bool:
    return (await look(lab)).in_flight == count


@check
async def an_answer_that_its_death_cut_is_none(make: Make) -> None:
    async with make() as lab:
        works = asyncio.ensure_future(lab.server.complete(lab.at, "Count.", LONG, LIMIT))
        await lab.until(lambda: _busy(lab, 1))
        await lab.kill()
        await refused(works)


@check
async def one_that_died_is_never_taken_for_loaded(make: Make) -> None:
    async with make() as lab:
        assert (await look(lab)).state == LOADED
        await lab.kill()
        seen = await look(lab)
        assert seen.state in (UNKNOWN, UNLOADED)
        assert seen.text
        await refused(lab.server.complete(lab.at, "Count.", 4, LIMIT))


@check
async def a_verb_that_it_cannot_is_said_before_and_refused(make: Make) -> None:
    async with make() as lab:
        for verb in ("load", "unload", "sleep", "wake"):
            assert lab.server.cannot(verb, lab.at.model)
            await refused(getattr(lab.server, verb)(lab.at, LIMIT))
        assert (await look(lab)).state == LOADED


@check
async def a_model_that_nobody_can_find_is_unknown(make: Make) -> None:
    async with make() as lab:
        nowhere = ModelAt(replace(lab.at.model, url="", service="gone"))
        assert (await lab.server.look(nowhere, LIMIT)).state in (UNKNOWN, UNLOADED)
