"""Where a container's control groups are, in every shape that engines make, and what counts as its memory."""

import errno
from dataclasses import replace

import pytest

from supervisor.kernel.groups import ROOT, Group, Place, cpu_seconds, find, frozen, read
from tests.support.kernel_files import Files

ID = "a3b8" * 16
OTHER = "77ff" * 16
MIB, GIB = 2.0**20, 2.0**30


def version_1(own: str, listed: str = "", unified: bool = True) -> Files:
    """A hybrid machine with a container in `own`; its main process says `listed`."""
    listed = listed or own
    lines = [f"9:name=systemd:{listed}", f"6:freezer:{listed}", f"4:memory:{listed}", f"2:cpu,cpuacct:{listed}"]
    files = Files({"/proc/7/cgroup": "\n".join([*lines, f"0::{listed if unified else '/'}"]) + "\n"})
    files.put(f"{ROOT}/memory{own}", "v1")
    files.files[f"{ROOT}/freezer{own}/freezer.state"] = "THAWED\n"
    files.files[f"{ROOT}/cpuacct{own}/cpuacct.usage"] = "2500000000\n"
    if unified:
        files.files[f"{ROOT}/unified{own}/cgroup.events"] = "populated 1\nfrozen 0\n"
    return files


def version_2(own: str, listed: str = "", recorded: str = "v2") -> Files:
    files = Files({"/proc/7/cgroup": f"0::{listed or own}\n", f"{ROOT}/cgroup.controllers": "cpu memory\n"})
    return files.put(ROOT + own, recorded)


# ------------------------------------------------------------ where it is


@pytest.mark.parametrize("own", [f"/docker/{ID}", f"/kubepods/besteffort/pod1/{ID}", f"/system.slice:docker:{ID}"])
def test_version_1_beside_the_unified_tree(own: str) -> None:
    place = find(version_1(own), 7, ID)
    assert place == Place(
        f"{ROOT}/memory{own}", f"{ROOT}/freezer{own}", f"{ROOT}/unified{own}", f"{ROOT}/cpuacct{own}", 1
    )


def test_version_1_alone() -> None:
    place = find(version_1(f"/docker/{ID}", unified=False), 7, ID)
    assert place is not None
    assert place.unified == ""
    assert place.folders() == tuple(f"{ROOT}/{one}/docker/{ID}/" for one in ("memory", "freezer", "cpuacct"))


@pytest.mark.parametrize(
    "own", [f"/system.slice/docker-{ID}.scope", f"/docker/{ID}", f"/user.slice/u.service/libpod-{ID}.scope"]
)
def test_version_2(own: str) -> None:
    place = find(version_2(own), 7, ID)
    assert place == Place(ROOT + own, "", ROOT + own, ROOT + own, 2)
    assert place.folders() == (f"{ROOT}{own}/",)


def test_a_main_process_in_a_group_that_the_container_made_itself() -> None:
    own = f"/system.slice/docker-{ID}.scope"
    place = find(version_2(own, f"{own}/init"), 7, ID)
    assert place is not None
    assert place.memory == ROOT + own, "an engine inside the container moves its processes down; the limits stay above"
    nested = find(version_1(f"/docker/{ID}", f"/docker/{ID}/docker/{ID}"), 7, ID)
    assert nested is not None
    assert nested.memory == f"{ROOT}/memory/docker/{ID}", "its own part ends where its id stands first"


def test_an_engine_inside_a_container_sees_less_of_the_tree_than_the_path_says() -> None:
    inner = version_1(f"/docker/{ID}", f"/docker/{OTHER}/docker/{ID}")
    place = find(inner, 7, ID)
    assert place is not None
    assert (place.memory, place.freezer) == (f"{ROOT}/memory/docker/{ID}", f"{ROOT}/freezer/docker/{ID}")
    whole = version_1(f"/docker/{OTHER}/docker/{ID}")
    place = find(whole, 7, ID)
    assert place is not None
    assert place.memory == f"{ROOT}/memory/docker/{OTHER}/docker/{ID}", "all of it, where all of it can be seen"


