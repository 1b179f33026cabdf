"""NVIDIA's driver, asked at arm's length: a call into a sick driver may never come back, so a child process makes it.

From: `child.py`, a process of its own that alone loads the driver's library. To: `reader.py`, which starts it, asks it
with a deadline and lets go of it; `usage.py` is what it said; `vram.py` decides what a container must wait for.
"""

from supervisor.signals.gpu.reader import GpuReader
from supervisor.signals.gpu.vram import VramGate

__all__ = ["GpuReader", "VramGate"]
