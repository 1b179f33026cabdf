"""Where the control socket lies: known to the daemon, which makes it, and to the command line, which looks for it.

In: the environment and the state folder. Out: paths.
"""

from collections.abc import Mapping
from pathlib import Path

NAME = "control.sock"
SYSTEM = Path("/run/resurgam") / NAME
"""where the systemd unit's RuntimeDirectory puts it"""


def control_path(env: Mapping[str, str], state_dir: Path) -> Path:
    """`$RUNTIME_DIRECTORY/control.sock`, else `<state_dir>/control.sock`."""
    runtime = env.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (Path(runtime) if runtime else state_dir) / NAME
