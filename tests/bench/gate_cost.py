"""What the gate costs: the same requests straight to a model server and through the gate, interleaved in one run.

The model server answers at once (so that nothing hides the gate), in a process of its own; the gate is one, too; the
caller is this one. Measured:

- one request after another over a kept connection: milliseconds from the first byte sent to the last one received
- a new connection for each request
- streams of events, some at a time: each event carries when it was sent, so its delay is known
- the gate's processor time for a request and for 1000 events

python -m tests.bench.gate_cost [--requests 2000] [--streams 20] [--events 200]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from supervisor.clock import SystemClock
from supervisor.facts import Slot, SlotModel
from supervisor.gate import Gates

PACE = 0.02
"""seconds between two events of a stream: 50 tokens a second"""
BATCH = 50
_TICK = os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------ the model server, and the gate


async def model_server() -> None:
    """Says its port; answers for ever. `GET /N` streams N events, anything else is answered at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                events = head.split(b" ")[1].strip(b"/")
                if not events.isdigit():
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + b'{"model": "me"}')
                    continue
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                for _ in range(int(events)):
                    await asyncio.sleep(PACE)
                    event = b"data: %.6f\n\n" % time.monotonic()
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                writer.write(b"0\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def gate(port: int, upstream: str) -> None:
    """Listens at that port and passes on."""
    gates = Gates([Slot("bench", (SlotModel("a"),), listen=f"127.0.0.1:{port}")], SystemClock(), lambda _fact: None)
    await gates.start()
    gates.open("bench", upstream)
    print(port, flush=True)
    await gates.run()


def start(*words: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.gate_cost", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def processor(process: subprocess.Popen[str]) -> float:
    """Seconds it has worked so far."""
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


# ------------------------------------------------------------ the caller

ASK = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n" + b"x" * 300


async def kept(port: int, count: int) -> list[float]:
    """Milliseconds of each of so many requests over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(ASK)
        await reader.readuntil(b'"me"}')
        found.append((time.perf_counter() - began) * 1000)
    writer.close()
    return found


async def fresh(port: int, count: int) -> list[float]:
    """The same, each over a connection of its own."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        await reader.readuntil(b'"me"}')
        found.append((time.perf_counter() - began) * 1000)
        writer.close()
    return found


async def streamed(port: int, streams: int, events: int) -> list[float]:
    """Milliseconds from when each event was sent until it was here."""

    async def one() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /%d HTTP/1.1\r\n\r\n" % events)
        found = []
        while (line := await reader.readline()) != b"0\r\n":
            if line.startswith(b"data: "):
                found.append((time.monotonic() - float(line[6:])) * 1000)
        writer.close()
        return found

    return [delay for each in await asyncio.gather(*(one() for _ in range(streams))) for delay in each]


async def compare(
    one: Callable[[int], Awaitable[list[float]]], rounds: int, ports: tuple[int, int]
) -> dict[str, float]:
    """Straight and through the gate in turn, each beginning every other round."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for way in ((0, 1), (1, 0))[number % 2]:
            found[way].extend(await one(ports[way]))
    straight, through = (statistics.quantiles(each, n=100, method="inclusive") for each in found)
    return {
        "straight_p50_ms": round(straight[49], 3),
        "through_p50_ms": round(through[49], 3),
        "straight_p99_ms": round(straight[98], 3),
        "through_p99_ms": round(through[98], 3),
        "added_p50_ms": round(through[49] - straight[49], 3),
        "ratio_p50": round(through[49] / straight[49], 2),
    }


async def measure(requests: int, streams: int, events: int) -> dict[str, dict[str, float]]:
    """All of it."""
    server, port = start("--server")
    front, door = start("--gate", str(port))
    ports, rounds = (port, door), max(1, requests // BATCH)
    try:
        await kept(port, BATCH)
        await kept(door, BATCH)
        found = {"kept connection": await compare(lambda to: kept(to, BATCH), rounds, ports)}
        found["new connections"] = await compare(lambda to: fresh(to, BATCH), rounds, ports)
        found["events of streams"] = await compare(lambda to: streamed(to, streams, events), 2, ports)
        before = processor(front)
        await kept(door, requests)
        after = processor(front)
        await streamed(door, streams, events)
        found["processor of the gate"] = {
            "ms_per_request": round((after - before) * 1000 / requests, 3),
            "ms_per_1000_events": round((processor(front) - after) * 1e6 / (streams * events), 1),
        }
    finally:
        for process in (front, server):
            process.terminate()
            process.wait(30)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--server", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--gate", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.server:
        asyncio.run(model_server())
    elif args.gate:
        asyncio.run(gate(18_960, f"http://127.0.0.1:{args.gate}"))
    else:
        print(json.dumps(asyncio.run(measure(args.requests, args.streams, args.events)), indent=2))


if __name__ == "__main__":
    main()
