"""The templates of alerting rules: Go's text/template with Prometheus' functions and its rendering.

A template is parsed once, at load: what Prometheus refuses then is a TemplateError here. It is run over the labels and
the value of an alert at every evaluation that changes them; a failure there gives `<error expanding template: …>`, as
in Prometheus, and never breaks the rule. Read `parse.py`, then `run.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.rules.templates.functions import FUNCTIONS, Around, Steps
from supervisor.rules.templates.lexer import place
from supervisor.rules.templates.nodes import Body, Function, walk
from supervisor.rules.templates.parse import parse
from supervisor.rules.templates.run import LIMIT, Stopped, run
from supervisor.rules.templates.values import LabelMap, Root, Struct, TemplateError, as_bytes, mended

__all__ = ["LIMIT", "Around", "Steps", "Struct", "Template", "TemplateError"]

_PREFIX = len(
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
"""What Prometheus puts in front of every text, and counts."""
_NOTHING = Around()


@dataclass(frozen=True, slots=True)
class Template:
    """One parsed template. `text` is as written; two of the same text are equal."""

    text: str
    parsed: Mapping[str, Body] | None = field(default=None, compare=False, repr=False)
    """the templates in it by name; None for plain text"""
    pure: bool = field(default=True, compare=False)
    """it asks nothing (`query`, `now`): its text is a function of labels and value alone, while the rules stay"""

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read a template; TemplateError (a ValueError, with line and column) where Prometheus could not read it."""
        if "{{" not in text:
            return cls(text)
        parsed = parse(text, FUNCTIONS)
        asks = any(
            isinstance(node, Function) and node.name in ("query", "now")
            for body in parsed.values()
            for node in walk(body)
        )
        return cls(text, parsed, not asks)

    def expand(self, labels: Mapping[str, str], value: float, around: Around = _NOTHING) -> str:
        """The text for an alert with these labels and this value, at most LIMIT characters. Never raises."""
        if self.parsed is None:
            return _cut(self.text)
        root = Root(LabelMap(labels), LabelMap(around.external_labels), around.external_url, value)
        try:
            expanded = mended(run(self.parsed, root, around))
        except Stopped as err:
            expanded = f"<error expanding template: {self._told(err, around.name)}>"
        except Exception as err:  # noqa: BLE001 - better no description of an alert than no alert
            expanded = f"<error expanding template: {type(err).__name__}: {err}>"
        return _cut(expanded)

    def fill(self, root: Struct, around: Around = _NOTHING) -> str:
        """The text over other data than an alert's, at most LIMIT characters; TemplateError where it does not fit."""
        if self.parsed is None:
            return _cut(self.text)
        try:
            return _cut(mended(run(self.parsed, root, around)))
        except Stopped as err:
            line, column = place(self.text, err.node.at)
            raise TemplateError(f"{err.text} at <{err.node.written()}>", line, column) from None
        except Exception as err:  # noqa: BLE001 - whatever it trips over, its user tells people in another way
            raise TemplateError(f"{type(err).__name__}: {err}") from None

    def _told(self, err: Stopped, name: str) -> str:
        """The error text: Prometheus' own where the alert's name is known."""
        line, column = place(self.text, err.node.at)
        column = len(as_bytes(self.text[err.node.at - column + 1 : err.node.at]))
        tail = f"at <{err.node.written()}>: {err.text}"
        if not name:
            inside = f"in template {err.template!r} " if err.template else ""
            return f"{line}:{column + 1}: {inside}{tail}"
        own = f"__alert_{name}"
        column += _PREFIX if line == 1 else 0
        where = f'executing "{err.template or own}"'
        return f"error executing template {own}: template: {own}:{line}:{column}: {where} {tail}"


def _cut(text: str) -> str:
    return text if len(text) <= LIMIT else text[: LIMIT - 1] + "…"
