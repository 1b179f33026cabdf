"""Disks: which folders matter, what a hung one does to the others, what engines say and how long that counts."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from supervisor.config.settings import DiskSettings
from supervisor.errors import EngineError, EngineGone
from supervisor.facts import Labels, Needs, Readings, Service, labels
from supervisor.lab.loop import SimLoop
from supervisor.ports import DiskUse, EngineInfo
from supervisor.signals import disk
from supervisor.signals.disk import Disks, Looked, Mount, look, mount_of, mounts
from supervisor.verdicts import yes

MOUNTINFO = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
30 22 8:17 / /var/lib/docker rw,relatime shared:9 - xfs /dev/sdb1 rw
31 22 0:44 / /mnt/my\040nas rw - nfs4 nas:/models rw
32 30 0:45 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
33 22 0:46 / /models rw - tmpfs tmpfs rw
34 22 0:47 / /models rw - zfs tank/models rw
40 22 8:1 /var/lib/resurgam /var/lib/resurgam ro,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
41 22 8:33 / /broken rw,relatime - ext4 /dev/sdc1 ro,data=ordered
broken line
"""
ROOT = Mount("/", "/dev/sda1", "ext4", "8:1")
SIZES = ("node_filesystem_size_bytes", "node_filesystem_avail_bytes", "node_filesystem_free_bytes")
ORACLE = Service("oracle", "docker", None, yes(), Needs(weights=("/models/oracle", "/models/shared")))


class Engine:
    """An engine that knows its folder, and may not answer."""

    name = "docker"

    def __init__(self) -> None:
        self.root, self.local, self.fails, self.walks = "/var/lib/docker", True, False, 0
        self.away = False

    async def info(self) -> EngineInfo:
        if self.away:
            raise EngineGone("nobody there")
        return EngineInfo("x", "docker", "20", "1.41", local=self.local, root=self.root)

    async def disk(self) -> DiskUse:
        self.walks += 1
        if self.fails:
            raise EngineError("a disk usage operation is already running", 500)
        return DiskUse({"images": 10.0, "volumes": 4.0}, {"images": 7.0, "volumes": 0.0})


class World:
    """Disks on a virtual clock. `found`: what each folder's look gives; one that is not there hangs."""

    def __init__(self, *, state: str = "/var/lib/resurgam", rounds: float = 30.0, **settings: Any) -> None:
        self.loop, self.facts = SimLoop(), list[Readings]()
        self.engine, self.services = Engine(), list[Service]()
        self.hung: set[str] = set()
        self.wrong: dict[str, str] = {}
        self.asked: list[str] = []
        self.busy = False
        engines: Any = {"docker": self.engine}
        self.disks = Disks(
            DiskSettings(**settings),
            Path(state),
            engines,
            lambda: self.services,
            self.facts.append,  # type: ignore[arg-type]
            self.loop.clock,
            busy=lambda: self.busy,
            every=rounds,
            begin=self.begin,
        )
        self.known = mounts(MOUNTINFO)

    def begin(self, path: str) -> asyncio.Future[Looked]:
        self.asked.append(path)
        future: asyncio.Future[Looked] = self.loop.create_future()
        if path not in self.hung:
            future.set_result(self.look(path))
        return future

    def look(self, path: str) -> Looked:
        mount = mount_of(path, self.known)
        if path in self.wrong:
            return Looked(mount, trouble=self.wrong[path])
        return Looked(mount, (100.0, 20.0, 25.0), (1000.0, 990.0))

    def play(self, *steps: Callable[[], Any], every: float = 30.0) -> None:
        async def story() -> None:
            tasks = [asyncio.create_task(self.disks.run()), asyncio.create_task(self.disks.ask())]
            for step in steps:
                await asyncio.sleep(1)
                step()
                await asyncio.sleep(every)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.loop.run_until_complete(story())
        self.loop.close()

    def samples(self, at: int = -1) -> dict[Labels, float]:
        return {sample.labels: sample.value for sample in self.facts[at].samples}

    def folders(self) -> set[tuple[str, str, str]]:
        found = [dict(name) for name in self.samples()]
        return {
            (one["folder"], one["use"], one["mountpoint"]) for one in found if one["__name__"] == "resurgam_disk_folder"
        }


def nothing() -> None:
    """Just let time go by."""


def test_mounts_as_the_kernel_lists_them() -> None:
    found = mounts(MOUNTINFO)
    assert len(found) == 9
    assert found[3] == Mount("/mnt/my nas", "nas:/models", "nfs4", "0:44")


def test_the_mount_of_a_path_is_the_deepest_and_of_equals_the_last() -> None:
    known = mounts(MOUNTINFO)
    assert mount_of("/var/lib/docker/volumes", known).device == "/dev/sdb1"
    assert mount_of("/var/lib/dockerx", known) == ROOT
    assert mount_of("/models/oracle", known).fstype == "zfs"
    assert mount_of("/", known) == ROOT
    assert mount_of("/mnt/my nas/a", known).fstype == "nfs4"
    assert mount_of("/x", ()) == Mount("/")


def test_a_folder_that_systemd_mounted_anew_is_the_disk_it_lies_on() -> None:
    known = mounts(MOUNTINFO)
    assert mount_of("/var/lib/resurgam/journal.db", known) == ROOT
    assert not ROOT.readonly, "where it is mounted read-only says nothing of the disk"
    assert mount_of("/broken/x", known).readonly


