"""The child process that talks to NVIDIA's driver. It is run as a file, and imports nothing of ours.

From: questions on stdin, one line each: `7 usage`, `8 snapshot fast|slow|rare`, `9 events on|off`. To: stdout, one line
of JSON per question, with the same number (`usage.py`, `told.py` read them), lines `{"event": …}` as the driver tells
them, and while a question is open four times a second a line `{"beat": calls made, "at": the call under way}`. It ends
at the end of stdin, letting go of the driver; and after an answer with a `trouble` of the whole driver, since a process
that has loaded an old library cannot heal. It has no handler for SIGTERM on purpose: that would wait for a call that
hangs, while the kernel's own way ends us in the middle of one. What costs milliseconds or wears something out is never
asked: PCIe throughput, the InfoROM.
"""

import contextlib
import ctypes
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

_NOT_SUPPORTED, _NOT_LOADED, _TIMEOUT, _NO_LIBRARY = 3, 9, 10, 12
_MODULE = "/proc/driver/nvidia/version"
"""It is there while the driver is loaded. Where the device files are hidden from us, the library says `not loaded`"""
_TROUBLES = {4: "refused", 17: "refused", 18: "mismatch"}
"""no permission; the operating system has blocked it; the library is of another version than the kernel's part"""
_NONE_SEEN = {"trouble": "no_gpu", "text": "0 GPUs"}
"""A GPU whose device file we may not open is not counted; and who opened the driver so, goes on not counting it"""
_NEVER = (2, _NOT_SUPPORTED, 4, 13)
"""an argument that is none for it, not supported, not permitted, not in this library: not asked a second time"""
_OF_THE_CARD = (1, 9, 15, 16)
"""not initialised, not loaded, lost, reset required: more than one call is concerned"""
_BEAT = 0.25
"""seconds between two signs of life while a question is open"""
_WAIT_MS = 500
"""how long one wait for events lasts: it cannot be cut short, and we are to be gone within a second"""
_EVENTS = 0x2 | 0x8 | 0x4000 | 0x8000
"""memory errors, XIDs, a lost card, the driver's verdict; clock events would come ten a second"""

