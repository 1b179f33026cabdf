"""Rule files and playbooks that changed on disk: whoever saves one need not tell us.

From: the names, sizes and times of the YAML files in the configured folders, every two seconds, on a thread (a folder
may lie on a file server that hangs). To: `changed`, once the folders have stood still for one look, so that a
half-written file is not read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

EVERY = 2.0
"""seconds between two looks"""

Stand = tuple[tuple[str, int, int, int], ...]
"""(path, inode, size, time of change in ns) of every file"""


async def watch(folders: Callable[[], Iterable[Path]], changed: Callable[[], Awaitable[None]]) -> None:
    """Look for ever. `folders` (or single files) are asked anew each time: a reload may have changed them."""
    loop = asyncio.get_running_loop()
    known = before = await loop.run_in_executor(None, stand, tuple(folders()))
    while True:
        await asyncio.sleep(EVERY)
        now = await loop.run_in_executor(None, stand, tuple(folders()))
        if now != known and now == before:
            known = now
            await changed()
        before = now


def stand(folders: Iterable[Path]) -> Stand:
    """How the files are now. What cannot be looked at is as if it were not there."""
    found = []
    for folder in folders:
        for path in _files(folder):
            try:
                facts = path.stat()
            except OSError:
                continue
            found.append((str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return tuple(sorted(found))


def _files(folder: Path) -> list[Path]:
    try:
        if not folder.is_dir():
            return [folder]
        return [path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and not path.name.startswith(".")]
    except OSError:
        return []
