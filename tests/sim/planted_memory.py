"""Bugs planted in what is done to the memory of running containers. From: planted.py, whose table names them. Each
function is one patch; its docstring is what people read.
"""

from typing import Any
from unittest.mock import patch

from supervisor.actions import hand
from supervisor.actions.memory import holding
from supervisor.core.holds import Holds


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
