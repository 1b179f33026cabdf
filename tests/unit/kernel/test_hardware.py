"""The hands on the machine: fixed programs, who has a card open, and what is refused."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.support.hardware_suite")

from supervisor.errors import HardwareError  # noqa: E402
from supervisor.kernel import hardware  # noqa: E402
from supervisor.kernel.hardware import MachineHardware  # noqa: E402
from tests.support.hardware_suite import BUS, CHECKS, LATE, Check  # noqa: E402


class Fake:
    """A machine made of files: /dev/null is the card's device file."""

    def __init__(self, root: Path) -> None:
        self.root, self.proc = root, root / "proc"
        about = self.proc / "driver/nvidia/gpus/0000:17:00.0"
        about.mkdir(parents=True)
        device = os.stat(os.devnull).st_rdev
        (about / "information").write_text(f"Model: \t NVIDIA H200\nDevice Minor: \t {os.minor(device)}\n")
        (root / "run/systemd/system").mkdir(parents=True)
        self.log = root / "log"

    def program(self, name: str, body: str, mode: int = 0o755) -> Path:
        path = self.root / name
        path.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.log}\n{body}\n')
        path.chmod(mode)
        return path

    def process(self, pid: int, name: str, *files: str, parent: int = 1) -> Path:
        folder = self.proc / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(name + "\n")
        (folder / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0\n")
        for number, file in enumerate(files):
            (folder / "fd" / str(number)).symlink_to(file)
        return folder

    def hands(self, **more: Any) -> MachineHardware:
        programs = {name: (str(self.root / name),) for name in ("nvidia-smi", "systemctl")}
        given: dict[str, Any] = {"programs": programs, "proc": self.proc, "run": self.root / "run", "uid": 0}
        return MachineHardware(lambda: "boot-1", **(given | {"owner": os.getuid(), "lets_go": 0.0} | more))

    def called(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setattr(hardware, "_MAJOR", os.major(os.stat(os.devnull).st_rdev))
    monkeypatch.setattr(hardware, "_LOOK", 0.002)
    return Fake(tmp_path)


def run(found: Any) -> Any:
    return asyncio.run(asyncio.wait_for(found, LATE))


def test_a_reset_calls_one_program_with_one_card_and_tells_what_it_said(fake: Fake) -> None:
    path = fake.program("nvidia-smi", f"echo 'GPU {BUS} was successfully reset.'; echo 'All done.'")
    assert fake.hands().cannot("gpu-reset", BUS) == ""
    assert run(fake.hands().reset_gpu(BUS, LATE)) == f"GPU {BUS} was successfully reset. All done."
    assert fake.called() == [f"{path} --gpu-reset -i {BUS}"]


def test_what_the_program_refuses_is_told_in_its_words(fake: Fake) -> None:
    fake.program("nvidia-smi", "echo 'Resetting GPU is not supported.'; exit 3")
    with pytest.raises(HardwareError, match=r"failed \(exit 3\): Resetting GPU is not supported"):
        run(fake.hands().reset_gpu(BUS, LATE))


def test_one_that_does_not_end_is_asked_to_and_left(fake: Fake) -> None:
    fake.program("nvidia-smi", "exec sleep 600")
    with pytest.raises(HardwareError, match="did not end within 100ms; it was asked to end, and is left alone"):
        run(fake.hands().reset_gpu(BUS, 0.1))


@pytest.mark.parametrize("bus", ["", "0", "-r", "17:00.0; reboot", "00000000:17:00.0\n--all", "00000000:99:00.0"])
def test_nothing_but_the_address_of_a_card_that_is_there_becomes_an_argument(fake: Fake, bus: str) -> None:
    fake.program("nvidia-smi", "exit 0")
    with pytest.raises(HardwareError):
        run(fake.hands().reset_gpu(bus, LATE))
    assert fake.called() == []


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o644])
def test_a_program_that_others_could_have_changed_is_none(fake: Fake, mode: int) -> None:
    fake.program("nvidia-smi", "exit 0", mode)
    assert "was not found as a program of root's" in fake.hands().cannot("gpu-reset", BUS)


