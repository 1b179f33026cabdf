"""What the child process told of the cards and of their faults, as values of the house.

From: a line of `child.py` (see there), which is not trusted to make sense. To: `reader.py`, whose askers get it. Whose
the processes are is not known here: they come out as nobody's, and `owners.py` finds their containers.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor import units
from supervisor.facts import RECOVERIES, GpuCard, GpuProcess, GpuReading
from supervisor.signals.gpu.usage import MOST_GPUS, Said, trouble_from, users_from, whole

_MIB = 1 << 20
_OF_HEAT = ("margin", "194", "slowdown")
"""degrees left as the card says, the margin at which it slows down, and the temperature"""
_RECOVERY = "230"
_NO_PSTATE = 32.0
_CAPABILITY = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_METRICS = {
    "load": ("DCGM_FI_DEV_GPU_UTIL", 1.0),
    "memory_load": ("DCGM_FI_DEV_MEM_COPY_UTIL", 1.0),
    "temperature": ("DCGM_FI_DEV_GPU_TEMP", 1.0),
    "82": ("DCGM_FI_DEV_MEMORY_TEMP", 1.0),
    "power": ("DCGM_FI_DEV_POWER_USAGE", 1e-3),
    "sm_clock": ("DCGM_FI_DEV_SM_CLOCK", 1.0),
    "memory_clock": ("DCGM_FI_DEV_MEM_CLOCK", 1.0),
    "reasons": ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", 1.0),
    "75": ("DCGM_FI_DEV_THERMAL_VIOLATION", 1.0),
    "74": ("DCGM_FI_DEV_POWER_VIOLATION", 1.0),
    "pstate": ("DCGM_FI_DEV_PSTATE", 1.0),
    "3": ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 1.0),
    "4": ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 1.0),
    "142": ("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", 1.0),
    "143": ("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 1.0),
    "144": ("DCGM_FI_DEV_ROW_REMAP_PENDING", 1.0),
    "145": ("DCGM_FI_DEV_ROW_REMAP_FAILURE", 1.0),
    "link_gen": ("DCGM_FI_DEV_PCIE_LINK_GEN", 1.0),
    "link_width": ("DCGM_FI_DEV_PCIE_LINK_WIDTH", 1.0),
    "max_link_gen": ("DCGM_FI_DEV_PCIE_MAX_LINK_GEN", 1.0),
    "max_link_width": ("DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH", 1.0),
    "94": ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 1.0),
    _RECOVERY: ("DCGM_FI_DEV_GPU_RECOVERY_ACTION", 1.0),
    "persistence": ("resurgam_gpu_persistence_mode", 1.0),
}
"""word of an answer, or number of one of the driver's fields -> metric, its unit in theirs; in dcgm-exporter's units:
MiB, C, W, MHz, %, and nanoseconds of slowness"""
MARGIN = "resurgam_gpu_thermal_margin_celsius"
_KINDS = {0x2: "ecc", 0x8: "xid", 0x4000: "unavailable", 0x8000: "recovery"}
_UNKNOWN_XID = 999
_SOME = 256 * _MIB
"""bytes in use of which the driver would name somebody"""


@dataclass(frozen=True, slots=True)
class NvmlEvent:
    """What the driver's library told by itself."""

    kind: str
    """xid | ecc (an uncorrectable memory error) | unavailable (the card is gone) | recovery (its verdict changed)"""
    index: int = -1
    """of the card; -1 where it is not known"""
    uuid: str = ""
    bus_id: str = ""
    xid: int = 0
    """of `xid`; 0 where the driver itself does not know"""
    recovery: str = ""
    """of `recovery`: the verdict now, one of facts.RECOVERIES; '' where it does not say"""


