"""vLLM: one model, from its container's start to its end, which can be put to sleep where its development mode is on.

From: hands.py. To: /v1/models, /is_sleeping, /is_paused, /metrics; none of these wakes it. Its /health says 200 while
it sleeps, so that is never asked for the state. Level 1 keeps the weights in the machine's memory; after level 2 they
are read anew from their files, between the two halves of waking: without that it talks nonsense.
"""

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.facts import Identity, ServerLook, SlotModel
from supervisor.facts.slots import ASLEEP, LOADED, LOADING, UNKNOWN
from supervisor.servers import exposition
from supervisor.servers.adapter import (
    LOGIN,
    OPENAI,
    POLL,
    Pace,
    called,
    document,
    entries,
    idle,
    text,
    until,
    wants_key,
    whole,
)
from supervisor.servers.asking import Way
from supervisor.servers.places import Place
from supervisor.servers.understood import Said, named, short

NAME, TITLE = "vllm", "vLLM"
_ONE = "vLLM has the one model it was started with"
_CANNOT = {
    "load": f"{_ONE}; start its container",
    "unload": f"{_ONE}; let it sleep (sleep: 1 or 2), or stop its container",
}
_SWITCH = "start it with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1, on a network that only you reach"
_DEEP = 2
_WAIT = {"mode": "wait"}
"""requests end first; older ones do not know this word and cut them, so they are waited for before it is sent, too"""


class Vllm:
    """Implements adapter.Adapter."""

    name, woken = NAME, False

    def __init__(self, clock: Clock, poll: float = POLL) -> None:
        """`poll`: seconds between two looks while something is awaited."""
        self._clock, self._pace = clock, Pace(clock, poll)

    def cannot(self, verb: str, model: SlotModel) -> str:
        """It sleeps and wakes, where its mode is on: only it can tell."""
        return _CANNOT.get(verb, "")

    def headers(self, key: str) -> Mapping[str, str]:
        """As OpenAI's API. Its own verbs and counters ask for no key."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    # ------------------------------------------------------------ looking

    async def look(self, place: Place, within: float) -> ServerLook:
        """How its model stands."""
        ends = self._clock.mono() + within
        said = await self._get(place, "/v1/models", ends)
        if said.status in LOGIN:
            return ServerLook(UNKNOWN, wants_key(TITLE, said), NAME)
        if said.status == 503:
            return ServerLook(LOADING, f"{TITLE} says: {short(said)}", NAME)
        listed = entries(said, "data")
        if not listed:
            return ServerLook(UNKNOWN, f"{TITLE} answers {short(said)}, which does not tell how it stands", NAME)
        names = tuple(text(one, "id") for one in listed)
        identity = Identity(
            names[0],
            names[1:],
            whole(listed[0], "max_model_len"),
            await self._version(place, ends),
            text(listed[0], "root"),
        )
        asleep, paused = await self._is(place, "/is_sleeping", ends), False
        if asleep is False:
            paused = await self._is(place, "/is_paused", ends) is True
        counters = await self._counters(place, ends)
        busy, used = in_flight(counters), exposition.total(counters, "vllm:generation_tokens_total")
        state = ASLEEP if asleep else UNKNOWN if paused else LOADED
        word = "paused, by somebody's word" if paused else state
        said_text = f"{TITLE} says that {identity.model} is {word}"
        loaded = names if state == LOADED else ()
        return ServerLook(
            state, said_text, NAME, identity, loaded, in_flight=busy, used=-1.0 if used is None else max(0.0, used)
        )

    async def _version(self, place: Place, ends: float) -> str:
        try:
            return text(document(await self._get(place, "/version", ends)), "version")
        except ServerError:
            return ""

    async def _is(self, place: Place, path: str, ends: float) -> bool | None:
        """What it says of itself; None where its development mode is off: then nobody can put it to sleep."""
        said = await self._get(place, path, ends)
        found = document(said).get(path.removeprefix("/"))
        return found if isinstance(found, bool) else None

    async def _counters(self, place: Place, ends: float) -> exposition.Read:
        try:
            said = await self._get(place, "/metrics", ends)
        except ServerError:
            return {}
        return exposition.read(said.text) if said.status == 200 else {}

    async def _get(self, place: Place, path: str, ends: float) -> Said:
        left = max(0.05, ends - self._clock.mono())
        return await place.door.ask("GET", path, None, place.headers, left)

    # ------------------------------------------------------------ verbs

    async def ways(self, place: Place, within: float) -> tuple[tuple[Way, ...], str]:
        """As most are asked."""
        name = await called(self, place, within)
        return OPENAI, name

    async def do(self, verb: str, place: Place, within: float) -> str:
        """Put it to sleep at its level, or wake it with its weights in place."""
        why, ends = self.cannot(verb, place.model), self._clock.mono() + within
        if why:
            raise ServerError(f"{why}.")
        asleep = await self._is(place, "/is_sleeping", ends)
        if asleep is None:
            raise ServerError(f"This {TITLE} does not know sleep; {_SWITCH}.")
        model = named(place.model)
        if verb == "sleep":
            return f"{model} is asleep already" if asleep else await self._sleep(place, ends)
        return await self._wake(place, ends) if asleep else f"{model} is awake already"

    async def _sleep(self, place: Place, ends: float) -> str:
        await idle(partial(self.look, place), ends, self._pace, TITLE)
        level = {"level": str(place.model.sleep or 1)}  # in the address: in a body it is not read
        await self._post(place, f"/sleep?{urlencode(level | _WAIT)}", None, ends, "put it to sleep")
        failing = f"{TITLE} was told to sleep, and does not"
        return (await until(partial(self.look, place), (ASLEEP,), ends, self._pace, failing)).text

    async def _wake(self, place: Place, ends: float) -> str:
        """Each of these may be said twice: who was killed half-way says it again."""
        verb = "wake it"
        if place.model.sleep == _DEEP or deep(await self._counters(place, ends)):
            await self._post(place, "/wake_up?tags=weights", None, ends, verb)
            await self._post(place, "/collective_rpc", {"method": "reload_weights"}, ends, "read its weights anew")
            await self._post(place, "/wake_up?tags=kv_cache", None, ends, verb)
        else:
            await self._post(place, "/wake_up", None, ends, verb)
        failing = f"{TITLE} was told to wake, and did not"
        return (await until(partial(self.look, place), (LOADED,), ends, self._pace, failing)).text

    async def _post(self, place: Place, path: str, body: Mapping[str, object] | None, ends: float, what: str) -> None:
        left = max(0.05, ends - self._clock.mono())
        said = await place.door.ask("POST", path, body, place.headers, left)
        if said.status == 404:
            raise ServerError(f"{TITLE} does not know {path.partition('?')[0]}; {_SWITCH}.")
        if not 200 <= said.status < 300:
            raise ServerError(f"{TITLE} did not {what}: it answers {short(said)}.")


# ------------------------------------------------------------ what it says, pure


def in_flight(told: exposition.Read) -> int | None:
    """Requests at work or waiting, of all its engines; None where it does not count."""
    at_work = exposition.total(told, "vllm:num_requests_running")
    waiting = exposition.total(told, "vllm:num_requests_waiting")
    return None if at_work is None else int(max(0.0, at_work) + max(0.0, waiting or 0.0))


def deep(told: exposition.Read) -> bool:
    """Whether it sleeps without its weights, by its own word."""
    return bool(exposition.total(told, "vllm:engine_sleep_state", sleep_state="discard_all"))
