"""Whether a container's own health check can run at all. Pure.

From: Container.health_output, as the engine port fills it. To: the probation and the likely cause of a sickness. A
check whose tool is not in the image (curl, mostly) never says healthy; that says nothing about the service.
"""

import re

from supervisor.facts import Container

CANNOT_RUN = "the check cannot run: "
"""how an engine marks the output of a check that could not be run (engines/docker/shape.py)"""
_NOT_FOUND = re.compile(r"(?:^|[ /])(?:ba|da|a|k|z)?sh: (?:line )?(?:\d+: )?[\w./+-]{1,100}: (?:command )?not found")
"""what shells say; seen also where `|| exit 1` hides their 127"""
_NO_TOOL = "OCI runtime exec failed"
_SHOWN = 160


def broken_check(container: Container) -> str:
    """Why its own health check cannot run; '' where it can, where there is none, or where it says healthy."""
    if container.health in ("none", "healthy"):
        return ""
    said = container.health_output
    if said.startswith(CANNOT_RUN):
        return said.removeprefix(CANNOT_RUN)[:_SHOWN].strip() or "its tool is missing"
    if said.startswith(_NO_TOOL):
        return said[:_SHOWN].strip()
    found = _NOT_FOUND.search(said[:2000])
    return found.group().strip(" /")[:_SHOWN] if found else ""
