"""`tcp://:6333`: well when the port takes a connection."""

import asyncio
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
    except OSError as err:
        raise Unwell(err.strerror or str(err)) from None
    # aborted, not closed: whoever stops reading must not keep us waiting
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    return Answer(True, f"port {where.port} is open")
