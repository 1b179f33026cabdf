"""What the daemon prints: lines for people in a terminal, JSON for the journal."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from supervisor.cli.logs import set_up_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(stream: io.StringIO, env: dict[str, str] | None = None) -> str:
    set_up_logs(stream, env or {})
    structlog.get_logger().info("container.died", seq=7, subject="oracle", text="died: exit 139 (SIGSEGV)")
    return stream.getvalue()


def test_a_terminal_gets_the_lines_that_events_prints() -> None:
    line = logged(Terminal(), {"NO_COLOR": "1"})
    assert line.endswith("  oracle    died: exit 139 (SIGSEGV)\n")
    assert "\x1b" not in line
    assert "\x1b[31m" in logged(Terminal())


def test_the_journal_gets_json_with_everything() -> None:
    entry = json.loads(logged(io.StringIO()))
    assert entry["event"] == "container.died"
    assert (entry["seq"], entry["subject"], entry["text"]) == (7, "oracle", "died: exit 139 (SIGSEGV)")
    assert entry["timestamp"].endswith("Z")


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_a_broken_part_is_shown_with_its_trace_and_without_its_variables(stream: io.StringIO) -> None:
    set_up_logs(stream, {"NO_COLOR": "1"})
    try:
        password = "hunter" + "2"
        raise ValueError("no " + password[:2])
    except ValueError:
        structlog.get_logger().exception("broken", part="pump")
    said = stream.getvalue()
    assert "pump" in said
    assert "no hu" in said
    assert "hunter2" not in said
