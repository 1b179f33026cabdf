"""A kill for want of memory, as far as it is known: what sources tell, and the verdict on it. Pure.

From: merge.py, which brings the words of all sources together. To: telling.py and words.py, which tell people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from supervisor.facts import GroupMemory, Json

WINDOW = 2.0
"""seconds around a kill in which its sources tell of it, by their own clocks"""
PATIENCE = 10.0
"""seconds to wait for somebody who says whose process it was, where the machine's counter alone tells of one"""
DOUBT = 3.0
"""seconds for which the engine's word alone waits for the counter of the container's group, where that is read: at a
limit of a group around them, version 1 lets the engine tell of every container below it, of the innocent ones as well.
A little longer than the group's own watch looks whether something was killed"""

ENGINE, LOG, GROUP, MACHINE, EXIT, FLAG = "engine", "kernel-log", "events", "vmstat", "exit-code", "engine-flag"
SOURCES = (LOG, GROUP, ENGINE, MACHINE, EXIT, FLAG)
"""who can tell, the best first: the kernel's log, the group's counter, the engine's event, the machine's counter, the
exit code of who died, and the engine's flag (which says that something was killed in that life, and not what)"""
COUNTERS = (GROUP, MACHINE)

Victim = Literal["main", "child", ""]
Constraint = Literal["own_limit", "parent_limit", "machine", "numa", ""]
Confidence = Literal["certain", "likely", "possible"]


@dataclass(frozen=True, slots=True)
class Oom:
    """What is known of a kill."""

    process: str = ""
    """how it called itself; '' where nobody says"""
    pid: int = 0
    """as the machine counts; 0 where nobody says"""
    victim: Victim = ""
    """main: the container's first process | child: another one | '': nobody knows"""
    constraint: Constraint = ""
    """what was at its end: own_limit (of the container) | parent_limit (of a group around it) | machine | numa (the
    nodes it may use) | '': nobody says"""
    limit_of: str = ""
    """the path of the control group whose limit was met"""
    confidence: Confidence = "possible"
    sources: tuple[str, ...] = ()
    """who told, the best first: words of SOURCES"""
    kills: int = 1
    """how many processes; 0: the limit was met and nothing was killed"""
    ended: bool = False
    """the container ended with it"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source tells. `at`: unix seconds of the kill by its clock; `mono`: when it arrived."""

    container: str
    source: str
    at: float
    mono: float
    process: str = ""
    pid: int = 0
    constraint: str = ""
    """as facts.OomSeen has it: memcg | none | cpuset | policy"""
    limit_of: str = ""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the groups of containers counted when memory was last read."""

    live: bool = False
    """groups can be read here"""
    at: float = 0.0
    """unix seconds of that reading"""
    mono: float = 0.0
    groups: Mapping[str, GroupMemory] = field(default_factory=dict)
    """by container id"""

    def tell_of(self, container: str, since: float) -> bool:
        """Whether this container's group is read too, or will be: its run (`since` then) may be younger than that."""
        return self.live and (container in self.groups or not self.groups or self.at < since)

    def kills(self, container: str) -> float:
        """Processes of it that were killed in the life of its group; 0 where it was not read."""
        return self.groups[container].oom_kills if container in self.groups else 0.0


@dataclass(slots=True)
class Word:
    """The engine's word of a container that lives on. It is a kill if anybody else says so."""

    said: Evidence
    kills: float
    """what the group's counter showed before"""
    mono: float
    """when it came in; a reading since then counts"""
    until: float
    """the mono at which nobody is waited for any more"""
    calm: bool = False
    """the counter was read since then, and had not risen"""


@dataclass(slots=True)
class Death:
    """The end of a container's run."""

    container: str
    at: float
    mono: float
    code: int | None
    pid: int
    """of its first process; 0 where it was not known"""
    asked: bool
    """somebody or a plan of ours ended it"""
    service: str = ""
    carries: bool = False
    about: Json = field(default_factory=dict)
    kill: "Kill | None" = None
    """what ended it, once that is known"""

    @property
    def suspect(self) -> bool:
        """It ended as a process ends that the kernel kills, and nobody is known to have done it."""
        return self.kill is None and not self.asked and self.code in (137, None)


