"""One verb that is done to a model of a described server: sent, and followed until the server says that it is so.

From: generic.py, with what the description says of the verb. To: the server, through its door. It looks first: what is
so already is not done again, a load that is under way is not begun a second time, and what would make the server fall
over is not sent. Between two looks it rests.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.errors import ServerError
from supervisor.facts import ServerLook
from supervisor.servers import paths, understood
from supervisor.servers.adapter import LOOK, Pace, rest, until
from supervisor.servers.described import Described, Step, Verb
from supervisor.servers.places import Place, Seen
from supervisor.servers.understood import Said

AIMS = {"load": "loaded", "unload": "unloaded", "sleep": "asleep", "wake": "loaded"}
"""what each verb is for"""


class Asker(Protocol):
    """Who looks while a verb is done: one kind of server."""

    kind: Described
    pace: Pace

    async def see(self, place: Place, within: float) -> Seen:
        """One look."""


@dataclass(slots=True)
class Doing:
    """A verb at work. `ends`: the monotonic instant by which it is to be done."""

    by: Asker
    verb: str
    how: Verb
    place: Place
    ends: float

    @property
    def title(self) -> str:
        """The kind of server, in a sentence."""
        return self.by.kind.title

    async def run(self) -> str:
        """Do it: what the server said. ServerError where it did not come about."""
        aim, model = self.how.done or AIMS[self.verb], understood.named(self.place.model)
        seen = await self._see()
        if seen.look.state == "loading" and aim == "loaded":
            seen = await self._while("loading", seen)
        if seen.look.state == aim and aim != "unknown":
            return f"{model} is {aim} already"
        if self.how.from_ and seen.look.state not in self.how.from_:
            raise ServerError(
                f"{self.title} says that {model} is {seen.look.state}, and to {self.verb} it could end the server "
                "then; restart its container."
            )
        if self.how.waits and self.verb in ("unload", "sleep"):
            seen = await self._idle(seen)
        said = ""
        for step in self.how.steps:
            said = await self._step(step, seen) or said
        return await self._until(aim, said)

    # ------------------------------------------------------------ sending

    async def _step(self, step: Step, seen: Seen) -> str:
        """One request, for each value that it is repeated for."""
        if step.idle:
            seen = await self._idle(seen, strictly=True)
        words = understood.words_of(self.place.model) | {"path": seen.look.identity.path}
        each = paths.texts(paths.find(seen.first.document, step.each, words)) if step.each is not None else ("",)
        text = ""
        for value in each:
            text = await self._send(step, words | {"each": value})
        return text

    async def _send(self, step: Step, words: Mapping[str, str]) -> str:
        left = self.ends - self.by.pace.clock.mono()
        if left <= 0:
            raise ServerError(f"{self.title} was not done with it in time.")
        method, path = ("GET", step.get) if step.get else ("POST", step.post or "/")
        address = understood.address(path, step.query, words)
        body = understood.filled(step.body, words) if step.body is not None else None
        if step.events is not None:
            return await self._follow(step, method, address, body, left)
        return self._took(step, await self.place.door.ask(method, address, body, self.place.headers, left), words)

    def _took(self, step: Step, said: Said, words: Mapping[str, str]) -> str:
        """What the server says of a step it took; ServerError where it did not take it."""
        already = step.already.get(said.status)
        if already is not None and already in said.text:
            return ""
        meaning = step.means.get(said.status)
        if meaning is not None:
            raise ServerError(f"{self.title} did not {self.verb} it: {meaning}.")
        missing = step.expects is not None and not any(paths.find(said.document, step.expects, words))
        if missing or not 200 <= said.status < 300 or understood.error(said):
            raise ServerError(f"{self.title} did not {self.verb} it: it answers {understood.short(said)}.")
        return understood.message(said)

    async def _follow(
        self, step: Step, method: str, address: str, body: Mapping[str, Any] | None, within: float
    ) -> str:
        """A stream of events, up to the one that says it is finished."""
        last = Said(0)
        async with aclosing(self.place.door.events(method, address, body, self.place.headers, within)) as events:
            async for said in events:
                last = said
                if not 200 <= said.status < 300 or understood.error(said):
                    return self._took(step, said, {})
                if step.events is not None and step.finished in paths.texts(paths.find(said.document, step.events, {})):
                    return "finished"
        what = f"after {understood.short(last)}" if last.status else "before it said anything"
        raise ServerError(f"{self.title} broke off while it was to {self.verb} it, {what}.")

    # ------------------------------------------------------------ waiting

    async def _until(self, aim: str, said: str) -> str:
        """Look until the server says so. `unknown`: it never does, and its answer was all there is."""
        if aim == "unknown":
            return said or f"{self.title} took it, and does not say more"
        failing = f"{self.title} was told to {self.verb} it, and it is not {aim}"
        seen = await until(self._look, (aim,), self.ends, self.by.pace, failing)
        return said or seen.text

    async def _while(self, state: str, seen: Seen) -> Seen:
        """Look until it is in another state."""
        began = self.by.pace.clock.mono()
        while seen.look.state == state:
            if not await rest(began, self.ends, self.by.pace):
                raise ServerError(
                    f"{self.title} says for too long that {understood.named(self.place.model)} is {state}."
                )
            seen = await self._see()
        return seen

    async def _idle(self, seen: Seen, strictly: bool = False) -> Seen:
        """Wait for requests in flight, as far as the server tells. `strictly`: it must tell."""
        began = self.by.pace.clock.mono()
        while True:
            busy = seen.look.in_flight
            if busy == 0 or (busy is None and not strictly):
                return seen
            if not await rest(began, self.ends, self.by.pace):
                if busy is None:
                    raise ServerError(f"{self.title} does not say whether it works on requests. {self.by.kind.hint}")
                raise ServerError(f"{self.title} still works on {busy} {'request' if busy == 1 else 'requests'}.")
            seen = await self._see()

    async def _see(self) -> Seen:
        return await self.by.see(self.place, max(0.1, min(LOOK, self.ends - self.by.pace.clock.mono())))

    async def _look(self, within: float) -> ServerLook:
        return (await self.by.see(self.place, within)).look
