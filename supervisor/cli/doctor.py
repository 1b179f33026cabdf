"""`resurgam doctor`: memory, GPUs, probes, scrapes, disks, slots: what works here, what does not, what to do about it.

In: what a running daemon tells over its control socket, and the machine itself (none is needed: then it is looked at
with our own rights). Out: findings, one line each; exit 0 where nothing is wrong, 1 with findings.
"""

import argparse
import socket
import struct
from collections.abc import Sequence

from supervisor import config
from supervisor.cli import doctor_gpu, doctor_slots, doctor_watching
from supervisor.cli import doctor_machine as machine
from supervisor.cli.client import Client, find_socket
from supervisor.cli.doctor_machine import Finding
from supervisor.cli.output import Output, counted
from supervisor.config.settings import Settings
from supervisor.errors import DaemonAbsent, Refused, UsageError
from supervisor.facts import Json, MemorySource
from supervisor.kernel.host import Machine
from supervisor.kernel.tree import KernelFiles, Tree

_COLOURS = {"ok": "green", "finding": "red", "unknown": "yellow", "note": ""}
_WORDS = {"ok": "ok", "finding": "!", "unknown": "?", "note": "-"}
_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid of who answers at a unix socket"""


def arguments(_parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(args: argparse.Namespace) -> int:
    """Look, and print."""
    settings = config.load(config.find(args.config), check_trust=False)
    try:
        status, why = _status(args), ""
    except Refused as err:
        status, why = None, str(err)
    found = look(settings, status, _pid(args), KernelFiles(), why)
    output = Output(args.output)
    bad = [one for one in found if one.level == "finding"]
    if output.for_people:
        _print(found, output)
        output.line(counted(len(bad), "finding"))
    else:
        rows = [{"check": one.check, "level": one.level, "text": one.text, "cure": one.cure} for one in found]
        output.document({"ok": not bad, "findings": rows})
    return 1 if bad else 0


def look(settings: Settings, status: Json | None, pid: int, tree: Tree, why: str = "") -> tuple[Finding, ...]:
    """Everything there is to say. `status`: what the daemon tells, None where none answers, or not to us (`why`);
    `pid`: its process, 0 for not known."""
    itself = Machine(tree, settings.memory.group)
    version, groups = machine.groups(tree)
    whose = "the daemon" if pid else "this command"
    rights = machine.rights_of(tree, pid, whose) if pid or status is None else None
    weights = any(entry.weights for entry in settings.services.values())
    return (
        *_daemon(status, why),
        *machine.of_sources(_sources(status) or machine.sources(tree, itself)),
        *_engines(status),
        _swap(settings, status, itself),
        groups,
        machine.rights(rights, machine.watches_only()),
        *machine.verbs(version, rights, weights),
        *machine.killers(tree),
        *doctor_gpu.look(status, tree, pid),
        *doctor_watching.of_probes(status),
        *doctor_watching.of_targets(status),
        *doctor_watching.of_disks(settings),
        *doctor_slots.look(settings, status),
    )


def _daemon(status: Json | None, why: str) -> tuple[Finding, ...]:
    if why:
        return (Finding("daemon", "unknown", why, "Until then the machine is looked at by this command alone."),)
    if status is None:
        text = "no daemon answers: the machine was looked at by this command alone"
        return (Finding("daemon", "finding", text, "Start it: `systemctl start resurgam`, or `resurgam run`."),)
    daemon = status["daemon"]
    problems = [Finding("daemon", "finding", str(problem)) for problem in daemon["problems"]]
    return tuple(problems) or (Finding("daemon", "ok", f"{daemon['host']} answers, in {daemon['mode']} mode"),)


def _sources(status: Json | None) -> tuple[MemorySource, ...]:
    told = [] if status is None else status.get("sources", [])
    return tuple(MemorySource(str(one["name"]), bool(one["live"]), str(one["text"]), str(one["cure"])) for one in told)


def _engines(status: Json | None) -> tuple[Finding, ...]:
    """Whether each engine's events come, which tell of kills, too. That one is gone is a finding of the daemon's."""
    found = []
    for one in [] if status is None else status["daemon"]["engines"]:
        text = "It tells when something in a container was killed (its `oom` events)."
        if not one["up"]:
            text = "It does not answer: that something in a container was killed is known from the others alone."
        found.append(Finding(f"source {one['name']}", "ok" if one["up"] else "note", text))
    return tuple(found)


def _swap(settings: Settings, status: Json | None, itself: Machine) -> Finding:
    budget = None if status is None else status["host"].get("budget")
    if budget is not None:
        return machine.swap(float(budget["swap"]["declared"]), float(budget["swap"]["total"]))
    try:
        total = itself.meminfo().get("SwapTotal", 0.0)
    except (UsageError, OSError) as err:
        return Finding("swap", "unknown", str(err))
    return machine.swap(float(settings.memory.swap), total)


def _print(found: Sequence[Finding], output: Output) -> None:
    widest = max(len(one.check) for one in found)
    for one in found:
        output.line(f"{_WORDS[one.level]:2}  {one.check.ljust(widest)}  {one.text}", _COLOURS[one.level])
        if one.cure and one.level != "ok":
            output.line(f"    {' ' * widest}  {one.cure}", "dim")


def _status(args: argparse.Namespace) -> Json | None:
    try:
        return Client.of(args).get("status")
    except DaemonAbsent:
        return None


def _pid(args: argparse.Namespace) -> int:
    """The process that listens at the control socket; 0 where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        try:
            door.connect(str(find_socket(args)))
            raw = door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return 0
        pid: int = _CREDENTIALS.unpack(raw)[0]
        return pid
