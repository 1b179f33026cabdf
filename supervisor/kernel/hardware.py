"""The hands on the machine beyond containers: a card's reset, a restart of the machine, and who has a card open.

From: actions/gpu/, for plans that were admitted and are in the journal. To: `nvidia-smi --gpu-reset -i BUS` and
`systemctl reboot`, as fixed programs with fixed arguments: nothing but a PCI address that was checked goes into them,
no shell stands between, and no program is taken that others could have changed. Who has a card open is read from
/proc/*/fd. A program that does not end in time is asked to end, never killed (that has frozen cards), and left.
"""

import asyncio
import contextlib
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from supervisor import units
from supervisor.errors import HardwareError

SMI, SYSTEMCTL = "nvidia-smi", "systemctl"
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    SMI: ("/usr/bin/nvidia-smi", "/bin/nvidia-smi", "/usr/local/bin/nvidia-smi", "/opt/nvidia/bin/nvidia-smi"),
    SYSTEMCTL: ("/usr/bin/systemctl", "/bin/systemctl"),
}
"""where they may be; the first one that is there"""
RESET, REBOOT = "gpu-reset", "reboot"
ASKED = 60.0
"""seconds for the system to take the wish for a restart"""
LETS_GO = 10.0
"""seconds in which our own process that asks the driver must have closed the card"""
PERSISTENCED = "nvidia-persistenced"
_BUS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_MINOR = re.compile(r"^Device Minor:\s*(\d+)\s*$", re.MULTILINE)
_MAJOR = 195
"""of /dev/nvidia0, /dev/nvidia1 …"""
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_LONGEST = 64 << 10
_LOOK = 0.1


