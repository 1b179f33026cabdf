"""Containers and images, as an engine's inspect shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.facts.words import Json


@dataclass(frozen=True, slots=True)
class Container:
    """One container as the engine's inspect showed it. Times are unix seconds, 0 for never."""

    id: str
    name: str
    image_id: str
    image_ref: str
    labels: Mapping[str, str] = field(default_factory=dict)
    image_labels: Mapping[str, str] = field(default_factory=dict)
    """The `resurgam.*` labels of its image: those do not count as consent."""
    ref_image_id: str = ""
    """The image that `image_ref` stands for now; empty when the reference is gone or is itself an id."""
    status: str = "created"
    """created | running | paused | restarting | removing | exited | dead"""
    health: str = "none"
    """none | starting | healthy | unhealthy: the engine's own health check"""
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    restart_count: int = 0
    restart_policy: str = "no"
    """no | always | unless-stopped | on-failure | on-failure:N"""
    auto_remove: bool = False
    stop_grace: float = 10.0
    parents: Mapping[str, str] = field(default_factory=dict)
    """What it shares with another container: network, pid, ipc, volumes -> that one's id or name."""
    ports: tuple[str, ...] = ()
    """What it publishes on the host, sorted: `0.0.0.0:8000/tcp`; an address left out means all of them."""
    gpu: bool = False
    """It asks for a GPU: device requests, an NVIDIA runtime, or such devices."""
    gpus: tuple[str, ...] = ()
    """Which ones it asks for: `all`, an index, a UUID (or its beginning), a CDI name or a device file; empty where it
    asks for none, or for some number of them."""
    health_output: str = ""
    """The latest output of its own health check, bounded."""
    network_parent: str = ""
    """The id or name behind `network_mode: container:X`."""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    pid: int = 0
    address: str = ""
    """An IP address of the container that this host can reach; 127.0.0.1 with host networking; empty if none."""

    @property
    def running(self) -> bool:
        """Really running: `restarting` is not, though the engine's `State.Running` says so."""
        return self.status == "running"

    @property
    def alive(self) -> bool:
        """It has processes, and their memory: it runs, or stands paused."""
        return self.status in ("running", "paused")

    @property
    def living(self) -> bool:
        """It is alive, or the engine is about to start it again."""
        return self.alive or self.status == "restarting"


@dataclass(frozen=True, slots=True)
class Image:
    """One image as the engine's inspect showed it. `config` is its raw Config (Env, Cmd, Labels …)."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    config: Json = field(default_factory=dict)
    architecture: str = ""
    os: str = ""
    variant: str = ""
    """of the architecture: `v7` of arm"""
