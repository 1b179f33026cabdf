"""VRAM between the stop and the start: the room of a real machine over a driver that a test plays, in virtual time."""

import hashlib

import pytest

from supervisor.actions.common import ROOM
from supervisor.actions.preview import foresee
from supervisor.facts import Needs
from supervisor.lab.engine import Behaviour, SimImage
from supervisor.lab.room import SimRoom
from supervisor.signals.gpu import VramGate
from supervisor.signals.gpu.usage import Gpu, Usage
from supervisor.signals.room import HostRoom
from supervisor.verdicts import Reason
from tests.support.runner import sim_box

GIB = 2**30
IMAGES = (SimImage(tags=("app:old",), run=Behaviour(healthy_after=2.0)), SimImage(tags=("app:1",)))
NEEDS = Needs(vram=(("0", 90 * GIB),), startup=60.0)


class Driver:
    """The driver of one GPU of 96 GiB: `pid` holds all but `free` GiB."""

    def __init__(self, free=12, trouble=""):
        self.free, self.trouble, self.pid = free, trouble, 4711

    async def usage(self):
        if self.trouble:
            return Usage(trouble=self.trouble)
        users = ((self.pid, (96 - self.free) * GIB),) if self.free < 96 else ()
        return Usage((Gpu(0, "GPU-aa", 96 * GIB, self.free * GIB, users),))


class Machine:
    def meminfo(self):
        return {}


@pytest.fixture
def box(tmp_path):
    """A box whose room is that of a real machine: 4711 (python3) is in its /proc."""
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "comm").write_text("python3\n")
    with sim_box() as made:
        made.driver, made.proc = Driver(), tmp_path
        made.core.room = HostRoom(Machine(), tmp_path, VramGate(made.driver, tmp_path))
        made.core.runner = made.core.fresh()
        made.old, made.new = (made.engine.add_image(each) for each in IMAGES)
        made.engine.human_run("app", "app:old", policy="always")
        made.let(5.0)
        yield made


def phoenix(box, needs=NEEDS):
    return box.plan("phoenix", box.service("app", needs=needs), box.new)


def after(box, seconds, **changes):
    for key, value in changes.items():
        box.engine.world.timers.after(seconds, lambda key=key, value=value: setattr(box.driver, key, value))


def waits(box):
    return [note.text for note in box.core.notes if not note.ok]


def test_the_new_one_starts_once_its_vram_is_free(box):
    after(box, 30.0, free=96)
    began = box.clock.mono()
    ended = box.run(box.core.run(phoenix(box)))
    assert ended.outcome.ok, ended.outcome.text
    said = "GPU 0 has 12 GiB of VRAM free, it needs 90 GiB; held by python3 (pid 4711, 84 GiB)"
    assert waits(box) == [f"Waits: {said}."]
    started = box.engine.container("app").started_at - (box.clock.wall() - box.clock.mono())
    assert 30.0 - 1.0 < started - began < 32.0
    assert box.engine.container("app").image_id == box.new


def test_vram_held_beyond_the_limit_brings_the_old_one_back(box):
    before, began = box.engine.container("app").id, box.clock.mono()
    ended = box.run(box.core.run(phoenix(box)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "held by python3 (pid 4711, 84 GiB)" in ended.outcome.text
    assert box.clock.mono() - began >= ROOM
    seen = box.engine.container("app")
    assert (seen.id, seen.status) == (before, "running")


def test_what_is_free_changes_all_the_time_and_is_not_told_each_time(box):
    for second in range(1, 40):
        after(box, float(second), free=12 + second / 4)
    after(box, 40.0, free=96)
    assert box.run(box.core.run(phoenix(box))).outcome.ok
    assert 2 <= len(waits(box)) <= 9


@pytest.mark.parametrize(
    ("changes", "vram", "said"),
    [
        ({"trouble": "no NVIDIA driver answers on this machine"}, ("0", 90 * GIB), "VRAM is not watched"),
        ({}, ("7", 90 * GIB), "There is no GPU 7 on this machine"),
        ({}, ("0", 97 * GIB), "GPU 0 never has more than 96 GiB free"),
    ],
)
def test_what_cannot_be_waited_for_is_told_and_costs_no_time(box, changes, vram, said):
    for key, value in changes.items():
        setattr(box.driver, key, value)
    ended = box.run(box.core.run(phoenix(box, Needs(vram=(vram,), startup=60.0))))
    assert ended.outcome.ok
    assert waits(box) == []
    assert said in ended.outcome.text, "a note of the plan's end"
    assert box.core_data()["downtime"] < 15.0


def test_a_container_that_asks_for_a_gpu_waits_until_the_old_ones_processes_left_it(box):
    box.engine.human_remove("app", force=True)
    request = {"Driver": "nvidia", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    box.engine.human_run("app", "app:old", policy="always", host={"DeviceRequests": [request]})
    box.let(5.0)
    old = box.engine.container("app")
    assert old.gpu
    (box.proc / "4711" / "cgroup").write_text(f"0::/system.slice/docker-{old.id}.scope\n")
    after(box, 25.0, free=96)
    ended = box.run(box.core.run(phoenix(box, Needs(startup=60.0))))
    assert ended.outcome.ok
    assert waits(box) == ["Waits: GPU 0 is still used by the container before: python3 (pid 4711, 84 GiB)."]
    assert len(old.id) == len(hashlib.sha256().hexdigest())


def test_a_plan_that_is_only_looked_at_says_so_too(box):
    room = SimRoom()
    room.unwatched = ("VRAM is not watched, so nobody waits for it: no NVIDIA driver answers on this machine.",)
    for verb, wanted in (("phoenix", box.new), ("restart", ""), ("start", "")):
        plan = box.plan(verb, box.service("app", needs=NEEDS), wanted)
        found = box.run(foresee(plan, box.service("app", needs=NEEDS), box.engine, room))
        assert list(room.unwatched) == found["notes"], verb
    stop = box.plan("stop", box.service("app", needs=NEEDS))
    assert box.run(foresee(stop, box.service("app", needs=NEEDS), box.engine, room))["notes"] == []


def test_what_each_card_has_free_and_nothing_where_nobody_can_be_asked(box):
    room = box.core.room
    assert box.run(room.free()).vram == {"GPU-aa": 12.0 * GIB}
    box.driver.trouble = "the driver does not answer"
    assert box.run(room.free()).vram == {}
