"""A fleet of machines, from what each of them keeps at the broker. Pure.

In: the kept messages of `availability`, `journal` and `state/…` (bus/fleet.py reads them). Out: one document for
`resurgam fleet status`. Whatever stands there was written by other machines, or by whoever may write there: nothing in
it is believed to have any shape.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from supervisor.facts import Json
from supervisor.units import NEVER, iso, plain

EXPIRIES = {"state/daemon": 3 * 86_400.0, "state/host": 180.0}
"""seconds after which the broker lets go of a document that is not told again: from what is left follows its age"""


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept message. `left`: seconds until the broker lets go of it, 0 where that is not known."""

    topic: str
    payload: bytes
    left: float = 0.0


@dataclass(slots=True)
class _Machine:
    online: bool | None = None
    documents: dict[str, Json] = field(default_factory=dict)
    nodes: dict[str, None] = field(default_factory=dict)
    """who wrote the watermark while we looked"""
    seen_at: float = 0.0
    ages: dict[str, float] = field(default_factory=dict)
    torn: list[str] = field(default_factory=list)


def fleet_document(kept: Iterable[Kept], now: float, broker: str) -> Json:
    """All machines by name; `wrong` counts those that a person should look at. `now` is unix seconds."""
    machines: dict[str, _Machine] = {}
    for message in kept:
        _base, name, kind = (*message.topic.split("/", 2), "", "")[:3]
        _fold(machines.setdefault(name, _Machine()), kind, message, now)
    hosts = [_host(name, machines[name], now) for name in sorted(machines)]
    newest = max((_number(host["version"]) for host in hosts), default=())
    for host in hosts:
        if host["version"] and _number(host["version"]) < newest:
            host["notes"].append(f"older than others ({host['version']})")
    return {"broker": broker, "at": iso(now), "wrong": len([host for host in hosts if host["wrong"]]), "hosts": hosts}


def _fold(machine: _Machine, kind: str, message: Kept, now: float) -> None:
    if kind == "availability":
        machine.online = message.payload == b"online" if message.payload else None
        return
    if not message.payload:
        machine.documents.pop(kind, None)
        return
    try:
        found = json.loads(message.payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        machine.torn.append(kind)
        return
    machine.documents[kind] = found
    if message.left and kind in EXPIRIES:
        age = max(0.0, EXPIRIES[kind] - message.left)
        machine.ages[kind] = age
        machine.seen_at = max(machine.seen_at, now - age)
    if kind == "journal" and _text(found.get("machine")):
        machine.nodes[_text(found["machine"])] = None


def _host(name: str, machine: _Machine, now: float) -> Json:
    daemon, journal = machine.documents.get("state/daemon", {}), machine.documents.get("journal", {})
    alerts = machine.documents.get("state/alerts", {}).get("alerts")
    firing = [one for one in alerts if _mapping(one).get("status") == "firing"] if isinstance(alerts, list) else []
    critical = [one for one in firing if one.get("severity") == "critical" and not one.get("silenced")]
    counts = _mapping(daemon.get("alerts"))
    told = max((at for at in (_text(journal.get("at")), iso(machine.seen_at)) if at != NEVER), default="")
    online, silent = bool(machine.online), _is_silent(machine)
    return {
        "host": name,
        "node": " ".join(machine.nodes),
        "online": online,
        "state": "offline" if not online else "silent" if silent else _text(daemon.get("status")) or "unknown",
        "version": _text(daemon.get("version")),
        "mode": _text(daemon.get("mode")),
        "firing": max(len(firing), _whole(counts.get("firing"))),
        "critical": len(critical),
        "critical_alerts": sorted({_text(_mapping(one.get("labels")).get("alertname")) for one in critical}),
        "last_seen": told,
        "notes": _notes(machine, daemon, journal),
        "wrong": not online or silent or bool(critical) or len(machine.nodes) > 1,
    }


def _is_silent(machine: _Machine) -> bool:
    """It says `online`, and the document that it tells anew twice a minute has run out: its last will was lost, with
    the broker that had it. Only known where documents run out (MQTT 5)."""
    return bool(machine.online) and "state/daemon" in machine.ages and "state/host" not in machine.documents


def _notes(machine: _Machine, daemon: Json, journal: Json) -> list[str]:
    """What is odd about a machine, a few words each."""
    found = []
    if machine.online is None:
        found.append("it never said whether it is there")
    elif not machine.online and _text(daemon.get("status")) not in ("", "stopped"):
        found.append("gone without a goodbye")
    if len(machine.nodes) > 1:
        found.append(f"{len(machine.nodes)} machines speak under this name; give each a `host` of its own")
    elif journal and daemon and _text(journal.get("epoch")) != _text(daemon.get("epoch")):
        found.append("its documents come from two journals: two machines under one name, or one that was set up anew")
    if not journal:
        found.append("no watermark: an older version")
    elif not machine.nodes:
        found.append("its watermark names no machine: an older version")
    if _is_silent(machine):
        found.append("it says it is there, but tells nothing any more")
    found += [f"{kind} cannot be read" for kind in machine.torn]
    if _mapping(daemon.get("paused")).get("*"):
        found.append("paused")
    problems = daemon.get("problems")
    if machine.online and isinstance(problems, list) and problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        found.append(_text(problems[0])[:120] + more)
    return found


def _text(value: Any) -> str:
    return plain(value, 200) if isinstance(value, str) else ""


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _number(version: str) -> tuple[int, ...]:
    """A version to compare: its leading numbers."""
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version.split("+")[0])[:4])
