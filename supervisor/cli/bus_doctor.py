"""`resurgam bus doctor` and `resurgam bus purge`: what is with the configured broker, and clearing up there.

In: the configuration, and what a running daemon tells (none is needed). Out: findings, one line each; exit 0 where all
is well, 1 with findings, 4 where the broker cannot be reached.
"""

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from supervisor import config
from supervisor.bus.broker import address_of, own
from supervisor.bus.doctor import Finding, House, Seen, clear, everything, judge, leftovers, look, look_at_kept
from supervisor.bus.identity import INSTALL, node_of
from supervisor.bus.link.address import Address
from supervisor.bus.managed import Mosquitto, find
from supervisor.bus.messages import topic
from supervisor.cli.client import Client
from supervisor.cli.output import Output, counted
from supervisor.clock import SystemClock
from supervisor.config.settings import Settings
from supervisor.errors import BrokerError, DaemonAbsent, ResurgamError, UsageError
from supervisor.facts import Json

_COLOURS = {"ok": "green", "finding": "red", "unknown": "yellow"}
_WORDS = {"ok": "ok", "finding": "!", "unknown": "?"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to clear."""
    parser.add_argument("--all", action="store_true", help="everything of this host: for a box that is given away")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def doctor(args: argparse.Namespace) -> int:
    """Look at the broker."""
    settings = _settings(args)
    mosquitto, address = _broker(settings)
    configuration = _read(mosquitto.folder / "mosquitto.conf") if mosquitto is not None else None
    port = mosquitto.port if mosquitto is not None else 0
    house = _house(args, settings)
    if mosquitto is not None and _never_ran(mosquitto):
        seen = Seen(address, house, f"our own broker never ran in {mosquitto.folder}")
    else:
        seen = asyncio.run(look(address, house, SystemClock(), configuration, port))
    findings = judge(seen)
    if seen.trouble and mosquitto is not None:
        advice = "our own broker runs while the daemon does (`resurgam run`), or as `resurgam bus serve`"
        if not find():
            advice = "no mosquitto is installed here; install it, or set mqtt.url to a broker you have"
        findings = (*findings, Finding("what to do", "unknown", advice))
    _print(findings, address, Output(args.output))
    if seen.trouble:
        return 4
    return 1 if any(one.level == "finding" for one in findings) else 0


def _print(findings: tuple[Finding, ...], address: Address, output: Output) -> None:
    if not output.for_people:
        rows = [{"check": one.check, "level": one.level, "text": one.text} for one in findings]
        bad = any(one.level == "finding" for one in findings)
        output.document({"broker": str(address), "ok": not bad, "findings": rows})
        return
    widest = max(len(one.check) for one in findings)
    for one in findings:
        output.line(f"{_WORDS[one.level]:2}  {one.check.ljust(widest)}  {one.text}", _COLOURS[one.level])
    bad_ones = len([one for one in findings if one.level == "finding"])
    output.line(counted(bad_ones, "finding"))


def purge(args: argparse.Namespace) -> int:
    """Clear what is kept for nothing."""
    settings, output, clock = _settings(args), Output(args.output), SystemClock()
    house = _house(args, settings)
    if args.all and house.services is not None:
        raise UsageError("a daemon runs here and would say it all again; stop it first, or leave --all away")
    if not args.all and house.services is None:
        raise DaemonAbsent("only a running daemon knows which services there are; start it, or clear all with --all")
    mosquitto, address = _broker(settings)
    if mosquitto is not None and _never_ran(mosquitto):
        raise BrokerError(f"our own broker never ran in {mosquitto.folder}, so it keeps nothing")
    seen = asyncio.run(look_at_kept(address, house, clock))
    found = everything(seen) if args.all else leftovers(seen)
    if output.for_people:
        for where in found:
            output.line(where)
    if found and not args.yes:
        _ask(len(found), topic(settings.host))
    asyncio.run(clear(address, found, clock))
    if output.for_people:
        output.line(f"{counted(len(found), 'kept message')} cleared")
    else:
        output.document({"broker": str(address), "cleared": list(found)})
    return 0


def _ask(count: int, base: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("this would be cleared; say --yes")
    print(f"Clear {counted(count, 'kept message')} below {base}/ ? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was cleared")


def _settings(args: argparse.Namespace) -> Settings:
    path = config.find(args.config)
    settings = config.load(path, check_trust=False)
    if settings.mqtt.url == "none":
        raise UsageError("mqtt.url is none: there is no broker to look at")
    return settings


def _broker(settings: Settings) -> tuple[Mosquitto | None, Address]:
    """The managed broker, where it is one, and where the broker is."""
    if settings.mqtt.url != "auto":
        return None, address_of(settings.mqtt)
    mosquitto = own(settings, SystemClock(), find() or "mosquitto")
    return mosquitto, mosquitto.address


def _never_ran(mosquitto: Mosquitto) -> bool:
    """Whether there is no managed broker yet. UsageError where we may not know."""
    try:
        os.stat(mosquitto.address.password_file)
        return False
    except FileNotFoundError:
        return True
    except PermissionError:
        raise UsageError(f"you may not look into {mosquitto.folder}; use sudo, or the daemon's own user") from None


def _house(args: argparse.Namespace, settings: Settings) -> House:
    """What is known here, with a daemon or without."""
    known = House(
        settings.host,
        # made by the daemon; not by us, who may be another user
        node=node_of(settings.state_dir, SystemClock()) if _read(settings.state_dir / INSTALL) else "",
        commands=bool(settings.commands.principals),
        prefix=settings.mqtt.homeassistant.prefix,
    )
    status = _status(args)
    if status is None or status["daemon"]["host"] != settings.host:
        return known
    broker = status["daemon"]["broker"]
    return replace(
        known,
        services=tuple(str(service["service"]) for service in status["services"]),
        connected=bool(broker["connected"]),
        text=str(broker["text"]),
    )


def _status(args: argparse.Namespace) -> Json | None:
    try:
        return Client.of(args).get("status")
    except ResurgamError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
