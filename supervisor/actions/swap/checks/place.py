"""What else the model needs on this machine: its ports, and room on the disk for what its container writes.

From: the engine (who publishes what), ports.Room (who else listens). To: preflight.py. A port that the model that
leaves publishes is free once it has left.
"""

import asyncio
import os
import shutil
from dataclasses import replace

from supervisor import units
from supervisor.actions.swap.checks.case import Case, Eyes, Line
from supervisor.errors import EngineError
from supervisor.facts import Container, WeightsLook
from supervisor.signals.room import clash
from supervisor.units import Say
from supervisor.verdicts import Reason

LEAST = 1 << 30
"""bytes that are to be free where the engine keeps what containers write"""
_PATIENCE = 3.0
"""seconds: a dead disk answers never"""


async def ports(eyes: Eyes, case: Case) -> Line | None:
    """Whether its ports can be had; None where it publishes none."""
    try:
        container = await eyes.inspect(case.to)
        if container is None or not container.ports or container.living:
            return None
        others = await eyes.ask(eyes.engine.list)
    except EngineError as err:
        return Line("ports", f"the engine does not say who has them: {err}", None)
    return await ports_of(eyes, case, container, others)


async def ports_of(eyes: Eyes, case: Case, container: Container, others: tuple[Container, ...]) -> Line:
    """The same of a container that is not there yet."""
    gate = f"{case.slot.listen}/tcp" if case.slot.listen else ""
    mine = next((port for port in container.ports if gate and clash(port, gate)), "")
    if mine:
        text = f"{container.name} publishes {mine}, which is the gate's own; let it publish another one, or none"
        return Line("ports", text, False, Reason.UNSUPPORTED)
    leaving = {part.container_id for part in case.leaving} | {container.id}
    for other in others:
        taken = next((port for port in container.ports if any(clash(port, its) for its in other.ports)), "")
        if taken and other.living and other.id not in leaving:
            text = f"{units.plain(other.name, 100)} publishes {taken}, which {container.name} needs; stop it first"
            return Line("ports", text, False, Reason.NO_FIT)
    freed = [its for other in others if other.id in leaving and other.living for its in other.ports]
    own = tuple(port for port in container.ports if not any(clash(port, its) for its in freed))
    bare = replace(case.to.needs, memory=0, vram=())
    held = await eyes.room.held(bare, replace(container, ports=own)) if own else ""
    if held:
        return Line("ports", f"{held}; end that first", False, Reason.NO_FIT)
    shown = ", ".join(container.ports[:4])
    return Line(
        "ports", f"{shown} can be had" if own == container.ports else f"{shown}: free once the other one stopped"
    )


async def disk(eyes: Eyes, case: Case, look: WeightsLook, say: Say) -> tuple[Line, ...]:
    """Too little room for what its container writes, or for files that are still to come; nothing where there is
    enough, or nobody can tell."""
    found = []
    try:
        info = await eyes.ask(eyes.engine.info)
    except EngineError:
        return ()
    if info.local and info.root:
        free = await _free(info.root)
        if free is not None and free < LEAST:
            text = f"{say(free)} are free where the engine keeps what containers write; make room there"
            found.append(Line("disk", text, None))
    model = case.to.model
    if look.troubles and look.bytes and model.source and model.files:
        free = await _free(os.path.dirname(model.files[0]))
        if free is not None and free < look.bytes:
            text = f"{say(look.bytes)} are to be downloaded, and {say(free)} are free there"
            found.append(Line("disk", f"{text}: {say(look.bytes - free)} are missing", None))
    return tuple(found)


async def _free(folder: str) -> float | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return float((await asyncio.to_thread(shutil.disk_usage, folder)).free)
    except (OSError, TimeoutError):
        return None
