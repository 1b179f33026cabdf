"""Tells whether what a container is about to need is free: its host ports, its memory, its share of a GPU.

From: the runner, between the old container's stop and the new one's start. To: /proc/net, the host's memory, the GPU
driver where it can be asked. What cannot be measured is not waited for, and whoever holds something is named where the
kernel lets us see it. Whether it fits beside what is planned is asked before that, by incidents/room.py.
"""

import asyncio
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from supervisor import units
from supervisor.errors import ResurgamError
from supervisor.facts import Container, Free, Needs
from supervisor.ports import Host
from supervisor.units import speaker

MOST = 16 << 20
"""bytes read of one table of sockets"""
MOST_PROCESSES, MOST_FILES = 32_768, 4_096
"""how many processes, and open files of each, are looked through for a holder"""
_TABLES = (("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp"))
_LISTENS = {"tcp": "0A", "udp": "07"}
_WORDS = 4
"""bytes of an address that stand in one 32-bit word of the table, lowest first"""
_PORT = re.compile(r"(?:(?P<address>\[[^\]]+\]|[^:\[\]]+):)?(?P<port>\d+)/(?P<kind>\w+)")
_ANY4, _ANY6 = "0.0.0.0", "::"  # noqa: S104 - what a table says, not what is bound


class Vram(Protocol):
    """Watches the GPUs' memory (signals/gpu). No question raises."""

    async def held(self, needs: Needs, container: Container, before: str) -> str:
        """What of it would have to be waited for; '' for nothing. `before`: as in ports.Room."""

    async def doubts(self, needs: Needs, container: Container) -> tuple[str, ...]:
        """Why what is declared cannot be waited for, a sentence each."""

    async def free(self) -> Mapping[str, float]:
        """Bytes free of each card by its UUID, in the driver's order; empty where nobody can be asked."""


@dataclass(frozen=True, slots=True)
class Socket:
    """One listening socket of this machine. `address` as people write it, `inode` to find its process by."""

    kind: str
    """tcp | udp"""
    address: str
    port: int
    inode: str


def parse(text: str, kind: str) -> tuple[Socket, ...]:
    """The listening sockets in the text of /proc/net/{tcp,tcp6,udp,udp6}. Lines that cannot be read are left out."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTENS[kind]:
            continue
        packed, _, port = fields[1].partition(":")
        try:
            found.append(Socket(kind, _address(packed), int(port, 16), fields[9]))
        except ValueError:
            continue
    return tuple(found)


def _address(packed: str) -> str:
    """`0100007F` is 127.0.0.1: each 32-bit word is written lowest byte first."""
    raw = bytes.fromhex(packed)
    if len(raw) not in (4, 16):
        raise ValueError(packed)
    turned = b"".join(raw[at : at + _WORDS][::-1] for at in range(0, len(raw), _WORDS))
    address = ipaddress.ip_address(turned)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def published(port: str) -> tuple[str, int, str]:
    """(address, port, tcp | udp) of one of a container's ports; the address is '' where it means all of them.
    ValueError if it is none."""
    match = _PORT.fullmatch(port)
    if match is None:
        raise ValueError(port)
    return (match["address"] or "").strip("[]"), int(match["port"]), match["kind"]


def clash(one: str, other: str) -> bool:
    """Whether two containers' ports (`8000/tcp`, `127.0.0.1:8000/tcp`) cannot both be had."""
    try:
        (first, port, kind), (second, its, of) = published(one), published(other)
    except ValueError:
        return False
    every = ("", _ANY4, _ANY6)
    return (port, kind) == (its, of) and (first == second or first in every or second in every)


def holds(socket: Socket, port: str) -> bool:
    """Whether this socket keeps the port from being bound. One on every IPv6 address may or may not hold IPv4's, and
    the table does not say which: then it does not count, unless the port is wanted on all addresses."""
    try:
        address, number, kind = published(port)
    except ValueError:
        return False
    if (socket.port, socket.kind) != (number, kind):
        return False
    if address in ("", socket.address):
        return True
    if ":" in address:
        return socket.address == _ANY6 or (address == _ANY6 and ":" in socket.address)
    return socket.address == _ANY4 or (address == _ANY4 and ":" not in socket.address)


class HostRoom:
    """Implements ports.Room on this machine. `vram`: what is asked for the GPU's memory, None for nobody."""

    def __init__(self, host: Host, proc: Path = Path("/proc"), vram: Vram | None = None) -> None:
        self._host, self._proc, self._vram = host, proc, vram

    async def held(self, needs: Needs, container: Container, before: str = "") -> str:
        """One sentence about what it would have to wait for; '' if nothing."""
        try:
            found = await asyncio.to_thread(self._ports, container.ports) if container.ports else ""
            found = found or self._memory(needs)
            if not found and self._vram is not None:
                found = await self._vram.held(needs, container, before)
        except (OSError, ResurgamError, ValueError):
            return ""
        return found

    async def doubts(self, needs: Needs, container: Container) -> tuple[str, ...]:
        """What of its needs cannot be waited for, a sentence each."""
        return await self._vram.doubts(needs, container) if self._vram is not None else ()

    async def free(self) -> Free:
        """What is free now."""
        try:
            memory = self._host.meminfo().get("MemAvailable", 0.0)
        except (OSError, ResurgamError):
            memory = 0.0
        return Free(memory, dict(await self._vram.free()) if self._vram is not None else {})

    def _memory(self, needs: Needs) -> str:
        free = self._host.meminfo().get("MemAvailable") if needs.memory else None
        if free is None or free >= needs.memory:
            return ""
        say = speaker((needs.memory,))
        return f"{say(free)} of memory are free, it needs {say(needs.memory)}"

    def _ports(self, wanted: Iterable[str]) -> str:
        open_now = [socket for name, kind in _TABLES for socket in self._table(name, kind)]
        for port in wanted:
            holder = next((socket for socket in open_now if holds(socket, port)), None)
            if holder is not None:
                return f"port {port} is held by {self._process(holder.inode) or 'a process of this machine'}"
        return ""

    def _table(self, name: str, kind: str) -> tuple[Socket, ...]:
        try:
            with (self._proc / "net" / name).open("rb") as file:
                return parse(file.read(MOST).decode("ascii", "replace"), kind)
        except OSError:
            return ()

    def _process(self, inode: str) -> str:
        """`nginx (pid 812)`; '' where it cannot be seen."""
        wanted = f"socket:[{inode}]"
        with os.scandir(self._proc) as entries:
            pids = [
                entry.name for entry, _ in zip(entries, range(MOST_PROCESSES), strict=False) if entry.name.isdigit()
            ]
        for pid in pids:
            try:
                with os.scandir(self._proc / pid / "fd") as files:
                    mine = any(
                        os.readlink(file.path) == wanted for file, _ in zip(files, range(MOST_FILES), strict=False)
                    )
                if mine:
                    name = (self._proc / pid / "comm").read_text("utf-8", "replace")
                    return f"{units.plain(name.strip(), 64)} (pid {pid})"
            except OSError:
                continue  # it ended just now, or is not ours to look into
        return ""
