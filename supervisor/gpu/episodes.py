"""Bursts of faults: everything that one card tells of until three minutes of silence is one episode, with one root and
one remedy. Pure.

From: facts.XidSeen, by core/faults.py, and the table (xids.py). To: facts.XidEpisode, by `shown`. What says of itself
that it follows from another fault is no root; else the gravest class is, then what has a number, then what came first.
The driver's own verdict (XID 154) goes before the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from supervisor import units
from supervisor.facts import XidEpisode, XidSeen
from supervisor.gpu.xids import BY_VERDICT, PREEMPTIVE, REMEDIES, Entry, Table
from supervisor.kernel.xidlines import VERDICT

SILENCE = 180.0
"""seconds without a fault of the card that end an episode"""
MOST = 48
"""different faults of one episode that are kept apart; what is beyond counts as the last of them"""
_OTHERS = 4
"""further faults that a sentence names"""


@dataclass(frozen=True, slots=True)
class Member:
    """One kind of fault within a burst, however often it came."""

    xid: int
    fault: str = ""
    """of one without a number: which"""
    count: int = 1
    caused_by: int = 0
    """the XID it says it follows from; 0 where one of them said nothing"""
    service: str = ""
    container_id: str = ""
    process: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Burst:
    """One episode as it is kept. `members` in the order in which they came first."""

    number: int
    uuid: str
    bus_id: str
    first_at: float
    last_at: float
    members: tuple[Member, ...] = ()
    recovery: str = ""
    """the driver's latest verdict, one of facts.RECOVERIES; '' while it gave none"""
    recovered: bool = False
    """the driver wanted something, and wants it no more"""
    drill: bool = False
    past: bool = False
    """it was over when we learned of it"""
    told: int = 0
    """faults of it that have a row of their own"""
    faults: int = 0
    """all faults of it"""

    @property
    def id(self) -> str:
        """`gpu-3`."""
        return f"gpu-{self.number}"


@dataclass(frozen=True, slots=True)
class Root:
    """What the others follow from."""

    xid: int
    fault: str
    entry: Entry
    member: Member = field(default_factory=lambda: Member(0))


def begun(number: int, fact: XidSeen, uuid: str, bus_id: str, service: str) -> Burst:
    """A new episode."""
    burst = Burst(number, uuid, bus_id, fact.at, fact.at, drill=fact.drill)
    return grown(burst, fact, service)


def grown(burst: Burst, fact: XidSeen, service: str) -> Burst:
    """The episode with one more fault of its card."""
    members = list(burst.members)
    at = next((i for i, one in enumerate(members) if (one.xid, one.fault) == (fact.xid, fact.kind)), -1)
    if at < 0 and len(members) >= MOST:
        at = MOST - 1
    if at < 0:
        caused_by, whose = fact.caused_by, (service, fact.container_id, fact.process, fact.pid)
        members.append(Member(fact.xid, fact.kind, 1, caused_by, *whose))
    else:
        members[at] = _again(members[at], fact, service)
    recovery, recovered = burst.recovery, burst.recovered
    if fact.recovery:
        recovered = fact.recovery == "none" and (recovered or recovery not in ("", "none"))
        recovery = fact.recovery
    return replace(
        burst,
        members=tuple(members),
        first_at=min(burst.first_at, fact.at),
        last_at=max(burst.last_at, fact.at),
        recovery=recovery,
        recovered=recovered,
        faults=burst.faults + 1,
    )


def root_of(burst: Burst, table: Table) -> Root:
    """What the others follow from."""
    own = {one.xid: one for one in burst.members if one.xid}
    named: dict[int, Member] = {}
    for one in burst.members:
        if one.caused_by and one.caused_by not in own:
            named.setdefault(one.caused_by, replace(one, xid=one.caused_by, fault="", caused_by=0, count=0))
    candidates = [one for one in burst.members if not _follows(one, own)] or list(burst.members)
    # one that is only spoken of came before the one that speaks of it
    candidates = [*named.values(), *candidates]
    grave = [one for one in candidates if one.xid != PREEMPTIVE] or candidates
    best = max(
        enumerate(grave),
        key=lambda at: (table.of(at[1].xid, at[1].fault).grave, at[1].xid > 0, -at[0]),
    )[1]
    return Root(best.xid, best.fault, table.of(best.xid, best.fault), best)


def remedy_of(burst: Burst, table: Table) -> str:
    """What the episode calls for: by the driver's verdict where it gave one, else the most that its root does."""
    listed = root_of(burst, table).entry.remedy
    if burst.recovered:
        return "none"
    if not burst.recovery:
        return listed
    if burst.recovery == "none":  # the card needs nothing; whoever was hit may
        return min(listed, "restart", key=REMEDIES.index)
    return BY_VERDICT.get(burst.recovery, "tell")


