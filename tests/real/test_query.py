"""A real daemon as a Prometheus: asked by the command line, and by HTTP the way a dashboard does it."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.daemon import Daemon, until

pytestmark = pytest.mark.real

RULES = """\
groups:
- name: own
  interval: 5s
  rules:
  - {record: 'box:memory:bytes', expr: 'sum(node_memory_MemTotal_bytes)'}
  - {alert: HasMemory, expr: 'node_memory_MemTotal_bytes > 1', annotations: {summary: '{{ $value }}'}}
  - {alert: HasNone, expr: 'node_memory_MemTotal_bytes < 1', for: 5m}
"""


class Box:
    """A daemon with rules of its own and an open TCP door."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.daemon = Daemon({})
        rules = self.daemon.folder / "rules"
        rules.mkdir(mode=0o700)
        (rules / "own.yaml").write_text(RULES)
        self.daemon.configure({"host": "box", "rules": [str(rules)], "http": {"listen": f"127.0.0.1:{self.port}"}})
        self.daemon.start()
        self.daemon.ready()

    def get(self, path: str, form: dict[str, Any] | None = None) -> Any:
        """The data of a good answer; with a form it is posted."""
        body = urlencode(form).encode() if form is not None else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", body, timeout=20) as response:
            found = json.loads(response.read())
        assert found["status"] == "success"
        return found["data"]


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.daemon.close()


def test_the_command_line_asks_the_daemon(box: Box) -> None:
    def look() -> Any:
        done = box.daemon.cli("query", "-o", "json", "node_memory_MemTotal_bytes", "box:memory:bytes", "foo(")
        assert done.returncode == 2, done.stderr
        memory, recorded, bad = json.loads(done.stdout)
        assert bad["errorType"] == "bad_data"
        both = memory["data"]["result"] and recorded["data"]["result"]
        return (memory["data"]["result"][0], recorded["data"]["result"][0]) if both else None

    memory, recorded = until(look, 20, "the memory of this machine is known and recorded", pause=0.3)
    assert float(memory["value"][1]) > 1e6
    assert recorded["metric"] == {"__name__": "box:memory:bytes"}
    assert recorded["value"][1] == memory["value"][1]
    done = box.daemon.cli("query", "--range", "-1m..now/10s", "node_memory_MemTotal_bytes")
    assert done.returncode == 0
    assert "node_memory_MemTotal_bytes" in done.stdout


def test_a_dashboard_asks_over_http(box: Box) -> None:
    def firing() -> Any:
        return [one for one in box.get("alerts")["alerts"] if one["labels"]["alertname"] == "HasMemory"]

    (alert,) = until(firing, 20, "the alert fires")
    assert alert["state"] == "firing"
    (group,) = box.get("rules")["groups"]
    assert [(rule["name"], rule.get("state"), rule["health"]) for rule in group["rules"]] == [
        ("box:memory:bytes", None, "ok"),
        ("HasMemory", "firing", "ok"),
        ("HasNone", "inactive", "ok"),
    ]
    assert "node_memory_MemTotal_bytes" in box.get("label/__name__/values")
    assert box.get("series?match[]=box:memory:bytes") == [{"__name__": "box:memory:bytes"}]
    (now,) = box.get("query", {"query": "count(node_memory_MemTotal_bytes)"})["result"]
    form = {
        "query": "count(node_memory_MemTotal_bytes)",
        "start": now["value"][0] - 60,
        "end": now["value"][0],
        "step": 5,
    }
    (found,) = box.get("query_range", form)["result"]
    assert found["values"][-1] == [now["value"][0], "1"]
    assert box.get("status/buildinfo")["version"]
