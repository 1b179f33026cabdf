"""Memory of the host: /proc/meminfo as node_exporter's series."""

import pytest

from supervisor.clock import ManualClock
from supervisor.errors import UsageError
from supervisor.facts import labels
from supervisor.lab.loop import SimLoop
from supervisor.signals.host import HostWatch, ProcHost, parse

MEMINFO = b"""MemTotal:       16384 kB
MemFree:         1024 kB
MemAvailable:    8192 kB
SwapTotal:          0 kB
SwapFree:           0 kB
Active(anon):      12 kB
HugePages_Total:    7
nonsense
"""


def test_fields_are_bytes():
    found = parse(MEMINFO)
    assert found["MemTotal"] == 16384 * 1024
    assert found["SwapTotal"] == 0.0
    assert found["HugePages_Total"] == 7.0
    assert "nonsense" not in found


def test_the_file_is_read_anew_each_time(tmp_path):
    path = tmp_path / "meminfo"
    path.write_bytes(MEMINFO)
    host = ProcHost(str(path))
    assert host.meminfo()["MemFree"] == 1024 * 1024
    with path.open("r+b") as file:
        file.write(MEMINFO.replace(b"1024 kB", b"2048 kB"))
    assert host.meminfo()["MemFree"] == 2048 * 1024
    host.close()


def test_each_round_is_one_reading():
    loop, facts = SimLoop(), []
    watch = HostWatch(StillHost(), facts.append, loop.clock, every=5)

    async def story():
        import asyncio

        task = asyncio.ensure_future(watch.run())
        await asyncio.sleep(11)
        task.cancel()

    loop.run_until_complete(story())
    loop.close()
    assert [fact.mono for fact in facts] == [0.0, 5.0, 10.0]
    assert {fact.collector for fact in facts} == {"host"}
    values = {sample.labels: sample.value for sample in facts[0].samples}
    assert values[labels("node_memory_MemAvailable_bytes")] == 8192 * 1024
    assert values[labels("node_memory_SwapTotal_bytes")] == 0.0


def test_no_meminfo_is_said_in_words_and_does_no_harm(tmp_path):
    host, facts = ProcHost(str(tmp_path / "none")), []
    with pytest.raises(UsageError, match="on Linux only"):
        host.meminfo()
    watch = HostWatch(host, facts.append, ManualClock())
    watch.read()
    assert facts == []
    assert "on Linux only" in watch.problem


def test_this_machine_can_be_read():
    host = ProcHost()
    found = host.meminfo()
    assert found["MemTotal"] > found["MemAvailable"] > 0
    host.close()


class StillHost:
    def meminfo(self):
        return parse(MEMINFO)
