"""Series written down in promtool's notation: `{series: 'x{a="b"}', values: '0+1x5 _ stale'}`.

In: the texts of such a file (`resurgam query --series`, `resurgam test`, the tests of actions). Out: label sets and
samples, for a store. The notation is Prometheus 3's: what its promtool refuses is refused here, with its place.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from supervisor.config.yaml import Document, Path, load_yaml
from supervisor.errors import ConfigError, Mistake, ResurgamError
from supervisor.facts import Labels
from supervisor.rules.promql.nodes import Selector
from supervisor.rules.promql.parse import BadExpression, compile_expr
from supervisor.samples import STALE, Store, to_ms
from supervisor.units import duration

MOST_VALUES = 1_000_000
"""Values of one series; a repetition such as `1x999999999` must not fill the memory. Blanks cost nothing."""
LONGEST = 2.0**53 / 1000
"""Seconds that a series may last: from there on milliseconds are no longer exact."""
MOST_SAMPLES = 5_000_000
"""Values of all series of one file."""
INTERVAL = 60.0
"""Seconds between two values where a file does not say: promtool's default."""

Value = float | None
"""One sample's value; None where there is none (`_`)."""

_NUMBER = r"(?:(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_ODD = r"(?i:inf|nan)"
_ITEM = re.compile(
    rf"(?P<blank>_)(?:x(?P<blanks>\d+))?"
    rf"|(?P<first>[+-]?(?:{_NUMBER}|{_ODD}(?!x))|stale(?!x))(?P<step>[+-](?:{_NUMBER}|{_ODD}(?!x)))?(?:x(?P<times>\d+))?"
)
_WORD = re.compile(r"[^ \t\r\n]+")
_OCTAL = re.compile(r"0(?:_?[0-7])*")
_WHOLE = re.compile(r"[1-9](?:_?\d)*")
_PROBE_NAME = "resurgam_probe"
_PROBE = f'{_PROBE_NAME}="1",'
"""put into braces that may hold nothing: a selector must ask for something, a label set need not"""


class BadSeries(ConfigError, ValueError):
    """A label set or its values cannot be read. `mistakes` has its place inside the text (line and column from 1)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One series as written: its label set, its values, and the step of the interval that each stands at."""

    labels: Labels
    values: tuple[float, ...]
    steps: Sequence[int]
    count: int
    """steps written, blanks at the end included"""

    @classmethod
    def of(cls, labels: Labels, values: Iterable[Value]) -> "Listed":
        """A value or None for each step."""
        found = list(values)
        held = [(step, value) for step, value in enumerate(found) if value is not None]
        return cls(labels, tuple(value for _step, value in held), tuple(step for step, _value in held), len(found))


@dataclass(frozen=True, slots=True)
class Given:
    """The series of one file. Of two with one label set the later counts, as in promtool."""

    interval: float
    """seconds between two values"""
    series: tuple[Listed, ...]

    @property
    def end(self) -> float:
        """Seconds from the start to the last value; 0 where there is none."""
        return max([0, *(one.count - 1 for one in self.series)]) * self.interval

    def rows(self, start: float = 0.0) -> Iterator[tuple[Labels, int, float]]:
        """Every sample as (labels, ms, value), series after series, in time order. ResurgamError where they last too
        long."""
        if self.end > LONGEST:
            raise ResurgamError("these series last more than 285,000 years; use fewer blanks or a shorter interval")
        first, step = to_ms(start), to_ms(self.interval)
        for labels, one in {one.labels: one for one in self.series}.items():
            for index, value in zip(one.steps, one.values, strict=True):
                yield labels, first + index * step, value

    def fill(self, store: Store, start: float = 0.0) -> None:
        """Put every sample into a store, the first values at `start` (unix seconds). ResurgamError where the store
        may not hold them all; `store()` makes one that may."""
        rows = list(self.rows(start))
        if store.restore(rows) != len(rows):
            raise ResurgamError(
                f"the store does not take all of these series: it holds at most {store.max_series}, and a label set "
                "may have 4 kB"
            )

    def store(self, start: float = 0.0) -> Store:
        """A store that holds all of it, and forgets nothing."""
        store = Store(max_series=max(len(self.series), 1) * 2 + 10_000, max_points=2 * MOST_VALUES)
        store.keep(1e12)
        self.fill(store, start)
        return store


# ---------------------------------------------------------------- one series


