"""What callers will notice: how many are in flight, who waits where, for how long, and whether they can be sent on.

From: the case, the gate, the server of the model that leaves. To: preflight.py.
"""

from supervisor.actions.swap.checks.case import Case, Eyes, Line, where
from supervisor.errors import EngineError
from supervisor.facts import Container
from supervisor.facts.slots import BESIDE
from supervisor.slots.address import unknown
from supervisor.units import show_duration
from supervisor.verdicts import Reason


async def in_flight(eyes: Eyes, case: Case) -> Line | None:
    """What has to be waited for before the model that holds the slot is touched; None where nobody holds it."""
    if case.before is None:
        return None
    slot = case.slot
    state = eyes.models.gate.state(slot.name)
    count = state.in_flight if state is not None and state.listening else None
    if count is None:
        try:
            count = (await eyes.models.server.look(await where(eyes, case.before))).in_flight
        except EngineError:
            count = None
    after = "then they are cut, and told so" if slot.cut else "else the swap ends, and nothing was touched"
    limit = f"{show_duration(slot.drain)} to end; {after}"
    if count is None:
        return Line("drain", f"nobody knows how many requests are in flight, which counts as busy; {limit}", None)
    if not count:
        return Line("drain", "no request is in flight")
    said = "1 request is in flight, and has" if count == 1 else f"{count} requests are in flight, and have"
    return Line("drain", f"{said} {limit}")


async def reached(eyes: Eyes, case: Case) -> Line | None:
    """Where the gate could send nobody to it; None where it can, or nobody can say."""
    try:
        container = await eyes.inspect(case.to)
    except EngineError:
        return None
    return reached_at(case, container) if container is not None else None


def reached_at(case: Case, container: Container) -> Line | None:
    """The same of a container that was looked at, or is not there yet."""
    why = unknown(case.to.model, case.to.needs, container) if case.slot.listen else ""
    return Line("callers", why, False, Reason.UNSUPPORTED) if why else None


def callers(case: Case) -> Line:
    """How long they wait, and where."""
    slot = case.slot
    took = f"for about {show_duration(case.expected)}" if case.expected else _at_most(case)
    if case.shape == BESIDE:
        return Line("callers", "notice nothing: they are moved while both run")
    if not slot.listen:
        by = f"by the name {slot.rename}" if slot.rename else "without a gate"
        return Line("callers", f"get no answer {took}: they come {by}; `listen` would hold them", None)
    text = f"held at {slot.listen} {took}; {slot.held} at most, {show_duration(slot.hold)} each"
    if slot.hold < case.expected:
        return Line("callers", f"{text}: that is shorter, so the first of them get 503 with Retry-After", None)
    return Line("callers", text)


def _at_most(case: Case) -> str:
    limit = case.limits.get(case.to.model.name) or case.to.needs.startup
    return f"until it is ready (nobody knows how long it loads; {show_duration(limit)} at most)"
