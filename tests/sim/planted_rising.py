"""Bugs planted in what makes containers anew: fidelity, probation, the way back, rollouts, requests, the loop breaker.

From: planted.py, whose table names them. Each function is one patch; its docstring is what people read.
"""

import contextlib
from typing import Any
from unittest.mock import patch

from supervisor.actions import backup, phoenix, probation, recipe, rollback, tidy
from supervisor.actions.hand import Hand
from supervisor.core import requests, shown, staging
from supervisor.core.rollouts import Rollouts
from supervisor.errors import EngineError
from supervisor.incidents import guard, memory, permit
from supervisor.incidents.memory import Memory
from supervisor.services import state
from supervisor.verdicts import yes


def rights_unchecked() -> Any:
    """What the new container may do beyond the old one is not looked at."""
    return patch.object(recipe.rights, "verdict", lambda *_given, **_named: yes())


def secrets_left_behind() -> Any:
    """Files that compose put into the old container are not carried over."""

    async def carry(*_given: Any) -> tuple[Any, ...]:
        return ()

    return patch.object(recipe.injected, "carry", carry)


def likeness_skipped() -> Any:
    """What the engine made is not compared with what was asked for."""
    return patch.object(recipe.likeness, "compare", lambda *_given, **_named: ())


def backup_skipped() -> Any:
    """The command before a change of image is not run."""

    async def run(_hand: Hand) -> None:
        return

    return patch.object(backup, "run", run)


def room_not_waited_for() -> Any:
    """The new container is started without a look whether there is room."""

    async def make_room(*_given: Any) -> str:
        return ""

    return patch.object(phoenix, "make_room", make_room)


def data_handed_back() -> Any:
    """A database's old container is started, without a word, on data that the newer one may have changed."""
    return patch.object(permit, "needs_word", lambda *_given: False)


def rollout_goes_on() -> Any:
    """A rollout whose stages build on each other goes on after one that failed."""
    begin = Rollouts._begin

    def begun(self: Rollouts, *given: Any, keep_going: bool) -> Any:
        return begin(self, *given, keep_going=True)

    return patch.object(Rollouts, "_begin", begun)


def rollout_forgotten() -> Any:
    """A rollout of an earlier process is not known any more: what it had not come to stays undone."""
    init = Rollouts.__init__

    def forgetful(self: Rollouts, _kept: Any, *given: Any) -> None:
        init(self, {}, *given)

    return patch.object(Rollouts, "__init__", forgetful)


def children_forgotten() -> Any:
    """Those who share a namespace of what is restarted are left in a dead one."""
    return patch.object(staging, "dependents", lambda *_given: None)


def request_obeyed_twice() -> Any:
    """Which request files were decided on is forgotten."""
    answer = requests.answer

    def forgetful(core: Any, *given: Any) -> Any:
        core.standing.requests.clear()
        return answer(core, *given)

    return patch.object(requests, "answer", forgetful)


def brake_forgotten() -> Any:
    """How the latest maneuvers ended is forgotten at a start: the brake comes off."""
    restore = Memory._restore_run

    def forgetful(self: Memory, key: str, body: Any) -> None:
        if key != memory._MANEUVERS:
            restore(self, key, body)

    return patch.object(Memory, "_restore_run", forgetful)


def heavy_on_suspicion() -> Any:
    """A model of 281 GiB that loops is loaded again and again."""
    return patch.object(guard, "too_heavy", lambda *_given: None)


def loads_forgotten() -> Any:
    """What a load takes is forgotten at a start."""
    restore = state.State.restore
    return patch.object(state.State, "restore", lambda self, kept: restore(self, {**kept, "load": {}}))


def slow_is_fine() -> Any:
    """A model that answers is good, however slowly."""
    return patch.object(probation, "speed", lambda *_given: (True, "it answers"))


def toolless_is_sick() -> Any:
    """A health check whose tool is not in the image condemns the image."""
    return patch.object(probation, "broken_check", lambda *_given: "")


def engine_back_at_once() -> Any:
    """An engine that ends in probation and is back before our next look counts as a person's stop (a bug we had)."""

    async def ended(hand: Hand, *_given: Any) -> bool:
        cuts, end = hand.cuts, hand.clock.mono() + 16.0
        while hand.cuts == cuts and hand.clock.mono() < end:
            with contextlib.suppress(EngineError):
                await hand.inspect(hand.watching, until=end)
            await hand.nap(2.0)
        return hand.cuts > cuts

    return patch.object(probation, "_engine_ended", ended)


def parked_for_ever() -> Any:
    """What a denied way back left parked stays, though a later Phoenix did well: compose takes it (a bug we had)."""

    async def older(_hand: Hand) -> str:
        return ""

    return patch.object(tidy, "_older", older)


def parked_untold() -> Any:
    """Nobody is told that a parked container with compose's labels stands there (a bug we had)."""
    return patch.object(shown, "_parked", lambda _core: [])


def policy_lost() -> Any:
    """A service whose way back was denied keeps restart policy `no` for ever (a bug we had)."""

    async def held(_hand: Hand) -> tuple[dict[str, str], str]:
        return {}, "`always`"

    return patch.object(rollback, "_held", held)
