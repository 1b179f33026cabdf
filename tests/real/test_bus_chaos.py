"""mosquitto, the edge and a stranger's consumer are killed, stopped and started: nothing is lost, all is in order.

The last part runs real processes for a minute, side by side; RESURGAM_SOAK makes it twenty, RESURGAM_CHAOS so many
seconds, RESURGAM_CHAOS_SEED other kills.
"""

import asyncio
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from supervisor.bus.broker import choose
from supervisor.bus.delivery.pump import Pump
from supervisor.clock import SystemClock
from supervisor.config import Settings
from supervisor.facts import BusState, Json
from supervisor.journal import Journal, JournalThread, Row
from tests.support.broker import HOST, eventually
from tests.support.edge import USER, Edge
from tests.support.mosquitto import OwnMosquitto, RealRig
from tests.support.stranger import Stranger, Throttle, Witness, difference, everything, seqs

pytestmark = pytest.mark.real


class Writer:
    """Commits rows as a core would, and knocks with them."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = SystemClock()
        self.journal = Journal.open(state_dir / "journal.db", self.clock)
        self.thread = JournalThread(self.journal)
        self.facts: list[BusState] = []
        self.written = 0

    def submit(self, fact: object) -> None:
        assert isinstance(fact, BusState)
        self.facts.append(fact)

    def _commit(self, count: int) -> list[Row]:
        batch = self.journal.batch()
        for _ in range(count):
            batch.row("container.died", "oracle", {"exit_code": 139, "log": ["x" * 200]}, self.clock.wall(), True)
        self.journal.commit(batch)
        return batch.rows

    async def write(self, pump: Pump, count: int) -> None:
        rows = await self.thread.run(self._commit, count)
        self.written += count
        pump.knock(rows)

    async def write_for(self, pump: Pump, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await self.write(pump, 5)
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.thread.run(self.journal.close)
        self.thread.close()


async def test_kills_stops_and_restarts_in_the_stream_lose_nothing(tmp_path: Path) -> None:
    rig = RealRig(tmp_path)
    await rig.start()
    got = await rig.listen("resurgam/+/event/#")
    writer = Writer(tmp_path)
    pump = Pump(writer.thread, rig.make, writer.clock, HOST, writer.submit, broker="mosquitto")
    running = asyncio.ensure_future(pump.run())
    try:
        await writer.write_for(pump, 0.5)
        for stopped_first in (True, False):
            if stopped_first:
                await rig.freeze()
                await writer.write_for(pump, 1.3)
                await rig.thaw()
            # What mosquitto acknowledged but has neither delivered nor saved dies with it, so all is received first:
            # what is tested is our side. (What a broker loses after its acknowledgement is what replay is for.)
            await eventually(lambda: len(set(seqs(got()))) == writer.written, 15.0)
            await rig.kill()
            await writer.write_for(pump, 0.4)
            await rig.start()
            await writer.write_for(pump, 0.2)
            await eventually(lambda: len(set(seqs(got()))) == writer.written, 15.0)
        first_sights = list(dict.fromkeys(seqs(got())))
        assert first_sights == list(range(1, writer.written + 1))
        assert {fact.connected for fact in writer.facts} == {True, False}
        await eventually(lambda: writer.facts[-1].connected, 5.0)
    finally:
        await asyncio.wait_for(pump.close(), 2.5)
        assert running.done()
        counts = await writer.thread.run(writer.journal.delivery_counts)
        await writer.close()
        await rig.end()
    assert counts["waiting"] == 0
    assert pump.crashes == 0


async def test_the_managed_broker_is_restarted_by_the_pump_itself(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    choice = choose(Settings(host=HOST, state_dir=tmp_path), writer.clock)
    assert choice.managed is not None
    assert choice.make is not None
    choice.managed._wish = 0
    pump = Pump(writer.thread, choice.make, writer.clock, HOST, writer.submit, broker=choice.name)
    running = asyncio.ensure_future(pump.run())
    await eventually(lambda: bool(writer.facts))
    assert choice.managed._process is not None
    choice.managed._process.kill()
    await eventually(lambda: choice.managed is not None and choice.managed.starts == 2)
    await writer.write(pump, 10)
    await eventually(lambda: pump.unheard == 10)
    await pump.close()
    assert running.done()
    await choice.close()
    await writer.close()
    assert [fact.connected for fact in writer.facts][:3] == [True, False, True]


# ------------------------------------------------------------ edge, broker and a stranger's consumer are killed

SOAK = bool(os.environ.get("RESURGAM_SOAK"))
SECONDS = 1200.0 if SOAK else float(os.environ.get("RESURGAM_CHAOS", "60"))
SEED = int(os.environ.get("RESURGAM_CHAOS_SEED", "5"))
RATE = 100.0
NO_FLOOD: Json = {"rate": 10_000, "burst": 100_000}
"""events are told one by one, however fast they come"""
Mode = tuple[str, bool, Json | None, float]
MODES: list[Mode] = [("live", True, NO_FLOOD, 4.0), ("digests", False, None, 12.0)]
"""(name, whether the broker keeps what it acknowledged, how many events are told one by one, seconds between kills at
most: a digest takes five to gather)"""
if SOAK:
    MODES += [("live-forgetful", False, NO_FLOOD, 4.0), ("digests-kept", True, None, 12.0)]


async def hurt(dice: random.Random, edge: Edge, broker: OwnMosquitto, stranger: Stranger, rate: float) -> str:
    """Kill one or two of them, and let them come back a little later."""
    who = dice.choice(["edge", "edge", "broker", "broker", "both", "stranger"])
    if who in ("broker", "both"):
        await broker.kill()
    if who in ("edge", "both"):
        await edge.kill()
    if who == "stranger":
        await stranger.kill()
    await asyncio.sleep(dice.uniform(0.0, 0.7))
    if who in ("broker", "both"):
        await broker.start()
    if who in ("edge", "both"):
        await edge.start(rate)
    if who == "stranger":
        await stranger.start()
    return who


async def one_chaos(folder: Path, mode: Mode, seed: int) -> None:
    """A minute of kills at random; in the end the consumer has what the journal has, byte by byte."""
    _name, persistent, flood, pause = mode
    dice = random.Random(seed)
    broker = OwnMosquitto(folder / "broker", persistent=persistent)
    edge = Edge(folder / "edge", broker.url, flood)
    stranger, witness = Stranger(folder, broker), Witness(broker)
    loop = asyncio.get_running_loop()
    kills: Counter[str] = Counter()
    try:
        await broker.start()
        await stranger.start()
        await edge.start(RATE)
        until = loop.time() + SECONDS
        while loop.time() < until:
            await asyncio.sleep(dice.uniform(0.5, pause))
            kills[await hurt(dice, edge, broker, stranger, RATE)] += 1
        await edge.kill()
        await edge.start(0.0)
        await eventually(lambda: stranger.last() == edge.last(), 60.0)
        await edge.kill()
        journal = edge.journal()
        wanted = everything(journal)
        digested = journal.delivery_counts().get("digested", 0)
        journal.close()
    finally:
        await witness.close()
        await edge.kill()
        await stranger.kill()
        await broker.kill()
    assert stranger.lines() == wanted, f"seed {seed}: {difference(stranger.lines(), wanted)}"
    of = {json.loads(line)["id"]: line for line in wanted}
    assert all(of[json.loads(payload)["id"]] == payload for payload in (*witness.live, *witness.replayed))
    first_sights = list(dict.fromkeys(seqs(witness.live)))
    if flood == NO_FLOOD:
        assert first_sights == sorted(first_sights)
    assert "Traceback" not in edge.errors
    assert "Traceback" not in stranger.errors
    replayed, repeats = len(set(witness.replayed)), len(witness.live) - len(first_sights)
    print(
        f"{mode[0]}: {len(wanted)} rows, {kills.total()} kills {dict(kills)}, {len(first_sights)} heard live, ", end=""
    )
    print(f"{repeats} repeats, {digested} told in digests, {replayed} replayed")
    assert len(wanted) > SECONDS * RATE / 4
    assert kills.total() > SECONDS / pause / 2
    if flood == NO_FLOOD:
        assert len(first_sights) > len(wanted) / 2
    else:
        assert digested > len(wanted) / 4
        assert replayed > len(wanted) / 4


# ------------------------------------------------------------ what a broker may do


class Place:
    """A broker that misbehaves, an edge that writes, and a stranger's consumer that must have everything in the end."""

    def __init__(self, folder: Path, through: int = 0, **broker: Any) -> None:
        """`through`: the edge's way to the broker is a proxy at this port."""
        self.broker = OwnMosquitto(folder / "broker", **broker)
        self.edge = Edge(folder / "edge", f"mqtt://127.0.0.1:{through or self.broker.port}", NO_FLOOD)
        self.stranger, self.witness = Stranger(folder, self.broker), Witness(self.broker)

    async def __aenter__(self) -> "Place":
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.witness.close()
        await self.edge.kill()
        await self.stranger.kill()
        await self.broker.kill()

    async def ends(self) -> Counter[str]:
        """No event is written any more; all are heard. Returns what became of them."""
        await self.edge.kill()
        await self.edge.start(0.0)
        return await self.settles()

    async def settles(self) -> Counter[str]:
        """The same, where nothing is written anyhow."""
        await eventually(lambda: self.stranger.last() == self.edge.last() > 0, 60.0)
        await self.edge.kill()
        journal = self.edge.journal()
        wanted, counts = everything(journal), Counter(journal.delivery_counts())
        journal.close()
        assert self.stranger.lines() == wanted, difference(self.stranger.lines(), wanted)
        assert "Traceback" not in self.edge.errors + self.stranger.errors
        return counts


