"""Watches a container that was just started until it proves healthy, dies, or its time is up.

From: the engine (inspect, events through Hand.notice) and the service's own probe. To: the maneuver that started it.
Healthy means: the container's own health check says so; and the declared probe answers, if it can run at all; where
there is neither: it plainly runs. It must stay so for a short while without a break. The first death decides.
"""

from contextlib import suppress
from dataclasses import dataclass

from supervisor import units
from supervisor.actions.hand import Hand
from supervisor.errors import EngineError
from supervisor.facts import Container
from supervisor.ports import ProbeResult

SETTLE = 5.0
"""seconds a container must be healthy without a break"""
SETTLE_PLAIN = 10.0
"""the same where nothing but its running can be seen"""
PROBE_TIMEOUT = 5.0
_STOP_NEWS = 1.0
"""seconds in which the engine tells that an end which was asked for was a stop"""
_ENGINE_ENDS = 16.0
"""seconds from the first container an engine stops to its own end, at most (Docker gives them 15)"""
_QUICK, _SLOW, _QUICK_FOR = 0.5, 2.0, 15.0
"""seconds between two looks: at first, and later"""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How it stood right after its start: a later start or another restart is a death in between."""

    started_at: float
    restarts: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What the watch found. `its_fault`: the container died or its check said no; not so when it was interfered
    with or the engine was away. `well_at`: unix seconds of the first healthy look of the unbroken stretch. `stopped`:
    a person stopped it, and wants it down."""

    ok: bool
    text: str
    its_fault: bool = False
    well_at: float = 0.0
    stopped: bool = False


def death(seen: Container | None, base: Baseline, noticed: tuple[float, str] | None) -> str:
    """How it died since `base`, '' if it did not."""
    if seen is None:
        return "was removed"
    if noticed is not None and noticed[0] > base.started_at:
        return noticed[1]
    if seen.restart_count > base.restarts:
        return f"died and was restarted by the engine ({seen.restart_count - base.restarts} so far)"
    if seen.status in ("exited", "dead", "restarting", "removing"):
        oom = " (out of memory)" if seen.oom_killed else ""
        return f"ended with exit code {seen.exit_code}{oom}"
    if seen.status == "created":
        return f"did not start: {seen.error}" if seen.error else "did not start"
    return ""


def standing(seen: Container, probe: ProbeResult | None) -> tuple[bool, str]:
    """Whether it is healthy at this look, and what shows it."""
    if not seen.running:
        return False, f"it is {seen.status}"
    if probe is not None and not probe.broken and not probe.ok:
        return False, f"its probe says: {probe.text}"
    if seen.health not in ("none", "healthy"):
        return False, f"its health check says: {seen.health}"
    shown = [] if seen.health == "none" else ["its health check says healthy"]
    if probe is not None:
        shown.append(f"its probe cannot run ({probe.text})" if probe.broken else f"its probe says: {probe.text}")
    return True, " and ".join(shown) or "it runs"


def settle_for(seen: Container, probe: ProbeResult | None) -> float:
    """How long it must stay healthy: longer where only its running can be seen."""
    checked = seen.health != "none" or (probe is not None and not probe.broken)
    return SETTLE if checked else SETTLE_PLAIN


async def watch(hand: Hand, key: str, seconds: float, base: Baseline, rival: str = "") -> Finding:
    """Watch container `key` (an id) for at most `seconds`. `rival`: an id that must not run meanwhile: whoever starts
    it has taken matters into their own hands."""
    began, cuts = hand.clock.mono(), hand.cuts
    hand.asked.pop(key, None)
    deadline, well_since, well_at, why = began + seconds, -1.0, 0.0, "it was not seen"
    while True:
        try:
            seen = await hand.inspect(key, until=deadline)
            other = await hand.inspect(rival, until=deadline) if rival else None
        except EngineError as err:
            return Finding(False, f"could not be watched to the end: {err}")
        died = death(seen, base, hand.deaths.get(key))
        if died or seen is None:
            return await _ended(hand, key, died, its_fault=seen is not None and hand.cuts == cuts)
        if other is not None and other.running:
            return Finding(False, f"was left because somebody started {other.name}")
        probe = await _probe(hand, seen)
        well, why = standing(seen, probe)
        now = hand.clock.mono()
        if not well:
            well_since = -1.0
            if seen.health == "unhealthy":
                return Finding(False, why, its_fault=True)
            if now >= deadline:
                took = units.show_duration(seconds)
                its_fault = seen.running and hand.cuts == cuts
                return Finding(False, f"was not healthy within {took}: {why}", its_fault)
        elif well_since < 0:
            well_since, well_at = now, hand.clock.wall()
        settle = settle_for(seen, probe)
        if well and now - well_since >= settle:
            return Finding(True, f"{why}, for {units.show_duration(settle)} without a break", well_at=well_at)
        wait = _QUICK if now - began < _QUICK_FOR else _SLOW
        await hand.nap(max(0.05, min(wait, settle - (now - well_since))) if well else wait)


async def _ended(hand: Hand, key: str, how: str, its_fault: bool) -> Finding:
    """It ended: by itself, or because somebody asked it to. Nothing of ours asks it to while it is watched."""
    end = hand.clock.mono() + _STOP_NEWS
    while key in hand.asked and "stop" not in hand.asked[key] and hand.clock.mono() < end:
        await hand.nap(end - hand.clock.mono())
    asked = hand.asked.get(key, set())
    if "stop" in asked:
        if await _engine_ended(hand, key):
            return Finding(False, "ended together with its engine")
        return Finding(False, "was stopped by somebody", stopped=True)
    if asked:
        return Finding(False, f"{how}, after somebody sent it a signal")
    return Finding(False, how, its_fault)


async def _engine_ended(hand: Hand, key: str) -> bool:
    """Whether the stop was the engine's own: one that ends in order stops every container first, as a person would."""
    cuts, end = hand.cuts, hand.clock.mono() + _ENGINE_ENDS
    while hand.cuts == cuts and hand.clock.mono() < end:
        with suppress(EngineError):
            await hand.inspect(key, until=end)
        await hand.nap(_SLOW)
    return hand.cuts > cuts


async def _probe(hand: Hand, seen: Container) -> ProbeResult | None:
    needs = hand.plan.needs
    if not needs.probe or not seen.running:
        return None
    return await hand.prober.probe(needs, seen, PROBE_TIMEOUT)
