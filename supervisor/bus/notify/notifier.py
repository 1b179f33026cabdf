"""The loop of one notifier: what the journal has for it, when it is due, and what became of it.

In: a knock when rows were committed (the rows are read from the journal), and the newest snapshot. Out: messages
through its sender. It keeps its own place in the journal, so nothing is lost or told twice over a restart; it waits
for nobody, and a receiver that is down holds up its own messages only. What fires and what is due is decided in
groups.py and watch.py; this file reads, asks them, sends and remembers.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence

from supervisor.bus.backoff import FullJitter
from supervisor.bus.messages import is_alert, severity
from supervisor.bus.notify import place as places
from supervisor.bus.notify.groups import MOST, Due, Groups, Terms
from supervisor.bus.notify.message import MOST_ALERTS, Item, Message
from supervisor.bus.notify.sending import CEILING, FLOOR, NotifierState, Sender, SendFailed, SendRefused
from supervisor.bus.notify.watch import OVER, PATIENCE, Fate, Watch, escalate, incident_of, taken_on, unheard
from supervisor.clock import Clock
from supervisor.config.settings import NotifySettings
from supervisor.errors import JournalError
from supervisor.facts import Snapshot
from supervisor.journal import JournalThread, Row
from supervisor.units import Matcher, plain

KINDS = ("alert.firing", "alert.resolved", "action.", "model.stand_in", "model.handed_back", "model.probation_over")
"""beginnings of the kinds that people are told; how a swap ended says its plan"""
CHUNK = 64
SINGLES = 256
"""rows that wait by themselves; with more they stay in the journal until there is room"""
LOOK = 2.0
"""seconds between two looks at what became of critical alerts over MQTT"""
LONGEST = 60.0
"""seconds after which the time is looked at anyway: a clock may have been set"""


class Notifier:
    """Tells through one sender. `knock` and `show` may be called at any time; `run` until `close`."""

    def __init__(
        self,
        number: int,
        settings: NotifySettings,
        thread: JournalThread,
        clock: Clock,
        sender: Sender,
        before: Sequence["Notifier"] = (),
        *,
        bus: bool = False,
        trouble: str = "",
    ) -> None:
        """`number` is its place in `notify:`, its name where it has none; `before` are the notifiers that come before
        it in the list, and `bus` is whether anything is told over MQTT: both count for `when: unheard` only.
        `trouble`: what is known to be wrong before the first message."""
        self._name = settings.name or str(number)
        self._key, self._settings, self._thread, self._clock = f"notify/{self._name}", settings, thread, clock
        self._sender, self._before, self._bus = sender, tuple(before), bus
        grouped, now = settings.group_by is not None, (0.0, 0.0)
        wait, interval = (settings.group_wait, settings.group_interval) if grouped else now
        self._groups = Groups(Terms(settings.group_by, wait, interval, settings.repeat))
        self._watch = Watch()
        self._patience = PATIENCE * (1 + len([one for one in before if one._settings.when == "unheard"]))
        self._watches = settings.when == "unheard" or bool(settings.escalate)
        self._remembers = grouped or self._watches or bool(settings.repeat)
        self._singles: OrderedDict[int, Row] = OrderedDict()
        self._gave_up: OrderedDict[int, None] = OrderedDict()
        self._seq = self._saved = 0
        self._dirty = self._ready = False
        self._behind = True
        """there may be rows that were not read"""
        self._snapshot: Snapshot | None = None
        self._matchers: tuple[tuple[Matcher, ...], ...] = ()
        self._jitter = FullJitter(clock, FLOOR, CEILING)
        self._failures, self._again = 0, 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sent = self._lost = 0
        self._text = trouble

    @property
    def state(self) -> NotifierState:
        """For `status`: what it did and what is wrong."""
        text = self._text
        if not text and self._groups.forgotten:
            text = f"{self._groups.forgotten} alerts were too many at once; their ends are not told"
        return NotifierState(self._key, self._sent, self._lost, text)

    def knock(self) -> None:
        """Rows were committed."""
        self._wake.set()

    def show(self, snapshot: Snapshot) -> None:
        """How things stand now: which silences hold, and which incidents somebody took on."""
        before, self._snapshot = self._snapshot, snapshot
        if before is None or before.silences != snapshot.silences:
            self._matchers = tuple(_matchers(one.matchers) for one in snapshot.silences)
            self._wake.set()
        elif self._watches and before.incidents != snapshot.incidents:
            self._wake.set()

    async def run(self) -> None:
        """Send what is new, in order, until cancelled. The first start ever begins with what happens from now on."""
        self._task = asyncio.current_task()
        failures = 0
        try:
            while True:
                try:
                    await self._follow()
                except JournalError as err:
                    self._text = f"notifications wait, because the journal cannot be used: {err}"
                except Exception as err:  # noqa: BLE001 - the edge of this loop: told in `state`, begun again
                    self._text = plain(f"the notifier tripped over {type(err).__name__}", 300)
                failures += 1
                await asyncio.sleep(self._jitter.after(failures))
        finally:
            await self._sender.close()

    async def close(self) -> None:
        """End at once; what is unsent is sent after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def fate(self, item: Item) -> Fate:
        """What became here of an alert that another one asks about; '' where it is none of ours."""
        settings = self._settings
        if settings.escalate or item.severity not in settings.severity:
            return ""
        if not self._ready or item.row.seq > self._seq or item.row.seq in self._singles:
            return "waits"
        if item.row.seq in self._gave_up:
            return "given_up"
        if not self._remembers:
            return "delivered"
        member = self._groups.member(item.fingerprint)
        if self._watch.waits(item.fingerprint) or (member is not None and not member.told):
            return "waits"
        return "delivered" if member is not None else ""

    # ------------------------------------------------------------ the loop

    async def _follow(self) -> None:
        if not self._ready:
            await self._restore()
        while True:
            if self._wake.is_set():
                self._wake.clear()
                self._behind = True
            if self._behind and self._room:
                await self._take_in()
            await self._judge()
            if self._dirty or self._seq >= self._saved + CHUNK:
                await self._save()
            next_at = self._next_at()
            if self._clock.mono() >= self._again and next_at <= self._clock.wall():
                await self._deliver()
            elif not (self._behind and self._room):
                await self._rest(next_at)

    @property
    def _room(self) -> bool:
        """There is room for more that waits; without, it stays in the journal."""
        return len(self._singles) < SINGLES and len(self._watch) < MOST and not self._groups.full

    async def _take_in(self) -> None:
        """Read what is new."""
        rows = await self._thread.run(self._rows_after, self._seq)
        now = self._clock.wall()
        for row in rows:
            self._seq = row.seq
            if severity(row) in self._settings.severity:
                self._feed(row, now)
        self._behind = len(rows) == CHUNK

    def _rows_after(self, seq: int) -> list[Row]:
        return self._thread.journal.rows(after=seq, kinds=KINDS, public=True, limit=CHUNK)

    def _feed(self, row: Row, now: float) -> None:
        if not is_alert(row):
            if not self._watches:
                self._singles[row.seq] = row
            return
        if not self._remembers:
            self._singles[row.seq] = row
            return
        item = Item.of(row)
        if self._watches and (self._settings.when != "unheard" or item.severity == "critical"):
            known = self._groups.member(item.fingerprint)
            if not item.firing or known is None or not known.item.firing:
                self._watch.feed(item)
        if not self._watches or not item.firing:
            self._groups.feed(item, now)
        self._dirty = True

    async def _judge(self) -> None:
        """Tell what was watched for long enough."""
        now = self._clock.wall()
        watched = self._watch.open(now)
        if not watched:
            return
        if self._settings.escalate:
            if self._snapshot is None:
                return
            tell, out = escalate(watched, self._settings.escalate, now, self._snapshot, self._quiet)
        else:
            seqs = [one.item.row.seq for one in watched]
            states = await self._thread.run(self._thread.journal.delivery_of, seqs)
            tell, out = unheard(watched, states, self._fates, now, self._patience, self._bus)
        for item in tell:
            self._groups.feed(item, now)
        gone = {item.fingerprint for item in out}
        longest = OVER + self._settings.escalate
        late = [one.item.row for one in watched if one.item.fingerprint in gone and now - one.since > longest]
        self._lost += len(late)
        self._give_up(late)
        self._watch.leave((*tell, *out))
        self._dirty = self._dirty or bool(tell or out)

    def _fates(self, item: Item) -> list[Fate]:
        return [one.fate(item) for one in self._before]

    def _quiet(self, item: Item) -> bool:
        """A silence holds for it, or (where it is told for want of somebody) somebody took it on."""
        if any(all(matcher.matches(dict(item.labels)) for matcher in one) for one in self._matchers):
            return True
        if not self._settings.escalate or self._snapshot is None:
            return False
        return taken_on(item.fingerprint, self._snapshot)

    def _next_at(self) -> float:
        """When something is due (unix seconds); infinity if only news can make it so."""
        now = self._clock.wall()
        if self._singles:
            return now
        found = self._groups.next_at(now, self._quiet)
        if len(self._watch):
            found = min(found, now + self._next_look(now))
        return found

    def _next_look(self, now: float) -> float:
        """Seconds until the watched ones are to be looked at again; more than none, since they just were."""
        if not self._settings.escalate:
            return LOOK
        first = min(one.since for one in self._watch.open(now)) + self._settings.escalate - now
        return first if first > 0 else LOOK

    async def _rest(self, next_at: float) -> None:
        """Wait for a knock, for what is due next, or for the end of the pause after a failure."""
        seconds = next_at - self._clock.wall()
        pause = self._again - self._clock.mono()
        if pause > 0:
            seconds = max(seconds, pause)
        if math.isinf(seconds):
            await self._wake.wait()
            return
        try:
            await asyncio.wait_for(self._wake.wait(), min(max(seconds, 0.001), LONGEST))
        except TimeoutError:
            return

    # ------------------------------------------------------------ one message

    async def _deliver(self) -> None:
        """Try the message that is due: one that waits by itself, else a group."""
        now = self._clock.wall()
        row = next(iter(self._singles.values()), None)
        due = self._groups.due(now, self._quiet)
        if row is not None and (due is None or row.at <= due.since):
            await self._one(row)
        elif due is not None:
            await self._group(due)

    async def _one(self, row: Row) -> None:
        key = f"{self._epoch}-{row.seq}"
        if is_alert(row):
            item = Item.of(row)
            labels = {"alertname": item.labels.get("alertname", "")}
            message = Message(key, items=(item,), group_labels=labels, causes=self._causes((item,)))
        else:
            message = Message(key, action=row)
        done = await self._try(message, row.at)
        if done is not None:
            self._singles.pop(row.seq)
            if not done:
                self._give_up((row,))
            self._dirty = True

    async def _group(self, due: Due) -> None:
        newest = max(item.row.seq for item in due.items)
        key = f"{self._epoch}-{newest}" + (f"-{due.tellings}" if due.tellings else "")
        items = due.items[:MOST_ALERTS]
        left = len(due.items) - len(items)
        message = Message(key, None, items, due.labels, left, self._causes(items))
        done = await self._try(message, due.since)
        if done is None:
            return
        if done:
            self._groups.told(due, self._clock.wall())
        else:
            self._groups.dropped(due, self._clock.wall())
            self._give_up([item.row for item in due.items if item.firing])
        self._dirty = True

    async def _try(self, message: Message, since: float) -> bool | None:
        """True: it was taken. False: it is given up, refused for good or over a day old. None: later."""
        try:
            trouble = await self._sender.send(message)
        except SendRefused as err:
            self._text = str(err)
        except SendFailed as err:
            self._text = str(err)
            if self._clock.wall() <= since + OVER:
                self._failures += 1
                self._again = self._clock.mono() + self._jitter.after(self._failures)
                return None
        else:
            self._sent += 1
            self._text, self._failures = trouble, 0
            return True
        self._lost += 1
        self._failures = 0
        return False

    def _give_up(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._gave_up[row.seq] = None
        while len(self._gave_up) > places.GAVE_UP:
            self._gave_up.popitem(last=False)

    def _causes(self, items: Sequence[Item]) -> dict[str, str]:
        if self._snapshot is None:
            return {}
        found = {item.fingerprint: incident_of(item.fingerprint, self._snapshot) for item in items}
        return {key: one.cause for key, one in found.items() if one is not None and one.cause}

    # ------------------------------------------------------------ its place

    @property
    def _epoch(self) -> str:
        return self._thread.journal.epoch

    async def _save(self) -> None:
        members, groups = self._groups.kept()
        kept = places.Place(
            self._seq,
            list(self._singles),
            [(one.item.row.seq, one.told, one.news, one.item.escalated) for one in members],
            [(group.key, group.told_at, group.tellings) for group in groups],
            [(one.item.row.seq, one.since) for one in self._watch.open(self._clock.wall())],
            list(self._gave_up),
        )
        await self._thread.run(places.save, self._thread.journal, self._key, kept)
        self._saved, self._dirty = self._seq, False

    async def _restore(self) -> None:
        """Go on where the last life ended."""
        journal = self._thread.journal
        kept = await self._thread.run(places.load, journal, self._key)
        wanted = [*kept.singles, *(seq for seq, *_ in kept.members), *(seq for seq, _ in kept.watched)]
        rows: dict[int, Row] = {}
        for first in range(0, len(wanted), CHUNK):
            rows |= await self._thread.run(places.rows_of, journal, wanted[first : first + CHUNK])
        self._singles = OrderedDict((seq, rows[seq]) for seq in kept.singles if seq in rows)
        for seq, told, news, escalated in kept.members:
            if seq in rows:
                self._groups.restore(Item.of(rows[seq], escalated), told, news)
        for name, told_at, tellings in kept.groups:
            self._groups.restore_group(name, told_at, tellings)
        for seq, since in kept.watched:
            if seq in rows:
                self._watch.restore(Item.of(rows[seq]), since)
        self._gave_up = OrderedDict.fromkeys(kept.gave_up)
        self._seq = self._saved = kept.seq
        self._ready = True


def _matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    return tuple(Matcher.parse(text) for text in texts)
