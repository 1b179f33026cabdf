"""One verdict for each kill for want of memory, merged from sources that lose, repeat and delay what they tell. Pure.

From: telling.py, with what the engine, the kernel's log, a group's own counter, the machine's counter and a container's
end tell. To: telling.py again, as `Kill`s that it tells people of.

Every source tells of a kill once, so its second word within the window is of a second kill. Words are brought together
by when the kill was, as each source says it, and not by when they arrived: a line of the kernel's log may be read long
after the container ended. Counters are read in intervals: what they tell may have been a while ago. The engine's word
alone is no kill yet where a counter is to confirm it (`Word`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from supervisor.services.oom.kill import (
    COUNTERS,
    DOUBT,
    ENGINE,
    GROUP,
    LOG,
    MACHINE,
    PATIENCE,
    WINDOW,
    Death,
    Evidence,
    Kill,
    Word,
)

LOOKBACK = 20.0
"""seconds: so long ago may have been what a counter shows now, since its readings are up to 15 s apart"""
AFTERMATH = 60.0
"""seconds after the kill of one of its processes in which a container's end is most likely its consequence"""
CLUSTER = 0.5
"""seconds in which the engine repeats itself: a limit that is met is told of more than once per kill"""
SINGLE = 4
"""kills of one container within the window that are told one by one; the others are told together"""
REMEMBERED = 3600.0
"""seconds for which a kill is known again: an engine that was away tells late"""
MOST = 64


