"""What the kernel tells of real containers' memory: what they hold is what we read, kind by kind."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import docker
import pytest

from supervisor.clock import SystemClock
from supervisor.facts import Container, Fact, GroupMemory, OomSeen, Readings
from supervisor.kernel import groups
from supervisor.kernel.host import Machine
from supervisor.kernel.tree import KernelFiles
from supervisor.signals.memory.watch import MemoryWatch
from tests.support.daemon import until
from tests.support.images import import_busybox, remove_image

pytestmark = pytest.mark.real

PREFIX = f"rsg6a{os.getpid()}"
MIB = 2**20
NEAR = 2 * MIB
ANON, SHARED, CACHED = 48, 24, 32
"""MiB that the container holds: in a buffer of its own, in a tmpfs, and in page cache"""
HOLD = f"""
dd if=/dev/zero of=/dev/shm/shared bs=1M count={SHARED} 2>/dev/null
dd if=/dev/zero of=/data/cached bs=1M count={CACHED} 2>/dev/null
mkfifo /tmp/pipe
sleep 600 < /tmp/pipe &
dd if=/dev/zero of=/tmp/pipe bs={ANON}M 2>/dev/null &
echo held
wait
"""
CHILD = """
read line < /dev/shm/go
tail -c 100m /dev/zero > /dev/null
echo "the child ended with $?"
exec sleep 600
"""


class Box:
    """Containers of ours, and the kernel's files about them."""

    def __init__(self) -> None:
        self.client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
        import_busybox(f"{PREFIX}:1", ['CMD ["sleep", "600"]'], self.client)
        self.tree = KernelFiles()
        self.facts: list[Fact] = []
        self.containers: list[Container] = []
        self.watch = MemoryWatch(
            Machine(self.tree), self.tree, self.facts.append, SystemClock(), lambda: self.containers
        )

    def run(self, name: str, script: str, **limits: object) -> Container:
        config = self.client.create_host_config(network_mode="none", shm_size="64m", **limits)
        made = self.client.create_container(
            f"{PREFIX}:1", ["sh", "-c", script], name=f"{PREFIX}-{name}", host_config=config, entrypoint=[]
        )
        self.client.start(made["Id"])
        container = Container(made["Id"], f"{PREFIX}-{name}", "", "", status="running", pid=self.pid(made["Id"]))
        self.containers = [*self.containers, container]
        return container

    def pid(self, key: str) -> int:
        return int(self.client.inspect_container(key)["State"]["Pid"])

    def said(self, container: Container, text: str) -> bool:
        return text in self.client.logs(container.id).decode()

    def read(self) -> dict[str, GroupMemory]:
        """One round of the watch."""
        self.watch.read()
        last = self.facts[-1]
        assert isinstance(last, Readings)
        assert last.host is not None
        return dict(last.host.groups)

    def close(self) -> None:
        for row in self.client.containers(all=True, filters={"name": PREFIX}):
            self.client.remove_container(row["Id"], force=True, v=True)
        remove_image(f"{PREFIX}:1", self.client)
        self.client.close()
        self.tree.close()


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box()
    try:
        yield made
    finally:
        made.close()


def eventually(check: Callable[[], bool]) -> None:
    until(check, 90.0, "it hangs")


def near(mib: float) -> Callable[[float], bool]:
    return lambda found: abs(found - mib * MIB) <= NEAR


def test_each_kind_of_memory_is_what_the_container_holds(box: Box) -> None:
    container = box.run("holds", HOLD, mem_limit="256m")
    eventually(lambda: box.said(container, "held"))
    eventually(lambda: near(ANON)(box.read()[container.id].anon))
    found = box.read()[container.id]
    assert near(ANON)(found.anon)
    assert near(SHARED)(found.shmem)
    assert found.file >= CACHED * MIB, "what it wrote is page cache, which counts for nobody"
    assert near(ANON + SHARED)(found.resident - found.kernel)
    assert found.used == found.resident, "nothing of it is in swap"
    assert found.limit == 256 * MIB
    assert (found.locked, found.frozen, found.oom_kills) == (0.0, False, 0.0)
    assert found.usage >= found.resident + CACHED * MIB

    box.client.pause(container.id)
    place = groups.find(box.tree, container.pid, container.id)
    assert place is not None
    assert groups.read(box.tree, place).frozen
    box.client.unpause(container.id)
    assert not groups.read(box.tree, place).frozen


def test_a_child_that_the_kernel_kills_is_told_of_and_the_container_lives_on(box: Box) -> None:
    container = box.run("child", "mkfifo /dev/shm/go;" + CHILD, mem_limit="32m", memswap_limit="32m")
    assert container.id in box.read()
    box.client.exec_start(box.client.exec_create(container.id, ["sh", "-c", "echo > /dev/shm/go"])["Id"])
    eventually(lambda: box.said(container, "ended with"))
    assert box.said(container, "ended with 137")
    assert box.read()[container.id].oom_kills == 1.0
    told = [fact for fact in box.facts if isinstance(fact, OomSeen) and fact.source == "events"]
    assert [(one.container_id, one.kills) for one in told] == [(container.id, 1)]


def test_a_container_that_ends_is_left_out_and_one_that_starts_again_is_found_again(box: Box) -> None:
    container = box.run("again", "sleep 600")
    other = box.run("other", "sleep 600")
    assert box.read().keys() == {container.id, other.id}
    box.client.kill(container.id)
    box.client.wait(container.id)
    eventually(lambda: box.read().keys() == {other.id})
    box.client.start(container.id)
    box.containers = [replace(container, pid=box.pid(container.id)), other]
    assert box.read().keys() == {container.id, other.id}


def test_a_pid_of_somebody_else_is_not_believed(box: Box) -> None:
    container = box.run("mine", "sleep 600")
    assert groups.find(box.tree, os.getpid(), container.id) is None
    assert groups.find(box.tree, container.pid, "0" * 64) is None
    assert groups.find(box.tree, container.pid, container.id) is not None
