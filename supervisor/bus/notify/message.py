"""What one notification says: an action, or the alerts of a group. A value; nothing is sent from here.

Made by notifier.py from what groups.py says is due; read by the senders (webhook.py, apprise.py through template.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from supervisor.bus.messages import alert_data
from supervisor.bus.messages import severity as severity_of
from supervisor.journal import Row

MOST_ALERTS = 100
"""alerts told in one message; what is more is counted (`truncatedAlerts`)"""
_GRAVEST = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Item:
    """The newest news about one alert: its journal row, and since when it waits for somebody to take it on (unix
    seconds; 0 where it is told at once)."""

    row: Row
    labels: Mapping[str, str]
    fingerprint: str
    """which alert it is"""
    escalated: float = 0.0

    @classmethod
    def of(cls, row: Row, escalated: float = 0.0) -> "Item":
        """What an `alert.` row says."""
        alert = alert_data(row)
        labels, found = _texts(alert["labels"]), alert["fingerprint"]
        return cls(row, labels, found if isinstance(found, str) and found else _canonical(labels), escalated)

    @property
    def firing(self) -> bool:
        """It fires; else it has ended."""
        return not self.row.kind.endswith(".resolved")

    @property
    def severity(self) -> str:
        """critical | warning | info"""
        return severity_of(self.row)


@dataclass(frozen=True, slots=True)
class Message:
    """One notification. Either `action` or `items`."""

    key: str
    """the same for every try of it, and for no other message"""
    action: Row | None = None
    items: tuple[Item, ...] = ()
    """those that fire first"""
    group_labels: Mapping[str, str] = field(default_factory=dict)
    truncated: int = 0
    """alerts that are left out"""
    causes: Mapping[str, str] = field(default_factory=dict)
    """by fingerprint: what is most likely behind it, in one sentence"""

    @property
    def status(self) -> str:
        """firing as long as one alert of it fires, else resolved."""
        return "firing" if any(item.firing for item in self.items) else "resolved"

    @property
    def severity(self) -> str:
        """The gravest of what is told."""
        if self.action is not None:
            return severity_of(self.action)
        found = [item.severity for item in self.items if item.firing or self.status == "resolved"]
        return next((word for word in _GRAVEST if word in found), "info")

    @property
    def group_key(self) -> str:
        """As Alertmanager writes it: its route, then the labels of the group."""
        return "{}:" + _canonical(self.group_labels)

    @property
    def common_labels(self) -> dict[str, str]:
        """Labels that all alerts of it share."""
        return _common([item.labels for item in self.items])

    @property
    def common_annotations(self) -> dict[str, str]:
        """Annotations that all alerts of it share."""
        return _common([_texts(alert_data(item.row).get("annotations")) for item in self.items])


def group_labels(labels: Mapping[str, str], by: Sequence[str]) -> dict[str, str]:
    """The labels of an alert by which it is grouped; `...` stands for all."""
    if "..." in by:
        return dict(sorted(labels.items()))
    return {name: labels[name] for name in sorted(by) if name in labels}


def group_name(labels: Mapping[str, str]) -> str:
    """The group as a key."""
    return _canonical(labels)


def _common(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first = found[0] if found else {}
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in found)}


def _canonical(labels: Mapping[str, str]) -> str:
    """`{a="1", b="2"}`, as Alertmanager writes a label set."""
    pairs = []
    for name in sorted(labels):
        value = labels[name].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        pairs.append(f'{name}="{value}"')
    return "{" + ", ".join(pairs) + "}"


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(inner) for key, inner in value.items()} if isinstance(value, dict) else {}
