"""Which services lost their GPU without a word: they hold nothing of it any more, and answer from the CPU. Pure.

From: what was measured of each service, and the journal's space `gpu` (`held:<service>`: that it held memory in this
run of its container, so that a restart of ours does not forget it; `frees:<service>`: that it puts its model away and
takes it again by itself, as Ollama does). To: the series `resurgam_service_gpu_lost`. While the driver does not answer
well, or a card the service uses is in trouble, nobody is said to have lost anything.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from supervisor.facts import Container, Json, Service
from supervisor.gpu.cards import Deck, asks, own, uses
from supervisor.gpu.measured import Held

PREFIX, FREES = "held:", "frees:"
LEAST = 256 << 20
"""bytes on all cards together from which on it counts as having been there"""
A_WHILE = 60.0
"""seconds without any after which having some again says that it frees its memory and takes it again by itself"""


class Losses:
    """Who held memory of a card in this run of its container."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `gpu`."""
        self._held = {key.removeprefix(PREFIX): _run(value) for key, value in kept.items() if key.startswith(PREFIX)}
        self._frees = {key.removeprefix(FREES): None for key in kept if key.startswith(FREES)}
        """services that put their model away by themselves: with none of it they have lost nothing"""
        self._without: dict[str, float] = {}
        """service that held some in this run and holds none -> since when (`now`)"""
        self._puts: dict[str, Json | None] = {}

    def saw(
        self, services: Sequence[Service], held: Sequence[Held], now: float = 0.0, away: Collection[str] = ()
    ) -> None:
        """Take in a reading that named the processes. `now`: its time; `away`: services that we put away."""
        runs = {one.id: _run_of(one.container) for one in services if one.container is not None}
        for service in [known for known in self._held if runs.get(known) != self._held[known]]:
            del self._held[service]
            self._puts[f"{PREFIX}{service}"] = None
            self._without.pop(service, None)
        there = {one.id for one in services}
        for service in [known for known in self._frees if known not in there]:
            del self._frees[service]
            self._puts[f"{FREES}{service}"] = None
        for service, run in runs.items():
            used = 0
            for card in held:
                used += card.services.get(service, 0)
            if used >= LEAST and self._held.get(service) != run:
                self._held[service] = run
                self._puts[f"{PREFIX}{service}"] = {"container": run[0], "started": run[1]}
            self._habit(service, used, now, put_away=service in away)

    def _habit(self, service: str, used: int, now: float, *, put_away: bool) -> None:
        """Whether it frees its memory by itself: one that lost its card has none of it again before it is recreated."""
        if service not in self._held or put_away:
            self._without.pop(service, None)
        elif not used:
            self._without.setdefault(service, now)
        elif used >= LEAST:
            since = self._without.pop(service, now)
            if now - since >= A_WHILE and service not in self._frees:
                self._frees[service] = None
                self._puts[f"{FREES}{service}"] = {"at": now}

    def lost(
        self,
        service: Service,
        held: Sequence[Held],
        deck: Deck,
        now: float,
        *,
        denied: Collection[str] = (),
        away: bool = False,
    ) -> bool:
        """Whether it lost its GPU. `held`: what a driver that is well told, of all processes; `denied`: ids of
        containers whose control group may not open it any more; `away`: it has its model put away."""
        container = service.container
        if container is None or not container.running or any(service.id in card.services for card in held):
            return False
        read = {card.uuid for card in held}
        mine = [card.uuid for card in deck.cards if uses(service, card.uuid, deck)]
        if not mine or any(uuid not in read for uuid in mine):
            return False
        if container.id in denied:
            return asks(service)
        if away or service.id in self._frees or not (service.needs.vram or own(service, deck)):
            return False
        past = now - container.started_at >= service.needs.startup
        return past and self._held.get(service.id) == _run_of(container)

    def take_puts(self) -> dict[str, Json | None]:
        """What the journal must keep since the last call, by key."""
        puts, self._puts = self._puts, {}
        return puts


def _run_of(container: Container) -> tuple[str, float]:
    return container.id, container.started_at


def _run(value: Mapping[str, Any]) -> tuple[str, float]:
    started = value.get("started", 0.0)
    return str(value.get("container", "")), float(started) if isinstance(started, int | float) else 0.0
