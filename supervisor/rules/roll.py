"""What all the rules of a set have together: their open alerts, the names of these, and how the files are.

Kept for `engine.py`, rule by rule as something moves, so that asking costs nothing while nothing does.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from supervisor.facts import Alert, AlertChange, RuleHealth
from supervisor.rules import alerts
from supervisor.rules.model import RuleSet
from supervisor.rules.running import Running

_NUMBERS = re.compile(r"[0-9]+")
_WORDS = 120
"""letters of a line that tell one error from another"""


class Roll:
    """The alerts and the errors of one rule set."""

    def __init__(self, rules: RuleSet, running: Sequence[Running], told: dict[str, str]) -> None:
        self._rules = rules
        self._open: dict[Running, None] = {}
        self._active: tuple[Alert, ...] | None = None
        self._prints: dict[str, Running] = {}
        """the rule that has the alert with this fingerprint"""
        self._erring: dict[Running, None] = {}
        self._health: tuple[RuleHealth, ...] | None = None
        files = [health.file for health in rules.health]
        self.told = {file: text for file, text in told.items() if file in files}
        """file -> the gist of its health as it was told last"""
        self._news_due = True
        for one in running:
            for alert in one.active.values():
                self._prints.setdefault(alert.fingerprint, one)
            self.moved(one)
            if one.error:
                self._erring[one] = None

    # ------------------------------------------------------------ alerts

    def active(self) -> tuple[Alert, ...]:
        """Every pending and firing alert, in the order of their rules in the files. The same tuple as before where
        nothing moved."""
        if self._active is None:
            rules = sorted(self._open, key=lambda one: one.rule.order)
            self._active = tuple(alert for one in rules for alert in one.open())
        return self._active

    def moved(self, running: Running) -> None:
        """A rule's alerts are others than before."""
        self._active = None
        if any(alert.state != alerts.RESOLVED for alert in running.active.values()):
            self._open[running] = None
        else:
            self._open.pop(running, None)

    def take(self, running: Running, stepped: alerts.Stepped) -> Sequence[AlertChange]:
        """Let a rule take what its evaluation brought."""
        before, prints = running.active, self._prints
        changes = running.take(stepped, lambda print_: prints.get(print_, running) is not running)
        after = running.active
        if len(before) == len(after) and all(after.get(key) is alert for key, alert in before.items()):
            return changes
        for key, alert in before.items():
            if key not in after and prints.get(alert.fingerprint) is running:
                del prints[alert.fingerprint]
        for alert in after.values():
            prints.setdefault(alert.fingerprint, running)
        self.moved(running)
        return changes

    # ------------------------------------------------------------ health

    def say(self, running: Running, error: str) -> None:
        """How the last evaluation of a rule went; '' is well."""
        if running.error == error:
            return
        running.error = error
        self._health, self._news_due = None, True
        if error:
            self._erring[running] = None
        else:
            self._erring.pop(running, None)

    def health(self) -> tuple[RuleHealth, ...]:
        """How every file is: what kept it out, or which of its rules err now."""
        if self._health is None:
            errors: dict[str, list[str]] = {}
            for one in sorted(self._erring, key=lambda one: one.rule.order):
                file = self._rules.files[one.rule.order[0]].path
                errors.setdefault(file, []).append(f"{one.rule.name}: {one.error}")
            self._health = tuple(
                replace(health, text="\n".join(errors[health.file])) if health.file in errors else health
                for health in self._rules.health
            )
        return self._health

    def news(self) -> tuple[RuleHealth, ...]:
        """Files whose health is not what was told last."""
        if not self._news_due:
            return ()
        self._news_due = False
        found = []
        for health in self.health():
            gist = _gist(health.text)
            if self.told.get(health.file, "" if health.rules else gist) != gist:
                found.append(health)
            self.told[health.file] = gist
        return tuple(found)


def _gist(text: str) -> str:
    """What of a file's health is news: which rules err and how, but not each count and label in the words."""
    return "\n".join(_NUMBERS.sub("0", line)[:_WORDS] for line in text.split("\n"))
