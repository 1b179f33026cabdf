"""Bugs planted in what is done to the memory of running containers. From: planted.py, whose table names them. Each
function is one patch; its docstring is what people read.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from supervisor.actions import hand
from supervisor.actions.memory import holding
from supervisor.core.holds import Holds
from supervisor.memory import culprit, trend
from supervisor.memory.culprit import Growth
from supervisor.memory.trend import History


def holds_forgotten() -> Any:
    """What is held is not restored at a start: what stands frozen stands so for ever."""
    init = Holds.__init__
    return patch.object(Holds, "__init__", lambda self, _kept: init(self, {}))


def stopped_as_it_stands() -> Any:
    """What stands frozen is asked to end without being let go first."""

    async def loosen(*_given: Any) -> None:
        return

    return patch.object(hand, "loosen", loosen)


def hold_unsaid() -> Any:
    """A plan that holds a container ends without a word about the hold."""
    return patch.object(Holds, "_held", lambda *_given: None)


def above_what_it_was() -> Any:
    """An unfuse gives nothing back."""

    async def unfuse(one: Any) -> Any:
        await one.step("unfuse")
        return holding._gone(one)

    return patch.dict("supervisor.actions.runner.MANEUVERS", {"unfuse": unfuse})


def swap_is_free() -> Any:
    """Free swap counts as free memory."""
    levelled = trend._levelled
    return patch.object(trend, "_levelled", lambda mark, *given: _more(levelled(mark, *given), mark.swap_free))


def _more(mark: Any, size: float) -> Any:
    return replace(mark, level=mark.level + size)


def plans_are_cliffs() -> Any:
    """A plan that is new counts from now on alone: what starts by its plan looks like a fall."""

    def under(self: History, plans: Mapping[str, float], reserve: float) -> History:
        return replace(self, plans=dict(plans), reserve=reserve)

    return patch.object(History, "under", under)


def the_biggest_is_to_blame() -> Any:
    """The service that uses most is named as the culprit."""

    def blamed(parts: Any, *_given: Any) -> Growth:
        found = max(parts, key=lambda part: part.used)
        return Growth(found.service, 1.0, found.used, 1.0)

    return patch.object(culprit, "blamed", blamed)
