"""`resurgam fleet status`: all machines that speak on your broker, each in one line. No daemon is needed.

In: `mqtt:` of the configuration (with `auto` the managed broker's own files), and what the broker keeps. Out: a table,
or the document. Exit 1 where a machine is offline, has a critical alert, or shares its name with another one.
"""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.cli.output import Output, ago
from supervisor.clock import SystemClock
from supervisor.errors import BrokerError, UsageError
from supervisor.facts import Json

if TYPE_CHECKING:
    from supervisor.bus.link.address import Address

EVERY = 5.0
"""seconds between two looks with --watch"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The one thing to do with a fleet so far."""
    parser.add_argument("what", choices=("status",), metavar="status", help="how every machine is")
    parser.add_argument("-w", "--watch", action="store_true", help="look again every 5 s; Ctrl-C ends it")


def run(args: argparse.Namespace) -> int:
    """Print the fleet."""
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from supervisor.bus.fleet import visit
    from supervisor.views.fleet import fleet_document

    clock, output, address = SystemClock(), Output(args.output), _address(args)
    while True:
        document = fleet_document(await visit(address, clock), clock.wall(), str(address))
        if output.for_people:
            _print(document, output)
        elif args.watch:
            output.item(document)
        else:
            output.document(document)
        if not args.watch:
            return 1 if document["wrong"] or not document["hosts"] else 0
        await asyncio.sleep(EVERY)


def _address(args: argparse.Namespace) -> "Address":
    """Where the broker is; UsageError where there is none to ask."""
    from supervisor import config
    from supervisor.bus.broker import address_of

    settings = config.load(config.find(args.config), check_trust=False)
    if settings.mqtt.url == "none":
        raise UsageError("there is no broker: mqtt.url is none; set it to the broker that your machines share")
    if settings.mqtt.url != "auto":
        return address_of(settings.mqtt)
    return _managed(settings.state_dir / "bus")


def _managed(folder: Path) -> "Address":
    """The managed broker, as its user that only reads."""
    from supervisor.bus.link.address import Address
    from supervisor.bus.managed.configuration import READER

    secret = folder / f"{READER}.password"
    try:
        port = int((folder / "port").read_text())
        secret.read_bytes()
    except PermissionError as err:
        raise BrokerError(f"{err.filename} may only be read by the daemon's user; use sudo, or log in as it") from None
    except (OSError, ValueError):
        text = f"no broker was started here yet ({folder} has none); start `resurgam run`, or set mqtt.url to a broker"
        raise UsageError(text) from None
    return Address("tcp", "127.0.0.1", port, READER, str(secret))


def _print(document: Json, output: Output) -> None:
    hosts = document["hosts"]
    if not hosts:
        output.line(f"Nobody speaks on {document['broker']}; does the user there may read resurgam/#?")
        return
    output.table(
        ("host", "node", "state", "version", "mode", "alerts", "last seen", "note"),
        [
            (
                host["host"],
                host["node"] or "-",
                host["state"],
                host["version"] or "-",
                host["mode"] or "-",
                _alerts(host),
                f"{ago(host['last_seen'], document['at'])} ago" if host["last_seen"] else "-",
                "; ".join(host["notes"]),
            )
            for host in hosts
        ],
    )
    wrong = [host["host"] for host in hosts if host["wrong"]]
    if wrong:
        output.line(f"{len(wrong)} of {len(hosts)} need a look: {', '.join(wrong)}.", "red")
    else:
        one = "It is there, and has no critical alert."
        output.line(f"All {len(hosts)} are there, and none has a critical alert." if len(hosts) > 1 else one)


def _alerts(host: Json) -> str:
    if not host["firing"]:
        return "-"
    named = ", ".join(host["critical_alerts"])
    return f"{host['firing']} firing" + (f", {host['critical']} critical ({named})" if host["critical"] else "")
