"""A box for the benchmarks: containers on the real engine, and a real daemon with its own broker."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import docker
import yaml

from tests.support.images import import_busybox

IMAGE = "resurgam-bench:1"


class Box:
    """One daemon in a folder of its own. `files` are rule files by name."""

    def __init__(self, host: str, settings: dict[str, Any] | None = None) -> None:
        settings = dict(settings or {})
        self.folder = Path(tempfile.mkdtemp(prefix=f"resurgam-{host}-"))
        self.api = docker.APIClient(version="auto")
        self.poll_api = docker.APIClient(version="auto")
        rules = self.folder / "rules"
        rules.mkdir(mode=0o700)
        for name, text in settings.pop("rules", {}).items():
            (rules / name).write_text(text)
            (rules / name).chmod(0o600)
        config = {
            "host": host,
            "state_dir": str(self.folder / "state"),
            "rules": ["shipped", str(rules)],
            "http": {"listen": "none"},
            **settings,
        }
        self.config = self.folder / "resurgam.yaml"
        self.config.write_text(yaml.safe_dump(config))
        self.config.chmod(0o600)
        self.names: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_after = 0.0

    @property
    def broker_socket(self) -> Path:
        return self.folder / "state" / "bus" / "mqtt.sock"

    @property
    def listener(self) -> dict[str, Any]:
        """How a subscriber of the managed broker connects."""
        password = (self.broker_socket.parent / "listener.password").read_text().strip()
        return {"transport": "unix", "identifier": "bench", "username": "listener", "password": password}

    def start(self, names: list[str], command: tuple[str, ...] = ("sleep", "100000")) -> None:
        """Run the containers, then the daemon; returns once it is ready."""
        import_busybox(IMAGE, ['CMD ["sleep","100000"]'])
        self.names = names
        for name in names:
            self._remove(name)
            host = self.api.create_host_config(network_mode="none", restart_policy={"Name": "no"})
            self.api.create_container(IMAGE, list(command), name=name, host_config=host)
            self.api.start(name)
        self.start_daemon()

    def start_daemon(self) -> None:
        """Start the daemon and wait until it answers that it is past recovering."""
        began = time.monotonic()
        env = {**os.environ, "RESURGAM_STATE_DIR": str(self.folder / "state")}
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.cli.main", "run", "--config", str(self.config)],
            stdout=log,
            stderr=log,
            env=env,
        )
        status = [sys.executable, "-m", "supervisor.cli.main", "status", "-o", "json", "--config", str(self.config)]
        while time.monotonic() - began < 20:
            if self._answers():
                self.ready_after = time.monotonic() - began
                done = subprocess.run(status, capture_output=True, env=env, check=False)
                if done.returncode == 0 and b'"recovering"' not in done.stdout and self.broker_socket.exists():
                    return
            time.sleep(0.02)
        raise SystemExit(f"the daemon did not become ready; see {self.folder / 'log'}")

    def _answers(self) -> bool:
        import http.client
        import socket

        path = self.folder / "state" / "control.sock"
        connection = http.client.HTTPConnection("localhost")
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(path))
            connection.sock = sock
            connection.request("GET", "/v1/status")
            return b'"recovering"' not in connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()

    def clear(self) -> None:
        """End the daemon, remove the containers and the folder."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        for name in self.names:
            self._remove(name)
        with contextlib.suppress(docker.errors.ImageNotFound):
            self.api.remove_image(IMAGE, force=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove(self, name: str) -> None:
        try:
            self.api.remove_container(name, force=True)
        except docker.errors.NotFound:
            return
