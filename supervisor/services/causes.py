"""Causes: what is most likely behind a death, a failed start or a failing health check, and what to do about it.

In: what the engine says (exit code, `State.Error`, the output of the health check), the verdict on a kill for want of
memory (services/oom), and the last lines of a log.
Out: a `Cause`, one word and one sentence. Pure; services/trouble.py keeps them for a service, incidents/remedies.py
says which verbs are of no use against them. The engine's sentences are those of Docker 20.10 to 29.

What the engine says may change what is done. A log is written by the container itself: it makes the word people read
more precise (`of_log`), and never decides anything.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import MemoryBudget
from supervisor.services.oom import words
from supervisor.services.oom.kill import Oom

OOM, CRASH, KILLED, BAD_COMMAND, APP, ENDED = "oom", "crash", "killed", "bad_command", "app", "ended"
UNHEALTHY, CHECK_BROKEN, GPU_LOST = "unhealthy", "check_broken", "gpu_lost"
PORT_HELD, ADDRESS_HELD, GPU_RUNTIME, GPU_MEMORY = "port_held", "address_held", "gpu_runtime", "gpu_memory"
DEVICE_MISSING, IMAGE_GONE, DISK_FULL, MOUNT_MISSING = "device_missing", "image_gone", "disk_full", "mount_missing"
NAMESPACE_GONE, NETWORK_GONE, ENGINE_NETWORK, START_FAILED = (
    "namespace_gone",
    "network_gone",
    "engine_network",
    "start_failed",
)

DEATHS = (OOM, CRASH, KILLED, BAD_COMMAND, APP, ENDED)
"""how it ended"""
STARTS = (
    PORT_HELD,
    ADDRESS_HELD,
    GPU_RUNTIME,
    DEVICE_MISSING,
    IMAGE_GONE,
    DISK_FULL,
    MOUNT_MISSING,
    NAMESPACE_GONE,
    NETWORK_GONE,
    ENGINE_NETWORK,
    BAD_COMMAND,
    START_FAILED,
)
"""why the engine could not start it"""
CHECKS = (UNHEALTHY, CHECK_BROKEN)
"""what its own health check says"""
HOST = (DISK_FULL, GPU_RUNTIME, DEVICE_MISSING, ENGINE_NETWORK)
"""the trouble is the machine's, not the service's: whatever is done to the container changes nothing"""
TOLD = tuple(dict.fromkeys((*DEATHS, *STARTS, *CHECKS)))
"""what the engine tells"""
WORDS = (*TOLD, GPU_MEMORY, GPU_LOST)
"""the closed list"""

_CRASHES = (4, 5, 6, 7, 8, 11, 31)
_SIGILL, _SIGKILL = 4, 9
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Cause:
    """One likely cause. `text` is one sentence that ends with what to do next."""

    word: str
    text: str

    @property
    def scope(self) -> str:
        """host | service: whose trouble it is."""
        return "host" if self.word in HOST else "service"


# ---------------------------------------------------------------- deaths


def of_death(code: int | None) -> Cause:
    """The cause of a death by its exit code, where no kill for want of memory has to do with it."""
    how = units.exit_words(code)
    number = code - 128 if code is not None and 128 < code <= 192 else 0
    if number == _SIGILL:
        text = f"It used an instruction that this CPU does not have: {how}; use an image that is built for this CPU."
        return Cause(CRASH, text)
    if number in _CRASHES:
        return Cause(CRASH, f"It crashed: {how}; compare its image with the one that ran well.")
    if number == _SIGKILL:
        text = f"Something outside killed it: {how}, and no kill for want of memory is known; look for who did it."
        return Cause(KILLED, text)
    if code in (126, 127):
        why = "is not allowed to run" if code == 126 else "is not there"
        return Cause(BAD_COMMAND, f"Its command, or one it calls, {why} in its image: {how}; mend the command.")
    if code == 0:
        return Cause(ENDED, "It ended by itself without an error (exit 0); see why it has no more to do.")
    return Cause(APP, f"It ended by itself with an error: {how}; see its last lines.")


def of_death_unseen() -> Cause:
    """It died while nobody looked, and runs again: its exit code is lost."""
    return Cause(ENDED, "It ended by itself while nobody looked, and the engine started it again; see its last lines.")


def of_oom(service: str, oom: Oom, budget: MemoryBudget | None = None) -> Cause:
    """The kernel killed it, or a process in it, for want of memory: by the verdict on that kill."""
    return Cause(OOM, words.of_trouble(service, oom, budget))


# ---------------------------------------------------------------- starts

_PORTS = (
    re.compile(r"Bind for \S*:(\d+) failed: port is already allocated"),
    re.compile(r"listen (?:tcp|udp|sctp)\d? \S*:(\d+): bind: address already in use"),
    re.compile(r"failed to bind host port(?: for)? (?:\[[^\]]*\]|[\d.]*):(\d+)"),
    re.compile(r"exposing port \w+ \S*:(\d+) ->"),
)
_DEVICE = re.compile(r'custom device "([^"]{1,100})"')
_PATH = re.compile(r'error mounting "([^"]{1,200})"|source path does not exist: (\S{1,200})|mount (\S{1,200}): no such')
_PORT_WORDS = ("port is already allocated", "bind: address already in use", "failed to bind host port", "ports are not")
_GPU_WORDS = ("could not select device driver", "nvidia-container-cli", "nvml error", "nvidia-container-runtime")
_BRIDGE_WORDS = ("could not find bridge", "iptables failed", "unable to enable", "unable to insert jump", "ip6tables")
_SPACE_WORDS = ("no space left on device", "disk quota exceeded")
_JOIN_WORDS = ("cannot join", "no such container", "joining network namespace", "non running container")
_MOUNT_WORDS = (
    "error while mounting volume",
    "failed to mount local volume",
    "error mounting",
    "bind source path does not exist",
    "error while creating mount source path",
    "invalid mount config",
)
_COMMAND_WORDS = ("executable file not found", "exec format error", "no such file or directory", "permission denied")


def of_start(error: str, holder: str = "") -> Cause:
    """The cause of a failed start by the engine's own sentence (`State.Error`). `holder`: who is known to have the port
    that `port_of` found, '' for nobody we know."""
    low, said = error.lower(), units.plain(error, _SHOWN)
    if any(word in low for word in _SPACE_WORDS):
        return Cause(DISK_FULL, "The disk is full, so the engine cannot start it; free some space, then start it.")
    if any(word in low for word in _PORT_WORDS):
        return _held_port(port_of(error), holder)
    if low.rstrip(".").endswith("address already in use"):
        return Cause(ADDRESS_HELD, "Its fixed IP address belongs to another container; stop that one first.")
    if any(word in low for word in _BRIDGE_WORDS):
        text = f"The engine's own network is broken ({said}); restart the engine: `systemctl restart docker`."
        return Cause(ENGINE_NETWORK, text)
    if any(word in low for word in _GPU_WORDS) or "cdi device" in low or "unknown or invalid runtime" in low:
        text = f"The GPU runtime does not work on this machine ({said}); mend the driver or the container toolkit."
        return Cause(GPU_RUNTIME, text)
    if "no such image" in low:
        return Cause(IMAGE_GONE, "Its image is gone from this machine; pull or build it again.")
    if "gathering device information" in low:
        found = _DEVICE.search(error)
        device = units.plain(found.group(1), 100) if found else "a device"
        return Cause(DEVICE_MISSING, f"{device} is not there on this machine; plug it in, or load its driver.")
    if any(word in low for word in _MOUNT_WORDS):
        found = _PATH.search(error)
        path = next((units.plain(part, 100) for part in found.groups() if part), "") if found else ""
        what = f"{path} cannot be mounted" if path else "Something it mounts is not there"
        return Cause(MOUNT_MISSING, f"{what} ({said}); mount or make it, then start it.")
    return _joined_or_command(error, low, said)


def _joined_or_command(error: str, low: str, said: str) -> Cause:
    if any(word in low for word in _JOIN_WORDS) or re.fullmatch(r"container [0-9a-f]{64} is not running", low):
        text = "The container whose network, pid or ipc it shares is down or was made anew; recreate it after that one."
        return Cause(NAMESPACE_GONE, text)
    if re.search(r"network \S+ not found", low):
        return Cause(NETWORK_GONE, "A network it belongs to was removed; make it again: `docker compose up -d`.")
    if any(word in low for word in _COMMAND_WORDS):
        why = "is built for another kind of CPU" if "exec format error" in low else "cannot be run"
        return Cause(BAD_COMMAND, f"Its command {why} ({said}); mend the command or the image.")
    return Cause(START_FAILED, f"The engine could not start it: {said}. Mend that, then start it.")


def port_of(error: str) -> int:
    """The host port that a failed start names; 0 for none."""
    for pattern in _PORTS:
        found = pattern.search(error)
        if found is not None:
            return int(found.group(1))
    return 0


def _held_port(port: int, holder: str) -> Cause:
    what = f"Port {port} of this machine" if port else "A port it publishes"
    if holder:
        return Cause(PORT_HELD, f"{what} is held by {holder}; it is started as soon as that one lets go of it.")
    look = f"`ss -ltnp 'sport = :{port}'`" if port else "`ss -ltnp`"
    return Cause(PORT_HELD, f"{what} is held by something that is no container; {look} shows what: end it.")


# ---------------------------------------------------------------- health checks and logs


def of_check(output: str, broken: str = "") -> Cause:
    """What a failing health check says by its own output. `broken`: why it cannot run at all (services/checks.py): then
    it says nothing about the service."""
    if broken:
        text = f"Its health check cannot run ({broken}); that tells nothing of the service: mend the check."
        return Cause(CHECK_BROKEN, text)
    said = units.plain(units.mask(output.strip()), _SHOWN)
    return Cause(UNHEALTHY, f"Its own health check fails{f' ({said})' if said else ''}; see its last lines.")


_LOG: tuple[tuple[str, str, str], ...] = (
    ("failed to initialize nvml: unknown error", GPU_LOST, "it lost its GPU while it ran; a restart gives it back"),
    ("failed to initialize nvml", GPU_RUNTIME, "the GPU driver does not answer; look at `nvidia-smi` on this machine"),
    ("cuda driver version is insufficient", GPU_RUNTIME, "the GPU driver is too old for the image; update the driver"),
    ("no cuda-capable device is detected", GPU_RUNTIME, "it finds no GPU; look at `nvidia-smi` on this machine"),
    ("nvidia-container-cli", GPU_RUNTIME, "the GPU runtime does not work; mend the driver or the container toolkit"),
    ("cuda out of memory", GPU_MEMORY, "the GPU's memory is too small for it now; see who else uses that GPU"),
    ("cuda error: out of memory", GPU_MEMORY, "the GPU's memory is too small for it now; see who else uses that GPU"),
    ("cudamalloc failed: out of memory", GPU_MEMORY, "the GPU's memory is too small now; see who else uses that GPU"),
    ("desired gpu memory utilization", GPU_MEMORY, "too little GPU memory is free for it; see who else uses that GPU"),
    ("no space left on device", DISK_FULL, "a disk it writes to is full; free some space"),
    ("address already in use", PORT_HELD, "a port it listens on is held by something else; see `ss -ltnp`"),
    ("exec format error", BAD_COMMAND, "its program is built for another kind of CPU; use an image for this one"),
)
"""(what a line contains, the word, what that means)"""


def of_log(lines: Sequence[str]) -> Cause | None:
    """What the last lines of a log suggest, the last one that says anything; None for nothing. The container wrote
    them: for people to read, and no reason to do anything."""
    for line in reversed(lines):
        low = line.lower()
        for part, word, meaning in _LOG:
            if part in low:
                return Cause(word, f"By its own log, {meaning}.")
    return None
