"""A mosquitto of our own: configured, started and, if it died, started again at the next connect.

In: the state folder. Out: a running broker, and the `Address` at which `bus/link/mqtt.py` reaches it. Everything it
needs is written below `<state_dir>/bus/`, readable by us alone: configuration, users, its persistence, its log, and
`port`, the loopback port that other programs on this machine use.

Who started it holds `lock` through it and stands in it: `daemon`, or `service` where `resurgam bus serve` runs it as a
unit of its own. The daemon's is a child in a session of its own: it outlives a killed daemon just long enough to tell
our last will, the next start finds it on its socket and takes it over, and when we end in good order it ends with us.
The service's is used and left alone.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

from supervisor.bus.link.address import PORT, Address
from supervisor.bus.managed.alive import started_with
from supervisor.bus.managed.configuration import OLDEST, PLUGINS_ONLY, US, Layout, configuration
from supervisor.bus.managed.files import private_folder, put, sign, take
from supervisor.bus.managed.gateway import Gateway, Look, can_bind
from supervisor.bus.managed.program import Version, plugin, version_of
from supervisor.bus.managed.users import Users
from supervisor.clock import Clock
from supervisor.errors import BrokerError

READY_LIMIT = 5.0
READY_LOOK = 0.02
END_LIMIT = 1.0
GRACE = 10.0
"""seconds in which the broker's own service may come back before the daemon runs a broker itself"""
LONGEST_SOCKET = 100
"""bytes of a unix socket's path; the kernel takes 108, macOS 104"""


