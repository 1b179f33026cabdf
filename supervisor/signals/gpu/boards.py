"""What the machine says of its GPUs without NVIDIA's driver being asked: boards on the PCI bus, versions, who sleeps.

From: /sys/bus/pci/devices, /proc/driver/nvidia, the loader's list of libraries. To: watch.py. All of it is what the
kernel keeps in memory, so nothing here wakes a card or hangs with one, and looking costs a millisecond or two.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_NVIDIA, _DISPLAY = "0x10de", "0x03"
_DOMAIN = 8
"""digits of a bus id's domain as NVIDIA writes it; the kernel has four"""
_MODULE = re.compile(r"NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s")
_LIBRARY = re.compile(r"libnvidia-ml\.so\.(\d+\.\d+(?:\.\d+)?)")
_CACHED = re.compile(rb"/[\x21-\x7e]{1,400}?/libnvidia-ml\.so\.1(?=\0)")
_FOLDERS = (
    *("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib64", "/lib"),
    *("/run/opengl-driver/lib", "/usr/lib/wsl/lib"),
)
"""where the library is looked for where the loader's own list does not have it"""
_CACHE = 8 << 20
_ELF, _BITS, _64 = b"\x7fELF", 4, 2


class Boards:
    """The machine's own view. `root` is '/' but for tests."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._pci, self._driver = root / "sys/bus/pci/devices", root / "proc/driver/nvidia"

    def find(self) -> Mapping[str, str]:
        """Bus id (`00000000:17:00.0`) of every display device of NVIDIA's -> `10de:2330, driver nvidia`; by bus id."""
        found = {}
        for name in _names(self._pci):
            board = self._pci / name
            if _word(board / "vendor") != _NVIDIA or not _word(board / "class").startswith(_DISPLAY):
                continue
            domain, _, rest = name.lower().partition(":")
            found[f"{domain.zfill(_DOMAIN)}:{rest}"] = f"10de:{_word(board / 'device')[2:6]}, {_bound(board)}"
        return found

    def asleep(self, boards: Sequence[str]) -> bool:
        """Whether all of these have been put to sleep by the kernel: to ask their driver would wake them."""
        states = [_word(self._pci / _short(bus_id) / "power/runtime_status") for bus_id in boards]
        return bool(states) and all(state == "suspended" for state in states)

    def may_sleep(self, boards: Sequence[str]) -> bool:
        """Whether the kernel would put any of these to sleep if nobody had its driver open."""
        return any(_word(self._pci / _short(bus_id) / "power/control") == "auto" for bus_id in boards)

    def loaded(self) -> bool:
        """Whether NVIDIA's driver is in the kernel."""
        return self._driver.is_dir()

    def module(self) -> str:
        """The version of the driver in the kernel; '' where it is not there, or does not say."""
        match = _MODULE.search(_text(self._driver / "version"))
        return match[1] if match else ""

    def libraries(self) -> tuple[str, ...]:
        """The versions of the library that programs which start now get, as its file is called; mostly one."""
        found = [_LIBRARY.search(os.path.basename(os.path.realpath(path))) for path in self._files()]
        return tuple(dict.fromkeys(match[1] for match in found if match))

    def _files(self) -> list[Path]:
        """Where it is, for programs of 64 bits."""
        try:
            with (self._root / "etc/ld.so.cache").open("rb") as file:
                listed = [os.fsdecode(path) for path in _CACHED.findall(file.read(_CACHE))]
        except OSError:
            listed = []
        wanted = [*listed, *(f"{folder}/libnvidia-ml.so.1" for folder in _FOLDERS if not listed)]
        return [path for path in (self._root / one.lstrip("/") for one in dict.fromkeys(wanted)) if _is_64(path)]


def mismatch(module: str, libraries: Sequence[str]) -> bool:
    """Whether none of the libraries is of the version of the driver in the kernel. What is not known says nothing."""
    return bool(module and libraries) and module not in libraries


def _short(bus_id: str) -> str:
    """As the kernel writes it: `0000:17:00.0`."""
    domain, _, rest = bus_id.partition(":")
    return f"{domain[-4:]}:{rest}" if domain[:-4].strip("0") == "" else f"{domain.lstrip('0')}:{rest}"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _bound(board: Path) -> str:
    try:
        return f"driver {os.path.basename(os.readlink(board / 'driver'))}"
    except OSError:
        return "no driver"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(65_536).decode("utf-8", "replace")
    except OSError:
        return ""


def _word(path: Path) -> str:
    return _text(path).strip()


def _is_64(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_BITS + 1)
    except OSError:
        return False
    return head[:_BITS] == _ELF and head[_BITS:] == bytes([_64])
