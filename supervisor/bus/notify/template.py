"""How a notification reads: Go templates over the data that Alertmanager's templates have, or our own words.

In: a message. Out: a title of one line, and a body. A template that does not fit a message is not a reason to tell
nobody: then our own words are used. Templates are read once, at the start; `mistakes` says what is wrong with them.

Beside `.Status .Receiver .Alerts .GroupLabels .CommonLabels .CommonAnnotations .ExternalURL .TruncatedAlerts` there is
`.Host`, and `.Action` (`.Kind .Service .Text .By .Cause`) where the message is about an action. A template that never
speaks of `.Action` is for alerts; actions are then told in our words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from supervisor.bus.messages import BASE, alert_data
from supervisor.bus.notify.message import Item, Message
from supervisor.config.telling import TemplateSettings
from supervisor.journal import Row
from supervisor.rules.templates import Struct, Template, TemplateError
from supervisor.rules.templates.gotime import Time
from supervisor.rules.templates.values import LabelMap, Results
from supervisor.units import NEVER, iso, plain
from supervisor.views import phrase

TITLE, LINE = 250, 1000
"""characters of a title, and of one line of a body"""
SHOWN = 20
"""alerts that our own words tell one by one"""


@dataclass(frozen=True, slots=True)
class Text:
    """What a person reads. `trouble`: why a template was not used, '' if nothing is wrong."""

    title: str
    body: str
    trouble: str = ""


class Wording:
    """The words for one notifier."""

    def __init__(self, settings: TemplateSettings, host: str, external_url: str = "") -> None:
        """TemplateError where a template cannot be read."""
        self._title, self._body = _parsed(settings.title), _parsed(settings.body)
        self._host, self._external_url = host, external_url

    def of(self, message: Message) -> Text:
        """The text of a message."""
        own = own_words(message, self._host)
        data = Data(message, self._host, self._external_url)
        title, wrong = self._filled(self._title, data, own.title)
        body, also = self._filled(self._body, data, own.body)
        return Text(plain(" ".join(title.split()), TITLE), body, wrong or also)

    def _filled(self, template: Template | None, data: "Data", own: str) -> tuple[str, str]:
        if template is None or (data.Action is not None and ".Action" not in template.text):
            return own, ""
        try:
            return template.fill(data), ""
        except TemplateError as err:
            return own, f"its template does not fit a message: {plain(str(err), 200)}"


def mistakes(settings: TemplateSettings) -> dict[str, str]:
    """What is wrong with the templates, by `title` and `body`: those that cannot be read, and those that ask an alert
    for what it does not have."""
    found = {}
    for name in ("title", "body"):
        text = getattr(settings, name)
        try:
            if text:
                Template.parse(text).fill(Data(_SAMPLE, "box", ""))
        except TemplateError as err:
            found[name] = str(err)
    return found


def _parsed(text: str) -> Template | None:
    return Template.parse(text) if text else None


# ------------------------------------------------------------ our own words


def own_words(message: Message, host: str) -> Text:
    """What happened in the title; in the body what and why, two lines for each alert."""
    if message.action is not None:
        return _action_words(message.action, host)
    firing = [item for item in message.items if item.firing]
    ended = [item for item in message.items if not item.firing]
    told, count = (firing, "firing") if firing else (ended, "resolved")
    many = len(told) + (message.truncated if firing else 0)
    head = _what(told[0]) if many == 1 else f"{many} alerts {count}: {_names(told)}"
    mark = "ESCALATED" if any(item.escalated for item in firing) else count.upper()
    lines = [line for item in message.items[:SHOWN] for line in _alert_lines(item, message.causes)]
    left = len(message.items) - SHOWN + message.truncated
    lines += [f"… and {left} more"] if left > 0 else []
    return Text(plain(f"[{host}] {mark} {head}", TITLE), "\n".join(_line(line) for line in lines))


def _what(item: Item) -> str:
    said = phrase(item.row).replace(" firing", "").replace(" resolved", "")
    subject = "" if item.row.subject in said else f"{item.row.subject}: "
    return f"{subject}{said}"


def _names(items: list[Item]) -> str:
    names = dict.fromkeys(item.labels.get("alertname", "") or "alert" for item in items)
    return ", ".join(names)


def _alert_lines(item: Item, causes: Mapping[str, str]) -> list[str]:
    data = alert_data(item.row)
    notes = data["annotations"] if isinstance(data["annotations"], dict) else {}
    word = "firing" if item.firing else "resolved"
    lines = [f"{word}: {_what(item)}"]
    if item.escalated:
        lines.append(f"It fires since {iso(item.escalated)}, and nobody has taken it on: `resurgam ack` does.")
    why = causes.get(item.fingerprint, "") if item.firing else ""
    why = why or str(notes.get("description", ""))
    if item.firing and why and why not in lines[0]:
        lines.append(why)
    return lines


def _line(text: str) -> str:
    """Whatever was written, as one line."""
    return plain(" ".join(text.split()), LINE)


def _action_words(row: Row, host: str) -> Text:
    said = phrase(row)
    subject = "" if row.subject in said else f"{row.subject}: "
    lines = [_line(f"{subject}{said}")]
    for key in ("cause", "text"):
        more = row.body.get(key)
        if isinstance(more, str) and more and more not in said:
            lines.append(_line(more))
    return Text(plain(f"[{host}] {subject}{said}", TITLE), "\n".join(lines))


# ------------------------------------------------------------ what templates see


class Pair(Struct):
    """One label or annotation."""

    __slots__ = ("Name", "Value")
    kind, shows = "template.Pair", ("Name", "Value")

    def __init__(self, name: str, value: str) -> None:
        self.Name, self.Value = name, value

    def __str__(self) -> str:
        return f"{{{self.Name} {self.Value}}}"


class KV(LabelMap, Struct):
    """Labels or annotations: each by its name, all as `.SortedPairs`, `.Names`, `.Values`."""

    kind, shows = "template.KV", ("SortedPairs", "Names", "Values")

    @property
    def SortedPairs(self) -> Any:
        """The alert's name first, then by name."""
        names = sorted(self, key=lambda name: (name != "alertname", name))
        return Many([Pair(name, self[name]) for name in names])

    @property
    def Names(self) -> Any:
        """The names of `.SortedPairs`."""
        return Many([pair.Name for pair in self.SortedPairs])

    @property
    def Values(self) -> Any:
        """The values of `.SortedPairs`."""
        return Many([pair.Value for pair in self.SortedPairs])