class Mosquitto:
    """The one managed broker of a state folder."""

    def __init__(
        self,
        program: str,
        state_dir: Path,
        clock: Clock,
        port: int = PORT,
        commanders: Iterable[str] = (),
        *,
        prefix: str = "homeassistant",
        network: str = "",
        look: Look | None = None,
    ) -> None:
        """`port` is the loopback port to try first; if it is taken, another one is used. `commanders`: users that may
        command over the bus. `network`: the one whose containers may reach it; `look` finds its gateway."""
        self._program, self._clock, self._wish = program, clock, port
        self.folder = state_dir / "bus"
        self.users = Users(self.folder, clock, commanders, prefix)
        self.gateway = Gateway(network, self.folder, look) if network else None
        self._process: asyncio.subprocess.Process | None = None
        self._socket = self.folder / "mqtt.sock"
        self._by_socket = len(os.fsencode(self._socket)) <= LONGEST_SOCKET
        self._version: Version | None = None
        self._missed = 0.0
        self._introduced = False
        self.starts = 0

    @property
    def address(self) -> Address:
        """Where the daemon itself connects: the socket, or the loopback port where the path is too long for one."""
        secret = str(self.folder / f"{US}.password")
        if self._by_socket:
            return Address("unix", str(self._socket), 0, US, secret)
        return Address("tcp", "127.0.0.1", self.port, US, secret)

    @property
    def port(self) -> int:
        """The loopback port of the broker that was started last; 0 if none ever was."""
        try:
            return int((self.folder / "port").read_text())
        except (OSError, ValueError):
            return 0

    @property
    def owner(self) -> str:
        """Who started the broker that runs, or ran last: `daemon`, `service`, '' for nobody."""
        try:
            return (self.folder / "lock").read_text().strip()
        except OSError:
            return ""

    @property
    def pid(self) -> int:
        """The process id of a mosquitto that runs with our configuration; 0 if none does."""
        try:
            pid = int((self.folder / "mosquitto.pid").read_text())
        except (OSError, ValueError):
            return 0
        return pid if started_with(pid, str(self.folder / "mosquitto.conf")) else 0

    @property
    def trouble(self) -> str:
        """What is wrong with it though it runs, for a person; '' if nothing is."""
        return self.gateway.trouble if self.gateway is not None else ""

    async def ensure(self) -> None:
        """See to it that a broker answers at the address; BrokerError tells why none can."""
        if await self.answers():
            self._missed = 0.0
            await self._introduce()
            await self._look_at_gateway()
            return
        await self._end()
        try:
            private_folder(self.folder)
            lock = await self._take()
        except OSError as err:
            raise BrokerError(f"the broker's files cannot be written to {self.folder}: {err.strerror}") from None
        if lock is None:
            return
        try:
            await self.prepare(lock, "daemon")
            await self._start(lock)
        finally:
            os.close(lock)

    async def close(self) -> None:
        """End it, and one taken over from an earlier life of ours; the broker's own service goes on, so that it can
        tell our last will."""
        await self._end()
        if self.owner != "service" and (orphan := self.pid):
            with contextlib.suppress(OSError):
                os.kill(orphan, signal.SIGTERM)

    async def replace(self) -> None:
        """End one of ours that answers nobody, so that the next connect starts another; the service's is left."""
        await self._end()
        if self.owner != "service" and (stuck := self.pid):
            with contextlib.suppress(OSError):
                os.kill(stuck, signal.SIGKILL)
            await self._until_gone(stuck)

    async def could_listen_for_containers(self) -> bool:
        """Whether a broker of ours that listens without the gateway could have it now."""
        if self.gateway is None or not self.gateway.trouble or self.owner == "service":
            return False
        return bool(await self.gateway.address())

    async def answers(self) -> bool:
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

    async def prepare(self, lock: int, owner: str) -> list[str]:
        """Write everything for a start, as who holds the lock; the words that start it. BrokerError tells why not."""
        layout = await self._layout()
        guard = await self._patiently(self.users.lock)
        try:
            self.users.write()
            put(self.folder / "mosquitto.conf", configuration(layout))
            put(self.folder / "port", f"{layout.port}\n")
            sign(lock, owner)
        except OSError as err:
            raise BrokerError(f"the broker's files cannot be written to {self.folder}: {err.strerror}") from None
        finally:
            os.close(guard)
        return [self._program, "-c", str(self.folder / "mosquitto.conf")]

    def hang_up(self) -> bool:
        """Let the broker that runs read its users again; False where none runs, or we may not tell it."""
        pid = self.pid
        try:
            if pid:
                os.kill(pid, signal.SIGHUP)
        except OSError:
            return False
        return bool(pid)

    # ------------------------------------------------------------ inside

    async def _layout(self) -> Layout:
        if self._version is None:
            self._version = await version_of(self._program)
        if self._version < OLDEST:
            found = ".".join(str(part) for part in self._version)
            raise BrokerError(f"{self._program} is version {found}; install mosquitto 2.0 or later")
        plugins = ("", "")
        if self._version >= PLUGINS_ONLY:
            plugins = plugin(self._program, "password_file"), plugin(self._program, "acl_file")
            if not all(plugins):
                raise BrokerError("mosquitto's plugins password_file and acl_file are not installed; install them")
        gateway = await self.gateway.address() if self.gateway is not None else ""
        port = self._free_port(gateway)
        socket_path = self._socket if self._by_socket else None
        return Layout(self.folder, port, socket_path, gateway, self._version, os.geteuid() == 0, plugins)

    def _free_port(self, gateway: str) -> int:
        """The port that was asked for, else the one it had, else any that is free."""
        wished = [port for port in (self._wish, self.port if self._wish else 0) if port]
        for port in dict.fromkeys(wished):
            if can_bind("127.0.0.1", port) and (not gateway or can_bind(gateway, port)):
                return port
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])
        raise BrokerError("no port on 127.0.0.1 is free for the broker")

    async def _take(self) -> int | None:
        """The lock, to start a broker with; None where one has begun to answer meanwhile. BrokerError where the
        service's broker is to be waited for."""
        path = self.folder / "lock"
        until = self._clock.mono() + READY_LIMIT
        while (lock := take(path)) is None:
            if await self.answers():
                return None
            if self._clock.mono() > until:
                if self.owner == "service":
                    raise BrokerError("the broker's own service runs, but does not answer; restart resurgam-broker")
                await self.replace()
                until = self._clock.mono() + READY_LIMIT
            await asyncio.sleep(READY_LOOK)
        if self.owner == "service":
            now = self._clock.mono()
            self._missed = self._missed or now
            if now - self._missed < GRACE:
                os.close(lock)
                raise BrokerError("the broker's own service is gone; it is waited for, then we run a broker ourselves")
        self._missed = 0.0
        return lock

    async def _patiently(self, path: Path) -> int:
        until = self._clock.mono() + READY_LIMIT
        while (lock := take(path)) is None:
            if self._clock.mono() > until:
                raise BrokerError(f"another program has held {path} for {READY_LIMIT:.0f}s; end it")
            await asyncio.sleep(READY_LOOK)
        return lock

    async def _introduce(self) -> None:
        """Let a broker that ran before us know the users of our settings; those do not change while we live."""
        if self._introduced:
            return
        try:
            guard = await self._patiently(self.users.lock)
            try:
                if not self.users.written():
                    self.users.write()
                    self.hang_up()
            finally:
                os.close(guard)
        except OSError as err:
            raise BrokerError(f"the broker's users cannot be written to {self.folder}: {err.strerror}") from None
        self._introduced = True

    async def _look_at_gateway(self) -> None:
        """Say so where the broker that runs does not listen at the gateway."""
        if self.gateway is None:
            return
        address = await self.gateway.address()
        with contextlib.suppress(OSError):
            if address and f" {address}\n" not in (self.folder / "mosquitto.conf").read_text():
                how = "resurgam-broker" if self.owner == "service" else "resurgam"
                self.gateway.trouble = (
                    f"Containers of {self.gateway.network} do not reach the broker: it was started before "
                    f"{address} was known; restart {how}."
                )

    async def _start(self, lock: int) -> None:
        self.starts += 1
        log = self.folder / "mosquitto.log"
        put(log, "")
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
                    pass_fds=(lock,),
                )
        except OSError as err:
            raise BrokerError(f"{self._program} cannot be started: {err.strerror}") from None
        until = self._clock.mono() + READY_LIMIT
        while not await self.answers():
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

    async def _until_gone(self, pid: int) -> None:
        until = self._clock.mono() + END_LIMIT
        while self.pid == pid and self._clock.mono() < until:  # noqa: ASYNC110 - it is not our child
            await asyncio.sleep(READY_LOOK)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace")[-4000:].strip().splitlines()
    except OSError:
        return ""
    # The reason stands in an `Error:` line; what follows only repeats that it failed.
    worst = [line for line in lines if "rror" in line]
    return (worst or lines or [""])[0][:300]
