"""Where the engine listens: what was asked for, else DOCKER_HOST, else Docker's context, else the known sockets.

From: the environment and the user's Docker folder. To: engines/docker/link.py. Says what it tried.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.errors import EngineGone

_KNOWN = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "{runtime}/docker.sock",
    "{home}/.docker/run/docker.sock",
    "{home}/.colima/default/docker.sock",
    "{home}/.orbstack/run/docker.sock",
    "{home}/.rd/docker.sock",
    "/run/podman/podman.sock",
    "{runtime}/podman/podman.sock",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to reach an engine at, and why it was chosen."""

    url: str
    source: str
    tls_folder: str = ""
    """a folder with ca.pem, cert.pem and key.pem for a TCP endpoint; empty for none"""

    @property
    def socket(self) -> str:
        """The path of its unix socket; empty for others."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else ""


def find(explicit: str | None, env: Mapping[str, str]) -> Endpoint:
    """The first endpoint that is named, or the first known socket that exists. EngineGone names all that was tried;
    an endpoint that a person named is taken even if nothing is there yet."""
    tls = env.get("DOCKER_CERT_PATH", "") if env.get("DOCKER_TLS_VERIFY") else ""
    if explicit:
        return _checked(explicit, "docker.endpoint", tls)
    if env.get("DOCKER_HOST"):
        return _checked(env["DOCKER_HOST"], "DOCKER_HOST", tls)
    tried = ["docker.endpoint (not set)", "DOCKER_HOST (not set)"]
    home = env.get("HOME", "")
    folder = Path(env.get("DOCKER_CONFIG") or f"{home}/.docker")
    name = env.get("DOCKER_CONTEXT") or _current_context(folder)
    if name and name != "default":
        url = _context_host(folder, name)
        if url:
            return _checked(url, f"Docker context {name}", _context_tls(folder, name))
        tried.append(f"Docker context {name} (has no endpoint)")
    for pattern in _KNOWN:
        if ("{runtime}" in pattern and not env.get("XDG_RUNTIME_DIR")) or ("{home}" in pattern and not home):
            continue
        path = pattern.format(runtime=env.get("XDG_RUNTIME_DIR", ""), home=home)
        if _exists(Path(path)):
            return Endpoint(f"unix://{path}", "a known socket")
        tried.append(path)
    raise EngineGone(
        "found no container engine. Start Docker, or name its endpoint as docker.endpoint in resurgam.yaml. "
        f"Tried: {', '.join(tried)}"
    )


def _checked(url: str, source: str, tls_folder: str) -> Endpoint:
    if url.startswith("/"):
        url = f"unix://{url}"
    scheme = url.partition("://")[0]
    if scheme == "ssh":
        raise EngineGone(
            f"{source} is {url}, and engines over ssh are not supported: their event stream cannot be closed. "
            "Run Resurgam on that machine, or forward its socket and name that."
        )
    if scheme not in ("unix", "tcp", "http", "https"):
        raise EngineGone(f"{source} is {url!r}; write it like unix:///var/run/docker.sock or tcp://host:2376")
    return Endpoint(url, source, tls_folder if scheme != "unix" else "")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a folder we may not look into


def _read(path: Path) -> Mapping[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _current_context(folder: Path) -> str:
    return str(_read(folder / "config.json").get("currentContext") or "")


def _context_host(folder: Path, name: str) -> str:
    meta = _read(folder / "contexts" / "meta" / _digest(name) / "meta.json")
    endpoints = meta.get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    return str(docker.get("Host") or "") if isinstance(docker, dict) else ""


def _context_tls(folder: Path, name: str) -> str:
    path = folder / "contexts" / "tls" / _digest(name) / "docker"
    return str(path) if _exists(path / "ca.pem") else ""


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
