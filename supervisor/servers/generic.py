"""A model server that is described by data: asks what the description says, and understands what it says.

From: described.py, and a model of a slot where its server answers. To: looks and verbs of ports.ModelServer, for the
kinds without code of their own. A look asks only what the description lists for it, and all of that disturbs nothing.
How a verb is done stands in doing.py.
"""

from collections.abc import Iterable, Mapping

from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.facts import ServerLook, SlotModel
from supervisor.servers import asking, exposition, paths, understood
from supervisor.servers.adapter import LOGIN, OPENAI, POLL, Pace, called, wants_key
from supervisor.servers.asking import Way
from supervisor.servers.described import Described, Question, Verb
from supervisor.servers.doing import Doing
from supervisor.servers.places import Asking, Place, Seen
from supervisor.servers.understood import Said


class Generic:
    """One kind of server. `kind` says which."""

    woken = False

    def __init__(self, kind: Described, clock: Clock, poll: float = POLL) -> None:
        self.kind, self.pace = kind, Pace(clock, poll)

    @property
    def name(self) -> str:
        """Its word in `server:`."""
        return self.kind.name

    def cannot(self, verb: str, model: SlotModel) -> str:
        """Why a verb cannot be done to a model of such a server; '' if it can."""
        how = self.kind.verbs.get(verb)  # type: ignore[call-overload]
        if how is None:
            return f"{self.kind.title} has no way to {verb} a model"
        return str(how.cannot)

    async def recognised(self, door: Asking, headers: Mapping[str, str], within: float) -> bool:
        """Whether it is this kind that answers. A description without questions is never recognised. ServerError where
        there was no answer."""
        for one in self.kind.recognised:
            said = await door.ask("GET", one.get, None, headers, within)
            there = paths.find(said.document, one.has, {}) if said.status == 200 else []
            if not there or (one.text and not any(text.startswith(one.text) for text in paths.texts(there))):
                return False
        return bool(self.kind.recognised)

    def headers(self, key: str) -> dict[str, str]:
        """The headers of a question; `key`: the line of the model's key file, '' for none."""
        how = self.kind.key
        return {how.header: how.value.replace("{key}", key)} if how is not None and key else {}

    async def look(self, place: Place, within: float) -> ServerLook:
        """How the model stands. ServerError where the server did not answer the question that tells."""
        return (await self.see(place, within)).look

    async def see(self, place: Place, within: float) -> Seen:
        """The same, with the answer that told."""
        ends = self.pace.clock.mono() + within
        words = understood.words_of(place.model)
        first = self.kind.look[0]
        said = await _put(place, first, words, within)
        state, text = self._state(first, said, place.model, words)
        told = understood.values(first, said, words)
        for question in self.kind.look[1:]:
            left = ends - self.pace.clock.mono()
            if left <= 0 or (question.when and state not in question.when):
                continue
            try:
                more = await _put(place, question, words, left)
            except ServerError:
                continue  # it only tells more: what it would have told stays unknown
            told |= understood.values(question, more, words)
        return Seen(understood.look(self.name, state, text, told), said)

    async def ways(self, place: Place, within: float) -> tuple[tuple[Way, ...], str]:
        """As most are asked."""
        name = await called(self, place, within)
        if self.kind.completes == "triton":
            return (asking.triton(name),), name
        return OPENAI, name

    async def do(self, verb: str, place: Place, within: float) -> str:
        """Load, unload, sleep or wake it, and return once the server says that it is so: what it said."""
        why = self.cannot(verb, place.model)
        if why:
            raise ServerError(f"{why}.")
        how: Verb = self.kind.verbs[verb]  # type: ignore[index]
        return await Doing(self, verb, how, place, self.pace.clock.mono() + within).run()

    def _state(self, question: Question, said: Said, model: SlotModel, words: Mapping[str, str]) -> tuple[str, str]:
        """The state, and the end of a sentence about it."""
        if said.status in LOGIN:
            return "unknown", wants_key(self.kind.title, said)
        for rule in question.state:
            state = understood.applies(rule, said, model, words)
            if state:
                return state, rule.text or self._say(state, said, model)
        return "unknown", self._say("unknown", said, model)

    def _say(self, state: str, said: Said, model: SlotModel) -> str:
        if state == "unknown":
            answer = understood.short(said)
            return f"{self.kind.title} answers {answer}, which does not tell how {understood.named(model)} stands"
        return f"{self.kind.title} says that {understood.named(model)} is {state}"


async def _put(place: Place, question: Question, words: Mapping[str, str], within: float) -> Said:
    method, path = ("GET", question.get) if question.get else ("POST", question.post or "/")
    body = understood.filled(question.body, words) if question.body is not None else None
    address = understood.address(path, question.query, words)
    said = await place.door.ask(method, address, body, place.headers, within)
    if question.form == "metrics" and said.status == 200:
        return Said(said.status, said.text, exposition.read(said.text))
    return said


async def found(kinds: Iterable[Generic], door: Asking, key: str, within: float) -> Generic | None:
    """Which of these kinds answers there, asked in their order by questions that disturb nothing; None for none of
    them. ServerError where nothing answered anything. One connection that breaks is no reason to stop: mlx_lm's server
    breaks it where it finds no cache."""
    trouble, heard = "", False
    for one in kinds:
        try:
            if await one.recognised(door, one.headers(key), within):
                return one
            heard = heard or bool(one.kind.recognised)
        except ServerError as err:
            trouble = str(err)
    if trouble and not heard:
        raise ServerError(trouble)
    return None
