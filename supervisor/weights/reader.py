"""Reads what the files of models say (implements ports.Weights): those on this machine, else the one at `source`.

From: the preflight of a swap, `resurgam check`. To: local.py, in a thread of its own with a deadline (a disk that does
not answer keeps the thread, not us), and remote.py. Nothing is loaded, and nothing is kept.
"""

import asyncio
from dataclasses import replace

from supervisor.clock import Clock
from supervisor.facts import SlotModel, WeightsLook
from supervisor.kernel.aside import Aside
from supervisor.units import show_duration
from supervisor.weights import local, remote

MOST_AT_ONCE = 4


class WeightsReader:
    """The files of models."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._aside = clock, Aside("weights")
        self._busy: dict[tuple[str, ...], float] = {}
        """looks that have not come back -> since when (monotonic)"""

    async def look(self, model: SlotModel, within: float = 30.0) -> WeightsLook:
        """What its files say; of `source` where none of them is here. Never raises."""
        end = self._clock.mono() + within
        found = await self._local(model.files, within) if model.files else WeightsLook()
        if found.files or not model.source:
            return found
        there = await self._remote(model.source, max(1.0, end - self._clock.mono()))
        missing = tuple(f"{one}; it was looked for at its source" for one in found.troubles)
        return replace(there, troubles=(*missing, *there.troubles), notes=(*found.notes, *there.notes))

    async def _local(self, files: tuple[str, ...], within: float) -> WeightsLook:
        since = self._busy.get(files)
        if since is not None:
            waits = show_duration(self._clock.mono() - since)
            return WeightsLook(troubles=(f"{files[0]} was asked for {waits} ago, and its disk does not answer",))
        if len(self._busy) >= MOST_AT_ONCE:
            return WeightsLook(notes=(f"{files[0]} was not looked at: {len(self._busy)} others have not answered yet",))
        self._busy[files] = self._clock.mono()
        try:
            task = asyncio.get_running_loop().run_in_executor(self._aside, local.look, files)
        except RuntimeError as err:
            self._busy.pop(files, None)
            return WeightsLook(notes=(f"{files[0]} was not looked at: {err}",))
        task.add_done_callback(lambda _done: self._busy.pop(files, None))
        try:
            async with asyncio.timeout(within):
                return await asyncio.shield(task)
        except TimeoutError:
            return WeightsLook(troubles=(f"{files[0]} could not be read within {show_duration(within)}",))

    async def _remote(self, source: str, within: float) -> WeightsLook:
        try:
            async with asyncio.timeout(within), remote.session() as session:
                return await remote.Remote(session).look(source)
        except TimeoutError:
            return WeightsLook(notes=(f"{remote.shown(source)} did not answer within {show_duration(within)}",))

    def close(self) -> None:
        """Begin nothing more."""
        self._aside.shutdown()
