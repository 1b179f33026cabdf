"""The model's files: all parts there, whole, and what they are. And those of the one that must be able to come back.

From: ports.Weights. To: preflight.py. A file that is cut or missing is found in milliseconds here; else after ten
minutes without a model.
"""

from supervisor.actions.swap.checks.case import Case, Eyes, Line, Part
from supervisor.facts import WeightsLook
from supervisor.units import Say, show_size
from supervisor.verdicts import Reason


async def files(eyes: Eyes, case: Case, say: Say) -> tuple[tuple[Line, ...], WeightsLook]:
    """What is to be said of them, and the look itself."""
    part = case.to
    if not part.model.files and not part.model.source:
        if part.model.inside:
            return (), WeightsLook()
        text = "nobody said where they are, so whether they are whole is not known; declare `files` for the model"
        return (Line("files", text, None),), WeightsLook()
    look = await eyes.models.weights.look(part.model)
    found = [Line("files", f"{trouble}; {_cure(part)}", ok=False) for trouble in look.troubles]
    if not found:
        found.append(Line("files", described(look, say), ok=True if look.files else None))
    found += [Line("files", note, None) for note in look.notes]
    return tuple(found), look


def described(look: WeightsLook, say: Say = show_size) -> str:
    """`18 of 18 parts, 341 GB, deepseek2, Q3_K_M`."""
    if not look.files:
        return "nothing is known of them"
    parts = f"{look.files} of {look.parts} parts" if max(look.parts, look.files) > 1 else "1 file"
    said = (parts, say(look.bytes) if look.bytes else "", look.architecture, look.quant)
    return ", ".join(word for word in said if word)


def _cure(part: Part) -> str:
    return "get it" if part.model.source else "put it there, or correct `files`"


async def way_back(eyes: Eyes, part: Part) -> Line | None:
    """What is wrong with the files of the one that leaves; None for nothing. It holds them open, and would not find
    them again."""
    if not part.model.files:
        return None
    look = await eyes.models.weights.look(part.model)
    if not look.troubles:
        return None
    return Line("way back", f"{part.model.name} could not come back: {look.troubles[0]}", False, Reason.UNFAITHFUL)
