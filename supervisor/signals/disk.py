"""How full the disks are that something here depends on: bytes, file entries, and what the engine could give back.

From: statvfs of the folders that matter (ours, the engine's, those of the models, the listed ones) and of `/`, each in
a thread, since one whose server is gone never answers; and ports.Engine.disk, seldom. To: the core, one Readings fact
of the collector `disk` per round. Nothing is deleted here, and nothing is written.
"""

import asyncio
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor import units
from supervisor.clock import Clock
from supervisor.config.settings import DiskSettings
from supervisor.errors import EngineError
from supervisor.facts import Metric, Readings, Sample, Service, labels
from supervisor.kernel.aside import Aside
from supervisor.ports import DiskUse, Engine, Submit

COLLECTOR = "disk"
EVERY = 30.0
"""seconds between two rounds"""
LATE = 5.0
"""seconds after which a folder that does not answer counts as hung; it is asked again once it has answered"""
FIRST = 600.0
"""seconds after the start: the engine's walk through its disk does not fall into a start, when all is busy"""
AGAIN = 3600.0
"""seconds after a walk that failed"""
SOON = 30.0
"""seconds until the next question where there was no answer yet, or plans were at work"""
ROOT_EVERY = 600.0
"""seconds between two questions where an engine keeps its things"""
MOST = 256
MOUNTS = "/proc/self/mountinfo"
_HUNG = "it does not answer"

_SIZES = ("node_filesystem_size_bytes", "node_filesystem_avail_bytes", "node_filesystem_free_bytes")
_FILES = ("node_filesystem_files", "node_filesystem_files_free")
READONLY, HUNG = "node_filesystem_readonly", "node_filesystem_device_error"
FOLDER = "resurgam_disk_folder"
USED, RECLAIMABLE = "resurgam_engine_disk_used_bytes", "resurgam_engine_disk_reclaimable_bytes"
_PLACE = ("device", "fstype", "mountpoint")

METRICS = (
    *(Metric(name, "gauge", _PLACE, EVERY) for name in (*_SIZES, *_FILES, READONLY, HUNG)),
    Metric(FOLDER, "gauge", ("folder", "use", "mountpoint"), EVERY),
    *(Metric(name, "gauge", ("engine", "kind"), EVERY) for name in (USED, RECLAIMABLE)),
)
"""what is made here"""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system."""

    mountpoint: str
    device: str = ""
    fstype: str = ""
    number: str = ""
    """the kernel's number of the file system itself: `8:1`"""
    readonly: bool = False
    """it as a whole, as after an error; not merely where it is mounted, as for a service that systemd fences in"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look at a folder found. `trouble`: why it found nothing."""

    mount: Mount
    sizes: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """bytes: all of them, those that anybody may use, those that root may use"""
    files: tuple[float, float] = (0.0, 0.0)
    """file entries: all of them, the free ones"""
    trouble: str = ""


def mounts(text: str) -> tuple[Mount, ...]:
    """What /proc/self/mountinfo lists, in its order: the last one on a mountpoint lies over the others."""
    found = []
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        if dash and len(before) > 4 and len(after) > 1:
            readonly = "ro" in after[-1].split(",")
            found.append(Mount(_unescaped(before[4]), _unescaped(after[1]), after[0], before[2], readonly))
    return tuple(found)


def _unescaped(text: str) -> str:
    """A space is written `\\040` there."""
    for code, real in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, real)
    return text


def mount_of(path: str, known: Iterable[Mount]) -> Mount:
    """The file system that a resolved path lies on, by the shortest of the places where it is mounted: one of several
    is told once, and by the name that people know (a folder of a service that systemd fences in is a mount, too)."""
    found, every = Mount("/"), tuple(known)
    for one in every:
        inside = path == one.mountpoint or path.startswith(one.mountpoint.rstrip("/") + "/")
        if inside and len(one.mountpoint) >= len(found.mountpoint):
            found = one
    same = [one for one in every if one.number and one.number == found.number]
    return min(same, key=lambda one: len(one.mountpoint), default=found)


