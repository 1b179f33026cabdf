"""Memory of a Mac, in the words of Linux: what there is, what is left, swap, wired memory, and the system's own level.

From: sysctl and the Mach call host_statistics64, through ctypes; nothing is forked. To: signals/memory/watch.py, in the
place of kernel/host.Machine. Available is what is neither an application's, nor wired, nor compressed: wired memory (a
Metal model lives there) can be had by nobody else.
"""

import ctypes
import ctypes.util
import struct
from collections.abc import Mapping
from typing import Any, Protocol

from supervisor.errors import UsageError
from supervisor.kernel.host import Swap

TOTAL, PAGE, SWAP = "hw.memsize", "hw.pagesize", "vm.swapusage"
LEVEL, WIRED_LIMIT = "kern.memorystatus_vm_pressure_level", "iogpu.wired_limit_mb"
_XSW = struct.Struct("<QQQ")
"""struct xsw_usage: total, available, used; a page size and a flag follow"""
_VM = struct.Struct("<4I9Q2I4Q4IQ")
"""struct vm_statistics64"""
_NAMES = (
    *("free", "active", "inactive", "wired", "zero_filled", "reactivations", "pageins", "pageouts", "faults"),
    *("cow_faults", "lookups", "hits", "purges", "purgeable", "speculative", "decompressions", "compressions"),
    *("swapins", "swapouts", "compressor", "throttled", "external", "internal", "uncompressed"),
)
_HOST_VM_INFO64 = 4


class Sysctl(Protocol):
    """What macOS tells. OSError where it does not."""

    def value(self, name: str, size: int) -> bytes:
        """The raw bytes of one sysctl, at most `size`."""

    def statistics(self) -> bytes:
        """The raw vm_statistics64 of the host."""


class DarwinSysctl:
    """The real one. Libraries are loaded at the first call."""

    def __init__(self) -> None:
        self._library: Any = None

    def value(self, name: str, size: int) -> bytes:
        buffer, length = ctypes.create_string_buffer(size), ctypes.c_size_t(size)
        if self._c().sysctlbyname(name.encode(), buffer, ctypes.byref(length), None, ctypes.c_size_t(0)) != 0:
            raise OSError(ctypes.get_errno(), f"sysctl {name}")
        return buffer.raw[: length.value]

    def statistics(self) -> bytes:
        library = self._c()
        buffer, count = ctypes.create_string_buffer(_VM.size), ctypes.c_uint32(_VM.size // 4)
        library.mach_host_self.restype = ctypes.c_uint32
        host = ctypes.c_uint32(library.mach_host_self())
        if library.host_statistics64(host, _HOST_VM_INFO64, buffer, ctypes.byref(count)) != 0:
            raise OSError(0, "host_statistics64")
        return buffer.raw

    def _c(self) -> Any:
        if self._library is None:
            self._library = ctypes.CDLL(ctypes.util.find_library("c") or "libSystem.dylib", use_errno=True)
        return self._library


class MacMachine:
    """Implements ports.Host, and what else signals/memory/watch.Machine asks for."""

    def __init__(self, sysctl: Sysctl | None = None) -> None:
        self._sysctl = sysctl or DarwinSysctl()

    def meminfo(self) -> Mapping[str, float]:
        """MemTotal, MemAvailable, MemFree, SwapTotal, SwapFree in bytes, node_exporter's fields of macOS (`wired`,
        `compressed` …), PressureLevel (1 normal, 2 warning, 4 critical) and WiredLimit (of the GPU; left out where
        none was set). UsageError where macOS does not tell."""
        try:
            total, page, pages = self._number(TOTAL), self._number(PAGE), self._pages()
            swap_total, swap_free, _used = _XSW.unpack_from(self._sysctl.value(SWAP, 64))
        except (OSError, struct.error) as err:
            raise UsageError(
                f"cannot read the machine's memory from sysctl ({err}). "
                "Memory and swap are not watched; containers are watched all the same."
            ) from err
        taken = pages["internal"] - pages["purgeable"] + pages["wired"] + pages["compressor"]
        found = {
            "MemTotal": total,
            "MemAvailable": max(0.0, total - taken * page),
            "MemFree": pages["free"] * page,
            "SwapTotal": float(swap_total),
            "SwapFree": float(swap_free),
            "compressed": pages["compressor"] * page,
        }
        found |= {name: pages[name] * page for name in ("wired", "free", "active", "inactive", "internal", "purgeable")}
        return found | self._maybe("PressureLevel", LEVEL, 1.0) | self._maybe("WiredLimit", WIRED_LIMIT, 2.0**20)

    def vmstat(self) -> Mapping[str, float]:
        """Pages swapped in and out since boot; macOS does not count kills."""
        pages = self._statistics()
        return {"pswpin": pages["swapins"], "pswpout": pages["swapouts"], "pgmajfault": pages["pageins"]}

    def pressure(self) -> tuple[float, float]:
        """macOS counts no such time: always UsageError."""
        raise UsageError("macOS does not count the time in which programs wait for memory; it tells a level instead")

    def swaps(self) -> tuple[Swap, ...]:
        """macOS makes swap files as it needs them; they are shown as one."""
        try:
            total, _free, used = _XSW.unpack_from(self._sysctl.value(SWAP, 64))
        except (OSError, struct.error) as err:
            raise UsageError(f"cannot read {SWAP} ({err})") from err
        return (Swap("swap files of macOS", float(total), float(used)),) if total else ()

    def nodes(self) -> Mapping[int, tuple[float, float]]:
        """One memory for all."""
        return {}

    def _statistics(self) -> Mapping[str, float]:
        try:
            return self._pages()
        except (OSError, struct.error) as err:
            raise UsageError(f"cannot read the counters of macOS ({err})") from err

    def _pages(self) -> Mapping[str, float]:
        return dict(zip(_NAMES, map(float, _VM.unpack(self._sysctl.statistics()[: _VM.size])), strict=True))

    def _number(self, name: str) -> float:
        return float(int.from_bytes(self._sysctl.value(name, 8), "little"))

    def _maybe(self, field: str, name: str, unit: float) -> dict[str, float]:
        """What not every version of macOS tells; 0 stands for "not set"."""
        try:
            found = self._number(name)
        except OSError:
            return {}
        return {field: found * unit} if found else {}
