"""How long a service is away when it is recreated: a Phoenix beside the usual ways, interleaved on one engine.

Downtime runs from the old process' last moment to the new one's first instruction; both leave a mark in a folder of
the host. Each way has a container of its own, with the same image, network, published port and a handler for TERM:

- `docker restart`: the same container, nothing recreated
- `docker-compose up -d --force-recreate`
- stop, remove, create, start: what most updaters do
- `resurgam phoenix`: recreated from the same image, verified
- the way back of a Phoenix: from the last moment of a bad new one to the old one's first instruction (the engine may
  start a bad one again before it is told to stop: that second life is not counted)

One start differs from the next by far more than one way from another. So each round begins with another way, the
machine is left in peace before each, and each way is also compared with a Phoenix round by round: how much longer it
took, with the interval in which the median of that lies (95 %).

python -m tests.bench.downtime [--rounds 40]
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import docker
import docker.errors
import yaml

from tests.support.daemon import Daemon, Nursery, until
from tests.support.images import import_busybox, remove_image

WORD = "resurgam-bench-down"
GOOD = f"{WORD}:good"
_LIVE = "touch /mark/began; trap 'touch /mark/ended; exit 0' TERM; echo ok > /tmp/health; httpd -p 8000 -h /tmp; "
SERVE = _LIVE + "while :; do sleep 3600 & wait; done"
FAIL = "touch /mark/bad-began; sleep 1; touch /mark/bad-ended; exit 139"
PATIENCE = {"supervisor.actions.probation:SETTLE": 1.0}
"""how long it is watched once it is well: no part of the downtime, and there are many rounds"""
PEACE = 0.4
"""seconds before each way: what the one before it left to do is done"""
WAYS = ("docker restart", "docker-compose", "remove and create", "phoenix", "way back")


class Ways:
    """One container per way, each with a folder of marks."""

    def __init__(self) -> None:
        self.api, self.bad = docker.APIClient(version="auto"), 0
        ours = {self.name(way): {"enable": True, "probe": "http://:8000/health"} for way in ("phoenix", "way back")}
        plenty = {"service": ["1000 in 1h"], "host": ["1000 in 1h"]}
        settings = {"host": "bench", "consent": "listed", "services": ours, "rules": [], "budget": plenty}
        self.nursery = Nursery()
        self.daemon = Daemon({**settings, "brake": "1000 in 1h"}, self.nursery)
        self.marks = {way: self.daemon.folder / "marks" / way.replace(" ", "-") for way in WAYS}
        import_busybox(GOOD, [f'CMD ["sh","-c",{json.dumps(SERVE)}]'], self.api)
        self.api.create_network(WORD)
        for number, (way, folder) in enumerate(self.marks.items()):
            folder.mkdir(parents=True)
            self._container(way, 18_700 + number)
        self.compose("up", "-d")
        self.daemon.start(patience=PATIENCE)
        self.daemon.ready()

    def name(self, way: str) -> str:
        return f"{WORD}-{way.replace(' ', '-')}"

    def _container(self, way: str, port: int) -> None:
        if way == "docker-compose":
            service = {
                "image": GOOD,
                "container_name": self.name(way),
                "restart": "unless-stopped",
                "ports": [f"127.0.0.1:{port}:8000"],
                "volumes": [f"{self.marks[way]}:/mark"],
                "networks": ["net"],
            }
            networks = {"net": {"external": True, "name": WORD}}
            text = yaml.safe_dump({"version": "3.8", "services": {"one": service}, "networks": networks})
            (self.daemon.folder / "docker-compose.yml").write_text(text)
            return
        self.create(way, port)
        self.api.start(self.name(way))

    def create(self, way: str, port: int) -> None:
        host = self.api.create_host_config(
            network_mode=WORD,
            restart_policy={"Name": "unless-stopped"},
            binds=[f"{self.marks[way]}:/mark"],
            port_bindings={8000: ("127.0.0.1", port)},
        )
        self.api.create_container(GOOD, name=self.name(way), host_config=host, ports=[8000])

    def compose(self, *words: str) -> None:
        command = ["docker-compose", "-p", WORD, *words]
        subprocess.run(command, cwd=self.daemon.folder, capture_output=True, timeout=120, check=True)

    # ------------------------------------------------------------ the ways

    def round(self, way: str) -> float:
        """Do it once; milliseconds away."""
        folder = self.marks[way]
        until(lambda: (folder / "began").exists(), 30, f"{way}: it runs")
        before = stamp(folder / "began")
        end = "bad-ended" if way == "way back" else "ended"
        plan, wanted = DOING[way](self) or (0, "")
        until(lambda: stamp(folder / "began") > before, 30, f"{way}: it runs again")
        if plan:
            self._ended(plan, wanted)
        return (stamp(folder / "began") - stamp(folder / end)) / 1e6

    def restart(self) -> None:
        self.api.restart(self.name("docker restart"))

    def recreate(self) -> None:
        self.compose("up", "-d", "--force-recreate")

    def remove_and_create(self) -> None:
        name = self.name("remove and create")
        self.api.stop(name)
        self.api.remove_container(name)
        self.create("remove and create", 18_702)
        self.api.start(name)

    def phoenix(self) -> tuple[int, str]:
        return self._ask("phoenix", "current"), "verified"

    def put_back(self) -> tuple[int, str]:
        self.bad += 1  # an image that failed is not tried again: each round needs its own
        ref = f"{WORD}:bad-{self.bad}"
        import_busybox(ref, [f'CMD ["sh","-c",{json.dumps(FAIL)}]', f"LABEL round={self.bad}"], self.api)
        return self._ask("way back", ref), "rolled_back"

    def _ask(self, way: str, image: str) -> int:
        service = self.name(way)
        until(lambda: (self.daemon.service(service) or {}).get("healthy"), 30, f"{service} is healthy")
        return int(self.daemon.command("phoenix", service, image=image)["plan"])

    def _ended(self, plan: int, wanted: str) -> None:
        """Asked only once the service is back: to ask meanwhile takes the processor that it starts on."""

        def end() -> str:
            state = str(self.daemon.client.get("plans", str(plan))["state"])
            return "" if state in ("open", "waiting") else state

        assert until(end, 60, f"plan {plan} has ended") == wanted, self.daemon.said()

    def close(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.compose("down")
        for row in self.api.containers(all=True, filters={"name": WORD}):
            with contextlib.suppress(docker.errors.NotFound):
                self.api.remove_container(row["Id"], force=True)
        self.daemon.close()
        self.nursery.close()
        with contextlib.suppress(docker.errors.APIError):
            self.api.remove_network(WORD)
        for ref in (GOOD, *(f"{WORD}:bad-{number + 1}" for number in range(self.bad))):
            remove_image(ref, self.api)


DOING: dict[str, Callable[[Ways], tuple[int, str] | None]] = {
    "docker restart": Ways.restart,
    "docker-compose": Ways.recreate,
    "remove and create": Ways.remove_and_create,
    "phoenix": Ways.phoenix,
    "way back": Ways.put_back,
}


def stamp(mark: Path) -> int:
    """When it was touched, nanoseconds."""
    return mark.stat().st_mtime_ns


def beside(found: Sequence[float], phoenix: Sequence[float]) -> str:
    """How much longer than a Phoenix of the same round: the median, and its interval by the ranks (sign test)."""
    more = sorted(one - other for one, other in zip(found, phoenix, strict=True))
    aside = max(0, int(len(more) / 2 - 0.98 * len(more) ** 0.5))
    return f"{statistics.median(more):+.0f} ({more[aside]:+.0f} … {more[-1 - aside]:+.0f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    away: dict[str, list[float]] = {way: [] for way in WAYS}
    ways = Ways()
    try:
        for number in range(arguments.rounds + 1):
            first = number % len(WAYS)
            for way in WAYS[first:] + WAYS[:first]:
                time.sleep(PEACE)
                took = ways.round(way)
                if number:  # the first round warms the engine up
                    away[way].append(took)
    finally:
        ways.close()
    base = statistics.median(away["docker restart"])
    print(f"{arguments.rounds} rounds, interleaved; ms without the service")
    print(f"{'':20}{'median':>8}{'p90':>8}{'× docker restart':>20}{'longer than a phoenix':>26}")
    for way, found in away.items():
        tenth = statistics.quantiles(found, n=10)[-1] if len(found) > 1 else found[0]
        more = "" if way == "phoenix" else beside(found, away["phoenix"])
        print(f"{way:20}{statistics.median(found):8.0f}{tenth:8.0f}{statistics.median(found) / base:20.2f}{more:>26}")


if __name__ == "__main__":
    main()