def test_every_folder_that_matters_and_what_for() -> None:
    world = World(folders=("/models", "/models/shared"))
    world.services = [ORACLE, replace(ORACLE, id="letta", needs=Needs(weights=("/models/shared",)))]
    world.play(nothing)
    assert world.folders() == {
        ("/var/lib/resurgam", "state", "/"),
        ("/var/lib/docker", "engine", "/var/lib/docker"),
        ("/models/oracle", "model", "/models"),
        ("/models/shared", "model", "/models"),
        ("/models/shared", "listed", "/models"),
        ("/models", "listed", "/models"),
    }
    about = {"device": "/dev/sda1", "fstype": "ext4", "mountpoint": "/"}
    values = {name: value for name, value in world.samples().items() if ("mountpoint", "/") in name}
    values = {dict(name)["__name__"]: value for name, value in values.items()}
    assert [values[name] for name in SIZES] == [100.0, 20.0, 25.0]
    assert (values["node_filesystem_files"], values["node_filesystem_files_free"]) == (1000.0, 990.0)
    assert (values["node_filesystem_readonly"], values["node_filesystem_device_error"]) == (0.0, 0.0)
    assert world.samples()[labels("node_filesystem_size_bytes", **about)] == 100.0
    assert world.facts[-1].whole


def test_one_file_system_is_told_once_however_many_folders_lie_on_it() -> None:
    world = World(folders=("/a", "/b", "/c"))
    world.play(nothing)
    sizes = [sample for sample in world.facts[-1].samples if dict(sample.labels)["__name__"] == SIZES[0]]
    assert len(sizes) == 2


def test_a_disk_that_hangs_is_said_to_keeps_nobody_waiting_and_is_not_asked_again_meanwhile() -> None:
    world = World(folders=("/mnt/my nas/models",))

    def break_it() -> None:
        world.hung.add("/mnt/my nas/models")

    world.play(break_it, nothing, nothing, nothing)
    about = {"device": "nas:/models", "fstype": "nfs4", "mountpoint": "/mnt/my nas"}
    assert world.samples(0)[labels("node_filesystem_device_error", **about)] == 0.0
    last = world.samples()
    assert last[labels("node_filesystem_device_error", **about)] == 1.0
    assert labels("node_filesystem_size_bytes", **about) not in last, "nobody knows any more"
    assert labels("node_filesystem_size_bytes", device="/dev/sda1", fstype="ext4", mountpoint="/") in last
    assert world.asked.count("/mnt/my nas/models") == 2
    assert "The disk under /mnt/my nas/models does not answer" in world.disks.trouble


def test_a_listed_folder_that_is_not_there_is_told_and_one_of_a_model_is_not() -> None:
    world = World(folders=("/modles",))
    world.services = [ORACLE]
    world.wrong = {"/modles": "No such file or directory", "/models/oracle": "No such file or directory"}
    world.play(nothing)
    assert world.disks.trouble == "disk.folders: /modles cannot be looked at: No such file or directory."
    assert "/models/oracle" not in {folder for folder, _use, _mount in world.folders()}


def test_what_the_engine_could_give_back_is_asked_seldom_and_said_in_every_round() -> None:
    world = World(reclaimable="2h")
    images = labels("resurgam_engine_disk_reclaimable_bytes", engine="docker", kind="images")
    world.play(nothing, every=580)
    assert world.engine.walks == 0
    assert images not in world.samples()
    world = World(reclaimable="2h")
    world.play(nothing, every=7000)
    assert world.engine.walks == 1
    assert world.samples()[images] == 7.0
    assert world.samples()[labels("resurgam_engine_disk_used_bytes", engine="docker", kind="volumes")] == 4.0
    assert len(world.facts) == 234, "a series that is silent for minutes would have ended"


def test_an_engine_that_fails_is_asked_again_sooner_and_what_it_said_does_not_count_for_ever() -> None:
    world = World(reclaimable="6h", rounds=600.0)
    images = labels("resurgam_engine_disk_reclaimable_bytes", engine="docker", kind="images")

    def fail() -> None:
        world.engine.fails = True

    world.play(nothing, fail, nothing, every=6 * 3600)
    assert world.engine.walks >= 5
    assert world.samples()[images] == 7.0
    world = World(reclaimable="6h", rounds=600.0)
    world.play(nothing, fail, nothing, nothing, nothing, every=6 * 3600)
    assert images not in world.samples()


def test_the_engines_walk_waits_for_plans_and_its_folder_for_its_answer() -> None:
    world = World()
    world.busy = True
    world.engine.away = True

    def come() -> None:
        world.engine.away = False

    def rest() -> None:
        world.busy = False

    world.play(nothing, come, every=45)
    assert "engine" in {use for _folder, use, _mount in world.folders()}
    assert world.engine.walks == 0
    world = World()
    world.busy = True
    world.play(nothing, rest, every=1200)
    assert world.engine.walks == 1


def test_an_engine_elsewhere_has_no_folder_here() -> None:
    world = World()
    world.engine.local = False
    world.play(nothing)
    assert world.folders() == {("/var/lib/resurgam", "state", "/")}


def test_a_real_folder_of_this_machine(tmp_path: Path) -> None:
    found = look(str(tmp_path))
    assert not found.trouble
    size, avail, free = found.sizes
    assert size >= free >= avail > 0
    assert found.mount.mountpoint in ("/", *map(str, tmp_path.parents), str(tmp_path))
    gone = look(str(tmp_path / "nowhere"))
    assert gone.trouble == "No such file or directory"
    (tmp_path / "link").symlink_to("/proc")
    assert look(str(tmp_path / "link")).mount.mountpoint == "/proc"


def test_nothing_is_said_of_what_is_no_metric_of_ours() -> None:
    world = World(folders=("/mnt/my nas",))
    world.play(nothing, every=1000)
    known = {metric.name: set(metric.labels) for metric in disk.METRICS}
    for name in world.samples():
        pairs = dict(name)
        assert set(pairs) - {"__name__"} <= known[pairs["__name__"]]
    assert {dict(name)["__name__"] for name in world.samples()} == set(known)
