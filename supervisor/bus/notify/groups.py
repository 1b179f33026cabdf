"""Which alerts are told together, and when: the grouping of Alertmanager, as a machine without a clock or a door.

In: alerts that fire or have ended (`feed`), the time with every question. Out: the group that is due and what of it is
to be told; `told` or `dropped` says what became of that. An end is told only to those who were told that it fires; a
silenced alert is left out of everything until its silence ends. notifier.py drives it, place.py keeps it.

Times are wall time, since they outlive a restart. A clock that was put back makes nothing wait longer than asked for.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from supervisor.bus.notify.message import Item, group_labels, group_name

MOST = 1000
"""alerts that wait to be told; with more the rows stay in the journal until there is room"""
REMEMBERED = 2000
"""alerts that are kept in all; beyond that the oldest that was told is forgotten, and so its end is not told"""

Quiet = Callable[[Item], bool]
"""whether nobody is to be told of this alert now"""


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings: `by` None makes each alert a group of its own, told at once. Seconds."""

    by: tuple[str, ...] | None = None
    wait: float = 0.0
    interval: float = 0.0
    repeat: float = 0.0


@dataclass(slots=True)
class Member:
    """One alert of a group. `told`: that it fires was told. `news`: since when there is something to tell, or 0."""

    item: Item
    told: bool = False
    news: float = 0.0


@dataclass(slots=True)
class Group:
    """Alerts that are told together."""

    key: str
    labels: Mapping[str, str]
    members: dict[str, Member] = field(default_factory=dict)
    """by fingerprint, in the order in which they came"""
    told_at: float = 0.0
    """when the last message about it was done with; 0: never"""
    tellings: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """What of a group is to be told, and since when (unix seconds)."""

    group: str
    labels: Mapping[str, str]
    items: tuple[Item, ...]
    since: float
    tellings: int
    """messages about this group before this one"""


class Groups:
    """All groups of one notifier."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._groups: dict[str, Group] = {}
        self.forgotten = 0
        """alerts whose end will not be told, for want of room"""

    # ------------------------------------------------------------ what comes in

    def feed(self, item: Item, now: float) -> None:
        """The newest news about an alert."""
        group = self._group_of(item)
        member = group.members.get(item.fingerprint)
        if item.firing:
            if member is None:
                group.members[item.fingerprint] = Member(item, False, now)
                self._make_room()
            else:  # told of already, or about to be: it goes on firing
                member.item, member.news = item, 0.0 if member.told else member.news
        elif member is not None and member.told:
            member.item, member.news = item, now
        else:  # nobody was told that it fires
            group.members.pop(item.fingerprint, None)
        self._tidy(group)

    def restore(self, item: Item, told: bool, news: float) -> None:
        """A member as it was kept."""
        self._group_of(item).members[item.fingerprint] = Member(item, told, news)

    def restore_group(self, key: str, told_at: float, tellings: int) -> None:
        """When a group was told of last, as it was kept; after its members."""
        if key in self._groups:
            self._groups[key].told_at, self._groups[key].tellings = told_at, tellings

    # ------------------------------------------------------------ what is due

    def due(self, now: float, quiet: Quiet) -> Due | None:
        """The group that must be told of now: the one that waits longest."""
        best: tuple[float, int, Group, float] | None = None
        for group in self._groups.values():
            at, since = self._when(group, now, quiet)
            if at <= now and (best is None or (at, _first(group)) < best[:2]):
                best = at, _first(group), group, since
        return self._telling(best[2], best[3], quiet) if best is not None else None

    def next_at(self, now: float, quiet: Quiet) -> float:
        """When to ask again (unix seconds); infinity if only news can make something due."""
        return min((self._when(group, now, quiet)[0] for group in self._groups.values()), default=math.inf)

    def told(self, due: Due, now: float) -> None:
        """It was delivered."""
        group = self._groups[due.group]
        for item in due.items:
            if item.firing:
                group.members[item.fingerprint].told = True
                group.members[item.fingerprint].news = 0.0
            else:
                group.members.pop(item.fingerprint, None)
        self._after(group, now)

    def dropped(self, due: Due, now: float) -> None:
        """It is given up: as far as its receiver goes, what is new in it never happened."""
        group = self._groups[due.group]
        for item in due.items:
            if not item.firing or not group.members[item.fingerprint].told:
                group.members.pop(item.fingerprint, None)
        self._after(group, now)

    # ------------------------------------------------------------ how it stands

    @property
    def full(self) -> bool:
        """There is no room for more that waits."""
        return len([one for one in self._members() if one.news]) >= MOST

    def member(self, fingerprint: str) -> Member | None:
        """What is known of an alert."""
        for group in self._groups.values():
            if fingerprint in group.members:
                return group.members[fingerprint]
        return None

    def kept(self) -> tuple[list[Member], list[Group]]:
        """Everything that must outlive a restart."""
        return list(self._members()), [group for group in self._groups.values() if group.tellings]

    # ------------------------------------------------------------ the small parts

    def _group_of(self, item: Item) -> Group:
        by = self._terms.by
        labels = group_labels(item.labels, by) if by is not None else {"alertname": item.labels.get("alertname", "")}
        key = group_name(labels) if by is not None else item.fingerprint
        return self._groups.setdefault(key, Group(key, labels))

    def _members(self) -> Iterator[Member]:
        for group in self._groups.values():
            yield from group.members.values()

    def _when(self, group: Group, now: float, quiet: Quiet) -> tuple[float, float]:
        """(when it is due, since when there is something to tell); infinity where nothing is."""
        group.told_at = min(group.told_at, now)
        for member in group.members.values():
            member.news = min(member.news, now)
        news = [one.news for one in group.members.values() if one.news and not (one.item.firing and quiet(one.item))]
        after = group.told_at + self._terms.interval if group.tellings else 0.0
        if news:
            return max(min(news) + self._terms.wait, after), min(news)
        again = group.told_at + self._terms.repeat
        if self._terms.repeat and any(_stays(one) and not quiet(one.item) for one in group.members.values()):
            return max(again, after), max(again, after)
        return math.inf, math.inf

    def _telling(self, group: Group, since: float, quiet: Quiet) -> Due:
        members = list(group.members.values())
        firing = [one.item for one in members if one.item.firing and not quiet(one.item)]
        ended = [one.item for one in members if not one.item.firing]
        return Due(
            group.key,
            dict(group.labels),
            (*firing, *ended),
            since,
            group.tellings,
        )

    def _after(self, group: Group, now: float) -> None:
        group.told_at, group.tellings = now, group.tellings + 1
        self._tidy(group)

    def _tidy(self, group: Group) -> None:
        if not group.members:
            self._groups.pop(group.key, None)

    def _make_room(self) -> None:
        if len(list(self._members())) <= REMEMBERED:
            return
        oldest = min((one for one in self._members() if _stays(one)), key=lambda one: one.item.row.seq, default=None)
        if oldest is not None:
            group = self._group_of(oldest.item)
            del group.members[oldest.item.fingerprint]
            self.forgotten += 1
            self._tidy(group)


def _first(group: Group) -> int:
    return min(one.item.row.seq for one in group.members.values())


def _stays(member: Member) -> bool:
    """It was told of, and it fires still."""
    return member.told and member.item.firing and not member.news
