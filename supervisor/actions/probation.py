"""Watches a container that was just started until it proves healthy, dies, or its time is up.

From: the engine (inspect, events through Hand.notice) and the service's own probe (asking.py). To: the maneuver that
started it. Healthy means: the container's own health check says so; and the declared probe answers, from the first
second on. What cannot run at all, check or probe, counts as not there, and is said. Where there is neither: it plainly
runs. It must stay so for a short while without a break; then a container this plan made is measured, where its owner
declared how fast it must be. The first death decides, that of a child by the out-of-memory killer included.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from supervisor import units
from supervisor.actions.asking import Asked, Asker
from supervisor.actions.hand import Hand
from supervisor.errors import EngineError
from supervisor.facts import Benchmark, Container, Json
from supervisor.ports import ProbeResult
from supervisor.services.checks import broken_check

SETTLE = 5.0
"""seconds a container must be healthy without a break"""
SETTLE_PLAIN = 10.0
"""the same where nothing but its running can be seen"""
_STOP_NEWS = 1.0
"""seconds in which the engine tells that an end which was asked for was a stop"""
_ENGINE_ENDS = 16.0
"""seconds from the first container an engine stops to its own end, at most (Docker gives them 15)"""
_SLOW = 2.0
"""seconds between two looks at an engine that may be about to end"""
_SOON = 0.05


@dataclass(frozen=True, slots=True)
class Baseline:
    """How it stood right after its start: a later start or another restart is a death in between."""

    started_at: float
    restarts: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What the watch found. `its_fault`: the container died or its check said no; not so when it was interfered
    with or the engine was away. `well_at`: unix seconds of the first healthy look of the unbroken stretch. `stopped`:
    a person stopped it, and wants it down. `asked`: what its probe said. `check`: why its own health check cannot run,
    '' where it can. `rate`: tokens per second by its benchmark, 0 where none was measured."""

    ok: bool
    text: str
    its_fault: bool = False
    well_at: float = 0.0
    stopped: bool = False
    checked: bool = False
    """something beside its running was seen to be well"""
    asked: Asked = field(default_factory=Asked)
    check: str = ""
    rate: float = 0.0

    def proof(self) -> Json:
        """What is kept of it: {probe: {kind, ok, failed, first_ok_after, last, broken}, check, rate}, each where there
        is something to say."""
        found: Json = {"probe": self.asked.document(), "check": self.check, "rate": round(self.rate, 2)}
        return {key: value for key, value in found.items() if value}


def load_seconds(hand: Hand, step: str, finding: Finding) -> float:
    """Seconds from the launch that `step` marked to healthy, for those who learn from it; 0 where it was not launched,
    or where nothing but its running was seen: that says nothing about its load."""
    launched = float(hand.data.get(f"launched_{step}") or 0.0)
    known = finding.ok and finding.checked and launched
    return round(max(0.0, finding.well_at - launched), 3) if known else 0.0


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
    broken = broken_check(seen)
    if seen.health not in ("none", "healthy") and not broken:
        return False, f"its health check says: {seen.health}"
    shown = [] if seen.health == "none" else ["its health check says healthy"]
    if broken:
        shown = [f"its health check cannot run ({broken})"]
    if probe is not None:
        shown.append(f"its probe cannot run ({probe.text})" if probe.broken else f"its probe says: {probe.text}")
    if not checked(seen, probe):
        shown.append("it runs")
    return True, " and ".join(shown)


def settle_for(seen: Container, probe: ProbeResult | None) -> float:
    """How long it must stay healthy: longer where only its running can be seen."""
    return SETTLE if checked(seen, probe) else SETTLE_PLAIN


def checked(seen: Container, probe: ProbeResult | None) -> bool:
    """Whether there is anything beside its running that can be seen."""
    own = seen.health != "none" and not broken_check(seen)
    return own or (probe is not None and not probe.broken)


def speed(wanted: Benchmark, found: ProbeResult) -> tuple[bool, str]:
    """Whether it is fast enough, and the words for it. A benchmark that cannot run is said, and held against nobody."""
    if found.broken:
        return True, f"its benchmark cannot run ({found.text})"
    if not found.ok:
        return False, f"failed its benchmark: {found.text}"
    if found.rate < wanted.at_least:
        return False, f"answers {found.rate:.1f} tokens/s, wanted {wanted.at_least:g}"
    return True, f"it answers {found.rate:.1f} tokens/s, wanted {wanted.at_least:g}"


