"""The loop around the decider: wait, take, decide, commit, release.

Facts come in through `submit` and `ask`; the journal's thread makes a turn durable; only then its effects go out, in
order: answers, plans, messages, the snapshot, the watchdog. If the commit fails nothing is released: the same
transaction is tried again, and meanwhile nothing disruptive is admitted.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from supervisor.clock import Clock
from supervisor.core import shown
from supervisor.core.asked import Asked
from supervisor.core.decider import Decider
from supervisor.core.lanes import Lanes
from supervisor.core.tape import Tape
from supervisor.errors import JournalError
from supervisor.facts import Decision, EngineEvent, Fact, Intent, Labels, Plan, Snapshot
from supervisor.journal import Batch, Journal, JournalThread, Row
from supervisor.rules.engine import RuleState
from supervisor.slots.doors import Order
from supervisor.verdicts import Reason, Verdict, no

T = TypeVar("T")

MOST_FACTS = 256
IDLE = 1.0
"""seconds: a quiet core turns so often, which feeds the watchdog"""


class Effects(Protocol):
    """What a turn may set off, once it is durable. No call may block or fail."""

    def start(self, plan: Plan) -> None: ...
    def end(self, plan_id: int, why: Verdict) -> None: ...
    def notice(self, event: EngineEvent) -> None: ...
    def resweep(self, engine: str) -> None: ...
    def drill(self, text: str, until: float) -> None: ...
    def gate(self, order: Order) -> None: ...
    def publish(self, rows: Sequence[Row]) -> None: ...
    def show(self, snapshot: Snapshot) -> None: ...
    def remember(self) -> None: ...
    def prune(self, now: float) -> None: ...
    def alive(self) -> None: ...


class Core:
    """The decider on its loop. One task runs `run`; everything else only submits, asks and reads the snapshot."""

    def __init__(
        self,
        decider: Decider,
        journal: Journal,
        thread: JournalThread,
        effects: Effects,
        clock: Clock,
        idle: float = IDLE,
        tape: Tape | None = None,
    ) -> None:
        """`tape`: where samples older than those in memory are, for explanations."""
        self.decider = decider
        self._tape = tape
        self.clock = clock
        self._journal = journal
        self._thread = thread
        self._effects = effects
        self._lanes = Lanes()
        self._idle = idle
        self._awake = asyncio.Event()
        self._newer = asyncio.Event()
        self._unsaved: Batch | None = None
        self._ending = False
        self.snapshot: Snapshot = decider.snapshot(self._lanes.counts)
        self.turns = 0
        """how many turns were begun; the samples change in turns alone"""
        self.questions = Asked(decider.store, clock, lambda: self.turns, decider.rules.options)

    # ------------------------------------------------------------ what edges call

    def submit(self, fact: Fact) -> None:
        """Hand over a fact. Never blocks."""
        self._lanes.put(fact)
        self._awake.set()

    async def ask(self, fact: Fact) -> Any:
        """Hand over a fact and wait for the answer, which comes after the deciding turn is durable."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self._lanes.put(fact, reply):
            verdict = no(Reason.BUSY, "Too many commands wait already; try again in a moment.")
            return Decision(fact.at, Intent("", "", {}, "", ""), verdict)
        self._awake.set()
        return await reply

    async def next(self, rev: int) -> Snapshot:
        """The first snapshot newer than `rev`."""
        while self.snapshot.rev <= rev:
            self._newer.clear()
            await self._newer.wait()
        return self.snapshot

    async def read(self, fn: Callable[[Journal], T]) -> T:
        """Read the journal, on its own thread."""
        return await self._thread.run(fn, self._journal)

    def metrics(self, now: float) -> Iterable[tuple[Labels, float]]:
        """Every series with its newest value: the same store the rules read."""
        return self.decider.metrics(now)

    async def explain(self, word: str) -> dict[str, Any]:
        """What is known about an alert or a service, and why. Expressions are looked at beside the turns."""
        rules = await shown.reasons(self.decider, self.questions, word, self._tape)
        return self.decider.explain(word) | {"rules": rules}

    def rule_states(self) -> Sequence[tuple[str, RuleState]]:
        """How every rule stands, with its file, in the order of the files."""
        files = {rule.id: file.path for file in self.decider.loaded.rules.files for rule in file.rules}
        return [(files.get(state.rule.id, ""), state) for state in self.decider.rules.states()]

    def stop(self) -> None:
        """Take no further turn after the present one, and answer no further question."""
        self._ending = True
        self.questions.close()
        self._awake.set()

    # ------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Turn until stopped."""
        while not self._ending:
            await self._wait()
            await self.turn()

    async def turn(self) -> None:
        """One turn: timers, facts, decisions, commit, effects."""
        self.turns += 1
        now, mono = self.clock.wall(), self.clock.mono()
        batch = self._unsaved or self._journal.batch()
        self.decider.begin(batch, now, mono)
        for fact, reply in self._lanes.take(MOST_FACTS):
            self.decider.take(fact, reply)
        self.decider.finish()
        for engine in self._lanes.resweep:
            self.decider.effects.append(lambda to, name=engine: to.resweep(name))  # type: ignore[misc]
        self._lanes.resweep.clear()
        if not batch.empty and not await self._commit(batch):
            return
        self._release(batch)

    async def _commit(self, batch: Batch) -> bool:
        try:
            await self._thread.run(self._journal.commit, batch)
        except JournalError as err:
            self._unsaved = batch
            self.decider.journal_failed(str(err))
            # A plan that has begun its irreversible part must be brought to its end: the reserve is for that.
            if err.full:
                await self._thread.run(self._journal.release_reserve)
            self.snapshot = self.decider.snapshot(self._lanes.counts)
            self._effects.show(self.snapshot)
            self._newer.set()
            self._effects.alive()
            return False
        self._unsaved = None
        self.decider.journal_works()
        return True

    def _release(self, batch: Batch) -> None:
        decider = self.decider
        replies, effects = decider.replies, decider.effects
        decider.replies, decider.effects = [], []
        for reply, answer in replies:
            if not reply.done():
                reply.set_result(answer)
        for effect in effects:
            effect(self._effects)
        public = [row for row in batch.rows if row.public]
        if public:
            self._effects.publish(public)
        if decider.stale_snapshot:
            self.snapshot = decider.snapshot(self._lanes.counts)
            self._effects.show(self.snapshot)
            self._newer.set()
        self._effects.alive()

    async def _wait(self) -> None:
        """Until a fact comes or a timer is due, but not longer than the idle time."""
        if len(self._lanes) or self._ending:
            return
        mono = self.clock.mono()
        delay = self._idle
        due = self.decider.due()
        if due is not None:
            delay = min(delay, max(0.0, due - mono))
        self._awake.clear()
        if delay == 0:
            await asyncio.sleep(0)
            return
        timer = asyncio.get_running_loop().call_later(delay, self._awake.set)
        try:
            await self._awake.wait()
        finally:
            timer.cancel()
