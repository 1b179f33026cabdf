"""`resurgam bus serve|users|doctor|purge`: the message broker, with or without a daemon.

In: the same configuration as the daemon's. Out: `serve` becomes the managed broker; `users` says who may use it;
`doctor` and `purge` (bus_doctor.py) look at whichever broker is configured.
"""

import argparse
import asyncio
import os
import sys

from supervisor import config
from supervisor.bus.broker import own
from supervisor.bus.managed import Mosquitto, find, serving
from supervisor.bus.managed.files import holding, private_folder
from supervisor.bus.managed.users import User
from supervisor.cli import bus_doctor, main
from supervisor.cli.output import Output
from supervisor.clock import SystemClock
from supervisor.config.files import read_secret
from supervisor.config.settings import Settings
from supervisor.errors import ResurgamError, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is to be done with it."""
    shared = main.shared()
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("serve", "run the managed mosquitto in the foreground, as a service of its own beside the daemon"),
        ("users", "who may use the managed mosquitto"),
        ("doctor", "look at the broker: protocol, TLS, rights, persistence, limits, leftovers"),
        ("purge", "clear messages that the broker keeps for things that are no more"),
    ):
        action = actions.add_parser(name, help=text, description=text, parents=[shared])
        if name == "users":
            _users(action, shared)
        elif name == "purge":
            bus_doctor.arguments(action)


def _users(parser: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="users", metavar="WHAT", required=True)
    text = "let somebody in: to read, and to write below resurgam/<host>/cmd/NAME; again: a new password"
    add = actions.add_parser("add", help=text, description=text, parents=[shared])
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--password-file", metavar="FILE", default="", help="the password (default: one is made and shown)"
    )
    actions.add_parser("list", help="everyone who may come in", parents=[shared])
    remove = actions.add_parser("remove", help="let one of them in no more", parents=[shared])
    remove.add_argument("name", metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.action == "serve":
        return serve(args)
    if args.action == "users":
        return users(args)
    return bus_doctor.doctor(args) if args.action == "doctor" else bus_doctor.purge(args)


def serve(args: argparse.Namespace) -> int:
    """Become the broker. Comes back only where it cannot be started."""
    settings = config.load(config.find(args.config))
    _only_managed(settings)
    program = find()
    if not program:
        raise UsageError("no mosquitto is installed here; install the package `mosquitto`")
    lock, words = asyncio.run(_prepare(settings, program))
    sys.stdout.flush()
    serving.become(lock, words)
    return 1


async def _prepare(settings: Settings, program: str) -> tuple[int, list[str]]:
    from supervisor.engines.docker import DockerEngine  # slow to import, and the other commands need none

    clock = SystemClock()
    engine = DockerEngine(settings.docker.endpoint, clock)
    mosquitto = own(settings, clock, program, engine.gateway)
    try:
        lock, words = await serving.ready(mosquitto, clock)
    finally:
        await engine.close()
    if mosquitto.trouble:
        print(f"resurgam: {mosquitto.trouble}", file=sys.stderr)
    where = f"{mosquitto.address}" + (
        f" and 127.0.0.1:{mosquitto.port}" if mosquitto.address.transport == "unix" else ""
    )
    print(f"resurgam: serving on {where} with {program}", file=sys.stderr, flush=True)
    return lock, words


def users(args: argparse.Namespace) -> int:
    """Who may use the managed broker."""
    settings = config.load(config.find(args.config), check_trust=False)
    _only_managed(settings)
    mosquitto, output = own(settings, SystemClock(), find() or "mosquitto"), Output(args.output)
    try:
        if args.users == "list":
            return _list(mosquitto, output)
        private_folder(mosquitto.folder)
        if args.users == "remove":
            with holding(mosquitto.users.lock):
                mosquitto.users.remove(args.name)
                mosquitto.users.write()
            return _say(output, {"user": args.name, "removed": True}, f"{args.name} is let in no more", mosquitto)
        return _add(args, mosquitto, output)
    except PermissionError:
        raise UsageError(f"you may not change {mosquitto.folder}; use sudo, or the daemon's own user") from None
    except OSError as err:
        raise ResurgamError(f"{mosquitto.folder} cannot be used: {err.strerror or err}") from None


def _add(args: argparse.Namespace, mosquitto: Mosquitto, output: Output) -> int:
    password = read_secret(os.path.abspath(args.password_file)) if args.password_file else SystemClock().token(16)
    with holding(mosquitto.users.lock):
        mosquitto.users.add(args.name, password)
        mosquitto.users.write()
    text = f"{args.name} is let in"
    document: dict[str, object] = {"user": args.name, "added": True}
    if not args.password_file:
        document["password"] = password
        text += f", with the password {password} (it is shown only now)"
    return _say(output, document, text, mosquitto)


def _say(output: Output, document: dict[str, object], text: str, mosquitto: Mosquitto) -> int:
    told = mosquitto.hang_up()
    if not output.for_people:
        output.document(document | {"counts": "now" if told else "from the next start of the broker"})
    else:
        output.line(f"{text}; " + ("it counts now" if told else "it counts from the next start of the broker"))
    return 0


def _list(mosquitto: Mosquitto, output: Output) -> int:
    if mosquitto.folder.exists() and not os.access(mosquitto.folder, os.R_OK | os.X_OK):
        raise PermissionError
    found = mosquitto.users.all()
    if not output.for_people:
        output.document(
            {"users": [{"name": one.name, "origin": one.origin, "password_file": one.secret} for one in found]}
        )
        return 0
    rows = [(one.name, one.origin, _secret(one)) for one in found]
    output.table(("user", "comes from", "password"), rows)
    return 0


def _secret(user: User) -> str:
    if not user.secret:
        return "known to who added it"
    return user.secret if os.path.exists(user.secret) else "made when the broker starts next, or the daemon"


def _only_managed(settings: Settings) -> None:
    if settings.mqtt.url != "auto":
        raise UsageError(f"mqtt.url is {settings.mqtt.url}, which is not run by us; this is for the managed mosquitto")
