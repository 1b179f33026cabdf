"""What comes before anything is touched: the containers are as they were found, the preflight, the dry run, a container
for a model that has none; then callers are held, and what is in flight comes to its end.

From: swap.py, single.py. To: the marks. Cannot or Denied where it ends here; `undone` opens the gate again.
"""

from supervisor import units
from supervisor.actions.common import sentence
from supervisor.actions.hand import Cannot, Ending, Hand
from supervisor.actions.swap import created, dry_run, measuring, report
from supervisor.actions.swap.checks.case import Part, eyes_of
from supervisor.actions.swap.drain import drain
from supervisor.actions.swap.preflight import preflight
from supervisor.actions.swap.sides import MADE, Sides, address, box_of, sides, where
from supervisor.actions.swap.swept import swept
from supervisor.facts import Container, Json
from supervisor.verdicts import Reason, Verdict, no


async def look(hand: Hand, both: Sides) -> tuple[Container | None, Container | None]:
    """The step `preflight` with fresh looks: (who leaves, who comes). Cannot where a container is another one now."""
    seen = [await box_of(hand, part) for part in (both.leaving, both.coming)]
    await hand.step("preflight", *seen)
    for part, box in zip((both.leaving, both.coming), seen, strict=True):
        if part is not None and part.container_id:
            _as_found(hand, part, box)
    old, new = seen
    kept: Json = {
        "left_running": both.leaving is not None and (old is None or old.running),
        "started_before": new.started_at if new is not None else 0.0,
    }
    hand.mark("preflight", "The containers are as they were found.", ok=False, **kept)
    return old, new


def _as_found(hand: Hand, part: Part, seen: Container | None) -> None:
    if seen is None:
        text = f"{part.name} is gone: somebody removed or replaced it; nothing was done."
        raise Cannot(no(Reason.VANISHED, text))
    if seen.name != part.name:
        raise Cannot(no(Reason.INTERFERED, f"{part.name} was renamed to {seen.name}; nothing was done."))


async def proved(hand: Hand, both: Sides) -> Sides:
    """Preflight, dry run, creation. The sides as they are then: the model that comes has a container."""
    found = await preflight(eyes_of(hand), both.case)
    kept: Json = {"preflight": found.document(), "weights": int(found.weights.bytes)}
    hand.mark("preflight", found.verdict.text, ok=found.verdict.ok, **kept)
    if not found.verdict.ok:
        raise Cannot(found.verdict)
    if hand.has("dry_run"):
        await hand.step("dry_run")
        said = await dry_run.dry_run(hand, both.case)
        if said is not None:
            hand.mark("dry_run", said.line.text, ok=said.line.ok is not False, dry_run=said.line.document())
            if said.line.ok is False:
                raise Cannot(no(said.line.reason, sentence(f"{both.coming.model.name}: {said.line.text}")))
            if said.needs:
                await _again(hand, both, said)
    if hand.has("create"):
        await hand.step("create")
        made = await created.create(hand, both.case)
        kept = {MADE: made.id, "made_name": made.name}
        hand.mark("create", f"{made.name} was made, and not started.", **kept)
        both = sides(hand)
    if both.coming.container_id:
        log = await measuring.mark_log(hand, both.coming.container_id) if both.criteria.log else {}
        hand.mark("preflight", ok=False, **log)
    return both


async def _again(hand: Hand, both: Sides, said: dry_run.DryRun) -> None:
    """Its own image knows its size: does it still fit?"""
    found = await preflight(eyes_of(hand), both.case, said.needs)
    hand.mark("dry_run", found.verdict.text, ok=found.verdict.ok, preflight=found.document())
    if not found.verdict.ok:
        raise Cannot(found.verdict)


async def quiet(hand: Hand, both: Sides, part: Part | None, seconds: float, *, cut: bool, gate: bool = True) -> None:
    """Callers are held, and what `part` works on ends within so many seconds. Cannot (in use) where it does not and may
    not be cut. `gate` False: callers do not go to this model, so nobody is held."""
    slot = both.slot
    await hand.step("hold")
    if gate:
        hand.models.gate.hold(slot, f"{hand.plan.verb} {slot}: plan {hand.plan.id}")
    counts = report.gate_counts(hand.models, slot)
    hand.mark("hold", "New requests wait." if gate else "", held_at=hand.clock.wall(), **counts)
    await hand.step("drain")
    if part is None:
        hand.mark("drain", "Nobody answers here.")
        return
    found = await drain(hand, both, part, "drain", seconds, gate=gate)
    if found.idle:
        hand.mark("drain", f"{sentence(found.text)}", in_flight=0)
        return
    if not cut:
        text = f"{slot}: {found.text} after {units.show_duration(seconds)}, so nothing was touched; try again later"
        if hand.plan.verb == "swap":
            text += f", or cut them: resurgam swap {slot} --to {hand.plan.found['to']} --cut"
        raise Cannot(no(Reason.IN_USE, sentence(text)))
    count = hand.models.gate.cut(slot) if gate else 0
    hand.mark("drain", f"{found.text}; {count} were cut, and told so.", cut=count)


async def undone(hand: Hand, both: Sides, outcome: Verdict, why: Reason) -> Ending:
    """Nothing was touched: callers go where they went before."""
    data: Json = {"why": why.value, "untouched": True}
    await swept(hand)
    runs = False
    if both.leaving is not None:
        at = await where(hand, both.leaving)
        runs = at.container.running if at.container is not None else not both.leaving.container_id
        # a door that came up with this process holds until it is told who serves
        if runs and str(hand.plan.found.get("holder", both.left)) == both.left:
            hand.models.gate.open(both.slot, address(at))
    if hand.data.get("preflight"):
        data["preflight"] = hand.data["preflight"]
    return Ending(outcome, (), data)
