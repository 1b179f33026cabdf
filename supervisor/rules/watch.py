"""Which rules a series concerns, and what each rule waits for before it is looked at the first time.

Used by `engine.py` alone. A rule waits until every metric that it names has been delivered once since the start, and
until the rules before it whose series it reads have been looked at.
"""

from collections.abc import Sequence

from supervisor.rules.model import RecordRule
from supervisor.rules.outputs import ALERTS, ALERTS_FOR_STATE
from supervisor.rules.running import Running
from supervisor.samples import Series, exact_name
from supervisor.units import Matcher

_MOST = 50_000
"""series whose rules are remembered; beyond it they are looked up anew"""


class Watch:
    """The rules of one rule set, by what they select."""

    def __init__(self, running: Sequence[Running]) -> None:
        self._running = running
        self._by_name: dict[str, list[tuple[Running, tuple[Matcher, ...]]]] = {}
        self._rules: dict[Series, list[Running]] = {}
        self._records: dict[str, list[Running]] = {}
        self._alerts: list[Running] = []
        self._awaiting: dict[str, list[Running]] = {}
        self._delivered: dict[str, None] = {}
        for one in running:
            if isinstance(one.rule, RecordRule):
                self._records.setdefault(one.rule.name, []).append(one)
            else:
                self._alerts.append(one)
            for selector, _span in one.rule.expr.selectors:
                name = exact_name(selector.matchers) or ""
                self._by_name.setdefault(name, []).append((one, selector.matchers))

    def of(self, series: Series) -> list[Running]:
        """The rules that select this series. The list is shared: do not change it."""
        found = self._rules.get(series)
        if found is None:
            labels = dict(series.labels)
            hits = {
                one: None
                for one, matchers in (*self._by_name.get(series.name, ()), *self._by_name.get("", ()))
                if all(matcher.matches(labels) for matcher in matchers)
            }
            found = list(hits)
            if len(self._rules) >= _MOST:
                self._rules.clear()
            self._rules[series] = found
        return found

    def feeders(self, reader: Running) -> list[Running]:
        """The rules before it whose series it reads, and those whose series these read."""
        found: dict[Running, None] = {}
        todo = [reader]
        while todo:
            one = todo.pop()
            for selector, _span in one.rule.expr.selectors:
                makers = self._makers(exact_name(selector.matchers) or "", selector.matchers)
                fresh = [maker for maker in makers if maker.place < one.place and maker not in found]
                found.update(dict.fromkeys(fresh))
                todo += fresh
        return sorted(found, key=lambda maker: maker.place)

    # ------------------------------------------------------------ what a rule waits for

    def go_on(self, before: "Watch") -> None:
        """After a reload: what was delivered stays delivered."""
        self._delivered = before._delivered
        self._await()

    def restart(self) -> None:
        """Nothing counts as delivered: every rule waits for its first readings (again)."""
        self._delivered = {}
        for one in self._running:
            one.ready = one.looked = False
        self._await()

    def _await(self) -> None:
        self._awaiting = {}
        for one in self._running:
            one.readers = []
        for one in self._running:
            names, makers = self._needs(one)
            for name in names:
                self._awaiting.setdefault(name, []).append(one)
            for maker in makers:
                maker.readers.append(one)
            one.awaits = len(names) + len(makers)
            one.ready = one.ready or not one.awaits

    def _needs(self, one: Running) -> tuple[list[str], list[Running]]:
        """The metrics and the earlier rules that have not delivered yet."""
        names: dict[str, None] = {}
        makers: dict[Running, None] = {}
        one.derived = bool(one.names)
        for selector, _span in one.rule.expr.selectors:
            name = exact_name(selector.matchers) or ""
            found = self._makers(name, selector.matchers)
            makers.update(dict.fromkeys(each for each in found if each.place < one.place and not each.looked))
            if not found:
                one.derived = False
                if name not in self._delivered:
                    names[name] = None
        return list(names), list(makers)

    def _makers(self, name: str, matchers: tuple[Matcher, ...]) -> list[Running]:
        """The rules that write series of this name, those about other alerts left out."""
        if name not in (ALERTS, ALERTS_FOR_STATE):
            return self._records.get(name, [])
        asked = [matcher for matcher in matchers if matcher.name == "alertname"]
        return [one for one in self._alerts if all(each.matches({"alertname": one.rule.name}) for each in asked)]

    def deliver(self, name: str) -> list[Running]:
        """A metric was delivered ('': anything at all). The rules that need not wait any more."""
        if name in self._delivered:
            return []
        self._delivered[name] = None
        return _told(self._awaiting.pop(name, []))

    def look(self, maker: Running) -> list[Running]:
        """A rule was evaluated, and well. The rules that need not wait any more."""
        if maker.looked:
            return []
        maker.looked = True
        waiting, maker.readers = maker.readers, []
        return _told(waiting)


def _told(waiting: list[Running]) -> list[Running]:
    ready: list[Running] = []
    for one in waiting:
        one.awaits -= 1
        if not one.awaits and not one.ready:
            one.ready = True
            ready.append(one)
    return ready
