"""Ollama: loads what is asked for, and puts it away after a while or by word.

From: hands.py. To: /api/ps (what is in memory), /api/tags (what it has), /api/version; none of these loads anything.
What is asked of a model by /api/generate is asked with the context it was loaded with, since another one would load it
anew, and leaves the time it stays loaded as it was.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from supervisor.clock import Clock
from supervisor.errors import ServerError
from supervisor.facts import Identity, ServerLook, SlotModel
from supervisor.facts.slots import FAILED, LOADED, UNKNOWN, UNLOADED
from supervisor.servers.adapter import LOGIN, POLL, Pace, document, entries, text, until, wants_key, whole
from supervisor.servers.asking import OLLAMA, Way
from supervisor.servers.places import Place
from supervisor.servers.understood import Said, named, short

NAME, TITLE = "ollama", "Ollama"
PS, TAGS = "/api/ps", "/api/tags"
FOR_EVER = 10 * 365 * 86400.0
"""seconds: what stays longer stays for good; Ollama writes a year far away"""
_LATEST = ":latest"
_NO_SLEEP = "Ollama's models do not sleep; they are loaded and unloaded"
_CANNOT = {"sleep": _NO_SLEEP, "wake": _NO_SLEEP}
_ALONE = "Ollama loads models by itself; say inside: true, and the model's name"


class Ollama:
    """Implements adapter.Adapter."""

    name, woken = NAME, False

    def __init__(self, clock: Clock, poll: float = POLL) -> None:
        """`poll`: seconds between two looks while something is awaited."""
        self._clock, self._pace = clock, Pace(clock, poll)

    def cannot(self, verb: str, model: SlotModel) -> str:
        """It loads and unloads by name."""
        if verb in ("load", "unload") and not model.inside:
            return _ALONE
        return _CANNOT.get(verb, "")

    def headers(self, key: str) -> Mapping[str, str]:
        """It has no keys; a proxy in front of it may."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    async def look(self, place: Place, within: float) -> ServerLook:
        """What /api/ps says. Requests at work it does not tell."""
        ends = self._clock.mono() + within
        said = await self._get(place, PS, ends)
        if said.status in LOGIN:
            return ServerLook(UNKNOWN, wants_key(TITLE, said), NAME)
        if said.status != 200 or not isinstance(document(said).get("models"), list):
            return ServerLook(UNKNOWN, f"{TITLE} answers {short(said)}, which does not tell what is loaded", NAME)
        there = entries(said, "models")
        loaded, wanted = tuple(name_of(one) for one in there), place.model.model
        entry = find(there, wanted or place.model.name)
        if entry is None and not wanted and not place.model.inside:
            entry = there[0] if there else None
        if entry is None:
            return await self._not_loaded(place, loaded, ends)
        whole_size, vram = whole(entry, "size"), whole(entry, "size_vram")
        left = left_of(entry, self._clock.wall())
        return ServerLook(
            LOADED,
            f"{TITLE} says that {name_of(entry)} is loaded",
            NAME,
            Identity(name_of(entry), (name_of(entry).removesuffix(_LATEST),), whole(entry, "context_length")),
            loaded,
            memory=float(max(0, whole_size - vram)),
            vram=float(vram),
            until=0.0 if left is None or left > FOR_EVER else self._clock.wall() + max(0.0, left),
        )

    async def _not_loaded(self, place: Place, loaded: tuple[str, ...], ends: float) -> ServerLook:
        """Whether it has it at all."""
        model = named(place.model)
        if place.model.inside:
            try:
                has = await self._get(place, TAGS, ends)
            except ServerError:
                has = Said(0)
            if isinstance(document(has).get("models"), list) and find(entries(has, "models"), model) is None:
                text = f"{TITLE} does not have {model}; run: ollama pull {model}"
                return ServerLook(FAILED, text, NAME, loaded=loaded, in_flight=0)
        return ServerLook(UNLOADED, f"{TITLE} says that {model} is not loaded", NAME, loaded=loaded, in_flight=0)

    async def _get(self, place: Place, path: str, ends: float) -> Said:
        left = max(0.05, ends - self._clock.mono())
        return await place.door.ask("GET", path, None, place.headers, left)

    async def ways(self, place: Place, within: float) -> tuple[tuple[Way, ...], str]:
        """(how it is asked for text, the name to ask for), without loading anything or keeping it loaded for longer.
        ServerError where its model is not in memory, or what it is loaded with is not told."""
        said = await self._get(place, PS, self._clock.mono() + within)
        there = entries(said, "models")
        entry = find(there, place.model.model or place.model.name)
        if entry is None and not place.model.model and not place.model.inside and there:
            entry = there[0]
        if entry is None:
            raise ServerError(f"{named(place.model)} is not loaded, and a question would load it.")
        extra = staying(entry, self._clock.wall())
        if extra is None:
            raise ServerError(f"This {TITLE} does not say how {name_of(entry)} is loaded; update it.")
        return (Way(OLLAMA, OLLAMA, extra),), name_of(entry)

    # ------------------------------------------------------------ verbs

    async def do(self, verb: str, place: Place, within: float) -> str:
        """Load it for good, or put it away."""
        why, ends = self.cannot(verb, place.model), self._clock.mono() + within
        if why:
            raise ServerError(f"{why}.")
        seen = await self.look(place, within)
        if verb == "unload":
            if seen.state in (UNLOADED, FAILED):
                return f"{named(place.model)} is unloaded already"
            await self._say(verb, place, {"model": seen.identity.model or named(place.model), "keep_alive": 0}, ends)
            aims, failing = (UNLOADED, FAILED), f"{TITLE} was told to unload it, and did not"
            return (await until(partial(self.look, place), aims, ends, self._pace, failing)).text
        if seen.state == LOADED and not seen.until:
            return f"{named(place.model)} is loaded already"
        if seen.state == FAILED:
            raise ServerError(f"{seen.text}.")
        context = seen.identity.context or place.model.context
        options = {"options": {"num_ctx": context}} if context else {}
        await self._say(verb, place, {"model": named(place.model), "keep_alive": -1, **options}, ends)
        failing = f"{TITLE} was told to load it, and did not"
        return (await until(partial(self.look, place), (LOADED,), ends, self._pace, failing)).text

    async def _say(self, verb: str, place: Place, body: Mapping[str, object], ends: float) -> None:
        left = max(0.05, ends - self._clock.mono())
        said = await place.door.ask("POST", OLLAMA, {**body, "stream": False}, place.headers, left)
        if said.status == 404 and verb == "load":
            raise ServerError(f"{TITLE} does not have {named(place.model)}; run: ollama pull {named(place.model)}")
        if said.status != 200:
            raise ServerError(f"{TITLE} did not {verb} it: it answers {short(said)}.")


# ------------------------------------------------------------ what it says, pure


def name_of(entry: Mapping[str, object]) -> str:
    """What an entry of its lists is called."""
    return text(entry, "model") or text(entry, "name")


def find(listed: list[dict[str, object]], wanted: str) -> Mapping[str, object] | None:
    """The entry of that name; the tag `latest` may be left out."""
    bare = wanted.removesuffix(_LATEST)
    return next((one for one in listed if name_of(one).removesuffix(_LATEST) == bare), None)


def left_of(entry: Mapping[str, object], now: float) -> float | None:
    """Seconds until its model is put away; None where it does not say. `now`: wall time."""
    try:
        return datetime.fromisoformat(text(entry, "expires_at")).timestamp() - now
    except (ValueError, OverflowError, OSError):
        return None


def staying(entry: Mapping[str, object], now: float) -> dict[str, object] | None:
    """What a question must say so that the model stays loaded as it is, and no longer than it would; None where it does
    not tell how it is loaded."""
    left, context = left_of(entry, now), whole(entry, "context_length")
    if left is None or not context:
        return None
    return {"keep_alive": -1 if left > FOR_EVER else f"{max(0.0, left):.3f}s", "options": {"num_ctx": context}}
