"""What `resurgam check` found, and how it is printed: by file, the mistakes with their places first.

Filled by `check.py`; goes to stdout as lines for people or as one document for machines.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from supervisor.cli.output import Output, counted
from supervisor.errors import Mistake
from supervisor.facts import Json

Level = Literal["error", "warning", "hint"]
_LEVELS: tuple[tuple[Level, str], ...] = (("error", "mistake"), ("warning", "warning"), ("hint", "hint"))
_COLOURS = {"error": "red", "warning": "yellow", "hint": "dim"}


@dataclass(frozen=True, slots=True)
class Note:
    """One thing found. `lint` names the check it comes from, '' for a plain mistake."""

    level: Level
    mistake: Mistake
    lint: str = ""


@dataclass(slots=True)
class Checked:
    """One file that was looked at."""

    file: str
    kind: str
    """configuration | rules | playbooks"""
    count: int = 0
    """how many services, rules or playbooks"""
    ok: bool = True
    slots: int = 0
    records: int = 0
    """how many of the rules record"""
    accepted: str = ""
    """which Prometheus takes it"""
    needs: tuple[tuple[str, str, tuple[int, int]], ...] = ()
    """(what, since which version, place) that not every Prometheus takes"""


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found there."""

    files: list[Checked] = field(default_factory=list)
    notes: dict[Note, None] = field(default_factory=dict)
    """in the order in which they were found"""
    settings: str = ""
    """the configuration that was read"""
    bad_config: bool = False
    strict: bool = False
    """warnings count, too"""

    def add(self, level: Level, mistakes: Iterable[Mistake], lint: str = "") -> None:
        """Note these; each thing is said once."""
        self.notes.update(dict.fromkeys(Note(level, mistake, lint) for mistake in mistakes))

    def of(self, level: Level) -> list[Mistake]:
        """Everything of one level."""
        return [note.mistake for note in self.notes if note.level == level]

    @property
    def code(self) -> int:
        """The exit code."""
        if self.bad_config:
            return 2
        return 1 if self.of("error") or (self.strict and self.of("warning")) else 0

    @property
    def loaded(self) -> int:
        """Rule files that load."""
        return len([one for one in self.files if one.kind == "rules" and one.ok])

    @property
    def failed(self) -> int:
        """Rule files that do not."""
        return len([one for one in self.files if one.kind == "rules" and not one.ok])


def show(report: Report, output: Output) -> None:
    """For people: file by file, what is wrong before what is fine; then the sum."""
    by_file = _by_file(report)
    for note in by_file.pop("", []):
        _line(note, output)
    for one in report.files:
        for note in by_file.pop(one.file, []):
            _line(note, output)
        if one.ok:
            accepted = f"; accepted by {one.accepted}" if one.accepted else ""
            output.line(f"ok  {one.file}: {_inside(one)}{accepted}", "green")
            for what, since, (line, column) in one.needs:
                output.line(f"    {one.file}:{line}:{column}: {what} needs {since}", "dim")
    for rest in by_file.values():
        for note in rest:
            _line(note, output)
    counts = [(len(report.of(level)), word) for level, word in _LEVELS]
    said = [counted(count, word) for count, word in counts if count]
    if report.loaded + report.failed > 1:
        said.insert(0, f"{report.loaded} of {report.loaded + report.failed} rule files load")
    if said:
        output.line(", ".join(said))


def _inside(one: Checked) -> str:
    """What a file holds: `5 rules`."""
    if one.kind == "configuration":
        held = [counted(count, word) for count, word in ((one.count, "service"), (one.slots, "slot")) if count]
        return ", ".join(("configuration", *held))
    return counted(one.count, one.kind.removesuffix("s"))


def _by_file(report: Report) -> dict[str, list[Note]]:
    """The notes of each file, in the order of their places, mistakes first."""
    found: dict[str, list[Note]] = {}
    for note in report.notes:
        found.setdefault(note.mistake.file, []).append(note)
    for notes in found.values():
        notes.sort(key=lambda note: (note.level != "error", note.mistake.line, note.mistake.column))
    return found


def _line(note: Note, output: Output) -> None:
    at = note.mistake
    word = "" if note.level == "error" else f"{note.level}: "
    output.line(f"{at.file}:{at.line}:{at.column}: {word}{at.text}", _COLOURS[note.level])


def document(report: Report) -> Json:
    """For machines."""
    return {
        "ok": report.code == 0,
        "loaded": report.loaded,
        "failed": report.failed,
        "files": [_file(one) for one in report.files],
        "findings": [
            {
                "level": note.level,
                "lint": note.lint,
                "file": note.mistake.file,
                "line": note.mistake.line,
                "column": note.mistake.column,
                "text": note.mistake.text,
            }
            for note in report.notes
        ],
    }


def _file(one: Checked) -> Json:
    found: Json = {"file": one.file, "kind": one.kind, "count": one.count, "ok": one.ok}
    if one.kind == "rules":
        found["rules"] = {"alerting": one.count - one.records, "recording": one.records}
        found["accepted_by"] = [one.accepted] if one.accepted else []
        found["needs"] = [
            {"what": what, "since": since, "line": line, "column": column} for what, since, (line, column) in one.needs
        ]
    return found
