"""The bus beside a bare client: latency, throughput, and what an outage of eight hours costs.

The first two run a real mosquitto: once as the daemon does (unix socket; it saves what it acknowledged), and once one
that saves nothing (loopback), so that the broker is not the narrow part. Every figure of ours stands beside one of a
bare aiomqtt publisher in the same run, at the same broker, to the same subscriber; rounds alternate. The third is on
the virtual clock, with the journal on disk.

    python -m tests.bench.bus [--messages 1000] [--burst 2000] [--hours 8]
"""

import argparse
import asyncio
import gc
import json
import math
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt

from supervisor.bus.delivery.pump import Pump
from supervisor.bus.link.address import Address, parse
from supervisor.bus.link.mqtt import Door
from supervisor.bus.managed import Mosquitto, find
from supervisor.bus.messages import availability, render
from supervisor.clock import SystemClock
from supervisor.config.telling import FloodSettings
from supervisor.facts import Json
from supervisor.journal import Journal, JournalThread, Row
from tests.support.bus import HOST, BusHouse, snapshot
from tests.support.mosquitto import OwnMosquitto

WINDOW = 16
TURN = 20
"""rows in one turn of the journal, in the burst"""
BARE = f"resurgam/{HOST}/event/model"
"""the topic of the bare publisher, so that the subscriber tells the two apart"""


def body(number: int) -> Json:
    return {"service": "oracle", "exit_code": 139, "number": number, "log": ["what it said last " * 3] * 10}


@dataclass(frozen=True, slots=True)
class Broker:
    """A mosquitto that runs, and how to connect to it."""

    name: str
    address: Address
    publisher: dict[str, Any]
    subscriber: dict[str, Any]


@asynccontextmanager
async def saving(folder: Path) -> AsyncIterator[Broker]:
    mosquitto = Mosquitto(find(), folder, SystemClock(), port=0)
    await mosquitto.ensure()
    address = mosquitto.address
    ours = Path(address.password_file).read_text().strip()
    path = {"hostname": address.host, "transport": "unix", "username": address.username, "password": ours}
    theirs = (mosquitto.folder / "listener.password").read_text().strip()
    login = {"hostname": "127.0.0.1", "port": mosquitto.port, "username": "listener", "password": theirs}
    yield Broker("the managed mosquitto (saves within a second)", address, path, login)
    await mosquitto.close()


@asynccontextmanager
async def forgetful(folder: Path) -> AsyncIterator[Broker]:
    # By default it drops what one subscriber has not taken beyond 1,000; the managed one holds ten times as many.
    lines = ("allow_anonymous true", "set_tcp_nodelay true", "max_queued_messages 10000")
    mosquitto = OwnMosquitto(folder / "broker", persistent=False, lines=lines)
    await mosquitto.start()
    way = {"hostname": "127.0.0.1", "port": mosquitto.port}
    yield Broker("a mosquitto that saves nothing", parse(mosquitto.url), way, way)
    await mosquitto.kill()


class Both:
    """Our pump over a journal, a bare publisher, and one subscriber to both, at one broker."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.clock, self.broker = SystemClock(), broker
        self.journal = Journal.open(folder / "journal.db", self.clock)
        self.thread = JournalThread(self.journal)
        self.bare: aiomqtt.Client
        self.pump: Pump
        self.came: dict[str, dict[int, float]] = {"ours": {}, "bare": {}}
        self.arrived = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Both"]:
        door = Door(self.broker.address, "pump", availability(HOST, online=False))
        self.pump = Pump(self.thread, door, self.clock, HOST, lambda _fact: None)
        running, ready = asyncio.create_task(self.pump.run()), asyncio.Event()
        listening = asyncio.create_task(self._listen(ready))
        try:
            await asyncio.wait_for(ready.wait(), 20)
            async with aiomqtt.Client(**self.broker.publisher) as self.bare:
                self.bare.pending_calls_threshold = 10**9
                yield self
        finally:
            listening.cancel()
            await self.pump.close()
            await asyncio.gather(listening, running, return_exceptions=True)
            await self.thread.run(self.journal.close)
            self.thread.close()

    async def _listen(self, ready: asyncio.Event) -> None:
        async with aiomqtt.Client(**self.broker.subscriber) as client:
            await client.subscribe(f"resurgam/{HOST}/event/#", qos=1)
            ready.set()
            async for message in client.messages:
                now = time.perf_counter()
                who = "bare" if str(message.topic) == BARE else "ours"
                self.came[who].setdefault(json.loads(message.payload)["data"]["number"], now)
                self.arrived.set()

    def commit(self, numbers: range) -> list[Row]:
        batch = self.journal.batch()
        for number in numbers:
            batch.row("container.died", "oracle", body(number), self.clock.wall(), True)
        self.journal.commit(batch)
        return batch.rows

    def payload(self, number: int) -> bytes:
        """The very same event, for the bare publisher."""
        row = Row(number, self.clock.wall(), "container.died", "oracle", body(number), True, "", 0)
        message = render(row, HOST, self.journal.epoch)
        assert message is not None
        return message.payload

    async def until(self, who: str, count: int) -> None:
        while len(self.came[who]) < count:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 30)

    async def one(self, number: int) -> tuple[float, float, float]:
        """Seconds to the subscriber: bare; ours from the commit's begin; ours from its end."""
        payload, count = self.payload(number), len(self.came["bare"]) + 1
        began = time.perf_counter()
        await self.bare.publish(BARE, payload, qos=1)
        await self.until("bare", count)
        bare = self.came["bare"][number] - began
        count = len(self.came["ours"]) + 1
        began = time.perf_counter()
        rows = await self.thread.run(self.commit, range(number, number + 1))
        durable = time.perf_counter()
        self.pump.knock(rows)
        await self.until("ours", count)
        return bare, self.came["ours"][number] - began, self.came["ours"][number] - durable

    async def burst(self, who: str, numbers: range) -> float:
        """Messages a second from the first publish (or commit) to the last one at the subscriber."""
        count = len(self.came[who]) + len(numbers)
        payloads = {number: self.payload(number) for number in numbers} if who == "bare" else {}
        began = time.perf_counter()
        if who == "bare":
            room = asyncio.Semaphore(WINDOW)

            async def publish(number: int) -> None:
                async with room:
                    await self.bare.publish(BARE, payloads[number], qos=1)

            await asyncio.gather(*(publish(number) for number in numbers))
        else:
            for first in range(numbers.start, numbers.stop, TURN):
                some = range(first, min(first + TURN, numbers.stop))
                self.pump.knock(await self.thread.run(self.commit, some))
        await self.until(who, count)
        return len(numbers) / (time.perf_counter() - began)


