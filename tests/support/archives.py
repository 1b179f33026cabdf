"""Tar archives for tests: good ones, a look into them, and hostile ones."""

import io
import tarfile


def tar(*entries: tuple[str, str, bytes | str]) -> bytes:
    """A tar of (name, kind, content): kind `file`, `folder`, `link` (content: its target) or `hard`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.uid, entry.gid, entry.mode = 1_000_000_000, 7, 8, 0o640
            data = content if isinstance(content, bytes) else b""
            if kind == "folder":
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            elif kind != "file":
                entry.type = tarfile.SYMTYPE if kind == "link" else tarfile.LNKTYPE
                entry.linkname = str(content)
            entry.size = len(data) if kind == "file" else 0
            opened.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def listed(archive: bytes) -> dict[str, tarfile.TarInfo]:
    """The entries of a tar by name."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {entry.name: entry for entry in opened}


def content(archive: bytes, name: str) -> bytes:
    """One file of a tar."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = opened.extractfile(name)
        assert found is not None
        return found.read()


HOSTILE = {
    "upwards": tar(("../../escape", "file", b"x")),
    "upwards after a detour": tar(("a/../../escape", "file", b"x")),
    "through a link of its own": tar(("way", "link", "/data"), ("way/escape", "file", b"x")),
    "through a link below a folder": tar(("sub", "folder", b""), ("sub/way", "link", "/"), ("sub/way/e", "file", b"x")),
    "a hard link upwards": tar(("hard", "hard", "../../bin/busybox")),
    "no tar at all": b"garbage" * 200,
    "a cut one": tar(("a", "file", b"x" * 2000))[:1000],
}
"""archives that must never be unpacked, by what is wrong with them"""
