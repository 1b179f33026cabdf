"""Before a container is stopped: what stands frozen cannot end, so it is let go first.

Called by hand.py before each of its stops. What the engine itself paused (`docker pause`) the engine lets go by itself.
"""

from contextlib import suppress

from supervisor.errors import ResurgamError
from supervisor.facts import Container
from supervisor.ports import Groups


async def loosen(groups: Groups, seen: Container) -> None:
    """Let it go on if it stands frozen. Never raises: the stop is tried in any case."""
    if seen.status != "running":
        return
    with suppress(ResurgamError):
        if (await groups.read(seen)).frozen:
            await groups.freeze(seen, False)
