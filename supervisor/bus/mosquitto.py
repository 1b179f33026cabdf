"""A mosquitto of our own: found, configured, started and, if it died, started again at the next connect.

In: the state folder. Out: a running broker, and the `Address` at which `bus/mqtt.py` reaches it. Everything it needs
is written below `<state_dir>/bus/`, readable by us alone: configuration, passwords, access list, its persistence, its
log, and `port`, the loopback port that other programs on this machine use (user `listener`, password in
`listener.password`; whoever may command over the bus is a user too, with a password file of the same kind).

It is a child in a session of its own: it outlives a killed daemon just long enough to tell our last will, and the next
start finds it on its socket and takes it over. When we end in good order, it ends with us.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import shutil
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from supervisor.bus.address import PORT, Address
from supervisor.bus.connection import Connection
from supervisor.bus.messages import BASE
from supervisor.clock import Clock
from supervisor.errors import BrokerError
from supervisor.ports import PLAIN, Ack, Properties, Received

USERS = ("resurgam", "listener")
PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/local/opt/mosquitto/sbin", "/opt/local/sbin")
READY_LIMIT = 5.0
READY_LOOK = 0.02
END_LIMIT = 1.0
LONGEST_SOCKET = 100
"""bytes of a unix socket's path; the kernel takes 108, macOS 104"""
HASH_ROUNDS = 2000


def find(path: str | None = None) -> str:
    """The mosquitto program: in PATH, else where packages put it; '' if there is none."""
    return shutil.which("mosquitto", path=path) or next(
        (found for place in PLACES if (found := shutil.which("mosquitto", path=place))), ""
    )


