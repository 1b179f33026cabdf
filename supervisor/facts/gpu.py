"""GPUs: as the driver tells of them (`GpuReading`), what went wrong with them (`XidSeen`), and as it was understood
(`GpuState`). All sizes are bytes, all times unix seconds.

A reading comes with a `Readings` fact of the collector `gpu`; the state is part of the snapshot. A card is known by its
UUID: its index changes when another card is lost. What the driver does not tell is left out, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

RECOVERIES = ("none", "reset", "reboot", "drain", "drain_reset", "imex", "bus_reset", "power_cycle")
"""the driver's own verdict on what a card needs, in the order of its numbers (NVML field 230, XID 154)"""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that uses a card."""

    pid: int
    used: int = 0
    """0 where the driver does not say"""
    kind: str = "host"
    """container (one that the engine has) | orphan (of a container that is gone) | host (no container's) | gone"""
    container_id: str = ""
    """of `container` and `orphan`"""
    name: str = ""
    """what it calls itself; any text"""


@dataclass(frozen=True, slots=True)
class GpuCard:
    """One card as the driver told of it."""

    index: int
    uuid: str = ""
    bus_id: str = ""
    """`00000000:17:00.0`, lower case"""
    name: str = ""
    """the model: `NVIDIA H200`"""
    compute: str = ""
    """its CUDA compute capability: `9.0`; '' where the driver does not say"""
    total: int = 0
    free: int = 0
    reserved: int = 0
    """what the driver keeps for itself, of the total"""
    users: tuple[GpuProcess, ...] = ()
    recovery: str = ""
    """one of RECOVERIES; '' where the driver does not tell"""
    error: str = ""
    """why it could not be read, in the driver's words; '' where it could"""
    code: int = 0
    """NVML's number of that error: 15 lost, 16 reset required"""
    values: Mapping[str, float] = field(default_factory=dict)
    """metric name (`DCGM_FI_DEV_GPU_TEMP`) -> its value"""

    @property
    def most(self) -> int:
        """What can be free at all."""
        return max(0, self.total - self.reserved)


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What was to be learned of this machine's cards at one instant."""

    cards: tuple[GpuCard, ...] = ()
    """by index; empty where the driver could not be asked"""
    trouble: str = ""
    """no_driver | no_library | no_gpu | refused | no_nvml | mismatch (the cards may answer all the same: what runs has
    the old library loaded) | hung | stopped (a person, or a fault, let it not be asked) | asleep (the kernel put the
    boards to sleep; asking would wake them) | error | ''"""
    text: str = ""
    """the same as a sentence, with what to do; '' while all is well"""
    driver: str = ""
    """version of the kernel's part"""
    library: str = ""
    """version of the library"""
    boards: Mapping[str, str] = field(default_factory=dict)
    """bus id -> what the machine's own list of PCI devices says: NVIDIA display devices there, driver or not"""
    namespaced: bool = False
    """the driver names no processes to us because we live in another PID namespace"""
    denied: tuple[str, ...] = ()
    """ids of running containers that asked for a card and whose control group may not open it (any more)"""
    full: bool = True
    """everything was asked; else memory and processes only"""


@dataclass(frozen=True, slots=True)
class XidEpisode:
    """One burst of faults of one card: everything until 3 minutes of silence."""

    id: str
    """`gpu-3`"""
    uuid: str
    """of the card; '' where it is not known"""
    bus_id: str
    first_at: float
    last_at: float
    root: int
    """the XID that the others follow from; 0 for a fault without a number"""
    kind: str
    """its class in the table: app | driver | memory | gpu | bus | link | firmware | mechanics | info | verdict |
    unknown"""
    remedy: str
    """none | tell | restart | reset | reboot | power | replace: by the driver's verdict where there is one, else by the
    table"""
    counts: Mapping[int, int] = field(default_factory=dict)
    """XID -> how often"""
    service: str = ""
    """the service whose process is behind the root; '' for none, or not known"""
    recovery: str = ""
    """the driver's own verdict, one of RECOVERIES; '' while it gave none"""
    text: str = ""
    """one sentence for people: what, since when, what the driver says, what to do"""
    drill: bool = False
    over: bool = False
    fault: str = ""
    """of a root without a number: lost | heartbeat | locked_up | latched | init_failed | reset_required"""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card in the snapshot."""

    uuid: str
    index: int
    name: str = ""
    bus_id: str = ""
    up: bool = True
    """the driver answers for it"""
    present: bool = True
    """it is in this machine; a card that is expected and gone is shown with False"""
    total: int = 0
    free: int = 0
    reserved: int = 0
    planned: int = 0
    """the sum of the plans of what runs on it; of what has none, what it uses"""
    users: tuple[tuple[str, int], ...] = ()
    """(service id, or the name of a process that is none's, bytes), largest first"""
    orphaned: int = 0
    """held by processes of containers that are gone"""
    unattributed: int = 0
    """in use, and the driver names nobody"""
    recovery: str = ""
    text: str = ""
    """what is wrong with it, one sentence with what to do; '' for nothing"""
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def headroom(self) -> int:
        """What may still be planned on it; below 0 where more is planned than there is."""
        return self.total - self.reserved - self.planned


@dataclass(frozen=True, slots=True)
class GpuState:
    """The cards of the box, and how we hear of them."""

    cards: tuple[Gpu, ...] = ()
    """by index, those that are gone last"""
    expected: int = 0
    trouble: str = ""
    """GpuReading.trouble"""
    text: str = ""
    """one sentence on why the cards cannot be asked; '' while they can"""
    quiet: str = ""
    """why the driver is not asked any more (a fault after which asking hangs), one sentence; '' while it is"""
    released: float = 0.0
    """until when a person wants the driver let go of; 0 for not"""
    driver: str = ""
    episodes: tuple[XidEpisode, ...] = ()
    """those that are not over, oldest first"""
    drill: float = 0.0
    """until when messages written by a person count as faults, for practice; 0 for not"""
