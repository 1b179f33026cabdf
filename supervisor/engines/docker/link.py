"""The connection to a Docker engine: one client per thread, one limit per call, one tree of errors.

From: engines/docker/engine.py and stream.py, which say what to call. To: the engine's socket, through docker.APIClient.
Clients are made at the first call and after every loss, so that an engine may come later or come back as another
version. docker-py and requests errors leave here as errors.EngineError and its children, with the engine's sentence.
"""

import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import docker
import docker.errors
import docker.tls
import requests.exceptions
import urllib3.exceptions

from supervisor.engines.docker import versions
from supervisor.engines.docker.endpoint import Endpoint, find
from supervisor.engines.docker.pool import Pool
from supervisor.errors import Conflict, EngineError, EngineGone, EngineTimeout, NotFound

T = TypeVar("T")
SHORT_THREADS, LONG_THREADS = 4, 8
CONNECT_LIMIT = 10.0


class Link:
    """Calls to one engine. `run(op, work, limit)` awaits `work(client)` on a thread of its own kind."""

    def __init__(self, endpoint: str | None, env: Mapping[str, str] | None = None) -> None:
        self._wanted, self._env = endpoint, dict(os.environ if env is None else env)
        self._local = threading.local()
        self._version = ""
        self._short = Pool("docker-short", SHORT_THREADS)
        self._long = Pool("docker-long", LONG_THREADS)

    async def run(self, op: str, work: Callable[[Any], T], limit: float, *, long: bool = False) -> T:
        """`work(client)`; EngineError and its children, EngineTimeout after `limit` seconds of silence."""
        pool = self._long if long else self._short
        return await pool.run(lambda: self.call(op, work, limit))

    def call(self, op: str, work: Callable[[Any], T], limit: float) -> T:
        """The same, here and now, on the calling thread."""
        return self.guard(op, lambda: work(self._client(limit)), limit)

    def guard(self, op: str, work: Callable[[], T], limit: float) -> T:
        """`work()`, its errors translated."""
        try:
            return work()
        except EngineError as err:
            if isinstance(err, EngineGone):
                self.forget()
            raise
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as err:
            raise self._translate(op, err, limit) from err
        except urllib3.exceptions.HTTPError as err:
            raise self._translate(op, err, limit) from err
        except (ValueError, KeyError) as err:
            raise EngineError(f"the engine's answer to {op} makes no sense ({type(err).__name__}: {err})") from err

    def client(self, limit: float) -> Any:
        """A client of its own, for a stream: the caller closes it."""
        endpoint = find(self._wanted, self._env)
        tls = _tls(endpoint)
        url = endpoint.url.replace("tcp://", "https://") if tls else endpoint.url
        try:
            made: Any = docker.APIClient(
                base_url=url, version=self._version or None, timeout=int(limit), tls=tls or False
            )
        except docker.errors.DockerException as err:
            raise EngineGone(f"cannot reach the engine at {endpoint.url} ({endpoint.source}): {why(err)}") from err
        made.trust_env = False  # no proxies and no .netrc between us and the engine; and it saves a millisecond a call
        made._version = self._version = versions.spoken(str(made.api_version))
        return made

    def by_socket(self) -> bool:
        """Whether the engine is reached by a socket file, not over a network."""
        return find(self._wanted, self._env).url.startswith(("unix://", "http+unix://"))

    def forget(self) -> None:
        """Let this thread's client go; the next call makes a new one."""
        old = getattr(self._local, "client", None)
        self._local.client = None
        self._version = ""
        if old is not None:
            old.close()

    def api_at_least(self, version: str) -> bool:
        """Whether the engine speaks this API version (`1.44`); False while it is not known."""
        return versions.at_least(self._version, version)

    @property
    def api(self) -> str:
        """The API version that is spoken; empty while it is not known."""
        return self._version

    def life(self) -> str:
        """What tells one life of the engine's process from the next: its pid and start time; empty if unknown."""
        try:
            path = find(self._wanted, self._env).socket
        except EngineGone:
            return ""
        return _process_behind(path) if path else ""

    def close(self) -> None:
        """Take no more calls. Those under way end by themselves."""
        self._short.close()
        self._long.close()

    def _client(self, limit: float) -> Any:
        made = getattr(self._local, "client", None)
        if made is None:
            made = self._local.client = self.client(CONNECT_LIMIT)
        made.timeout = limit
        return made

    def _translate(self, op: str, err: Exception, limit: float) -> EngineError:
        if isinstance(err, docker.errors.APIError):
            status = err.status_code or 0
            text = str(err.explanation or err)
            if status == 400 and text.startswith("client version "):
                self.forget()  # it came back as another version; the next call asks what it speaks now
                return EngineGone(f"the engine speaks another version of its API now: {text}")
            return {404: NotFound, 409: Conflict}.get(status, EngineError)(text, status)
        if _timed_out(err):
            self.forget()  # a late answer must not be taken for that of the next call
            return EngineTimeout(f"the engine did not answer {op} within {limit:.0f} s; what it did is not known")
        self.forget()
        return EngineGone(f"the engine does not answer {op}: {why(err)}")


def _timed_out(err: BaseException) -> bool:
    seen: BaseException | None = err
    while seen is not None:
        if isinstance(seen, requests.exceptions.ConnectTimeout):
            return False
        if isinstance(seen, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
            return True
        inner = seen.args[0] if seen.args and isinstance(seen.args[0], BaseException) else None
        seen = inner or seen.__cause__
    return isinstance(err, TimeoutError)


def why(err: BaseException) -> str:
    """The innermost sentence of a chain of wrapped errors, with what to do about it where that is known."""
    seen = err
    for _ in range(10):
        inner = next((arg for arg in reversed(seen.args) if isinstance(arg, BaseException)), None)
        inner = inner or getattr(seen, "reason", None) or seen.__cause__
        if not isinstance(inner, BaseException):
            break
        seen = inner
    sentence = str(getattr(seen, "strerror", "") or seen) or type(seen).__name__
    if isinstance(seen, PermissionError):
        return f"{sentence}. Run Resurgam as root, or add its user to the socket's group (`docker` as a rule)"
    return sentence


def _tls(endpoint: Endpoint) -> "docker.tls.TLSConfig | None":
    if not endpoint.tls_folder:
        return None
    folder = Path(endpoint.tls_folder)
    return docker.tls.TLSConfig(
        ca_cert=str(folder / "ca.pem"),
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        verify=True,
    )


def _process_behind(path: str) -> str:
    """`pid:start` of the process that listens on a unix socket. With socket activation that is systemd, so then the
    engine's own pid file is asked. Empty where the kernel does not tell (not Linux, another pid namespace)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return ""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(path)
            pid = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        if pid <= 1:
            pid = int(Path("/run/docker.pid").read_text(encoding="ascii"))
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, ValueError, IndexError):
        return ""
    return f"{pid}:{started}"
