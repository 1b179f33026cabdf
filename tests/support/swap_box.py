"""A slot on a real engine: a daemon of its own, the gate, and real llama.cpp servers in containers, one per model.

`SwapBox` makes the containers as a person would (`add`: made, and started if it is the one that serves), writes the
slot's settings, starts the daemon, asks for swaps and looks from outside at what became of them. Everything made has
the prefix of its `Hands` and goes with it.
"""

import contextlib
import json
import os
import socket
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.daemon import ENDS, Daemon, Hands, Nursery, until
from tests.support.killable import VIEW
from tests.support.model_image import PORT, binds, command, model_image
from tests.support.openloop import LoadThread

SLOT = "oracle"
PLENTY = {"service": ["1000 in 1h"], "host": ["1000 in 1h"]}
POLICY = "unless-stopped"
LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Entrant:
    """One model. `options`: of its server (llama.py); `entry`: its entry under the slot's `models`, beyond the
    address; `service`: beyond `enable`."""

    name: str
    file: Path
    options: Mapping[str, str | int] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)
    service: Mapping[str, Any] = field(default_factory=dict)
    memory: int = 0
    """bytes its container may use; 0 for any"""


class SwapBox:
    """A slot, its models, and the daemon that looks after them. The first entrant holds the slot. `word`: of several
    boxes of one person, each sees its own containers only; their daemons are the nursery's."""

    def __init__(
        self,
        person: Hands,
        port: int,
        entrants: Sequence[Entrant],
        slot: Mapping[str, Any],
        *,
        word: str = "",
        nursery: Nursery | None = None,
    ) -> None:
        self.person, self.port, self.word = person, port, word
        self.prefix = f"{person.prefix}-{word}" if word else person.prefix
        self.first, self.entrants = entrants[0].name, {one.name: one for one in entrants}
        self.image = f"{person.prefix}/llama:1"
        model_image(self.image, person.api)
        self.exclusive = f"{self.prefix}:card"
        models = {one.name: {"service": self.box(one.name), "url": f"http://:{PORT}", **one.entry} for one in entrants}
        services = {
            self.box(one.name): {"enable": True, "startup": "60s", "exclusive": [self.exclusive], **one.service}
            for one in entrants
        }
        self.settings: dict[str, Any] = {
            "host": self.prefix,
            "consent": "listed",
            "rules": [],
            "budget": PLENTY,
            "brake": "1000 in 1h",
            "services": services,
            "slots": {SLOT: {"listen": f"127.0.0.1:{port}", "models": models, **slot}},
        }
        self.daemon = Daemon(self.settings, nursery)

    def box(self, model: str) -> str:
        """The container of a model, which is its service, too."""
        return f"{self.prefix}-{model}"

    def make(self) -> None:
        """Make every container; the first one is started, and answers."""
        for one in self.entrants.values():
            self.create(one)
        self.person.api.start(self.box(self.first))
        until(lambda: self.answers(self.first), LIMIT, lambda: f"{self.first} answers: {self.log(self.first)}")

    def create(self, one: Entrant) -> None:
        """A container of this model, not started."""
        host = self.person.api.create_host_config(
            network_mode=self.person.network,
            restart_policy={"Name": POLICY},
            binds=binds(one.file.parent),
            **({"mem_limit": one.memory, "memswap_limit": one.memory} if one.memory else {}),
        )
        self.person.api.create_container(
            self.image,
            command(one.file, one.name, **one.options),
            name=self.box(one.name),
            host_config=host,
            labels={VIEW: self.word},
            ports=[PORT],
            stop_timeout=2,
        )

    def start(self, point: str = "") -> None:
        """Start the daemon; returns once its gate answers for the first model. `point`: where it is to die."""
        if self.word:
            self.daemon.start(point, counted=True, view=self.word)
        else:
            self.daemon.start()
        self.daemon.ready()
        until(lambda: self.asked() == self.first, LIMIT, lambda: f"the gate is open: {self.said()}")

    def start_again(self) -> None:
        """Start the daemon after one that died; returns once it is past recovering."""
        self.daemon.start(view=self.word)
        self.daemon.ready()

    def close(self) -> None:
        self.daemon.close()
        self.person.remove(f"{self.prefix}-")

    # ------------------------------------------------------------ looking

    def running(self) -> list[str]:
        """The models whose containers run now."""
        looks = {name: self.person.look(self.box(name)) for name in self.entrants}
        return [name for name, look in looks.items() if look is not None and look["State"]["Running"]]

    def policy(self, model: str) -> str:
        """The restart policy of its container."""
        return str((self.person.look(self.box(model)) or {})["HostConfig"]["RestartPolicy"]["Name"])

    def address(self, model: str) -> str:
        """Where its server answers; '' while it has no address."""
        networks = (self.person.look(self.box(model)) or {})["NetworkSettings"]["Networks"]
        found = next((each["IPAddress"] for each in networks.values() if each["IPAddress"]), "")
        return f"http://{found}:{PORT}" if found else ""

    def answers(self, model: str) -> str:
        """Who answers a completion there; '' for nobody."""
        address = self.address(model)
        return _who(address) if address else ""

    def tells(self, model: str, prompt: str, tokens: int = 64) -> tuple[str, float]:
        """What it answers at temperature 0, and its tokens a second."""
        told = _complete(self.address(model), {"prompt": prompt, "max_tokens": tokens, "temperature": 0})
        return str(told["choices"][0]["text"]), float(told["timings"]["predicted_per_second"])

    def asked(self) -> str:
        """Who answers at the gate, asked once; '' for nobody."""
        return _who(f"http://127.0.0.1:{self.port}")

    def log(self, model: str) -> str:
        """The end of what a model's container said."""
        return self.person.api.logs(self.box(model), tail=20).decode("utf-8", "replace")

    def slot(self) -> dict[str, Any]:
        """The slot of the status document."""
        found = (self.daemon.status() or {}).get("slots") or ()
        return next((dict(each) for each in found if each.get("slot", each.get("name")) == SLOT), {})

    def said(self) -> str:
        """What the daemon has to say, for whoever reads a failure."""
        if self.daemon.status() is None:
            return self.daemon.said()
        told = [(row["kind"], row["body"]) for row in self.daemon.rows()[-40:]]
        return "\n  ".join(f"{kind} {body.get('step', '')}: {str(body.get('text', ''))[:300]}" for kind, body in told)

    def leftovers(self) -> list[str]:
        """Containers of this box that no entrant has."""
        names = {self.box(name) for name in self.entrants}
        return [name for name in self.person.names(f"{self.prefix}-") if name not in names]

    # ------------------------------------------------------------ asking

    def ask(self, verb: str = "swap", **params: str) -> int:
        """Give the order; the plan's number."""
        answer = self.daemon.command(verb, SLOT, **params)
        assert answer.get("plan"), answer
        return int(answer["plan"])

    def ended(self, plan: int, limit: float = LIMIT) -> dict[str, Any]:
        """Wait for the end of a plan; its last row."""

        def look() -> dict[str, Any] | None:
            rows = self.daemon.rows("action")
            ends = [row for row in rows if row["kind"] in ENDS and row["body"].get("plan") == plan]
            return ends[-1] if ends else None

        found: dict[str, Any] = until(look, limit, lambda: f"plan {plan} has ended: {self.said()}")
        return found

    def load(self, rate: float = 20.0) -> LoadThread:
        """Callers at the gate: so many a second, 30 % of them stream, half of them keep their connection."""
        return LoadThread("127.0.0.1", self.port, rate)


def gate_port() -> int:
    """A port on loopback that nobody has: below those that the kernel gives to whoever asks, and another one for each
    worker of a test run."""
    first = 18_000 + os.getpid() % 80 * 10
    for port in range(first, first + 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _complete(address: str, asked: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(asked).encode()
    request = urllib.request.Request(f"{address}/v1/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def _who(address: str) -> str:
    try:
        return str(_complete(address, {"prompt": "Who?", "max_tokens": 4}).get("model", ""))
    except OSError:
        return ""