class Mosquitto:
    """The one managed broker of a state folder."""

    def __init__(
        self, program: str, state_dir: Path, clock: Clock, port: int = PORT, commanders: Mapping[str, str] | None = None
    ) -> None:
        """`port` is the loopback port to try first; if it is taken, another one is used. `commanders`: users that may
        read all and write one topic and what is below it -> that topic."""
        self._commanders = dict(commanders or {})
        self._program, self._clock, self._wish = program, clock, port
        self.folder = state_dir / "bus"
        self._process: asyncio.subprocess.Process | None = None
        self._socket = self.folder / "mqtt.sock"
        self._by_socket = len(os.fsencode(self._socket)) <= LONGEST_SOCKET
        self.starts = 0

    @property
    def address(self) -> Address:
        """Where the daemon itself connects: the socket, or the loopback port where the path is too long for one."""
        secret = str(self.folder / "resurgam.password")
        if self._by_socket:
            return Address("unix", str(self._socket), 0, USERS[0], secret)
        return Address("tcp", "127.0.0.1", self.port, USERS[0], secret)

    @property
    def port(self) -> int:
        """The loopback port of the broker that was started last; 0 if none ever was."""
        try:
            return int((self.folder / "port").read_text())
        except (OSError, ValueError):
            return 0

    async def ensure(self) -> None:
        """See to it that a broker answers at the address; BrokerError tells why none can."""
        if await self._answers():
            return
        await self._end()
        port = self._free_port()
        try:
            self._write(port)
        except OSError as err:
            raise BrokerError(f"the broker's files cannot be written to {self.folder}: {err.strerror}") from None
        await self._start()

    async def close(self) -> None:
        """End it, and one taken over from an earlier life of ours; a broker that someone else runs stays."""
        await self._end()
        orphan = self._orphan()
        if orphan:
            with contextlib.suppress(OSError):
                os.kill(orphan, signal.SIGTERM)

    async def _answers(self) -> bool:
        """Whether something takes connections there. A broker that hangs does, and is found out by connecting."""
        address = self.address
        kind = socket.AF_UNIX if self._by_socket else socket.AF_INET
        probe = socket.socket(kind, socket.SOCK_STREAM)
        probe.setblocking(False)
        try:
            where = address.host if self._by_socket else (address.host, address.port)
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(probe, where), 1.0)
        except TimeoutError:
            return True
        except OSError:
            return False
        finally:
            probe.close()
        return True

    def _free_port(self) -> int:
        for port in (self._wish, 0):
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
        raise BrokerError("no port on 127.0.0.1 is free for the broker")

    def _write(self, port: int) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        users = (*USERS, *self._commanders)
        for user in users:
            secret = self.folder / f"{user}.password"
            if not secret.exists():
                _put(secret, self._clock.token(24) + "\n")
        lines = [f"{user}:{self._hash((self.folder / f'{user}.password').read_text().strip())}" for user in users]
        _put(self.folder / "passwords", "\n".join(lines) + "\n")
        access = [f"user resurgam\ntopic readwrite {BASE}/#\n", f"user listener\ntopic read {BASE}/#\n"]
        for user, where in self._commanders.items():
            access.append(f"user {user}\ntopic read {BASE}/#\ntopic write {where}/#\n")
        _put(self.folder / "access", "\n".join(access))
        _put(self.folder / "mosquitto.conf", self._configuration(port))
        _put(self.folder / "port", f"{port}\n")

    def _configuration(self, port: int) -> str:
        where = self.folder
        lines = [
            "# Written by resurgam at every start of this broker; changes are lost.",
            f"listener {port} 127.0.0.1",
            *([f"listener 0 {self._socket}"] if self._by_socket else []),
            # As root mosquitto becomes the user `mosquitto`, who may not read this folder.
            *(["user root"] if os.geteuid() == 0 else []),
            "allow_anonymous false",
            f"password_file {where / 'passwords'}",
            f"acl_file {where / 'access'}",
            "persistence true",
            f"persistence_location {where}/",
            "autosave_on_changes true",
            "autosave_interval 1",
            "max_queued_messages 10000",
            "message_size_limit 1048576",
            "persistent_client_expiration 14d",
            f"pid_file {where / 'mosquitto.pid'}",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "connection_messages false",
        ]
        return "\n".join(lines) + "\n"

    def _hash(self, secret: str) -> str:
        """As mosquitto_passwd writes it: PBKDF2 with SHA-512."""
        salt = bytes.fromhex(self._clock.token(12))
        digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, HASH_ROUNDS)
        return f"$7${HASH_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"

    async def _start(self) -> None:
        self.starts += 1
        log = self.folder / "mosquitto.log"
        _put(log, "")
        try:
            with log.open("ab") as errors:
                self._process = await asyncio.create_subprocess_exec(
                    self._program,
                    "-c",
                    str(self.folder / "mosquitto.conf"),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    start_new_session=True,
                    umask=0o077,
                )
        except OSError as err:
            raise BrokerError(f"{self._program} cannot be started: {err.strerror}") from None
        until = self._clock.mono() + READY_LIMIT
        while not await self._answers():
            if self._process.returncode is not None:
                raise BrokerError(f"our mosquitto ended at once: {_last_line(log) or 'it says nothing'} (see {log})")
            if self._clock.mono() > until:
                await self._end()
                raise BrokerError(f"our mosquitto did not begin to answer within {READY_LIMIT:.0f}s (see {log})")
            await asyncio.sleep(READY_LOOK)

    async def _end(self) -> None:
        """End our own child, if there is one."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        for end in (process.terminate, process.kill):
            with contextlib.suppress(ProcessLookupError):
                end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), END_LIMIT)
                return

    def _orphan(self) -> int:
        """The process id of a mosquitto that an earlier life of ours started with this very file; 0 if none runs."""
        try:
            pid = int((self.folder / "mosquitto.pid").read_text())
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0
        return pid if os.fsencode(self.folder / "mosquitto.conf") in line else 0


class Managed:
    """A connection to the managed broker (a ports.Broker): starts it where it does not run, then connects."""

    def __init__(self, mosquitto: Mosquitto, inner: Callable[[], Connection]) -> None:
        self._mosquitto, self._make = mosquitto, inner
        self._inner: Connection | None = None

    async def connect(self) -> None:
        await self._mosquitto.ensure()
        inner = self._make()
        await inner.connect()
        self._inner = inner

    async def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float, properties: Properties = PLAIN
    ) -> Ack:
        if self._inner is None:
            raise BrokerError("there is no connection to the broker")
        return await self._inner.publish(topic, payload, qos, retain, expiry, properties)

    async def subscribe(self, pattern: str, qos: int = 1) -> None:
        if self._inner is None:
            raise BrokerError("there is no connection to the broker")
        await self._inner.subscribe(pattern, qos)

    async def received(self) -> Received:
        if self._inner is None:
            raise BrokerError("there is no connection to the broker")
        return await self._inner.received()

    async def closed(self) -> None:
        if self._inner is not None:
            await self._inner.closed()

    async def close(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.close()

    async def abort(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.abort()


def _put(path: Path, text: str) -> None:
    """Write a file only we can read, whole or not at all."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
    os.replace(new, path)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace")[-4000:].strip().splitlines()
    except OSError:
        return ""
    # The reason stands in an `Error:` line; what follows only repeats that it failed.
    worst = [line for line in lines if "rror" in line]
    return (worst or lines or [""])[0][:300]
