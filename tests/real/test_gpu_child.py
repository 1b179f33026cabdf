"""The child process that asks the GPU driver, as a real process: a text file is the GPU, or the machine's own driver.

The real clock runs here, so deadlines are short where one is meant to pass, and wide where an answer is expected.
"""

import asyncio
import os
from pathlib import Path

import pytest

from supervisor.facts import Container, Needs
from supervisor.signals.gpu import GpuReader, VramGate
from supervisor.signals.gpu.usage import Gpu

pytestmark = pytest.mark.real

FAKE = Path(__file__).parents[1] / "support" / "nvml"
GIB = 2**30
ONE = "gpu 0 GPU-aa 80 12 4711:60\n"
SHORT, WIDE = 0.4, 30.0
"""seconds: a deadline that is meant to pass, and one that is not"""


class Box:
    """The text file that is the GPUs, and readers that ask it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "gpus"
        self.says(ONE)
        self.environment = {**os.environ, "PYTHONPATH": str(FAKE), "RESURGAM_FAKE_GPU": str(self.file)}

    def says(self, text: str) -> None:
        """In one piece: a child may read it at any moment."""
        draft = self.file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.file)

    def reader(self, **options: object) -> GpuReader:
        return GpuReader(**{"deadline": WIDE, "goes": WIDE, "environment": self.environment, **options})

    @property
    def let_go(self) -> int:
        """How often the driver was let go of."""
        return self.file.read_text().splitlines().count("closed")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


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


def pid_of(reader: GpuReader) -> int:
    child = reader._child or reader._going
    assert child is not None
    return child.pid


async def test_one_child_answers_again_and_again_and_lets_go_of_the_driver(box: Box) -> None:
    reader = box.reader()
    first = await reader.usage()
    assert first.gpus == (Gpu(0, "GPU-aa", 80 * GIB, 12 * GIB, ((4711, 60 * GIB),)),), first.trouble
    pid = pid_of(reader)
    box.says("gpu 0 GPU-aa lost\ngpu 1 GPU-bb 80 79\n")
    lost, well = (await reader.usage()).gpus
    assert (lost.error, well.free) == ("GPU is lost", 79 * GIB)
    assert pid_of(reader) == pid
    await reader.close()
    assert not alive(pid)
    assert box.let_go == 1


async def test_it_is_let_go_when_nobody_asks_and_started_again_for_the_next(box: Box) -> None:
    reader = box.reader(idle=0.05)
    await reader.usage()
    first = pid_of(reader)
    await until("it never ended", lambda: not alive(first))
    assert box.let_go == 1
    assert (await reader.usage()).gpus
    assert pid_of(reader) != first
    await reader.close()


async def test_a_library_that_writes_to_stdout_does_no_harm(box: Box) -> None:
    box.says(f"print NVRM says hello\n{ONE}")
    reader = box.reader()
    assert (await reader.usage()).gpus
    await reader.close()


async def test_a_call_that_hangs_costs_the_deadline_once_and_its_process_is_ended(box: Box) -> None:
    reader = box.reader()
    await reader.usage()
    pid = pid_of(reader)
    box.says(f"hang\n{ONE}")
    reader._deadline = SHORT
    began = now()
    assert "did not answer within" in (await reader.usage()).trouble
    assert not alive(pid), "SIGTERM ends what hangs outside the kernel"
    assert now() - began < WIDE / 2, "and at once: to wait for its own end is no use"
    reader._trouble_until = now() + WIDE
    assert "did not answer within" in (await reader.usage()).trouble, "remembered, not asked again at once"
    assert reader._number == 2
    reader._trouble_until = now()
    box.says(ONE)
    reader._deadline = WIDE
    assert (await reader.usage()).gpus
    await reader.close()


async def test_one_that_does_not_go_is_left_and_no_second_one_is_started_until_it_went(box: Box) -> None:
    reader = box.reader(idle=0.05, goes=0.1)
    box.says(f"deaf\n{ONE}")
    await reader.usage()
    pid = pid_of(reader)
    reader._put_off()
    box.says(f"deaf\nhang\n{ONE}")
    reader._deadline = SHORT
    await reader.usage()
    assert alive(pid)
    await asyncio.sleep(0.06)  # what went wrong is remembered no longer
    began = now()
    assert "still hangs" in (await reader.usage()).trouble
    assert "still hangs" in (await reader.usage()).trouble
    assert now() - began < SHORT, "nobody waits for it any more"
    assert reader._child is None
    box.says(ONE)
    await until("it never went", lambda: reader._going is None or reader._going.returncode is not None)
    reader._deadline = WIDE
    assert (await reader.usage()).gpus
    assert pid_of(reader) != pid
    await reader.close()


async def test_a_crash_in_the_driver_is_not_ours(box: Box) -> None:
    reader = box.reader(idle=0.05)
    await reader.usage()
    box.says("crash\n")
    assert "ended, or made no sense" in (await reader.usage()).trouble
    box.says(ONE)
    await asyncio.sleep(0.05)
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
async def test_garbage_and_silence_are_a_trouble_and_leave_nothing_behind(box: Box, command: tuple[str, ...]) -> None:
    reader = box.reader(command=command, goes=1.0)
    assert "ended, or made no sense" in (await reader.usage()).trouble
    assert reader._child is None
    assert reader._going is None
    await reader.close()


async def test_a_question_that_was_given_up_does_not_answer_the_next(box: Box) -> None:
    reader = box.reader()
    await reader.usage()
    box.says("hang\ngpu 0 GPU-aa 80 1\n")
    asked = asyncio.ensure_future(reader.usage())
    await asyncio.sleep(0.05)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    box.says("gpu 0 GPU-aa 80 2\n")
    await asyncio.sleep(0.1)  # the answer to the first lies there by now
    box.says("gpu 0 GPU-aa 80 3\n")
    assert (await reader.usage()).gpus[0].free == 3 * GIB
    await reader.close()


async def test_close_ends_one_that_hangs_in_the_middle_of_a_question(box: Box) -> None:
    reader = box.reader(goes=0.2)
    await reader.usage()
    pid = pid_of(reader)
    box.says(f"hang\n{ONE}")
    asked = asyncio.ensure_future(reader.usage())
    await asyncio.sleep(0.05)
    began = now()
    await reader.close()
    assert now() - began < 2.0
    assert not alive(pid)
    assert (await asked).trouble
    await reader.close()


async def test_the_real_library_on_this_machine_says_within_the_deadline_what_there_is() -> None:
    reader = GpuReader()
    gate, began = VramGate(reader), now()
    oracle, needs = Container("c", "oracle", "i", "r"), Needs(vram=(("", 1),))
    doubts = await gate.doubts(needs, oracle)
    assert now() - began < 5.0
    if Path("/proc/driver/nvidia/version").exists():
        assert (await reader.usage()).gpus, doubts
    else:
        said = "VRAM is not watched, so nobody waits for it: no NVIDIA driver answers on this machine."
        assert doubts == (said,)
        assert await gate.held(needs, oracle, "") == ""
    await reader.close()
