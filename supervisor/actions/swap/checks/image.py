"""The images and containers of both models: whether the one can be started at all, and the other one again.

From: the engine. To: preflight.py. A way back that cannot run is worse than none, so what would keep the old model from
coming back is found before it is stopped.
"""

from collections.abc import Iterable

from supervisor import units
from supervisor.actions import recipe
from supervisor.actions.recipe.grants import number
from supervisor.actions.swap.checks import driver, files
from supervisor.actions.swap.checks.case import Case, Eyes, Line, Part
from supervisor.errors import EngineError, NotFound
from supervisor.facts import Container, Json
from supervisor.facts.slots import EXCLUSIVE
from supervisor.slots import fit
from supervisor.slots.fit import Need
from supervisor.units import Say
from supervisor.verdicts import Reason

_BROKEN = ("dead", "removing")


async def coming(eyes: Eyes, case: Case, needs: Iterable[Need], say: Say) -> tuple[Line, ...]:
    """The model's own container and image. `needs`: what it is known to need."""
    part = case.to
    if not part.container_id:
        return ()
    try:
        return await _startable(eyes, part, needs, say)
    except NotFound:
        return (_gone(part, "coming"),)
    except EngineError as err:
        return (Line("image", f"the engine does not say: {err}", None),)


async def _startable(eyes: Eyes, part: Part, needs: Iterable[Need], say: Say) -> tuple[Line, ...]:
    container = await eyes.inspect(part)
    if container is None:
        return (_gone(part, "coming"),)
    if container.status in _BROKEN:
        text = f"{container.name} is {container.status}: the engine is taking it away; make it anew with compose"
        return (Line("image", text, False, Reason.UNSUPPORTED),)
    image = await eyes.ask(lambda: eyes.engine.image(container.image_id))
    if image is None:
        text = f"the engine has lost the image of {container.name}; pull it, and make the container anew"
        return (Line("image", text, False, Reason.IMAGE_GONE),)
    raw, info = await eyes.ask(lambda: eyes.engine.raw(container.id)), await eyes.ask(eyes.engine.info)
    refused = await recipe.missing_sources(raw, info)
    if refused is not None:
        return (Line("image", refused.text.rstrip("."), False, refused.reason),)
    lacks = await driver.unserved(eyes, raw, container)
    if lacks is not None:
        return (lacks,)
    ref = container.image_ref if not container.image_ref.startswith("sha256:") else ""
    here = Line("image", f"{units.plain(ref, 200) or 'it'} is here ({units.short_image(container.image_id)})")
    return (here, *_limited(raw, needs, say))


def _limited(raw: Json, needs: Iterable[Need], say: Say) -> tuple[Line, ...]:
    """A limit of its container below what it needs: mapped weights do not count against it, others do."""
    limit = number((raw.get("HostConfig") or {}), "Memory")
    need = next((one.bytes for one in needs if one.where == fit.MEMORY), 0.0)
    if not 0 < limit < need:
        return ()
    text = f"its container may use {say(limit)}, and it needs {say(need)}: unless its files are mapped, it is killed"
    return (Line("memory", text, None),)


async def way_back(eyes: Eyes, case: Case) -> Line | None:
    """Whether the one that leaves could come back; None where nobody leaves."""
    part = case.before
    if part is None:
        return None
    bad = await _cannot_return(eyes, part)
    if bad is not None:
        lost = bad.reason is Reason.UNSUPPORTED  # its stop alone would be the end of it
        needed = case.shape == EXCLUSIVE and (lost or case.slot.on_fail == "pivot")
        return bad if needed else Line(bad.what, bad.text, None)
    return Line("way back", f"{part.model.name} can come back")


async def _cannot_return(eyes: Eyes, part: Part) -> Line | None:
    lost = await files.way_back(eyes, part)
    if lost is not None or not part.container_id:
        return lost
    try:
        container = await eyes.inspect(part)
        if container is None:
            return _gone(part, "way back")
        return await _whole(eyes, part, container)
    except NotFound:
        return _gone(part, "way back")
    except EngineError as err:
        return Line("way back", f"the engine does not say whether {part.model.name} could come back: {err}", None)


async def _whole(eyes: Eyes, part: Part, container: Container) -> Line | None:
    name = part.model.name
    if container.auto_remove:
        text = f"{container.name} is removed by the engine when it stops (--rm), so {name} could not come back"
        return Line("way back", text, False, Reason.UNSUPPORTED)
    if await eyes.ask(lambda: eyes.engine.image(container.image_id)) is None:
        text = f"the engine has lost the image of {container.name}, so nobody could make it again; pull it first"
        return Line("way back", text, False, Reason.IMAGE_GONE)
    raw, info = await eyes.ask(lambda: eyes.engine.raw(container.id)), await eyes.ask(eyes.engine.info)
    refused = await recipe.missing_sources(raw, info)
    if refused is None:
        return None
    return Line("way back", f"{name} could not come back: {refused.text.rstrip('.')}", False, refused.reason)


def _gone(part: Part, what: str) -> Line:
    word = "way back" if what == "way back" else "image"
    text = f"the container of {part.model.name} ({part.name or part.container_id[:12]}) is gone"
    return Line(word, f"{text}: somebody removed or replaced it; make it anew", False, Reason.VANISHED)
