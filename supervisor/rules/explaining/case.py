"""One rule as it stood at one instant, copied out of the engine so that it can be explained elsewhere.

Made by `RuleEngine.explain`, on the loop; `reasons.py` works on it, on a thread of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supervisor.rules.model import AlertRule, RuleSet
from supervisor.rules.promql.evaluate import Options
from supervisor.rules.running import Running

MOST_FEEDERS = 100
"""Rules that feed an explained one and are followed."""


@dataclass(frozen=True, slots=True)
class Case:
    """One rule as it stood `at` (ms), with all that it takes to explain it; nothing here is shared with the engine."""

    at: int
    horizon: int
    """of what was at this instant or before, samples may be missing"""
    started: int
    """since when rules are looked at"""
    running: Running
    feeders: tuple[Running, ...]
    """the rules whose series it reads, directly or through others, in their order"""
    blind: str
    """why it cannot be told what comes; the feeders are left out then"""
    rules: RuleSet
    options: Options
    outside: tuple[Mapping[str, str], str]
    """external labels and address"""


def blind(rules: Sequence[Running]) -> str:
    """Why it cannot be told what these rules will do on a copy of what they select; '' if it can."""
    if len(rules) > MOST_FEEDERS:
        return "more rules feed it than can be followed, so what comes next is not told"
    named = [
        template for one in rules if isinstance(one.rule, AlertRule) for _name, template in one.rule.label_templates
    ]
    if all(template.pure for template in named):
        return ""
    return "its labels come from templates that ask for other series or the time, so what comes next is not told"