@pytest.mark.parametrize(
    "listed",
    [
        "/user.slice/session-1.scope",
        f"/docker/{OTHER}",
        f"/../{ID}",
        f"/../../docker/{ID}",
        "",
        f"/docker/{ID} (deleted)",
    ],
)
def test_a_process_of_somebody_else_is_not_believed(listed: str) -> None:
    files = version_2(f"/docker/{ID}")
    files.files["/proc/7/cgroup"] = f"0::{listed}\n"
    assert find(files, 7, ID) is None


def test_what_cannot_be_a_container_is_not_looked_for() -> None:
    files = version_2(f"/docker/{ID}")
    assert find(files, 0, ID) is None
    assert find(files, 7, "") is None
    assert find(files, 8, ID) is None


def test_hostile_paths_do_no_harm() -> None:
    files = version_2(f"/docker/{ID}")
    files.files["/proc/7/cgroup"] = (
        b"\xff\xfe\n0::\n::::\nnothing\n1:memory\n0::/docker/\xff\x85 4:memory:/x/" + ID.encode()
    )
    assert find(files, 7, ID) is None, "one path, however it is spelt"
    files.files["/proc/7/cgroup"] = f"3:memory:/docker/{ID}\n0::/docker/{ID}\n"
    place = find(files, 7, ID)
    assert place is None, "the memory controller is said to be where nothing is"


def test_the_table_of_a_process_is_not_kept_open() -> None:
    files = version_2(f"/docker/{ID}")
    find(files, 7, ID)
    assert files.forgotten == ["/proc/7/cgroup"]


# ------------------------------------------------------------ what it holds