def parse_metric(text: str, file: str = "series", *, empty: bool = False) -> Labels:
    """The label set of `x{a="b"}`, `{"a.name", "l.x"="y"}` or `{}`; labels with an empty value are left out, but for
    `empty`. BadSeries where it is not one."""
    inner = text.lstrip(" \t\r\n")
    if not inner:
        return ()
    shift = 0
    if inner.startswith("{"):
        inner, shift = "{" + _PROBE + inner[1:], len(_PROBE)
    ahead = text[: len(text) - len(text.lstrip(" \t\r\n"))]
    try:
        node = compile_expr(ahead + inner, file).node
    except BadExpression as err:
        line = ahead.count("\n") + 1
        moved = [
            Mistake(file, one.line, max(one.column - shift, 1) if one.line == line else one.column, one.text)
            for one in err.mistakes
        ]
        raise BadSeries(moved) from None
    if not isinstance(node, Selector) or node.offset or node.at is not None:
        _refuse(file, text, 0, 'this is not a series; write it like x{a="b"}')
    found: dict[str, str] = {}
    for matcher in node.matchers:
        if shift and matcher.name == _PROBE_NAME:
            continue
        if matcher.op != "=":
            _refuse(file, text, text.find(matcher.op), f"a series has its labels by =, not by {matcher.op}")
        if matcher.name in found:
            _refuse(file, text, 0, f"the label {matcher.name!r} stands in this series twice")
        found[matcher.name] = matcher.value
    return tuple(sorted((name, value) for name, value in found.items() if value or empty))


def parse_values(text: str, file: str = "values") -> list[Value]:
    """Values in promtool's notation, separated by blanks: numbers, `NaN`, `Inf`, `stale`, `_` for none, `_x5`,
    `7x5` (six times 7), `1+2x5` and `9-1x5` (six values, each so much more or less). BadSeries where it is not that."""
    one = parse_listed((), text, file)
    found: list[Value] = [None] * one.count
    for step, value in zip(one.steps, one.values, strict=True):
        found[step] = value
    return found


def parse_listed(labels: Labels, text: str, file: str = "values") -> Listed:
    """The series with these labels and the values in `text`, written as for `parse_values`."""
    if "{{" in text:
        _refuse(file, text, text.index("{{"), "native histograms ({{…}}) are not supported")
    values: list[float] = []
    steps = array("q")
    at = 0
    for word in _WORD.finditer(text):
        item = _ITEM.fullmatch(word.group())
        if item is None:
            _refuse(file, text, word.start(), _wrong(word.group()))
        count = _count(item["blanks"] or item["times"], file, text, word.start())
        if item["blank"]:
            at += count if item["blanks"] else 1
            continue
        if len(values) + count >= MOST_VALUES:
            _refuse(file, text, word.start(), f"more than {MOST_VALUES} values in one series; use a longer interval")
        value = _number(item["first"], file, text, word.start())
        if item["times"] is None and item["step"]:
            _refuse(file, text, word.start(), f"{word.group()!r} needs to say how often: {word.group()}x5")
        more = _number(item["step"], file, text, word.start()) if item["step"] else None
        steps.extend(range(at, at + count + 1))
        at += count + 1
        for _ in range(count + 1):
            values.append(value)
            if more is not None:
                value += more
    return Listed(labels, tuple(values), steps, at)


def _count(digits: str | None, file: str, text: str, at: int) -> int:
    if digits is None:
        return 0
    if len(digits.lstrip("0")) > 9:
        _refuse(file, text, at, f"{digits} times is too often: more than {MOST_VALUES} values in one series")
    return int(digits)


def _number(text: str, file: str, whole: str, at: int) -> float:
    """A number as Prometheus reads it: a leading 0 means octal, `_` may stand between the digits of a whole number."""
    if text == "stale":
        return STALE
    sign = -1.0 if text[0] == "-" else 1.0
    bare = text.lstrip("+-")
    for form, base in ((_OCTAL, 8), (_WHOLE, 10)):
        if form.fullmatch(bare) and len(bare) < 50 and int(bare.replace("_", ""), base) < 2**63:
            return sign * float(int(bare.replace("_", ""), base))
    if "_" in bare:
        _refuse(file, whole, at, f"{bare!r} is not a number; _ may stand between the digits of a whole number only")
    value = float(bare)
    if value in (float("inf"), float("-inf")) and bare[0].isdigit():
        _refuse(file, whole, at, f"{bare} is too large a number; write Inf")
    return sign * value


