"""The gates of slots in a simulated world, and the callers that come to them.

From: whoever says what each door does; callers, who count what becomes of their requests. To: lab/models.py, which
answers. Who may go in is decided by the real gate's own lobby; only the bytes are missing. A gate belongs to one life
of the daemon and dies with it: those who wait and those inside are reset. The callers live on, and come again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.facts import Completion, GateState, Slot
from supervisor.gate.lobby import Lobby
from supervisor.gate.visit import Gone, Turned, Visit
from supervisor.gate.watch import GateWatch
from supervisor.ports import Submit

Serve = Callable[[str, int], Awaitable[Completion]]
"""a request to `http://host:port` for so many tokens. ConnectionRefusedError, at once: nothing was sent; ServerError:
no whole answer"""
OK, TURNED, CUT, FAILED, RESET, AWAY = "ok", "turned", "cut", "failed", "reset", "away"
KINDS = (OK, TURNED, CUT, FAILED, RESET, AWAY)
"""a whole answer | 503 | the gate ended it on demand | its model server did | the daemon died | nobody listens"""


class CutShort(Exception):
    """The gate ended the request on demand, and said so."""


class SimGate:
    """Implements ports.Gate for one life of the daemon."""

    def __init__(
        self,
        slots: Iterable[Slot],
        clock: Clock,
        submit: Submit,
        serve: Serve,
        check: Callable[[], None] = lambda: None,
        point: Callable[[], None] = lambda: None,
    ) -> None:
        """`check`: raises in a life that is over; `point`: a numbered place at which the daemon may be killed."""
        self._clock, self._serve, self._check, self._point = clock, serve, check, point
        self._lobbies: dict[str, Lobby] = {}
        self._watch = GateWatch(self._states, submit, clock)
        self._calls: dict[asyncio.Task[Completion], None] = {}
        self._waiting: dict[asyncio.Task[Completion], None] = {}
        self.told: list[tuple[str, str, str]] = []
        """every effect so far: (hold | open | refuse | cut, slot, why or upstream)"""
        self.over = False
        self.declare(slots)

    # ------------------------------------------------------------ ports.Gate

    def state(self, slot: str) -> GateState | None:
        """How it stands now; None where the slot has no gate."""
        lobby = self._lobbies.get(slot)
        return lobby.state() if lobby is not None else None

    def hold(self, slot: str, why: str) -> None:
        """New requests wait."""
        self._tell("hold", slot, why, lambda lobby: lobby.hold(why))

    def open(self, slot: str, upstream: str) -> None:
        """Requests go there."""
        self._tell("open", slot, upstream, lambda lobby: lobby.open(upstream))

    def refuse(self, slot: str, why: str, after: float) -> None:
        """Everybody is sent away."""
        self._tell("refuse", slot, why, lambda lobby: lobby.refuse(why, after))

    def cut(self, slot: str) -> int:
        """End what is inside."""
        ended: list[int] = []
        self._tell("cut", slot, "", lambda lobby: ended.append(lobby.cut()))
        return ended[0] if ended else 0

    def _tell(self, what: str, slot: str, more: str, effect: Callable[[Lobby], None]) -> None:
        self._check()
        lobby = self._lobbies.get(slot)
        if lobby is None:
            return
        known = (lobby.mode, lobby.upstream if what == "open" else lobby.why)
        if known == (what, more):
            return  # nothing changes, so there is nothing to be killed in
        self._point()
        self.told.append((what, slot, more))
        effect(lobby)
        self._point()

    # ------------------------------------------------------------ its life

    def declare(self, slots: Iterable[Slot]) -> None:
        """These slots are declared now."""
        wanted = {slot.name: slot for slot in slots if slot.listen}
        for name in tuple(self._lobbies):
            if name not in wanted:
                self._lobbies.pop(name).refuse("its gate is no more", 1.0)
        for name, slot in wanted.items():
            if name in self._lobbies:
                self._lobbies[name].slot = slot
            else:
                self._lobbies[name] = Lobby(slot, self._clock, self._watch.ring)
        self._watch.ring()

    async def run(self) -> None:
        """Tell how they stand."""
        while True:
            self._check()
            self._watch.tell()
            await self._watch.pause()

    def end(self) -> None:
        """The daemon died: nobody listens, and every request is reset."""
        self.over = True
        for lobby in self._lobbies.values():
            lobby.close()
        for task in (*self._waiting, *self._calls):
            task.cancel()

    def _states(self) -> list[tuple[Lobby, GateState]]:
        return [(lobby, lobby.state()) for lobby in self._lobbies.values()]

    # ------------------------------------------------------------ callers

    async def call(self, slot: str, tokens: int = 16) -> Completion:
        """One request of a caller. ConnectionRefusedError: nobody listens; Turned: 503; CutShort; ServerError: its
        model server broke off; ConnectionResetError: the daemon died meanwhile."""
        if self.over or slot not in self._lobbies:
            raise ConnectionRefusedError(slot)
        request = asyncio.get_running_loop().create_task(self._ask(self._lobbies[slot], tokens))
        self._waiting[request] = None
        try:
            return await request
        except asyncio.CancelledError:
            if self.over:
                raise ConnectionResetError(slot) from None
            request.cancel()  # the caller went away
            raise
        finally:
            self._waiting.pop(request, None)

    async def _ask(self, lobby: Lobby, tokens: int) -> Completion:
        visit = lobby.arrive()
        try:
            upstream = await visit.enter()
            while True:
                try:
                    return await self._carry(lobby, visit, upstream, tokens)
                except ConnectionRefusedError:
                    visit.missed()
                    upstream = await visit.again()
        except Gone:
            raise ConnectionResetError(lobby.slot.name) from None
        finally:
            visit.left()

    async def _carry(self, lobby: Lobby, visit: Visit, upstream: str, tokens: int) -> Completion:
        cut: list[bool] = []
        work = asyncio.get_running_loop().create_task(self._reached(visit, upstream, tokens))
        self._calls[work] = None

        def end() -> None:
            cut.append(True)
            work.cancel()

        visit.on_cut = end
        try:
            found = await work
            visit.first()
            return found
        except asyncio.CancelledError:
            work.cancel()
            if cut and not self.over:
                lobby.counts.cut += 1
                raise CutShort(lobby.slot.name) from None
            raise
        except ServerError:
            lobby.counts.errors += 1
            raise
        finally:
            visit.on_cut = None
            self._calls.pop(work, None)

    async def _reached(self, visit: Visit, upstream: str, tokens: int) -> Completion:
        """A request that is refused tells that nobody is there, any other end that somebody was."""
        soon = asyncio.get_running_loop().call_soon(visit.reached)
        try:
            return await self._serve(upstream, tokens)
        except ConnectionRefusedError:
            soon.cancel()
            raise


@dataclass(frozen=True, slots=True)
class Called:
    """What became of one request. Unix times."""

    began: float
    ended: float
    kind: str
    """one of KINDS"""
    model: str = ""
    """who answered"""
    text: str = ""


class SimCallers:
    """Come to a slot's door at a constant rate, whatever became of those before, whichever life the daemon is in."""

    def __init__(
        self, slot: str, gate: Callable[[], SimGate | None], clock: Clock, every: float = 1.0, tokens: int = 16
    ) -> None:
        """`gate`: that of the present life; None while there is none."""
        self.slot, self._gate, self._clock, self.every, self.tokens = slot, gate, clock, every, tokens
        self.calls: list[Called] = []
        """those that ended"""
        self._tasks: dict[asyncio.Task[None], None] = {}

    async def run(self) -> None:
        """Come for ever."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                task = loop.create_task(self._come())
                self._tasks[task] = None
                task.add_done_callback(self._tasks.pop)
                await asyncio.sleep(self.every)
        finally:
            for task in tuple(self._tasks):
                task.cancel()

    def count(self, *kinds: str) -> int:
        """How many ended so."""
        return len([call for call in self.calls if call.kind in kinds])

    @property
    def unanswered(self) -> tuple[Called, ...]:
        """Those that got no whole answer."""
        return tuple(call for call in self.calls if call.kind != OK)

    @property
    def waiting(self) -> int:
        """Requests without an end so far."""
        return len(self._tasks)

    @property
    def models(self) -> tuple[str, ...]:
        """Who answered, in order, each once per turn."""
        found: list[str] = []
        for call in self.calls:
            if call.kind == OK and (not found or found[-1] != call.model):
                found.append(call.model)
        return tuple(found)

    async def _come(self) -> None:
        began, gate = self._clock.wall(), self._gate()
        kind, model, text = OK, "", ""
        try:
            if gate is None:
                raise ConnectionRefusedError(self.slot)
            model = (await gate.call(self.slot, self.tokens)).model
        except ConnectionRefusedError:
            kind = AWAY
        except ConnectionResetError:
            kind = RESET
        except Turned as err:
            kind, text = TURNED, str(err)
        except CutShort:
            kind = CUT
        except ServerError as err:
            kind, text = FAILED, str(err)
        self.calls.append(Called(began, self._clock.wall(), kind, model, text))