class Ooms:
    """All kills of late."""

    def __init__(self) -> None:
        self.kills: list[Kill] = []
        """in the order they became known"""
        self.deaths: list[Death] = []
        self.words: list[Word] = []
        """what the engine said and nobody else did yet"""
        self.heard: Counter[tuple[str, str]] = Counter()
        """(scope, source) -> kills it told of; scope: container | host (the source named none)"""
        self.changed = False
        """something is to be kept anew"""
        self._met: list[Evidence] = []
        """limits that were met, and where nobody saw a kill"""
        self._restored = False

    # ------------------------------------------------------------ what is told

    def take(self, evidence: Evidence, kills: int = 1) -> tuple[Kill, ...]:
        """A source tells of so many kills. The ones it is about, new or known; none where it only repeats itself."""
        self._forget(evidence.mono)
        if kills <= 0:
            return self._spare(evidence)
        found: list[Kill] = []
        for _ in range(min(kills, MOST)):
            kill = self._repeated(evidence)
            if kill is None:
                kill = self._match(evidence) or self._new(evidence)
                self._add(kill, evidence)
                self._confirm(kill)
            if kill not in found:
                found.append(kill)
        if kills > MOST:  # nobody reads so many: the rest goes on the pile
            found[-1].pile = True
            self._add(found[-1], evidence, kills - MOST)
        return tuple(found)

    def hear(self, said: Evidence, before: float, mono: float) -> tuple[Kill, ...]:
        """The engine says so (it came in at `mono`) of a container whose counter of kills stood at `before`: the kill,
        where one is known; none while it waits for the counter."""
        self._forget(said.mono)
        known = self._match(said)
        if known is not None and known.container:
            return self.take(said)
        self.words = [*self.words, Word(said, before, mono, said.mono + DOUBT)][-MOST:]
        self.changed = True
        return ()

    def believe(self, word: Word) -> tuple[Kill, ...]:
        """It was a kill."""
        if all(one is not word for one in self.words):
            return ()  # somebody confirmed it meanwhile
        self.drop(word)
        return self.take(word.said)

    def drop(self, word: Word) -> None:
        """Nothing more is expected of it."""
        self.words = [one for one in self.words if one is not word]
        self.changed = True

    def died(self, death: Death) -> Kill | None:
        """A container's run ended. The kill that did it, if one is known."""
        self._forget(death.mono)
        self.deaths = [*self.deaths, death][-MOST:]
        for word in self._words(death.container) if not death.asked else ():
            if abs(word.said.at - death.at) <= WINDOW and (death.suspect or not word.calm):
                self.believe(word)
        near = [kill for kill in self.kills if _whose(kill, death) and _fits(kill, death)]
        for met in self._met if death.suspect and not near else ():
            if met.container == death.container and abs(met.at - death.at) <= WINDOW:
                near = [*self.take(met)]
        if not near:
            return None
        self._link(max(near, key=lambda kill: (kill.pid == death.pid > 0, -abs(kill.at - death.at))), death)
        return death.kill

    def link(self, kill: Kill) -> Death | None:
        """The end of a container that was known before this kill was, and is its doing; None where there is none."""
        if kill.ended or not kill.container:
            return None
        for death in reversed(self.deaths):
            if death.container == kill.container and death.kill is None and _fits(kill, death):
                self._link(kill, death)
                return death
        return None

    def consequence(self, container: str, since: float, at: float) -> Kill | None:
        """The kill of a process of it in the run that began at `since`, which its end at `at` may have followed."""
        found = [one for one in self.kills if one.container == container and not one.ended and not one.spared]
        return next((one for one in reversed(found) if since <= one.at <= at <= one.at + AFTERMATH), None)

    def blame(self, kill: Kill) -> Death | None:
        """Nobody named the container of this process. The one that ended so at that time, if there is just one."""
        ends = [death for death in self.deaths if death.suspect and abs(death.at - kill.at) <= WINDOW]
        if kill.pid:
            ends = [death for death in ends if death.pid == kill.pid]
        if len(ends) != 1:
            return None
        self._link(kill, ends[0])
        return ends[0]

    # ------------------------------------------------------------ time

    def due(self) -> float | None:
        """The mono at which something is to be told."""
        dues = [kill.due for kill in self.kills if kill.told < kill.kills]
        return min(dues + [word.until for word in self.words], default=None)

    def ripe(self, mono: float) -> tuple[Kill, ...]:
        """What is to be told now."""
        self._forget(mono)
        return tuple(kill for kill in self.kills if kill.told < kill.kills and kill.due <= mono)

    def waiting(self, mono: float) -> tuple[Word, ...]:
        """The engine's words that nobody confirmed yet."""
        self._forget(mono)
        return tuple(self.words)

    def gap(self, seconds: float) -> None:
        """The wall clock was set: what was, was so much later (or earlier)."""
        for kill in self.kills:
            kill.at, kill.last = kill.at + seconds, kill.last + seconds
        for death in self.deaths:
            death.at += seconds
        for word in self.words:
            word.said = replace(word.said, at=word.said.at + seconds)
        self.changed |= bool(self.kills or self.words)

    def restore(self, kills: Iterable[Kill], words: Iterable[Word] = ()) -> None:
        """Kills that an earlier process knew of. What it had not told is due at once; words wait anew for a reading."""
        self.kills, self.words, self._restored = [*kills], [*words], True
        for kill in self.kills:
            kill.mono = -PATIENCE
        for word in self.words:
            word.until = 0.0

    def _forget(self, mono: float) -> None:
        for kill in self.kills if self._restored else ():
            kill.mono = mono - PATIENCE
        for word in self.words if self._restored else ():
            word.said, word.mono, word.until = replace(word.said, mono=mono), mono, mono + DOUBT
        self._restored = False
        known = len(self.kills)
        self.kills = [kill for kill in self.kills if kill.mono > mono - REMEMBERED or kill.told < kill.kills]
        self.changed |= len(self.kills) != known
        while len(self.kills) > MOST:
            self.kills.remove(next((kill for kill in self.kills if kill.told >= kill.kills), self.kills[0]))
        self.deaths = [death for death in self.deaths if death.mono > mono - REMEMBERED]

    # ------------------------------------------------------------ which kill it is

    def _repeated(self, new: Evidence) -> Kill | None:
        """The kill that the kernel's log told of already."""
        for kill in self.kills if new.source == LOG and new.pid else ():
            if new.pid not in kill.pids or abs(kill.at - new.at) > LOOKBACK:
                continue
            if not kill.container and new.container:
                kill.container, kill.nameless = new.container, False
            if new.container in ("", kill.container):
                return kill
        return None

    def _match(self, new: Evidence) -> Kill | None:
        """The kill that another source told of."""
        mine = [kill for kill in self.kills if _about(kill, new) and _near(kill, new)]
        if new.source == LOG and new.container:
            for kill in mine:
                if kill.guessed and kill.pid != new.pid:
                    self._give_back(kill)
        open_to = [kill for kill in mine if (kill.pile or new.source not in kill.seen) and _agree(kill, new)]
        if open_to:
            named = [kill for kill in open_to if kill.container] or open_to
            if new.source in COUNTERS:
                return min(named, key=lambda kill: kill.at)
            return min(named, key=lambda kill: (kill.pile, abs(kill.at - new.at)))
        if new.source == ENGINE:
            return next((kill for kill in mine if ENGINE in kill.seen and abs(kill.at - new.at) <= CLUSTER), None)
        return None

    def _new(self, new: Evidence) -> Kill:
        """A kill that nobody told of; one more of a pile, where there are too many to tell of each."""
        mine = [kill for kill in self.kills if kill.container == new.container]
        recent = [kill for kill in mine if abs(new.at - kill.last) <= WINDOW]
        if len(recent) >= SINGLE:
            pile = recent[-1]
            pile.seen[new.source], pile.pile = pile.kills, True
            return pile
        kill = Kill(new.container, new.at, new.mono, new.at)
        self.kills.append(kill)
        return kill

    def _add(self, kill: Kill, new: Evidence, kills: int = 1) -> None:
        if new.source in kill.seen and not kill.pile:
            return  # the engine said it again
        self.heard[("container" if new.container else "host", new.source)] += kills
        if kill.pile and kill.told >= kill.kills:
            kill.mono = new.mono  # what comes on top of what was told waits anew
        exact = new.source not in COUNTERS and (kill.read or new.source == LOG)
        if exact and not kill.ended and not kill.pile:
            kill.at = new.at
        kill.last = max(kill.last, new.at) if kill.pile else kill.at
        kill.seen[new.source] = kill.seen.get(new.source, 0) + kills
        kill.container = kill.container or new.container
        if new.source == LOG:
            kill.nameless = not new.container
            kill.pids = (*kill.pids, new.pid)[-MOST:]
        if new.pid and (not kill.pid or not kill.pile):
            kill.process, kill.pid = new.process, new.pid
        if new.constraint and (new.source == LOG or not kill.constraint):
            kill.constraint = new.constraint
        kill.limit_of = kill.limit_of or new.limit_of

    def _words(self, container: str) -> tuple[Word, ...]:
        return tuple(word for word in self.words if word.said.container == container)

    def _confirm(self, kill: Kill) -> None:
        """Somebody told of a kill of this container: so did the engine."""
        for word in self._words(kill.container) if kill.container else ():
            if (kill.pile or ENGINE not in kill.seen) and _near(kill, word.said):
                self.drop(word)
                self._add(kill, word.said)

    def _give_back(self, kill: Kill) -> None:
        """The line that was held to be about it was about a process of no container, as its own line shows now."""
        other = Kill("", kill.at, kill.mono, kill.at, {LOG: 1}, kill.process, kill.pid, kill.pids, kill.constraint)
        other.nameless = True
        self.kills.append(other)
        kill.seen.pop(LOG, None)
        kill.nameless = False
        kill.process, kill.pid, kill.pids, kill.constraint, kill.limit_of = "", 0, (), "", ""

    def _spare(self, new: Evidence) -> tuple[Kill, ...]:
        """A limit was met, and nobody saw a kill. If the container ends right now, there was one; else an engine that
        told of it meant no kill."""
        for word in self._words(new.container):
            self.believe(word)
        about = [kill for kill in self.kills if kill.container == new.container and _near(kill, new)]
        ends = [one for one in self.deaths if one.container == new.container and abs(one.at - new.at) <= WINDOW]
        if not about and any(one.suspect for one in ends):
            return self.take(new)
        self._met = [*self._met, new][-MOST:]
        found = tuple(kill for kill in about if LOG not in kill.seen and GROUP not in kill.seen and not kill.ended)
        for kill in found:
            kill.spared = True
        return found

    def _link(self, kill: Kill, death: Death) -> None:
        death.kill = kill
        if not kill.container:
            kill.container, kill.nameless = death.container, kill.nameless and not kill.pid
        kill.ended, kill.code = True, death.code
        kill.spared = kill.spared and not (death.code == 137 and not death.asked)
        kill.main_pid = kill.main_pid or death.pid
        if kill.read:
            kill.at = min(kill.at, death.at)