def test_a_program_of_somebody_elses_is_none(fake: Fake) -> None:
    fake.program("nvidia-smi", "exit 0")
    assert "nobody else may change" in fake.hands(owner=os.getuid() + 1).cannot("gpu-reset", BUS)


def test_who_has_the_card_open_is_named_and_children_of_ours_are_not(fake: Fake) -> None:
    fake.process(812, "Xorg", "/dev/zero", os.devnull)
    fake.process(900, "evil) S 1", "/tmp", os.devnull, parent=1)
    fake.process(901, "reader", os.devnull, parent=os.getpid())
    fake.process(902, "idle", "/dev/zero", "socket:[1]", "/dev/gone")
    assert run(fake.hands().users(BUS)) == ("Xorg (pid 812)", "evil) S 1 (pid 900)")


def test_a_card_in_use_is_not_reset(fake: Fake) -> None:
    fake.program("nvidia-smi", "exit 0")
    folder = fake.process(812, "Xorg", os.devnull)
    with pytest.raises(HardwareError, match=r"it is used by Xorg \(pid 812\)"):
        run(fake.hands().reset_gpu(BUS, LATE))
    (folder / "stat").write_text(f"812 (reader) S {os.getpid()} 1\n")
    with pytest.raises(HardwareError, match="our own process that asks the driver has it open"):
        run(fake.hands().reset_gpu(BUS, LATE))
    assert fake.called() == []


def test_where_it_cannot_be_seen_who_uses_it_nobody_is_said_not_to(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.process(812, "hidden", os.devnull)
    listed = os.listdir

    def seen(path: Any) -> Any:
        if str(path).endswith("/812/fd"):
            raise PermissionError
        return listed(path)

    monkeypatch.setattr(os, "listdir", seen)
    with pytest.raises(HardwareError, match="open files of 1 processes cannot be seen"):
        run(fake.hands().users(BUS))


def test_a_restart_is_asked_of_the_system(fake: Fake) -> None:
    path = fake.program("systemctl", "exit 0")
    assert fake.hands().cannot("reboot", "") == ""
    run(fake.hands().reboot())
    assert fake.called() == [f"{path} reboot"]
    assert fake.hands().boot() == "boot-1"


def test_what_cannot_be_done_here_is_said_with_the_cure(fake: Fake) -> None:
    assert "needs root" in fake.hands(uid=1000).cannot("reboot", "")
    assert "not run by systemd" in fake.hands(run=fake.root / "nowhere").cannot("reboot", "")
    assert "knows no card at 00000000:99:00.0" in fake.hands().cannot("gpu-reset", "00000000:99:00.0")
    with pytest.raises(HardwareError, match="does not tell of the card"):
        run(fake.hands().users("00000000:99:00.0"))


def test_the_real_programs_are_looked_for_in_fixed_places() -> None:
    assert all(path.startswith("/") for paths in hardware.PROGRAMS.values() for path in paths)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


class Lab:
    """The real hands in front of this machine made of files."""

    def __init__(self, fake: Fake) -> None:
        self.fake, self.hands = fake, fake.hands()
        self._programs = [
            fake.program("nvidia-smi", f"echo 'GPU {BUS} was successfully reset.'"),
            fake.program("systemctl", "exit 0"),
        ]

    def opens(self) -> None:
        self.fake.process(812, "Xorg", os.devnull)

    def fails(self, text: str) -> None:
        self.fake.program("nvidia-smi", f"echo '{text}'; exit 3")

    def lacks(self) -> None:
        for path in self._programs:
            path.unlink()

    def resets(self) -> int:
        return len([line for line in self.fake.called() if "--gpu-reset" in line])

    def reboots(self) -> int:
        return len([line for line in self.fake.called() if line.endswith("systemctl reboot")])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_suite_that_the_simulated_hands_pass_too(fake: Fake, check: Check) -> None:
    run(check(Lab(fake)))
