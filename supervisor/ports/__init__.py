"""The outside world as Protocols. Every real adapter and its simulated twin pass one and the same test suite.

All calls may be late, fail, or have their effect and then fail: callers look before they do a thing again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.facts import (
    Container,
    EngineEvent,
    Fact,
    Free,
    GpuReading,
    GroupMemory,
    Image,
    Json,
    Needs,
)
from supervisor.ports.models import Gate as Gate
from supervisor.ports.models import ModelAt as ModelAt
from supervisor.ports.models import Models as Models
from supervisor.ports.models import ModelServer as ModelServer
from supervisor.ports.models import Weights as Weights
from supervisor.verdicts import Verdict

Submit = Callable[[Fact], None]
"""How edges hand a fact to the core. It never blocks and never fails."""


class Ask(Protocol):
    """How edges ask the core: hands it a fact; the answer comes after the turn that decided it is durable."""

    def __call__(self, fact: Fact) -> Awaitable[Any]: ...


Permit = Callable[[int, str, tuple[Container, ...]], Awaitable[Verdict]]
"""`permit(plan, step, seen)`: asked before every step; durable before it says yes."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """An engine that answered. `identity` changes when the engine was restarted."""

    identity: str
    name: str
    version: str
    api: str
    os: str = ""
    architecture: str = ""
    runtimes: tuple[str, ...] = ()
    default_runtime: str = ""
    cdi: bool = False
    """it knows CDI devices"""
    local: bool = False
    """it runs on this very machine: the paths it binds can be looked at"""
    root: str = ""
    """the folder in which it keeps everything"""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command inside a container ended; `broken` says why it could not run at all ('' if it ran)."""

    code: int
    output: str
    broken: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One path in a container's writable layer that is not as in its image."""

    path: str
    kind: str
    """added | modified | deleted"""


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file or folder in a container, without what is in it. `mtime` in unix seconds."""

    size: int
    mtime: float
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container uses now. Bytes and CPU seconds; 0 where the engine does not tell."""

    memory: float
    memory_limit: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What an engine keeps on disk, in bytes."""

    used: Mapping[str, float]
    """images | containers | volumes | build_cache -> bytes"""
    reclaimable: Mapping[str, float]
    """the same kinds -> bytes of it that nothing uses now"""


class Engine(Protocol):
    """The hands on containers (real: engines/docker, simulated: lab/engine). Raises errors.EngineError.

    `key` is a container's id or name. No build, swarm, plugin or volume call exists here, on purpose.
    """

    name: str

    async def info(self) -> EngineInfo: ...

    async def list(self) -> tuple[Container, ...]:
        """Every container, whatever its state, inspected, ordered by id."""

    async def inspect(self, key: str) -> Container | None:
        """One container; None if there is none."""

    async def raw(self, key: str) -> Json:
        """The engine's own inspect, whole: what a recreation is made from. NotFound if there is none."""

    async def image(self, ref: str) -> Image | None:
        """One image by reference or id; None if there is none."""

    async def images(self) -> Mapping[str, str]:
        """Every tagged reference and the image id it stands for."""

    async def gateway(self, network: str) -> str:
        """The address at which containers of a network reach this machine, '' where it has none. NotFound if there is
        no such network."""

    async def changes(self, key: str) -> tuple[FileChange, ...]:
        """What it wrote into its own layer, by path; at most 100,000. NotFound if there is no such container."""

    async def stat(self, key: str, path: str) -> FileStat | None:
        """What is at a path of it (a link is followed), also where it stands still; None where nothing is, or no such
        container."""

    async def get_archive(self, key: str, path: str, limit: int) -> bytes:
        """A file or folder of it as a tar, also of one that stands still; paths in the tar begin with the last part of
        `path`. NotFound where there is no such path, EngineError beyond `limit` bytes."""

    async def put_archive(self, key: str, path: str, tar: bytes) -> None:
        """Unpack a tar at `path` inside it (a folder that is there), owners and modes kept; also into one that was only
        created."""

    async def create(self, name: str, spec: Json) -> str:
        """Create a container from a raw create body, connecting every network in its NetworkingConfig before it can
        be started. Returns the id. Conflict if the name is taken, NotFound if the image is gone."""

    async def start(self, key: str) -> None:
        """Start it; fine if it already runs."""

    async def stop(self, key: str, grace: float) -> None:
        """Stop it with its own signal, killing it after `grace` seconds; ends the engine's own retries; fine if it is
        not running."""

    async def rename(self, key: str, name: str) -> None:
        """Give it a name. Conflict if another container has it; fine if it already has it."""

    async def remove(self, key: str) -> None:
        """Remove a container that is not running; named and anonymous volumes stay. Fine if it is gone. Conflict if
        it runs."""

    async def set_policy(self, key: str, policy: str) -> None:
        """Set the restart policy (`no`, `always`, `unless-stopped`, `on-failure[:N]`). Only for stopped ones."""

    async def tag(self, image_id: str, ref: str) -> None:
        """Let `repository:tag` stand for the image."""

    async def untag(self, ref: str) -> None:
        """Take one reference away; fine if it is gone. Never deletes an image that a container uses."""

    async def logs(self, key: str, lines: int) -> tuple[str, ...]:
        """The last lines of its log, stdout and stderr together, each bounded; empty if there is none."""

    async def usage(self, key: str) -> Usage | None:
        """What it uses now; None if it does not run."""

    async def exec(self, key: str, argv: tuple[str, ...], limit: float) -> ExecResult:
        """Run a command inside, for probes and `before:` only; argv comes from the configuration or the image's health
        check."""

    async def disk(self) -> "DiskUse":
        """What its images, containers, volumes and build cache take, and how much of it could be given back. It walks
        through everything the engine has: seconds to minutes, so ask seldom. Deletes nothing."""

    def events(self, since_ns: int = 0) -> AsyncIterator[EngineEvent]:
        """Events as they happen, after those kept since `since_ns`. The first item is yielded only once the
        subscription stands, and is an event of kind `subscribed`. Ends or raises EngineGone when the engine goes."""

    async def close(self) -> None:
        """Let go of every connection."""


