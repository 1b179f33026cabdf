"""A Prometheus that was there before drives our actions: its alert, with the token, restarts a container through a
playbook, and is over when it says so."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, Hands, Nursery, free_port, hands, until

pytestmark = pytest.mark.real

PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
- job_name: none
  static_configs: []
alerting:
  alertmanagers:
  - authorization: {{credentials_file: token}}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""
RULE = """
groups:
- name: g
  rules:
  - alert: ModelDown
    expr: {expr}
    labels: {{severity: critical, name: {name}}}
    annotations: {{summary: it does not answer}}
"""
PLAYBOOK = """
playbooks:
- name: model-down
  match: ['alertname="ModelDown"']
  steps: [{do: restart}]
"""
PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0, "supervisor.actions.probation:SETTLE_PLAIN": 1.0}


@pytest.fixture(scope="module")
def person() -> Iterator[Hands]:
    with hands("inl") as made:
        yield made


class Prometheus:
    """A real server with one rule, which can be replaced."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        (folder / "prometheus.yml").write_text(PROMETHEUS.format(port=port))
        (folder / "token").write_text("sesame")
        self._process: subprocess.Popen[bytes] | None = None

    def rule(self, name: str, expr: str) -> None:
        (self._folder / "rules.yml").write_text(RULE.format(name=name, expr=expr))
        if self._process is not None:
            self._process.send_signal(1)

    def start(self) -> None:
        server = shutil.which("prometheus")
        assert server, "the Prometheus server is missing; install Debian's package `prometheus`"
        # It finds its Alertmanagers after some 5 s, and what it told nobody before it would repeat only after a minute.
        options = ["--rules.alert.resend-delay=1s", "--storage.tsdb.path=data"]
        options.append(f"--web.listen-address=127.0.0.1:{free_port()}")
        with (self._folder / "log").open("ab") as log:
            command = [server, "--config.file=prometheus.yml", *options]
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)

    def said(self) -> str:
        """The end of its log."""
        return (self._folder / "log").read_text()[-3000:]

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


def test_an_alert_of_a_prometheus_restarts_a_container(person: Hands, tmp_path: Path) -> None:
    name, port = person.up("a", f"{person.prefix}/good:1"), free_port()
    service = f"{person.prefix}.a"
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "t.playbooks.yaml").write_text(PLAYBOOK)
    token = tmp_path / "token"
    token.write_text("sesame\n")
    token.chmod(0o600)
    nursery = Nursery()
    daemon = Daemon(
        {
            "consent": "listed",
            "rules": [str(rules)],
            "http": {"listen": f"127.0.0.1:{port}", "token_file": str(token)},
            "services": {service: {"enable": True, "stop-grace": "1s"}},
        },
        nursery,
    )
    (tmp_path / "p").mkdir()
    prometheus = Prometheus(tmp_path / "p", port)
    daemon.start(patience=PATIENCE)
    try:
        daemon.ready()
        before = started(person, name)
        prometheus.rule(name, "vector(1)")
        prometheus.start()
        until(lambda: daemon.rows("alert.firing"), 20.0, "the alert came")
        assert daemon.outcome("restart", service)["kind"] == "action.verified"
        assert started(person, name) != before
        fired = daemon.heard("alert.firing", service)
        assert (fired["body"]["alert"]["labels"]["alertname"], fired["body"]["rule"]) == ("ModelDown", "outside:http")
        prometheus.rule(name, "vector(1) == 2")
        daemon.heard("alert.resolved", service)
        assert len(daemon.rows("alert.firing")) == 1
    except AssertionError:
        print(prometheus.said(), daemon.said())
        raise
    finally:
        prometheus.close()
        daemon.stop()
        daemon.close()
        nursery.close()


def started(person: Hands, name: str) -> Any:
    seen = person.look(name)
    assert seen is not None, json.dumps(person.names(name))
    return seen["State"]["StartedAt"]