def _wrong(word: str) -> str:
    if re.fullmatch(r"(?i)[+-]?(stale|nan|inf)x\d+", word):
        return f"{word!r}: Prometheus does not repeat words; write it out, or put a step between: Inf+0x5"
    if re.fullmatch(r"[+-]|x\d*", word):
        return f"{word!r} must follow a value without a blank, as in 1+2x5"
    return f"{word!r} is not a value; write numbers, NaN, Inf, stale, _, 7x5 or 1+2x5"


def _refuse(file: str, text: str, at: int, why: str) -> NoReturn:
    at = max(at, 0)
    line = text.count("\n", 0, at) + 1
    raise BadSeries([Mistake(file, line, at - text.rfind("\n", 0, at), why)])


# ---------------------------------------------------------------- a file of them


@dataclass(slots=True)
class _Reader:
    """Reads `input_series` and notes every mistake with its place in the file."""

    document: Document
    mistakes: list[Mistake] = field(default_factory=list)
    total: int = 0

    def note(self, path: Path, text: str, *, key: bool = False) -> None:
        self.mistakes.append(self.document.mistake(path, text, key=key))

    def text(self, path: Path, value: Any) -> str:
        """A text that may be missing."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        self.note(path, "a text must stand here")
        return ""

    def keys(self, path: Path, value: Any, known: tuple[str, ...]) -> bool:
        """Whether it is a mapping; keys that are not known are noted."""
        if not isinstance(value, dict):
            self.note(path, f"a mapping with {', '.join(known)} must stand here")
            return False
        for name in value:
            if name not in known:
                self.note((*path, name), f"unknown key {name!r}; there are: {', '.join(known)}", key=True)
        return True

    def listed(self, path: Path, value: Any) -> tuple[Listed, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.note(path, "a list of {series: …, values: …} must stand here")
            return ()
        found = [self.one((*path, index), entry) for index, entry in enumerate(value)]
        return tuple(one for one in found if one is not None)

    def one(self, path: Path, entry: Any) -> Listed | None:
        if not self.keys(path, entry, ("series", "values")):
            return None
        before = len(self.mistakes)
        labels: Labels = ()
        found = Listed((), (), (), 0)
        try:
            labels = parse_metric(self.text((*path, "series"), entry.get("series")))
            if not labels and len(self.mistakes) == before:
                self.note((*path, "series"), "a series needs a name or a label: series: 'x{a=\"b\"}'")
        except BadSeries as err:
            self.inside((*path, "series"), err)
        try:
            found = parse_listed(labels, self.text((*path, "values"), entry.get("values")))
            self.total += len(found.values)
            if self.total > MOST_SAMPLES:
                self.note((*path, "values"), f"more than {MOST_SAMPLES} values in one file; split it")
        except BadSeries as err:
            self.inside((*path, "values"), err)
        return found if len(self.mistakes) == before else None

    def inside(self, path: Path, err: BadSeries) -> None:
        """A mistake inside a text: the place of the text, and how far into it."""
        for one in err.mistakes:
            where = f"line {one.line}, character {one.column}" if one.line > 1 else f"character {one.column}"
            self.note(path, f"{one.text} (at {where})")

    def interval(self, path: Path, value: Any) -> float:
        if value is None:
            return INTERVAL
        try:
            seconds = duration(self.text(path, value))
        except ValueError as err:
            self.note(path, str(err))
            return INTERVAL
        if seconds <= 0:
            self.note(path, "the interval must be longer than 0s")
        return seconds


def listed(document: Document, path: Path) -> tuple[tuple[Listed, ...], list[Mistake]]:
    """The `input_series` list at `path` of a document, and every mistake in it. The document must have been read
    `as_written`, or a value such as `1.50` is not what stood there."""
    value = document.data
    for part in path:
        value = value[part]
    reader = _Reader(document)
    return reader.listed(path, value), reader.mistakes


def read_given(text: str, file: str) -> Given:
    """A YAML file with `interval` and `input_series`. ConfigError with every mistake."""
    document = load_yaml(text, file, as_written=True)
    reader = _Reader(document)
    data = {} if document.data is None else document.data
    interval = INTERVAL
    series: tuple[Listed, ...] = ()
    if reader.keys((), data, ("interval", "input_series")):
        interval = reader.interval(("interval",), data.get("interval"))
        series = reader.listed(("input_series",), data.get("input_series"))
    if reader.mistakes:
        raise ConfigError(reader.mistakes)
    return Given(interval, series)
