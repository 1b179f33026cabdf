"""The child process that asks the GPU driver, as a real process: the real pynvml on a library whose GPUs are a text
file, or the machine's own driver.

The real clock runs here, so deadlines are short where one is meant to pass, and wide where an answer is expected.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.facts import Container, Needs
from supervisor.signals.gpu import GpuReader, VramGate
from supervisor.signals.gpu.usage import Gpu
from tests.support.nvml.driver import GIB, WIDE, Card, Driver

pytestmark = pytest.mark.real

ONE = Card("GPU-aa", 80, 12, users={4711: 60})
SHORT = 0.6
"""seconds: a deadline that is meant to pass"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path)
    driver.says(ONE)
    yield driver
    driver.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(said: str, true: object, limit: float = WIDE) -> None:
    end = now() + limit
    while not true():  # type: ignore[operator]
        assert now() < end, said
        await asyncio.sleep(0.01)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_one_child_answers_again_and_again_and_lets_go_of_the_driver(box: Driver) -> None:
    reader = box.reader()
    first = await reader.usage()
    assert first.gpus == (Gpu(0, "GPU-aa", 80 * GIB, 12 * GIB, ((4711, 60 * GIB),)),), first.trouble
    pid = reader.pid
    box.says(ONE, Card("GPU-bb", 80, 79), lines=("fail 0 15",))
    lost, well = (await reader.usage()).gpus
    assert (lost.uuid, lost.error, well.free) == ("GPU-aa", "GPU is lost", 79 * GIB)
    assert reader.pid == pid
    await reader.close()
    assert not alive(pid)
    assert box.let_go == 1


async def test_it_is_let_go_when_nobody_asks_and_started_again_for_the_next(box: Driver) -> None:
    reader = box.reader(idle=0.05)
    await reader.usage()
    first = reader.pid
    await until("it never ended", lambda: not alive(first))
    assert box.let_go == 1
    assert (await reader.usage()).gpus
    assert reader.pid != first
    await reader.close()


async def test_a_library_that_writes_to_stdout_does_no_harm(box: Driver) -> None:
    box.says(ONE, lines=("print NVRM says hello",))
    reader = box.reader()
    assert (await reader.usage()).gpus
    await reader.close()


async def test_the_child_is_small(box: Driver) -> None:
    reader = box.reader()
    for depth in ("rare", "slow", "fast"):
        await reader.snapshot(depth)
    lines = Path(f"/proc/{reader.pid}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    await reader.close()
    assert resident * 1024 <= 25e6


async def test_a_call_that_hangs_is_named_and_its_process_is_ended(box: Driver) -> None:
    reader = box.reader(lasting=WIDE)
    await reader.usage()
    pid = reader.pid
    box.says(ONE, lines=("hang nvmlDeviceGetMemoryInfo",))
    reader._deadline = 3.0  # some signs of life fit in
    began = now()
    reading = await reader.snapshot("fast")
    assert (reading.trouble, "did not answer within 3s (nvmlDeviceGetMemoryInfo of GPU 0)" in reading.text) == (
        "hung",
        True,
    )
    assert not alive(pid), "SIGTERM ends what hangs outside the kernel"
    assert now() - began < WIDE / 2, "and at once: to wait for its own end is no use"
    assert "did not answer within" in (await reader.usage()).trouble, "remembered, not asked again at once"
    assert reader.children == 1
    reader.resume()
    box.says(ONE)
    reader._deadline = WIDE
    assert (await reader.usage()).gpus
    await reader.close()


async def test_one_that_does_not_go_is_left_and_no_second_one_is_started_until_it_went(box: Driver) -> None:
    reader = box.reader(goes=0.1)
    box.says(ONE, lines=("deaf",))
    await reader.usage()
    pid = reader.pid
    box.says(ONE, lines=("deaf", "hang"))
    reader._deadline = SHORT
    await reader.usage()
    assert alive(pid)
    await asyncio.sleep(0.11)  # what went wrong is remembered no longer
    began = now()
    assert "still hangs" in (await reader.usage()).trouble
    assert "still hangs" in (await reader.snapshot("fast")).text
    assert now() - began < SHORT, "nobody waits for it any more"
    assert (reader.running, reader.pid, reader.children) == (False, pid, 1)
    box.says(ONE)
    await until("it never went", lambda: not reader.pid)
    reader._deadline = WIDE
    assert (await reader.usage()).gpus
    assert reader.children == 2
    await reader.close()


async def test_a_crash_in_the_driver_is_not_ours(box: Driver) -> None:
    reader = box.reader()
    await reader.usage()
    box.says(ONE, lines=("crash",))
    assert "ended, or made no sense" in (await reader.usage()).trouble
    box.says(ONE)
    await asyncio.sleep(0.11)
    assert (await reader.usage()).gpus
    await reader.close()


@pytest.mark.parametrize(
    "command",
    [
        ("sh", "-c", "read x; echo nonsense"),
        ("sh", "-c", "read x; echo '[]'"),
        ("sh", "-c", "read x; head -c 2000000 /dev/zero"),
        ("true",),
        ("/nonexistent",),
    ],
)
async def test_garbage_and_silence_are_a_trouble_and_leave_nothing_behind(
    box: Driver, command: tuple[str, ...]
) -> None:
    reader = box.reader(command=command, goes=1.0)
    assert "ended, or made no sense" in (await reader.usage()).trouble
    assert (reader.running, reader.pid) == (False, 0)
    await reader.close()


async def test_a_question_that_was_given_up_does_not_answer_the_next(box: Driver) -> None:
    reader = box.reader()
    await reader.usage()
    box.says(Card("GPU-aa", 80, 1), lines=("hang",))
    asked = asyncio.ensure_future(reader.usage())
    await asyncio.sleep(0.05)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    box.says(Card("GPU-aa", 80, 2))
    await asyncio.sleep(0.1)  # the answer to the first lies there by now
    box.says(Card("GPU-aa", 80, 3))
    assert (await reader.usage()).gpus[0].free == 3 * GIB
    await reader.close()


async def test_close_ends_one_that_hangs_in_the_middle_of_a_question(box: Driver) -> None:
    reader = box.reader(goes=0.2)
    await reader.usage()
    pid = reader.pid
    box.says(ONE, lines=("hang",))
    asked = asyncio.ensure_future(reader.usage())
    await asyncio.sleep(0.05)
    began = now()
    await reader.close()
    assert now() - began < WIDE / 2
    assert not alive(pid)
    assert (await asked).trouble
    await reader.close()


def test_another_pid_namespace_is_known_as_such() -> None:
    """There the driver names us no processes, and that is no sign that nobody uses a card."""
    asks = "from supervisor.signals.gpu.reader import in_a_namespace; print(in_a_namespace())"
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", asks]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


async def test_the_real_library_on_this_machine_says_within_the_deadline_what_there_is() -> None:
    reader = GpuReader()
    gate, began = VramGate(reader), now()
    oracle, needs = Container("c", "oracle", "i", "r"), Needs(vram=(("", 1),))
    doubts = await gate.doubts(needs, oracle)
    assert now() - began < WIDE
    if Path("/proc/driver/nvidia/version").exists():
        assert (await reader.usage()).gpus, doubts
    else:
        said = "VRAM is not watched, so nobody waits for it: no NVIDIA driver answers on this machine."
        assert doubts == (said,)
        assert await gate.held(needs, oracle, "") == ""
    await reader.close()
