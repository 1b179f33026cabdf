"""`resurgam run`: the daemon, in the foreground.

In: resurgam.yaml, if there is one. Out: the exit code of the daemon: 0 after SIGTERM, 2 for a bad configuration.
"""

import argparse
import asyncio
from pathlib import Path

from supervisor import config


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own: everything is in resurgam.yaml, and nothing there is needed."""


def run(args: argparse.Namespace) -> int:
    """Read the configuration, then run until told to stop."""
    from supervisor import daemon
    from supervisor.cli.logs import set_up_logs

    set_up_logs()

    path = Path(args.config) if args.config else config.find()
    settings = config.load(path)
    return asyncio.run(daemon.run(settings, path))
