"""What a service declares about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What a model must do in probation before it counts as good: tokens per second of one completion."""

    at_least: float
    """tokens per second"""
    tokens: int = 64
    within: float = 120.0
    """seconds the completion may take"""


@dataclass(frozen=True, slots=True)
class Before:
    """A command run inside the container before its image is changed (a backup), and what proves that it worked."""

    argv: tuple[str, ...]
    within: float = 600.0
    """seconds"""
    file: str = ""
    """a path inside the container that must be there afterwards, not empty and newer than the command's start"""


@dataclass(frozen=True, slots=True)
class SafeProfile:
    """How a service is run more carefully after faults: the same image with other variables and arguments."""

    env: Mapping[str, str] = field(default_factory=dict)
    """variables that are set beside its own, or instead of them"""
    args: tuple[str, ...] = ()
    """arguments that are put behind its own"""
    command: tuple[str, ...] = ()
    """instead of its own arguments; empty: they stay"""
    quiet: float = 21600.0
    """seconds without a fault of its cards after which it is run as before again"""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a service declares about itself, from labels and `services:` (which wins)."""

    probe: str = ""
    probe_from_label: bool = False
    """a probe from a label may only reach its own container"""
    probe_method: str = ""
    """the method a gRPC server without `grpc.health.v1` is asked by, like `/skills.Health/Check`"""
    probe_argv: tuple[str, ...] = ()
    """a command inside the container that asks whether it is well; from the configuration only"""
    probe_interval: float = 0.0
    """seconds between two questions; 0: what suits its kind"""
    probe_timeout: float = 0.0
    """seconds for an answer; 0: what suits its kind"""
    probe_retries: int = 3
    """answers in a row that make it count as failing"""
    probe_model: str = ""
    """the model a completion is asked of; empty: the first that the server lists"""
    startup: float = 300.0
    """seconds: the longest normal load"""
    startup_declared: bool = False
    memory: int = 0
    """bytes; 0 where nothing is declared"""
    weights: tuple[str, ...] = ()
    """files or folders of this machine with its model: what `drop-cache` may drop once it is unloaded; from the
    configuration only"""
    vram: tuple[tuple[str, int], ...] = ()
    """(GPU, bytes) pairs; GPU '' is any"""
    stop_grace: float = 0.0
    """seconds; 0: the container's own"""
    exclusive: tuple[str, ...] = ()
    priority: int = 0
    depends: tuple[str, ...] = ()
    stateful: bool = False
    boot: str = "engine"
    """engine | ordered: who starts it after a boot"""
    keep_env: tuple[str, ...] = ()
    """variables that stay as they are though the old image set the same: they were meant"""
    safe: SafeProfile | None = None
    metrics: str = ""
    """an endpoint of it with Prometheus text, like http://:8000/metrics"""
    metrics_from_label: bool = False
    """one from a label may only reach its own container"""
    before: Before | None = None
    benchmark: Benchmark | None = None
    aliases: tuple[str, ...] = ()
    kube: Mapping[str, str] = field(default_factory=dict)
    """namespace, deployment, container"""
