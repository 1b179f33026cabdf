"""The hands on control groups pass the suite on the real kernel, through real containers: what the simulated kernel
does, this one does, too.

Where the machine has both versions at once, the freezers of both are tried: version 2's, and version 1's alone.
"""

import asyncio
import ctypes
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

pytest.register_assert_rewrite("tests.support.groups_suite")
from supervisor.clock import SystemClock  # noqa: E402 - after its asserts were made readable
from supervisor.engines.docker import shape  # noqa: E402
from supervisor.facts import Container  # noqa: E402
from supervisor.kernel import cache  # noqa: E402
from supervisor.kernel.hands import ControlGroups  # noqa: E402
from supervisor.kernel.tree import KernelFiles  # noqa: E402
from tests.support import groups_suite  # noqa: E402
from tests.support.groups_programs import program  # noqa: E402
from tests.support.groups_suite import CHECKS, MIB, Check  # noqa: E402
from tests.support.images import import_busybox, remove_image  # noqa: E402

pytestmark = pytest.mark.real

PREFIX = f"rsgg{os.getpid()}"
UNIFIED = "/sys/fs/cgroup/unified"
FREEZING = [
    groups_suite.what_is_frozen_does_not_grow_and_goes_on_afterwards,
    groups_suite.freezing_and_thawing_may_be_repeated,
    groups_suite.a_frozen_container_does_not_obey_until_it_is_let_go,
]


class OnlyFirst(KernelFiles):
    """The machine's files, as if it had no version 2."""

    def exists(self, path: str) -> bool:
        return not path.startswith(UNIFIED) and super().exists(path)


class RealLab:
    """Containers of the real engine; all are removed at the end, also those that stand frozen."""

    def __init__(self, tree: KernelFiles) -> None:
        self.client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
        self.image = f"{PREFIX}:1"
        import_busybox(self.image, client=self.client)
        self.tree = tree
        self.hands = ControlGroups(type(tree)(), SystemClock())
        self._made: list[str] = []

    async def start(self, kind: str, amount: int = 0, limit: int = 0) -> Container:
        limits = {"mem_limit": limit * MIB, "memswap_limit": limit * MIB} if limit else {}
        host = self.client.create_host_config(network_mode="none", **limits)
        argv = ["sh", "-c", program(kind, amount)]
        name = f"{PREFIX}-{len(self._made)}"
        made = self.client.create_container(self.image, argv, name=name, host_config=host)["Id"]
        self._made.append(made)
        self.client.start(made)
        box = self._look(made)
        await groups_suite.until(lambda: groups_suite.settled(self, box, kind, amount), f"the load of a {kind}")
        return box

    async def signal(self, container: Container, number: int) -> None:
        os.kill(container.pid, number)

    async def state(self, container: Container) -> str:
        found = self._look(container.id)
        return "running" if found.running else str(found.exit_code)

    def close(self) -> None:
        for made in self._made:
            self._loosen(made)
            self.client.remove_container(made, force=True)
        remove_image(self.image, self.client)
        self.client.close()
        self.hands.close()
        self.tree.close()

    def _look(self, made: str) -> Container:
        return shape.container(self.client.inspect_container(made), {}, "")

    def _loosen(self, made: str) -> None:
        for path, word in ((f"{UNIFIED}/docker/{made}/cgroup.freeze", b"0"), (_state(made), b"THAWED")):
            if os.path.exists(path):
                KernelFiles().write(path, word)


def _state(made: str) -> str:
    return f"/sys/fs/cgroup/freezer/docker/{made}/freezer.state"


def cases() -> Iterator[object]:
    """Everything as the machine is; and what is frozen once more, with version 1's freezer, where there are two."""
    for case in CHECKS:
        yield pytest.param(case, KernelFiles, id=case.__name__)
    if os.path.exists(UNIFIED):
        for case in FREEZING:
            yield pytest.param(case, OnlyFirst, id=f"{case.__name__}-version 1")


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[RealLab]:
    """A lab on the machine's files, or a part of them."""
    made = RealLab(request.param())
    yield made
    made.close()


def test_dropped_page_cache_is_gone() -> None:
    """On a disk, not in memory: /var/tmp survives a boot."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir="/var/tmp") as folder:
        weights, beside = Path(folder, "weights"), Path(folder, "beside")
        for path in (weights, beside):
            with path.open("wb") as file:
                file.write(os.urandom(4 * MIB))
                os.fsync(file.fileno())
        assert resident(weights) == resident(beside) == 1.0
        assert cache.drop((str(weights),), lambda: False) == 4 * MIB
        assert resident(weights) < 0.1
        assert resident(beside) == 1.0


def resident(path: Path) -> float:
    """How much of a file is in the page cache, as the kernel says (mincore): 0 to 1."""
    mincore = ctypes.CDLL(None, use_errno=True).mincore
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        pages = (ctypes.c_ubyte * (len(mapped) // mmap.PAGESIZE))()
        address = ctypes.c_char.from_buffer(mapped)
        assert mincore(ctypes.byref(address), ctypes.c_size_t(len(mapped)), pages) == 0
        del address
        return len([page for page in pages if page & 1]) / len(pages)


@pytest.mark.parametrize(("case", "lab"), list(cases()), indirect=["lab"])
def test_suite(case: Check, lab: RealLab) -> None:
    asyncio.run(case(lab))  # type: ignore[arg-type]
