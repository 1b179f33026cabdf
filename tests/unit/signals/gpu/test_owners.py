"""Whose a process on a card is, in every shape of path that engines make; and who may not open the cards any more."""

import pytest

from supervisor.actions.gpu.absent import NoDriver
from supervisor.clock import ManualClock
from supervisor.facts import Container, EngineEvent, Fact, GpuCard, GpuProcess, GpuReading, Looked, Sweep
from supervisor.signals.gpu.owners import DEVICES, REMEMBERED, NamedDriver, Owners, opens_a_card, wants_nvidia
from tests.support.kernel_files import Files

ONE, TWO, POD = "a3b8" * 16, "77ff" * 16, "c0de" * 16
SHAPES = {
    "v1": "12:pids:/docker/{}\n4:memory:/docker/{}\n1:name=systemd:/docker/{}\n",
    "hybrid": "4:memory:/docker/{}\n0::/docker/{}\n",
    "v2 cgroupfs": "0::/docker/{}\n",
    "v2 systemd": "0::/system.slice/docker-{}.scope\n",
    "v2 with groups of its own": "0::/system.slice/docker-{}.scope/init/worker\n",
    "a parent of compose, systemd": "0::/ai.slice/docker-{}.scope\n",
    "a parent of compose": "0::/ai/{}\n",
    "rootless": "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{}.scope\n",
    "a namespace of our own": "0::/../docker-{}.scope\n",
    "Docker in Docker": f"0::/docker/{{}}/docker/{POD}\n",
}
OTHERS = {
    "Podman": "0::/machine.slice/libpod-{}.scope/container\n",
    "nerdctl": "0::/system.slice/nerdctl-{}.scope\n",
    "containerd": "0::/default/{}\n",
    "k3s": "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{}.scope\n",
    "a user's own Docker": "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{}.scope\n",
    "none": "0::/system.slice/ollama.service\n",
}


class Bench:
    def __init__(self) -> None:
        self.files, self.clock = Files(), ManualClock()
        self.owners = Owners(self.files, self.clock)

    def process(self, pid: int, groups: str, name: str = "python3") -> None:
        self.files.files[f"/proc/{pid}/cgroup"] = groups
        self.files.files[f"/proc/{pid}/comm"] = f"{name}\n"

    def ends(self, pid: int) -> None:
        self.files.gone(f"/proc/{pid}")

    def sweep(self, *containers: Container) -> None:
        self.hear(Sweep(0.0, 0.0, "docker", containers))

    def hear(self, fact: Fact) -> None:
        passed: list[Fact] = []
        self.owners.heard(passed.append)(fact)
        assert passed == [fact]

    def event(self, kind: str, container_id: str) -> None:
        self.hear(EngineEvent(0.0, 0.0, "docker", "container", container_id, kind, 1))

    def users(self, *pids: int) -> dict[int, tuple[str, str]]:
        card = GpuCard(0, "GPU-aa", users=tuple(GpuProcess(pid, 5) for pid in pids))
        (named,) = self.owners.name([card])
        return {user.pid: (user.kind, user.container_id) for user in named.users}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def box(key: str = ONE, **about: object) -> Container:
    return Container(key, "oracle", "", "", **{"status": "running", **about})  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_process_belongs_to_the_container_that_the_engine_has(bench: Bench, shape: str) -> None:
    bench.sweep(box())
    bench.process(4711, SHAPES[shape].format(ONE, ONE, ONE))
    assert bench.users(4711) == {4711: ("container", ONE)}


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "Docker in Docker"])
def test_it_is_an_orphan_once_its_container_is_gone(bench: Bench, shape: str) -> None:
    bench.sweep(box())
    bench.process(4711, SHAPES[shape].format(ONE, ONE, ONE))
    bench.event("destroy", ONE)
    assert bench.users(4711) == {4711: ("orphan", ONE)}


def test_a_container_that_was_removed_before_we_began_left_an_orphan(bench: Bench) -> None:
    bench.sweep(box(TWO))
    bench.process(4711, f"0::/system.slice/docker-{ONE}.scope\n")
    assert bench.users(4711) == {4711: ("orphan", ONE)}


def test_before_the_engine_has_listed_its_containers_nobody_is_an_orphan(bench: Bench) -> None:
    bench.process(4711, f"0::/docker/{ONE}\n")
    assert bench.users(4711) == {4711: ("container", ONE)}


@pytest.mark.parametrize("shape", OTHERS)
def test_what_another_engine_runs_is_nobodys(bench: Bench, shape: str) -> None:
    bench.sweep(box(TWO))
    bench.process(4711, OTHERS[shape].format(ONE))
    assert bench.users(4711) == {4711: ("host", "")}


def test_a_container_cannot_pass_for_another_by_the_names_of_its_own_groups(bench: Bench) -> None:
    bench.sweep(box(ONE), box(TWO))
    bench.process(4711, f"0::/docker/{ONE}/docker-{TWO}.scope\n")
    assert bench.users(4711) == {4711: ("container", ONE)}


def test_a_container_is_known_from_the_moment_the_engine_tells_of_it(bench: Bench) -> None:
    bench.sweep()
    bench.event("create", ONE)
    bench.process(4711, f"0::/docker/{ONE}\n")
    assert bench.users(4711) == {4711: ("container", ONE)}


def test_one_that_a_sweep_does_not_list_any_more_is_gone(bench: Bench) -> None:
    bench.sweep(box(ONE), box(TWO))
    bench.process(4711, f"0::/docker/{ONE}\n")
    bench.sweep(box(TWO))
    assert bench.users(4711) == {4711: ("orphan", ONE)}


