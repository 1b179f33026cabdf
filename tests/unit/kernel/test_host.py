"""The memory of the machine itself, and a control group that stands for it."""

import errno

import pytest

from supervisor.errors import UsageError
from supervisor.kernel.groups import ROOT
from supervisor.kernel.host import COUNTERS, MEMINFO, NODES, SWAPS, VMSTAT, Machine, Swap, parse
from supervisor.kernel.pressure import MACHINE as PRESSURE
from supervisor.kernel.tree import KernelFiles
from tests.support.kernel_files import RECORDED, Files

KIB, MIB, GIB = 2.0**10, 2.0**20, 2.0**30
GROUP = "/box/all"


def machine_files() -> Files:
    files = Files({path: (RECORDED / name).read_bytes() for path, name in ((MEMINFO, "meminfo"), (VMSTAT, "vmstat"))})
    files.files[PRESSURE] = (RECORDED / "pressure").read_bytes()
    files.files[SWAPS] = "Filename\tType\tSize\tUsed\tPriority\n"
    return files


def test_fields_are_bytes() -> None:
    found = Machine(machine_files()).meminfo()
    assert found["MemTotal"] == 24684092 * KIB
    assert found["SwapTotal"] == 0.0
    assert found["HugePages_Total"] == 0.0
    assert found["Active(anon)"] > 0


def test_odd_fields_and_lines_that_are_none_do_no_harm() -> None:
    found = parse((RECORDED / "meminfo-gb10").read_bytes())
    assert found["MemTotal"] == 125515200 * KIB
    assert found["NvMapMemUsed"] == 98566144 * KIB
    assert found["Hugepagesize"] == 524288 * KIB
    assert "nonsense" not in found
    assert parse(b"\xff\xfe: 1 kB\nMemFree: x kB\nMemFree:\n") == {"��": KIB}


def test_no_meminfo_is_said_in_words() -> None:
    with pytest.raises(
        UsageError, match=r"cannot read the machine's memory from /proc/meminfo .* on Linux and macOS only"
    ):
        Machine(Files()).meminfo()


def test_counters_that_the_kernel_does_not_have_are_left_out() -> None:
    files = machine_files()
    found = Machine(files).vmstat()
    assert set(found) == set(COUNTERS)
    assert (found["oom_kill"], found["pswpin"]) == (26.0, 0.0)
    files.files[VMSTAT] = "pswpin 7\noom_kill_other 5\n"
    assert Machine(files).vmstat() == {"pswpin": 7.0}
    del files.files[VMSTAT]
    with pytest.raises(UsageError, match=r"cannot read /proc/vmstat .* give it the machine's own"):
        Machine(files).vmstat()


def test_pressure_is_seconds_of_waiting() -> None:
    files = machine_files()
    files.files[PRESSURE] = (
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=44441\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=10912\n"
    )
    assert Machine(files).pressure() == (0.044441, 0.010912)
    files.files[PRESSURE] = OSError(errno.EOPNOTSUPP, "Operation not supported")
    with pytest.raises(UsageError, match=r"psi=1"):
        Machine(files).pressure()
    files.files[PRESSURE] = "some total=x\n"
    with pytest.raises(UsageError, match="does not read as the kernel writes it"):
        Machine(files).pressure()


def test_swap_areas_come_largest_first() -> None:
    files = machine_files()
    assert Machine(files).swaps() == ()
    files.files[SWAPS] = (
        "Filename\tType\tSize\tUsed\tPriority\n"
        "/dev/zram0                              partition\t1048572\t0\t100\n"
        "/my\\040swap\\040(deleted)               file\t\t67108860\t1024\t-2\n"
        "broken line\n"
    )
    assert Machine(files).swaps() == (
        Swap("/my swap (deleted)", 67108860 * KIB, 1 * MIB),
        Swap("/dev/zram0", 1048572 * KIB, 0.0),
    )


def test_one_node_is_no_news() -> None:
    files = machine_files()
    files.files[f"{NODES}/has_memory"] = "0\n"
    files.files[f"{NODES}/node0/meminfo"] = "Node 0 MemTotal: 4 kB\nNode 0 MemFree: 2 kB\n"
    assert Machine(files).nodes() == {}
    assert Machine(machine_files()).nodes() == {}


def test_nodes_that_have_memory() -> None:
    files = machine_files()
    files.files[f"{NODES}/has_memory"] = "0-1,3\n"
    for node in (0, 3):
        files.files[f"{NODES}/node{node}/meminfo"] = f"Node {node} MemTotal: 4 kB\nNode {node} MemFree: {node} kB\n"
    assert Machine(files).nodes() == {0: (4 * KIB, 0.0), 3: (4 * KIB, 3 * KIB)}, "node 1 went offline"


# ------------------------------------------------------------ a group for the machine


def with_group(version: int) -> Files:
    files = machine_files()
    if version == 1:
        return files.put(f"{ROOT}/memory{GROUP}", "v1")
    files.files[f"{ROOT}/cgroup.controllers"] = "memory\n"
    return files.put(f"{ROOT}{GROUP}", "v2")


