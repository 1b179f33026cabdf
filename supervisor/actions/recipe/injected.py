"""Files that compose puts into a container before its first start (`configs:` and `secrets:` with `content` or
`environment`): no inspect shows them, and without them the app silently runs on its defaults. They are found and
carried over.

From: Engine.changes and Engine.get_archive of the old container. To: Engine.put_archive of the new one, which was only
created. A container is hostile: its paths and its archives are data, only plain files of bounded size are copied, no
link, no device, no name that climbs. What a file holds is never shown or kept.

What tells compose's files from what the app wrote: only containers with compose's labels, only outside of mounts; in
/run/secrets every plain file; elsewhere those that an archive brought (it knows whole seconds only, while a write of
the app leaves a fraction) between the container's creation and its start. A folder with more than 20 new files is the
app's own.
"""

import io
import itertools
import posixpath
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supervisor.actions.recipe.image_defaults import COMPOSE
from supervisor.actions.recipe.raw import items, part
from supervisor.actions.recipe.traits import KEPT, LOST, Trait
from supervisor.engines.docker import shape
from supervisor.errors import EngineError, EngineGone, EngineTimeout, NotFound
from supervisor.facts import Json
from supervisor.ports import Engine, FileChange
from supervisor.units import plain, show_size

if TYPE_CHECKING:
    from supervisor.actions.hand import Hand

LARGEST, MOST = 1 << 20, 8 << 20
"""bytes: of one file, and of all together"""
_FILES, _BESIDE = 200, 20
"""how many files are looked at, and how many new ones a folder may have"""
_SLACK = 2.0
"""seconds by which an archive's time may lie before the container's"""
_TAR_EXTRA = 16_384
_SECRETS = "/run/secrets/"
_ENGINES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv", "/etc/mtab", "/dev", "/proc", "/sys")
"""what an engine puts there itself"""


@dataclass(frozen=True, slots=True)
class File:
    """One file to carry over; `data` is never shown."""

    path: str
    data: bytes
    mode: int
    uid: int
    gid: int
    mtime: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: files to carry, the new folders above them (path, mode, owner, group), and a word on each."""

    files: tuple[File, ...] = ()
    folders: tuple[tuple[str, int, int, int], ...] = ()
    traits: tuple[Trait, ...] = ()


async def carry(hand: "Hand", old_raw: Json, new_id: str) -> tuple[Trait, ...]:
    """Put the files that compose injected into the container that was only created. Doing it twice does it once.
    EngineError where the engine will not take them: then the new container is not as the old one."""

    async def look() -> Found | None:
        try:
            return await find(hand.engine, old_raw)
        except EngineTimeout:
            return None  # some storage drivers compare whole trees: it would be late again

    found = await hand.read(look)
    if found is None:
        how = "the engine did not say in time what was put there; compare it with `docker diff`"
        return (Trait(LOST, "files that compose may have put there", how=how),)
    if found.files:
        # the time of the new one's making, or its next recreation would not know them for compose's
        made = await hand.read(lambda: hand.engine.raw(new_id))
        tar = pack(dated(found, shape.seconds(made.get("Created"))))
        await hand.read(lambda: hand.engine.put_archive(new_id, "/", tar))
    return found.traits


async def find(engine: Engine, raw: Json, changes: tuple[FileChange, ...] | None = None) -> Found:
    """The files that compose put into a container, read from it. Touches nothing. `changes`: where they are known."""
    if not any(str(label).startswith(COMPOSE) for label in part(part(raw, "Config"), "Labels")):
        return Found()
    key = str(raw.get("Id") or "")
    known = await engine.changes(key) if changes is None else changes
    files: list[File] = []
    traits: list[Trait] = []
    size = 0
    for path in candidates(raw, known):
        seen = await engine.stat(key, path)
        if seen is None or seen.folder or not _is_composes(path, seen.mtime, raw):
            continue
        try:
            file = read(path, await engine.get_archive(key, path, LARGEST + _TAR_EXTRA))
        except NotFound:
            continue
        except (EngineGone, EngineTimeout):
            raise
        except EngineError:
            if seen.size <= LARGEST:
                raise
            traits.append(_lost(path, f"larger than {show_size(LARGEST)}: mount it instead"))
            continue
        if file is None:
            continue
        size += len(file.data)
        if size > MOST:
            traits.append(_lost(path, f"more than {show_size(MOST)} of such files: mount them instead"))
            continue
        files.append(file)
        traits.append(Trait(KEPT, f"file {plain(path, 200)}", how="put there by compose; copied over"))
    return Found(tuple(files), await _folders(engine, key, files, known), tuple(traits))


def dated(found: Found, at: float) -> Found:
    """The same files as of this instant (unix seconds), in whole seconds as compose puts them there."""
    return replace(found, files=tuple(replace(file, mtime=int(at)) for file in found.files))


def candidates(raw: Json, changes: Iterable[FileChange]) -> tuple[str, ...]:
    """The changed paths that may be compose's, at most 200, those in /run/secrets first."""
    # a container may have written 100,000 files: what is dear is done once for a folder, or for the few that are left
    rows = [(each.path.rpartition("/")[0], each) for each in changes if each.kind != "deleted"]
    folders = {folder for folder, _each in rows}
    leaves = [(folder, each) for folder, each in rows if each.path not in folders]
    beside: dict[str, int] = {}
    for folder, each in leaves:
        beside[folder] = beside.get(folder, 0) + (each.kind == "added")
    mounted = _mounted(raw)
    good = {
        folder
        for folder, count in beside.items()
        if count <= _BESIDE and (not folder or _sane(folder)) and not _within(folder, mounted)
    }
    found = sorted((not each.path.startswith(_SECRETS), each.path) for folder, each in leaves if folder in good)
    fit = (path for _later, path in found if path not in mounted and _sane(path))
    return tuple(itertools.islice(fit, _FILES))


