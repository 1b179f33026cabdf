"""The hands on model servers: picks who knows the server of a model, and asks it (implements ports.ModelServer).

From: maneuvers, the watch of slots, the daemon that wires them. To: the adapters (llama.py, ollama.py, vllm.py and the
described ones), over HTTP. The kind is the declared one, else found out once for each run of a container. Whoever does
not count its requests is judged by the connections to its port.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp

from supervisor import units
from supervisor.clock import Clock
from supervisor.config.files import read_secret
from supervisor.errors import ConfigError, ServerError
from supervisor.facts import Completion, ServerLook, SlotModel
from supervisor.facts.slots import ASLEEP, FAILED, LOADING, UNKNOWN, UNLOADED
from supervisor.kernel.tree import KernelFiles, Tree
from supervisor.ports import ModelAt
from supervisor.servers import asking, finding
from supervisor.servers.adapter import BY_START, LOOK, POLL, Adapter, Pace, rest
from supervisor.servers.completing import complete
from supervisor.servers.connections import connections
from supervisor.servers.door import Door, session
from supervisor.servers.finding import Loading
from supervisor.servers.places import Place
from supervisor.slots.address import upstream

_MOST = 256
"""servers that are remembered"""


class ModelServers:
    """One for all model servers."""

    def __init__(self, clock: Clock, tree: Tree | None = None, poll: float = POLL) -> None:
        """`tree`: the kernel's files, for connections; our own where none is given. `poll`: seconds between two looks
        while something is awaited."""
        self._clock, self._tree = clock, tree if tree is not None else KernelFiles()
        self._adapters: Mapping[str, Adapter] = finding.adapters(clock, poll)
        self._pace = Pace(clock, poll)
        self._session: aiohttp.ClientSession | None = None
        self._found: dict[tuple[object, ...], Adapter] = {}

    def cannot(self, verb: str, model: SlotModel) -> str:
        """Why a verb cannot be done to it, by what is declared alone."""
        if verb in ("sleep", "wake") and not model.sleep:
            return f"{model.name} has no sleep: 1 or 2 in resurgam.yaml"
        if verb in ("load", "unload") and not model.inside:
            return f"{model.name}: {BY_START}"
        declared = self._adapters.get(model.server)
        return declared.cannot(verb, model) if declared is not None else ""

    async def look(self, at: ModelAt, within: float = LOOK) -> ServerLook:
        """How the model stands; unknown, with why, where that cannot be asked."""
        ends = self._clock.mono() + within
        try:
            place, adapter = await self._reached(at, ends)
            seen = await adapter.look(place, max(0.05, ends - self._clock.mono()))
        except Loading:
            return ServerLook(LOADING, "it says that it is loading its model", in_flight=0)
        except ServerError as err:
            self._found.pop(_key(at), None)
            return ServerLook(UNKNOWN, units.plain(str(err).rstrip("."), 300))
        if seen.state == UNKNOWN:
            self._found.pop(_key(at), None)
        seen = replace(seen, text=units.plain(seen.text, 300))
        return seen if seen.in_flight is not None else replace(seen, in_flight=await self._connections(at))

    async def load(self, at: ModelAt, within: float) -> str:
        return await self._do("load", at, within)

    async def unload(self, at: ModelAt, within: float) -> str:
        return await self._do("unload", at, within)

    async def sleep(self, at: ModelAt, within: float) -> str:
        return await self._do("sleep", at, within)

    async def wake(self, at: ModelAt, within: float) -> str:
        return await self._do("wake", at, within)

    async def complete(
        self, at: ModelAt, prompt: str, tokens: int, within: float, *, exact: bool = False
    ) -> Completion:
        """One whole answer, streamed. What a question would load is not asked."""
        ends = self._clock.mono() + within
        place, adapter = await self._reached(at, ends)
        if at.model.inside or not adapter.woken:
            seen = await adapter.look(place, max(0.05, min(LOOK, ends - self._clock.mono())))
            if seen.state in (UNLOADED, FAILED):
                raise ServerError(f"{at.model.name} is not asked, since that would load it: {seen.text}.")
            if seen.state == ASLEEP and not adapter.woken:
                raise ServerError(f"{at.model.name} is not asked while it sleeps: {seen.text}.")
        ways, model = await adapter.ways(place, max(0.05, ends - self._clock.mono()))
        left = max(0.05, ends - self._clock.mono())
        return await complete(place, ways, model, prompt, tokens, left, self._clock, exact=exact)

    async def close(self) -> None:
        """Let go of every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # ------------------------------------------------------------ how

    async def _do(self, verb: str, at: ModelAt, within: float) -> str:
        why = self.cannot(verb, at.model)
        if why:
            raise ServerError(f"{why}.")
        began, ends = self._clock.mono(), self._clock.mono() + within
        while True:
            try:
                place, adapter = await self._reached(at, ends)
                await adapter.look(place, max(0.05, min(LOOK, ends - self._clock.mono())))
                break
            except ServerError as err:  # it may have been started a moment ago
                if verb not in ("load", "wake") or not await rest(began, ends, self._pace):
                    raise ServerError(f"{at.model.name}: {err}") from None
        return units.plain(await adapter.do(verb, place, max(0.05, ends - self._clock.mono())), 300)

    async def _reached(self, at: ModelAt, ends: float) -> tuple[Place, Adapter]:
        """The door to its server, and who knows it. ServerError where there is none, or nobody answers."""
        base, own = address(at)
        key = self._secret(at.model)
        door = Door(self._open(), base, trusted=not own, hidden=key)
        adapter = self._adapters.get(at.model.server) or self._found.get(_key(at))
        if adapter is None:
            left = max(0.05, ends - self._clock.mono())
            adapter = await finding.find(self._adapters, door, key, left, self._clock)
            if len(self._found) >= _MOST:
                self._found.clear()
            self._found[_key(at)] = adapter
        return Place(door, at.model, adapter.headers(key)), adapter

    async def _connections(self, at: ModelAt) -> int | None:
        parts = urlsplit(address(at)[0])
        return await connections(self._tree, at.container, parts.hostname or "", parts.port or 0)

    def _secret(self, model: SlotModel) -> str:
        """Read anew each time, so that a changed key is used at once."""
        try:
            return read_secret(model.key_file) if model.key_file else ""
        except (ConfigError, OSError) as err:
            raise ServerError(f"The key-file of {model.name} cannot be used: {err}") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = session()
        return self._session


def address(at: ModelAt) -> tuple[str, bool]:
    """(`http://host:port` and the declared path, whether it is the container's own). ServerError where nobody can know
    it."""
    base = upstream(at.model, at.needs, at.container)
    if not base:
        where = "it has no container" if at.container is None else "its container has no port that could be meant"
        raise ServerError(f"Nobody knows where the server of {at.model.name} answers: {where}; say url: http://:8000.")
    declared = urlsplit(at.model.url)
    return base + asking.base_of(declared.path), not declared.hostname


def _key(at: ModelAt) -> tuple[object, ...]:
    """One run of one server."""
    box = at.container
    return (at.model.url, at.model.inside, *((box.id, box.started_at) if box is not None else ()))
