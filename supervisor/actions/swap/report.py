"""The GO/NO-GO report of a slot's plan, and all that its end tells the core.

From: the marks of the plan. To: PlanEnded.data: who holds the slot, the report, the measurement, what was learned of
loads and sizes, which services were started and stopped, whose restart policy was taken. Keys are fixed: the core
(core/slots.py) and the views read them.
"""

import math
from collections.abc import Mapping

from supervisor import units
from supervisor.actions import proof
from supervisor.actions.common import sentence
from supervisor.actions.hand import Hand
from supervisor.actions.swap.sides import STOPS, Sides
from supervisor.facts import Bench, Json
from supervisor.journal.codec import dump, load
from supervisor.ports import Models
from supervisor.slots.judge import GO, NO_GO


def gate_counts(models: Models, slot: str) -> Json:
    """What the gate has counted so far, for the mark that begins a swap."""
    state = models.gate.state(slot)
    return {} if state is None else {"gate_failed": state.errors + state.refused + state.cut}


def failed_requests(hand: Hand, both: Sides) -> int | None:
    """Requests at the gate that failed since the swap began; None where there is no gate. A gate that was begun anew
    meanwhile counts from 0."""
    state = hand.models.gate.state(both.slot)
    if state is None:
        return None
    now, was = state.errors + state.refused + state.cut, int(hand.data.get("gate_failed") or 0)
    return now - was if now >= was else now


def bench_of(hand: Hand) -> Bench | None:
    """What was measured in this plan."""
    kept = hand.data.get("measured_bench")
    return load(Bench, kept) if kept else None


def seconds(hand: Hand) -> float:
    """Since the plan was made."""
    return round(max(0.0, hand.clock.wall() - hand.plan.created_at), 3)


def outage(hand: Hand) -> float:
    """Seconds in which nobody answered: from the stop of the one until the other was opened."""
    began, ended = float(hand.data.get("stopped_at") or 0.0), float(hand.data.get("opened_at") or 0.0)
    return round(max(0.0, ended - began), 3) if began and ended else 0.0


def after(hand: Hand, both: Sides) -> str:
    """`after 14m; 0 requests failed`."""
    count = failed_requests(hand, both)
    counted = "" if count is None else f"; {count} request{'' if count == 1 else 's'} failed"
    return f"after {units.show_duration(max(1.0, round(seconds(hand))))}{counted}"


def told(
    hand: Hand,
    both: Sides,
    *,
    holder: str,
    verdict: str,
    text: str,
    no_go: str = "",
    stopped: tuple[str, ...] = (),
    started: tuple[str, ...] = (),
) -> Json:
    """All that the end of a plan says. `no_go`: why the model that came is not to be tried again; '' where it may."""
    data, coming, leaving = hand.data, both.coming, both.leaving
    bench = bench_of(hand)
    shown: Json = {
        "holder": holder,
        "verdict": verdict,
        "report": {
            "plan": hand.plan.id,
            "at": hand.clock.wall(),
            "from": both.left,
            "to": coming.model.name,
            "verdict": verdict,
            "text": text,
            "lines": list(data.get("judged") or ()),
            "seconds": seconds(hand),
            "outage": outage(hand),
        },
        "bench": dump(bench) if bench is not None else None,
        "before": dump(both.baseline) if both.baseline is not None else None,
        "no_go": None,
        "loads": loads(hand, both),
        "measured": None,
        "stopped": list(stopped),
        "started": list(started),
        "policies": policies(hand, both, stopped),
    }
    if no_go:
        shown["no_go"] = {"model": coming.model.name, "image_id": coming.image_id, "text": units.plain(no_go, 500)}
    if verdict == GO and (data.get("peak_memory") or data.get("peak_vram")):
        shown["measured"] = learned(hand, both)
    if "log_count" in data:
        shown["log"] = {"log_count": data["log_count"], "log_tail": data.get("log_tail") or []}
    if data.get("proof"):
        shown["proof"] = str(data["proof"])
    if leaving is not None and outage(hand):
        shown["downtime"] = outage(hand)
    return proof.steps(hand) | shown


def learned(hand: Hand, both: Sides) -> Json:
    """What the model that came took at its peak. Weights that are mapped count for nobody in the kernel's sums, so of a
    container it is at least what of its files is not on the cards; nothing is learned where nobody knows its files."""
    vram = {str(uuid): int(size) for uuid, size in (hand.data.get("peak_vram") or {}).items()}
    memory, files = int(hand.data.get("peak_memory") or 0), int(hand.data.get("weights") or 0)
    if not both.coming.model.inside:
        memory = max(memory, int(files - math.fsum(vram.values()))) if files else 0
    return {"memory": memory, "vram": vram}


def loads(hand: Hand, both: Sides) -> Json:
    """Seconds that loads took in this plan, by service; by model for one inside a server."""
    found: Json = {}
    for part, key in ((both.coming, "ready_seconds"), (both.leaving, "back_seconds")):
        took = float(hand.data.get(key) or 0.0)
        if part is not None and took:
            found[part.model.name if part.model.inside else part.service or part.model.name] = took
    return found


def policies(hand: Hand, both: Sides, stopped: tuple[str, ...]) -> Mapping[str, str]:
    """The restart policies of those that were put away: the next start gives them back."""
    every = (both.coming, *([both.leaving] if both.leaving is not None else []), *both.case.evict)
    return {
        part.service: part.policy
        for part in every
        if part.service in stopped and part.policy not in ("", "no") and both.leaves(part) == STOPS
    }


def needs_less(both: Sides) -> bool:
    """Whether the model that was there needs less memory than the one that comes; no where nobody knows."""
    if both.leaving is None:
        return True
    sizes = []
    for part in (both.leaving, both.coming):
        memory = part.memory or part.needs.memory or part.model.memory
        cards = math.fsum(part.vram.values()) or math.fsum(size for _gpu, size in part.needs.vram or part.model.vram)
        sizes.append(memory + cards)
    return 0 < sizes[0] < sizes[1]


def go(hand: Hand, both: Sides, headline: str) -> str:
    """The sentence of a swap that went well."""
    shown = f": {headline}" if headline else ""
    return sentence(f"{GO} {both.coming.model.name}{shown}. It holds {both.slot}, verified, {after(hand, both)}")


def no_go(both: Sides, trouble: str, blamed: bool, rest: str) -> str:
    """The sentence of one that did not. `blamed`: it was the model's fault. `rest`: who holds the slot now."""
    name = both.coming.model.name
    first = f"{NO_GO} {name}: {trouble}" if blamed else f"{name} did not take over {both.slot}: {trouble}"
    return f"{sentence(first)} {sentence(rest)}"
