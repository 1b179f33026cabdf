"""Which boot of the machine this is: the kernel's own word for it.

From: /proc/sys/kernel/random/boot_id. To: the core, once per start (core/rollouts.py tells a boot from a mere restart
of ours by it). Where there is none (macOS) it stays empty: then only the engine's own life tells.
"""

from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(file: Path = BOOT_ID) -> str:
    """A word that changes with every boot of the machine; '' where there is none. Never raises."""
    try:
        return file.read_text("ascii").strip()[:64]
    except (OSError, ValueError):
        return ""
