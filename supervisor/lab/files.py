"""The files of one simulated container: its image's, and a layer of its own above them.

From: tests (what is in an image, what a container wrote) and archives put into it. To: lab/engine.py, which answers
`changes` and archives from here, as a real engine does: real tar bytes, and folders that count as modified when
something in them is.
"""

import io
import posixpath
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.engines.docker.files import check_tar, last_part_named, too_much
from supervisor.errors import EngineError, NotFound
from supervisor.ports import FileChange, FileStat


@dataclass(frozen=True, slots=True)
class SimFile:
    """A file, folder or symbolic link. `mtime` in unix seconds."""

    data: bytes = b""
    mode: int = 0o644
    mtime: int = 0
    kind: str = "file"
    """file | folder | link"""
    target: str = ""
    """where a link points to"""
    uid: int = 0
    gid: int = 0


FOLDER = SimFile(mode=0o755, kind="folder")
_ALWAYS = ("/", "/bin", "/data", "/etc", "/tmp")  # noqa: S108 - paths inside a container


def image_files(given: Mapping[str, "bytes | SimFile"]) -> dict[str, SimFile]:
    """All paths of an image: the given ones, the folders around them, and a few that every image has."""
    found = dict.fromkeys(_ALWAYS, FOLDER)
    for path, content in sorted(given.items()):
        found.update((folder, FOLDER) for folder in _above(path) if folder not in found)
        found[path] = SimFile(content) if isinstance(content, bytes) else content
    return found


class Files:
    """What is at each path of a container. Paths are absolute, without a slash at their end."""

    def __init__(self, base: Mapping[str, SimFile]) -> None:
        self._base = base
        self._own: dict[str, SimFile | None] = {}
        """what differs from the image; None for what was deleted"""

    def get(self, path: str) -> SimFile | None:
        """What is at a path; None if nothing is."""
        return self._own[path] if path in self._own else self._base.get(path)

    def paths(self) -> list[str]:
        """Every path there is, sorted."""
        return sorted(path for path in {*self._base, *self._own} if self.get(path) is not None)

    def own_size(self) -> int:
        """Bytes of what is in its own layer."""
        size = 0
        for file in self._own.values():
            size += len(file.data) if file else 0
        return size

    def stat(self, path: str) -> FileStat | None:
        """What is at a path, links followed; None if nothing is."""
        file = self.get(path)
        if file is not None and file.kind == "link":
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), file.target))
            file = self.get(path)
        return FileStat(len(file.data), float(file.mtime), file.kind == "folder") if file is not None else None

    def put(self, path: str, file: SimFile | bytes) -> None:
        """Write something, with the folders around it."""
        for folder in _above(path):
            if self.get(folder) is None:
                self._own[folder] = FOLDER
        self._own[path] = SimFile(file) if isinstance(file, bytes) else file

    def delete(self, path: str) -> None:
        """Take a path away, with all that is below it."""
        for each in self.paths():
            if each == path or each.startswith(path.rstrip("/") + "/"):
                if each in self._base:
                    self._own[each] = None
                else:
                    del self._own[each]

    def changes(self) -> tuple[FileChange, ...]:
        """What is not as in the image, by path. Of what was deleted only the topmost is told, as the engine does."""
        found: dict[str, str] = {}
        for path, file in self._own.items():
            was = self._base.get(path)
            if file is None and self.get(posixpath.dirname(path)) is None:
                continue
            if file == was:
                continue
            found[path] = "added" if was is None else "deleted" if file is None else "modified"
        for path in tuple(found):
            for folder in _above(path):
                if folder != "/":
                    found.setdefault(folder, "modified")
        return tuple(FileChange(path, kind) for path, kind in sorted(found.items()))

    def archive(self, path: str, limit: int, owner: str) -> bytes:
        """A file or folder as a tar; `owner` is the container's id, for the sentence."""
        asked = last_part_named(path)
        top = posixpath.normpath("/" + asked.lstrip("/"))
        if self.get(top) is None:
            raise NotFound(f"Could not find the file {asked} in container {owner}", 404)
        name, buffer = posixpath.basename(top), io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for each in self.paths():
                if each == top or each.startswith(top.rstrip("/") + "/"):
                    self._add(tar, name + each[len(top.rstrip("/")) :], each)
        if buffer.tell() > limit:
            raise EngineError(too_much(asked, limit))
        return buffer.getvalue()

    def _add(self, tar: tarfile.TarFile, name: str, path: str) -> None:
        file = self.get(path)
        assert file is not None
        entry = tarfile.TarInfo(name)
        entry.mode, entry.mtime, entry.uid, entry.gid = file.mode, file.mtime, file.uid, file.gid
        if file.kind == "folder":
            entry.type = tarfile.DIRTYPE
        elif file.kind == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, file.target
        entry.size = len(file.data) if entry.isreg() else 0
        tar.addfile(entry, io.BytesIO(file.data) if entry.isreg() else None)

    def unpack(self, path: str, tar: bytes, owner: str) -> None:
        """Unpack a tar at a folder. What it holds before something refused stays, as with the engine."""
        check_tar(path, tar)
        top = posixpath.normpath("/" + path.lstrip("/"))
        there = self.get(top)
        if there is None:
            raise NotFound(f"Could not find the file {path} in container {owner}", 404)
        if there.kind != "folder":
            raise EngineError("extraction point is not a directory", 500)
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            for entry in opened:
                self._take(opened, entry, top)

    def _take(self, opened: tarfile.TarFile, entry: tarfile.TarInfo, top: str) -> None:
        where = posixpath.normpath(posixpath.join(top, entry.name.lstrip("/")))
        here = self.get(where)
        if here is not None and here.kind == "folder" and not entry.isdir():
            raise EngineError(f'cannot overwrite directory "{where}" with non-directory "{entry.name}"', 500)
        if entry.islnk():
            linked = self.get(posixpath.normpath(posixpath.join(top, entry.linkname.lstrip("/"))))
            if linked is None:
                raise EngineError(f"link {entry.linkname} {where}: no such file or directory", 500)
            self.put(where, linked)
            return
        if entry.issym():
            points_to = posixpath.normpath(posixpath.join(posixpath.dirname(where), entry.linkname))
            if not entry.linkname.startswith("/") and not _inside(points_to, top):
                raise EngineError(f'invalid symlink "{where}" -> "{entry.linkname}"', 500)
        kind = "folder" if entry.isdir() else "link" if entry.issym() else "file"
        read = opened.extractfile(entry) if entry.isreg() else None
        data = read.read() if read else b""
        made = SimFile(data, entry.mode, int(entry.mtime), kind, entry.linkname, entry.uid, entry.gid)
        if where != "/" and made != here:
            self.put(where, made)


def _above(path: str) -> list[str]:
    """The folders around a path, from the root down."""
    parts = path.strip("/").split("/")
    return ["/", *("/" + "/".join(parts[:count]) for count in range(1, len(parts)))]


def _inside(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
