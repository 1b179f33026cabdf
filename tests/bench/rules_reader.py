"""Our side of `rules_beside_prometheus.py`, as a process of its own: it reads the same target and feeds a rule engine.

On stdin, a line each: `NUMBER VALUE` is a sample of `bench_pushed` that is delivered at once, as our own collectors
deliver; `end` ends it. On stdout, a line of JSON for every alert that changes its state, and at the end all that fire.

    python -m tests.bench.rules_reader PORT RULES
"""

import http.client
import json
import os
import select
import sys
import time
from pathlib import Path

from supervisor.facts import Labels, Sample, labels
from supervisor.rules import RuleEngine
from supervisor.samples import Store
from tests.support.rules import ruleset, series

INTERVAL = 1.0


class Reader:
    """One engine over one store, in real time."""

    def __init__(self, port: int, rules: str) -> None:
        self.store = Store()
        self.engine = RuleEngine(self.store)
        self.engine.load(ruleset(rules), time.time())
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        self._known: dict[str, Labels] = {}
        """what stands before the value in a line of the target -> its labels, with those that a scraper adds"""

    def read(self) -> None:
        """One scrape: a transaction, looked at once."""
        self._connection.request("GET", "/metrics", headers={"User-Agent": "reader/1"})
        body = self._connection.getresponse().read().decode()
        now = time.time()
        samples = []
        for line in body.splitlines():
            text, _, value = line.rpartition(" ")
            samples.append(Sample(self._known.get(text) or self._learn(text), float(value)))
        self.deliver("box", samples, now)

    def _learn(self, text: str) -> Labels:
        scraped = (("instance", f"127.0.0.1:{self._port}"), ("job", "box"))
        found = self._known[text] = tuple(sorted((*series(text), *scraped)))
        return found

    def deliver(self, collector: str, samples: list[Sample], now: float) -> None:
        self.engine.arrived(collector, self.store.append(now, samples), now)
        self.look(now)

    def look(self, now: float) -> None:
        due = self.engine.due()
        if due is None or due > now:
            return
        outcome = self.engine.evaluate(now)
        for change in outcome.changes:
            say({"name": change.alert.name, "n": change.alert.labels.get("n", ""), "state": change.alert.state})
        for health in outcome.health:
            say({"error": health.text})

    def run(self) -> None:
        """Scrape once a second, take what is pushed, look when something is due; until told to end."""
        following = time.time()
        rest = b""
        while True:
            following = self._catch_up(following)
            due = self.engine.due()
            wait = min(following, following if due is None else due) - time.time()
            if not select.select([0], [], [], max(wait, 0.0))[0]:
                continue
            got = os.read(0, 65536)
            *lines, rest = (rest + got).split(b"\n")
            if b"end" in lines or not got:
                return
            for line in lines:
                number, value = line.decode().split()
                self.deliver("pushed", [Sample(labels("bench_pushed", n=number), float(value))], time.time())

    def _catch_up(self, following: float) -> float:
        """Do what has become due; answers when the next scrape is."""
        self.look(time.time())
        self.store.drain()
        if time.time() < following:
            return following
        self.read()
        return following + INTERVAL


def say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    reader = Reader(int(sys.argv[1]), Path(sys.argv[2]).read_text())
    say({"ready": True})
    reader.run()
    say({"firing": sorted(alert.name for alert in reader.engine.active() if alert.state == "firing")})


if __name__ == "__main__":
    main()
