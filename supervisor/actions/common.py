"""What several maneuvers do the same way: the first look at the container, making one, waiting for room, starting it,
what is left."""

import re

from supervisor import units
from supervisor.actions.hand import Cannot, Hand
from supervisor.actions.probation import Baseline
from supervisor.errors import Conflict, EngineError, EngineGone, EngineTimeout
from supervisor.facts import Container, Json
from supervisor.services import OP_LABEL, ROLES, is_temp, temp_name
from supervisor.signals.room import clash
from supervisor.verdicts import Reason, no

ROOM = 60.0
"""seconds to wait for what a container needs and another still holds: its ports, its memory, its address"""
_ROOM_AGAIN, _START_AGAIN = 0.5, 1.0
_ROOM_TOLD = 5.0
"""seconds between two words about what is waited for"""
_HELD = re.compile(
    r"(?i)port is already allocated|address already in use|failed to bind host port|ports are not available"
)


def must_be(hand: Hand, seen: Container | None) -> Container:
    """The container the plan found, still there under its name; Cannot otherwise."""
    plan = hand.plan
    if seen is None:
        raise Cannot(no(Reason.VANISHED, f"{plan.name} is gone: somebody removed or replaced it; nothing was done."))
    if seen.name != plan.name:
        text = (
            f"{plan.name} was renamed to {seen.name}; nothing was done. Give it its name back to have it looked after."
        )
        raise Cannot(no(Reason.INTERFERED, text))
    return seen


def still_there(hand: Hand, seen: Container | None) -> Container:
    """The container, under whatever name; Cannot where it is gone."""
    if seen is None:
        raise Cannot(no(Reason.VANISHED, f"{hand.plan.name} is gone; nothing was done."))
    return seen


async def made(hand: Hand, name: str, op: str = "") -> Container | None:
    """The container that this plan made by this name, if it did; Conflict where another one has the name. `op`: what
    its label says, '' for the plan's own."""
    seen = await hand.engine.inspect(name)
    if seen is not None and seen.labels.get(OP_LABEL) != (op or hand.plan.op):
        raise Conflict(f"another container is called {name}", 409)
    return seen


async def create(hand: Hand, name: str, body: Json, op: str = "") -> Container | None:
    """See to it that this plan's container of this name exists. `op` as in `made`."""
    return await hand.make(
        lambda: made(hand, name, op),
        lambda seen: seen is not None,
        lambda _seen: hand.engine.create(name, body),
        patience=30.0,
    )


async def make_room(hand: Hand, container: Container | None, step: str) -> str:
    """Wait until what it needs to start is free. '' then; else, at the deadline, what is still held and by whom."""
    end, told, tell_again = hand.clock.mono() + ROOM, "", 0.0
    while container is not None:
        held = await hand.room.held(hand.plan.needs, container, hand.plan.container_id)
        if not held:
            break
        if hand.clock.mono() >= end:
            return held + await _publisher(hand, container)
        if held != told and hand.clock.mono() >= tell_again:  # what is free changes all the time
            told, tell_again = held, hand.clock.mono() + _ROOM_TOLD
            hand.mark(step, f"Waits: {held}{await _publisher(hand, container)}.", ok=False)
        await hand.nap(_ROOM_AGAIN)
    return ""


async def _publisher(hand: Hand, container: Container) -> str:
    """Which other container publishes one of its ports now, as the end of a sentence; '' if none does."""
    try:
        others = await hand.engine.list()
    except EngineError:
        return ""
    for other in others:
        ports = [port for port in container.ports for its in other.ports if clash(port, its)]
        if other.id != container.id and other.living and ports:
            return f" (container {other.name} publishes port {ports[0]})"
    return ""


