"""The hands on control groups pass the suite on the simulated kernel, in all three shapes that a machine can have."""

import pytest

pytest.register_assert_rewrite("tests.support.groups_suite")
from supervisor.facts import Container  # noqa: E402 - after its asserts were made readable
from supervisor.kernel.hands import ControlGroups  # noqa: E402
from supervisor.lab.engine import SimEngine  # noqa: E402
from supervisor.lab.images import Behaviour, SimImage  # noqa: E402
from supervisor.lab.kernel.dockerd import KernelDockerd  # noqa: E402
from supervisor.lab.kernel.load import SimLoad  # noqa: E402
from supervisor.lab.kernel.machine import Version  # noqa: E402
from supervisor.lab.kernel.sim import SimKernel  # noqa: E402
from supervisor.lab.loop import SimLoop  # noqa: E402
from tests.support.groups_suite import CHECKS, MIB, Check  # noqa: E402

GIB = 2.0**30
VERSIONS: tuple[Version, ...] = (1, 2, "hybrid")
RATE = 20.0 * MIB
LOADS = {
    "hold": lambda amount: SimLoad(anon=amount),
    "grow": lambda amount: SimLoad(anon=MIB).growing(RATE, upto=amount),
    "parent": lambda amount: SimLoad(anon=MIB, child=True).growing(RATE, upto=amount),
    "shared": lambda amount: SimLoad(anon=MIB, shmem=amount),
    "cache": lambda amount: SimLoad(anon=MIB, file=amount),
}


class SimLab:
    """A simulated machine of 4 GiB without swap."""

    def __init__(self, loop: SimLoop, version: Version) -> None:
        memory = {"MemTotal": 4 * GIB, "MemAvailable": 2 * GIB, "SwapTotal": 0.0, "SwapFree": 0.0}
        self.tree = self.kernel = SimKernel(loop.clock, memory, version)
        self.engine = SimEngine(loop.clock, "sim", lambda clock, name: KernelDockerd(clock, name, self.kernel))
        self.engine.add_image(SimImage(tags=("box:1",), run=Behaviour(stop_code=143)))
        self.hands = ControlGroups(self.kernel, loop.clock)
        self._made = 0

    async def start(self, kind: str, amount: int = 0, limit: int = 0) -> Container:
        self._made += 1
        name = f"{kind}-{self._made}"
        self.kernel.declare(name, LOADS[kind](amount * float(MIB)))
        host = {"Memory": limit * MIB, "MemorySwap": limit * MIB} if limit else {}
        self.engine.human_run(name, "box:1", host=host)
        found = self.engine.container(name)
        assert found is not None
        return found

    async def signal(self, container: Container, number: int) -> None:
        self.engine.human_kill(container.name, str(number))

    async def state(self, container: Container) -> str:
        found = self.engine.container(container.name)
        assert found is not None
        return "running" if found.running else str(found.exit_code)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CHECKS, ids=lambda case: case.__name__)
def test_suite(case: Check, version: Version) -> None:
    loop = SimLoop()
    try:
        loop.run_until_complete(case(SimLab(loop, version)))  # type: ignore[arg-type]
    finally:
        loop.close()