async def beside(messages: int, burst: int) -> None:
    for begin in (saving, forgetful):
        with tempfile.TemporaryDirectory(prefix="resurgam-bench-") as name:
            folder = Path(name)
            async with begin(folder) as broker, Both(folder, broker).open() as both:
                print(f"\nat {broker.name}:")
                await both.one(0)
                singly([await both.one(number) for number in range(1, messages + 1)])
                rates: dict[str, list[float]] = {"bare": [], "ours": []}
                for number in range(3):
                    for who in rates:
                        first = messages + 1 + number * burst
                        rates[who].append(await both.burst(who, range(first, first + burst)))
                bare, ours = statistics.median(rates["bare"]), statistics.median(rates["ours"])
                print(f"sustained, {burst} events, {WINDOW} in flight, {TURN} rows a turn (median of 3 rounds):")
                print(f"bare aiomqtt {bare:.0f}/s, journal and pump {ours:.0f}/s, ratio {ours / bare:.2f}")


def singly(delays: list[tuple[float, float, float]]) -> None:
    print(f"{len(delays)} single events, milliseconds to a subscriber at QoS 1 (each after a bare one)")
    print(f"{'':34}{'p50':>8}{'p99':>8}{'p50 / bare':>12}")
    columns = [sorted(column) for column in zip(*delays, strict=True)]
    names = ("bare aiomqtt publish", "journal (commit included)", "journal (from the commit's end)")
    for name, column in zip(names, columns, strict=True):
        middle, high = statistics.median(column) * 1000, percentile(column, 0.99) * 1000
        print(f"{name:34}{middle:>8.2f}{high:>8.2f}{middle / statistics.median(columns[0]) / 1000:>12.2f}")


def outage(hours: float) -> None:
    """The broker is gone for hours while one event a second happens."""
    with tempfile.TemporaryDirectory(prefix="resurgam-bench-") as folder:
        house = BusHouse(flood=FloodSettings())
        house.journal = Journal.open(Path(folder) / "journal.db", house.clock)
        house.thread = JournalThread(house.journal)
        figures: dict[str, float] = {}

        async def story(_house: BusHouse) -> None:
            subscriber = house.world.subscribe("person", "resurgam/#")
            house.pump.show(snapshot())
            await asyncio.sleep(10)
            house.world.kill()
            gc.collect()
            figures["before"] = figures["peak"] = rss()
            for number in range(int(hours * 360)):
                batch = house.journal.batch()
                for second in range(10):
                    kind = "container.died" if second % 2 else "drift.tag_moved"
                    batch.row(kind, f"svc-{number % 30}", body(number), house.clock.wall() + second, True)
                house.journal.commit(batch)
                house.pump.knock(batch.rows)
                await asyncio.sleep(10)
                figures["peak"] = max(figures["peak"], rss())
            gc.collect()
            figures["after"], figures["waiting"] = rss(), float(house.states()["waiting"])
            taken = len(subscriber.got)
            house.world.start()
            await asyncio.sleep(60)
            got = subscriber.got[taken:]
            figures["events"] = float(len([one for one in got if "/event/" in one.topic]))
            figures["documents"] = len(got) - figures["events"]
            figures["left"] = float(house.states()["waiting"])

        house.play(story)
    grown = (figures["after"] - figures["before"]) / 2**20
    peak = (figures["peak"] - figures["before"]) / 2**20
    print(f"{hours:g} h without a broker, 1 event a second, on the virtual clock:")
    print(f"resident memory {figures['before'] / 2**20:.1f} MiB, {grown:+.1f} after it (peak {peak:+.1f})")
    sent = f"{figures['events']:.0f} events and {figures['documents']:.0f} documents"
    print(
        f"{figures['waiting']:.0f} messages waited; the broker is back: {sent} in a minute, {figures['left']:.0f} wait"
    )


def rss() -> float:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096.0


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--burst", type=int, default=2000)
    parser.add_argument("--hours", type=float, default=8)
    arguments = parser.parse_args()
    outage(arguments.hours)  # first: its memory is measured in this process
    asyncio.run(beside(arguments.messages, arguments.burst))


if __name__ == "__main__":
    main()