class Prober(Protocol):
    """Asks a service whether it is well (real: signals/probes, simulated: lab)."""

    async def probe(
        self, needs: Needs, container: Container | None, timeout: float, *, gentle: bool = False
    ) -> "ProbeResult":
        """One probe, as the service declares it (`needs.probe`, `probe_argv` …). A host left out means the container
        itself; for a probe from a label any other host is refused as broken. `container`: None for an endpoint outside.
        `gentle`: as it is asked for ever. A model that is not in memory is not woken or loaded for it."""

    async def benchmark(self, needs: Needs, container: Container) -> "ProbeResult":
        """One completion of `needs.benchmark.tokens` tokens; `rate` says how fast. Broken where it cannot run."""


class Room(Protocol):
    """Tells whether what a container is about to need is free (real: signals/room, simulated: lab)."""

    async def held(self, needs: Needs, container: Container, before: str = "") -> str:
        """What it would have to wait for, one sentence with who holds it (`port 8000 is held by …`, `40 GiB of memory
        are free, it needs 90 GiB`); '' if nothing. `before`: the id of the container whose place it takes, or its own.
        Never raises: what cannot be measured is not waited for."""

    async def doubts(self, needs: Needs, container: Container) -> tuple[str, ...]:
        """What of its needs cannot be waited for, and why, a sentence each. Never raises."""

    async def free(self) -> Free:
        """What is free now, of the machine's memory and of each card. Never raises: what cannot be measured is 0, or is
        left out."""


class Groups(Protocol):
    """The hands on the memory of running containers: their control groups (real: kernel/hands, simulated: lab/kernel
    below the same code). Raises errors.GroupError, a sentence with the cure; NotFound where the container does not run.
    Every call may be repeated: what is so already stays so. Nothing is forked, and the engine is not asked."""

    def cannot(self, verb: str, container: Container) -> str:
        """Why `fuse`, `reclaim`, `freeze`, `thaw` or `raise-limit` cannot be done to it here, with the cure; '' if it
        can. Cheap, and writes nothing."""

    async def read(self, container: Container) -> GroupMemory:
        """Its memory now."""

    async def freeze(self, container: Container, frozen: bool) -> None:
        """Let all its processes stand still, or go on. Returns once the kernel says that it is so."""

    async def fuse(self, container: Container, high: float) -> str:
        """Set memory.high in bytes, 0 for none: above it the container is slowed down, not killed. Returns what stood
        there before (`max`, or bytes as text)."""

    async def reclaim(self, container: Container, wanted: float, within: float) -> float:
        """Let the kernel take up to `wanted` bytes back from it, `within` seconds at most; the bytes it gave."""

    async def raise_limit(self, container: Container, limit: float) -> str:
        """Set its memory limit to `limit` bytes; refused below the present limit or its usage. Returns the one before.
        Never through the engine: an update of a running container can cost it its GPU."""

    async def drop_cache(self, paths: tuple[str, ...], within: float) -> float:
        """Let the kernel forget the page cache of these files (folders are walked, links not followed); the bytes that
        were looked through. Mapped pages stay."""


