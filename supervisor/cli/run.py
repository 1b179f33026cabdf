"""`resurgam run`: the daemon, in the foreground.

In: resurgam.yaml, if there is one. Out: the exit code of the daemon: 0 after SIGTERM, 2 for a bad configuration.
"""

import argparse
import asyncio
import contextlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from supervisor import config
from supervisor.cli import features
from supervisor.errors import ConfigError, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Only how expressions are read: everything else is in resurgam.yaml, and nothing there is needed."""
    features.argument(parser)


def run(args: argparse.Namespace) -> int:
    """Read the configuration, then run until told to stop."""
    from supervisor import daemon
    from supervisor.cli.logs import set_up_logs
    from supervisor.rules.promql.evaluate import Options

    refuse_namesake()
    options = Options(delayed_names=features.delayed_names(args))
    set_up_logs()
    path = config.find(args.config)
    settings = config.load(path)
    refuse_templates(settings, path)
    return asyncio.run(daemon.run(settings, path, options))


def refuse_templates(settings: config.Settings, path: Path | None) -> None:
    """A template that cannot be read is a mistake in the configuration, which a later floor finds."""
    from supervisor.bus.notify import checking

    found = checking.template_mistakes(settings.notify)
    if found and path is not None:
        document = config.read(path, check_trust=False)
        raise ConfigError([document.mistake(place, said) for place, said in found])


def refuse_namesake() -> None:
    """PyPI's `supervisor` installs a package of our import name; in one environment the two destroy each other."""
    with contextlib.suppress(PackageNotFoundError):
        distribution("supervisor")
        raise UsageError(
            "The distribution 'supervisor' is installed in this environment and has the same import name; "
            "install resurgam in an environment of its own: python3 -m venv /opt/resurgam"
        )
