"""The looks that follow events: an inspect per container that changed, and the references that moved.

From: signals/docker.py, which notes what changed and goes on reading. To: the core, as Looked and ImageRef facts.
Many events about one container become one look; two looks at one container never overtake each other.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping

from supervisor import units
from supervisor.clock import Clock
from supervisor.errors import EngineError, EngineGone
from supervisor.facts import Container, EngineEvent, ImageRef, Looked
from supervisor.ports import Engine, Submit

LOG_LINES, LOG_WIDTH = 50, 500
WORKERS = 3
"""looks under way at once: one slow inspect holds up neither the others nor the engine"""


class Looks:
    """Inspects containers that events spoke of. `resweep` is rung for a look that the engine did not answer."""

    def __init__(self, engine: Engine, submit: Submit, clock: Clock, resweep: Callable[[], None]) -> None:
        self._engine, self._submit, self._clock, self._resweep = engine, submit, clock, resweep
        self._pending: OrderedDict[str, bool] = OrderedDict()
        """container id -> whether its log is wanted (it died)"""
        self._busy: set[str] = set()
        self._bell = asyncio.Event()
        self.running: dict[str, Container] = {}
        """the containers that run, by id, as last seen: what the stats go through"""
        self.some = asyncio.Event()
        """set once a running container was seen"""

    def want(self, container_id: str, log: bool) -> None:
        """Look at this container soon, with the tail of its log if it died."""
        self._pending[container_id] = self._pending.get(container_id, False) or log
        self._bell.set()

    def saw(self, containers: tuple[Container, ...]) -> None:
        """A sweep showed everything."""
        self.running = {one.id: one for one in containers if one.running}
        if self.running:
            self.some.set()

    async def work(self) -> None:
        """One worker; run WORKERS of them."""
        while True:
            found = self._next()
            if found is None:
                self._bell.clear()
                await self._bell.wait()
                continue
            container_id, log = found
            self._busy.add(container_id)
            try:
                await self._look(container_id, log)
            finally:
                self._busy.discard(container_id)
                self._bell.set()

    def _next(self) -> tuple[str, bool] | None:
        for container_id in self._pending:
            if container_id not in self._busy:
                return container_id, self._pending.pop(container_id)
        return None

    async def _look(self, container_id: str, log: bool) -> None:
        try:
            container = await self._engine.inspect(container_id)
            lines = await self._engine.logs(container_id, LOG_LINES) if log and container else ()
        except EngineGone:
            raise  # the session is over; the sweep after the next one shows it
        except EngineError:
            self._resweep()  # at once: the event may have been the only sign that something runs
            return
        if container is not None and container.running:
            self.running[container_id] = container
            self.some.set()
        else:
            self.running.pop(container_id, None)
        kept = tuple(units.plain(units.mask(line), LOG_WIDTH) for line in lines[-LOG_LINES:])
        self._submit(Looked(self._clock.wall(), self._clock.mono(), self._engine.name, container_id, container, kept))


class Refs:
    """Follows which image each reference stands for. The first map is only learned; later differences are facts."""

    def __init__(self, engine: Engine, submit: Submit, clock: Clock) -> None:
        self._engine, self._submit, self._clock = engine, submit, clock
        self._known: dict[str, str] | None = None
        self._bell = asyncio.Event()

    def note(self, event: EngineEvent) -> None:
        """An image event. A `tag` names the reference and the image, so it is told at once; the others (an `untag`
        names no reference) are found by comparing."""
        ref = event.attributes.get("name", "")
        if event.kind == "tag" and ref and self._known is not None and self._known.get(ref) != event.object_id:
            self._known[ref] = event.object_id
            self._tell(ref, event.object_id)
        self._bell.set()

    def look(self) -> None:
        """Compare again soon."""
        self._bell.set()

    async def work(self) -> None:
        """Compare whenever something was noted."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            self._compare(await self._engine.images())

    def _compare(self, now: Mapping[str, str]) -> None:
        before, self._known = self._known, dict(now)
        if before is None:
            return
        for ref in sorted({**before, **now}):
            if before.get(ref, "") != now.get(ref, ""):
                self._tell(ref, now.get(ref, ""))

    def _tell(self, ref: str, image_id: str) -> None:
        self._submit(ImageRef(self._clock.wall(), self._clock.mono(), self._engine.name, ref, image_id))
