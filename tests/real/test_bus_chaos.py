"""mosquitto is killed, stopped and started under a busy pump: every row arrives, first sights are in order."""

import asyncio
import json
from pathlib import Path

import pytest

from supervisor.bus.broker import choose
from supervisor.bus.pump import Pump
from supervisor.clock import SystemClock
from supervisor.config.settings import MqttSettings
from supervisor.facts import BusState
from supervisor.journal import Journal, JournalThread, Row
from tests.support.broker import HOST, eventually
from tests.support.mosquitto import RealRig

pytestmark = pytest.mark.real


def seqs(bodies: list[bytes]) -> list[int]:
    return [json.loads(body)["seq"] for body in bodies]


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
    choice = choose(MqttSettings(), HOST, tmp_path, writer.clock)
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
