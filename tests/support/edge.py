"""The bus edge as a process that can be killed: everything that tells people, over a real journal, and a stand-in core.

The stand-in core writes so many public rows a second (and some private ones), lets every command pass, and writes the
row of a digest when the pump hands one in. `Edge` starts and kills such processes over one state folder.
"""

import asyncio
import multiprocessing
import multiprocessing.process
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from supervisor.bus.telling import Telling
from supervisor.clock import SystemClock
from supervisor.config import Settings
from supervisor.config.yaml import Document, validate
from supervisor.facts import Command, Decision, Fact, Gathered, Intent, Json
from supervisor.journal import Journal, JournalThread, Row
from supervisor.verdicts import yes
from tests.support.bus import HOST, snapshot

USER = "logger"
SUBJECTS = 2500
"""things that events are about: with fewer, each alone would come too fast to be told one by one"""
TICK = 0.05


class Core:
    """Commits rows one turn after the other, as the real one does, and knocks with them."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = SystemClock()
        self.journal = Journal.open(state_dir / "journal.db", self.clock)
        self.thread = JournalThread(self.journal)
        self.telling: Telling
        self.piles: list[Gathered] = []
        self._known: dict[str, str] = {}
        self._turn = asyncio.Lock()

    def submit(self, fact: Fact) -> None:
        if isinstance(fact, Gathered):
            self.piles.append(fact)

    async def ask(self, fact: Fact) -> Decision:
        assert isinstance(fact, Command)
        intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        verdict = yes() if fact.refused is None else fact.refused
        body = {"principal": fact.principal, "id": fact.id, "verb": fact.verb, "reason": verdict.reason.value}
        await self.write([("daemon.command", fact.principal, body)])
        return Decision(self.clock.wall(), intent, verdict)

    async def write(self, wanted: list[tuple[str, str, Json]]) -> None:
        async with self._turn:
            self.telling.publish(await self.thread.run(self._commit, wanted))

    def _commit(self, wanted: list[tuple[str, str, Json]]) -> list[Row]:
        batch = self.journal.batch()
        for kind, subject, body in wanted:
            batch.row(kind, subject, body, self.clock.wall(), public=kind != "decision")
        self.journal.commit(batch)
        return batch.rows

    async def work(self, rate: float) -> None:
        loop = asyncio.get_running_loop()
        began, made = loop.time(), 0
        while True:
            rows: list[tuple[str, str, Json]] = []
            piles, self.piles = self.piles, []
            for fact in piles:
                if self._known.get(fact.what) != fact.pile:
                    self._known[fact.what] = fact.pile
                    rows.append((f"daemon.{fact.what}", "daemon", {**fact.body, "pile": fact.pile}))
            while made < (loop.time() - began) * rate:
                made += 1
                number = self.journal.last_seq + len(rows)
                kind = "drift.tag_moved" if made % 20 == 0 else "container.died"
                rows.append((kind, f"svc-{number % SUBJECTS}", {"exit_code": 139, "log": ["ä" * 50] * 4}))
                if made % 7 == 0:
                    rows.append(("decision", "daemon", {"text": "private rows have numbers, too"}))
            if rows:
                await self.write(rows)
            await asyncio.sleep(TICK)


def settings(state_dir: str, url: str, flood: Json | None = None, **mqtt: Any) -> Settings:
    """What the edge runs with."""
    said = {
        "host": HOST,
        "state_dir": state_dir,
        "mqtt": {"url": url, "homeassistant": {"enable": False}, "flood": flood or {}, **mqtt},
        "commands": {"principals": {USER: ["replay"]}},
    }
    return validate(Settings, Document("resurgam.yaml", said))


async def live(given: Json) -> None:
    """One life of it, until it is killed."""
    core = Core(Path(given["state_dir"]))
    made = settings(given["state_dir"], given["url"], given.get("flood"))
    core.telling = Telling(made, core.thread, core.clock, core.submit, core.ask)
    tasks = []
    core.telling.open(lambda _name, body: tasks.append(asyncio.create_task(body())))
    core.telling.show(snapshot(epoch=core.journal.epoch))
    await core.work(given["rate"])


def begin(given: Json) -> None:
    """The process."""
    errors = os.open(Path(given["state_dir"]) / "edge.stderr", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(errors, 2)
    asyncio.run(live(given))


class Edge:
    """Such a process, as often as it is started."""

    _context = multiprocessing.get_context("forkserver")
    """one process has imported everything and forks the others, so that they are there at once"""

    def __init__(self, state_dir: Path, url: str, flood: Json | None = None) -> None:
        self.state_dir, self._given = state_dir, {"state_dir": str(state_dir), "url": url, "flood": flood}
        self._process: multiprocessing.process.BaseProcess | None = None
        state_dir.mkdir(parents=True, exist_ok=True)

    @property
    def errors(self) -> str:
        """What it had to say on stderr."""
        return (self.state_dir / "edge.stderr").read_text()

    async def start(self, rate: float) -> None:
        """A new life, in which it writes so many events a second."""
        self._context.set_forkserver_preload(["tests.support.edge"])
        self._process = self._context.Process(target=begin, args=({**self._given, "rate": rate},), daemon=True)
        await asyncio.to_thread(self._process.start)

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.join)

    def signal(self, number: int) -> None:
        """SIGSTOP, SIGCONT …"""
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def last(self) -> int:
        """The newest public row, read beside the process; 0 while there is none."""
        try:
            with closing(sqlite3.connect(f"file:{self.state_dir / 'journal.db'}?mode=ro", uri=True)) as db:
                return int(db.execute("SELECT max(seq) FROM rows WHERE public").fetchone()[0] or 0)
        except sqlite3.OperationalError:
            return 0

    def journal(self) -> Journal:
        """Its journal, once it is dead."""
        return Journal.open(self.state_dir / "journal.db", SystemClock())
