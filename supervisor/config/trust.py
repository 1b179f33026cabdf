"""Whether a file may be obeyed: only who could act as us anyway may be able to change it.

Comes from the file system; goes to `files.load`, the rule loader and `check`. The rule is sudo's and sshd's: the file
and every folder above it belong to root or to us, and nobody else may write there. A folder with the sticky bit (such
as /tmp) counts as safe for what is inside and belongs to us, since nobody else can replace that.
"""

import os
import stat
from pathlib import Path


def problems(path: Path, uid: int | None = None) -> tuple[str, ...]:
    """What makes `path` (a file or a folder) one that others can change, a sentence each with the command that
    mends it; empty if it may be obeyed. `uid` is ours by default. OSError where it cannot be looked at."""
    mine = os.getuid() if uid is None else uid
    given = Path(os.path.abspath(path))
    seen: dict[Path, bool] = {}
    for chain in (given, Path(os.path.realpath(path))):
        for place in (chain, *chain.parents):
            seen.setdefault(place, place == chain)
    found: list[str] = []
    for place, last in seen.items():
        facts = os.stat(place)
        if facts.st_uid not in (0, mine):
            found.append(
                f"{place} belongs to user {facts.st_uid}, who could change what is done here; "
                f"run: chown {'root' if mine == 0 else mine} {place}"
            )
        sticky = not last and bool(facts.st_mode & stat.S_ISVTX)
        writers = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if writers and not sticky:
            who = "everyone" if facts.st_mode & stat.S_IWOTH else "its group"
            found.append(f"{place} can be changed by {who}; run: chmod go-w {place}")
    return tuple(found)
