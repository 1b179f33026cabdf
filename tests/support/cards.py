"""Cards, readings and services that use them, for the tests of supervisor/gpu and of the core's hand on it."""

from typing import Any

from supervisor.facts import Container, GpuCard, GpuProcess, GpuReading, Needs, Service
from supervisor.gpu.cards import Card, Deck
from supervisor.gpu.measured import Held
from supervisor.verdicts import yes

GIB, MIB = 1 << 30, 1 << 20
PRO, SMALL = "GPU-aaaaaaaa-0000", "GPU-bbbbbbbb-1111"
"""the owner's big card, and the small one"""
BUS = {PRO: "00000000:17:00.0", SMALL: "00000000:65:00.0"}
SIZE = {PRO: 96 * GIB, SMALL: 32 * GIB}
DECK = Deck((Card(PRO, 0, BUS[PRO], "RTX PRO 6000"), Card(SMALL, 1, BUS[SMALL], "RTX 5090")))


def ident(name: str) -> str:
    """The id of the container of that name."""
    return name.encode().hex().ljust(64, "0")[:64]


def process(name: str, gib: float, kind: str = "container", pid: int = 0) -> GpuProcess:
    """A process of the container of that name, or of nobody's."""
    whose = ident(name) if kind in ("container", "orphan") else ""
    return GpuProcess(pid or 1000 + len(name), int(gib * GIB), kind, whose, name)


def card(uuid: str, *users: GpuProcess, loose: float = 0.0, **more: Any) -> GpuCard:
    """A card as it is read. `loose`: GiB in use that no process has."""
    used = int(loose * GIB)
    for user in users:
        used += user.used
    given: dict[str, Any] = {
        "index": 0 if uuid == PRO else 1,
        "bus_id": BUS.get(uuid, ""),
        "name": "RTX PRO 6000" if uuid == PRO else "RTX 5090",
        "total": SIZE.get(uuid, 32 * GIB),
        "free": SIZE.get(uuid, 32 * GIB) - used,
    }
    return GpuCard(uuid=uuid, users=users, **(given | more))


def reading(*cards: GpuCard, **more: Any) -> GpuReading:
    """A reading of these cards."""
    return GpuReading(cards, **({"boards": {one.bus_id: "NVIDIA" for one in cards}} | more))


def held(uuid: str, services: dict[str, float] | None = None, **more: Any) -> Held:
    """A card's memory as it was measured; sizes in GiB."""
    parts = {name: int(gib * GIB) for name, gib in (services or {}).items()}
    used = int(more.pop("loose", 0.0) * GIB)
    for size in parts.values():
        used += size
    index = 0 if uuid == PRO else 1
    given: dict[str, Any] = {"total": SIZE[uuid], "free": SIZE[uuid] - used, "services": parts}
    return Held(uuid, index, **(given | more))


def service(
    name: str, *gpus: str, gpu: bool = True, started: float = 1.0, status: str = "running", **more: Any
) -> Service:
    """A service whose container asks for these cards (none: for some)."""
    needs = Needs(**more.pop("needs", {}))
    container = Container(
        ident(name),
        name,
        "sha256:1",
        "img",
        status=status,
        gpu=gpu,
        gpus=gpus,
        started_at=started if status == "running" else 0.0,
    )
    return Service(name, "docker", container, **({"owned": yes(), "needs": needs, "healthy": True} | more))


def vram(text: str, *exclusive: str, **more: Any) -> dict[str, Any]:
    """What a service declares: `90` is GiB on any card, `0:90,1:30` by card."""
    parts = [part.rpartition(":") for part in text.split(",") if part]
    return {"vram": tuple((gpu, int(float(size) * GIB)) for gpu, _colon, size in parts), "exclusive": exclusive, **more}
