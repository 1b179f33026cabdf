"""Files in a container: what it wrote itself, and copies out of it and into it. Everything read is bounded.

From: engines/docker/engine.py, on one of its threads. To: a recreation, which carries over what compose or a person put
into the container. docker-py reads such answers whole, however long they are; so they are read here, piece by piece.
"""

import base64
import io
import json
import posixpath
import tarfile
from typing import Any

from supervisor.engines.docker import shape
from supervisor.errors import EngineError
from supervisor.facts import Json
from supervisor.ports import FileChange, FileStat

MANY = 100_000
"""changes that are told at most"""
_CHANGES_BYTES = 64 * 2**20
_PIECE = 65_536
_PLAIN = {"Accept-Encoding": "identity"}
"""a limit has to count what will be in memory, not what was compressed"""
_MOST_LINKS = 4
_STAT = "X-Docker-Container-Path-Stat"
_IS_FOLDER, _IS_LINK = 1 << 31, 1 << 27
"""bits of a file mode as Go writes it"""
_KINDS = ("modified", "added", "deleted")
_UNPACK_REFUSED = 400


def changes(client: Any, key: str) -> tuple[FileChange, ...]:
    """What the container wrote into its own layer, by path."""
    response = client._get(client._url("/containers/{0}/changes", key), stream=True, headers=_PLAIN)
    client._raise_for_status(response)
    try:
        text = _read(response, _CHANGES_BYTES).decode("utf-8", "replace")
    finally:
        response.close()
    return parse_changes(text)


def parse_changes(text: str) -> tuple[FileChange, ...]:
    """The engine's list of changes; a text that was cut off gives those that are whole. ValueError if it is none."""
    start = text.find("[")
    if start < 0:
        if text.strip() in ("", "null"):
            return ()
        raise ValueError("the changes are no list")
    decoder, at, found = json.JSONDecoder(), start + 1, list[FileChange]()
    while len(found) < MANY:
        while at < len(text) and text[at] in ", \r\n\t":
            at += 1
        if at >= len(text) or text[at] == "]":
            break
        try:
            row, at = decoder.raw_decode(text, at)
        except ValueError:
            break  # cut off here
        found.append(_change(row))
    return tuple(sorted(found, key=lambda change: change.path))


def _change(row: Json) -> FileChange:
    kind = int(row.get("Kind") or 0)
    return FileChange(str(row["Path"]), _KINDS[kind] if 0 <= kind < len(_KINDS) else "modified")


def stat(client: Any, key: str, path: str) -> FileStat:
    """What is at a path; docker's own NotFound where nothing is."""
    for _link in range(_MOST_LINKS):
        url = client._url("/containers/{0}/archive", key)
        response = client.head(url, params={"path": path}, timeout=client.timeout)
        client._raise_for_status(response)
        found = json.loads(base64.b64decode(response.headers[_STAT]))
        mode, target = int(found.get("mode") or 0), str(found.get("linkTarget") or "")
        if not mode & _IS_LINK or not target or target == path:
            break
        path = target
    return FileStat(int(found.get("size") or 0), shape.seconds(found.get("mtime")), bool(mode & _IS_FOLDER))


def fetch(client: Any, key: str, path: str, limit: int) -> bytes:
    """A file or a folder of the container as a tar of at most `limit` bytes."""
    asked = last_part_named(path)
    url = client._url("/containers/{0}/archive", key)
    response = client._get(url, params={"path": asked}, stream=True, headers=_PLAIN)
    client._raise_for_status(response)
    try:
        found = _read(response, limit + 1)
    finally:
        response.close()
    if len(found) > limit:
        raise EngineError(too_much(asked, limit))
    return found


def unpack(client: Any, key: str, path: str, tar: bytes) -> None:
    """Unpack a tar at a folder of the container. A folder never gives way to something else."""
    check_tar(path, tar)
    url = client._url("/containers/{0}/archive", key)
    client._raise_for_status(client._put(url, params={"path": path, "noOverwriteDirNonDir": "true"}, data=tar))


def last_part_named(path: str) -> str:
    """The path so that the engine names the tar's entries after its last part, and does not follow a link there."""
    while len(path) > 1 and path.endswith(("/", "/.")):
        path = path.removesuffix(".").rstrip("/") or "/"
    return path


def too_much(path: str, limit: int) -> str:
    """The sentence for an archive beyond its limit."""
    return f"{path} is larger than {limit} bytes as a tar; it is not copied"


def check_tar(path: str, tar: bytes) -> None:
    """EngineError for a tar with names that would leave `path`: upwards, or through a link that it brings itself. The
    engine refuses the first kind, too; the second it would follow."""
    links: set[str] = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            for entry in opened:
                name = entry.name.lstrip("/")
                clean = posixpath.normpath(name or ".")
                target = posixpath.normpath(entry.linkname.lstrip("/") or ".") if entry.islnk() else "."
                for each, said in ((clean, entry.name), (target, entry.linkname)):
                    if each == ".." or each.startswith("../"):
                        raise EngineError(f'"{said}" is outside of "{path}"', _UNPACK_REFUSED)
                if any(parent in links for parent in _parents(clean)):
                    raise EngineError(f'"{entry.name}" goes through a link of the same archive', _UNPACK_REFUSED)
                if entry.issym():
                    links.add(clean)
    except tarfile.TarError as err:
        raise EngineError(f"this is no tar archive: {err}", _UNPACK_REFUSED) from err


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _read(response: Any, limit: int) -> bytes:
    """At most `limit` bytes of a streamed answer."""
    kept = bytearray()
    while len(kept) < limit and (piece := response.raw.read(min(_PIECE, limit - len(kept)))):
        kept += piece
    return bytes(kept)
