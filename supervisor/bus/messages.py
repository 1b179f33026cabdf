"""Journal rows as messages: pure rendering, nothing is sent from here.

A message *is* a journal row of a public kind: `render` gets the row (from the turn that committed it, or from the
journal after an outage) and gives the CloudEvent for `resurgam/<host>/event/<kind>`. So a replay is the same query.
Topics are built here and nowhere else. The result goes to `bus/delivery`.
"""

import functools
import hashlib
import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from supervisor.facts import Json
from supervisor.journal.rows import Row
from supervisor.ports import PLAIN, Properties
from supervisor.units import NEVER, iso
from supervisor.views.words import json_safe

BASE = "resurgam"
DAY = 86_400.0
EVENT_EXPIRY = DAY
"""seconds a broker keeps an event for a subscriber that is away"""
EVENT_FOLDERS = ("alert", "action", "container", "model", "drift", "gpu", "daemon")
"""The first part of a kind that may become `event/<kind>`; the list is closed because it is a public contract."""

_LEVEL_LIMIT = 200
_RESERVED = frozenset("/+#$~")
_CRITICAL = frozenset(
    {"action.failed", "action.degraded", "container.oom", "daemon.engine_lost", "daemon.oom", "daemon.shed"}
)
_WARNING = frozenset(
    {
        "action.rolled_back",
        "action.approval",
        "action.refused",
        "action.ended_early",
        "container.died",
        "container.unhealthy",
        "drift.tag_moved",
        "drift.unproved",
        "drift.quarantined",
        "gpu.fault",
        "gpu.fault_changed",
        "model.no_go",
        "model.stand_in",
        "daemon.clock_jump",
        "daemon.paused",
        "daemon.rules_bad",
    }
)


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to publish. `expiry` in seconds, 0 for never. An empty retained payload clears its topic."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expiry: float = 0.0
    properties: Properties = PLAIN


def encode_level(text: str, keep: str = "") -> str:
    """Any text as one topic level: reserved and control characters are written `~XX` (their UTF-8 bytes).

    Two different texts never give the same level. A very long one keeps its start and gets a digest at the end.
    `keep="~"` is for service ids, which are written this way already.
    """
    pieces = [
        "".join(f"~{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        if char not in keep and _unsafe(char)
        else char
        for char in text
    ]
    level = "".join(pieces) or "~"
    if len(level.encode()) <= _LEVEL_LIMIT:
        return level
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    kept, room = [], _LEVEL_LIMIT - len(digest) - 2
    for piece in pieces:
        room -= len(piece.encode())
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + "~-" + digest


@functools.lru_cache(4096)  # the documents of every snapshot ask for the same ones again
def topic(host: str, *levels: str, service: str = "") -> str:
    """`resurgam/<host>/<levels…>[/<service id>]`, each level encoded."""
    last = (encode_level(service, keep="~"),) if service else ()
    return "/".join((BASE, encode_level(host), *(encode_level(level) for level in levels), *last))


def availability(host: str, *, online: bool) -> Message:
    """The plain word Home Assistant understands; `offline` is also our last will."""
    return Message(topic(host, "availability"), b"online" if online else b"offline", retain=True)


def severity(row: Row) -> str:
    """critical | warning | info of a row: an alert's own, else what its kind means for the person who reads it."""
    if row.kind.startswith("alert."):
        alert = row.body.get("alert")
        found = _mapping(_mapping(alert).get("labels")).get("severity", "")
        return found if found in ("critical", "warning") else "info"
    if row.kind in _CRITICAL:
        return "critical"
    if row.kind == "daemon.command":
        return "warning" if row.body.get("reason") == "bad_signature" else "info"
    if row.kind == "daemon.digest":
        return "warning" if row.body.get("severity") == "warning" else "info"
    return "warning" if row.kind in _WARNING else "info"


def render(row: Row, host: str, epoch: str) -> Message | None:
    """The message of one row, or None where the row is not one (private, or of a kind without a topic)."""
    folder = row.kind.partition(".")[0]
    if not row.public or folder not in EVENT_FOLDERS:
        return None
    event = cloud_event(row, host, epoch)
    beside = Properties(user=tuple((name, str(event[name])) for name in ("type", "id", "seq", "severity")))
    return Message(topic(host, "event", folder), to_bytes(event), expiry=EVENT_EXPIRY, properties=beside)


def cloud_event(row: Row, host: str, epoch: str) -> Json:
    """The row as a CloudEvents 1.0 object; consumers drop repeats by `id`, and see a gap where `prior` (the message
    before this one) is not the last `seq` they have."""
    return {
        "specversion": "1.0",
        "id": f"{epoch}-{row.seq}",
        "source": f"/{BASE}/{host}",
        "type": f"{BASE}.{row.kind}",
        "time": iso(row.at),
        "subject": row.subject,
        "datacontenttype": "application/json",
        "epoch": epoch,
        "seq": row.seq,
        "prior": row.prior,
        "host": host,
        "severity": severity(row),
        "data": alert_data(row) if is_alert(row) else row.body,
    }


def is_alert(row: Row) -> bool:
    """Whether the row tells of an alert, whose `data` is an Alertmanager alert object."""
    return row.kind.startswith("alert.")


def alert_data(row: Row) -> Json:
    """An Alertmanager alert object (`status labels annotations startsAt endsAt generatorURL fingerprint`), with our
    `value`, `incident` and `text` beside it."""
    alert = _mapping(row.body.get("alert"))
    data: Json = {
        "status": "resolved" if row.kind.endswith(".resolved") else "firing",
        "labels": {},
        "annotations": {},
        "startsAt": iso(row.at),
        "endsAt": NEVER,
        "generatorURL": "",
        "fingerprint": "",
        **alert,
    }
    for key in ("incident", "text"):
        if row.body.get(key):
            data[key] = row.body[key]
    return data


def to_bytes(value: Any) -> bytes:
    """Compact UTF-8 JSON. NaN and infinities, which JSON does not have, become strings as Prometheus writes them."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(json_safe(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def _unsafe(char: str) -> bool:
    """Reserved in topics, or not allowed in MQTT strings at all (controls, surrogates, non-characters)."""
    if char in _RESERVED or (ord(char) & 0xFFFE) == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF:
        return True
    return unicodedata.category(char) in ("Cc", "Cs")


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
