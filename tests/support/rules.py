"""Helpers for the tests of samples and rules: series in promtool's notation, an engine on a script."""

import re
from collections.abc import Mapping

from supervisor import rules
from supervisor.facts import AlertChange, Labels, Sample, labels
from supervisor.rules import RuleEngine, RuleSet
from supervisor.samples import STALE, Store

_PAIR = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')


def series(text: str) -> Labels:
    """`x{a="b"}` as a label set."""
    name, _, rest = text.partition("{")
    pairs = {key: value.encode().decode("unicode_escape") for key, value in _PAIR.findall(rest)}
    return labels(name, **pairs)


def number(word: str) -> float | None:
    """One value in promtool's notation; None for a missing one."""
    if word == "_":
        return None
    return STALE if word == "stale" else float(word.replace("Inf", "inf"))


def expand(values: str) -> list[str]:
    """promtool's short forms written out: `5x2` is `5 5 5`, `1+2x2` is `1 3 5`, `_x2` is `_ _`."""
    words: list[str] = []
    for word in values.split():
        match = re.fullmatch(r"(.+?)([+-][\d.]+)?x(\d+)", word)
        if not match:
            words.append(word)
        elif match[1] in ("_", "stale"):
            words += [match[1]] * int(match[3])
        else:
            words += [repr(float(match[1]) + index * float(match[2] or 0)) for index in range(int(match[3]) + 1)]
    return words


def filled(given: Mapping[str, str], step: float = 15.0, start: float = 0.0) -> Store:
    """A store with these series (`x{a="b"}` -> `0 1 _ stale`), one value every `step` seconds."""
    store = Store()
    store.keep(1e9)
    words = {name: expand(values) for name, values in given.items()}
    for index in range(max(map(len, words.values()), default=0)):
        for name, values in words.items():
            value = number(values[index]) if index < len(values) else None
            if value is not None:
                store.append(start + index * step, [Sample(series(name), value)])
    return store


def ruleset(*texts: str) -> RuleSet:
    """Rule files from their texts, all the owner's."""
    files = tuple(rules.parse_rules(text, f"rules{number}.yaml", "owner", number) for number, text in enumerate(texts))
    health = tuple(rules.files.RuleHealth(file.path, len(file.rules)) for file in files)
    return RuleSet(files, health)


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

    def states(self) -> dict[str, str]:
        """alert (with its name) -> pending | firing"""
        return {
            alert.name + (f"/{alert.labels['name']}" if "name" in alert.labels else ""): alert.state
            for alert in self.engine.active()
        }
