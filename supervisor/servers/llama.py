"""llama.cpp's server: one model, from its container's start to its end; or a router over several.

From: hands.py. To: /health, /props, /v1/models, /metrics, and a router's /models; none of these wakes a model that
sleeps, or keeps one from falling asleep (measured). /slots does, so it is never asked. What is asked of a router about
one model says `autoload=false`: else the question would load it, and put another one away.
"""

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.facts import Identity, ServerLook, SlotModel
from supervisor.facts.slots import ASLEEP, FAILED, LOADED, LOADING, UNKNOWN, UNLOADED
from supervisor.servers import exposition
from supervisor.servers.adapter import (
    LOGIN,
    POLL,
    Pace,
    asked,
    document,
    entries,
    idle,
    text,
    texts,
    until,
    wants_key,
    whole,
)
from supervisor.servers.asking import CHAT, NATIVE, TEXT, Way
from supervisor.servers.completing import complete
from supervisor.servers.places import Place
from supervisor.servers.resident import status
from supervisor.servers.understood import Said, message, named, short

NAME, TITLE = "llama-server", "llama-server"
COLD = {"cache_prompt": False}
"""in every question: what it kept of an earlier one would make it look faster than it is"""
WAYS = (Way(CHAT, CHAT, COLD), Way(TEXT, TEXT, COLD), Way(NATIVE, NATIVE, COLD))
_ONE = "llama-server has the one model it was started with"
_CANNOT = {
    "load": f"{_ONE}; start its container",
    "unload": f"{_ONE}; stop its container",
    "sleep": "llama-server falls asleep by itself only (--sleep-idle-seconds); take sleep out, and its container stops "
    "instead",
}
_ROUTED = {
    "sleep": "the models of a llama-server router fall asleep by themselves only; they are loaded and unloaded",
}
_STATES = {
    "unloaded": UNLOADED,
    "loading": LOADING,
    "downloading": LOADING,
    "loaded": LOADED,
    "sleeping": ASLEEP,
}
"""a router's words"""
_WAKE = 1
"""tokens that are asked for to wake a model: any question does"""


