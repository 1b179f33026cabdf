"""What was seen of a broker, as findings: one line each, with what to do. Pure.

In: a `Seen` from looking.py. Out: findings in a fixed order, for `resurgam bus doctor`.
"""

import ipaddress
from dataclasses import dataclass
from typing import Literal

from supervisor.bus.delivery.watermark import machine_of
from supervisor.bus.doctor.looking import Seen
from supervisor.bus.doctor.purging import leftovers
from supervisor.bus.managed.configuration import QUEUE
from supervisor.bus.messages import BASE, topic

Level = Literal["ok", "finding", "unknown"]
CLIFF = 1000
"""kept messages that a mosquitto with default limits gives one subscriber"""
NEAR = 800
SMALL = 65_536
"""bytes; what we say may be as large"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    check: str
    level: Level
    text: str


def judge(seen: Seen) -> tuple[Finding, ...]:
    """Everything that can be said."""
    if seen.trouble:
        return (Finding("connection", "finding", seen.trouble),)
    return (
        _connection(seen),
        _protocol(seen),
        _privacy(seen),
        _anonymous(seen),
        *_rights(seen),
        *_reader(seen),
        _persistence(seen),
        _queues(seen),
        *_size(seen),
        _name(seen),
        _leftovers(seen),
    )


def _connection(seen: Seen) -> Finding:
    version = f" ({seen.said['version']})" if "version" in seen.said else ""
    if seen.house.connected is False:
        why = seen.house.text or "it does not say why"
        return Finding("connection", "finding", f"{seen.address}{version} answers us, but not the daemon: {why}")
    what = "; no daemon answers here" if seen.house.connected is None else "; the daemon is connected"
    return Finding("connection", "ok", f"{seen.address}{version} answers{what}")


def _protocol(seen: Seen) -> Finding:
    if seen.five:
        return Finding("protocol", "ok", "MQTT 5")
    text = "only MQTT 3.1.1: nobody is told when no one listens, and Home Assistant ends its support with 2027.1"
    return Finding("protocol", "finding", f"{text}; upgrade the broker")


def _privacy(seen: Seen) -> Finding:
    address = seen.address
    if address.transport == "unix":
        return Finding("privacy", "ok", "a unix socket of this machine")
    if address.transport == "tls":
        ours = ", with a certificate of ours" if address.cert_file else ""
        return Finding("privacy", "ok", f"TLS{ours}")
    if _loopback(address.host):
        return Finding("privacy", "ok", "without TLS, but it does not leave this machine")
    text = "passwords and messages cross the network readable; use mqtts:// and mqtt.ca_file"
    return Finding("privacy", "finding", text)


def _anonymous(seen: Seen) -> Finding:
    word = seen.anonymous
    if not word:
        return Finding("strangers", "unknown", "who may open the socket may use the broker; see its permissions")
    if word == "refused":
        return Finding("strangers", "ok", "nobody comes in without an account")
    if word == "connects":
        return Finding("strangers", "ok", "whoever has no account may connect, but not write under our name")
    if word == "commands" and seen.house.commands:
        text = "whoever reaches this broker can command this box; set `allow_anonymous false` and an access list there"
    elif word == "commands":
        text = "whoever reaches this broker can write to it in our name; keep `commands` off, or ask for accounts there"
    else:
        text = "whoever reaches this broker can forge our state and events; ask for accounts there"
    return Finding("strangers", "finding", text)


def _rights(seen: Seen) -> list[Finding]:
    found = []
    for what, why in seen.unwritable.items():
        text = f"we may not write {what}: {why}"
        found.append(Finding("our rights", "finding", text))
    if seen.unreadable:
        text = f"we may not read our own topics, so no twin and no leftover is found: {seen.unreadable}"
        found.append(Finding("our rights", "finding", text))
    if not found:
        who = seen.address.username or "nobody in particular"
        found.append(Finding("our rights", "ok", f"{who} may read and write {BASE}/#"))
    return found


def _reader(seen: Seen) -> list[Finding]:
    """The access list, tried."""
    if seen.configuration is None:
        text = (
            "whether each user may only write to its own cmd/<user>/# is for the broker's access list; docs/topics.md"
        )
        return [Finding("access list", "unknown", text)] if seen.house.commands else []
    if seen.reader is None:
        return [Finding("access list", "unknown", "the user `listener` could not be tried; restart the broker")]
    too_much = [what for what, can in seen.reader.items() if can and what != "read state"]
    if too_much:
        text = (
            f"`listener` can {' and '.join(too_much)}, which it may not; restart the broker: its files are written anew"
        )
        return [Finding("access list", "finding", text)]
    if not seen.reader.get("read state"):
        return [Finding("access list", "finding", "`listener` reads nothing; restart the broker")]
    return [Finding("access list", "ok", "tried with `listener`: it reads state, and writes nothing")]


def _persistence(seen: Seen) -> Finding:
    if seen.configuration is None:
        text = (
            "it does not tell; with mosquitto set `persistence true`, `autosave_on_changes true`, `autosave_interval 1`"
        )
        return Finding("persistence", "unknown", text)
    lines = seen.configuration.splitlines()
    if "persistence true" in lines and "autosave_on_changes true" in lines:
        return Finding("persistence", "ok", "saved within a second, so that a kill -9 loses nothing older")
    return Finding("persistence", "finding", "its configuration was changed by hand; restart the broker")


def _queues(seen: Seen) -> Finding:
    count = len(seen.kept)
    total = seen.said.get("retained", "")
    what = f"{count} kept messages below {BASE}/" + (f" ({total} with all others)" if total.isdigit() else "")
    if f"max_queued_messages {QUEUE}" in (seen.configuration or "").splitlines():
        level: Level = "ok" if count < QUEUE * NEAR // CLIFF else "finding"
        return Finding("queues", level, f"{what}; a subscriber gets up to {QUEUE}")
    if count < NEAR:
        return Finding("queues", "ok", f"{what}; a mosquitto with default limits gives a subscriber {CLIFF}")
    text = f"{what}: a mosquitto with default limits cuts a subscriber off after {CLIFF}; set max_queued_messages there"
    return Finding("queues", "finding", text)


def _size(seen: Seen) -> list[Finding]:
    if not seen.largest or seen.largest >= SMALL:
        return []
    text = f"it takes messages of {seen.largest} bytes at most; larger documents of ours are dropped: raise its limit"
    return [Finding("size", "finding", text)]


def _name(seen: Seen) -> Finding:
    """Whether the name is ours alone."""
    host, mine = seen.house.host, seen.house.node
    other = machine_of(seen.kept.get(topic(host, "journal"), b""))
    online = seen.kept.get(topic(host, "availability")) == b"online"
    if online and other and mine and other != mine:
        text = f"another machine (node {other}; we are {mine}) speaks as {host!r}; give one of them another `host`"
        return Finding("our name", "finding", text)
    if online and seen.house.connected is None:
        text = f"{host!r} is `online` there, but no daemon answers here: another machine, or a last will still to come"
        return Finding("our name", "finding", f"{text}; look again in a minute")
    if "took over" in seen.house.text:
        return Finding("our name", "finding", f"{seen.house.text}; see mqtt.client_id")
    return Finding("our name", "ok", f"{host!r} is spoken for by this machine alone")


def _leftovers(seen: Seen) -> Finding:
    lost = leftovers(seen)
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        return Finding("leftovers", "finding", f"{lost[0]}{more}: kept for nothing; clear with `resurgam bus purge`")
    if seen.house.services is None:
        return Finding("leftovers", "unknown", "which services there are, only a running daemon knows")
    return Finding("leftovers", "ok", "nothing is kept that nothing stands behind")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