def test_version_1_counts_what_nobody_else_can_have() -> None:
    files = version_1(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    found = read(files, place)
    assert round(found.anon / MIB, 1) == 25.0
    assert (found.shmem, found.locked, found.file) == (5 * MIB, 8 * MIB, 24 * MIB), (
        "locked memory of its own is in anon"
    )
    assert found.resident == found.anon + 13 * MIB
    assert (found.limit, found.high, found.usage) == (512 * MIB, 0.0, 66052096.0)
    assert (found.kernel, found.swap, found.oom_kills, found.frozen, found.nodes) == (0.0, 0.0, 0.0, False, {})


def test_version_1_counts_those_below_it_too_and_kills_and_the_freezer() -> None:
    files = version_1(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    stat = f"{place.memory}/memory.stat"
    files.files[stat] = (
        files.read(stat).replace(b"\nrss 26218496", b"\nrss 0").replace(b"total_swap 0", b"total_swap 4096")
    )
    files.files[f"{place.memory}/memory.oom_control"] = "oom_kill_disable 0\nunder_oom 1\noom_kill 3\n"
    files.files[f"{place.memory}/memory.limit_in_bytes"] = "9223372036854771712\n"
    files.files[f"{place.freezer}/freezer.state"] = "FROZEN\n"
    found = read(files, place)
    assert round(found.anon / MIB, 1) == 25.0
    assert (found.swap, found.used) == (4096.0, found.resident + 4096)
    assert (found.oom_kills, found.limit, found.frozen) == (3.0, 0.0, True)
    files.files[f"{place.freezer}/freezer.state"] = "FREEZING\n"
    assert not frozen(files, place), "not yet"


@pytest.mark.parametrize(("recorded", "kernel"), [("v2", 805306368 - 536870912 + 4194304), ("v2-old", 273230 * 1000)])
def test_version_2_counts_what_nobody_else_can_have(recorded: str, kernel: float) -> None:
    files = version_2(f"/docker/{ID}", recorded=recorded)
    place = find(files, 7, ID)
    assert place is not None
    found = read(files, place, nodes=True)
    assert (found.anon, found.shmem, found.locked) == (50 * GIB, 4 * GIB, 31 * GIB)
    assert found.file == 65 * GIB, "the weights that are mapped and not locked, without tmpfs"
    assert found.kernel == pytest.approx(kernel, rel=1e-3)
    assert (found.swap, found.limit, found.high) == (1 * GIB, 0.0, 0.0)
    assert (found.oom_kills, found.frozen) == (2.0, True)
    assert found.nodes == {0: 90 * GIB, 1: 60 * GIB}
    assert found.used == found.resident + GIB


def test_version_2_limits() -> None:
    files = version_2(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    files.files[f"{place.memory}/memory.max"] = "4294967296\n"
    files.files[f"{place.memory}/memory.high"] = "3221225472\n"
    found = read(files, place)
    assert (found.limit, found.high) == (4 * GIB, 3 * GIB)


def test_files_that_a_kernel_does_not_have_count_for_nothing() -> None:
    files = version_2(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    for name in ("memory.swap.current", "memory.high", "memory.events", "cgroup.events", "memory.numa_stat"):
        del files.files[f"{place.memory}/{name}"]
    files.files[f"{place.memory}/memory.stat"] = "anon 4096\n"
    found = read(files, place, nodes=True)
    assert (found.anon, found.swap, found.oom_kills, found.frozen, found.nodes) == (4096.0, 0.0, 0.0, False, {})
    assert found.file == found.locked == found.kernel == 0.0


def test_nothing_is_ever_below_zero() -> None:
    files = version_2(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    files.files[f"{place.memory}/memory.stat"] = (
        "anon 10\nfile 5\nkernel 5\nshmem 9\ninactive_anon 0\nactive_anon 0\nunevictable 3\nslab_reclaimable 50\n"
    )
    found = read(files, place)
    assert (found.locked, found.file, found.kernel) == (0.0, 0.0, 0.0), "pages on their way are on no list"


def test_a_group_that_is_gone_raises() -> None:
    files = version_1(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    group = Group(files, place)
    group.read()
    files.files[f"{place.memory}/memory.usage_in_bytes"] = OSError(errno.ENODEV, "No such device")
    with pytest.raises(OSError):
        group.read()
    files.files[f"{place.memory}/memory.usage_in_bytes"] = "no number"
    with pytest.raises(ValueError):
        group.read()


# ------------------------------------------------------------ read again and again


def test_a_group_that_took_nothing_is_read_no_further() -> None:
    files = version_1(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    group = Group(files, place)
    first = group.read(rare=False)
    files.reads.clear()
    assert group.read(rare=False) is first
    assert dict(files.reads) == {f"{place.memory}/memory.usage_in_bytes": 1}
    files.files[f"{place.memory}/memory.usage_in_bytes"] = "66056192\n"
    files.files[f"{place.memory}/memory.oom_control"] = "oom_kill 9\n"
    again = group.read(rare=False)
    assert (again.usage, again.oom_kills) == (66056192.0, 0.0), "what rarely changes is left for later"
    assert group.read(rare=True) == replace(again, oom_kills=9.0)


def test_at_its_limit_usage_stands_still_while_page_cache_makes_room() -> None:
    files = version_1(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    files.files[f"{place.memory}/memory.limit_in_bytes"] = "66052096\n"
    group = Group(files, place)
    group.read()
    stat = f"{place.memory}/memory.stat"
    files.files[stat] = files.read(stat).replace(b"total_rss 26218496", b"total_rss 36218496")
    assert group.read(rare=False).anon == 36218496.0


def test_lines_that_move_are_found_again() -> None:
    files = version_1(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    group = Group(files, place)
    before = group.read()
    stat = f"{place.memory}/memory.stat"
    files.files[stat] = b"something_new 5\n" + files.read(stat)
    assert group.read() == before


# ------------------------------------------------------------ what the engine asks for


def test_the_working_set_leaves_out_idle_page_cache() -> None:
    files = version_1(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    assert Group(files, place).working_set() == (66052096.0 - 25165824.0, 512 * MIB)
    assert cpu_seconds(files, place) == 2.5


@pytest.mark.parametrize(("limit", "shown"), [("max", 0.0), ("4096", 4096.0)])
def test_the_working_set_of_version_2(limit: str, shown: float) -> None:
    files = version_2(f"/docker/{ID}")
    place = find(files, 7, ID)
    assert place is not None
    files.files[f"{place.memory}/memory.max"] = f"{limit}\n"
    assert Group(files, place).working_set() == (162135015424.0 - 53687091200.0, shown)
    assert cpu_seconds(files, place) == 2.5
    files.gone(place.memory)
    with pytest.raises(OSError):
        Group(files, place).working_set()
