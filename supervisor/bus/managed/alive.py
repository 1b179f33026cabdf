"""Whether a process is the mosquitto that was started with our configuration.

In: a process id from a file that may be years old. Out: yes or no. Asked before anything is sent to that process.
"""

import subprocess
import sys
from pathlib import Path


def started_with(pid: int, argument: str) -> bool:
    """Whether a process of this id lives and has this word in its command line."""
    if pid <= 1:
        return False
    if sys.platform != "linux":
        return argument in _by_ps(pid)
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return argument.encode() in line


def _by_ps(pid: int) -> list[str]:
    """The words of a command line where there is no /proc (macOS)."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and a number
            ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, timeout=2, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split()
