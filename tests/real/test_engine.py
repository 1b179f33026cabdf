"""The real engine passes the very suite that the simulated one passes, so that what the lab proves holds here, too."""

import os
import signal
from collections.abc import AsyncIterator, Iterator

import docker
import pytest

from supervisor.clock import SystemClock
from supervisor.engines.docker import DockerEngine
from tests.support.images import import_busybox, remove_image

pytest.register_assert_rewrite(
    "tests.support.engine_suite", "tests.support.engine_files", "tests.support.engine_refusals"
)
from tests.support import engine_files, engine_refusals  # noqa: E402, F401 - more checks, that join the suite
from tests.support.engine_suite import CHECKS, Check  # noqa: E402 - after its asserts were made readable

pytestmark = pytest.mark.real

PREFIX = f"rsgb{os.getpid()}"
SERVE = """CMD ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]"""
CHANGES = {
    "serve": [SERVE],
    "stubborn": ["""CMD ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]"""],
    "loop": ['CMD ["sh", "-c", "sleep 0.2; exit 139"]'],
    "checked": [SERVE, "HEALTHCHECK --interval=1s CMD true"],
    "sick": [SERVE, "HEALTHCHECK --interval=1s --retries=1 CMD false"],
    "toolless": [SERVE, 'HEALTHCHECK --interval=1s --retries=1 CMD ["nosuchtool", "-q"]'],
    "done": ['CMD ["sh", "-c", "echo one; echo two; exit 3"]'],
}
COMMON = ["ENV FROM_IMAGE=image KEPT=image", "LABEL resurgam.image=yes"]


class Box:
    """A person's hands on the real engine; everything it made carries one prefix and is removed."""

    def __init__(self) -> None:
        self.client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
        self.images = {
            kind: import_busybox(f"{PREFIX}/{kind}:1", [*changes, *COMMON], self.client)
            for kind, changes in CHANGES.items()
        }

    def sweep(self) -> None:
        """Remove every container of ours, and tags that a test made."""
        for row in self.client.containers(all=True, filters={"name": PREFIX}):
            self.client.remove_container(row["Id"], force=True, v=True)
        kept = {f"{PREFIX}/{kind}:1" for kind in CHANGES}
        for volume in self.client.volumes(filters={"name": PREFIX})["Volumes"] or ():
            self.client.remove_volume(volume["Name"])
        for row in self.client.images():
            for ref in row.get("RepoTags") or ():
                if ref.startswith(PREFIX) and ref not in kept:
                    remove_image(ref, self.client)

    def close(self) -> None:
        self.sweep()
        for network in self.client.networks(names=[PREFIX]):
            self.client.remove_network(network["Id"])
        for kind in CHANGES:
            remove_image(f"{PREFIX}/{kind}:1", self.client)
        self.client.close()


class RealLab:
    """One test's lab."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.engine = DockerEngine(None, SystemClock())

    def name(self, word: str) -> str:
        return f"{PREFIX}-{word}"

    def image(self, kind: str) -> str:
        return f"{PREFIX}/{kind}:1"

    def image_id(self, kind: str) -> str:
        return self.box.images[kind]

    def network(self, word: str) -> str:
        name = f"{PREFIX}-{word}"
        if not any(network["Name"] == name for network in self.box.client.networks(names=[name])):
            self.box.client.create_network(name)
        return name

    def fixed(self, word: str) -> tuple[str, str]:
        name = f"{PREFIX}-{word}"
        if not any(network["Name"] == name for network in self.box.client.networks(names=[name])):
            number = 16 + os.getpid() % 64  # nets of several runs must not overlap
            pool = docker.types.IPAMPool(subnet=f"10.213.{number}.0/24")
            self.box.client.create_network(name, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
        subnet = self.box.client.inspect_network(name)["IPAM"]["Config"][0]["Subnet"]
        return name, subnet.rpartition(".")[0] + ".9"

    def missing_folder(self) -> str:
        return "/nosuch/folder"

    async def crash(self, name: str) -> None:
        os.kill(self.box.client.inspect_container(name)["State"]["Pid"], signal.SIGKILL)

    async def delete_path(self, name: str, path: str) -> None:
        client = self.box.client
        client.exec_start(client.exec_create(name, ["rm", "-r", path])["Id"])


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.close()


@pytest.fixture
async def lab(box: Box) -> AsyncIterator[RealLab]:
    made = RealLab(box)
    yield made
    await made.engine.close()
    box.sweep()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_it_behaves_like_every_engine(lab: RealLab, check: Check) -> None:
    await check(lab)