def test_version_1_stands_for_the_machine() -> None:
    found = Machine(with_group(1), GROUP).meminfo()
    cache = 25165824.0
    assert found["MemTotal"] == 512 * MIB
    assert found["MemAvailable"] == 512 * MIB - (66052096 - cache), "page cache that can be dropped is free"
    assert found["MemFree"] == 512 * MIB - 66052096
    assert (found["AnonPages"], found["Shmem"], found["Unevictable"]) == (26218496.0, 5 * MIB, 16 * MIB)
    assert found["Inactive"] == found["Inactive(anon)"] + found["Inactive(file)"]
    assert (found["SwapTotal"], found["SwapFree"]) == (0.0, 0.0)


def test_version_2_stands_for_the_machine_but_never_for_more_than_it_has() -> None:
    files = with_group(2)
    found = Machine(files, GROUP).meminfo()
    assert found["MemTotal"] == 24684092 * KIB, "no limit: the machine's own"
    assert (found["MemFree"], found["MemAvailable"]) == (0.0, 0.0), "162 GB are used of it"
    files.files[f"{ROOT}{GROUP}/memory.max"] = f"{2 << 30}\n"
    files.files[f"{ROOT}{GROUP}/memory.current"] = "1073741824\n"
    files.files[f"{ROOT}{GROUP}/memory.stat"] = "anon 1073741824\n"
    found = Machine(files, GROUP).meminfo()
    assert (found["MemTotal"], found["MemAvailable"]) == (2 * GIB, 1 * GIB)
    files.files[MEMINFO] = "MemTotal: 24684092 kB\nMemAvailable: 1024 kB\nMemFree: 512 kB\nSwapTotal: 0 kB\n"
    found = Machine(files, GROUP).meminfo()
    assert (found["MemAvailable"], found["MemFree"]) == (1 * MIB, 512 * KIB)


SWAP = b"MemTotal: 24684092 kB\nMemAvailable: 20000000 kB\nSwapTotal: 8192 kB\nSwapFree: 6144 kB\n"


@pytest.mark.parametrize(
    ("allowed", "used", "shown"),
    [
        ("max", "1048576", (8 * MIB, 6 * MIB)),
        ("4194304", "1048576", (4 * MIB, 3 * MIB)),
        ("16777216", "1048576", (8 * MIB, 6 * MIB)),
        ("0", "0", (0.0, 0.0)),
        ("1048576", "4194304", (1 * MIB, 0.0)),
    ],
)
def test_swap_of_a_group_of_version_2(allowed: str, used: str, shown: tuple[float, float]) -> None:
    files = with_group(2)
    files.files[MEMINFO] = SWAP
    files.files[f"{ROOT}{GROUP}/memory.swap.max"] = f"{allowed}\n"
    files.files[f"{ROOT}{GROUP}/memory.swap.current"] = f"{used}\n"
    found = Machine(files, GROUP).meminfo()
    assert (found["SwapTotal"], found["SwapFree"]) == shown


@pytest.mark.parametrize(
    ("both", "used", "shown"),
    [
        (9223372036854771712, 66052096 + 2**20, (8 * MIB, 6 * MIB)),
        (512 * 2**20 + 4 * 2**20, 66052096 + 2**20, (4 * MIB, 3 * MIB)),
        (512 * 2**20, 66052096, (0.0, 0.0)),
    ],
)
def test_swap_of_a_group_of_version_1_is_limited_together_with_memory(
    both: int, used: int, shown: tuple[float, float]
) -> None:
    files = with_group(1)
    files.files[MEMINFO] = SWAP
    files.files[f"{ROOT}/memory{GROUP}/memory.memsw.limit_in_bytes"] = f"{both}\n"
    files.files[f"{ROOT}/memory{GROUP}/memory.memsw.usage_in_bytes"] = f"{used}\n"
    found = Machine(files, GROUP).meminfo()
    assert (found["SwapTotal"], found["SwapFree"]) == shown


def test_a_group_that_is_not_there_is_said_in_words_and_may_come_later() -> None:
    files = machine_files()
    machine = Machine(files, GROUP)
    with pytest.raises(UsageError, match=r"memory.group /box/all cannot be read .* or leave memory.group out"):
        machine.meminfo()
    assert machine.pressure() == Machine(files).pressure()
    files.put(f"{ROOT}/memory{GROUP}", "v1")
    assert machine.meminfo()["MemTotal"] == 512 * MIB


def test_pressure_is_the_groups_own_and_nodes_are_nobodys() -> None:
    files = with_group(2)
    files.files[f"{ROOT}{GROUP}/memory.pressure"] = "some total=3000000\nfull total=1000000\n"
    files.files[f"{NODES}/has_memory"] = "0-1\n"
    machine = Machine(files, GROUP)
    assert machine.pressure() == (3.0, 1.0)
    assert machine.nodes() == {}


def test_this_machine_can_be_read() -> None:
    tree = KernelFiles()
    machine = Machine(tree)
    found = machine.meminfo()
    assert found["MemTotal"] > found["MemAvailable"] > 0
    assert machine.vmstat()["pgmajfault"] > 0
    tree.close()
