"""What of the GPUs' memory a container has to wait for, and what it never gets by waiting."""

import asyncio

import pytest

from supervisor.facts import Container, Needs
from supervisor.signals.gpu.usage import Gpu, Usage
from supervisor.signals.gpu.vram import VramGate, doubts, find, short

GIB = 2**30
OLD, OTHER = "a1" * 32, "b2" * 32


def gpu(index, free, *users, total=96, error="", reserved=0):
    return Gpu(
        index,
        f"GPU-{index}{index}aa-x",
        total * GIB,
        free * GIB,
        tuple((pid, used * GIB) for pid, used in users),
        error,
        reserved * GIB,
    )


def name(pid):
    return {4711: "python3", 12: "Xorg"}.get(pid, "")


def wants(*pairs):
    return tuple((which, amount * GIB) for which, amount in pairs)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (wants(("0", 12)), ""),
        (
            wants(("0", 90)),
            "GPU 0 has 12 GiB of VRAM free, it needs 90 GiB; held by python3 (pid 4711, 70 GiB), Xorg (pid 12)",
        ),
        (wants(("1", 90)), ""),
        (wants(("0", 10), ("1", 95)), "GPU 1 has 94 GiB of VRAM free, it needs 95 GiB"),
        (wants(("GPU-00", 13)), "GPU 0 has 12 GiB of VRAM free, it needs 13 GiB; held by"),
        (wants(("", 90)), ""),  # there is one that has it
        (wants(("", 95)), "no GPU has enough free: GPU 1 has 94 GiB of VRAM free, it needs 95 GiB"),
        (wants(("1", 90), ("", 20)), "no GPU has enough free: GPU 0 has 12 GiB of VRAM free, it needs 20 GiB"),
        (wants(("7", 1)), ""),  # no waiting makes it appear
        (wants(("0", 97)), ""),
        (wants(("7", 1), ("0", 13)), "GPU 0 has 12 GiB"),
    ],
)
def test_what_is_short_is_named_with_its_holders(pairs, said):
    usage = Usage((gpu(0, 12, (12, 0), (4711, 70)), gpu(1, 94)))
    found = short(pairs, usage, name)
    assert found.startswith(said)
    assert bool(found) is bool(said)


def test_only_the_largest_holders_are_named():
    usage = Usage((gpu(0, 0, *((pid, pid) for pid in range(1, 8))),))
    said = short(wants(("", 1)), usage, name)
    assert said.startswith("GPU 0 has 0 B of VRAM free")
    held = "held by a process (pid 7, 7 GiB), a process (pid 6, 6 GiB), a process (pid 5, 5 GiB), 4 more"
    assert said.endswith(held)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("0", 90), ""),
        (("", 96), ""),
        (("7", 1), "There is no GPU 7 on this machine, and it needs 1 GiB on it: it is not waited for."),
        (("GPU-ff", 1), "There is no GPU GPU-ff on this machine"),
        (("1", 1), "GPU 1 does not say what it has free (GPU is lost), and it needs 1 GiB: it is not waited for."),
        (("0", 97), "GPU 0 never has more than 96 GiB free, and it needs 97 GiB"),
        (("", 97), "No GPU of this machine ever has more than 96 GiB free, and it needs 97 GiB"),
        (("MIG-0", 1), "MIG-0 is a slice of a GPU"),
    ],
)
def test_what_cannot_be_waited_for_is_a_doubt_and_nothing_waits(pair, said):
    usage = Usage((gpu(0, 96), gpu(1, 0, error="GPU is lost")))
    found = doubts(wants(pair), usage)
    assert [each[: len(said)] for each in found] == ([said] if said else [])
    assert short(wants(pair), usage, name) == ""


@pytest.mark.parametrize("which", ["0", ""])
def test_what_the_driver_keeps_for_itself_is_never_free(which):
    usage = Usage((gpu(0, 95, total=96, reserved=1),))
    assert doubts(wants((which, 95)), usage) == ()
    said = "more than 95 GiB free, and it needs 96 GiB: it is not waited for."
    assert doubts(wants((which, 96)), usage)[0].endswith(said)
    assert short(wants((which, 96)), usage, name) == ""


