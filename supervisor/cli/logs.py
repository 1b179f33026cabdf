"""How the daemon logs: lines for people in a terminal, JSON for systemd's journal.

In: what parts say through structlog, journal rows among it. Out: lines on stderr. Local variables are never shown:
they may hold secrets.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Any, TextIO

import structlog

from supervisor.cli.events import COLOURS
from supervisor.cli.output import Output
from supervisor.views.sentences import headline


def set_up_logs(stream: TextIO = sys.stderr, env: Mapping[str, str] = os.environ) -> None:
    """Lines as `resurgam events` has them in a terminal, JSON elsewhere; local variables are never shown."""
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if stream.isatty():
        processors.append(Lines(Output("table", stream, env)))
    else:
        trace = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        processors += [structlog.processors.ExceptionRenderer(trace), structlog.processors.JSONRenderer()]
    structlog.configure(processors, logger_factory=structlog.PrintLoggerFactory(stream))


class Lines:
    """A journal row, or a sentence about somebody, as `12:40:03.211  oracle    died: exit 139 (SIGSEGV)`; anything else
    as structlog has it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        plain = structlog.dev.plain_traceback
        self._other = structlog.dev.ConsoleRenderer(colors=output.colour, exception_formatter=plain)

    def __call__(self, logger: Any, name: str, entry: MutableMapping[str, Any]) -> str:
        """The line."""
        if not {"subject", "text"} <= entry.keys():
            return self._other(logger, name, entry)
        at = datetime.fromisoformat(str(entry["timestamp"])).timestamp()
        line = headline(at, str(entry["subject"]), str(entry["text"]), None, 8)
        return self._output.paint(line, COLOURS.get(str(entry["event"]), ""))
