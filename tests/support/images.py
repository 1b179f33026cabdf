"""Tiny local images for the real tier and the demo: one static busybox, imported, nothing pulled.

`import_busybox(ref, changes)` is idempotent: the same reference with the same changes is imported once.
"""

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import docker
import docker.errors

BUSYBOX = "/bin/busybox"
RECIPE = "test.recipe"
"""the label that says what an image was made from"""


def import_busybox(
    ref: str, changes: Sequence[str] = ('CMD ["sleep", "3600"]',), client: docker.APIClient | None = None
) -> str:
    """Import a root with busybox as `ref`, with Dockerfile-like changes (`CMD …`, `ENV …`, `LABEL …`). Returns the
    image id. Each reference gets an image of its own, even if the changes are the same."""
    own = client or docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto")
    recipe = hashlib.sha256("\0".join([ref, *changes]).encode()).hexdigest()[:32]
    try:
        try:
            found = own.inspect_image(ref)
            if (found["Config"].get("Labels") or {}).get(RECIPE) == recipe:
                return str(found["Id"])
        except docker.errors.ImageNotFound:
            pass
        repository, _, tag = ref.rpartition(":")
        own.import_image_from_data(
            _root(), repository=repository, tag=tag, changes=[*changes, f"LABEL {RECIPE}={recipe}"]
        )
        return str(own.inspect_image(ref)["Id"])
    finally:
        if client is None:
            own.close()


def remove_image(ref: str, client: docker.APIClient) -> None:
    """Take the image away again; fine if it is gone."""
    try:
        client.remove_image(ref, force=True)
    except docker.errors.APIError as err:
        if err.status_code != 404:
            raise


def _root() -> bytes:
    """A tar of a root file system: busybox and a link per applet."""
    listed = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout
    binary = Path(BUSYBOX).read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "tmp", "etc", "data"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(binary), 0o755
        tar.addfile(entry, io.BytesIO(binary))
        for applet in listed.split():
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return buffer.getvalue()