def shown(burst: Burst, table: Table, card: str, *, done: bool = False) -> XidEpisode:
    """The episode for the snapshot. `card`: what people call it: `GPU 0 (NVIDIA H200)`."""
    root, remedy = root_of(burst, table), remedy_of(burst, table)
    counts: dict[int, int] = {}
    for one in burst.members:
        counts[one.xid] = counts.get(one.xid, 0) + one.count
    return XidEpisode(
        id=burst.id,
        uuid=burst.uuid,
        bus_id=burst.bus_id,
        first_at=burst.first_at,
        last_at=burst.last_at,
        root=root.xid,
        kind=root.entry.kind,
        remedy=remedy,
        counts=counts,
        service=root.member.service,
        recovery=burst.recovery,
        text=sentence(burst, table, card),
        drill=burst.drill,
        over=done,
        fault=root.fault,
    )


# ------------------------------------------------------------ words

_WANTS: Mapping[str, str] = {
    "none": "The driver says that the card needs nothing.",
    "reset": "The driver wants the card reset.",
    "reboot": "The driver wants the machine restarted.",
    "drain": "The driver wants nothing more to be sent to the card from others.",
    "drain_reset": "The driver wants the card emptied and reset.",
    "imex": "The driver wants its IMEX domain recovered.",
    "bus_reset": "The driver wants the card's bus reset.",
    "power_cycle": "The driver wants the machine's power taken away for a while.",
}
_DO: Mapping[str, str] = {
    "none": "",
    "tell": "Keep an eye on it.",
    "restart": "What it hit has to be started anew; everything else on the card goes on.",
    "reset": "Stop what uses the card and reset it: `nvidia-smi --gpu-reset -i {bus}`; where that is not supported, "
    "restart the machine.",
    "reboot": "Restart the machine.",
    "power": "Shut the machine down and take its power away for half a minute: restarting it does not help.",
    "replace": "Have the card and its slot looked at: it will not get well by itself.",
}


def sentence(burst: Burst, table: Table, card: str) -> str:
    """What happened, whom it hit, what the driver says, what to do; for people."""
    root, remedy = root_of(burst, table), remedy_of(burst, table)
    parts = [_what(burst, root, card)]
    if burst.recovered:
        parts.append("The driver says that it has recovered.")
    elif burst.recovery:
        parts.append(_WANTS.get(burst.recovery, ""))
    parts.append(_DO[remedy].format(bus=units.plain(burst.bus_id, 40) or "BUS-ID"))
    if root.entry.quiet and not burst.drill and not burst.recovered:
        parts.append("The driver is not asked any more, since asking hangs after this.")
    if not burst.recovered:
        parts.append(root.entry.hint)
    return ("Drill: " if burst.drill else "") + " ".join(part for part in parts if part)


def _what(burst: Burst, root: Root, card: str) -> str:
    # an entry is the end of a sentence about the card, or a whole one about a part of it
    name = root.entry.name
    said = f"{card}: {name}" if name.startswith(_WHOLE) else f"{card} {name}"
    if root.xid and f"XID {root.xid}" not in name:
        said += f" (XID {root.xid})"
    who = root.member
    if who.service:
        said += f", at the work of {who.service}"
    elif who.process:
        said += f", at the work of {who.process}" + (f" (pid {who.pid})" if who.pid else "")
    others = [one for one in burst.members if (one.xid, one.fault) != (root.xid, root.fault) and one.xid != VERDICT]
    told = [f"XID {one.xid}" if one.xid else message_words(one.fault) for one in others]
    if told:
        more = f" and {len(told) - _OTHERS} more" if len(told) > _OTHERS else ""
        said += f"; with it came {', '.join(told[:_OTHERS])}{more}"
    return said + "."


def message_words(fault: str) -> str:
    """A message without a number, in a list of others."""
    return {
        "lost": "`fallen off the bus`",
        "heartbeat": "a missed heartbeat of its firmware",
        "locked_up": "`probably locked`",
        "latched": "`WPR2 already up`",
        "init_failed": "`RmInitAdapter failed`",
        "reset_required": "`Reset required`",
    }.get(fault, "another fault")


_WHOLE = ("a ", "an ", "its ", "the ", "memory ")
"""how a name begins that is a sentence of its own"""


# ------------------------------------------------------------ inside


def _again(known: Member, fact: XidSeen, service: str) -> Member:
    """A kind of fault that came before. The first whose process is known names it; one that says nothing of a cause
    may be a cause itself."""
    caused = known.caused_by if fact.caused_by else 0
    if known.service or not service:
        if not (known.pid or known.service) and fact.pid:
            known = replace(known, container_id=fact.container_id, process=fact.process, pid=fact.pid)
        return replace(known, count=known.count + 1, caused_by=caused)
    return replace(
        known,
        count=known.count + 1,
        caused_by=caused,
        service=service,
        container_id=fact.container_id,
        process=fact.process,
        pid=fact.pid,
    )


def _follows(one: Member, own: Mapping[int, Member]) -> bool:
    """It says that it follows from another fault, and not in a circle."""
    seen, at = {one.xid}, one.caused_by
    while at and at not in seen:
        seen.add(at)
        known = own.get(at)
        if known is None or not known.caused_by:
            return True
        at = known.caused_by
    return False
