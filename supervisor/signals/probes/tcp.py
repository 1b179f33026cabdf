"""`tcp://:6333`: well when the port takes a connection."""

import asyncio
import os
import socket
from contextlib import suppress

from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell
from supervisor.signals.probes.target import Target


async def ask(where: Target) -> Answer:
    """Open a connection and close it again."""
    try:
        _reader, writer = await asyncio.open_connection(where.host, where.port, limit=1024)
    except socket.gaierror as err:
        raise CannotAsk(f"the name {where.host!r} does not resolve: {err.strerror}") from None
    except ConnectionRefusedError:
        raise Unwell(f"nothing listens on {where.netloc}") from None
    except OSError as err:  # its own words are asyncio's: "Connect call failed ('172.18.0.4', 8000)"
        why = os.strerror(err.errno) if err.errno else str(err)
        raise Unwell(f"no connection to {where.netloc}: {why}") from None
    # aborted, not closed: whoever stops reading must not keep us waiting
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    return Answer(True, f"port {where.port} is open")
