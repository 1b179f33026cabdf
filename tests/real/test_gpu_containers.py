"""VRAM by container: a driver that is a text file, real containers, and the kernel's own control groups.

The whole path of one reading: libnvidia-ml's stub -> the real pynvml -> our child process -> the watch -> what /proc
says of each process.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from supervisor.clock import SystemClock
from supervisor.config.settings import GpuSettings
from supervisor.engines.docker import DockerEngine, shape
from supervisor.facts import Container, Fact, GpuProcess, GpuReading, Readings, Snapshot, Sweep
from supervisor.kernel.tree import KernelFiles
from supervisor.signals.gpu import Boards, GpuReader, GpuWatch, Owners
from supervisor.signals.gpu.owners import DEVICES
from tests.support.images import import_busybox, remove_image
from tests.support.nvml.driver import GIB, Card, Driver

pytestmark = pytest.mark.real

PREFIX = f"rsgv{os.getpid()}"
BUS = "00000000:17:00.0"
EVERY_CARD = "c 195:* rwm"


class Box:
    """A machine whose GPU is a text file, with containers of the real engine."""

    def __init__(self, folder: Path) -> None:
        self.client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
        self.image = f"{PREFIX}:1"
        import_busybox(self.image, client=self.client)
        self.driver, self.tree = Driver(folder), KernelFiles()
        board = folder / "sys/bus/pci/devices/0000:17:00.0"
        board.mkdir(parents=True)
        for file, text in {"vendor": "0x10de", "class": "0x030200", "device": "0x2335"}.items():
            (board / file).write_text(f"{text}\n")
        self.root = folder
        self.made: list[str] = []
        self.left: list[subprocess.Popen[bytes]] = []
        self.groups: list[Path] = []

    def start(self, **host: object) -> Container:
        made = self.client.create_container(
            self.image,
            ["sleep", "3600"],
            name=f"{PREFIX}-{len(self.made)}",
            host_config=self.client.create_host_config(network_mode="none", **host),
        )["Id"]
        self.made.append(made)
        self.client.start(made)
        return shape.container(self.client.inspect_container(made))

    def outlives(self, container: Container) -> int:
        """The container is removed, and a process of its control group goes on. Its pid."""
        self.client.remove_container(container.id, force=True)
        group = Path(f"/sys/fs/cgroup/memory/docker/{container.id}")
        group.mkdir()
        self.groups.append(group)
        orphan = subprocess.Popen(["sleep", "3600"])
        self.left.append(orphan)
        (group / "cgroup.procs").write_text(str(orphan.pid))
        return orphan.pid

    def close(self) -> None:
        for process in self.left:
            process.kill()
            process.wait()
        for made in self.made:
            with contextlib.suppress(docker.errors.NotFound):
                self.client.remove_container(made, force=True)
        for group in self.groups:
            with contextlib.suppress(FileNotFoundError):  # gone with its container's
                group.rmdir()
        remove_image(self.image, self.client)
        self.client.close()
        self.tree.close()
        self.driver.close()


class Life:
    """One watch over that machine."""

    def __init__(self, box: Box) -> None:
        clock = SystemClock()
        self.reader: GpuReader = box.driver.reader()
        self.owners = Owners(box.tree, clock)
        self.facts: list[Fact] = []
        self.engine = DockerEngine("unix:///var/run/docker.sock", clock, tree=box.tree)
        nothing = Snapshot(0.0, 0.0, 1, "box", "0", "epoch", 0, 0.0, "heal", "ok")
        about = (self.owners, self.facts.append, clock, lambda: nothing, GpuSettings())
        self.watch = GpuWatch(self.reader, Boards(box.root), *about, host="box")

    async def read(self) -> GpuReading:
        """One round, with the containers as the engine lists them now."""
        self.owners.take(Sweep(0.0, 0.0, "docker", await self.engine.list()))
        await self.watch.look()
        fact = self.facts[-1]
        assert isinstance(fact, Readings)
        assert fact.gpu is not None
        return fact.gpu

    async def close(self) -> None:
        await self.reader.close()
        await self.engine.close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    try:
        yield made
    finally:
        made.close()


async def test_vram_is_told_by_container_orphan_and_process(box: Box) -> None:
    life, oracle, removed = Life(box), box.start(), box.start()
    orphan, nobody = box.outlives(removed), subprocess.Popen(["sleep", "3600"])
    box.left.append(nobody)
    gone = subprocess.Popen(["true"])
    gone.wait()
    users = {oracle.pid: 60, orphan: 9, nobody.pid: 1, gone.pid: 0.5}
    box.driver.says(Card("GPU-aa", total=80, free=6, kept=1, users=users))
    try:
        reading = await life.read()
        assert reading.trouble == "", reading.text
        assert reading.boards == {BUS: "10de:2335, no driver"}
        (card,) = reading.cards
        found = {user.pid: user for user in card.users}
        assert found[oracle.pid] == GpuProcess(oracle.pid, 60 * GIB, "container", oracle.id, "sleep")
        assert (found[orphan].kind, found[orphan].container_id) == ("orphan", removed.id)
        assert (found[nobody.pid].kind, found[nobody.pid].name) == ("host", "sleep")
        assert found[gone.pid].kind == "gone"
        assert life.owners.owner_of(oracle.pid) == oracle.id
        box.client.remove_container(oracle.id, force=True)
        assert life.owners.owner_of(oracle.pid) == oracle.id, "the line about a fault names a pid that is gone"
        box.driver.says(Card("GPU-aa", total=80, free=6, kept=1, users={oracle.pid: 60}))
        (card,) = (await life.read()).cards
        assert card.users[0].kind == "gone", "the container and its process are gone, and its memory is not"
    finally:
        await life.close()


async def test_what_a_container_makes_of_its_own_groups_changes_nothing(box: Box) -> None:
    """One that has the rights may call its own groups as it likes: like those of another container, say."""
    life, victim, evil = Life(box), box.start(), box.start()
    inner = Path(f"/sys/fs/cgroup/memory/docker/{evil.id}/{victim.id}")
    inner.mkdir()
    box.groups.append(inner)
    (inner / "cgroup.procs").write_text(str(evil.pid))
    box.driver.says(Card("GPU-aa", total=80, free=20, users={evil.pid: 60}))
    try:
        (card,) = (await life.read()).cards
        assert card.users[0].container_id == evil.id
    finally:
        box.client.remove_container(evil.id, force=True)
        await life.close()


async def test_a_list_of_devices_that_was_written_anew_is_noticed(box: Box) -> None:
    """What systemd does to the containers of an engine that has its control groups from it, at `daemon-reload`."""
    life, oracle = Life(box), box.start()
    group = Path(f"{DEVICES}/docker/{oracle.id}")
    asking = replace(oracle, gpu=True, gpus=("all",))  # there is no GPU here to ask for
    owners = life.owners
    try:
        (group / "devices.allow").write_text(EVERY_CARD)  # as NVIDIA's runtime does
        owners.take(Sweep(0.0, 0.0, "docker", (asking,)))
        assert owners.denied() == ()
        (group / "devices.deny").write_text(EVERY_CARD)
        assert owners.denied() == (oracle.id,)
        owners.take(Sweep(0.0, 0.0, "docker", (oracle,)))
        assert owners.denied() == (), "one that asks for no card is missing none"
    finally:
        await life.close()
