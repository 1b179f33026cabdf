"""A real mosquitto that somebody else runs: as a broker of the person's own is. For the real tier."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from supervisor.bus.managed import find


@contextlib.contextmanager
def foreign(folder: Path, *lines: str) -> Iterator[int]:
    """A mosquitto that somebody else runs on a loopback port, with these lines of configuration; the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir(parents=True, exist_ok=True)
    user = ["user root"] if os.geteuid() == 0 else []
    file = folder / "mosquitto.conf"
    file.write_text("\n".join([f"listener {port} 127.0.0.1", *user, *lines]) + "\n")
    process = subprocess.Popen([find(), "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            assert process.poll() is None, "mosquitto ended at once"
            time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait(5)
