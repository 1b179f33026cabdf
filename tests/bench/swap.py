"""How long callers are without an answer while one model takes another's place: our swap beside the usual ways.

Two real model servers (llama.cpp), in containers, exclude each other. Callers ask 20 times a second all the while,
30 % of them for a stream, half of them over kept connections; whoever gets no whole answer has failed. Each way has
containers of its own, made alike; the rounds of all ways are interleaved, and each begins with another way.

- `resurgam swap`: through the gate, with all that it proves (identity, warm-up, benchmark) before it lets callers in
- `docker-compose stop`, then `up -d`: by a published port, the new container is made in that moment
- stop, then start, of containers that were made before: by a published port

python -m tests.bench.swap [--rounds 6]
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.support.daemon import Hands, hands, until
from tests.support.gguf_models import slow
from tests.support.model_image import PORT, binds, command
from tests.support.openloop import LoadThread, Summary
from tests.support.swap_box import Entrant, SwapBox

GATE, COMPOSE, MADE = 18_981, 18_982, 18_983
"""the ports that callers use"""
BEFORE, AFTER = 30, 20
"""whole answers before a swap, and after it"""
TOKENS = 4
"""of an answer: so that one core keeps up"""
WAYS = ("resurgam swap", "docker-compose stop, up", "stop, start (made before)")
PROOF = ("warmup", "bench", "canary")


@dataclass(slots=True)
class Found:
    """What the rounds of one way came to."""

    rounds: list[Summary] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    """seconds from the order to the first answer of the new model"""
    proof: list[float] = field(default_factory=list)
    """seconds for which it was measured while callers waited"""

    def median(self, of: Callable[[Summary], float]) -> float:
        return statistics.median(of(one) for one in self.rounds)


class Box:
    """The three ways, each with a pair of models."""

    def __init__(self, person: Hands, folder: Path) -> None:
        self.person, self.folder = person, folder
        pair = [Entrant(name, slow(folder / f"{name}.gguf", seed=seed)) for seed, name in enumerate(("one", "two"))]
        slot = {"probation": "0s", "criteria": {"tokens": 32, "at-least": 1}}
        self.ours = SwapBox(person, GATE, pair, slot)
        self.pair = pair
        self.holds = dict.fromkeys(WAYS, "one")

    def open(self) -> None:
        self.ours.make()
        self.ours.start()
        services = {one.name: self._service(one) for one in self.pair}
        networks = {"net": {"external": True, "name": self.person.network}}
        text = yaml.safe_dump({"version": "3.8", "services": services, "networks": networks})
        (self.folder / "docker-compose.yml").write_text(text)
        self.compose("up", "-d", "one")
        for one in self.pair:
            self._make(one)
        self.person.api.start(self._name("one"))

    def close(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.compose("down")
        self.ours.close()

    def _service(self, one: Entrant) -> dict[str, object]:
        return {
            "image": self.ours.image,
            "command": command(one.file, one.name),
            "volumes": binds(self.folder),
            "ports": [f"127.0.0.1:{COMPOSE}:{PORT}"],
            "networks": ["net"],
            "stop_grace_period": "10s",
        }

    def _make(self, one: Entrant) -> None:
        published = {PORT: ("127.0.0.1", MADE)}
        api, network = self.person.api, self.person.network
        host = api.create_host_config(network_mode=network, binds=binds(self.folder), port_bindings=published)
        words, name = command(one.file, one.name), self._name(one.name)
        api.create_container(self.ours.image, words, name=name, host_config=host, ports=[PORT])

    def _name(self, model: str) -> str:
        return f"{self.person.prefix}-made-{model}"

    def compose(self, *words: str) -> None:
        asked = ["docker-compose", "-p", f"{self.person.prefix}-compose", *words]
        subprocess.run(asked, cwd=self.folder, capture_output=True, timeout=120, check=True)

    # ------------------------------------------------------------ the ways

    def swap(self, way: str, found: Found) -> None:
        """Once, under load."""
        leaves = self.holds[way]
        comes = "two" if leaves == "one" else "one"
        port = {WAYS[0]: GATE, WAYS[1]: COMPOSE, WAYS[2]: MADE}[way]
        with LoadThread("127.0.0.1", port, tokens=TOKENS, within=30.0) as load:
            until(lambda: load.ok(leaves) >= BEFORE, 60, f"{way}: {leaves} answers")
            began = time.monotonic()
            proof = DOING[way](self, leaves, comes)
            until(lambda: load.ok(comes) >= AFTER, 60, f"{way}: {comes} answers")
        first = min(one.first for one in load.answers if one.model == comes)
        found.rounds.append(load.summary(began, first))
        found.first.append(first - began)
        found.proof.append(proof)
        self.holds[way] = comes
        if way == WAYS[1]:
            self.compose("rm", "-f", leaves)

    def gated(self, _leaves: str, comes: str) -> float:
        row = self.ours.ended(self.ours.ask(to=comes))
        assert row["kind"] == "action.verified", json.dumps(row)
        took = 0.0
        for step in row["body"]["steps"]:
            took += step["seconds"] if step["step"] in PROOF else 0.0
        return took

    def composed(self, leaves: str, comes: str) -> float:
        self.compose("stop", leaves)
        self.compose("up", "-d", comes)
        return 0.0

    def started(self, leaves: str, comes: str) -> float:
        self.person.api.stop(self._name(leaves))
        self.person.api.start(self._name(comes))
        return 0.0


DOING: dict[str, Callable[[Box, str, str], float]] = {
    WAYS[0]: Box.gated,
    WAYS[1]: Box.composed,
    WAYS[2]: Box.started,
}


def show(found: dict[str, Found], rounds: int) -> None:
    """The table."""
    base = found[WAYS[2]].median(lambda one: one.outage)
    print(f"{rounds} rounds, interleaved; 20 requests a second; ms, medians")
    heads = ("without an answer", "worst", "× made before", "order to new", "p99 meanwhile", "failed", "cut", "proof")
    print(f"{'':28}" + "".join(f"{head:>19}" for head in heads))
    for way, one in found.items():
        outage = one.median(lambda each: each.outage)
        failed, cut, sent = (_total(one.rounds, each) for each in (_failed, _cut, _sent))
        cells = (
            f"{outage * 1e3:.0f}",
            f"{max(each.outage for each in one.rounds) * 1e3:.0f}",
            f"{outage / base:.2f}",
            f"{statistics.median(one.first) * 1e3:.0f}",
            f"{one.median(lambda each: each.during[1]) * 1e3:.0f}",
            f"{failed} of {sent}",
            f"{cut}",
            f"{statistics.median(one.proof) * 1e3:.0f}",
        )
        print(f"{way:28}" + "".join(f"{cell:>19}" for cell in cells))


def _total(rounds: Sequence[Summary], of: Callable[[Summary], int]) -> int:
    total = 0
    for one in rounds:
        total += of(one)
    return total


def _failed(one: Summary) -> int:
    return one.failed


def _cut(one: Summary) -> int:
    return one.cut


def _sent(one: Summary) -> int:
    return one.sent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    rounds: int = parser.parse_args().rounds
    found = {way: Found() for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="rsgr-bench-") as folder, hands("bw") as person:
        box = Box(person, Path(folder))
        try:
            box.open()
            for number in range(rounds):
                first = number % len(WAYS)
                for way in WAYS[first:] + WAYS[:first]:
                    box.swap(way, found[way])
        finally:
            box.close()
    show(found, rounds)


if __name__ == "__main__":
    main()
