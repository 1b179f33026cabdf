"""Real daemons and the person beside them, for the real tier: start, ask, kill, start again; containers and images.

`Daemon` is one `resurgam run` in a state folder of its own; `Nursery` starts many of them cheaply (killable.py);
`Hands` is a person at the engine: images from a local busybox, containers as compose would make them, a look from
outside. Everything made carries one prefix and is removed by `Hands.close`.
"""

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import yaml

from supervisor.cli.client import Client
from supervisor.clock import SystemClock
from supervisor.errors import ResurgamError
from supervisor.journal import Journal
from supervisor.journal.ledger import Ledger
from tests.support.images import import_busybox, remove_image
from tests.support.killable import VIEW

ROOT = Path(__file__).resolve().parents[2]
PORT = 8000
GOOD = f"echo fine > /tmp/health; trap 'exit 0' TERM; httpd -f -p {PORT} -h /tmp & wait"
BAD = "sleep 0.6; echo 'illegal instruction'; exit 139"
"""not at once: each restart keeps the engine busy, and it restarts dozens of these at a time"""
OURS = {"enable": True, "probe": f"http://:{PORT}/health"}
"""a `services:` entry. Not labels: every daemon on this engine would take the container for its own"""

SECRET = "/run/secrets/token"
"""where `Hands.up` puts a file, if it is told to, as compose puts an inline secret into what it makes"""

ENDS = ("action.verified", "action.rolled_back", "action.degraded", "action.failed", "action.ended_early")
"""the rows that end a plan"""


SLOW = 3.0
"""a machine may be that much slower than the limits were written for: a limit says that something hangs, no more"""


