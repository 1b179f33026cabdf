"""The file PAUSE in the state folder: as long as it is there, everything is paused.

From: the file, once a second, and the pauses as the core shows them. To: the core, as a command through the door
`file`. It compares how things are, so that neither a restart nor a `resurgam resume` in between leaves the two apart.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from supervisor.clock import Clock
from supervisor.facts import Command
from supervisor.ports import Ask

Pauses = Mapping[str, tuple[str, float]]
NAME = "PAUSE"
EVERY = 1.0
"""seconds between two looks"""


async def watch(file: Path, pauses: Callable[[], Pauses], ask: Ask, clock: Clock) -> None:
    """Look for ever. A pause that a person made is left alone, file or no file."""
    why = because(file)
    while True:
        there, paused = _there(file), pauses().get("*")
        if there and paused is None:
            await ask(Command(clock.wall(), clock.mono(), "pause", "*", {"reason": why}, "file", "file"))
        elif not there and paused is not None and paused[0] == why:
            gone = {"reason": f"the file {file} is gone"}
            await ask(Command(clock.wall(), clock.mono(), "resume", "*", gone, "file", "file"))
        await asyncio.sleep(EVERY)


def because(file: Path) -> str:
    """The reason of a pause that this file makes."""
    return f"the file {file} is there"


def _there(file: Path) -> bool:
    """One stat of a local file: nothing that could hold up the loop."""
    return file.exists()
