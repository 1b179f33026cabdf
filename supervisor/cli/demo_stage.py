"""The demo's stage: images made from the local busybox, a network, two containers, and the person who breaks one.

Everything here is what a person and compose would do, through the engine's own API; the daemon knows nothing of it.
"""

import asyncio
import io
import shutil
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound

from supervisor.clock import Clock
from supervisor.errors import EngineError

PROJECT = "resurgam-demo"
REF = "local/oracle:1"
PORT = 8000
GOOD = f"mkdir -p /www && echo fine > /www/health && exec httpd -f -p {PORT} -h /www"
BAD = "sleep 0.2; echo 'illegal instruction: this build needs AVX-512'; exit 139"


class Stage:
    """The demo's own containers. Calls run in threads: this is a person's script, not the daemon."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.healthy_since = 0.0
        self._api: docker.APIClient | None = None
        self._good = ""
        self._watch: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Reach the engine, clear what an earlier demo left, make images and network. EngineError if it cannot."""
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        try:
            self._api = docker.APIClient(version="auto", timeout=60, **_endpoint())
        except DockerException as err:
            raise EngineError(
                f"none answers ({err.__class__.__name__}); install or start Docker and try again"
            ) from None
        if shutil.which("busybox") is None:
            raise EngineError("the program busybox is missing; install busybox-static and try again")
        self._clear()
        self._api.create_network(PROJECT, driver="bridge", labels={"resurgam.demo": "1"})
        self._good = self._import(GOOD)
        self._api.tag(self._good, "local/oracle", "1")

    def _import(self, script: str) -> str:
        """An image with busybox and one command, made locally: nothing is pulled."""
        busybox = Path(shutil.which("busybox") or "/bin/busybox").resolve().read_bytes()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for folder in ("bin", "tmp", "www"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o777
                tar.addfile(entry)
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = len(busybox), 0o755
            tar.addfile(entry, io.BytesIO(busybox))
            for name in ("sh", "sleep", "httpd", "mkdir", "echo", "wget"):
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        quoted = script.replace("\\", "\\\\").replace('"', '\\"')
        result: Any = self._client.import_image_from_data(
            archive.getvalue(), changes=[f'CMD ["sh","-c","{quoted}"]', "LABEL resurgam.demo=1"]
        )
        text = result if isinstance(result, str) else result.decode()
        return text[text.index("sha256:") : text.index("sha256:") + 71]

    @property
    def _client(self) -> docker.APIClient:
        assert self._api is not None
        return self._api

    async def run_good(self) -> None:
        """Bring the stack up: the service that opted in, and a neighbour that did not."""
        await asyncio.to_thread(self._up, "oracle")
        await asyncio.to_thread(self._up, "qdrant")

    async def break_it(self) -> float:
        """The tag moves to an image that exits 139, and the container is recreated from it. When: unix seconds."""
        at = self.clock.wall()
        await asyncio.to_thread(self._break)
        self._watch = asyncio.create_task(self._look_from_outside())
        return at

    def _break(self) -> None:
        bad = self._import(BAD)
        self._client.tag(bad, "local/oracle", "1")
        self._up("oracle")

    def _up(self, service: str) -> None:
        """As `compose up -d` does it: stop, remove, create with the same name and labels, start."""
        name = f"{PROJECT}-{service}-1"
        self._remove(name)
        compose = {
            "com.docker.compose.project": PROJECT,
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
        }
        host = self._client.create_host_config(restart_policy={"Name": "unless-stopped"}, network_mode=PROJECT)
        made = self._client.create_container(REF, name=name, labels=compose, host_config=host, detach=True)
        self._client.start(made["Id"])

    def _remove(self, name: str) -> None:
        try:
            self._client.stop(name, timeout=1)
            self._client.remove_container(name, force=True)
        except NotFound:
            return

    # ------------------------------------------------------------ seen from outside

    async def _look_from_outside(self) -> None:
        """Ask the service itself, every 50 ms, as its callers would: since when does it answer again?"""
        while True:
            if await self._asks():
                self.healthy_since = self.healthy_since or self.clock.wall()
            else:
                self.healthy_since = 0.0
            await asyncio.sleep(0.05)

    async def answers(self, seconds: float) -> bool:
        """Whether it answers now, and goes on answering."""
        for _ in range(int(seconds / 0.1)):
            if await self._asks():
                return True
            await asyncio.sleep(0.1)
        return False

    async def _asks(self) -> bool:
        address = await asyncio.to_thread(self._address)
        if not address:
            return False
        try:
            async with asyncio.timeout(0.5):
                reader, writer = await asyncio.open_connection(address, PORT)
                writer.write(b"GET /health HTTP/1.0\r\n\r\n")
                answer = await reader.read(200)
                writer.close()
                return b" 200 " in answer
        except (OSError, TimeoutError):
            return False

    def _address(self) -> str:
        try:
            found = self._client.inspect_container(f"{PROJECT}-oracle-1")
        except (NotFound, APIError):
            return ""
        if not found["State"]["Running"] or found["State"]["Restarting"]:
            return ""
        networks: dict[str, Any] = found["NetworkSettings"]["Networks"]
        return str(networks.get(PROJECT, {}).get("IPAddress", ""))

    def image_is_good(self) -> bool:
        """Whether the service runs on the image that had proved itself."""
        found = self._client.inspect_container(f"{PROJECT}-oracle-1")
        return bool(found["Image"] == self._good)

    # ------------------------------------------------------------ afterwards

    async def clear(self) -> None:
        """Take away everything that is ours, and nothing else."""
        if self._watch is not None:
            self._watch.cancel()
        if self._api is not None:
            await asyncio.to_thread(self._clear)
            self._api.close()

    def _clear(self) -> None:
        ours = {"label": f"com.docker.compose.project={PROJECT}"}
        for found in self._client.containers(all=True, filters=ours):
            self._client.remove_container(found["Id"], force=True)
        named = self._client.containers(all=True, filters={"name": f"^/{PROJECT}-"})
        for found in named:
            self._client.remove_container(found["Id"], force=True)
        for network in self._client.networks(filters={"label": "resurgam.demo=1"}):
            self._client.remove_network(network["Id"])
        for image in self._client.images(filters={"label": "resurgam.demo=1"}):
            remove = partial(self._client.remove_image, force=True)
            try:
                remove(image["Id"])
            except APIError:
                continue


def _endpoint() -> dict[str, Any]:
    from docker.utils import kwargs_from_env

    return dict(kwargs_from_env())
