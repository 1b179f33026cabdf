"""`resurgam query [--series FILE] [--at T] [--range FROM..TO/STEP] -- EXPR…`: what expressions give.

In: the running daemon's samples (through Prometheus' API on its control socket), or a YAML file with `interval` and
`input_series` in promtool's notation, without a daemon; T counts from its start there. Out: one line a series, or one
Prometheus API answer per expression. Exit 1 where an expression gives an error, 2 where one cannot be read.
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from supervisor.cli import features
from supervisor.cli.client import Client
from supervisor.cli.output import Output
from supervisor.clock import SystemClock
from supervisor.errors import UsageError
from supervisor.facts import Json
from supervisor.units import iso, show_duration
from supervisor.web.when import instant, number, span

_RANGE = re.compile(r"(.+?)\.\.(.+)/([^/]+)")
_FORM = "write --range FROM..TO/STEP, as in --range 0..10m/1m"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to ask, of what, and when."""
    parser.add_argument("expressions", nargs="+", metavar="EXPR", help="PromQL; put -- before the first one")
    parser.add_argument("--series", metavar="FILE", help="ask of the series in this file instead of the daemon")
    parser.add_argument(
        "--at",
        metavar="T",
        help="when: unix seconds, RFC 3339 or -5m (default: now); with --series 5m or 300, from the start"
        " (default: the last value)",
    )
    parser.add_argument("--range", metavar="FROM..TO/STEP", help="at every step, both ends included")
    features.argument(parser)


@dataclass(frozen=True, slots=True)
class When:
    """The instants asked about, in ms; `step` 0: at `start` alone."""

    start: int
    end: int = 0
    step: int = 0


class Source(Protocol):
    """Of what is asked."""

    def ask(self, expression: str, when: When) -> Json:
        """One Prometheus API answer, good or bad."""

    def shown(self, seconds: float) -> str:
        """An instant, for people."""


def run(args: argparse.Namespace) -> int:
    """Ask each, and print."""
    delayed = features.delayed_names(args)
    if args.at is not None and args.range is not None:
        raise UsageError("--at and --range say the same thing twice; give one of them")
    source: Source
    if args.series is None:
        now = round(SystemClock().wall() * 1000)
        when = _when(args, lambda text: _of_daemon(text, now), now)
        source = _Daemon(Client.of(args), delayed)
    else:
        source = _File(Path(args.series), delayed)
        when = _when(args, lambda text: _of_file(text, source.end), source.end)
    answers = [source.ask(text, when) for text in args.expressions]
    output = Output(args.output)
    if output.for_people:
        for number, (text, answer) in enumerate(zip(args.expressions, answers, strict=True)):
            if len(answers) > 1:
                if number:
                    output.line()
                output.line(text, "bold")
            _print(answer, source, output)
    else:
        output.document(answers)
    return max(_code(answer) for answer in answers)


def _code(answer: Json) -> int:
    if answer["status"] == "success":
        return 0
    return 2 if answer["errorType"] == "bad_data" else 1


# ---------------------------------------------------------------- when


def _when(args: argparse.Namespace, read: Callable[[str], int], default: int) -> When:
    """The instants from --at or --range. UsageError where they cannot be read."""
    try:
        if args.range is None:
            return When(default if args.at is None else read(args.at))
        match = _RANGE.fullmatch(args.range)
        if not match:
            raise UsageError(f"{args.range!r} is not a range; {_FORM}")
        found = When(read(match[1]), read(match[2]), round(span(match[3]) * 1000))
    except ValueError as err:
        raise UsageError(str(err)) from None
    if found.step <= 0:
        raise UsageError(f"the step of {args.range!r} must be longer than 0; {_FORM}")
    if found.end < found.start:
        raise UsageError(f"{args.range!r} ends before it begins; {_FORM}")
    return found