def read(path: str, tar: bytes) -> File | None:
    """The one plain file of an archive; None for anything else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            first = opened.next()
            if first is None or not first.isreg() or first.size > LARGEST or opened.next() is not None:
                return None
            if posixpath.basename(first.name) != posixpath.basename(path):
                return None
            source = opened.extractfile(first)
            data = source.read(LARGEST + 1) if source is not None else b""
    except (tarfile.TarError, ValueError, EOFError):
        return None
    if len(data) != first.size:
        return None
    return File(path, data, stat.S_IMODE(first.mode), first.uid, first.gid, int(first.mtime))


def pack(found: Found) -> bytes:
    """A tar to be unpacked at `/`: the new folders, then the files, owners and modes kept. Always the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for path, mode, uid, gid in found.folders:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, uid, gid
            opened.addfile(entry)
        for file in found.files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(file.data), file.mode, file.mtime
            entry.uid, entry.gid = file.uid, file.gid
            opened.addfile(entry, io.BytesIO(file.data))
    return out.getvalue()


def _is_composes(path: str, mtime: float, raw: Json) -> bool:
    if path.startswith(_SECRETS):
        return True
    created, started = shape.seconds(raw.get("Created")), shape.seconds(part(raw, "State").get("StartedAt"))
    return mtime == int(mtime) and created - _SLACK <= mtime and (not started or mtime <= int(started))


async def _folders(
    engine: Engine, key: str, files: list[File], changes: Iterable[FileChange]
) -> tuple[tuple[str, int, int, int], ...]:
    """The folders above the files that are not in the image, with their modes."""
    added = {each.path for each in changes if each.kind == "added"}
    wanted = sorted({above for file in files for above in _above(file.path) if above in added})
    found = []
    for path in wanted:
        mode, uid, gid = 0o755, 0, 0
        try:
            archive = await engine.get_archive(key, path, LARGEST)
            with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
                first = opened.next()
                if first is not None and first.isdir():
                    mode, uid, gid = stat.S_IMODE(first.mode), first.uid, first.gid
        except (EngineError, tarfile.TarError, EOFError):
            pass  # too much in it, or gone: a plain folder will do
        found.append((path, mode, uid, gid))
    return tuple(found)


def _mounted(raw: Json) -> tuple[str, ...]:
    host = part(raw, "HostConfig")
    found = [str(each.get("Destination")) for each in items(raw, "Mounts") if isinstance(each, dict)]
    found += [str(each.get("Target")) for each in items(host, "Mounts") if isinstance(each, dict)]
    return (*found, *part(host, "Tmpfs"), *_ENGINES)


def _within(path: str, mounted: tuple[str, ...]) -> bool:
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in mounted)


def _sane(path: str) -> bool:
    """Absolute, without a part that climbs, printable, of bounded length."""
    return (
        path.startswith("/")
        and not path.startswith("//")
        and len(path) < 1024
        and path.isprintable()
        and posixpath.normpath(path) == path
        and "\N{REPLACEMENT CHARACTER}" not in path
    )


def _above(path: str) -> list[str]:
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def _lost(path: str, how: str) -> Trait:
    return Trait(LOST, f"file {plain(path, 200)}", "put there by compose", "", how)
