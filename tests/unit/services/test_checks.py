"""Which health checks cannot run at all: that says nothing about the service."""

import pytest

from supervisor.engines.docker import shape
from supervisor.facts import Container
from supervisor.services.checks import CANNOT_RUN, broken_check


def seen(output: str, health: str = "unhealthy") -> Container:
    return Container("a", "a", "a", "a", status="running", health=health, health_output=output)


@pytest.mark.parametrize(
    "output",
    [
        f"{CANNOT_RUN}OCI runtime exec failed: exec failed: unable to start container process: exec: curl",
        "OCI runtime exec failed: exec failed: container_linux.go:380: starting container process caused: no such file",
        "/bin/sh: curl: not found",
        "/bin/sh: 1: curl: not found",
        "bash: line 1: curl: command not found",
        "sh: wget: not found",
        "Trying once more. /bin/sh: nc: not found",
    ],
)
@pytest.mark.parametrize("health", ["unhealthy", "starting"])
def test_a_missing_tool_is_seen_in_what_the_check_says(output: str, health: str) -> None:
    assert broken_check(seen(output, health))


@pytest.mark.parametrize(
    "output",
    [
        "",
        "curl: (22) The requested URL returned error: 404 Not Found",
        "wget: server returned error: HTTP/1.1 503 Service Unavailable",
        '{"error": "model not found"}',
        "connection refused",
        "publish: table: not found",
    ],
)
def test_an_unhappy_answer_is_no_missing_tool(output: str) -> None:
    assert broken_check(seen(output)) == ""


def test_where_there_is_no_check_or_it_is_content_nothing_is_broken() -> None:
    assert broken_check(seen("/bin/sh: curl: not found", "healthy")) == ""
    assert broken_check(seen("/bin/sh: curl: not found", "none")) == ""


def test_what_the_engine_port_makes_of_a_check_that_could_not_run_is_understood() -> None:
    said = 'OCI runtime exec failed: exec failed: exec: "curl": executable file not found in $PATH: unknown'
    found = seen(shape.health_output({"Health": {"Log": [{"ExitCode": -1, "Output": said}]}}))
    assert "curl" in broken_check(found)
    failing = seen(shape.health_output({"Health": {"Log": [{"ExitCode": 1, "Output": "no answer"}]}}))
    assert broken_check(failing) == ""
