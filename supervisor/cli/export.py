"""`resurgam export asyncapi`: the contract of the message bus as an AsyncAPI 3.0 document. No daemon is needed.

In: the models of bus/contract and, with `--config`, the name and the broker's address in it (never a secret). Out: YAML
or JSON, the same bytes for the same version.
"""

import argparse
from pathlib import Path

from supervisor.cli.output import Output
from supervisor.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to export, and for which machine."""
    parser.add_argument("what", choices=("asyncapi",), metavar="asyncapi", help="the contract of the message bus")
    parser.add_argument("--host", default="", metavar="NAME", help="write this name into every topic")


def run(args: argparse.Namespace) -> int:
    """Print the document: YAML, or what `-o` says."""
    from supervisor.bus.contract.asyncapi import document

    host, url = args.host, ""
    if args.config:
        from supervisor import config

        settings = config.load(Path(args.config), check_trust=False)
        host = host or settings.host
        url = settings.mqtt.url if settings.mqtt.url.startswith(("mqtt://", "mqtts://")) else ""
    if len(host) > 200:
        raise UsageError("this name is too long for a topic; `host` has at most 63 characters")
    Output("json" if args.output == "json" else "yaml").document(document(host, url))
    return 0