def reading_from(said: Said, *, full: bool, foreign: bool = False) -> GpuReading:
    """What was answered. `full`: everything was asked; `foreign`: we live in a PID namespace of our own. ValueError
    where it makes no sense."""
    try:
        kind, phrase = trouble_from(said)
        if kind:
            return GpuReading(trouble=kind, text=sentence(phrase), full=full)
        cards = tuple(_card(each) for each in said["gpus"][:MOST_GPUS])
        nameless = any(card.most - card.free >= _SOME for card in cards) and not any(card.users for card in cards)
        versions = [_version(said.get(part, "")) for part in ("driver", "library")]
        return GpuReading(
            cards, driver=versions[0], library=_without_api(*versions), namespaced=foreign and nameless, full=full
        )
    except (KeyError, TypeError, AttributeError) as err:
        raise ValueError(f"no answer: {type(err).__name__}") from None


def event_from(said: Any) -> NvmlEvent | None:
    """What the library told by itself; None for what is of no interest. ValueError where it makes no sense."""
    try:
        kind, data = _KINDS.get(whole(said["type"])), whole(said["data"])
        if kind is None:
            return None
        index = -1 if said["index"] is None else whole(said["index"])
        xid = data if kind == "xid" and data != _UNKNOWN_XID else 0
        recovery = RECOVERIES[data] if kind == "recovery" and data < len(RECOVERIES) else ""
        return NvmlEvent(kind, index, _name(said["uuid"]), _name(said["bus"]).lower(), xid, recovery)
    except (KeyError, TypeError) as err:
        raise ValueError(f"no event: {type(err).__name__}") from None


def sentence(phrase: str) -> str:
    """The end of a sentence as one of its own."""
    return f"{phrase[:1].upper()}{phrase[1:]}."


def _card(said: Any) -> GpuCard:
    index, code = whole(said["index"]), whole(said["code"])
    total, free, reserved = (whole(said[size]) for size in ("total", "free", "reserved"))
    told = {word: float(said["values"][word]) for word in (*_METRICS, *_OF_HEAT) if word in said["values"]}
    told = {word: value for word, value in told.items() if math.isfinite(value)}
    if told.get("pstate") == _NO_PSTATE:
        del told["pstate"]
    values = {metric: told[word] * unit for word, (metric, unit) in _METRICS.items() if word in told} | _margin(told)
    if total:
        # in whole MiB and without what the driver keeps, as dcgm-exporter has it
        sizes = {"TOTAL": total, "FREE": free, "USED": max(0, total - free - reserved)}
        if said["split"]:
            sizes["RESERVED"] = reserved
        values |= {f"DCGM_FI_DEV_FB_{name}": float(size // _MIB) for name, size in sizes.items()}
    return GpuCard(
        index,
        uuid=_name(said["uuid"]),
        bus_id=_name(said["bus"]).lower(),
        name=_name(said["name"]),
        compute=_compute(said["compute"]),
        total=total,
        free=free,
        reserved=reserved,
        users=tuple(GpuProcess(pid, used) for pid, used in users_from(said)),
        recovery=_recovery(told.get(_RECOVERY)),
        error=units.plain(str(said["error"]), 200).rstrip(". "),
        code=code,
        values=values,
    )


def _margin(told: Mapping[str, float]) -> dict[str, float]:
    """Degrees left until it slows down: by its own margin, which knows its hottest place, else by its temperature."""
    if "margin" in told and "194" in told:
        return {MARGIN: told["margin"] - told["194"]}
    if told.get("slowdown") and "temperature" in told:
        return {MARGIN: told["slowdown"] - told["temperature"]}
    return {}


def _recovery(number: float | None) -> str:
    """The driver's verdict; '' for none, and for one that is newer than we are."""
    known = number is not None and number.is_integer() and 0 <= number < len(RECOVERIES)
    return RECOVERIES[int(number)] if known and number is not None else ""


def _name(value: Any) -> str:
    return units.plain(str(value), 100)


def _compute(value: Any) -> str:
    return value if isinstance(value, str) and _CAPABILITY.fullmatch(value) else ""


def _version(value: Any) -> str:
    return units.plain(str(value), 40)


def _without_api(driver: str, library: str) -> str:
    """The library's version in the driver's way: it puts the number of its interface in front (13.580.159.04)."""
    parts = library.split(".")
    return library.partition(".")[2] if len(parts) > len(driver.split(".")) else library
