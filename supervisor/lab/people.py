"""People's hands on the simulated engine: what `docker run`, `stop`, `rm`, `tag` … do there.

From: tests and simulated worlds. To: lab/dockerd.py, at once and without any fault. lab/engine.py builds on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from supervisor.engines.docker import shape, versions
from supervisor.errors import EngineError
from supervisor.facts import Json
from supervisor.lab.dockerd import SimDockerd


class People:
    """Whoever works at the engine beside us."""

    def __init__(self, world: SimDockerd) -> None:
        self.world = world

    def human_run(
        self,
        name: str,
        image: str,
        labels: Mapping[str, str] | None = None,
        policy: str = "no",
        *,
        start: bool = True,
        env: Sequence[str] = (),
        ports: Mapping[str, str] | None = None,
        networks: Sequence[str] = (),
        host: Json | None = None,
        **config: Any,
    ) -> str:
        """`docker run -d`. `ports` maps `8000/tcp` to a host port; `host` adds to HostConfig, `config` to the body."""
        body: Json = {"Image": image, "Env": list(env), "Labels": dict(labels or {}), **config}
        body["HostConfig"] = {"RestartPolicy": shape.policy_json(policy), **(host or {})}
        if ports:
            body["ExposedPorts"] = {inside: {} for inside in ports}
            body["HostConfig"]["PortBindings"] = {
                inside: [{"HostIp": "", "HostPort": outside}] for inside, outside in ports.items()
            }
        if networks:
            self.world.networks.update(networks)
            body["HostConfig"]["NetworkMode"] = networks[0]
            body["NetworkingConfig"] = {"EndpointsConfig": {network: {} for network in networks}}
        made = self.made(name, body)
        if start:
            self.world.start(made)
        return made

    def made(self, name: str, spec: Json) -> str:
        """A container from a create body, connected to all its networks as this version of the engine does it."""
        body, later = versions.fit(spec, self.world.place.api)
        made = self.world.create(name, body)
        try:
            for network, endpoint in later.items():
                self.world.connect(made, network, endpoint)
        except EngineError:
            self.world.remove(made)
            raise
        return made

    def human_start(self, name: str) -> None:
        """`docker start`."""
        self.world.start(name)

    def human_stop(self, name: str, grace: float = 10.0) -> None:
        """`docker stop`, without waiting for its end."""
        self.world.stop(name, grace, lambda: None)

    def human_kill(self, name: str, signal: str = "9") -> None:
        """`docker kill`."""
        self.world.kill(name, signal)

    def human_remove(self, name: str, force: bool = False) -> None:
        """`docker rm [-f]`."""
        self.world.remove(name, force=force)

    def human_rename(self, name: str, new: str) -> None:
        """`docker rename`."""
        self.world.rename(name, new)

    def human_pause(self, name: str, paused: bool = True) -> None:
        """`docker pause`, or `docker unpause`."""
        self.world.pause(name, paused)

    def human_tag(self, image: str, ref: str) -> None:
        """`docker tag`."""
        self.world.shelf.tag(image, ref)

    def human_untag(self, ref: str, force: bool = False) -> None:
        """`docker rmi [-f]`."""
        self.world.shelf.untag(ref, force=force)