class Many(Results):
    """A list of anything."""

    kind = "list"

    def __init__(self, found: list[Any]) -> None:
        super().__init__(found)


class Alerts(Many, Struct):
    """The alerts of a message, and of those `.Firing` and `.Resolved`."""

    kind, shows = "template.Alerts", ("Firing", "Resolved")

    @property
    def Firing(self) -> Any:
        """Those that fire."""
        return Many([alert for alert in self if alert.Status == "firing"])  # type: ignore[attr-defined]

    @property
    def Resolved(self) -> Any:
        """Those that have ended."""
        return Many([alert for alert in self if alert.Status == "resolved"])  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return f"[{' '.join(str(alert) for alert in self)}]"


class OneAlert(Struct):
    """One alert, as Alertmanager's templates see it, with our words and how long nobody has taken it on."""

    kind = "template.Alert"
    shows: ClassVar[tuple[str, ...]] = (
        *("Status", "Labels", "Annotations", "StartsAt", "EndsAt", "GeneratorURL", "Fingerprint"),
        *("Value", "Text", "Cause", "Escalated"),
    )
    __slots__ = shows

    def __init__(self, item: Item, cause: str) -> None:
        data = alert_data(item.row)
        self.Status = "firing" if item.firing else "resolved"
        self.Labels, self.Annotations = KV(item.labels), KV(_texts(data["annotations"]))
        self.StartsAt, self.EndsAt = _time(data["startsAt"]), _time(data["endsAt"])
        self.GeneratorURL, self.Fingerprint = str(data["generatorURL"]), item.fingerprint
        value = data.get("value")
        self.Value = float(value) if isinstance(value, int | float) else str(value or "")
        self.Text, self.Cause = phrase(item.row), cause
        self.Escalated = iso(item.escalated) if item.escalated else ""

    def __str__(self) -> str:
        return self.Text


class OneAction(Struct):
    """What was done, or refused."""

    kind = "Action"
    shows: ClassVar[tuple[str, ...]] = ("Kind", "Service", "Text", "By", "Cause")
    __slots__ = shows

    def __init__(self, row: Row) -> None:
        self.Kind, self.Service, self.Text = row.kind.partition(".")[2], row.subject, phrase(row)
        self.By, self.Cause = str(row.body.get("by") or ""), str(row.body.get("cause") or "")

    def __str__(self) -> str:
        return self.Text


class Data(Struct):
    """What a template starts with as its dot."""

    kind = "*template.Data"
    shows: ClassVar[tuple[str, ...]] = (
        *("Status", "Receiver", "Alerts", "GroupLabels", "CommonLabels", "CommonAnnotations", "ExternalURL"),
        *("TruncatedAlerts", "Severity", "Host", "Action"),
    )
    __slots__ = shows

    def __init__(self, message: Message, host: str, external_url: str) -> None:
        action = message.action
        self.Action = OneAction(action) if action is not None else None
        self.Status = self.Action.Kind if self.Action is not None else message.status
        self.Receiver, self.Host, self.ExternalURL = BASE, host, external_url
        self.Alerts = Alerts([OneAlert(item, message.causes.get(item.fingerprint, "")) for item in message.items])
        self.GroupLabels, self.CommonLabels = KV(message.group_labels), KV(message.common_labels)
        self.CommonAnnotations = KV(message.common_annotations)
        self.TruncatedAlerts, self.Severity = message.truncated, message.severity


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(inner) for key, inner in value.items()} if isinstance(value, dict) else {}


def _time(text: Any) -> Time:
    """An instant as we write it; NEVER where it is none."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        found = datetime.fromisoformat(NEVER.replace("Z", "+00:00"))
    return Time(round((found.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000))


_SAMPLE_ALERT = {
    "status": "firing",
    "labels": {"alertname": "Sample", "severity": "warning"},
    "annotations": {"summary": "a sample"},
    "startsAt": "2026-01-01T00:00:00.000Z",
}
_SAMPLE = Message("sample", items=(Item.of(Row(1, 0.0, "alert.firing", "host", {"alert": _SAMPLE_ALERT}, True, "")),))