_NAMES = ("nvmlDeviceGetPciInfo", "nvmlDeviceGetName", "nvmlDeviceGetCudaComputeCapability")
_FAST: tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...] = (
    ("temperature", ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"), (0,)),
    ("margin", ("nvmlDeviceGetMarginTemperature",), ()),
    ("power", ("nvmlDeviceGetPowerUsage",), ()),
    ("sm_clock", ("nvmlDeviceGetClockInfo",), (1,)),
    ("memory_clock", ("nvmlDeviceGetClockInfo",), (2,)),
    ("reasons", ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"), ()),
    ("pstate", ("nvmlDeviceGetPerformanceState",), ()),
)
"""what it is called in an answer, the calls that tell it (the first that is there counts), their arguments"""
_SLOW = (
    ("link_gen", ("nvmlDeviceGetCurrPcieLinkGeneration",), ()),
    ("link_width", ("nvmlDeviceGetCurrPcieLinkWidth",), ()),
    ("max_link_gen", ("nvmlDeviceGetMaxPcieLinkGeneration",), ()),
    ("max_link_width", ("nvmlDeviceGetMaxPcieLinkWidth",), ()),
    ("persistence", ("nvmlDeviceGetPersistenceMode",), ()),
    ("slowdown", ("nvmlDeviceGetTemperatureThreshold",), (1,)),
)
_FIELDS_FAST = (230, 82)
"""fields: the driver's verdict, the temperature of the memory"""
_FIELDS_SLOW = (3, 4, 142, 143, 144, 145, 74, 75, 94, 194)
"""fields: memory errors, remapped rows, time slowed down for power and heat, PCIe replays, the slowdown's margin"""
_KINDS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""which part of a field's value counts, by its type"""


class Library:
    """The library's calls, counted, so that one that hangs can be named. `nvml`: the module pynvml."""

    def __init__(self, nvml: Any) -> None:
        self.nvml, self.Error = nvml, nvml.NVMLError
        self.calls, self.at = 0, ""
        self._never: set[tuple[Any, ...]] = set()
        """(GPU, call, arguments) that it does not know"""

    def call(self, name: str, *arguments: Any, at: str = "") -> Any:
        """One call. Raises NVMLError."""
        self.calls, self.at = self.calls + 1, f"{name}{at}"
        return getattr(self.nvml, name)(*arguments)

    def ask(self, index: int, handle: Any, names: tuple[str, ...], *arguments: Any) -> Any:
        """What the first call that this card knows says; None where none does, or it failed this time. Raises
        NVMLError where more than this call is concerned."""
        for name in names:
            key = (index, name, arguments)
            if key in self._never or not hasattr(self.nvml, name):
                continue
            try:
                return self.call(name, handle, *arguments, at=f" of GPU {index}")
            except self.Error as err:
                if err.value in _OF_THE_CARD:
                    raise
                if err.value not in _NEVER:
                    return None
                self._never.add(key)
        return None

    def fields(self, index: int, handle: Any, wanted: tuple[int, ...]) -> dict[str, float]:
        """The values of these fields, in one call; those that this card does not know are left out for good."""
        asked = tuple(field for field in wanted if (index, field) not in self._never)
        answer = self.ask(index, handle, ("nvmlDeviceGetFieldValues",), asked) if asked else None
        found: dict[str, float] = {}
        for field, value in zip(asked, answer if answer is not None else (), strict=False):
            if value.nvmlReturn in _NEVER:
                self._never.add((index, field))
            elif value.nvmlReturn == 0 and 0 <= value.valueType < len(_KINDS):
                found[str(field)] = float(getattr(value.value, _KINDS[value.valueType]))
        return found


class Driver:
    """One opened driver."""

    def __init__(self, nvml: Any) -> None:
        self.library = Library(nvml)
        self._versions: dict[str, str] = {}
        # all by GPU; a lost one does not tell any more what it is called
        self._known: dict[int, dict[str, Any]] = {}
        self._drawing: dict[int, dict[int, int]] = {}
        self._limits: dict[int, dict[str, float]] = {}

    def snapshot(self, depth: str) -> dict[str, Any]:
        """`gpus`: every GPU by index, one that does not answer with its `error` and `code`; `driver`, `library`: their
        versions; or the trouble of them all. `depth`: usage (memory and who has it, nothing else), fast, slow, rare."""
        if depth == "rare":
            self._versions, self._known, self._limits = {}, {}, {}
        try:
            count = self.library.call("nvmlDeviceGetCount")
        except self.library.Error as err:
            return trouble(err)
        if not count:
            return _NONE_SEEN
        return {"gpus": [self._gpu(index, depth) for index in range(count)], **self._told_versions()}

    def _told_versions(self) -> dict[str, str]:
        for part, name in (("driver", "nvmlSystemGetDriverVersion"), ("library", "nvmlSystemGetNVMLVersion")):
            if part not in self._versions:
                try:
                    self._versions[part] = _text(self.library.call(name))
                except (self.library.Error, AttributeError):
                    self._versions[part] = ""
        return self._versions

    def _gpu(self, index: int, depth: str) -> dict[str, Any]:
        found: dict[str, Any] = dict.fromkeys(("uuid", "bus", "name", "compute", "error"), "")
        found |= {"index": index, "code": 0, "total": 0, "free": 0, "reserved": 0, "split": False}
        found |= {"users": [], "values": {}}
        try:
            handle = self.library.call("nvmlDeviceGetHandleByIndex", index)
            known = self._known.get(index) or self._names(index, handle)
            told = {**known, **self._memory(index, handle, must=depth == "usage")}
            told["users"] = sorted(self._users(index, handle, all_lists=depth != "fast").items())
            if depth != "usage":
                told["values"] = self._values(index, handle, slow=depth != "fast")
        except self.library.Error as err:
            return {**found, **self._known.get(index, {}), "error": str(err), "code": err.value}
        return {**found, **told}

    def _names(self, index: int, handle: Any) -> dict[str, str]:
        uuid = _text(self.library.call("nvmlDeviceGetUUID", handle, at=f" of GPU {index}"))
        place, name, compute = (self.library.ask(index, handle, (call,)) for call in _NAMES)
        known = {"uuid": uuid, "bus": _text(place.busId) if place else "", "name": _text(name or "")}
        self._known[index] = {**known, "compute": ".".join(map(str, compute or ()))}
        return self._known[index]

    def _memory(self, index: int, handle: Any, *, must: bool) -> dict[str, Any]:
        """The newer call tells what the driver keeps for itself; the older one counts that as used by somebody. A card
        that has no memory of its own (it shares the machine's) knows neither. `must`: that is an error."""
        library, name = self.library, "nvmlDeviceGetMemoryInfo"
        memory = library.ask(index, handle, (name,), library.nvml.nvmlMemory_v2)
        try:
            memory = memory or library.call(name, handle, at=f" of GPU {index}")
        except library.Error as err:
            if must or err.value != _NOT_SUPPORTED:
                raise
            return {}
        kept = getattr(memory, "reserved", None)
        return {"total": memory.total, "free": memory.free, "reserved": kept or 0, "split": kept is not None}

    def _users(self, index: int, handle: Any, *, all_lists: bool) -> dict[int, int]:
        """pid -> bytes, 0 where the driver does not say. The list of those that draw takes milliseconds and the
        driver's lock on some cards: in between, those of the last time count that still live."""
        users = _listed(self.library.ask(index, handle, ("nvmlDeviceGetComputeRunningProcesses",)))
        if all_lists:
            drawing = ("nvmlDeviceGetGraphicsRunningProcesses",)
            self._drawing[index] = _listed(self.library.ask(index, handle, drawing))
        for pid, used in self._drawing.get(index, {}).items():
            if all_lists or os.path.exists(f"/proc/{pid}"):
                users[pid] = max(users.get(pid, 0), used)  # one that does both has the same memory in both lists
        return users

    def _values(self, index: int, handle: Any, *, slow: bool) -> dict[str, float]:
        """What the card says, by the words of the tables and the numbers of the fields."""
        library, slow = self.library, slow or index not in self._limits
        found: dict[str, float] = {}
        if (load := library.ask(index, handle, ("nvmlDeviceGetUtilizationRates",))) is not None:
            found |= {"load": load.gpu, "memory_load": load.memory}
        for word, names, arguments in (*_FAST, *(_SLOW if slow else ())):
            if (value := library.ask(index, handle, names, *arguments)) is not None:
                found[word] = value
        found |= library.fields(index, handle, (*_FIELDS_FAST, *(_FIELDS_SLOW if slow else ())))
        if slow:
            self._limits[index] = {word: found[word] for word in ("slowdown", "194") if word in found}
        return found | self._limits[index]

    def handles(self) -> list[tuple[int, Any]]:
        """(index, handle) of every GPU that answers. Raises NVMLError where none can be counted."""
        found = []
        for index in range(self.library.call("nvmlDeviceGetCount")):
            try:
                found.append((index, self.library.call("nvmlDeviceGetHandleByIndex", index)))
                if index not in self._known:
                    self._names(*found[-1])
            except self.library.Error:
                continue
        return found

    def named(self, index: int | None) -> dict[str, Any]:
        """Which GPU this is, of an event; asks nobody."""
        return {"uuid": "", "bus": "", **self._known.get(-1 if index is None else index, {}), "index": index}

    def close(self) -> None:
        """Let go of the driver: an open one is a user of every GPU."""
        with contextlib.suppress(self.library.Error):
            self.library.call("nvmlShutdown")


class Events(threading.Thread):
    """Waits for what the driver tells by itself."""

    def __init__(self, driver: Driver, say: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(daemon=True)
        self._driver, self._say, self._off = driver, say, threading.Event()
        self._set, self._places = self._register()

    def _register(self) -> tuple[Any, dict[Any, int]]:
        """A set with all the cards, and which is which. NVMLError, LookupError where no card tells anything."""
        library, places = self._driver.library, {}
        events = library.nvml.nvmlEventSetCreate()
        for index, handle in self._driver.handles():
            with contextlib.suppress(library.Error):
                mask = library.ask(index, handle, ("nvmlDeviceGetSupportedEventTypes",)) or 0
                if mask & _EVENTS:  # one that is not supported would register none
                    library.nvml.nvmlDeviceRegisterEvents(handle, mask & _EVENTS, events)
                    places[_address(handle)] = index
        if not places:
            library.nvml.nvmlEventSetFree(events)
            raise LookupError("no GPU here tells its faults by itself")
        return events, places

    def run(self) -> None:
        """Until it is switched off. A set that fails is made anew, slower each time."""
        library, pause = self._driver.library, 1.0
        while not self._off.is_set():
            try:
                told = library.nvml.nvmlEventSetWait_v2(self._set, _WAIT_MS)
                which = self._driver.named(self._places.get(_address(told.device)))
                self._say({"event": {"type": told.eventType, "data": told.eventData, **which}})
                pause = 1.0
            except library.Error as err:
                if err.value == _TIMEOUT or self._off.wait(pause):
                    continue
                pause = min(2 * pause, 30.0)
                with contextlib.suppress(library.Error, LookupError):
                    # the old one belongs to handles that may be dead, so it is not given back
                    self._set, self._places = self._register()
        with contextlib.suppress(library.Error):
            library.nvml.nvmlEventSetFree(self._set)

    def off(self) -> None:
        """End it; returns once it has, or hangs."""
        self._off.set()
        self.join(2 * _WAIT_MS / 1e3)


class Beat(threading.Thread):
    """Says that we live while a question is open, and sleeps else."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(daemon=True)
        self._say, self._changed, self._open = say, threading.Condition(), 0
        self.library: Library | None = None

    def open(self, number: int) -> None:
        """A question is open; 0: none is."""
        with self._changed:
            self._open = number
            self._changed.notify()

    def run(self) -> None:
        number = 0
        while True:
            with self._changed:
                while not self._open:
                    self._changed.wait()
                before, number = number, self._open
                self._changed.wait(_BEAT)
            if before == number == self._open:
                known = self.library
                self._say({"beat": known.calls, "at": known.at} if known else {"beat": 0, "at": "nvmlInit"})


class Child:
    """Answers questions. `out`: where to."""

    def __init__(self, out: Any) -> None:
        self._out, self._writing = out, threading.Lock()
        self._driver: Driver | None = None
        self._events: Events | None = None
        self._beat = Beat(self._say)

    def run(self, questions: Any) -> None:
        """Answer until they end, or the whole driver is in trouble."""
        self._beat.start()
        for line in questions:
            number, _, what = line.strip().partition(" ")
            self._beat.open(int(number))
            said = self._answer(what.split())
            self._beat.open(0)
            self._say({"n": int(number), **said})
            if "trouble" in said:
                break
        if self._events is not None:
            self._events.off()
        if self._driver is not None:
            self._driver.close()

    def _answer(self, words: list[str]) -> dict[str, Any]:
        if self._driver is None:
            self._driver, wrong = start()
            if self._driver is None:
                return wrong
            self._beat.library = self._driver.library
        return self._tell(words[1:] == ["on"]) if words[0] == "events" else self._driver.snapshot(words[-1])

    def _tell(self, on: bool) -> dict[str, Any]:
        assert self._driver is not None
        if self._events is not None and not on:
            self._events.off()
            self._events = None
        if self._events is None and on:
            try:
                self._events = Events(self._driver, self._say)
            except (LookupError, AttributeError, self._driver.library.Error) as err:
                return {"events": False, "text": str(err)}
            self._events.start()
        return {"events": on}

    def _say(self, said: dict[str, Any]) -> None:
        with self._writing, contextlib.suppress(OSError):  # nobody is there any more: our questions end, too
            print(json.dumps(said), file=self._out, flush=True)


def start() -> tuple[Driver | None, dict[str, Any]]:
    """The driver, or what is wrong with it: `trouble` no_library, or as `trouble` says it."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as err:
        return None, {"trouble": "no_library", "text": str(err)}
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as err:
        return None, trouble(err)
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # to read pynvml took 10 MB, which the C library keeps else
    return Driver(nvml), {}


def trouble(err: Any) -> dict[str, Any]:
    """What an NVMLError says of the whole driver: no_driver | refused | no_nvml | mismatch | error."""
    kind = _TROUBLES.get(err.value, "error")
    if err.value in (_NOT_LOADED, _NO_LIBRARY):
        hidden = "refused" if err.value == _NOT_LOADED else "no_nvml"
        kind = hidden if os.path.exists(_MODULE) else "no_driver"
    return {"trouble": kind, "text": str(err)}


def _listed(users: Any) -> dict[int, int]:
    return {user.pid: user.usedGpuMemory or 0 for user in users or ()}


def _address(handle: Any) -> int:
    """What a handle points to: two of the same GPU differ as objects."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def main() -> None:
    """Answer until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a driver's library prints is no answer of ours
    Child(out).run(sys.stdin)


if __name__ == "__main__":
    main()
