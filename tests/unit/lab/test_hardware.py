"""The simulated hands on the machine: the same suite as the real ones (tests/unit/kernel/test_hardware.py)."""

import pytest

pytest.register_assert_rewrite("tests.support.hardware_suite")

from supervisor.lab.engine import SimEngine  # noqa: E402
from supervisor.lab.gpu import SimCards, SimReader  # noqa: E402
from supervisor.lab.hardware import SimHardware, SimMachineHands  # noqa: E402
from supervisor.lab.kernel.dockerd import KernelDockerd  # noqa: E402
from supervisor.lab.kernel.sim import SimKernel  # noqa: E402
from supervisor.lab.loop import SimLoop  # noqa: E402
from tests.support.hardware_suite import BUS, CHECKS, Check  # noqa: E402


class Lab:
    """A simulated machine with one card."""

    def __init__(self, loop: SimLoop) -> None:
        kernel = SimKernel(loop.clock, dict, 2)
        engine = SimEngine(loop.clock, "docker", lambda clock, name: KernelDockerd(clock, name, kernel))
        cards = SimCards(loop.clock, engine.world, kernel)
        cards.add(bus_id=BUS)
        self.machine = SimMachineHands(loop.clock, cards, lambda: None, lambda _seconds: None)
        self.hands = SimHardware(self.machine, SimReader(cards), lambda: None)

    def opens(self) -> None:
        self.machine.strangers[BUS] = ("Xorg (pid 812)",)

    def fails(self, text: str) -> None:
        self.machine.refuses = text

    def lacks(self) -> None:
        self.machine.missing = "this machine is a stage"

    def resets(self) -> int:
        return len(self.machine.resets)

    def reboots(self) -> int:
        return len(self.machine.reboots)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_simulated_hands_pass_the_suite_of_the_real_ones(check: Check) -> None:
    loop = SimLoop()
    try:
        loop.run_until_complete(check(Lab(loop)))
    finally:
        loop.close()
