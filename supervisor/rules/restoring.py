"""What a rule set takes over from the one before it, and from an earlier life of the daemon.

Pure bookkeeping for `engine.py`: which rule is which, whose alert is this, whose series is that.
"""

from collections.abc import Iterable, Sequence

from supervisor.facts import Alert, Labels
from supervisor.rules.model import AlertRule, RecordRule
from supervisor.rules.outputs import ALERTS, ALERTS_FOR_STATE
from supervisor.rules.running import Running
from supervisor.samples import Series, Store
from supervisor.units import Matcher

Key = tuple[str, str, str, Labels, int]


def keyed(running: Iterable[Running]) -> list[tuple[Key, Running]]:
    """Each rule with what names it over reloads: kind, origin, name, labels as written, and which of its like."""
    counts: dict[tuple[str, str, str, Labels], int] = {}
    found = []
    for one in sorted(running, key=lambda one: one.rule.order):
        key = (type(one.rule).__name__, one.rule.origin, one.rule.name, one.rule.labels)
        counts[key] = counts.get(key, 0) + 1
        found.append(((*key, counts[key]), one))
    return found


def adopt_alerts(running: Sequence[Running], kept: Iterable[Alert]) -> list[Alert]:
    """Give every alert to its rule: the one it came from, else one that could have made it. Answers those without."""
    by_name: dict[str, list[Running]] = {}
    for one in sorted(running, key=lambda one: one.rule.order):
        if isinstance(one.rule, AlertRule):
            by_name.setdefault(one.rule.name, []).append(one)
    lost: list[Alert] = []
    for alert in kept:
        homes = [one for one in by_name.get(alert.name, ()) if one.owns(alert)]
        home = next((one for one in homes if one.rule.id == alert.rule), homes[0] if homes else None)
        if home is None:
            lost.append(alert)
        else:
            home.adopt(alert)
    return lost


def adopt_series(running: Sequence[Running], store: Store) -> None:
    """Tell every rule which series of an earlier life are its own, so that it ends those that it gives no more. Where
    two rules could have recorded a series nobody gets it: it is forgotten after the lookback."""
    writers: dict[str, list[Running]] = {}
    for one in running:
        if isinstance(one.rule, RecordRule):
            writers.setdefault(one.rule.name, []).append(one)
        else:
            one.written.adopt(one.about())
    for name, candidates in writers.items():
        for series in _live(store, name):
            homes = [one for one in candidates if _may_record(one, series)]
            if len(homes) == 1:
                homes[0].written.adopt([(series.labels, series.values[-1])])


def orphans(store: Store) -> list[Labels]:
    """The live series about alerts: those that no restored alert explains are to be ended."""
    return [series.labels for name in (ALERTS, ALERTS_FOR_STATE) for series in _live(store, name)]


def _live(store: Store, name: str) -> list[Series]:
    return [series for series in store.select((Matcher("__name__", "=", name),)) if series.live]


def _may_record(one: Running, series: Series) -> bool:
    have = dict(series.labels)
    return all(have.get(name, "") == text for name, text in one.rule.labels)
