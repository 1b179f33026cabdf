"""The trial of a model that was just brought: ready, warm, measured, asked its canaries, judged.

From: swap.py, beside.py, single.py. To: the marks (`measured_bench`, `judged`, `verdict` …), which are durable before
the commit is permitted. Trouble where there is nothing to judge.
"""

from collections.abc import Sequence
from dataclasses import replace

from supervisor.actions.hand import Hand
from supervisor.actions.probation import Baseline
from supervisor.actions.swap import measuring, ready, watching
from supervisor.actions.swap.checks.case import Part
from supervisor.actions.swap.report import needs_less
from supervisor.actions.swap.sides import Sides, address, where
from supervisor.facts import Bench, Criteria, Free, Identity
from supervisor.gpu.cards import deck_of
from supervisor.journal.codec import dump
from supervisor.slots import judge


async def run(hand: Hand, both: Sides, base: Baseline | None, *, rival: str = "", reason: str = "swap") -> str:
    """GO or NO-GO, with every line in the marks."""
    part = both.coming
    vigil = await watching.begin(hand, part, base, rival, spares=needs_less(both))
    await hand.step("ready", await watching.check(hand, vigil))
    found = await ready.ready(hand, both, vigil, "start", "ready")
    if both.case.slot.listen and not address(await where(hand, part)):
        text = f"nobody knows where its callers are to be sent; give {vigil.name} a url: http://:PORT in resurgam.yaml"
        raise watching.Trouble(text)
    said = f"; it answered in {found.answer.seconds:.1f} s" if found.answer.seconds else ""
    text = f"{vigil.name} is loaded and answers{said}"
    hand.mark("ready", f"{text}.", ready_seconds=found.seconds, ready_at=found.at, proof=text)
    return await measured(hand, both, vigil, found.identity, reason)


async def measured(hand: Hand, both: Sides, vigil: watching.Vigil, identity: Identity, reason: str) -> str:
    """What comes behind ready, as far as the plan has it."""
    before = _free(hand)
    criteria, declared = await _by_card(hand, both.criteria, vigil.part, list(before.vram))
    context = identity.context or vigil.part.model.context
    peak = measuring.Taken(before, float(hand.data.get("peak_memory") or 0.0))
    peak.vram.update({str(uuid): float(size) for uuid, size in (hand.data.get("peak_vram") or {}).items()})
    bench: Bench | None = None
    if hand.has("warmup"):
        await hand.step("warmup")
        await measuring.warm(hand, vigil, criteria, context)
        hand.mark("warmup")
    if hand.has("bench"):
        await hand.step("bench")
        bench = await measuring.run(hand, both, vigil, criteria, context, peak, reason)
        hand.mark("bench", _shown(bench), measured_bench=dump(bench))
    if hand.has("canary"):
        await hand.step("canary")
        known = bench or measuring.summed(hand, both, vigil, (), reason)
        bench = await measuring.canaries(hand, both, vigil, criteria, known)
        right = bench.canaries - len(bench.failed)
        hand.mark("canary", f"{right} of {bench.canaries} right." if bench.canaries else "No canary is declared.")
    await measuring.taken(hand, vigil, peak)
    if peak.own is None:  # what is free less may be a neighbour's doing: only who says a figure for it is held to it
        declared = replace(declared, vram=())
    return await _judged(hand, both, vigil, criteria, declared, bench, peak)


async def _judged(
    hand: Hand,
    both: Sides,
    vigil: watching.Vigil,
    criteria: Criteria,
    declared: judge.Declared,
    bench: Bench | None,
    peak: measuring.Taken,
) -> str:
    bad = await measuring.bad_lines(hand, vigil, criteria.log)
    shown = judge.Shown(bench, both.baseline, peak.memory, peak.cards, bad)
    if both.pivot:  # it goes back: what it does not do, the other one did not do either
        criteria, declared = Criteria(), judge.Declared()
    lines = judge.judge(criteria, shown, declared)
    verdict = judge.verdict(lines)
    last = next((step for step in ("canary", "ready") if hand.has(step)), "preflight")
    hand.mark(
        last,
        f"{verdict}: {judge.why(lines)}" if verdict == judge.NO_GO else "",
        ok=verdict == judge.GO,
        judged=[line.document() for line in lines],
        judged_verdict=verdict,
        headline=judge.headline(lines, bench, both.baseline),
        judged_why=judge.why(lines),
        peak_memory=int(peak.memory),
        peak_vram=measuring.cards(peak.cards),
        **({"measured_bench": dump(bench)} if bench is not None else {}),
    )
    await watching.check(hand, vigil)
    return verdict


async def _by_card(hand: Hand, criteria: Criteria, part: Part, known: Sequence[str]) -> tuple[Criteria, judge.Declared]:
    """The criteria, and what is declared of it, with cards by their UUIDs. `known`: those that had memory free before,
    in the driver's order, for where nobody can be asked."""
    deck = deck_of((await hand.driver.snapshot("fast")).cards)
    model, needs = part.model, part.needs
    memory, room = (model.memory, model.vram) if model.inside else (needs.memory, needs.vram)

    def by_uuid(sizes: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
        return tuple((deck.uuid_of(word) or _card(word, known), size) for word, size in sizes)

    return replace(criteria, vram=by_uuid(criteria.vram)), judge.Declared(memory, by_uuid(room))


def _card(word: str, cards: Sequence[str]) -> str:
    if word.isdecimal():
        return cards[int(word)] if int(word) < len(cards) else word
    return next((uuid for uuid in cards if word and uuid.lower().startswith(word.lower())), word)


def _free(hand: Hand) -> Free:
    vram = {str(uuid): float(size) for uuid, size in (hand.data.get("free_vram") or {}).items()}
    return Free(float(hand.data.get("free_memory") or 0.0), vram)


def _shown(bench: Bench) -> str:
    first = f", {bench.first_token * 1000:.0f} ms to the first token" if bench.first_token else ""
    return f"{judge.rate(bench.rate)} (median of {bench.runs}){first}."