def _about(kill: Kill, new: Evidence) -> bool:
    """Whether both can be about one container: who names none may mean any, until people were told so."""
    if kill.container == new.container or new.source == MACHINE:
        return True
    if not new.container:
        return new.source == LOG and LOG not in kill.seen
    return not kill.container and not kill.told and (LOG not in kill.seen or new.source != LOG)


def _whose(kill: Kill, death: Death) -> bool:
    """Whether it was a process of this container: by its name, or its first process by its number."""
    if kill.container:
        return kill.container == death.container
    return not kill.told and 0 < kill.pid == death.pid


def _agree(kill: Kill, new: Evidence) -> bool:
    """Whether nothing speaks against both being of one process."""
    return not (kill.pid and new.pid) or kill.pile or kill.pid == new.pid


def _near(kill: Kill, new: Evidence) -> bool:
    """Whether both can be of one time."""
    if kill.pile:
        return abs(new.at - kill.last) <= WINDOW
    later = new.at - kill.at
    if new.source in COUNTERS:
        return -WINDOW <= later <= LOOKBACK
    return -LOOKBACK <= later <= WINDOW if kill.read else abs(later) <= WINDOW


def _fits(kill: Kill, death: Death) -> bool:
    """Whether a container's end can be the kill's doing."""
    if kill.ended or abs(kill.at - death.at) > WINDOW:
        return False
    if death.pid and kill.pid and kill.pid == death.pid:
        return True
    return not death.asked and (death.code in (137, None) or kill.at <= death.at + CLUSTER)