def _of_daemon(text: str, now: int) -> int:
    """`now`, unix seconds, RFC 3339, or a span before (or after) now: `-5m`."""
    if text == "now":
        return now
    if text[:1] in "+-" and number(text) is None:
        return now + round(span(text[1:]) * 1000) * (-1 if text[0] == "-" else 1)
    try:
        return instant(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write unix seconds, 2025-01-31T12:00:00Z, now or -5m") from None


def _of_file(text: str, end: int) -> int:
    """A span from the file's start, or `end`."""
    if text == "end":
        return end
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * round(span(text.removeprefix("-")) * 1000)
    except ValueError:
        raise ValueError(f"{text!r} is not a time from the start of the series; write 5m, 90s, 300 or end") from None


# ---------------------------------------------------------------- of what


class _Daemon:
    """The running daemon."""

    def __init__(self, client: Client, delayed: bool) -> None:
        self._client = client
        self._form = {"delayed_names": "1"} if delayed else {}

    def ask(self, expression: str, when: When) -> Json:
        form = {"query": expression, **self._form}
        if not when.step:
            return self._client.prometheus("query", form | {"time": _seconds(when.start)})
        times = {"start": when.start, "end": when.end, "step": when.step}
        return self._client.prometheus("query_range", form | {name: _seconds(ms) for name, ms in times.items()})

    def shown(self, seconds: float) -> str:
        return iso(seconds)


class _File:
    """Series from a file. The rule language is imported only here: asking a daemon does without."""

    def __init__(self, path: Path, delayed: bool) -> None:
        from supervisor.config.reading import read_text
        from supervisor.config.yaml import MAX_BYTES
        from supervisor.lab.series import read_given
        from supervisor.rules.promql.evaluate import Options

        try:
            text = read_text(path, MAX_BYTES)
        except (OSError, UnicodeDecodeError) as err:
            raise UsageError(f"{path} cannot be read: {getattr(err, 'strerror', None) or 'it is not UTF-8'}") from None
        given = read_given(text, str(path))
        self._store = given.store()
        self._options = Options(delayed_names=delayed)
        self.end = round(given.end * 1000)

    def ask(self, expression: str, when: When) -> Json:
        from supervisor.rules.answers import Question, answer
        from supervisor.rules.promql.evaluate import EvaluationError
        from supervisor.rules.promql.parse import BadExpression, compile_expr
        from supervisor.views import prometheus as view

        try:
            question = Question(compile_expr(expression), when.start, when.end, when.step)
            return view.answer_document(answer(question, self._store, self._options))
        except BadExpression as err:
            return view.failure(view.BAD_DATA, f'invalid parameter "query": {view.wrong_expression(err)}')
        except ValueError as err:
            return view.failure(view.BAD_DATA, str(err))
        except EvaluationError as err:
            return view.failure(view.EXECUTION, str(err))

    def shown(self, seconds: float) -> str:
        return show_duration(seconds) if seconds and seconds == int(seconds) else f"{seconds:g}s"


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"


# ---------------------------------------------------------------- for people


def _print(answer: Json, source: Source, output: Output) -> None:
    if answer["status"] != "success":
        said = answer["error"].removeprefix(
            'invalid parameter "query": '
        )  # the API's words: here nothing is a parameter
        output.line(said if answer["errorType"] == "bad_data" else f"{answer['errorType']}: {said}", "red")
        return
    kind, result = answer["data"]["resultType"], answer["data"]["result"]
    if kind in ("scalar", "string"):
        output.line(str(result[1]))
    elif not result:
        output.line("no series")
    elif kind == "vector":
        output.table(("series", "value"), [(_name(one["metric"]), one["value"][1]) for one in result])
    else:
        output.table(("series", "at", "value"), _points(result, source))
    for note in answer.get("warnings", []):
        output.line(f"warning: {note.removeprefix('PromQL warning: ')}", "yellow")
    for note in answer.get("infos", []):
        output.line(f"info: {note.removeprefix('PromQL info: ')}", "dim")


def _points(result: Sequence[Any], source: Source) -> list[tuple[str, str, str]]:
    """One row a sample; the series stands in the first of its rows."""
    rows = []
    for one in result:
        name = _name(one["metric"])
        for at, value in one["values"]:
            rows.append((name, source.shown(at), value))
            name = ""
    return rows


def _name(metric: Json) -> str:
    """`x{a="b"}`."""
    labels = ", ".join(
        f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in metric.items() if name != "__name__"
    )
    name = str(metric.get("__name__", ""))
    return name + (f"{{{labels}}}" if labels or not name else "")
