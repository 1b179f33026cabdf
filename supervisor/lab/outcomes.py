"""What became of a test file: its tests, and each expectation that did not hold, with its place and the difference.

Made by `promtest.py` and `actions_test.py`; printed by `cli/test.py`, for people, as JSON or as JUnit XML.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from supervisor.errors import Mistake
from supervisor.facts import Json


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that did not hold. `lines` say how, for people, each a line of its own."""

    line: int
    column: int
    text: str
    """what was looked at: `alert InstanceDown at 5m`"""
    lines: tuple[str, ...] = ()

    def json(self) -> Json:
        """As plain JSON data."""
        return {"line": self.line, "column": self.column, "text": self.text, "difference": list(self.lines)}


@dataclass(frozen=True, slots=True)
class CaseRun:
    """One test of a file. `checks`: how many expectations it has."""

    name: str
    checks: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class FileRun:
    """One test file. With `mistakes` it could not be used, and nothing was run."""

    file: str
    tests: tuple[CaseRun, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return len([test for test in self.tests if test.failures])

    @property
    def ok(self) -> bool:
        """Whether it could be used and everything held."""
        return not self.mistakes and not self.failed

    def json(self) -> Json:
        """As plain JSON data."""
        return {
            "file": self.file,
            "ok": self.ok,
            "tests": [
                {
                    "name": test.name,
                    "ok": not test.failures,
                    "expectations": test.checks,
                    "failures": [failure.json() for failure in test.failures],
                }
                for test in self.tests
            ],
            "mistakes": [
                {"file": one.file, "line": one.line, "column": one.column, "text": one.text} for one in self.mistakes
            ],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Thing:
    """Something expected or found: what it is called, and its parts (`label severity` -> `page`), in order."""

    name: str
    parts: tuple[tuple[str, str], ...] = ()


def differences(expected: Sequence[Thing], got: Sequence[Thing]) -> list[str]:
    """How two collections differ, as lines; [] where they hold the same things. An expected thing and a found one
    that have most in common are told part by part, the others as missing or not expected."""
    missing, more = _unmatched(expected, got)
    lines: list[str] = []
    for one in missing:
        twin = _nearest(one, more)
        if twin is None:
            lines.append(f"missing: {one.name}")
            lines += [f"    {part}: {text}" for part, text in one.parts if not part.startswith("label ")]
            continue
        more.remove(twin)
        lines.append(f"differs: {twin.name}")
        lines += _parts(one, twin)
    for one in more:
        lines.append(f"not expected: {one.name}")
        lines += [f"    {part}: {text}" for part, text in one.parts if not part.startswith("label ")]
    return lines


def _unmatched(expected: Sequence[Thing], got: Sequence[Thing]) -> tuple[list[Thing], list[Thing]]:
    """What stands on one side only, each as often as it is too many."""
    more = list(got)
    missing = []
    for one in expected:
        if one in more:
            more.remove(one)
        else:
            missing.append(one)
    return missing, more


def _nearest(one: Thing, others: Sequence[Thing]) -> Thing | None:
    """The other thing of the same name, or with most parts in common; None where none has half of them, labels
    counting twice."""
    namesake = next((other for other in others if other.name == one.name), None)
    if namesake is not None:
        return namesake
    best, most = None, 0.0
    for other in others:
        theirs = dict(other.parts)
        weights = [(2 if part.startswith("label ") else 1, theirs.get(part) == text) for part, text in one.parts]
        whole = len(one.parts) + len([weight for weight, _same in weights if weight == 2])
        common = len([1 for weight, same in weights if same for _ in range(weight)])
        likeness = common / whole if whole else 0.0
        if likeness >= 0.5 and likeness > most:
            best, most = other, likeness
    return best


def _parts(one: Thing, other: Thing) -> list[str]:
    """Where two things differ, part by part."""
    mine, theirs = dict(one.parts), dict(other.parts)
    names = list(dict.fromkeys([*mine, *theirs]))
    lines = []
    for name in names:
        if mine.get(name) != theirs.get(name):
            lines += [f"    {name}", f"        expected: {mine.get(name, 'nothing')}"]
            lines.append(f"        got:      {theirs.get(name, 'nothing')}")
    return lines


def after(seconds: float) -> str:
    """A time since the start, to the millisecond, as people and promtool write it: `0s`, `90ms`, `2m59s`, `1h30m`."""
    left = round(seconds * 1000)
    if left < 0:
        return "-" + after(-seconds)
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def roughly(seconds: float) -> str:
    """As `after`, to the tenth of a second: `1m0.7s`. For what happens by itself, off the grid of the samples."""
    tenths = round(seconds * 10)
    if tenths < 0:
        return "-" + roughly(-seconds)
    whole, tenth = divmod(tenths, 10)
    if not tenth:
        return after(whole)
    above, rest = divmod(whole, 60)
    return (after(above * 60) if above else "") + f"{rest}.{tenth}s"