async def _start(hand: Hand, found: Container | None, key: str, step: str, end: float) -> None:
    """Start it; while somebody holds its port or its address, again and again until `end` (monotonic)."""
    told = False
    while True:
        try:
            await hand.engine.start(key)
            return
        except (EngineGone, EngineTimeout):
            raise
        except EngineError as err:
            if not _HELD.search(str(err)):
                raise
            who = await _publisher(hand, found) if found is not None else ""
            if hand.clock.mono() >= end:
                raise EngineError(f"{err}{who}", err.status) from err
            if not told:
                told = True
                hand.mark(step, f"Waits: {err}{who}.", ok=False)
        await hand.nap(_START_AGAIN)


async def launch(
    hand: Hand, key: str, step: str, *, before: float, tries: int = 2, seen: Container | None = None
) -> Baseline:
    """Start it and remember how it stood right after, for the watch. Marks `step`.

    `before`: its StartedAt before this plan started it (0 for never). A later one means that the start was done, by us
    or an earlier process: one that has died since is not started again. `seen`: a look of this very moment.
    """
    hand.watching = key
    hand.deaths.pop(key, None)
    found = seen if seen is not None else await hand.inspect(key)
    counted = found.restart_count if found is not None else 0
    end = hand.clock.mono() + ROOM
    seen = await hand.make(
        lambda: hand.engine.inspect(key),
        lambda now: now is None or now.status in ("running", "restarting") or now.started_at > before,
        lambda now: _start(hand, found, key, step, end),
        tries=tries,
        seen=found,
    )
    # an engine sets the count to 0 at a start by hand; where it does not, the old count is no death
    kept = seen is not None and found is not None and not found.running and seen.restart_count == counted
    base = Baseline(seen.started_at if seen is not None else 0.0, counted if kept else 0)
    stamp = f"launched_{step}"
    kept_for_later: Json = {stamp: hand.data.get(stamp) or hand.clock.wall()}
    hand.mark(step, "It was started.", **kept_for_later)
    return base


def remaining(hand: Hand, step: str, seconds: float) -> float:
    """What is left of a watch that an earlier process began, after launch marked `step`.

    Wall time can jump and a fresh process needs a moment to look, so it never gets less than half a minute, unless it
    was taken over again and again.
    """
    launched = float(hand.data.get(f"launched_{step}") or 0.0)
    if not hand.resumed or not launched:
        return seconds
    gone = min(max(0.0, hand.clock.wall() - launched), seconds)
    floor = min(seconds, 30.0) if hand.plan.recovered <= 5 else 0.0
    return max(seconds - gone, floor)


async def namespaces(hand: Hand, raw: Json) -> dict[str, str]:
    """The names behind the container ids in a recipe (`network_mode: container:<id>` and its kin). Where such a
    container was replaced, the core knew by which one when the plan was built."""
    told = hand.data.get("namespaces") or {}
    host = raw.get("HostConfig") or {}
    modes = [str(host.get(field) or "") for field in ("NetworkMode", "PidMode", "IpcMode")]
    keys = [mode.removeprefix("container:") for mode in modes if mode.startswith("container:")]
    keys += [str(source).partition(":")[0] for source in host.get("VolumesFrom") or ()]
    found: dict[str, str] = {}
    for key in keys:
        if told.get(key):
            found[key] = str(told[key])
            if (other := await hand.inspect(found[key])) is not None:
                found[other.id] = other.name  # what the engine makes of the name, for whoever compares
        elif key not in found and (other := await hand.inspect(key)) is not None:
            found[key] = other.name
    return found


async def left_over(hand: Hand) -> tuple[str, ...]:
    """The containers of this service that stand under a temporary name now, by name; a guess if nobody answers."""
    name, op = hand.plan.name, hand.plan.op
    try:
        names = sorted(each.name for each in await hand.engine.list())
    except EngineError:
        return tuple(temp_name(name, role, op) for role in ROLES)
    return tuple(each for each in names if each.startswith(f"{name}.resurgam-") and is_temp(each))


def sentence(text: str) -> str:
    """Bounded, one line, with a full stop."""
    clean = units.plain(text.strip(), 1000)
    return clean if not clean or clean[-1] in ".!?…" else clean + "."
