"""The address at which containers of one network reach this machine, for the managed broker to listen at, too.

In: `mqtt.gateway`, and the engine's word for the network's gateway. Out: an address of this machine, or a sentence why
there is none; the broker runs without it then. The last address is kept in `gateway`, since the broker's own service
has no engine to ask.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from supervisor.bus.managed.files import put
from supervisor.errors import EngineError, NotFound

LOOK_LIMIT = 5.0

Look = Callable[[str], Awaitable[str]]
"""the gateway address of a network by its name, '' where it has none; raises EngineError"""


class Gateway:
    """One network, looked up again and again."""

    def __init__(self, network: str, folder: Path, look: Look | None) -> None:
        """`look` None: only what was kept is known."""
        self.network, self._look = network, look
        self._kept = folder / "gateway"
        self.trouble = ""
        """why containers cannot reach the broker now, for a person; '' if they can"""

    async def address(self) -> str:
        """The address to listen at now; '' where there is none, and `trouble` says why."""
        found, why = await self._asked()
        if found and (bad := _not_ours(found)):
            found, why = "", f"its gateway {found} {bad}"
        self.trouble = f"Containers of {self.network} do not reach the broker: {why}." if why else ""
        return found

    async def _asked(self) -> tuple[str, str]:
        kept = self._remembered()
        if self._look is None:
            return kept, "" if kept else "the daemon has not looked its address up yet; start it once"
        try:
            found = await asyncio.wait_for(self._look(self.network), LOOK_LIMIT)
        except NotFound:
            return "", "there is no such network; create it (it is looked for again)"
        except (EngineError, TimeoutError) as err:
            return kept, "" if kept else f"the engine does not tell its address ({err or 'it does not answer'})"
        if not found:
            return "", "it has no gateway; name a bridge network in mqtt.gateway"
        if found != kept:
            with contextlib.suppress(OSError):
                put(self._kept, f"{self.network} {found}\n")
        return found, ""

    def _remembered(self) -> str:
        try:
            network, _, address = self._kept.read_text("utf-8").strip().partition(" ")
        except OSError:
            return ""
        return address if network == self.network else ""


def can_bind(address: str, port: int) -> bool:
    """Whether a port of an address of this machine is free (0: any)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return True
    return False


def _not_ours(address: str) -> str:
    """Why nothing on this machine can listen at an address; '' where it can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as err:
        if err.errno == errno.EADDRNOTAVAIL:
            return "is no address of this machine; an engine in a virtual machine keeps it there"
        return f"cannot be listened at ({os.strerror(err.errno or 0)})"
    return ""
