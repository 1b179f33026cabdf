"""What `resurgam doctor` says about GPUs, of machines made of files."""

import os
from pathlib import Path
from typing import Any

import pytest

from supervisor import views
from supervisor.cli import doctor_gpu
from supervisor.cli.doctor_machine import Finding
from supervisor.facts import GpuState, Json, MemorySource
from supervisor.kernel.groups import ROOT
from supervisor.signals.gpu import Boards
from tests.support.gpu_shown import big, cards, fault, gone, shown, small

VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build\n"
CARD = "0000:17:00.0"


class Folders:
    """A Tree that only lists."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    def names(self, path: str) -> tuple[str, ...]:
        found = tuple(one.rpartition("/")[2] for one in self.paths if one.rpartition("/")[0] == path)
        if not found:
            raise FileNotFoundError(path)
        return found

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"it only lists, and does not {name}")


class Box:
    """A machine's files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def board(self, driver: str = "nvidia", place: str = CARD) -> None:
        where = f"sys/bus/pci/devices/{place}"
        for name, text in (("vendor", "0x10de"), ("class", "0x030000"), ("device", "0x2bb1")):
            self.write(f"{where}/{name}", f"{text}\n")
        if driver:
            (self.root / where / "driver").symlink_to(f"/sys/bus/pci/drivers/{driver}")

    def well(self, module: str = "580.95.05", library: str = "580.95.05") -> None:
        self.board()
        self.write("proc/driver/nvidia/version", VERSION.format(module))
        self.library(library)
        for name in ("nvidiactl", "nvidia0"):
            self.write(f"dev/{name}")
        self.write("run/nvidia-persistenced/socket")

    def library(self, version: str) -> None:
        real = f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{version}"
        self.write(real)
        (self.root / real).write_bytes(b"\x7fELF\x02" + bytes(59))
        (self.root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1").symlink_to(self.root / real)

    def seen(self, state: GpuState | None = None, *groups: str, daemon: bool = True) -> dict[str, Finding]:
        told: Json | None = views.status_document(shown(state)) if daemon else None
        found = doctor_gpu.look(told, Folders(*groups), 0, self.root)
        return {one.check: one for one in found}


@pytest.fixture
def machine(tmp_path: Path) -> Box:
    return Box(tmp_path)


def levels(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.level for name, one in found.items()}


def test_a_machine_without_a_gpu_has_one_line(machine: Box) -> None:
    found = machine.seen()
    assert list(levels(found).items()) == [("gpu", "ok")]


def test_where_all_is_well_every_line_is(machine: Box) -> None:
    machine.well()
    found = machine.seen(cards(big(), expected=1))
    assert levels(found) == dict.fromkeys(("gpu", "gpu driver", "gpu devices", "gpu persistence", "gpu state"), "ok")
    assert "580.95.05" in found["gpu driver"].text
    alone = machine.seen(daemon=False)
    assert set(levels(alone).values()) == {"ok"}, "it needs no daemon"


@pytest.mark.parametrize(
    ("driver", "level", "words"),
    [
        ("", "finding", "has no driver"),
        ("nouveau", "finding", "another driver"),
        ("vfio-pci", "note", "virtual machine"),
    ],
)
def test_a_board_that_is_not_nvidias_drivers_says_whose_it_is(
    machine: Box, driver: str, level: str, words: str
) -> None:
    machine.board(driver)
    found = machine.seen(daemon=False)
    assert (found["gpu"].level, found["gpu driver"].level) == (level, "finding")
    assert words in found["gpu"].text


def test_a_library_of_another_version_or_none_is_a_finding(machine: Box) -> None:
    machine.well(library="580.126.09")
    assert "the library is 580.126.09" in machine.seen(daemon=False)["gpu driver"].text
    (machine.root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1").unlink()
    missing = machine.seen(daemon=False)["gpu driver"]
    assert missing.level == "finding"
    assert "is not found" in missing.text
    assert Boards(machine.root).libraries() == ()


def test_device_files_that_are_missing_are_named(machine: Box) -> None:
    machine.well()
    machine.board(place="0000:65:00.0")
    assert "1 card of /dev/nvidia*" in machine.seen(daemon=False)["gpu devices"].text
    (machine.root / "dev/nvidiactl").unlink()
    said = machine.seen(daemon=False)["gpu devices"]
    assert (said.level, "/dev/nvidiactl" in said.text) == ("finding", True)


def test_persistence_by_the_drivers_word_first(machine: Box) -> None:
    machine.well()
    off = machine.seen(cards(big(values={"resurgam_gpu_persistence_mode": 0.0})))
    assert off["gpu persistence"].level == "finding", "the daemon of NVIDIA's runs, and it is off all the same"
    assert off["gpu persistence"].text.startswith("off for GPU 0:")
    (machine.root / "run/nvidia-persistenced/socket").unlink()
    assert machine.seen(daemon=False)["gpu persistence"].level == "unknown"
    assert "gpu persistence" not in machine.seen(cards(small())), "it is asked, and does not tell"


def test_another_pid_namespace_is_told(machine: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.well()
    machine.write("proc/self/ns/pid")
    inner = machine.seen(daemon=False)["gpu processes"]
    assert (inner.level, inner.cure) == ("finding", "Run it on the machine itself, or in a container with pid: host.")
    number = os.stat(machine.root / "proc/self/ns/pid").st_ino
    monkeypatch.setattr(doctor_gpu, "FIRST_NAMESPACE", number)
    assert machine.seen(daemon=False)["gpu processes"].level == "ok"


@pytest.mark.parametrize("folder", [f"{ROOT}/system.slice", f"{ROOT}/memory/system.slice"])
def test_groups_kept_by_systemd_lose_cards_unless_devices_come_by_cdi(machine: Box, folder: str) -> None:
    machine.well()
    scope = f"{folder}/docker-{'c' * 64}.scope"
    warned = machine.seen(None, scope, daemon=False)["gpu containers"]
    assert warned.level == "finding"
    assert "daemon-reload" in warned.text
    assert "native.cgroupdriver=cgroupfs" in warned.cure
    machine.write("etc/cdi/nvidia.yaml")
    assert machine.seen(None, scope, daemon=False)["gpu containers"].level == "ok"
    assert "gpu containers" not in machine.seen(None, f"{ROOT}/memory/docker/{'c' * 64}", daemon=False)


def test_what_the_daemon_knows_is_said(machine: Box) -> None:
    machine.well()
    quiet = machine.seen(cards(quiet="It is not asked any more.", trouble="stopped", text="no"))
    assert (quiet["gpu state"].level, quiet["gpu state"].text) == ("finding", "It is not asked any more.")
    meant = machine.seen(cards(trouble="stopped", text="A person wants it let go of."))
    assert meant["gpu state"].level == "note", "a person wanted it so"
    assert machine.seen(cards(trouble="hung", text="It hangs."))["gpu state"].level == "finding"
    lost = machine.seen(cards(big(), gone(small(), "GPU 1 is gone.")))
    assert lost["gpu state"].text == "GPU 1 is gone."
    sick = machine.seen(cards(episodes=(fault(),)))
    assert sick["gpu state"].text == "GPU 0 fell off the bus (XID 79)."
    assert machine.seen(cards(episodes=(fault(drill=True),)))["gpu state"].level == "ok", "practice is no fault"


def test_a_card_that_the_daemon_sees_needs_no_board(machine: Box) -> None:
    """As under Windows, where the driver is on the other side."""
    found = machine.seen(cards())
    assert {"gpu", "gpu driver"} & set(found) == set()
    assert found["gpu state"].level == "ok"


def test_how_faults_are_heard_is_a_source_like_any_other() -> None:
    told = views.status_document(shown(cards(), sources=(MemorySource("gpu-faults", False, "They are not heard."),)))
    assert told["sources"] == [{"name": "gpu-faults", "live": False, "text": "They are not heard.", "cure": ""}]