async def test_hands_that_ask_the_driver_are_told_whose_the_processes_are(bench: Bench) -> None:
    """What a model gives back on a card is measured by it, before the model is stopped."""

    class Driver(NoDriver):
        async def snapshot(self, depth: str) -> GpuReading:
            return GpuReading((GpuCard(0, "GPU-aa", users=(GpuProcess(4711, 5),)),), driver="570.1")

    bench.sweep(box(ONE))
    bench.process(4711, f"0::/docker/{ONE}\n")
    reading = await NamedDriver(Driver(), bench.owners).snapshot("slow")
    ((user,),) = [card.users for card in reading.cards]
    assert (user.kind, user.container_id, user.used, reading.driver) == ("container", ONE, 5, "570.1")


def test_a_process_that_ended_meanwhile_is_gone(bench: Bench) -> None:
    assert bench.users(4711) == {4711: ("gone", "")}


def test_names_are_made_plain_and_short(bench: Bench) -> None:
    bench.process(4711, "0::/\n", "evil\x1b[2J" + "x" * 300)
    (card,) = bench.owners.name([GpuCard(0, users=(GpuProcess(4711),))])
    name = card.users[0].name
    assert "\x1b" not in name
    assert name.startswith("evil")
    assert len(name) <= 64


def test_whose_a_process_was_is_known_for_ten_minutes(bench: Bench) -> None:
    bench.sweep(box())
    bench.process(4711, f"0::/docker/{ONE}\n")
    bench.users(4711)
    bench.ends(4711)
    bench.clock.advance(REMEMBERED - 1)
    assert bench.owners.owner_of(4711) == ONE
    bench.clock.advance(2)
    assert bench.owners.owner_of(4711) == ""


def test_a_containers_main_process_is_known_before_any_reading_named_it(bench: Bench) -> None:
    bench.sweep()
    bench.hear(Looked(0.0, 0.0, "docker", ONE, box(pid=812)))
    assert bench.owners.owner_of(812) == ONE


def test_a_process_that_lives_is_asked_whose_it_is_now(bench: Bench) -> None:
    bench.sweep(box(ONE), box(TWO))
    bench.process(4711, f"0::/docker/{ONE}\n")
    bench.users(4711)
    bench.process(4711, f"0::/docker/{TWO}\n")
    assert bench.owners.owner_of(4711) == TWO


@pytest.mark.parametrize("pid", [0, -1, 99])
def test_nobody_owns_what_is_no_process(bench: Bench, pid: int) -> None:
    assert bench.owners.owner_of(pid) == ""


# ------------------------------------------------------------ who may open a card


def asks(bench: Bench, allowed: str, **about: object) -> tuple[str, ...]:
    container = box(**{"gpu": True, "pid": 50, **about})
    bench.sweep(container)
    bench.process(50, f"7:devices:/docker/{ONE}\n4:memory:/docker/{ONE}\n")
    bench.files.files[f"{DEVICES}/docker/{ONE}/devices.list"] = allowed
    return bench.owners.denied()


@pytest.mark.parametrize(
    "allowed",
    ["a *:* rwm\n", "c 1:3 rwm\nc 195:* rwm\n", "c 195:0 rw\n", "c 1:3 rwm\nc 195:255 rw\nc 195:1 rwm\n"],
)
def test_who_may_open_a_card_is_not_denied(bench: Bench, allowed: str) -> None:
    assert asks(bench, allowed) == ()


@pytest.mark.parametrize("allowed", ["c 1:3 rwm\n", "c 195:255 rw\nc 195:254 rw\n", "c 195:0 m\n", "b 195:0 rwm\n", ""])
def test_whose_list_has_no_card_any_more_is_denied(bench: Bench, allowed: str) -> None:
    assert asks(bench, allowed) == (ONE,)


def test_who_asks_for_no_card_of_nvidias_is_not_looked_at(bench: Bench) -> None:
    assert asks(bench, "c 1:3 rwm\n", gpu=False) == ()
    assert asks(bench, "c 1:3 rwm\n", gpus=("/dev/dri/renderD128", "/dev/kfd")) == ()
    assert asks(bench, "c 1:3 rwm\n", status="exited") == ()


def test_what_cannot_be_read_says_nothing(bench: Bench) -> None:
    bench.sweep(box(gpu=True, pid=50))
    assert bench.owners.denied() == ()  # no such process
    bench.process(50, f"0::/docker/{ONE}\n")
    assert bench.owners.denied() == ()  # version 2: its devices are no file
    bench.process(50, f"7:devices:/docker/{TWO}\n")
    assert bench.owners.denied() == ()  # a process of this machine, and its container is on another


def test_it_is_its_own_list_that_counts_not_one_below(bench: Bench) -> None:
    bench.sweep(box(gpu=True, pid=50))
    bench.process(50, f"7:devices:/system.slice/docker-{ONE}.scope/inner\n")
    bench.files.files[f"{DEVICES}/system.slice/docker-{ONE}.scope/devices.list"] = "c 1:3 rwm\n"
    assert bench.owners.denied() == (ONE,)


def test_a_list_that_makes_no_sense_opens_nothing() -> None:
    assert not opens_a_card(["", "c", "c 195", "c 195:² rwm", "c x:y rwm", "195:0 rwm"])


def test_some_number_of_cards_is_nvidias() -> None:
    assert wants_nvidia(box(gpu=True))
    assert wants_nvidia(box(gpu=True, gpus=("/dev/dri/card0", "/dev/nvidia0")))
    assert not wants_nvidia(box(gpu=True, gpus=("amd.com/gpu=all",)))


def test_files_of_processes_are_not_kept_open(bench: Bench) -> None:
    bench.process(4711, "0::/\n")
    bench.users(4711)
    assert {"/proc/4711/cgroup", "/proc/4711/comm"} <= set(bench.files.forgotten)