def until(check: Callable[[], Any], limit: float, what: str | Callable[[], str], pause: float = 0.05) -> Any:
    """Look again until it holds; AssertionError with `what` after `limit` seconds (of a quick machine)."""
    end = time.monotonic() + limit * SLOW
    while not (found := check()):
        if time.monotonic() >= end:
            raise AssertionError(f"not within {limit * SLOW:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(pause)
    return found


def free_port() -> int:
    """A port on loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ------------------------------------------------------------ processes


class Nursery:
    """Forks daemons from a process that has imported everything already. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killable"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Forked:
    """A daemon of the nursery, with the part of Popen's face that is needed."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery, self.pid = nursery, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ask({"wait": self.pid})["code"]
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Daemon:
    """One daemon in a folder of its own. `settings` go into its resurgam.yaml; None for no file at all."""

    def __init__(self, settings: Mapping[str, Any] | None, nursery: Nursery | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rsgr-"))
        self.state, self.log = self.folder / "state", self.folder / "log"
        self.record = self.folder / "points"
        self.config: Path | None = None
        self._nursery = nursery
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.client = Client(self.state / "control.sock")
        if settings is not None:
            self.config = self.folder / "resurgam.yaml"
            self.configure(settings)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write its resurgam.yaml (anew)."""
        assert self.config is not None
        quiet = {"http": {"listen": "none"}, "mqtt": {"url": "none"}, "proof": "1s"}
        self.config.write_text(yaml.safe_dump({**quiet, **settings}))
        self.config.chmod(0o600)

    @property
    def env(self) -> dict[str, str]:
        """What its process and its command line see."""
        kept = {key: value for key, value in os.environ.items() if key not in ("RESURGAM_CONFIG", "RUNTIME_DIRECTORY")}
        return {**kept, "RESURGAM_STATE_DIR": str(self.state), "PYTHONPATH": str(ROOT)}

    # ------------------------------------------------------------ life

    def start(
        self,
        point: str = "",
        *,
        counted: bool = False,
        patience: Mapping[str, float] | None = None,
        view: str = "",
        number: int = signal.SIGKILL,
    ) -> None:
        """Start it. Only for daemons of the nursery: `point`, to die there (or to get the signal `number`); `patience`,
        waiting times to shorten; `view`, to see only these containers."""
        argv = ["run", *(["--config", str(self.config)] if self.config else [])]
        if self._nursery is not None:
            record = str(self.record) if point or counted else ""
            state = {"RESURGAM_STATE_DIR": str(self.state)}
            request = {"argv": argv, "log": str(self.log), "env": state, "point": point, "record": record}
            asked = {**request, "signal": number, "patience": dict(patience or {}), "view": view}
            answer = self._nursery.ask(asked)
            self.process = Forked(self._nursery, answer["pid"])
            return
        assert not any((point, counted, patience, view)), "only a daemon of the nursery can be told that"
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "supervisor.cli.main", *argv]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.env, cwd=self.folder)

    def ready(self, limit: float = 20.0) -> dict[str, Any]:
        """Wait until it answers and is past recovering; its status."""

        def look() -> dict[str, Any] | None:
            assert self.process is not None
            assert self.process.poll() is None, f"the daemon ended: {self.said()}"
            status = self.status()
            return status if status and status["status"] != "recovering" else None

        found: dict[str, Any] = until(look, limit, lambda: f"the daemon is ready: {self.said()}")
        return found

    def ended(self, limit: float = 15.0) -> int:
        """Wait until the process is gone; its exit code, negative for a signal."""
        assert self.process is not None
        until(lambda: self.process is not None and self.process.poll() is not None, limit, "the daemon has ended")
        assert self.process.returncode is not None
        return self.process.returncode

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stands(self) -> bool:
        """Whether it was made to stand still."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def close(self) -> None:
        """End it whatever it does, and take its folder away."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.ended()
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-1500:] if self.log.exists() else "(nothing)"

    # ------------------------------------------------------------ asking

    def status(self) -> dict[str, Any] | None:
        """Its status document; None where nobody answers."""
        with contextlib.suppress(ResurgamError, OSError):
            return self.client.get("status")
        return None

    def service(self, name: str) -> dict[str, Any] | None:
        """One service of its status."""
        found = (self.status() or {}).get("services", ())
        return next((each for each in found if each["service"] == name), None)

    def rows(self, kind: str = "", subject: str = "", after: int = 0) -> list[dict[str, Any]]:
        """Journal rows, private ones too, oldest first."""
        found: list[dict[str, Any]] = self.client.get(
            "events", kind=kind, subject=subject, after=after, limit=1000, all=1
        )["events"]
        return sorted(found, key=lambda row: row["seq"])

    def heard(self, kind: str, subject: str = "", *, limit: float = 20.0, after: int = 0) -> dict[str, Any]:
        """Wait for a row of this kind; the last one."""

        def what() -> str:
            seen = [f"{row['kind']} {row['subject']}: {row['body'].get('text', '')}" for row in self.rows()[-15:]]
            return f"a row {kind} about {subject or 'anything'}, only:\n" + "\n".join(seen) + f"\n{self.said()}"

        found: list[dict[str, Any]] = until(lambda: self.rows(kind, subject, after), limit, what)
        return found[-1]

    def outcome(self, verb: str, service: str, *, limit: float = 45.0) -> dict[str, Any]:
        """Wait until a plan of this verb has ended; its last row."""

        def look() -> list[dict[str, Any]]:
            found = [row for row in self.rows("action", service) if row["kind"] in ENDS]
            return [row for row in found if row["body"].get("verb") == verb and row["body"].get("plan")]

        found: list[dict[str, Any]] = until(look, limit, lambda: f"the end of a {verb} of {service}: {self.said()}")
        return found[-1]

    def settled(self, service: str, limit: float = 30.0) -> None:
        """Wait until it is healthy and proved, and nothing of ours is at work (a proof leads to a plan)."""

        def quiet() -> bool:
            seen, status = self.service(service) or {}, self.status() or {"plans": [""]}
            return bool(seen.get("healthy")) and bool(self.rows("drift.proved", service)) and not status["plans"]

        until(quiet, limit, lambda: f"{service} is healthy and proved: {self.said()}")

    def command(self, verb: str, target: str, **params: str) -> dict[str, Any]:
        """Ask over the control socket; {"plan", "decision"}."""
        return self.client.command(verb, target, params)

    def cli(self, *words: str, limit: float = 60.0) -> subprocess.CompletedProcess[str]:
        """The real command line, in a process of its own."""
        where = ["--config", str(self.config)] if self.config else []
        command = [sys.executable, "-m", "supervisor.cli.main", *words, *where]
        return subprocess.run(
            command, capture_output=True, text=True, env=self.env, cwd=self.folder, timeout=limit, check=False
        )

    def seed_proof(self, service: str, image_id: str, ref: str) -> None:
        """Before its first start: let its journal know that this image proved healthy for the service."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        clock = SystemClock()
        journal = Journal.open(self.state / "journal.db", clock)
        batch = journal.batch()
        for space, key, value in Ledger().prove(service, image_id, ref, clock.wall()):
            batch.put(space, key, value)
        journal.commit(batch)
        journal.close()


# ------------------------------------------------------------ a person at the engine


class Hands:
    """A person at the engine. `prefix` is in every name; the network's has no number (see close_containers)."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._local = threading.local()
        self._clients: list[docker.APIClient] = []
        self.network = re.sub("[0-9]+$", "", prefix)
        self.close_containers()
        if self.network not in [each["Name"] for each in self.api.networks()]:
            self.api.create_network(self.network)
        self.good = self.image("good", GOOD)
        self.bad = self.image("bad", BAD)

    @property
    def api(self) -> docker.APIClient:
        """A client of this thread's own."""
        made = getattr(self._local, "client", None)
        if made is None:
            made = self._local.client = docker.APIClient(version="auto", timeout=60)
            self._clients.append(made)
        return made

    def image(self, word: str, script: str) -> str:
        """An image `<prefix>/<word>:1` that runs this script; its id."""
        return import_busybox(f"{self.prefix}/{word}:1", [f"CMD {json.dumps(['sh', '-c', script])}"], self.api)

    def tag(self, image_id: str, ref: str) -> None:
        """Let a reference stand for an image."""
        repository, _, tag = ref.rpartition(":")
        self.api.tag(image_id, repository, tag, force=True)

    def up(
        self,
        word: str,
        ref: str,
        labels: Mapping[str, str] | None = None,
        policy: str = "unless-stopped",
        *,
        secret: bool = False,
    ) -> str:
        """Make and start `<prefix>-<word>` as compose would: `<prefix>.<word>` is its service, `word` its view.
        `secret`: with a file of compose's at SECRET. Its name."""
        name = f"{self.prefix}-{word}"
        with contextlib.suppress(docker.errors.NotFound):
            self.api.stop(name, timeout=1)
            self.api.remove_container(name, force=True)
        compose = {
            "com.docker.compose.project": self.prefix,
            "com.docker.compose.service": word,
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
        }
        host = self.api.create_host_config(network_mode=self.network, restart_policy={"Name": policy})
        given = compose | {VIEW: word} | dict(labels or {})
        self.api.create_container(ref, name=name, labels=given, host_config=host)
        if secret:
            self.api.put_archive(name, "/", _secret())
        self.api.start(name)
        return name

    def has_secret(self, name: str) -> bool:
        """Whether the file at SECRET is in it, as it was given."""
        try:
            stream, _stat = self.api.get_archive(name, SECRET)
        except docker.errors.NotFound:
            return False
        return b"hush" in b"".join(stream)

    def look(self, name: str) -> dict[str, Any] | None:
        """The engine's own inspect; None where there is no such container."""
        try:
            found: dict[str, Any] = self.api.inspect_container(name)
        except docker.errors.NotFound:
            return None
        return found

    def names(self, beginning: str) -> list[str]:
        """The names of all containers that begin so."""
        rows = self.api.containers(all=True, filters={"name": beginning})
        found = [name.lstrip("/") for row in rows for name in row["Names"] if name.count("/") == 1]
        return sorted(name for name in found if name.startswith(beginning))

    def answers(self, name: str) -> bool:
        """Whether it serves, asked from outside."""
        seen = self.look(name)
        networks = seen["NetworkSettings"]["Networks"] if seen else {}
        address = next((each["IPAddress"] for each in networks.values() if each["IPAddress"]), "")
        if not address:
            return False
        connection = http.client.HTTPConnection(address, PORT, timeout=2.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().read() == b"fine\n"
        except OSError:
            return False
        finally:
            connection.close()

    def remove(self, beginning: str) -> None:
        """Remove all containers whose names begin so."""
        for name in self.names(beginning):
            with contextlib.suppress(docker.errors.NotFound):
                self.api.stop(name, timeout=1)  # first: one that is removed while it restarts stays in its network
                self.api.remove_container(name, force=True, v=True)

    def close_containers(self) -> None:
        """Everything of this prefix, but not its images."""
        self.remove(self.prefix)
        # Now and then the engine counts one container too many in a network it was busy with, and does not let go of it
        # before its own next start; so the name is always the same, and the next run finds it.
        with contextlib.suppress(docker.errors.APIError):
            self.api.remove_network(self.network)

    def close(self) -> None:
        """Take everything away."""
        self.close_containers()
        for row in self.api.images():
            for ref in row.get("RepoTags") or ():
                if ref.startswith((f"{self.prefix}/", f"resurgam/lkg:{self.prefix}")):
                    remove_image(ref, self.api)
        for client in self._clients:
            client.close()


def _secret() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(SECRET.lstrip("/"))
        entry.size, entry.mode, entry.mtime = 4, 0o400, int(time.time())
        tar.addfile(entry, io.BytesIO(b"hush"))
    return out.getvalue()


@contextlib.contextmanager
def hands(word: str) -> Iterator[Hands]:
    """Hands with a prefix of this process, closed at the end."""
    made = Hands(f"rsgr{word}{os.getpid()}")
    try:
        yield made
    finally:
        made.close()
