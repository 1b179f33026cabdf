"""Whether the host paths that a container binds are still there.

From: phoenix.py and preview.py, before anything is made. To: a refusal. An engine makes an empty folder of a bind whose
path is gone, so the new container would find nothing where the old one still holds its data open. Only asked where the
engine runs on this very machine (EngineInfo.local): elsewhere its paths are not ours to look at.
"""

import asyncio
import os

from supervisor.actions.recipe.raw import name_of
from supervisor.actions.recipe.storage import sources
from supervisor.facts import Json
from supervisor.ports import EngineInfo
from supervisor.verdicts import Reason, Verdict, no

_PATIENCE = 3.0
"""seconds for all of them: a dead network file system answers never, and is then not called missing"""


async def missing_sources(raw: Json, engine: EngineInfo) -> Verdict | None:
    """Why it cannot be made again as it is: a bind's path is gone. None where all are there, or nobody can tell."""
    paths = sources(raw)
    if not engine.local or not paths:
        return None
    try:
        async with asyncio.timeout(_PATIENCE):
            gone = await asyncio.to_thread(_gone, paths)
    except TimeoutError:
        return None
    if not gone:
        return None
    text = f"{name_of(raw)} binds {', '.join(gone[:3])}, which is gone from this machine; put it back first."
    return no(Reason.UNFAITHFUL, text)


def _gone(paths: tuple[str, ...]) -> list[str]:
    found = []
    for path in paths:
        try:
            os.lstat(path)
        except FileNotFoundError:
            found.append(path)
        except OSError:
            continue  # it may be there: we only may not look
    return found