def look(path: str) -> Looked:
    """One folder, here and now; this is what may never come back."""
    real = os.path.realpath(path)
    try:
        known = mounts(Path(MOUNTS).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        known = ()  # not Linux: the folder stands for its file system
    mount = mount_of(real, known) if known else Mount(real)
    try:
        facts = os.statvfs(real)
    except OSError as err:
        return Looked(mount, trouble=err.strerror or str(err))
    block = float(facts.f_frsize or facts.f_bsize)
    return Looked(
        mount,
        (facts.f_blocks * block, facts.f_bavail * block, facts.f_bfree * block),
        (float(facts.f_files), float(facts.f_ffree)),
    )


class Disks:
    """Looks at every disk for ever. `trouble`: what of the configuration cannot be looked at, '' for nothing."""

    def __init__(
        self,
        settings: DiskSettings,
        state: Path,
        engines: Mapping[str, Engine],
        services: Callable[[], Iterable[Service]],
        submit: Submit,
        clock: Clock,
        *,
        busy: Callable[[], bool] = lambda: False,
        every: float = EVERY,
        begin: Callable[[str], asyncio.Future[Looked]] | None = None,
    ) -> None:
        """`state`: our own folder. `services`: those of the newest snapshot. `busy`: whether plans are at work, which
        walks would slow down. `begin`: starts the look at one folder, which may never end; None: in a thread of
        its own."""
        self._settings, self._state, self._engines, self._services = settings, str(state), engines, services
        self._submit, self._clock, self._busy, self._every = submit, clock, busy, every
        self._pool = Aside("disk")
        self._begin = begin or (lambda path: asyncio.get_running_loop().run_in_executor(self._pool, look, path))
        self._under_way: dict[str, asyncio.Future[Looked]] = {}
        """looks that have not come back, at most one per folder"""
        self._mounts: dict[str, Mount] = {}
        self._roots: dict[str, str] = {}
        self._uses: dict[str, tuple[float, DiskUse]] = {}
        """engine -> (monotonic seconds, what it said)"""
        self.trouble = ""

    async def run(self) -> None:
        """Look, tell, wait."""
        while True:
            began = self._clock.mono()
            await self._round()
            await asyncio.sleep(max(0.0, began + self._every - self._clock.mono()))

    async def _round(self) -> None:
        folders = self._folders()
        found = await self._look_at(sorted({"/", *folders}))
        samples = {sample.labels: sample for path, looked in found.items() for sample in _disk(looked)}
        hung = sorted(path for path, looked in found.items() if looked.trouble == _HUNG)
        for path, uses in folders.items():
            here = found.get(path)
            for use in uses if here is not None and not here.trouble else ():
                assert here is not None
                about = labels(FOLDER, folder=units.plain(path, 300), use=use, mountpoint=here.mount.mountpoint)
                samples[about] = Sample(about, 1.0)
        for sample in self._engine_samples():
            samples[sample.labels] = sample
        self.trouble = self._said(found, hung)
        told = tuple(samples.values())
        self._submit(Readings(self._clock.wall(), self._clock.mono(), COLLECTOR, told, whole=True))

    def _folders(self) -> dict[str, list[str]]:
        """Which folders matter, and for what."""
        wanted = [(self._state, "state")]
        wanted += [(root, "engine") for _name, root in sorted(self._roots.items()) if root]
        wanted += [(path, "model") for service in self._services() for path in service.needs.weights]
        wanted += [(path, "listed") for path in self._settings.folders]
        found: dict[str, list[str]] = {}
        for path, use in wanted[:MOST]:
            uses = found.setdefault(path, [])
            if use not in uses:
                uses.append(use)
        return found

    async def _look_at(self, paths: Iterable[str]) -> dict[str, Looked]:
        """Every folder, all at once; who does not answer in time is said to hang, and is not asked again until then."""
        asked = list(paths)
        for path in asked:
            if path not in self._under_way:
                self._under_way[path] = self._begin(path)
        end, found = self._clock.mono() + LATE, dict[str, Looked]()
        for path in asked:
            try:
                left = max(0.0, end - self._clock.mono())
                looked = await asyncio.wait_for(asyncio.shield(self._under_way[path]), left)
            except TimeoutError:
                found[path] = Looked(self._mounts.get(path, Mount(path)), trouble=_HUNG)
                continue
            except OSError as err:
                looked = Looked(Mount(path), trouble=err.strerror or str(err))
            del self._under_way[path]
            found[path] = looked
            self._mounts[path] = looked.mount
        self._mounts = {path: mount for path, mount in self._mounts.items() if path in found}
        return found

    def _said(self, found: Mapping[str, Looked], hung: Iterable[str]) -> str:
        said = [f"The disk under {path} does not answer; see what its server, or the cable, is doing" for path in hung]
        for path in self._settings.folders:
            why = found[path].trouble if path in found else ""
            if why and why != _HUNG:
                said.append(f"disk.folders: {path} cannot be looked at: {why}")
        return units.plain("; ".join(said), 500) + "." if said else ""

    # ------------------------------------------------------------ what engines say

    async def ask(self) -> None:
        """Ask the engines for ever: where they keep their things, often; how much of it, seldom, as that takes long."""
        walks = dict.fromkeys(self._engines, self._clock.mono() + FIRST)
        while True:
            for name, engine in self._engines.items():
                now = self._clock.mono()
                try:
                    info = await engine.info()
                    self._roots[name] = info.root if info.local else ""
                    if now >= walks[name] and not self._busy():
                        walks[name] = now + min(self._settings.reclaimable, AGAIN)
                        self._uses[name] = (now, await engine.disk())
                        walks[name] = now + self._settings.reclaimable
                except EngineError:
                    continue  # the engine's own watch says so; the next round asks again
            known = all(name in self._roots for name in self._engines)
            next_walk = min(walks.values(), default=math.inf) - self._clock.mono()
            await asyncio.sleep(max(SOON, min(ROOT_EVERY, next_walk)) if known else SOON)

    def _engine_samples(self) -> Iterable[Sample]:
        """What they said last, again in every round: a series that is silent for minutes would have ended."""
        oldest = self._clock.mono() - 3 * self._settings.reclaimable
        for name, (at, use) in sorted(self._uses.items()):
            for metric, sizes in ((USED, use.used), (RECLAIMABLE, use.reclaimable)) if at >= oldest else ():
                for kind, size in sorted(sizes.items()):
                    yield Sample(labels(metric, engine=name, kind=kind), size)


def _disk(looked: Looked) -> list[Sample]:
    """The samples of one file system."""
    if looked.trouble and looked.trouble != _HUNG:
        return []
    mount = looked.mount
    about = {"device": mount.device, "fstype": mount.fstype, "mountpoint": mount.mountpoint}
    about = {name: units.plain(text, 300) for name, text in about.items() if text}
    found = [Sample(labels(HUNG, **about), float(looked.trouble == _HUNG))]
    if not looked.trouble:
        found += [Sample(labels(name, **about), size) for name, size in zip(_SIZES, looked.sizes, strict=True)]
        found += [Sample(labels(name, **about), count) for name, count in zip(_FILES, looked.files, strict=True)]
        found.append(Sample(labels(READONLY, **about), float(mount.readonly)))
    return found
