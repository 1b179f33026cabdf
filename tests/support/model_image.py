"""An image for real model servers: nothing but an empty root, in which the host's own Python is mounted, read-only.

So llama.cpp's server (llama.py, from a wheel) runs in containers without one package in them: `command` starts it,
`binds` are the mounts it needs. Nothing is pulled, and nothing is copied.
"""

import io
import sys
import tarfile
from pathlib import Path

import docker
import docker.errors

PORT = 8000
"""where a server listens in its container"""
SERVER = "/serve.py"
_HOST = ("/usr", "/lib", "/lib64", "/bin")
"""what programs of this machine are linked against; on most, all but the first are links into it"""


def model_image(ref: str, client: docker.APIClient) -> str:
    """Import it as `ref`, if it is not there; its id."""
    try:
        return str(client.inspect_image(ref)["Id"])
    except docker.errors.ImageNotFound:
        repository, _, tag = ref.rpartition(":")
        client.import_image_from_data(_root(), repository=repository, tag=tag)
        return str(client.inspect_image(ref)["Id"])


def binds(*folders: Path) -> list[str]:
    """The mounts of a container of it; `folders`: more that it is to see, at their own place."""
    here = [path for path in _HOST if Path(path).is_dir() and not Path(path).is_symlink()]
    own = [sys.prefix, sys.base_prefix]
    places: list[str] = []
    for place in (*here, *own, *map(str, folders)):
        if not any(place == one or place.startswith(f"{one}/") for one in places):
            places.append(place)
    return [*(f"{place}:{place}:ro" for place in places), f"{Path(__file__).with_name('llama.py')}:{SERVER}:ro"]


def command(model: Path, alias: str, **options: str | int) -> list[str]:
    """What such a container runs: llama.py's options as keywords."""
    words = [f"{key}={value}" for key, value in {"host": "0.0.0.0", **options}.items()]
    return [sys.executable, "-u", SERVER, str(model), str(PORT), f"alias={alias}", *words]


def _root() -> bytes:
    """A tar of a root file system: the links that this machine has, and folders to mount at."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in _HOST:
            if Path(path).is_symlink():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.type, entry.linkname = tarfile.SYMTYPE, str(Path(path).readlink())
                tar.addfile(entry)
        entry = tarfile.TarInfo("tmp")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(entry)
    return buffer.getvalue()
