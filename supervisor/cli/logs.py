"""How the daemon logs: plain lines in a terminal, JSON for systemd's journal.

In: what parts say through structlog. Out: lines on stderr. Local variables are never shown: they may hold secrets.
"""

import sys
from typing import TextIO

import structlog


def set_up_logs(stream: TextIO = sys.stderr) -> None:
    """Plain lines in a terminal, JSON for the journal of systemd; local variables are never shown."""
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if stream.isatty():
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        structlog.configure([*processors, plain], logger_factory=structlog.PrintLoggerFactory(stream))
        return
    trace = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    processors += [structlog.processors.ExceptionRenderer(trace), structlog.processors.JSONRenderer()]
    structlog.configure(processors, logger_factory=structlog.PrintLoggerFactory(stream))
