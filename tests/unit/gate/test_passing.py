"""What the gate keeps of a request that waits. How requests pass is in tests/real/test_gate.py, over connections."""

import asyncio
import tracemalloc
from types import SimpleNamespace
from typing import Any, cast

from supervisor.clock import ManualClock
from supervisor.facts import Slot
from supervisor.gate.framing import Chunked
from supervisor.gate.lobby import Lobby
from supervisor.gate.passing import Body, Purse
from supervisor.gate.wire import Ear


async def test_a_body_in_tiny_chunks_takes_no_more_memory_than_it_is_long() -> None:
    sent = b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n"
    ear = Ear()
    ear.feed_data(sent)
    ear.feed_eof()
    body = Body(cast(Any, SimpleNamespace(ear=ear)), Chunked(), Purse(1 << 20))
    visit = Lobby(Slot("oracle", (), listen="x:1"), ManualClock()).arrive()
    tracemalloc.start()
    await asyncio.get_running_loop().create_task(body.ahead(visit))
    held, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body.done
    assert await body.at_hand() == sent
    assert held < 3 * len(sent)
