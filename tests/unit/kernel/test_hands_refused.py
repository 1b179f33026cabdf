"""What the hands on control groups do when the kernel says no, answers late, or is not the one they need."""

import asyncio
import errno
import threading
from dataclasses import replace

import pytest

from supervisor.clock import ManualClock, SystemClock
from supervisor.errors import GroupError, NotFound
from supervisor.facts import Container
from supervisor.kernel.hands import ControlGroups, owned
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.machine import Version
from supervisor.lab.kernel.sim import SimKernel
from supervisor.lab.loop import SimLoop

MIB = 2.0**20
ID = "0123456789abcdef" * 4
VERBS = ("freeze", "thaw", "fuse", "unfuse", "reclaim", "raise-limit")
LOAD = SimLoad(anon=100 * MIB, file=100 * MIB)


class Bench:
    """One container on a simulated kernel, and hands on it."""

    def __init__(self, version: Version = 2, load: SimLoad = LOAD) -> None:
        self.loop = SimLoop()
        self.kernel = SimKernel(self.loop.clock, {"MemTotal": 4096 * MIB, "SwapTotal": 0.0}, version)
        self.group = self.kernel.add(ID, 100, load, limit=400 * MIB, memsw=400 * MIB)
        self.hands = ControlGroups(self.kernel, self.loop.clock)
        self.box = Container(ID, "oracle", "", "", status="running", pid=100)

    def refuse(self, number: int, *names: str) -> None:
        """The kernel says no to writes to these files (to all, if none)."""

        def fault(operation: str, path: str) -> int:
            return number if operation == "write" and (not names or path.endswith(names)) else 0

        self.kernel.fault = fault

    def doing(self, verb: str) -> object:
        calls = {
            "freeze": lambda: self.hands.freeze(self.box, True),
            "thaw": lambda: self.hands.freeze(self.box, False),
            "fuse": lambda: self.hands.fuse(self.box, 200 * MIB),
            "unfuse": lambda: self.hands.fuse(self.box, 0.0),
            "reclaim": lambda: self.hands.reclaim(self.box, 10 * MIB, 5.0),
            "raise-limit": lambda: self.hands.raise_limit(self.box, 600 * MIB),
        }
        return self.loop.run_until_complete(calls[verb]())


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("verb", VERBS)
def test_without_the_right_every_verb_names_the_cure_and_writes_nothing(verb: str, number: int) -> None:
    bench = Bench()
    bench.refuse(number)
    assert "ProtectControlGroups=no" in bench.hands.cannot(verb, bench.box)
    with pytest.raises(GroupError, match=r"watch-only\.conf"):
        bench.doing(verb)
    assert bench.kernel.writes == []


def test_a_right_that_is_lost_between_the_look_and_the_write_is_told_the_same_way() -> None:
    bench = Bench()
    bench.kernel.writable = lambda path: True  # type: ignore[method-assign]
    bench.refuse(errno.EACCES)
    for verb in VERBS:
        with pytest.raises(GroupError, match=r"watch-only\.conf"):
            bench.doing(verb)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV])
@pytest.mark.parametrize("verb", VERBS)
def test_a_group_that_vanishes_in_between_is_not_found(verb: str, number: int) -> None:
    bench = Bench()
    bench.kernel.writable = lambda path: True  # type: ignore[method-assign]
    bench.refuse(number)
    with pytest.raises(NotFound):
        bench.doing(verb)


def test_any_other_no_of_the_kernel_is_told_in_its_words() -> None:
    bench = Bench()
    bench.kernel.writable = lambda path: True  # type: ignore[method-assign]
    bench.refuse(errno.EINVAL)
    for verb in VERBS:
        with pytest.raises(GroupError, match="Invalid argument"):
            bench.doing(verb)
    bench.refuse(errno.EBUSY)
    with pytest.raises(GroupError, match="can take nothing back"):
        bench.doing("raise-limit")


def test_a_kernel_without_the_file_is_too_old() -> None:
    bench = Bench()
    real = bench.kernel.exists
    bench.kernel.exists = lambda path: not path.endswith("memory.reclaim") and real(path)  # type: ignore[method-assign]
    assert bench.hands.cannot("reclaim", bench.box) == "this kernel is too old for it: it has no memory.reclaim"
    assert bench.hands.cannot("fuse", bench.box) == ""


def test_what_does_not_all_stand_still_is_let_go_again() -> None:
    for version in (1, 2, "hybrid"):
        bench = Bench(version, SimLoad(anon=MIB, stubborn=60.0))  # type: ignore[arg-type]
        with pytest.raises(GroupError, match="let go again"):
            bench.doing("freeze")
        assert bench.group.freezers == {}
        assert bench.loop.clock.mono() == pytest.approx(5.0, abs=0.1)


def test_what_is_frozen_from_above_is_not_said_to_go_on() -> None:
    for version in (1, 2):
        bench = Bench(version)  # type: ignore[arg-type]
        assert bench.group.parent is not None
        bench.group.parent.freezers["v1" if version == 1 else "v2"] = 0.0
        with pytest.raises(GroupError, match="above it"):
            bench.doing("thaw")


def test_what_the_engine_paused_is_left_to_the_engine() -> None:
    bench = Bench()
    bench.box = replace(bench.box, status="paused")
    for verb in ("freeze", "thaw"):
        assert "docker unpause oracle" in bench.hands.cannot(verb, bench.box)
        with pytest.raises(GroupError, match="docker unpause"):
            bench.doing(verb)
    assert bench.kernel.writes == []


