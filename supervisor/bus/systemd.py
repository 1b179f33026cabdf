"""Telling systemd how we are: READY=1, STATUS=…, WATCHDOG=1, RELOADING=1, STOPPING=1.

In: a state line. Out: one datagram to $NOTIFY_SOCKET; nothing at all where we were not started by systemd.
"""

import os
import socket
from collections.abc import Mapping


def notify(state: str, env: Mapping[str, str] = os.environ) -> bool:
    """Send `state`. False where nobody listens; it never raises and never waits."""
    address = env.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = "\0" + address[1:] if address[0] == "@" else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), target)
    except OSError:
        return False
    return True
