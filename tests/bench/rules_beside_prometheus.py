"""The same rules over the same series, in a real Prometheus and in ours, side by side in one run.

Both read one target once a second: 600 series with the fifty rules, and switches with eight rules of their own. The
switches are thrown at instants spread evenly over the second. Compared are processor time, memory, and how long after
a switch was thrown its alert was told: by Prometheus to an Alertmanager, by ours to whoever started it. Ours is told of
a second row of switches at once, as its own collectors tell it. Both end with the same alerts firing, or this fails.

    python -m tests.bench.rules_beside_prometheus [--flips 60] [--warm 10]
"""

import argparse
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.bench.alert_latency import percentile
from tests.bench.footprint import cpu, rss
from tests.bench.rules_box import FIFTY
from tests.bench.rules_target import LANES, Listener, Target

GAP = 1.0 + 0.618034
"""seconds from one switch to the next: no two at the same place within a second"""
HELD = 3
"""how many switches later one is thrown back"""
STEADY = 3
"""alerts of the fifty rules that always fire"""


def rules() -> str:
    """The fifty, and what watches the switches: a group for each lane, because Prometheus gives each group a place of
    its own within the interval."""
    groups = [
        {"name": f"lane{lane}", "rules": [{"alert": f"Switch{lane}", "expr": f'bench_switch{{lane="{lane}"}} == 1'}]}
        for lane in range(LANES)
    ]
    groups.append({"name": "pushed", "rules": [{"alert": "Pushed", "expr": "bench_pushed == 1"}]})
    return FIFTY + "".join(f"- {json.dumps(group)}\n" for group in groups)


class Prometheus:
    """A Prometheus of its own, on loopback, in a folder that goes with it."""

    def __init__(self, folder: Path, rules_file: Path, target: int, alertmanager: int) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise SystemExit("this benchmark needs Prometheus: apt-get install prometheus")
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        self.version = (said.stdout + said.stderr).split()[2].partition("+")[0]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules_file)],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [{"job_name": "box", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = found.getsockname()[1]
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    program,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
            return json.loads(answer.read())["data"]

    def evaluates(self) -> bool:
        """Whether every rule has been evaluated, and well."""
        if self.process.poll() is not None:
            raise SystemExit(f"Prometheus ended:\n{self._log.read_text()}")
        try:
            found = [rule["health"] for group in self.ask("/api/v1/rules")["groups"] for rule in group["rules"]]
        except OSError:
            return False
        return bool(found) and all(health == "ok" for health in found)

    def firing(self) -> list[str]:
        alerts = self.ask("/api/v1/alerts")["alerts"]
        return sorted(alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Ours:
    """Our process, and what it says. `heard`: when (unix seconds) each alert about a switch came, by kind of switch."""

    def __init__(self, rules_file: Path, target: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.rules_reader", str(target), str(rules_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.heard: dict[str, dict[int, float]] = {"Switch": {}, "Pushed": {}}
        self.errors: list[str] = []
        self.ready = False
        self.firing: list[str] | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            now, what = time.time(), json.loads(line)
            if what.get("state") == "firing" and what["n"]:
                kind = "Pushed" if what["name"] == "Pushed" else "Switch"
                self.heard[kind].setdefault(int(what["n"]), now)
            self.ready = self.ready or "ready" in what
            self.firing = what.get("firing", self.firing)
            if what.get("error"):
                self.errors.append(what["error"])

    def push(self, number: int, value: int) -> None:
        self._write(f"{number} {value}\n")

    def _write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self) -> None:
        if self.process.poll() is None:
            self._write("end\n")
        self.process.wait(20)
        self._thread.join(5)


def wait_for(what: Callable[[], bool], seconds: float, why: str) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise SystemExit(f"after {seconds:.0f} s still waiting for {why}")
        time.sleep(0.05)


def throw(target: Target, ours: Ours, flips: int) -> dict[int, float]:
    """Throw the switches one after another, each back after a while. Answers when each was thrown."""
    thrown: dict[int, float] = {}
    begin = time.time()
    for number in range(flips + HELD):
        time.sleep(max(0.0, begin + number * GAP - time.time()))
        if number < flips:
            target.switches[number] = 1
            thrown[number] = time.time()
            ours.push(number, 1)
        if number >= HELD:
            target.switches[number - HELD] = 0
            ours.push(number - HELD, 0)
    return thrown


def row(name: str, pid: int | None, used: float, seconds: float, delays: list[float]) -> None:
    delays.sort()
    told = f"{statistics.median(delays) * 1000:>9,.1f}{percentile(delays, 0.99) * 1000:>9,.1f}{len(delays):>7}"
    cost = f"{used:>9.2f}{used / seconds * 100:>8.2f} %{rss(pid) / 2**20:>9.0f}" if pid else f"{'':>28}"
    print(f"{name:38}{cost}{told}")


def measure(folder: Path, flips: int, warm: float) -> None:
    rules_file = folder / "rules.yml"
    rules_file.write_text(rules())
    target, listener = Target(flips), Listener()
    prometheus = Prometheus(folder, rules_file, target.port, listener.port)
    try:
        ours = Ours(rules_file, target.port)
        try:
            wait_for(prometheus.evaluates, 30, "Prometheus to evaluate every rule")
            wait_for(lambda: ours.ready and target.reads.get("reader", 0) > 1, 30, "our reader")
            time.sleep(warm)
            pids = {"prometheus": prometheus.process.pid, "ours": ours.process.pid}
            reads = dict(target.reads)
            before, began = {name: cpu(pid) for name, pid in pids.items()}, time.monotonic()
            thrown = throw(target, ours, flips)
            time.sleep(2 * GAP)
            seconds = time.monotonic() - began
            used = {name: cpu(pid) - before[name] for name, pid in pids.items()}
            count = {name: target.reads[name] - reads[name] for name in reads}
            assert prometheus.evaluates(), "a rule of Prometheus does not evaluate any more"
            print(f"fifty rules, 600 series and {flips} switches, {seconds:.0f} s; reads of the target: {count}")
            print(f"{'':38}{'CPU, s':>9}{'of a core':>10}{'MiB':>9}{'p50 ms':>9}{'p99 ms':>9}{'told':>7}")
            told = {"prometheus": listener.heard, **ours.heard}
            delays = {who: [at - thrown[number] for number, at in heard.items()] for who, heard in told.items()}
            row(
                f"Prometheus {prometheus.version}, every second",
                pids["prometheus"],
                used["prometheus"],
                seconds,
                delays["prometheus"],
            )
            row("ours, the same target every second", pids["ours"], used["ours"], seconds, delays["Switch"])
            row("ours, told at once", None, 0.0, seconds, delays["Pushed"])
            wait_for(lambda: len(prometheus.firing()) >= STEADY, 60, "the alerts of Prometheus that always fire")
            theirs = prometheus.firing()
        finally:
            ours.end()
        assert not ours.errors, ours.errors
        assert theirs == ours.firing, f"Prometheus: {theirs}, ours: {ours.firing}"
        print(f"at the end both say that these fire: {', '.join(theirs)}")
        assert all(len(found) == flips for found in delays.values()), "an alert was never told"
    finally:
        prometheus.end()
        target.close()
        listener.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flips", type=int, default=60)
    parser.add_argument("--warm", type=float, default=10.0, help="seconds before counting; 330 fill 5m windows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="resurgam-bench-rules-") as folder:
        measure(Path(folder), arguments.flips, arguments.warm)


if __name__ == "__main__":
    main()
