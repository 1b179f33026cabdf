"""`resurgam bus serve`: becomes the managed broker, as a unit of its own beside the daemon.

In: the same settings as the daemon's. Out: never returns; the process is mosquitto from then on. A broker that the
daemon runs at that moment is ended first: the service outlives the daemon, so it goes before.
"""

import asyncio
import contextlib
import os
import signal

from supervisor.bus.managed.files import private_folder, take
from supervisor.bus.managed.process import READY_LIMIT, READY_LOOK, Mosquitto
from supervisor.clock import Clock
from supervisor.errors import BrokerError, UsageError


async def ready(mosquitto: Mosquitto, clock: Clock) -> tuple[int, list[str]]:
    """Everything written; (the lock, to be handed on; the words that start it). UsageError or BrokerError says why it
    cannot be served."""
    try:
        private_folder(mosquitto.folder)
        owner = mosquitto.folder.stat().st_uid
        if owner != os.geteuid():
            raise UsageError(
                f"{mosquitto.folder} belongs to user {owner}; run this as that user, or set another state_dir"
            )
        lock = await _take(mosquitto, clock)
    except OSError as err:
        raise BrokerError(f"the broker's files cannot be written to {mosquitto.folder}: {err.strerror}") from None
    try:
        return lock, await mosquitto.prepare(lock, "service")
    except BaseException:
        os.close(lock)
        raise


def become(lock: int, words: list[str]) -> None:
    """Be that broker."""
    os.umask(0o077)
    os.set_inheritable(lock, True)
    os.execv(words[0], words)  # noqa: S606 - the program that was found, with the file that was written


async def _take(mosquitto: Mosquitto, clock: Clock) -> int:
    end, until = signal.SIGTERM, clock.mono() + READY_LIMIT
    while (lock := take(mosquitto.folder / "lock")) is None:
        pid = mosquitto.pid
        if mosquitto.owner == "service" and pid:
            raise UsageError(f"the broker of {mosquitto.folder} is served already, by process {pid}")
        if clock.mono() > until:
            if end == signal.SIGKILL:
                raise BrokerError(f"the broker that runs for {mosquitto.folder} does not end; end process {pid}")
            end, until = signal.SIGKILL, clock.mono() + READY_LIMIT
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, end)
        await asyncio.sleep(READY_LOOK)
    return lock