def test_memory_that_nobody_holds_by_name_is_said_to_be_so():
    usage = Usage((gpu(0, 12, total=96, reserved=1),))
    nobody = "it needs 90 GiB; the driver names nobody who holds the rest"
    assert short(wants(("0", 90)), usage, name).endswith(nobody)
    reserved_only = Usage((gpu(0, 12, total=13, reserved=1),))
    assert short(wants(("0", 5), ("", 8)), reserved_only, name).endswith("it needs 8 GiB")


def test_without_a_driver_one_sentence_says_why():
    usage = Usage(trouble="no NVIDIA driver answers on this machine")
    said = ("VRAM is not watched, so nobody waits for it: no NVIDIA driver answers on this machine.",)
    assert doubts(wants(("0", 1), ("1", 2)), usage) == said


def test_no_gpu_at_all_is_a_doubt():
    assert "No GPU of this machine says" in doubts(wants(("", 1)), Usage())[0]
    assert short(wants(("", 1)), Usage(), name) == ""


def test_a_gpu_is_found_by_index_uuid_or_the_beginning_of_one():
    first, second = Gpu(0, "GPU-abc1"), Gpu(3, "GPU-abd1")
    assert find("3", (first, second)) is second
    assert find("gpu-ABC", (first, second)) is first
    assert find("GPU-ab", (first, second)) is None, "two begin so"
    assert find("1", (first, second)) is None
    assert find("", (first, second)) is None


# ------------------------------------------------------------ the gate


class Driver:
    def __init__(self, *gpus, trouble=""):
        self.said, self.asked = Usage(gpus, trouble), 0

    async def usage(self):
        self.asked += 1
        return self.said


@pytest.fixture
def proc(tmp_path):
    """A /proc with 4711 (python3) of the old container and 12 (Xorg) of nobody's; 13 has ended."""
    for pid, comm, cgroup in (
        (4711, "python3", f"0::/system.slice/docker-{OLD}.scope"),
        (12, "Xorg", "0::/user.slice"),
    ):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(f"{comm}\n")
        (tmp_path / str(pid) / "cgroup").write_text(f"{cgroup}\n")
    return tmp_path


def held(driver, proc, needs=None, before=OLD, *, asks=True):
    return asyncio.run(VramGate(driver, proc).held(needs or Needs(), Container("new", "o", "i", "r", gpu=asks), before))


def test_a_container_that_asks_for_a_gpu_waits_for_the_processes_of_the_one_before(proc):
    driver = Driver(gpu(0, 9, (12, 1), (13, 1), (4711, 70)))
    said = "GPU 0 is still used by the container before: python3 (pid 4711, 70 GiB)"
    assert held(driver, proc) == said
    assert held(driver, proc, before=OTHER) == "", "whose they are is not known: nothing is waited for"
    assert held(Driver(gpu(0, 9, (12, 1))), proc) == ""


def test_what_is_declared_counts_though_the_one_before_still_has_some(proc):
    driver = Driver(gpu(0, 20, (4711, 70)))
    assert held(driver, proc, Needs(vram=wants(("0", 20)))) == ""
    assert "held by python3 (pid 4711" in held(driver, proc, Needs(vram=wants(("0", 21))))


def test_a_driver_in_trouble_is_not_waited_for(proc):
    assert held(Driver(trouble="it hangs"), proc, Needs(vram=wants(("0", 21)))) == ""
    assert held(Driver(trouble="it hangs"), proc) == ""


def test_who_needs_no_gpu_costs_no_question(proc):
    driver = Driver(gpu(0, 0, (4711, 70)))
    assert held(driver, proc, asks=False) == ""
    gate = VramGate(driver, proc)
    assert asyncio.run(gate.doubts(Needs(), Container("new", "o", "i", "r"))) == ()
    assert driver.asked == 0


def test_the_driver_is_opened_before_seconds_count_also_where_nothing_is_declared(proc):
    driver = Driver(trouble="it hangs")
    assert asyncio.run(VramGate(driver, proc).doubts(Needs(), Container("new", "o", "i", "r", gpu=True))) == ()
    assert driver.asked == 1