@dataclass(slots=True)
class Kill:
    """A kill, as far as it is known. `kills` may be many where they came too fast to be told one by one."""

    container: str
    """'' for a process of no container, or of one that nobody named yet"""
    at: float
    mono: float
    last: float = 0.0
    """of a pile: when the last one was"""
    seen: dict[str, int] = field(default_factory=dict)
    """source -> how many processes it told of"""
    process: str = ""
    pid: int = 0
    pids: tuple[int, ...] = ()
    constraint: str = ""
    limit_of: str = ""
    pile: bool = False
    nameless: bool = False
    """the line of the kernel's log about it named no container"""
    spared: bool = False
    """a source says that nothing was killed"""
    service: str = ""
    carries: bool = False
    """the container carried that service (a new one of an open plan does not)"""
    about: Json = field(default_factory=dict)
    main_pid: int = 0
    ended: bool = False
    code: int | None = None
    alone: bool = False
    """the container ran on when the window closed"""
    counted: int = 0
    told: int = 0

    @property
    def kills(self) -> int:
        return max((1, *self.seen.values()))

    @property
    def guessed(self) -> bool:
        """Whose process it was was said by another source than the one that said which."""
        return self.nameless and bool(self.container)

    @property
    def sure(self) -> bool:
        """The kernel itself said whose process it was, and we know whom it meant: there is nothing to wait for."""
        return LOG in self.seen and bool(self.service) and not self.nameless and not self.pile

    @property
    def read(self) -> bool:
        """Only counters tell of it: it was at the time it was read, or before."""
        return bool(self.seen) and all(source in COUNTERS for source in self.seen)

    @property
    def due(self) -> float:
        """The mono at which it is told at the latest."""
        if self.sure:
            return self.mono
        alone = not self.container and LOG not in self.seen
        return self.mono + (PATIENCE if alone else WINDOW)


def verdict(kill: Kill) -> Oom:
    """What is known of a kill now."""
    victim: Victim = ""
    if kill.pid and kill.main_pid and not kill.guessed:
        victim = "main" if kill.pid == kill.main_pid or kill.main_pid in kill.pids else "child"
    elif kill.ended:
        victim = "main" if kill.code == 137 else "" if kill.code is None else "child"
    elif kill.alone:
        victim = "child"
    told = {*kill.seen} | ({EXIT} if kill.ended and kill.code == 137 else set())
    named = kill.container and ((LOG in told and not kill.guessed) or GROUP in told)
    confidence: Confidence = "possible"
    if named or (not kill.container and LOG in told) or (ENGINE in told and (EXIT in told or LOG in told)):
        confidence = "certain"
    elif ENGINE in told and not kill.spared:
        confidence = "likely"
    return Oom(
        kill.process,
        kill.pid,
        victim,
        _constraint(kill),
        kill.limit_of,
        confidence,
        tuple(source for source in SOURCES if source in told),
        0 if kill.spared and not kill.ended else kill.kills,
        kill.ended,
    )


def after(kill: Kill) -> Oom:
    """What is known of the end of a container some time after the kernel killed one of its processes."""
    known = verdict(kill)
    return Oom(known.process, known.pid, "child", known.constraint, known.limit_of, "likely", known.sources, 1, True)


def flagged(code: int | None) -> Oom | None:
    """What the engine's flag alone tells of an end that nobody saw: that in that life something was killed."""
    if code == 0:
        return None  # it ended well, whatever was killed before
    return Oom(
        confidence="likely" if code == 137 else "possible",
        sources=(EXIT, FLAG) if code == 137 else (FLAG,),
        ended=True,
    )


def _constraint(kill: Kill) -> Constraint:
    if kill.constraint == "memcg":
        own = not kill.limit_of or (kill.container and kill.container in kill.limit_of)
        return "own_limit" if own and kill.container else "parent_limit" if kill.limit_of else ""
    known: dict[str, Constraint] = {"none": "machine", "cpuset": "numa", "policy": "numa"}
    return known.get(kill.constraint, "")
