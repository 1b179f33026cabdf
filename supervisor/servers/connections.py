"""How many connections a server's port has: the last word on whether somebody uses it, for one that does not tell.

From: the kernel's tables of TCP connections, /proc/<pid>/net/tcp and tcp6, in the network of the container, or in ours
for a server beside us. To: hands.py. What cannot be read is None, which counts as busy. A connection that only waits
for its next request counts: nobody can tell it from one that works.
"""

import asyncio
from collections.abc import Iterable

from supervisor.facts import Container
from supervisor.kernel.tree import Tree

_ESTABLISHED = b"01"
_OURS = ("127.0.0.1", "localhost", "::1")
_MOST = 1_000_000
"""lines of a table: those that were closed a moment ago stay in it, tens of thousands on a busy machine"""
PROC = "/proc"


async def connections(tree: Tree, container: Container | None, host: str, port: int, proc: str = PROC) -> int | None:
    """Established connections to this port; None where nobody knows. `host`: where a server is that is no container."""
    if container is None:
        return await asyncio.to_thread(_count, f"{proc}/self/net", port) if host in _OURS else None
    if container.pid <= 0 or not _is(tree, container):
        return None
    return await asyncio.to_thread(_count, f"{proc}/{container.pid}/net", port)


def _is(tree: Tree, container: Container) -> bool:
    """Whether that number is a process of this very container: an engine elsewhere counts its own, and numbers come
    back."""
    path = f"{PROC}/{container.pid}/cgroup"
    try:
        return container.id.encode() in tree.read(path)
    except OSError:
        return False
    finally:
        tree.forget((path,))  # it may be gone at the next look, and its number somebody else's


def _count(folder: str, port: int) -> int | None:
    """In both tables; one is enough where the machine has no other."""
    found, read = 0, False
    for name in ("tcp", "tcp6"):
        try:
            with open(f"{folder}/{name}", "rb") as table:
                counted = established(table, port)
        except OSError:
            continue
        if counted is None:
            return None
        found, read = found + counted, True
    return found if read else None


def established(table: Iterable[bytes], port: int) -> int | None:
    """How many lines of such a table are connections to this port that stand; None for a table beyond all measure."""
    ending, found = b":%04X" % port, 0
    for number, line in enumerate(table):
        if number >= _MOST:
            return None
        words = line.split(None, 4)
        found += len(words) > 3 and words[1].endswith(ending) and words[3] == _ESTABLISHED
    return found
