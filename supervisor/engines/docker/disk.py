"""What an engine keeps on disk, and what of it nothing uses: Docker's `/system/df` turned into ports.DiskUse. Pure.

From: engines/docker/engine.py (the real engine) and lab/engine.py (the simulated one, which speaks the same JSON).
Layers are shared between images, so what deleting the unused ones would give back is not in the answer. The engine's
own figure (`docker system df`) counts a base that is still in use as reclaimable; here it is never more than is free
to go: the larger of two sums that both stay below the truth.
"""

from collections.abc import Iterable

from supervisor.facts import Json
from supervisor.ports import DiskUse

KINDS = ("images", "containers", "volumes", "build_cache")
_OLDER = {"images": "Images", "containers": "Containers", "volumes": "Volumes", "build_cache": "BuildCache"}
"""where the rows of each kind are"""
_NEWER = {
    "images": "ImageUsage",
    "containers": "ContainerUsage",
    "volumes": "VolumeUsage",
    "build_cache": "BuildCacheUsage",
}
"""from API 1.52 on each kind has a summary, with the rows in it where they were asked for"""
_RUNS = ("running", "paused", "restarting")


def use(raw: Json) -> DiskUse:
    """Bytes by kind, from the answer to `/system/df` in its older or its newer form. -1 in it means not measured."""
    found = {kind: _of(kind, raw) for kind in KINDS}
    return DiskUse({kind: used for kind, (used, _) in found.items()}, {kind: free for kind, (_, free) in found.items()})


def _of(kind: str, raw: Json) -> tuple[float, float]:
    """(used, free to go) of one kind."""
    summary = _dict(raw, _NEWER[kind])
    rows = [row for row in raw.get(_OLDER[kind]) or summary.get("Items") or () if isinstance(row, dict)]
    total = float(summary.get("TotalSize") or 0)
    if not rows:
        layers = float(raw.get("LayersSize") or 0) if kind == "images" else 0.0
        return total or layers, float(summary.get("Reclaimable") or 0)
    if kind == "images":
        total = total or float(raw.get("LayersSize") or 0)
        return total, _unused_images(rows, total)
    sizes = [_row(kind, row) for row in rows]
    used = _added(size for size, _busy in sizes)
    return total or used, _added(size for size, busy in sizes if not busy)


def _row(kind: str, row: Json) -> tuple[float, bool]:
    """(its bytes, whether something uses it). A shared record of the build cache is a layer of an image, and counted
    there."""
    if kind == "containers":
        return _size(row, "SizeRw"), str(row.get("State")) in _RUNS
    if kind == "volumes":
        usage = _dict(row, "UsageData")
        return _size(usage, "Size"), bool(usage.get("RefCount"))
    return (0.0 if row.get("Shared") else _size(row, "Size")), bool(row.get("InUse"))


def _unused_images(rows: Iterable[Json], total: float) -> float:
    """At least so much: what only unused images have, or what is left beside all that used ones could have."""
    alone, needed = 0.0, 0.0
    for row in rows:
        size, shared = _size(row, "Size"), _size(row, "SharedSize")
        if row.get("Containers"):
            needed += size
        else:
            alone += max(0.0, size - shared)
    return min(total, max(alone, total - needed))


def _size(row: Json, key: str) -> float:
    return max(0.0, float(row.get(key) or 0))


def _added(sizes: Iterable[float]) -> float:
    """A sum of whole numbers of bytes, in order."""
    found = 0.0
    for size in sizes:
        found += size
    return found


def _dict(raw: Json, key: str) -> Json:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}
