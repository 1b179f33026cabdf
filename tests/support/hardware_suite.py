"""One suite for both pairs of hands on the machine (ports.Hardware): the real ones, before programs and files that are
ours, and the simulated ones. What the lab's stories build on must hold of both.

A check is `async def check(lab: Lab)`. The machine of a lab has a card at BUS that nobody has open.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from supervisor.errors import HardwareError
from supervisor.ports import Hardware

BUS = "00000000:17:00.0"
LATE = 60.0
"""seconds: that something hangs, no more"""


class Lab(Protocol):
    """A machine."""

    hands: Hardware

    def opens(self) -> None:
        """A process of somebody else, called `Xorg`, has the card open from now on."""

    def fails(self, text: str) -> None:
        """nvidia-smi says this, and does not reset the card."""

    def lacks(self) -> None:
        """Nothing of it can be done on this machine."""

    def resets(self) -> int:
        """How many were begun."""

    def reboots(self) -> int:
        """How often the system was asked for a restart."""


Check = Callable[[Lab], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Make it part of the suite."""
    CHECKS.append(function)
    return function


@check
async def a_card_that_nobody_has_open_is_reset_once(lab: Lab) -> None:
    assert lab.hands.cannot("gpu-reset", BUS) == ""
    assert await lab.hands.users(BUS) == ()
    assert "successfully reset" in await lab.hands.reset_gpu(BUS, LATE)
    assert lab.resets() == 1


@check
async def one_that_somebody_has_open_is_not_and_he_is_named(lab: Lab) -> None:
    lab.opens()
    (user,) = await lab.hands.users(BUS)
    assert user.startswith("Xorg (pid ")
    with pytest.raises(HardwareError, match=r"it is used by Xorg \(pid "):
        await lab.hands.reset_gpu(BUS, LATE)
    assert lab.resets() == 0


@check
async def what_the_program_refuses_is_told_in_its_words(lab: Lab) -> None:
    lab.fails("Resetting GPU is not supported.")
    with pytest.raises(HardwareError, match=r"failed \(exit 3\): Resetting GPU is not supported\."):
        await lab.hands.reset_gpu(BUS, LATE)


@check
async def a_restart_is_asked_of_the_system(lab: Lab) -> None:
    assert lab.hands.cannot("reboot", "") == ""
    assert lab.hands.boot()
    await lab.hands.reboot()
    assert lab.reboots() == 1


@check
async def what_cannot_be_done_here_says_why_and_does_nothing(lab: Lab) -> None:
    lab.lacks()
    for verb, bus in (("gpu-reset", BUS), ("reboot", "")):
        assert lab.hands.cannot(verb, bus)
    with pytest.raises(HardwareError):
        await lab.hands.reset_gpu(BUS, LATE)
    with pytest.raises(HardwareError):
        await lab.hands.reboot()
    assert (lab.resets(), lab.reboots()) == (0, 0)