class Hardware(Protocol):
    """The hands on the machine beyond containers (real: kernel/hardware, simulated: lab). Each is switched off unless
    resurgam.yaml switches it on. Raises errors.HardwareError, a sentence with the cure."""

    def cannot(self, verb: str, bus_id: str) -> str:
        """Why `gpu-reset` (of the card there) or `reboot` cannot be done here, with the cure; '' if it can. Cheap."""

    async def users(self, bus_id: str) -> tuple[str, ...]:
        """Who has the card open, each as `python3 (pid 812)`; without our own process that asks the driver."""

    async def reset_gpu(self, bus_id: str, within: float) -> str:
        """Reset one card, which nobody may use; one sentence on what was said. Returns once it is done."""

    async def reboot(self) -> None:
        """Ask the system to restart the machine. Returns when it was asked."""

    def boot(self) -> str:
        """Which boot of the machine this is; '' where nobody knows."""


class GpuDriver(Protocol):
    """Asks the driver of the GPUs, and lets go of it (real: signals/gpu/reader, simulated: lab/gpu). Never raises."""

    @property
    def held(self) -> str:
        """Why it is not asked, '' while it may be."""

    @property
    def running(self) -> bool:
        """Whether we have it open, so that a question does not open it."""

    async def snapshot(self, depth: str) -> GpuReading:
        """How the cards are now; `depth`: fast | slow | rare. What went wrong is its `trouble`."""

    def hold(self, why: str) -> None:
        """Let go of the driver, and ask it no more until `resume`: whoever has it open is in the way of a reset."""

    async def release(self, why: str) -> bool:
        """Hold, and wait until we have it open no more, some seconds at most. False: our own process hangs in it."""

    def resume(self) -> None:
        """It may be asked again."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`broken`: the probe itself cannot work (bad address, tool missing); that says nothing about the service."""

    ok: bool
    text: str
    seconds: float = 0.0
    broken: bool = False
    rate: float = 0.0
    """tokens per second, of a benchmark or a completion"""
    asleep: bool = False
    """its model is not in memory, and was not woken for this: says nothing either"""


@dataclass(frozen=True, slots=True)
class Ack:
    """What a broker said to a published message. `heard` is False when nobody subscribes (MQTT 5 reason 0x10)."""

    code: int = 0
    heard: bool = True


@dataclass(frozen=True, slots=True)
class Properties:
    """What MQTT 5 carries beside a message; with 3.1.1 it is lost, so nobody may depend on it."""

    user: tuple[tuple[str, str], ...] = ()
    """(name, value) pairs"""
    response: str = ""
    """the topic on which the sender hears the answer"""
    correlation: bytes = b""
    """goes back with the answer, untouched"""


PLAIN = Properties()
"""nothing beside the message"""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that came to us. `payload` is cut after LARGEST_RECEIVED bytes and one."""

    topic: str
    payload: bytes
    retained: bool = False
    """the broker kept it: nobody sends it now"""
    properties: Properties = PLAIN
    left: float = 0.0
    """seconds until the broker lets go of it (MQTT 5); 0 where it does not say"""


LARGEST_RECEIVED = 4096
"""bytes of a message to us; a larger one is no command"""


class Broker(Protocol):
    """One connection to a message broker (real: bus/link/mqtt, simulated: lab). A new object for every connection."""

    async def connect(self) -> None:
        """Connect, with the last will set. BrokerError if refused."""

    async def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float, properties: Properties = PLAIN
    ) -> Ack:
        """Publish and wait for the acknowledgement (QoS 1). `expiry` in seconds, 0 for never. BrokerError if the
        connection is lost or the broker refuses."""

    async def subscribe(self, pattern: str, qos: int = 1) -> None:
        """Ask for the messages on these topics (`+` and `#` as in MQTT). BrokerError if refused."""

    async def unsubscribe(self, pattern: str) -> None:
        """Ask for them no more, and wait for no answer: what is on its way still comes. BrokerError where the
        connection is lost."""

    async def received(self) -> Received:
        """The next message to us; waits for one. What comes while 64 wait already is dropped. BrokerError when the
        connection is gone and nothing waits."""

    async def closed(self) -> str:
        """Return when the connection is gone, with why ('' where nobody knows)."""

    async def close(self) -> None:
        """Say goodbye; the last will is not sent."""


class Host(Protocol):
    """The machine itself (real: kernel/host, simulated: lab/kernel)."""

    def meminfo(self) -> Mapping[str, float]:
        """/proc/meminfo in bytes: MemTotal, MemAvailable, MemFree, SwapTotal, SwapFree …"""