class Llama:
    """Implements adapter.Adapter."""

    name, woken = NAME, True

    def __init__(self, clock: Clock, poll: float = POLL) -> None:
        """`poll`: seconds between two looks while something is awaited."""
        self._clock, self._pace = clock, Pace(clock, poll)

    def cannot(self, verb: str, model: SlotModel) -> str:
        """A router loads and unloads, a server with one model does neither."""
        return (_ROUTED if model.inside else _CANNOT).get(verb, "")

    def headers(self, key: str) -> Mapping[str, str]:
        """As OpenAI's API."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    # ------------------------------------------------------------ looking

    async def look(self, place: Place, within: float) -> ServerLook:
        """A router's word for the model, or how the only one stands."""
        ends = self._clock.mono() + within
        if place.model.inside:
            return await self._routed(place, ends)
        health = await self._get(place, "/health", ends)
        if health.status == 503:
            return ServerLook(LOADING, f"{TITLE} says: {short(health)}", NAME, in_flight=0)
        props = await self._get(place, "/props", ends)
        if props.status in LOGIN:
            return ServerLook(UNKNOWN, wants_key(TITLE, props), NAME)
        if props.status == 503:  # its load began anew between the two questions
            return ServerLook(LOADING, f"{TITLE} says: {short(props)}", NAME, in_flight=0)
        listed = entries(await self._get(place, "/v1/models", ends), "data")
        settings = document(props)
        if not listed and "default_generation_settings" not in settings:
            return ServerLook(UNKNOWN, f"{TITLE} answers {short(props)}, which does not tell how it stands", NAME)
        asleep = settings.get("is_sleeping") is True
        busy, used = await self._counters(place, "", ends)
        state = ASLEEP if asleep else LOADED
        identity = _identity(settings, listed[0] if listed else {})
        said = f"{TITLE} says that {identity.model or named(place.model)} is {state}"
        loaded = (identity.model,) if identity.model and not asleep else ()
        return ServerLook(state, said, NAME, identity, loaded, in_flight=busy, used=used)

    async def _routed(self, place: Place, ends: float) -> ServerLook:
        said = await self._get(place, "/models", ends)
        if said.status in LOGIN:
            return ServerLook(UNKNOWN, wants_key(TITLE, said), NAME)
        listed = entries(said, "data")
        if said.status != 200 or not any(status(one) for one in listed):
            how = "lists the one model it has" if listed else f"answers {short(said)}"
            return ServerLook(UNKNOWN, f"{TITLE} {how}: it is no router; take inside out", NAME)
        loaded = tuple(text(one, "id") for one in listed if status(one) == "loaded")
        model = place.model.model or place.model.name
        entry = next((one for one in listed if model in (text(one, "id"), *texts(one, "aliases"))), None)
        if entry is None:
            return ServerLook(FAILED, f"the router has no model {model!r}; correct model:", NAME, loaded=loaded)
        word, state = status(entry), _STATES.get(status(entry), UNKNOWN)
        told = entry["status"] if isinstance(entry["status"], dict) else {}
        if state == UNLOADED and told.get("failed") is True:
            code = told.get("exit_code")
            state, word = FAILED, f"not loaded: it ended with exit code {code if isinstance(code, int) else 'unknown'}"
        look = ServerLook(
            state, f"the router says that {model} is {word}", NAME, loaded=loaded, progress=_progress(told)
        )
        if state not in (LOADED, ASLEEP):
            return ServerLook(state, look.text, NAME, loaded=loaded, progress=look.progress, in_flight=_none(state))
        props = document(await self._get(place, f"/props?{_of(model)}", ends))
        busy, used = await self._counters(place, f"?{_of(model)}", ends) if state == LOADED else (0, -1.0)
        identity = _identity({**props, "model_alias": text(entry, "id")}, entry)
        return ServerLook(state, look.text, NAME, identity, loaded, in_flight=busy, used=used)

    async def _counters(self, place: Place, query: str, ends: float) -> tuple[int | None, float]:
        """(requests at work or waiting, tokens made so far); (None, -1) where it does not count. A large batch can keep
        it from answering this for a while: then it is at work, and nobody knows on how much."""
        try:
            said = await self._get(place, f"/metrics{query}", ends)
        except ServerError:
            return None, -1.0
        told = exposition.read(said.text) if said.status == 200 else {}
        at_work = exposition.total(told, "llamacpp:requests_processing")
        waiting = exposition.total(told, "llamacpp:requests_deferred")
        made = exposition.total(told, "llamacpp:tokens_predicted_total")
        asked = exposition.total(told, "llamacpp:prompt_tokens_total")
        busy = None if at_work is None else int(max(0.0, at_work) + max(0.0, waiting or 0.0))
        return busy, -1.0 if made is None else max(0.0, made) + max(0.0, asked or 0.0)

    async def _get(self, place: Place, path: str, ends: float) -> Said:
        left = max(0.05, ends - self._clock.mono())
        return await place.door.ask("GET", path, None, place.headers, left)

    # ------------------------------------------------------------ verbs

    async def ways(self, place: Place, within: float) -> tuple[tuple[Way, ...], str]:
        """Its own, without its cache; one with a single model is asked by no name."""
        return WAYS, asked(place.model)

    async def do(self, verb: str, place: Place, within: float) -> str:
        """Load and unload what a router has; wake what sleeps, by a question."""
        why, ends = self.cannot(verb, place.model), self._clock.mono() + within
        if why:
            raise ServerError(f"{why}.")
        seen = await self.look(place, within)
        if verb == "unload":
            return await self._unload(place, seen, ends)
        if seen.state == LOADED:
            return f"{named(place.model)} is loaded already"
        if seen.state == ASLEEP:
            await complete(place, WAYS, asked(place.model), "Hello.", _WAKE, within, self._clock)
        elif verb == "load" and seen.state != LOADING:
            said = await self._post(place, "/models/load", ends)
            if said.status != 200 and "already" not in said.text.lower():
                raise ServerError(_not_loaded(said))
        seen = await until(
            partial(self.look, place), (LOADED,), ends, self._pace, f"{TITLE} was told to {verb} it, and did not"
        )
        return seen.text

    async def _unload(self, place: Place, seen: ServerLook, ends: float) -> str:
        if seen.state in (UNLOADED, FAILED):
            return f"{named(place.model)} is unloaded already"
        looks = partial(self.look, place)
        await idle(looks, ends, self._pace, TITLE)  # it would cut them
        said = await self._post(place, "/models/unload", ends)
        if said.status != 200 and "not running" not in said.text.lower():
            raise ServerError(f"{TITLE} did not unload it: it answers {short(said)}.")
        failing = f"{TITLE} was told to unload it, and did not"
        return (await until(looks, (UNLOADED, FAILED), ends, self._pace, failing)).text

    async def _post(self, place: Place, path: str, ends: float) -> Said:
        left = max(0.05, ends - self._clock.mono())
        return await place.door.ask("POST", path, {"model": asked(place.model)}, place.headers, left)


def _of(model: str) -> str:
    return urlencode({"model": model, "autoload": "false"})


def _none(state: str) -> int | None:
    """What does not run works on nothing."""
    return None if state == UNKNOWN else 0


def _progress(told: Mapping[str, object]) -> float:
    found = told.get("progress")
    value = found.get("value") if isinstance(found, dict) else found
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 else -1.0


def _identity(props: Mapping[str, object], entry: Mapping[str, object]) -> Identity:
    """Whom it serves. Its list tells all its names, its properties the file and the context of one request."""
    settings, meta = props.get("default_generation_settings"), entry.get("meta")
    context = whole(settings, "n_ctx") if isinstance(settings, dict) else 0
    context = context or (whole(meta, "n_ctx") if isinstance(meta, dict) else 0)
    model = text(entry, "id") or text(props, "model_alias")
    others = tuple(one for one in (*texts(entry, "aliases"), text(props, "model_alias")) if one and one != model)
    return Identity(model, tuple(dict.fromkeys(others)), context, text(props, "build_info"), text(props, "model_path"))


def _not_loaded(said: Said) -> str:
    if "limit" in said.text.lower():
        return "The router has as many models as it may (--models-max); unload another one first."
    return f"{TITLE} did not load it: it answers {message(said) or short(said)}."
