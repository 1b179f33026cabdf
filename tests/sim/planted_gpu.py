"""Bugs planted in what is done to cards and to the machine. From: planted.py, whose table names them. Each function is
one patch; its docstring is what people read.
"""

from typing import Any
from unittest.mock import patch

from supervisor.actions.gpu import reset
from supervisor.actions.hand import Denied, Hand, ended_early
from supervisor.actions.recipe import profile
from supervisor.core.profiles import Profiles
from supervisor.core.rollouts import Rollouts
from supervisor.incidents import machine
from supervisor.verdicts import Reason, no


def kept_down() -> Any:
    """What was stopped for a card is never started again."""
    return patch.object(Rollouts, "bring_back", lambda *_given: None)


def begun_anew() -> Any:
    """A reset that an earlier process began is begun again."""
    run = reset.run

    async def again(hand: Hand) -> Any:
        hand.begun = [name for name in hand.begun if name != "reset"]
        return await run(hand)

    return patch.dict("supervisor.actions.runner.MANEUVERS", {"gpu-reset": again})


def own_handle_kept() -> Any:
    """Our own reader is not let go of before a reset."""
    return patch("supervisor.lab.gpu.SimReader.hold", lambda *_given: None)


def deed_before_the_word() -> Any:
    """A restart of the machine is asked for before the journal has it."""

    async def run(hand: Hand) -> Any:
        await hand.step("look")
        await hand.hardware.reboot()
        return ended_early(Denied(no(Reason.FAILED, "it was asked for too early")))

    return patch.dict("supervisor.actions.runner.MANEUVERS", {"reboot": run})


def profile_by_its_mark() -> Any:
    """What stood before a safe profile is kept only where the commit left its mark, too."""
    ended = Profiles.ended

    def strict(self: Profiles, core: Any, plan: Any) -> None:
        if any(name == "commit" for name, _ok, _data in plan.marks):
            ended(self, core, plan)

    return patch.object(Profiles, "ended", strict)


def image_frozen() -> Any:
    """What the image brought is taken for a person's on the way back from a safe profile."""
    safe = profile.safe
    return patch.object(profile, "safe", lambda raw, wanted, base, *more: safe(raw, wanted, {}, *more))


def asked_on() -> Any:
    """A driver is asked on after faults behind which asking hangs."""
    return patch("supervisor.gpu.xids.Table.quiets", lambda *_given: False)


def resets_uncounted() -> Any:
    """Resets and restarts have no budget."""
    return patch.object(machine, "spent", lambda *_given: None)
