"""Printing: tables for people, JSON and YAML for machines.

In: documents of the control socket. Out: text on stdout. Whatever a container, a label or a log line made up is shown
without control characters: a name must not be able to repaint a terminal. Colour only on a terminal, without NO_COLOR.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from supervisor.errors import Refused
from supervisor.facts import Json
from supervisor.units import plain, show_duration

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}
_STATES = {
    "ok": "green",
    "running": "green",
    "healthy": "green",
    "verified": "green",
    "firing": "red",
    "critical": "red",
    "failed": "red",
    "degraded": "red",
    "exited": "red",
    "dead": "red",
    "unhealthy": "red",
    "rolled_back": "yellow",
    "restarting": "yellow",
    "pending": "yellow",
    "warning": "yellow",
    "observe": "yellow",
    "healing": "yellow",
    "recovering": "yellow",
}


class Output:
    """Where a command prints, and how."""

    def __init__(self, form: str = "table", stream: TextIO | None = None, env: Mapping[str, str] = os.environ) -> None:
        self.form = form
        self._stream = stream or sys.stdout
        self.colour = self._stream.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"

    @property
    def for_people(self) -> bool:
        """Whether tables and sentences are wanted."""
        return self.form == "table"

    @property
    def width(self) -> int:
        """Columns of the terminal; 0 where it is none, and a line may be as long as it likes."""
        return shutil.get_terminal_size().columns if self._stream.isatty() else 0

    def line(self, text: str = "", colour: str = "") -> None:
        """One line for people."""
        print(self.paint(plain(text, 4000), colour), file=self._stream, flush=True)

    def paint(self, text: str, colour: str) -> str:
        """Text in a colour, where colours are wanted."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour and self.colour and text else text

    def document(self, value: Any) -> None:
        """A whole document for machines."""
        if self.form == "yaml":
            import yaml

            text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")
        else:
            text = json.dumps(value, ensure_ascii=False, indent=2)
        print(text, file=self._stream, flush=True)

    def decided(self, answer: Json) -> int:
        """What was decided on a word that a person said; the exit code, 0. errors.Refused for no."""
        decision = answer["decision"]
        if not self.for_people:
            self.document(answer)
        if not decision["allowed"]:
            raise Refused(decision["reason"], decision["text"])
        if self.for_people:
            for line in str(decision["text"]).splitlines():
                self.line(line)
        return 0

    def item(self, value: Json) -> None:
        """One document of a stream: a line of JSON, or a YAML document of its own."""
        if self.form == "yaml":
            print("---", file=self._stream)
            self.document(value)
        else:
            print(json.dumps(value, ensure_ascii=False), file=self._stream, flush=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Columns as wide as their widest cell; the last one is never padded."""
        cells = [[plain(str(cell), 160) for cell in row] for row in rows]
        widths = [max([len(head), *[len(row[i]) for row in cells]]) for i, head in enumerate(heads)]
        self._row([head.upper() for head in heads], widths, "dim")
        for row in cells:
            self._row(row, widths, "")

    def _row(self, cells: Sequence[str], widths: Sequence[int], colour: str) -> None:
        last = len(cells) - 1
        padded = [
            cell if i == last else cell.ljust(width) for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        painted = [self.paint(text, colour or _STATES.get(text.strip(), "")) for text in padded]
        print("  ".join(painted).rstrip(), file=self._stream, flush=True)


def counted(count: int, word: str) -> str:
    """`1 rule`, `3 rules`, `no rule`."""
    return f"{count or 'no'} {word}{'s' if count > 1 else ''}"


def dotted(place: Sequence[str | int]) -> str:
    """A place in a file as people write it: `notify[0].webhook`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def local(then: str) -> str:
    """`2026-11-20 12:27:18` of an RFC 3339 time, where the reader is; `-` where there is no such time."""
    try:
        moment = datetime.fromisoformat(then)
    except ValueError:
        return "-"
    return "-" if then.startswith("0001") else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(then: str, now: str) -> str:
    """`14m` between two RFC 3339 times; `-` where there is no such time."""
    try:
        gap = (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds()
    except ValueError:
        return "-"
    return "-" if then.startswith("0001") else show_duration(int(gap)) if gap >= 1 else "0s"