async def absent_at_boot(folder: Path) -> None:
    async with Place(folder) as place:
        await place.stranger.start()
        await place.edge.start(RATE)
        await eventually(lambda: place.edge.last() > 50, 30.0)
        await place.broker.start()
        await place.ends()
        assert place.witness.documents["resurgam/box/availability"] == b"online"


async def frozen(folder: Path) -> None:
    async with Place(folder) as place:
        await place.broker.start()
        await place.stranger.start()
        await place.edge.start(RATE)
        await eventually(lambda: place.stranger.last() > 20, 30.0)
        place.broker.signal(signal.SIGSTOP)
        before = place.edge.last()
        await eventually(lambda: place.edge.last() > before + 100, 30.0)  # nobody waits for a broker
        place.broker.signal(signal.SIGCONT)
        await place.ends()


async def restarted_empty(folder: Path) -> None:
    async with Place(folder) as place:
        await place.broker.start()
        await place.stranger.start()
        await place.edge.start(RATE)
        await eventually(lambda: place.stranger.last() > 20, 30.0)
        await place.broker.empty()
        await place.witness.close()
        place.witness = Witness(place.broker)
        await place.broker.start()
        retained = {f"resurgam/box/{name}" for name in ("availability", "journal", "state/daemon", "state/alerts")}
        await eventually(lambda: retained <= set(place.witness.documents), 30.0)
        await place.ends()


