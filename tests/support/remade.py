"""A person at the real engine who makes containers of any shape, and our own hands that make them again, for the real
tier. Two images that differ in everything an image can bring, and one with an entrypoint."""

import asyncio
import copy
import os

import docker

from supervisor.actions import recipe
from supervisor.clock import SystemClock
from supervisor.engines.docker import DockerEngine
from tests.support.images import import_busybox, remove_image

PREFIX = f"rsgf{os.getpid()}"
NET = f"10.{64 + os.getpid() % 128}"
"""the beginning of addresses that another run beside this one hardly has"""
SERVE = ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]
QUOTED = '["sh", "-c", "trap \'exit 0\' TERM; sleep 3600 & wait"]'
OLD = [
    f"CMD {QUOTED}",
    "ENV FOO=v1 KEEP=same CUDA_VERSION=12.1",
    'LABEL ver=1 lab=one resurgam.enable="true"',
    "HEALTHCHECK --interval=30s CMD true",
    "EXPOSE 80",
    "WORKDIR /data",
    "VOLUME /anon",
]
NEW = [
    f"CMD {QUOTED}",
    "ENV FOO=v2 KEEP=same CUDA_VERSION=12.4 FRESH=1",
    "LABEL ver=2",
    "HEALTHCHECK --interval=20s CMD true",
    "EXPOSE 81",
    "WORKDIR /tmp",
    "VOLUME /cache",
]
PLAIN = {"Name": "no", "MaximumRetryCount": 0}


class Box:
    """A person at the real engine, and our own hands on it; everything made carries one prefix and is removed."""

    def __init__(self) -> None:
        self.client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
        self.loop = asyncio.new_event_loop()
        self.engine = DockerEngine("unix:///var/run/docker.sock", SystemClock())
        self.old = import_busybox(f"{PREFIX}/app:1", OLD, self.client)
        self.new = import_busybox(f"{PREFIX}/app:2", NEW, self.client)
        self.bare = import_busybox(f"{PREFIX}/bare:1", [f"ENTRYPOINT {QUOTED}"], self.client)
        self.net = self.network("net", f"{NET}.77.0/24")
        self.other = self.network("other", f"{NET}.78.0/24")
        self.info = self.do(self.engine.info())

    def do(self, work):
        return self.loop.run_until_complete(work)

    def network(self, name: str, subnet: str) -> str:
        pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
        self.client.create_network(f"{PREFIX}-{name}", driver="bridge", ipam=pool)
        return f"{PREFIX}-{name}"

    def make(self, name: str, body: dict, *, start: bool = True, join=()) -> dict:
        """A container as a person makes it; its raw inspect."""
        host = {"NetworkMode": self.net, **body.pop("HostConfig", {})}
        full = {"Image": f"{PREFIX}/app:1", "StopTimeout": 1, **body, "HostConfig": host}
        made = self.client.create_container_from_config(full, f"{PREFIX}-{name}")["Id"]
        for network, config in join:
            self.client.connect_container_to_network(made, network, **config)
        if start:
            self.client.start(made)
        return self.do(self.engine.raw(made))

    def image(self, ref: str):
        return self.do(self.engine.image(ref))

    def again(self, raw: dict, ref: str, *, names=None, keep_env=(), edit=None):
        """Made again under a name of its own: (its recipe, its raw inspect)."""
        old, new = self.image(raw["Image"]), self.image(ref)
        made = recipe.successor(
            raw, old, new, op="0a", policy=PLAIN, ref="", names=names or {}, keep_env=keep_env, engine=self.info
        )
        body = copy.deepcopy(made.body)
        if edit is not None:
            edit(body)
        twin = self.do(self.engine.create(raw["Name"].strip("/") + "-twin", body))
        return made, self.do(self.engine.raw(twin))

    def remove(self, *ids: str) -> None:
        for each in ids:
            self.client.remove_container(each, force=True, v=True)

    def close(self) -> None:
        for row in self.client.containers(all=True, filters={"name": PREFIX}):
            self.client.remove_container(row["Id"], force=True, v=True)
        for volume in self.client.volumes(filters={"name": PREFIX})["Volumes"] or ():
            self.client.remove_volume(volume["Name"])
        for name in ("net", "other"):
            self.client.remove_network(f"{PREFIX}-{name}")
        for ref in ("app:1", "app:2", "bare:1"):
            remove_image(f"{PREFIX}/{ref}", self.client)
        self.client.close()
        self.do(self.engine.close())
        self.loop.close()
