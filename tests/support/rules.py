"""Helpers for the tests of samples and rules: series in promtool's notation, an engine on a script."""

from collections.abc import Mapping
from functools import cache

from supervisor import rules
from supervisor.facts import AlertChange, Json, Labels, Sample, labels
from supervisor.lab.series import Given, Listed, parse_metric, parse_values
from supervisor.rules import RuleEngine, RuleSet
from supervisor.rules.explaining.reasons import HISTORY, Inquiry, explained
from supervisor.samples import Store


@cache
def series(text: str) -> Labels:
    """`x{a="b"}` as a label set."""
    return parse_metric(text)


def number(word: str) -> float | None:
    """One value in promtool's notation; None for a missing one."""
    (value,) = parse_values(word)
    return value


def filled(given: Mapping[str, str], step: float = 15.0, start: float = 0.0) -> Store:
    """A store with these series (`x{a="b"}` -> `0 1 _ stale`), one value every `step` seconds."""
    store = Store()
    store.keep(1e9)
    listed = tuple(Listed.of(parse_metric(name), parse_values(values)) for name, values in given.items())
    Given(step, listed).fill(store, start)
    return store


def ruleset(*texts: str) -> RuleSet:
    """Rule files from their texts, all the owner's."""
    files = tuple(rules.parse_rules(text, f"rules{number}.yaml", "owner", number) for number, text in enumerate(texts))
    health = tuple(rules.files.RuleHealth(file.path, len(file.rules)) for file in files)
    return rules.files.together(files, health)


def rule(expr: str, name: str = "A", **keys: str) -> str:
    """A rule file with one alert; `for_` is `for`."""
    lines = [f"{key.rstrip('_')}: {value}" for key, value in keys.items()]
    body = "".join(f"    {line}\n" for line in lines)
    return f"groups:\n- name: g\n  rules:\n  - alert: {name}\n    expr: {expr!r}\n{body}".replace('\\"', '"')


def entry(change: AlertChange) -> tuple[float, str, str, str]:
    """One transition, short: at, alert (with its `name`), before, state."""
    name = change.alert.labels.get("name", "")
    return change.at, change.alert.name + (f"/{name}" if name else ""), change.before, change.alert.state


class Box:
    """An engine on a script: deliver samples, let time go by the way the core does, look at what changed."""

    def __init__(self, *texts: str, start: float = 1000.0) -> None:
        self.store = Store()
        self.engine = RuleEngine(self.store)
        self.now = start
        self.log: list[tuple[float, str, str, str]] = []
        """(at, alert with its `name` label, before, state)"""
        self.changes: list[AlertChange] = []
        self.note(self.engine.load(ruleset(*texts), start))

    def note(self, changes: tuple[AlertChange, ...]) -> None:
        self.changes += changes
        self.log += [entry(change) for change in changes]

    def put(self, collector: str = "c", /, **values: float) -> None:
        """One transaction now: `x=1` is the series x, `x__oracle=1` is x{name="oracle"}."""
        samples = []
        for key, value in values.items():
            metric, _, name = key.partition("__")
            samples.append(Sample(labels(metric, name=name), value))
        self.engine.arrived(collector, self.store.append(self.now, samples), self.now)
        self.settle()

    def gone(self, collector: str = "c", /, **match: str) -> None:
        """Series with these labels end now."""
        self.engine.arrived(collector, self.store.stale(self.now, match), self.now)
        self.settle()

    def settle(self) -> None:
        """Evaluate what is due now."""
        due = self.engine.due()
        if due is not None and due <= self.now:
            self.note(self.engine.evaluate(self.now).changes)

    def wait(self, seconds: float, closed: bool = True) -> None:
        """Let time go by, waking whenever the engine asks for it; also at the very end only where it is `closed`."""
        end = round(self.now + seconds, 3)
        for _ in range(10_000):
            due = self.engine.due()
            if due is None or due > end or (due == end and not closed):
                break
            assert due >= self.now, "the engine asks for the past again and again"
            self.now = due
            self.note(self.engine.evaluate(due).changes)
        self.now = end

    def reasons(self, word: str = "A", history: float = HISTORY[0]) -> list[Json]:
        """Why the rules of that name give what they give now, on a copy of the samples, as the core asks for it."""
        inquiry = Inquiry(self.engine.explain(word, self.now), history)
        copy = Store(max_series=1 << 62, max_points=1 << 62)
        for matchers in inquiry.wanted:
            for one in self.store.select(matchers):
                copy.hold(one.since(inquiry.since))
        return explained(inquiry, copy)

    def states(self) -> dict[str, str]:
        """alert (with its name) -> pending | firing"""
        return {
            alert.name + (f"/{alert.labels['name']}" if "name" in alert.labels else ""): alert.state
            for alert in self.engine.active()
        }


def reborn(box: Box, *texts: str, away: float) -> Box:
    """A fresh process with the alerts and samples of the old one, `away` seconds later."""
    after = Box(*texts, start=box.now + away)
    after.store.restore(box.store.drain())
    after.note(after.engine.restore(box.engine.active(), after.now, away))
    return after