async def denying(folder: Path) -> None:
    """One folder of events may not be told: those are dead letters, and had by replay; the rest goes on."""
    rules = folder / "access"
    folder.mkdir(parents=True, exist_ok=True)
    everybody = "topic readwrite resurgam/#\ntopic deny resurgam/+/event/drift\n"
    rules.write_text(f"{everybody}user {USER}\n{everybody}")
    rules.chmod(0o700)
    async with Place(folder, lines=("allow_anonymous true", f"acl_file {rules}")) as place:
        await place.broker.start()
        await place.stranger.start()
        await place.edge.start(RATE)
        await eventually(lambda: place.edge.last() > 200, 30.0)
        counts = await place.ends()
        assert counts["dead"] >= 8
        drifts = [line for line in place.stranger.lines() if b"resurgam.drift." in line]
        assert len(drifts) == counts["dead"]
        # a refusal does not cost the connection: else what was in flight would have come twice
        assert len(place.witness.live) - len(set(place.witness.live)) <= 32


async def slow(folder: Path) -> None:
    """A way that takes 3 kB a second, four events or so: what is written is not held up, and comes late."""
    async with Throttle(3_000) as way, Place(folder, through=way.port) as place:
        way.target = place.broker.port
        await place.broker.start()
        await place.stranger.start()
        await place.edge.start(RATE)
        await eventually(lambda: place.edge.last() > 300, 30.0)
        assert len(place.witness.live) < 200
        way.rate = 1_000_000
        await place.ends()


# ------------------------------------------------------------ all of them, side by side


def chaos(at: int) -> Callable[[Path], Awaitable[None]]:
    return lambda folder: one_chaos(folder, MODES[at], SEED + at)


STORIES: dict[str, Callable[[Path], Awaitable[None]]] = {
    **{f"killed_{mode[0]}": chaos(at) for at, mode in enumerate(MODES)},
    **{story.__name__: story for story in (absent_at_boot, frozen, restarted_empty, denying, slow)},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "Future[None]"]]:
    """Every story, begun at once on a loop of its own: they wait, most of the time."""
    folder = tmp_path_factory.mktemp("bus")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stories")
    thread.start()
    stories = STORIES.items()
    yield {name: asyncio.run_coroutine_threadsafe(begin(folder / name, story), loop) for name, story in stories}
    asyncio.run_coroutine_threadsafe(finish(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def finish() -> None:
    """End what still runs, with its processes."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def begin(folder: Path, story: Callable[[Path], Awaitable[None]]) -> None:
    folder.mkdir()
    await story(folder)


@pytest.mark.parametrize("name", STORIES)
def test_nothing_is_lost_and_all_of_it_comes_once_and_in_order(name: str, running: dict[str, "Future[None]"]) -> None:
    running[name].result(SECONDS + 120.0)
