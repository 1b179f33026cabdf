"""A machine with two cards in some of the seeded worlds: faults, verdicts, a driver that fails, people at work.

`drawn` says what happens to the cards of such a world, from a seed of its own. Every question to the driver, every
reset and every restart is watched as it happens; `wronged` reads the rest out of the journal once all is calm. To:
worlds.py.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from supervisor.facts import Container
from supervisor.lab.gpu import GIB, SimCard, SimVram
from supervisor.lab.house import SimWorld
from tests.sim.gpus import MachineWatcher
from tests.sim.troubles import Service

HOUR, GRID = 3600.0, 15.0
SERVICES: Mapping[str, Mapping[str, Any]] = {
    "box.s0": {"vram": "0:60GiB", "exclusive": ["gpu:0"], "safe": {"env": {"EAGER": "1"}}},
    "box.s1": {"vram": "1:40GiB"},
    "box.s2": {"vram": "0:20GiB"},
}
HELD = {"s0": SimVram({0: 58 * GIB}), "s1": SimVram({1: 38 * GIB}, load=40.0), "s2": SimVram({0: 18 * GIB})}
SWITCHED_ON = {"reset": True, "reboot": True}
BUDGET = 2
"""resets and restarts together within a day (config/watching.py)"""
LAST_WORDS = (79, 119, 120)
"""after these nobody asks the driver any more"""
VETOED = ("GpuDriverMismatch", "GpuDriverQuiet")
STARTS = ("start", "restart", "phoenix", "swap")
WORDS = {"none": "0x0 (None)", "reset": "0x1 (GPU Reset Required)", "reboot": "0x2 (Node Reboot Required)"}
Event = tuple[float, str, tuple[Any, ...]]


def has(seed: int) -> bool:
    """Whether this is such a world: one of twenty, since its cards are read every few seconds."""
    return seed % 20 == 0


def switched_on(seed: int) -> bool:
    """Whether cards may be reset and the machine be restarted in it."""
    return seed % 60 != 20


def drawn(seed: int, services: tuple[Service, ...]) -> list[Event]:
    """What happens to the cards."""
    if not has(seed):
        return []
    chance = random.Random(f"{seed} NVIDIA")
    found: list[Event] = []
    for _ in range(chance.randint(4, 8)):
        at = 300.0 + GRID * chance.randint(0, int((HOUR - 300) / GRID)) + chance.random()
        card, lasts = chance.randrange(2), chance.uniform(20, 1500)
        kinds: list[tuple[str, tuple[Any, ...]]] = [
            ("xid", (chance.choice((13, 31, 31, 43, 45, 48, 94, 95, 109, 119, 79)), card, chance.randint(1, 30))),
            ("xid", (chance.choice((13, 31, 43)), card, 1)),
            ("verdict", (chance.choice(("reset", "reboot")), card, 4 * lasts)),
            ("verdict", (chance.choice(("drain_reset", "reset")), card, lasts)),
            ("card_lost", (card, lasts)),
            ("card_gone", (card, lasts)),
            ("driver", (chance.choice(("hung", "mismatch", "not_loaded")), lasts)),
            ("strip", (chance.choice(services).word,)),
            ("human_start", (chance.choice(services).name,)),
            ("told_verdict", (chance.choice(("none", "reset")), card)),
        ]
        kind, arguments = chance.choice(kinds)
        found.append((at, kind, arguments))
    if chance.random() < 0.5:
        at = 300.0 + chance.uniform(0, HOUR - 300)
        found.append((at, "xid", (chance.choice(LAST_WORDS), chance.randrange(2), chance.randint(1, 12))))
    return found


class CardTroubles:
    """Cards fail, and nobody makes it worse."""

    world: SimWorld
    machine: MachineWatcher | None = None
    switched_on = False
    last_word: float | None = None
    """since when nobody may ask the driver, monotonic"""
    wrongs: list[str]

    def plug_in(self, *, on: bool) -> None:
        """Before the first life: two cards, what the services take of them, and who watches."""
        world = self.world
        world.cards.add(), world.cards.add()
        world.cards.vram |= HELD
        self.machine, self.switched_on, self.wrongs = MachineWatcher(world), on, []
        world.hands.watching.append(self._deed)

    def _deed(self, verb: str, _bus: str) -> None:
        self._may_ask_again()
        if not self.switched_on:
            self.wrongs.append(f"switched off: {verb}")
        done = 1 + len(self.world.hands.resets) + len(self.world.hands.reboots)
        if done > BUDGET:
            self.wrongs.append(f"budget: {done} resets and restarts within a day")

    def _may_ask_again(self) -> None:
        """Whatever silenced everybody is over: was it obeyed?"""
        since, self.last_word = self.last_word, None
        asked = [at for at, _depth in self.world.cards.asked if since is not None and at > since]
        if asked:
            self.wrongs.append(f"left alone: asked at {asked[0]:.1f} s, after the last word at {since:.1f} s")

    # ------------------------------------------------------------ what happens

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self.world.loop.call_later(seconds, what)

    def _card(self, number: int) -> SimCard:
        return self.world.cards.cards[number]

    def _line(self, number: int, text: str) -> None:
        bus = self._card(number).bus_id[4:-2]
        self.world.log.write(f"NVRM: Xid (PCI:{bus}): {text}")

    async def _xid(self, xid: int, number: int, times: int) -> None:
        """A burst of one fault, by a process on the card if there is one."""
        pids = self.world.cards.openers(self._card(number).bus_id)
        who = f"pid={pids[0]}, name=server" if pids else "pid='<unknown>', name=<unknown>"
        for _ in range(times):
            self._line(number, f"{xid}, {who}, it went wrong")
        if xid in LAST_WORDS and self.last_word is None:
            self.last_word = self.world.clock.mono()
        await self.world.run(1.0)

    async def _verdict(self, recovery: str, number: int, seconds: float) -> None:
        """The driver wants something, for a while."""
        card = self._card(number)
        card.recovery = recovery
        self._later(seconds, lambda: setattr(card, "recovery", "none"))

    async def _told_verdict(self, recovery: str, number: int) -> None:
        """The driver's word in the kernel's log."""
        self._line(number, f"154, GPU recovery action changed from 0x0 (None) to {WORDS[recovery]}")
        if recovery == "none":
            self._may_ask_again()
        await self.world.run(1.0)

    async def _card_lost(self, number: int, seconds: float) -> None:
        self._card(number).lose()
        self._later(seconds, self._card(number).heal)

    async def _card_gone(self, number: int, seconds: float) -> None:
        self._card(number).listed = False
        self._later(seconds, self._card(number).heal)

    async def _driver(self, trouble: str, seconds: float) -> None:
        cards = self.world.cards
        cards.trouble = trouble
        cards.library = "590.1" if trouble == "mismatch" else cards.library

        def well() -> None:
            cards.trouble, cards.library = "", cards.driver

        self._later(seconds, well)

    async def _strip(self, word: str) -> None:
        """`systemctl daemon-reload` takes the cards from a container."""
        self.world.cards.strip(word)
        await self.world.run(1.0)

    async def settle_cards(self) -> None:
        """Everything is well again, and a person says so."""
        if self.machine is None:
            return
        self.world.cards.boot()
        self._may_ask_again()
        await self.world.run(1.0)
        if self.world.life is not None:
            await self.world.life.ask("gpu-resume")

    # ------------------------------------------------------------ what must hold

    def wronged(self) -> list[str]:
        """What should not have been done to cards, and for their sake."""
        if self.machine is None:
            return []
        return [*self.machine.found, *self.wrongs[:5], *self._vetoed(), *self._kept_down()]

    def _vetoed(self) -> list[str]:
        """No plan starts anything on a card while a rule says that nothing is to be started there."""
        firing: set[str] = set()
        found = []
        for row in self.world.disk.rows(kinds=("alert.firing", "alert.resolved", "action.planned"), limit=1_000_000):
            if row.kind != "action.planned":
                alert = row.body["alert"]
                if alert["labels"]["alertname"] in VETOED:
                    (firing.add if row.kind == "alert.firing" else firing.discard)(alert["fingerprint"])
            elif firing and row.body["verb"] in STARTS and row.subject in SERVICES:
                found.append(f"veto: plan of {row.body['verb']} for {row.subject} in row {row.seq}")
        return found

    def _kept_down(self) -> list[str]:
        """What was stopped for a card runs again once the card is well; and what runs is not wanted stopped by it."""
        life = self.world.life
        if life is None:
            return []
        return [
            f"kept down: {service.id} is {_status(service.container)}, by {service.wanted.by}"
            for service in life.core.snapshot.services
            if service.wanted.by.startswith("quiesce:") and service.wanted.state == "stopped"
        ]


def _status(box: Container | None) -> str:
    return box.status if box is not None else "gone"