async def watch(hand: Hand, key: str, seconds: float, base: Baseline, rival: str = "") -> Finding:
    """Watch container `key` (an id) for at most `seconds`. `rival`: an id that must not run meanwhile: whoever starts
    it has taken matters into their own hands."""
    asker = Asker(hand)
    try:
        finding = await _watch(hand, asker, key, seconds, base, rival)
    finally:
        asker.close()
    return replace(finding, asked=asker.asked)


async def _watch(hand: Hand, asker: Asker, key: str, seconds: float, base: Baseline, rival: str) -> Finding:
    began, cuts = hand.clock.mono(), hand.cuts
    hand.asked.pop(key, None)
    life = await life_of(hand, began + seconds)
    deadline, well_since, well_at, proof = began + seconds, -1.0, 0.0, ""
    wanted = hand.plan.needs.benchmark if key != hand.plan.container_id else None  # the old one is what there is
    while True:
        try:
            seen = await hand.inspect(key, until=deadline)
            other = await hand.inspect(rival, until=deadline) if rival else None
        except EngineError as err:
            return Finding(False, f"could not be watched to the end: {err}")
        died = death(seen, base, hand.deaths.get(key))
        if died or seen is None:
            return await ended(hand, key, died, life, its_fault=seen is not None and hand.cuts == cuts)
        if other is not None and other.running:
            return Finding(False, f"was left because somebody started {other.name}")
        check = broken_check(seen)
        if seen.health == "unhealthy" and not check:
            return Finding(False, standing(seen, None)[1], its_fault=True)
        if proof and wanted is not None:
            if asker.speed is not None:
                ok, text = speed(wanted, asker.speed)
                text = f"{proof}; {text}" if ok else text
                fault = not ok and hand.cuts == cuts
                seen_well = checked(seen, asker.last)
                return Finding(ok, text, fault, well_at, checked=seen_well, check=check, rate=asker.speed.rate)
            await hand.nap(asker.next())
            continue
        asker.ask(seen)
        well, why = standing(seen, asker.last)
        now = hand.clock.mono()
        if not well:
            well_since = -1.0
            if now >= deadline:
                took = units.show_duration(seconds)
                its_fault = seen.running and hand.cuts == cuts
                return Finding(False, f"was not healthy within {took}: {why}", its_fault, check=check)
        elif well_since < 0:
            well_since, well_at = now, hand.clock.wall()
        settle = settle_for(seen, asker.last)
        if well and now - well_since >= settle and asker.sure:
            proof = f"{why}, for {units.show_duration(settle)} without a break"
            if wanted is None:
                return Finding(True, proof, well_at=well_at, checked=checked(seen, asker.last), check=check)
            asker.measure(seen)
            deadline = max(deadline, now + wanted.within)
            continue
        left = settle - (now - well_since) if well else deadline - now
        wait = asker.next()
        await hand.nap(max(_SOON, min(wait, left) if left > 0 else wait))


async def ended(hand: Hand, key: str, how: str, life: str, its_fault: bool) -> Finding:
    """It ended: by itself, or because somebody asked it to, or with its engine. Nothing of ours asks it to while it is
    watched. `life`: the engine's, when the watch began."""
    end = hand.clock.mono() + _STOP_NEWS
    while key in hand.asked and "stop" not in hand.asked[key] and hand.clock.mono() < end:
        await hand.nap(end - hand.clock.mono())
    asked = hand.asked.get(key, {})
    if await _engine_ended(hand, life, asked.get("stop")):
        return Finding(False, "ended together with its engine")
    if "stop" in asked:
        return Finding(False, "was stopped by somebody", stopped=True)
    if asked:
        return Finding(False, f"{how}, after somebody sent it a signal")
    return Finding(False, how, its_fault)


async def _engine_ended(hand: Hand, life: str, stopped: float | None) -> bool:
    """Whether its engine ended. One that ends in order stops every container first, as a person would: after a stop
    (heard at the monotonic instant `stopped`) it is given the time to go. It may be gone and back between two of our
    looks, and the look that was cut may be the very one that would have shown the stop."""
    end = (stopped if stopped is not None else hand.clock.mono()) + _ENGINE_ENDS
    while True:
        now = await life_of(hand, end)
        if life and now and now != life:
            return True
        if stopped is None:
            return False
        if stopped - _STOP_NEWS <= hand.cut_at <= end:
            return True
        if hand.clock.mono() >= end:
            return False
        await hand.nap(min(_SLOW, max(_SOON, end - hand.clock.mono())))


async def life_of(hand: Hand, until: float) -> str:
    """What tells this life of the engine from the next; '' where it does not say."""
    with suppress(EngineError):
        return (await hand.read(hand.engine.info, until=until)).identity
    return ""
