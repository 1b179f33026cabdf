"""A Phoenix on a real engine whose socket breaks: at each write once before it arrives, once after its effect, once
refused, once never answered; and the socket is gone for a while in the middle. However it ends, one container serves
under the canonical name and nothing is left over that is not said.
"""

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from supervisor.services import is_temp
from tests.support.daemon import ENDS, OURS, Daemon, Hands, Nursery, hands, until
from tests.support.proxy import CUT, DELAY, HOLD, LOSE, REFUSE, Break, ChaosProxy, Proxies

pytestmark = pytest.mark.real

AT_ONCE = 12
"""services that are recreated side by side"""
PATIENCE = {
    "supervisor.actions.probation:SETTLE": 1.0,
    "supervisor.incidents.world:SETTLE": 0.5,
    "supervisor.engines.docker.engine:CREATE": 6.0,
    "supervisor.engines.docker.engine:START": 6.0,
    "supervisor.engines.docker.engine:WRITE": 4.0,
    "supervisor.engines.docker.engine:REMOVE": 6.0,
    "supervisor.engines.docker.engine:STOP_MARGIN": 5.0,
}
"""seconds, instead of many: an answer that never comes is waited for in full"""
LIMIT = 40.0
AWAY = 5.0
"""seconds for which the socket is gone"""
LATE = 1.5
"""seconds by which a request may be late"""
_ONE = "^POST /v[^/]+/containers/[^/]+/"
WRITES = {
    "create": ("^POST /v[^/]+/containers/create", 1),
    "stop": (_ONE + "stop", 1),
    "hold": (_ONE + "update", 1),
    "park": (_ONE + "rename", 1),
    "adopt": (_ONE + "rename", 2),
    "start": (_ONE + "start", 1),
    "spare": ("^POST /v[^/]+/containers/create", 2),
    "clear": ("^DELETE /v[^/]+/containers/", 1),
}
"""every write of a Phoenix that goes well: (its first line, the how many-th of these)"""


@dataclass(frozen=True, slots=True)
class Case:
    """What goes wrong with which write; `away`: and then the socket is gone for a while."""

    write: str
    kind: str
    status: int = 0
    away: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """What the cases share."""

    hands: Hands
    nursery: Nursery
    proxies: Proxies


class Play:
    """One service, its daemon, and the proxy between that daemon and the engine."""

    def __init__(self, stage: Stage, word: str) -> None:
        self.hands, self.proxies = stage.hands, stage.proxies
        self.proxy: ChaosProxy = stage.proxies.make(word)
        self.service, self.name = f"{self.hands.prefix}.{word}", f"{self.hands.prefix}-{word}"
        settings = {
            "host": word,
            "consent": "listed",
            "services": {self.service: OURS},
            "rules": [],
            "docker": {"endpoint": f"unix://{self.proxy.path}"},
        }
        self.daemon = Daemon(settings, stage.nursery)
        self.hands.up(word, f"{self.hands.prefix}/good:1")
        self.old = (self.hands.look(self.name) or {})["Id"]
        self.daemon.start(patience=PATIENCE, view=word)
        self.daemon.ready(60)
        until(lambda: (self.daemon.service(self.service) or {}).get("healthy"), 30, f"{self.service} is healthy")

    def close(self) -> None:
        self.daemon.close()
        self.hands.remove(self.name)

    def phoenix(self) -> str:
        """Ask for one and wait for its end; how it ended: `verified`, `rolled_back` …"""
        answer = self.daemon.command("phoenix", self.service, image="current", within="20s")
        plan = answer["plan"]
        assert plan, answer

        def ended() -> str:
            rows = [row for row in self.daemon.rows("action", self.service) if row["kind"] in ENDS]
            return next((str(row["kind"]) for row in rows if row["body"].get("plan") == plan), "")

        try:
            kind: str = until(ended, LIMIT, f"the end of plan {plan}")
        except AssertionError as err:
            raise AssertionError(f"{err}\n  {self.story()}") from err
        return kind.removeprefix("action.")

    def complaint(self, ended: str) -> str:
        """What is not as it should be, seen from outside; '' if all is well."""
        found = self.hands.look(self.name)
        if found is None:
            return "nothing has the canonical name"
        state = found["State"]
        if not state["Running"] or state["Restarting"] or not self.hands.answers(self.name):
            return f"it does not serve: {state}"
        if found["HostConfig"]["RestartPolicy"]["Name"] != "unless-stopped":
            return f"its restart policy is {found['HostConfig']['RestartPolicy']}"
        if (found["Id"] == self.old) is (ended == "verified"):
            return f"{ended}, but {found['Id'][:12]} serves, and the old one was {self.old[:12]}"
        return self._leftovers()

    def _leftovers(self) -> str:
        there = [name for name in self.hands.names(self.name) if name == self.name or name.startswith(f"{self.name}.")]
        ends = [row for row in self.daemon.rows("action", self.service) if row["kind"] in ENDS]
        ends = [row for row in ends if row["body"]["verb"] == "phoenix"]  # a protect follows it, and leaves nothing
        said = set(ends[-1]["body"]["left"]) if ends else set()
        loose = [name for name in there if name != self.name and name not in said]
        if loose:
            return f"left over, and nowhere said: {loose} (said: {sorted(said)})"
        for name in filter(is_temp, there):
            one = self.hands.look(name) or {}
            if one and (one["State"]["Running"] or one["HostConfig"]["RestartPolicy"]["Name"] != "no"):
                return f"{name} runs, or would at the next boot"
        status = self.daemon.status()
        return "the daemon does not answer" if status is None else f"open: {status['plans']}" if status["plans"] else ""

    def settled(self, ended: str) -> str:
        """Wait until all is well; '' then, else the last complaint with the story."""
        complaint, end = "not looked at", time.monotonic() + 10
        while complaint and time.monotonic() < end:
            complaint = self.complaint(ended)
            if complaint:
                time.sleep(0.2)
        return f"{ended}: {complaint}\n  {self.story()}" if complaint else ""

    def story(self) -> str:
        """What the daemon has to say about it, for whoever reads a failure."""
        if self.daemon.status() is None:
            return self.daemon.said()
        rows = [(row["kind"], row["body"].get("step", ""), row["body"].get("text", "")) for row in self.daemon.rows()]
        return "\n  ".join(map(str, [*rows[-25:], *self.proxy.requests[-12:]]))