class MachineHardware:
    """Implements ports.Hardware on this machine. The paths are other ones in tests."""

    def __init__(
        self,
        boot: Callable[[], str],
        *,
        programs: Mapping[str, Sequence[str]] = PROGRAMS,
        proc: Path = Path("/proc"),
        run: Path = Path("/run"),
        uid: int | None = None,
        owner: int = 0,
        lets_go: float = LETS_GO,
    ) -> None:
        """`boot`: tells which boot this is. `uid`: who we are, None for the real answer. `owner`: who may have
        put the programs there."""
        self._boot, self._programs, self._proc, self._run = boot, programs, proc, run
        self._uid = os.geteuid() if uid is None else uid
        self._owner, self._lets_go = owner, lets_go

    def boot(self) -> str:
        """Which boot of the machine this is."""
        return self._boot()

    def cannot(self, verb: str, bus_id: str) -> str:
        """Why it cannot be done here, with the cure; '' if it can."""
        if self._uid != 0:
            return f"{verb} needs root, and Resurgam does not run as root"
        if verb == REBOOT:
            if not (self._run / "systemd/system").is_dir():
                return "this machine is not run by systemd, so it is restarted by hand"
            return self._missing(SYSTEMCTL)
        if not _BUS.fullmatch(bus_id):
            return "the PCI address of the card is not known; `resurgam gpu status` lists the cards"
        if not self._folder(bus_id).is_dir():
            return f"NVIDIA's driver knows no card at {bus_id}"
        return self._missing(SMI)

    async def users(self, bus_id: str) -> tuple[str, ...]:
        """Who has the card open, by process id, without children of ours. HardwareError where that cannot be seen."""
        minor = self._minor(bus_id)
        others, _ours = await asyncio.to_thread(self._openers, minor)
        return others

    async def reset_gpu(self, bus_id: str, within: float) -> str:
        """Reset one card. What was said, one line; HardwareError where it was not done."""
        cannot = self.cannot(RESET, bus_id)
        if cannot:
            raise HardwareError(cannot)
        await self._let_go(bus_id)
        return await self._program(SMI, ("--gpu-reset", "-i", bus_id), within)

    async def reboot(self) -> None:
        """Ask the system to restart the machine."""
        cannot = self.cannot(REBOOT, "")
        if cannot:
            raise HardwareError(cannot)
        await self._program(SYSTEMCTL, ("reboot",), ASKED)

    # ------------------------------------------------------------ programs

    def _found(self, name: str) -> str:
        """The path of a program that only root can have put there; '' where there is none."""
        for path in self._programs[name]:
            with contextlib.suppress(OSError):
                about = os.stat(path)
                safe = about.st_uid == self._owner and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                if safe and stat.S_ISREG(about.st_mode) and os.access(path, os.X_OK):
                    return path
        return ""

    def _missing(self, name: str) -> str:
        if self._found(name):
            return ""
        places = ", ".join(self._programs[name])
        return f"{name} was not found as a program of root's that nobody else may change ({places})"

    async def _program(self, name: str, arguments: Sequence[str], within: float) -> str:
        """Run it to its end; its words, one line. HardwareError where it fails, or takes too long."""
        path = self._found(name)
        called = " ".join((name, *arguments))
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        with tempfile.TemporaryFile() as heard:
            try:
                running = _begun([path, *arguments], heard)
            except OSError as err:
                raise HardwareError(f"`{called}` could not be started: {err}") from err
            while (code := running.poll()) is None:
                if loop.time() >= end:
                    running.terminate()
                    text = f"`{called}` did not end within {units.show_duration(within)}"
                    raise HardwareError(f"{text}; it was asked to end, and is left alone")
                await asyncio.sleep(_LOOK)
            heard.seek(0)
            words = heard.read(_LONGEST).decode("utf-8", "replace").split()
        said = units.plain(" ".join(words), 300) or "it said nothing"
        if code != 0:
            raise HardwareError(f"`{called}` failed ({units.exit_words(code)}): {said}")
        return said

    # ------------------------------------------------------------ who has it open

    def _folder(self, bus_id: str) -> Path:
        domain, _, rest = bus_id.partition(":")
        return self._proc / "driver/nvidia/gpus" / f"{int(domain, 16):04x}:{rest}"

    def _minor(self, bus_id: str) -> int:
        """The number of its device file. HardwareError where the driver does not tell."""
        if not _BUS.fullmatch(bus_id):
            raise HardwareError("the PCI address of the card is not known")
        file = self._folder(bus_id) / "information"
        try:
            with file.open("rb") as opened:
                found = _MINOR.search(opened.read(_LONGEST).decode("utf-8", "replace"))
        except OSError as err:
            raise HardwareError(f"NVIDIA's driver does not tell of the card at {bus_id}: {err.strerror}") from err
        if found is None:
            raise HardwareError(f"NVIDIA's driver does not tell which device file is that of {bus_id}")
        return int(found[1])

    async def _let_go(self, bus_id: str) -> None:
        """Wait until nobody has it open, us included. HardwareError where somebody has."""
        minor, loop = self._minor(bus_id), asyncio.get_running_loop()
        end = loop.time() + self._lets_go
        while True:
            others, ours = await asyncio.to_thread(self._openers, minor)
            if others:
                raise HardwareError(f"it is used by {units.plain(', '.join(others), 300)}")
            if not ours:
                return
            if loop.time() >= end:
                raise HardwareError(f"our own process that asks the driver has it open and does not go ({ours[0]})")
            await asyncio.sleep(0.1)

    def _openers(self, minor: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(others, children of ours) that have the device file open, by process id."""
        others: list[str] = []
        ours: list[str] = []
        own, hidden = os.getpid(), 0
        for pid in sorted(int(name) for name in _names(self._proc) if name.isdecimal()):
            try:
                open_here = self._has_open(pid, minor)
            except PermissionError:
                hidden += 1
                continue
            if open_here:
                (ours if pid == own or self._parent(pid) == own else others).append(self._shown(pid))
        if hidden:
            text = f"the open files of {hidden} processes cannot be seen"
            raise HardwareError(f"{text}, so nobody knows who uses the card")
        return tuple(others), tuple(ours)

    def _has_open(self, pid: int, minor: int) -> bool:
        folder = self._proc / str(pid) / "fd"
        try:
            names = os.listdir(folder)
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            return False  # it ended meanwhile
        for name in names:
            path = folder / name
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                # by its name first: a look at a file on a disk that hangs would hang us
                if os.readlink(path).startswith("/dev/") and _is(os.stat(path), minor):
                    return True
        return False

    def _parent(self, pid: int) -> int:
        try:
            text = (self._proc / str(pid) / "stat").read_text("utf-8", "replace")
            return int(text.rpartition(")")[2].split()[1])  # behind the name, which may hold anything
        except (OSError, ValueError, IndexError):
            return 0

    def _shown(self, pid: int) -> str:
        try:
            name = units.plain((self._proc / str(pid) / "comm").read_text("utf-8", "replace").strip(), 64)
        except OSError:
            name = ""
        return f"{name or 'a process'} (pid {pid})"


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as err:
        raise HardwareError(f"nobody can see who uses the card: {err}") from err


def _is(about: os.stat_result, minor: int) -> bool:
    device = about.st_rdev
    return stat.S_ISCHR(about.st_mode) and (os.major(device), os.minor(device)) == (_MAJOR, minor)


def _begun(argv: Sequence[str], heard: IO[bytes]) -> "subprocess.Popen[bytes]":
    """The program, running. Not asyncio's: that one kills what still runs when its loop ends, in the midst of a
    reset."""
    return subprocess.Popen(  # noqa: S603 - fixed programs of root's, and a PCI address that was checked
        argv,
        stdin=subprocess.DEVNULL,
        stdout=heard,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=_ENVIRONMENT,
        cwd="/",
    )
