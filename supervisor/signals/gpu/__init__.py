"""NVIDIA's driver, asked at arm's length: a call into a sick driver may never come back, so a child process makes it.

From: `child.py`, a process of its own that alone loads the driver's library. To: `reader.py`, which starts it (by
`process.py`), asks it with a deadline and lets go of it; `usage.py` and `told.py` are what it said. `watch.py` asks for
ever, and tells the core: with `boards.py`, what the machine says without the driver, `owners.py`, whose the processes
are, and `series.py`, the samples. `faults.py` hears what goes wrong with a card the moment it is said. `vram.py`
decides what a container must wait for, between a stop and a start. `edge.py` puts all of it together.
"""

from supervisor.signals.gpu.boards import Boards
from supervisor.signals.gpu.owners import NamedDriver, Owners
from supervisor.signals.gpu.reader import GpuReader
from supervisor.signals.gpu.vram import VramGate
from supervisor.signals.gpu.watch import GpuWatch

__all__ = ["Boards", "GpuReader", "GpuWatch", "NamedDriver", "Owners", "VramGate"]
