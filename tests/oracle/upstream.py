"""Upstream's own PromQL tests against our evaluator: `python -m tests.oracle.upstream FOLDER [-v] [-k PART]`.

FOLDER holds `*.test` files in the scripting language of Prometheus' promqltest package (none is kept here). As there,
each instant query is asked again at other times with `@` on all its selectors, and as the middle of a range. Names are
removed late, as upstream's test engine does it. What needs native histograms is counted as not applicable.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from supervisor.facts import Labels
from supervisor.lab.series import BadSeries, parse_metric, parse_values
from supervisor.rules import BadExpression, EvaluationError, compile_expr
from supervisor.rules.promql.evaluate import Frame, Options
from supervisor.rules.promql.nodes import Aggregate, Binary, Call, Negate, Node, Selector, Subquery, Window, walk
from supervisor.samples import Store, is_stale
from supervisor.units import duration

_LOAD = re.compile(r"load(?:_(with_nhcb))?\s+(.+)")
_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)")
_RANGE = re.compile(r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)")
_EXPECT = re.compile(r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?")
_METRIC = re.compile(r'[^{\s]*(?:\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?')
_EPSILON = 1e-6
_MOVING = (
    *("days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year"),
    *("predict_linear", "time", "timestamp"),
)
"""functions whose value moves with the evaluation time although all selectors are fixed"""
_NATIVE = ("native histogram", "histogram_avg", "histogram_count", "histogram_sum", "histogram_std", "info()")

Point = tuple[int, float]
Matrix = dict[Labels, list[Point]]


class NotApplicable(Exception):
    """It needs what we do not evaluate by design."""


class Wrong(Exception):
    """We give something else than upstream."""


@dataclass
class Case:
    """One `eval`."""

    line: int
    expr: str
    times: list[int]
    ranged: bool
    fails: bool = False
    ordered: bool = False
    messages: list[tuple[str, str, str]] = field(default_factory=list)
    """(fail | warn | info | no_…, msg | regex | '', text)"""
    scalar: float | None = None
    expected: list[tuple[Labels, list[float | None]]] = field(default_factory=list)
    native: bool = False


def ms(text: str) -> int:
    """A duration as upstream writes it."""
    return round(duration(text) * 1000)


def split(line: str) -> tuple[Labels, str]:
    """`x{a="b"} 1 2` as label set and values."""
    match = _METRIC.match(line)
    assert match is not None
    return parse_metric(match.group()), line[match.end() :].strip()


# ---------------------------------------------------------------- reading


class Script:
    """One file: what was loaded so far, and the cases in order."""

    def __init__(self, path: Path) -> None:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
        self.lines = ["" if line.startswith("#") else line for line in lines]
        self.at = 0
        self.clear()

    def clear(self) -> None:
        self.store = Store(max_points=10**9)
        self.store.keep(1e12)
        self.native: list[Labels] = []
        """label sets that have native histograms"""

    def cases(self) -> Iterator[Case]:
        """Every case; what it is about is in the store when it comes."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if not line:
                continue
            if line.startswith("clear"):
                self.clear()
            elif match := _LOAD.fullmatch(line):
                self.load(ms(match[2]), match[1] is not None)
            else:
                yield self.case(line)

    def block(self) -> Iterator[str]:
        while self.at < len(self.lines) and self.lines[self.at]:
            self.at += 1
            yield self.lines[self.at - 1]

    def load(self, gap: int, custom: bool) -> None:
        rows: dict[Labels, list[Point]] = {}
        for line in self.block():
            labels, values = split(line)
            if custom:  # the classic histogram becomes a native one beside it
                name = re.sub(r"_(bucket|count|sum)$", "", dict(labels).get("__name__", ""))
                given = {**dict(labels), "__name__": name}
                self.native.append(tuple(sorted(pair for pair in given.items() if pair[0] != "le")))
            if "{{" in values:
                self.native.append(labels)
                continue
            points = [(index * gap, value) for index, value in enumerate(parse_values(values)) if value is not None]
            rows[labels] = points  # of two with one label set the later counts
        self.store.restore((labels, at, value) for labels, points in rows.items() for at, value in points)

    def case(self, line: str) -> Case:
        number = self.at
        if match := _INSTANT.fullmatch(line):
            mode, at, expr = match.groups()
            case = Case(number, expr, [ms(at or "0")], ranged=False)
        elif match := _RANGE.fullmatch(line):
            mode, first, last, step, expr = match.groups()
            case = Case(number, expr, list(range(ms(first), ms(last) + 1, ms(step))), ranged=True)
        else:
            raise ValueError(f"line {number}: {line!r} is no command")
        case.fails, case.ordered = mode == "fail", mode == "ordered"
        if mode in ("warn", "info"):
            case.messages.append((mode, "", ""))
        for text in self.block():
            self.expectation(case, text)
        return case

    def expectation(self, case: Case, text: str) -> None:
        if text.startswith(("expected_fail_message", "expected_fail_regexp")):
            word, _, rest = text.partition(" ")
            case.messages.append(("fail", "msg" if word.endswith("message") else "regex", rest.strip()))
        elif match := _EXPECT.fullmatch(text):
            case.fails |= match[1] == "fail"
            case.ordered |= match[1] == "ordered"
            case.messages.append((match[1], match[2] or "", (match[3] or "").strip()))
        elif number := _plain_number(text):
            case.scalar = number[0]
        elif "{{" in text:
            case.native = True
        else:
            labels, values = split(text)
            case.expected.append((labels, parse_values(values)))


