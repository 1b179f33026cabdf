"""A Docker engine of a test's own, to be ended and started again at will.

It lives in network and mount namespaces of its own, with its own data and sockets in a folder, so that nothing it does
to bridges or mounts can reach the engine that everybody else uses. No network: its containers run with `none`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import docker.errors
import requests

_START = (
    "ip link set lo up; exec dockerd -H unix://{at}/d.sock --data-root {at}/data --exec-root {at}/exec "
    "--pidfile {at}/pid --iptables=false --ip-forward=false --ip-masq=false --bridge none"
)


class OwnEngine:
    """One dockerd with everything of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rsgre-"))
        self.endpoint = f"unix://{self.folder}/d.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> docker.APIClient:
        """Start it, once it answers: a client."""
        self._process = self._spawn()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError):
                client = docker.APIClient(base_url=self.endpoint, version="auto")
                client.version()
                return client
            assert self._process.poll() is None or self._again(), self._said()
            time.sleep(0.1)
        raise AssertionError(f"the engine of our own did not start: {self._said()}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            command = ["unshare", "--net", "--mount", "sh", "-c", _START.format(at=self.folder)]
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def _again(self) -> bool:
        """A container daemon that was left by a kill can be in the way for a moment."""
        self._process = self._spawn()
        time.sleep(0.5)
        return True

    def _said(self) -> str:
        return (self.folder / "log").read_text()[-1500:]

    def end(self, number: int) -> None:
        """Send the engine a signal and wait until it is gone. Its containers may live on, as they would."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(40)
        (self.folder / "pid").unlink(missing_ok=True)

    def close(self) -> None:
        """End it and all that is left of it."""
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGTERM)
        for pid in self._rest():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _rest(self) -> list[int]:
        """Processes whose command line names our folder: the container daemon and its shims."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if str(self.folder).encode() in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
        return found