def test_on_a_hybrid_machine_the_second_freezer_is_taken_and_the_reader_sees_it() -> None:
    bench = Bench("hybrid")
    bench.doing("freeze")
    assert set(bench.group.freezers) == {"v2"}
    assert bench.loop.run_until_complete(bench.hands.read(bench.box)).frozen


def test_a_fuse_gives_back_what_stood_there() -> None:
    bench = Bench()
    assert bench.doing("fuse") == "max"
    assert bench.loop.run_until_complete(bench.hands.fuse(bench.box, 300 * MIB)) == str(int(200 * MIB))
    assert bench.doing("unfuse") == str(int(300 * MIB))
    assert bench.kernel.writes[-1][1] == "max"


def test_more_than_a_piece_is_taken_in_pieces_and_ends_when_nothing_comes() -> None:
    bench = Bench()
    got = bench.loop.run_until_complete(bench.hands.reclaim(bench.box, 300 * MIB, 5.0))
    assert got == 100 * MIB
    asked = [float(text) for _path, text in bench.kernel.writes]
    assert asked == [64 * MIB]  # the second piece was taken in part (EAGAIN), and the third gave nothing
    assert bench.group.pages["anon"] == 100 * MIB


def test_time_that_is_over_ends_the_taking() -> None:
    bench = Bench()
    assert bench.loop.run_until_complete(bench.hands.reclaim(bench.box, 300 * MIB, 0.0)) == 0.0
    assert bench.kernel.writes == []


def test_a_group_is_a_containers_own_only_by_its_whole_name() -> None:
    for name in (ID, f"docker-{ID}.scope", f"libpod-{ID}.scope", f"cri-containerd-{ID}.scope"):
        assert owned(f"/sys/fs/cgroup/box.slice/{name}/", ID)
    for name in (f"{ID}x", f"x{ID}", f"docker-{ID}.slice", f"docker-{ID}.scope/inner", "docker", f"../{ID}0"):
        assert not owned(f"/sys/fs/cgroup/{name}", ID)
    assert not owned("/sys/fs/cgroup/docker/oracle", "oracle")
    assert not owned("/sys/fs/cgroup/docker/", "")


# ---------------------------------------------------------------- what blocks


class Stuck(SimKernel):
    """A kernel whose memory.reclaim does not return before it is let go."""

    def __init__(self) -> None:
        super().__init__(ManualClock(), {"MemTotal": 4096 * MIB, "SwapTotal": 0.0}, 2)
        self.go, self.entered = threading.Event(), threading.Event()

    def write(self, path: str, data: bytes) -> None:
        self.entered.set()
        self.go.wait(60)
        super().write(path, data)


def test_a_blocked_call_is_not_waited_for_and_not_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.kernel.hands._LATE", 0.01)
    kernel = Stuck()
    kernel.add(ID, 100, LOAD)
    hands = ControlGroups(kernel, SystemClock())
    box = Container(ID, "oracle", "", "", status="running", pid=100)

    async def story() -> None:
        assert await hands.reclaim(box, 10 * MIB, 0.01) == 0.0
        assert kernel.entered.is_set()
        with pytest.raises(GroupError, match="still busy"):
            await hands.reclaim(box, 10 * MIB, 0.01)
        kernel.go.set()
        while hands._blocked:
            await asyncio.sleep(0.001)
        assert await hands.reclaim(box, 10 * MIB, 60.0) == 10 * MIB

    asyncio.run(asyncio.wait_for(story(), 60))
    hands.close()


def test_containers_whose_calls_are_blocked_hold_up_neither_another_one_nor_our_own_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("supervisor.kernel.hands._LATE", 0.01)
    kernel = Stuck()
    boxes = [Container(f"{n:0>64}", "", "", "", status="running", pid=100 + n) for n in range(4)]
    for box in boxes:
        kernel.add(box.id, box.pid, LOAD)
    hands = ControlGroups(kernel, SystemClock(), lambda _paths, _late: 7.0)

    async def story() -> None:
        for box in boxes:
            assert await hands.reclaim(box, 10 * MIB, 0.01) == 0.0
        assert await hands.drop_cache(("/models/oracle",), 60.0) == 7.0
        blocked = [one for one in threading.enumerate() if one.name.startswith("groups")]
        assert len(blocked) == 4
        assert all(one.daemon for one in blocked), "a process waits at its end for any other"
        kernel.go.set()
        while hands._blocked:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(story(), 60))
    hands.close()


def test_a_machine_that_has_no_thread_left_is_named_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def story() -> None:
        hands = ControlGroups(SimKernel(ManualClock(), {}, 2), SystemClock(), lambda _paths, _late: 7.0)
        monkeypatch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(GroupError, match="thread"):
            await hands.drop_cache(("/models/oracle",), 60.0)
        monkeypatch.setattr(threading.Thread, "start", start)
        assert await hands.drop_cache(("/models/oracle",), 60.0) == 7.0
        hands.close()
        with pytest.raises(GroupError, match="thread"):
            await hands.drop_cache(("/models/oracle",), 60.0)

    asyncio.run(story())


def test_files_that_take_too_long_are_given_up() -> None:
    async def story() -> None:
        hands = ControlGroups(
            SimKernel(ManualClock(), {}, 2), SystemClock(), lambda _paths, late: 7.0 if late() else 1.0
        )
        assert await hands.drop_cache(("/models/oracle",), 60.0) == 1.0
        assert await hands.drop_cache(("/models/oracle",), 0.0) == 7.0
        hands.close()

    asyncio.run(story())
