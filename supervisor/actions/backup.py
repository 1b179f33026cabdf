"""The command that a service wants run before its image is changed (`before:`), a backup as a rule, and its proof.

From: prepare.py, while the old container serves. To: the old container, once: a command is not repeated by itself, and
one that was cut off by a kill ends its plan; the next plan runs it anew. It counts only if it ended with 0 and the file
it was to write is there, not empty, and newer than its start.
"""

import math

from supervisor import units
from supervisor.actions.common import must_be
from supervisor.actions.hand import Cannot, Hand
from supervisor.errors import EngineError
from supervisor.facts import Before
from supervisor.verdicts import Reason, no

_LINES, _WIDTH = 10, 200
_UNTOUCHED = "Nothing was touched; the old container serves on."


async def run(hand: Hand) -> None:
    """Run it and check what it wrote. Cannot with `backup_failed` where that is not as it should be."""
    before = hand.plan.needs.before
    if before is None:
        return
    old = must_be(hand, await hand.inspect(hand.plan.container_id))
    await hand.step("before", old)
    if not old.running:
        raise _failed(f"{old.name} is {old.status}, so the command before the change cannot run in it")
    began, clock = hand.clock.wall(), hand.clock.mono()
    try:
        result = await hand.engine.exec(old.id, before.argv, before.within)
    except EngineError as err:
        raise _failed(f"The command before the change could not be run to its end: {err}") from err
    took = hand.clock.mono() - clock
    said = [units.mask(units.plain(line, _WIDTH)) for line in result.output.strip().splitlines()[-_LINES:]]
    kept = {"exit_code": result.code, "seconds": round(took, 3), "output": said}
    trouble = result.broken and f"could not run: {result.broken}"
    if not trouble and result.code != 0:
        trouble = f"ended with exit code {result.code} after {units.show_duration(took)}"
        trouble += f": {said[-1]}" if said else ""
    if trouble:
        hand.mark("before", f"It {trouble}.", ok=False, backup=kept)
        raise _failed(f"The command before the change {trouble}")
    trouble = await _checked(hand, old.id, before, began)
    if trouble:
        hand.mark("before", trouble, ok=False, backup=kept)
        raise _failed(trouble)
    wrote = f" and wrote {before.file}" if before.file else ""
    hand.mark("before", f"{before.argv[0]} ended well{wrote}.", backup=kept | {"file": before.file})


async def _checked(hand: Hand, key: str, before: Before, began: float) -> str:
    """What is wrong with the file it was to write; '' for nothing."""
    if not before.file:
        return ""
    try:
        found = await hand.read(lambda: hand.engine.stat(key, before.file))
    except EngineError as err:
        return f"What the command before the change wrote could not be looked at: {err}"
    if found is None or found.folder:
        return f"The command before the change ended well, but there is no file {before.file}"
    if not found.size:
        return f"The command before the change ended well, but {before.file} is empty"
    if found.mtime < math.floor(began):
        old = units.show_duration(began - found.mtime)
        return f"The command before the change ended well, but {before.file} is {old} older than its start"
    return ""


def _failed(text: str) -> Cannot:
    return Cannot(no(Reason.BACKUP_FAILED, f"{units.plain(text, 500).rstrip('.')}. {_UNTOUCHED}"))
