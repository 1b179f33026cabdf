"""The preflight of a swap: everything that can be known before the model that serves is touched.

From: the plan (swap.py, its step `preflight`) and the door that previews one (`--dry-run`: web/previewing.py). To: a
Report: lines as a person reads them, the first refusal, and what the model needs. Nothing is written. What its own
image says in a dry run is dry_run.py's; what is made where there is no container, created.py's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from supervisor.actions.swap import created
from supervisor.actions.swap.checks import callers, files, image, place, room
from supervisor.actions.swap.checks.case import Case, Eyes, Line, Part, case_of, eyes_of, part_of
from supervisor.facts import Free, Json, WeightsLook
from supervisor.slots.fit import NOTHING, Need
from supervisor.units import plain
from supervisor.verdicts import Reason, Verdict, yes


@dataclass(frozen=True, slots=True)
class Report:
    """What a preflight found."""

    lines: tuple[Line, ...]
    verdict: Verdict
    """yes, or the first refusal"""
    needs: tuple[Need, ...] = ()
    """what the model needs, by the best figures there are"""
    free: Free = NOTHING
    back: Free = NOTHING
    """what comes back from those that leave"""
    weights: WeightsLook = field(default_factory=WeightsLook)
    """what its files say"""

    def document(self) -> list[Json]:
        """[{what, text, ok}], as it is kept and shown."""
        return [line.document() for line in self.lines]


async def preflight(eyes: Eyes, case: Case, foretold: Sequence[Need] = ()) -> Report:
    """Look at everything. What cannot be looked at is said. `foretold`: what its dry run said it needs
    (dry_run.DryRun.needs), where it was run already."""
    say = room.speaking(case)
    lines: list[Line | None] = [_known(case)]
    found, look = await files.files(eyes, case, say)
    lines += found
    seen = await room.scene(eyes, case)
    needs = room.needs_of(case, seen, look, foretold)
    lines += room.room(case, seen, needs, look, say)
    lines.append(room.cache(case, seen.free, look, say))
    if created.needed(case):
        lines += await created.foresee(eyes, case)
    else:
        lines += await image.coming(eyes, case, needs, say)
        lines += [await place.ports(eyes, case), await callers.reached(eyes, case)]
    lines += await place.disk(eyes, case, look, say)
    lines.append(_asked(case, foretold, look))
    lines.append(await image.way_back(eyes, case))
    lines.append(await callers.in_flight(eyes, case))
    lines.append(callers.callers(case))
    said = tuple(replace(line, text=plain(line.text, 1000)) for line in lines if line is not None)
    return Report(said, verdict_of(said), needs, seen.free, seen.back, look)


def verdict_of(lines: Sequence[Line]) -> Verdict:
    """Yes, or the first refusal."""
    bad = next((line for line in lines if line.ok is False), None)
    return bad.refusal() if bad is not None else yes("The preflight found no obstacle.")


def _known(case: Case) -> Line | None:
    """What was tried before, and failed."""
    part = case.to
    if not part.no_go:
        return None
    text = f"{part.model.name} was tried on this image: {part.no_go.rstrip('.')}"
    if case.again:
        return Line("no-go", f"{text}; it is tried again", None)
    return Line("no-go", f"{text}; `again` tries it all the same", False, Reason.NO_GO)


def _asked(case: Case, foretold: Sequence[Need], look: WeightsLook) -> Line | None:
    """Whether somebody knows that its image knows the architecture."""
    part = case.to
    if part.model.dry_run:
        return None if foretold else Line("dry run", f"{' '.join(part.model.dry_run)[:200]} is asked of its own image")
    if part.model.inside or not look.architecture or part.memory or part.vram:
        return None  # its server is not an image of ours, or it ran well on this very image
    text = f"not declared: whether its image knows {look.architecture} shows when it loads"
    return Line("dry run", text, None)


__all__ = ["Case", "Eyes", "Line", "Part", "Report", "case_of", "eyes_of", "part_of", "preflight", "verdict_of"]
