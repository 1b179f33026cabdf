"""What the machine says of its GPUs without the driver: boards, versions, who sleeps."""

from pathlib import Path

import pytest

from supervisor.signals.gpu.boards import Boards, mismatch

OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (root@box)  \nGCC version: x\n"
)
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6 22:20:39 UTC 2023\n"
FOLDER = "usr/lib/x86_64-linux-gnu"
SO = b"\x7fELF\x02\x01"


class Root:
    """A machine's folders."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.boards = folder, Boards(folder)

    def board(self, name: str, vendor: str = "0x10de", kind: str = "0x030200", driver: str = "", **power: str) -> None:
        at = self.folder / "sys/bus/pci/devices" / name
        for file, text in {"vendor": vendor, "class": kind, "device": "0x2335"}.items():
            self.write(at / file, text + "\n")
        for file, text in power.items():
            self.write(at / "power" / file, text + "\n")
        if driver:
            (at / "driver").symlink_to(f"../../drivers/{driver}")

    def driver(self, text: str) -> None:
        self.write(self.folder / "proc/driver/nvidia/version", text)

    def library(self, version: str, folder: str = FOLDER, head: bytes = SO) -> None:
        at = self.folder / folder
        self.write(at / f"libnvidia-ml.so.{version}", head)
        link = at / "libnvidia-ml.so.1"
        link.unlink(missing_ok=True)
        link.symlink_to(f"libnvidia-ml.so.{version}")

    def cache(self, *paths: str) -> None:
        """The loader's list."""
        self.write(
            self.folder / "etc/ld.so.cache", b"glibc-ld.so.cache1.1\0" + b"".join(f"{one}\0".encode() for one in paths)
        )

    @staticmethod
    def write(path: Path, text: str | bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_a_machine_without_any_of_it_has_nothing(root: Root) -> None:
    assert root.boards.find() == {}
    assert not root.boards.loaded()
    assert (root.boards.module(), root.boards.libraries()) == ("", ())
    assert not root.boards.asleep(())
    assert not root.boards.may_sleep(())


def test_boards_are_nvidias_display_devices_with_who_drives_them(root: Root) -> None:
    root.board("0000:17:00.0", driver="nvidia")
    root.board("0001:65:00.0", kind="0x030000", driver="vfio-pci")
    root.board("0000:ca:00.0")
    root.board("0000:17:00.1", kind="0x040300")  # its sound
    root.board("0000:00:02.0", vendor="0x8086", kind="0x030000")
    assert root.boards.find() == {
        "00000000:17:00.0": "10de:2335, driver nvidia",
        "00000000:ca:00.0": "10de:2335, no driver",
        "00000001:65:00.0": "10de:2335, driver vfio-pci",
    }


def test_it_sleeps_when_all_boards_do(root: Root) -> None:
    root.board("0000:17:00.0", runtime_status="suspended", control="auto")
    root.board("0000:65:00.0", runtime_status="active", control="on")
    boards = tuple(root.boards.find())
    assert not root.boards.asleep(boards)
    assert root.boards.asleep(boards[:1])
    assert root.boards.may_sleep(boards)
    assert not root.boards.may_sleep(boards[1:])


@pytest.mark.parametrize(("text", "version"), [(OPEN, "580.159.04"), (CLOSED, "535.54.03"), ("nonsense\n", "")])
def test_the_drivers_version_is_read(root: Root, text: str, version: str) -> None:
    root.driver(text)
    assert root.boards.loaded()
    assert root.boards.module() == version


def test_the_librarys_version_is_that_of_its_file(root: Root) -> None:
    root.library("580.159.04")
    assert root.boards.libraries() == ("580.159.04",)


def test_the_loaders_own_list_goes_first(root: Root) -> None:
    root.library("570.10", "usr/lib")
    root.library("580.159.04", "opt/nvidia")
    root.cache("/opt/nvidia/libnvidia-ml.so.1", "/opt/nvidia/libcuda.so.1")
    assert root.boards.libraries() == ("580.159.04",)


def test_libraries_for_programs_of_32_bits_do_not_count(root: Root) -> None:
    root.library("580.159.04", "usr/lib")
    root.library("570.10", "usr/lib64", b"\x7fELF\x01")
    root.library("560.10", "lib64", b"")
    assert root.boards.libraries() == ("580.159.04",)


def test_a_list_that_names_what_is_not_there_says_nothing(root: Root) -> None:
    root.cache("/gone/libnvidia-ml.so.1")
    assert root.boards.libraries() == ()


@pytest.mark.parametrize(
    ("module", "libraries", "differ"),
    [
        ("580.1", ("580.1",), False),
        ("580.1", ("580.2",), True),
        ("580.1", ("580.2", "580.1"), False),
        ("", ("580.2",), False),
        ("580.1", (), False),
    ],
)
def test_versions_differ_only_where_both_are_known(module: str, libraries: tuple[str, ...], differ: bool) -> None:
    assert mismatch(module, libraries) is differ
