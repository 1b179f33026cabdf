"""Text files with samples, read for ever, as node_exporter's textfile collector does: `*.prom` in one folder.

From: whoever writes there (a cron job, a backup script), by renaming a finished file into place. To: the core, one
Readings fact of the collector `textfile` per round with all that the folder holds. A file with a mistake is left out
whole and sets node_textfile_scrape_error; the others are taken.
"""

import asyncio
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from supervisor import units
from supervisor.clock import Clock
from supervisor.facts import Readings, Sample, TargetState, labels
from supervisor.kernel.aside import Aside
from supervisor.ports import Submit
from supervisor.signals.scrapes import series
from supervisor.signals.scrapes.relabel import dress
from supervisor.signals.scrapes.text import Unreadable, parse

COLLECTOR = "textfile"
LATE = 10.0
"""seconds after which a folder that does not answer counts as broken; it is asked again once it has answered"""
FILES, SIZE, SERIES = 500, 1 << 20, 5_000
"""files in the folder, bytes and series of one file"""
_NAMED = 3
if sys.platform == "linux":
    _HOLD, _HELD = os.O_PATH, "/proc/self/fd/{}"
else:
    _HOLD, _HELD = os.O_RDONLY | os.O_NONBLOCK, ""
"""how a file is held that is not opened yet, and what it is opened by then"""

Key = tuple[int, int, int]
"""what tells that a file is another one, or was written to"""


@dataclass(slots=True)
class Folder:
    """What one look at the folder found."""

    samples: list[Sample] = field(default_factory=list)
    mtimes: dict[str, float] = field(default_factory=dict)
    """path -> unix seconds, of the files that were taken"""
    wrong: list[str] = field(default_factory=list)
    left_out: int = 0


class TextFiles:
    """Reads one folder for ever."""

    def __init__(
        self,
        folder: str,
        submit: Submit,
        clock: Clock,
        ours: Callable[[str], bool],
        every: float = series.EVERY,
        begin: Callable[[Callable[[], Folder]], asyncio.Future[Folder]] | None = None,
    ) -> None:
        """`ours`: tells the names of metrics that are made here, which no file may speak. `begin`: starts the look;
        None: in a thread of its own."""
        self._folder, self._submit, self._clock, self._ours, self._every = folder, submit, clock, ours, every
        self._known: dict[str, tuple[Key, list[Sample], int]] = {}
        self._pool = Aside("textfile")
        self._begin = begin or (lambda work: asyncio.get_running_loop().run_in_executor(self._pool, work))
        self._under_way: asyncio.Future[Folder] | None = None

    async def run(self) -> None:
        """Look, tell, wait."""
        while True:
            began = self._clock.mono()
            found = await self._look()
            self._submit(self._fact(found, self._clock.mono() - began))
            await asyncio.sleep(max(0.0, self._every - (self._clock.mono() - began)))

    async def _look(self) -> Folder:
        """In a thread: the folder may lie on a disk that does not answer. At most one thread hangs in it."""
        if self._under_way is None:
            self._under_way = self._begin(self._read)
        try:
            found = await asyncio.wait_for(asyncio.shield(self._under_way), LATE)
        except TimeoutError:
            return Folder(wrong=[f"{self._folder} does not answer; see what its disk is doing"])
        self._under_way = None
        return found

    def _fact(self, found: Folder, seconds: float) -> Readings:
        now, mono = self._clock.wall(), self._clock.mono()
        own = [Sample(labels(series.MTIME, file=path), at) for path, at in sorted(found.mtimes.items())]
        own.append(Sample(labels(series.BROKEN), float(bool(found.wrong))))
        more = f" (and {len(found.wrong) - _NAMED} more)" if len(found.wrong) > _NAMED else ""
        said = units.plain("; ".join(found.wrong[:_NAMED]), 400) + more
        if not said and found.left_out:
            said = f"{found.left_out} samples are left out, as their names are made here"
        state = TargetState(
            COLLECTOR, self._folder, not found.wrong, now, seconds, len(found.samples), found.left_out, text=said
        )
        return Readings(now, mono, COLLECTOR, tuple(own), brought=tuple(found.samples), whole=True, target=state)

    # ------------------------------------------------------------ in the thread

    def _read(self) -> Folder:
        found = Folder()
        try:
            with os.scandir(self._folder) as entries:
                names = sorted(one.name for one in entries if one.name.endswith(".prom") and one.name[0] != ".")
        except OSError as err:
            found.wrong.append(f"{self._folder} cannot be listed: {err.strerror}")
            return found
        if len(names) > FILES:
            found.wrong.append(f"{self._folder} has more than {FILES} files; only the first of them are read")
        before, self._known = self._known, {}
        for name in names[:FILES]:
            path = os.path.join(self._folder, name)
            try:
                key, samples, left = self._one(path, before.get(path))
            except FileNotFoundError:
                continue  # it was renamed between the two looks
            except (OSError, Unreadable) as err:
                why = err.strerror if isinstance(err, OSError) else str(err)
                found.wrong.append(f"{path} is left out: {why}")
                continue
            self._known[path] = (key, samples, left)
            found.samples += samples
            found.mtimes[path] = key[0] / 1e9
            found.left_out += left
        return found

    def _one(self, path: str, before: tuple[Key, list[Sample], int] | None) -> tuple[Key, list[Sample], int]:
        """One file; the same samples again where it is as it was. It is held first, looked at, and only then opened, by
        what is held: a pipe would keep us waiting for its writer, and to open a device can do harm."""
        held = os.open(path, _HOLD | os.O_CLOEXEC)
        try:
            facts = os.fstat(held)
            key = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if before is not None and before[0] == key:
                return before
            if not stat.S_ISREG(facts.st_mode):
                raise Unreadable("it is no plain file")
            with open(_HELD.format(held) if _HELD else os.dup(held), "rb") as opened:
                data = opened.read(SIZE + 1)
        finally:
            os.close(held)
        if len(data) > SIZE:
            raise Unreadable(f"it is longer than {units.show_size(SIZE)}")
        dressed = dress(parse(data, "", SERIES), {}, ours=self._ours)
        return key, dressed.samples, dressed.refused