def _plain_number(text: str) -> tuple[float] | None:
    try:
        return (float(int(text, 0)),)
    except ValueError:
        pass
    try:
        return (float(text),)
    except ValueError:
        return None


# ---------------------------------------------------------------- asking


def run(case: Case, script: Script) -> None:
    """Ask us. Wrong where we say something else, NotApplicable where we need not."""
    try:
        node = compile_expr(case.expr).node
    except BadExpression as err:
        said = str(err)
        if any(word in said for word in _NATIVE):
            raise NotApplicable(said) from None
        if case.fails:
            return  # refused when it is loaded: earlier, not otherwise
        raise Wrong(f"refused: {said}") from None
    if case.native or touches(node, script.native):
        raise NotApplicable("native histograms")
    if case.ranged:
        options = Options(delayed_names=True, start=case.times[0], end=case.times[-1], annotate=True)
        compare_range(case, ranged(case, node, script.store, options))
        return
    ask_instant(case, node, script.store, case.times[0])
    fixed = pinned(node, case.times[0])
    if not any(isinstance(part, Call) and part.function.name in _MOVING for part in walk(node)):
        at = case.times[0]
        for other in [-10 * at, 0, at // 5, at, 10 * at] if at else [-1000, 0, 1000]:
            try:
                ask_instant(case, fixed, script.store, other)
            except Wrong as err:
                raise Wrong(f"with @ {at} at {other}: {err}") from None


def touches(node: Node, native: list[Labels]) -> bool:
    """Whether a selector may see one of these label sets."""
    selectors = [part for part in walk(node) if isinstance(part, Selector)]
    given = [dict(labels) for labels in native]
    return any(all(one.matches(labels) for one in of.matchers) for of in selectors for labels in given)


def ask_instant(case: Case, node: Node, store: Store, at: int) -> None:
    """An instant query, and the same as the middle of a range."""
    for options in (
        Options(delayed_names=True, annotate=True),
        Options(delayed_names=True, start=at - 60_000, end=at + 60_000, annotate=True),
    ):
        if any(isinstance(part, Selector | Subquery) and isinstance(part.at, str) for part in walk(node)):
            options = replace(options, start=None, end=None)
        frame = Frame(store, at, 10**9, options)
        try:
            value = frame.result(node)
        except EvaluationError as err:
            failed(case, str(err))
            continue
        if case.fails:
            raise Wrong(f"no error, but {value}")
        annotated(case, list(frame.notes))
        if isinstance(value, list):
            compare_vector(case, value)
        elif isinstance(value, str) or case.scalar is None or not same(value, case.scalar):
            raise Wrong(f"{value!r}")


def ranged(case: Case, node: Node, store: Store, options: Options) -> Matrix | None:
    found: Matrix = {}
    notes: list[str] = []
    for at in case.times:
        frame = Frame(store, at, 10**9, options)
        try:
            value = frame.result(node)
        except EvaluationError as err:
            failed(case, str(err))
            return None
        notes += [note for note in frame.notes if note not in notes]
        for labels, number in value if isinstance(value, list) else [((), float(value))]:
            found.setdefault(labels, []).append((at, number))
    if case.fails:
        raise Wrong(f"no error, but {found}")
    annotated(case, notes)
    return found


def failed(case: Case, said: str) -> None:
    """We say this error: is it the one?"""
    if not case.fails:
        raise Wrong(f"error: {said}")
    for kind, how, text in case.messages:
        if kind == "fail" and not fits(how, text, said):
            raise Wrong(f"another error: {said}")


def fits(how: str, text: str, said: str) -> bool:
    return not how or (said == text if how == "msg" else re.search(text, said) is not None)


def annotated(case: Case, notes: list[str]) -> None:
    """Whether the annotations are those expected, where any are."""
    for kind, start in (("warn", "PromQL warning"), ("info", "PromQL info")):
        said = [note for note in notes if note.startswith(start)]
        wanted = [(how, text) for of, how, text in case.messages if of == kind]
        for how, text in wanted:
            if not any(fits(how, text, note) for note in said):
                raise Wrong(f"no annotation {text!r}: {notes}")
        for note in said if wanted else ():
            if not any(fits(how, text, note) for how, text in wanted):
                raise Wrong(f"annotation {note!r}")
        if said and any(of == f"no_{kind}" for of, _how, _text in case.messages):
            raise Wrong(f"annotation {said}")


def pinned(node: Node, at: int) -> Node:
    """The expression with `@ at` on everything that has no instant of its own."""
    match node:
        case Selector():
            return node if node.at is not None else replace(node, at=at)
        case Window():
            selector = pinned(node.selector, at)
            assert isinstance(selector, Selector)
            return replace(node, selector=selector)
        case Subquery():
            return node if node.at is not None else replace(node, at=at)  # what is inside stays as it is
        case Negate():
            return replace(node, expr=pinned(node.expr, at))
        case Aggregate():
            param = None if node.param is None else pinned(node.param, at)
            return replace(node, expr=pinned(node.expr, at), param=param)
        case Call():
            return replace(node, args=tuple(pinned(arg, at) for arg in node.args))
        case Binary():
            return replace(node, left=pinned(node.left, at), right=pinned(node.right, at))
        case _:
            return node


# ---------------------------------------------------------------- comparing


def same(one: float, other: float) -> bool:
    if is_stale(one) or is_stale(other):
        return is_stale(one) and is_stale(other)
    if one == other or (one != one and other != other):
        return True
    size = abs(one) + abs(other)
    if not one or not other or size < sys.float_info.min:
        return abs(one - other) < _EPSILON * sys.float_info.min
    return abs(one - other) / min(size, sys.float_info.max) < _EPSILON


def compare_vector(case: Case, vector: list[tuple[Labels, float]]) -> None:
    wanted = dict(case.expected)
    if len(dict(vector)) != len(vector) or set(dict(vector)) != set(wanted) or case.scalar is not None:
        raise Wrong(f"{vector}")
    if case.ordered and [labels for labels, _value in vector] != [labels for labels, _values in case.expected]:
        raise Wrong(f"another order: {vector}")
    for labels, value in vector:
        expected = wanted[labels][0]
        if expected is None or not same(value, expected):
            raise Wrong(f"{labels}: {value}, not {expected}")


def compare_range(case: Case, found: Matrix | None) -> None:
    if found is None:
        return
    wanted: Matrix = {}
    for labels, values in case.expected:
        points = [(at, value) for at, value in zip(case.times, values, strict=False) if value is not None]
        if len(values) > len(case.times):
            raise Wrong("more values than steps are expected")
        wanted[labels] = points
    if case.scalar is not None or set(found) != set(wanted):
        raise Wrong(f"{found}")
    for labels, points in found.items():
        times = [at for at, _value in points] == [at for at, _value in wanted[labels]]
        if not times or not all(same(a[1], b[1]) for a, b in zip(points, wanted[labels], strict=True)):
            raise Wrong(f"{labels}: {points}, not {wanted[labels]}")


# ---------------------------------------------------------------- the tool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-v", action="store_true", help="also what is not applicable, and why")
    parser.add_argument("-k", default="", help="only files whose name has this in it")
    given = parser.parse_args()
    everything: Counter[str] = Counter()
    for path in sorted(given.folder.glob("*.test")):
        if given.k not in path.name:
            continue
        counts: Counter[str] = Counter()
        script = Script(path)
        for case in script.cases():
            try:
                run(case, script)
                counts["passed"] += 1
            except NotApplicable as err:
                counts["not applicable"] += 1
                if given.v:
                    print(f"-  {path.name}:{case.line}: {case.expr}: {err}")
            except (Wrong, BadSeries) as err:
                counts["failed"] += 1
                print(f"✗  {path.name}:{case.line}: {case.expr}\n     {str(err)[:600]}")
            except Exception as err:  # this is what the tool is there to find
                counts["failed"] += 1
                print(f"‼  {path.name}:{case.line}: {case.expr}\n     {type(err).__name__}: {err}")
        print(f"{path.name}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
        everything += counts
    print("all: " + ", ".join(f"{count} {what}" for what, count in sorted(everything.items())))
    return 1 if everything["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