AFTER = ("spare", "clear")
"""writes after the commit: nothing that goes wrong with them can change the outcome"""
CASES = {
    f"{write}: {what}": Case(write, kind, status)
    for write in WRITES
    for what, (kind, status) in (
        ("cut", (CUT, 0)),
        ("answer lost", (LOSE, 0)),
        ("no answer", (HOLD, 0)),
        ("refused", (REFUSE, 500)),
    )
} | {
    "start: a conflict": Case("start", REFUSE, 409),
    "stop: late": Case("stop", DELAY),
    "adopt: late": Case("adopt", DELAY),
    "stop: the socket is gone": Case("stop", LOSE, away=True),
    "start: the socket is gone": Case("start", LOSE, away=True),
}

if not os.environ.get("RESURGAM_SOAK"):  # of each kind of fault a third, and both times that the socket is gone
    chance = random.Random(os.environ.get("RESURGAM_KILL_SEED", "4"))
    kinds = {kind: [name for name, case in CASES.items() if case.kind == kind] for kind in (CUT, LOSE, HOLD, REFUSE)}
    taken = {name for names in kinds.values() for name in chance.sample(names, -(-len(names) // 3))}
    CASES = {name: case for name, case in CASES.items() if case.away or case.kind == DELAY or name in taken}


def broken_once(stage: Stage, number: int, case: Case) -> tuple[str, str]:
    """One case: (how the Phoenix ended, what was wrong afterwards or '' for nothing)."""
    play = Play(stage, f"w{number:02}")
    try:
        line, nth = WRITES[case.write]
        gone = (lambda: stage.proxies.soon(play.proxy, AWAY)) if case.away else None
        fault = Break(case.kind, line, nth, case.status, seconds=LATE, then=gone)
        play.proxy.breaks.append(fault)
        ended = play.phoenix()
        if not fault.done:
            return ended, f"{case.write} was not reached\n  {play.story()}"
        if case.away and not (play.daemon.rows("daemon.engine_lost") and play.daemon.rows("daemon.engine_back")):
            return ended, f"nobody said that the engine was gone\n  {play.story()}"
        return ended, play.settled(ended)
    finally:
        play.close()


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, "Future[tuple[str, str]]"]]:
    """All cases under way, side by side; each test waits for its own."""
    nursery, proxies = Nursery(), Proxies("/var/run/docker.sock")
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        with hands("c") as made:
            stage = Stage(made, nursery, proxies)
            slow_first = sorted(CASES.items(), key=lambda item: not (item[1].away or item[1].kind == HOLD))
            yield {
                name: pool.submit(broken_once, stage, number, case) for number, (name, case) in enumerate(slow_first)
            }
            pool.shutdown(cancel_futures=True)
    finally:
        pool.shutdown(cancel_futures=True)
        nursery.close()
        proxies.close()


@pytest.mark.parametrize("name", CASES)
def test_a_phoenix_whose_socket_breaks(outcomes: dict[str, "Future[tuple[str, str]]"], name: str) -> None:
    case = CASES[name]
    ended, complaint = outcomes[name].result(300)
    assert not complaint, f"{ended}: {complaint}"
    if case.write in AFTER or case.kind in (LOSE, DELAY):
        assert ended == "verified"  # the effect is there, and is found by looking
    elif case.write == "create":
        assert ended in ("verified", "failed", "ended_early")  # nothing was touched
    else:
        assert ended in ("verified", "rolled_back")
