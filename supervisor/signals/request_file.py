"""Request files: a container that shares a folder with this machine asks there for its project to be recreated.

From: one stat a second of one name in each configured folder (`requests:`). To: the core, as a command through the door
`file`, once per request; its id is the file's identity, which the core keeps, so that neither a kill nor a file that
cannot be removed makes it act twice. Whoever writes in the folder is not trusted: nothing is opened but a compose file
that the configuration names, no link is followed, no folder is listed, and what a request asks for is fixed.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from supervisor.clock import Clock
from supervisor.config.settings import RequestSettings
from supervisor.errors import ConfigError, UsageError
from supervisor.facts import Command, Decision, Json
from supervisor.ports import Ask
from supervisor.units import plain
from supervisor.verdicts import Reason, Verdict, no

EVERY = 1.0
"""seconds between two looks"""
STALE = 600.0
"""seconds after which a request is not obeyed any more"""
PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""seconds between two decisions: whoever writes the file again and again fills no journal. After a few refusals in a
row they double, or somebody in the container could ask people the whole night"""
_PATIENCE = 3
AGAIN = 15.0
"""seconds until a request is put again that could not be decided on"""
LATER = (Reason.NOT_READY, Reason.STOPPING, Reason.JOURNAL_FAILED, Reason.ENGINE_ABSENT)
"""refusals that end by themselves: they do not use a request up"""
_LONGEST = 1500

Widening = Callable[[str, Json], Awaitable[str]]
"""what of these compose services would widen the rights of this project's containers, in words; '' for nothing"""
Reader = Callable[[str], Json]
"""the compose services in a file, by absolute path: compose service name -> service; ConfigError with every mistake"""


@dataclass(frozen=True, slots=True)
class Found:
    """A request file as it stands there."""

    identity: str
    """device, inode, time of change and size: another file, or the same one written again, is another request"""
    written: float
    """unix seconds"""
    is_file: bool = True
    """a plain file, and no link, pipe, device or folder"""


class Folder(Protocol):
    """One folder in which requests are made (real: SharedFolder, simulated: the lab)."""

    name: str
    """the request file, as people are told"""

    async def look(self) -> Found | None:
        """The request that is there. Never raises, never waits for whoever writes there."""

    async def remove(self, found: Found) -> None:
        """Take the file away if it is still this one and if we may."""

    async def compose(self) -> Json:
        """What the compose file beside it says, resolved. ConfigError with every mistake."""


class SharedFolder:
    """A real folder. Looks run on a thread: it may lie on a file server that hangs."""

    def __init__(self, entry: RequestSettings, read: Reader) -> None:
        self._folder, self._file = entry.folder, entry.file
        self._compose = os.path.join(entry.folder, entry.compose) if entry.compose else ""
        self._read = read
        self.name = os.path.join(entry.folder, entry.file)

    async def look(self) -> Found | None:
        return await asyncio.get_running_loop().run_in_executor(None, self._look)

    async def remove(self, found: Found) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._remove, found)

    async def compose(self) -> Json:
        return await asyncio.get_running_loop().run_in_executor(None, self._read, self._compose)

    def _look(self) -> Found | None:
        with contextlib.suppress(OSError), _opened(self._folder) as folder:
            facts = os.stat(self._file, dir_fd=folder, follow_symlinks=False)
            identity = f"{facts.st_dev}:{facts.st_ino}:{facts.st_mtime_ns}:{facts.st_size}"
            return Found(identity, facts.st_mtime, stat.S_ISREG(facts.st_mode))
        return None

    def _remove(self, found: Found) -> None:
        with contextlib.suppress(OSError), _opened(self._folder) as folder:
            if self._look() == found:
                os.unlink(self._file, dir_fd=folder)


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class RequestWatch:
    """Looks after one folder. `widening`: asked before a compose file is applied; None where nobody can tell."""

    entry: RequestSettings
    folder: Folder
    ask: Ask
    clock: Clock
    widening: Widening | None = None
    trouble: str = field(default="", init=False)
    """a request file that is there, was decided on and cannot be removed, in words"""
    _since: float | None = field(default=None, init=False)
    """monotonic instant at which a request was seen first"""
    _done: str = field(default="", init=False)
    _not_before: float = field(default=0.0, init=False)
    _refused_in_row: int = field(default=0, init=False)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """One look: a request that is new and has waited out its grace is put to the core."""
        found = await self.folder.look()
        if found is None or found.identity == self._done:
            self._since = None
            if found is None:
                self.trouble = ""
            return
        now = self.clock.mono()
        if self._since is None:
            self._since = now
        refused = self._refused(found)
        if refused is None and now - self._since < self.entry.grace:
            return
        if now >= self._not_before:
            await self._put(found, refused)

    def _refused(self, found: Found) -> Verdict | None:
        name = self.folder.name
        if not found.is_file:
            return no(Reason.BAD_PARAMETER, f"{name} is a link, a pipe or a folder; a request is a plain file.")
        age = self.clock.wall() - found.written
        if age > STALE:
            text = f"The request {name} is {age / 60:.0f} minutes old; only a fresh one is obeyed. Write it anew."
            return no(Reason.STALE, text)
        return None

    async def _put(self, found: Found, refused: Verdict | None) -> None:
        """Ask the core, and take the file away once it was decided on."""
        document: Json = {}
        widens = ""
        target = f"project:{self.entry.project}"
        if refused is None and self.entry.compose:
            try:
                document = await self.folder.compose()
                widens = await self.widening(target, document) if self.widening is not None else ""
            except UsageError as err:
                said = "; ".join(map(str, err.mistakes)) if isinstance(err, ConfigError) else str(err)
                text = plain(said, _LONGEST)
                refused = no(Reason.BAD_PARAMETER, f"The compose file is not applied, nothing was touched: {text}")
        command = Command(
            self.clock.wall(),
            self.clock.mono(),
            "phoenix",
            target,
            {"image": "current"},
            f"request:{self.entry.project}",
            "file",
            f"{self.folder.name}|{found.identity}",
            document=document,
            widens=widens,
            refused=refused,
        )
        decision: Decision = await self.ask(command)
        busy = decision.verdict.reason is Reason.BUSY and not decision.intent.verb
        if busy or decision.verdict.reason in LATER:
            self._not_before = self.clock.mono() + AGAIN
            return
        self._done, self._since = found.identity, None
        quiet = self.clock.mono() - self._not_before > 2 * LONGEST_PAUSE
        self._refused_in_row = 0 if decision.verdict.ok else 1 if quiet else self._refused_in_row + 1
        doubled = 1 << min(10, max(0, self._refused_in_row - _PATIENCE))
        self._not_before = self.clock.mono() + min(LONGEST_PAUSE, PAUSE * doubled)
        await self.folder.remove(found)
        if await self.folder.look() == found:
            self.trouble = f"{self.folder.name} cannot be removed by us; it is not obeyed twice. Remove it."
