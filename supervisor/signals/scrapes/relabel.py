"""Under which labels offered samples go into the store, and which of them do not. Pure.

From: text.py. To: samples for a Readings fact. The rule is Prometheus': the target's own labels win, and what the page
says under the same name is kept as `exported_…`; with `honor_labels` the page's stay.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from supervisor import units
from supervisor.facts import Sample
from supervisor.signals.scrapes.text import Offered

EXPORTED = "exported_"
LABEL_LIMIT = 1000
"""characters of a value with something in it that cannot be shown"""


@dataclass(slots=True)
class Dressed:
    """What is taken of a page; what is not, by name."""

    samples: list[Sample] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """How many samples were not taken."""
        return int(math.fsum(self.left_out.values()))


def dress(
    offered: Iterable[Offered],
    own: Mapping[str, str],
    *,
    honor: bool = False,
    ours: Callable[[str], bool] | None = None,
) -> Dressed:
    """The samples with the target's `own` labels. `ours`: tells the names that only we speak; None lets all pass."""
    found = Dressed()
    refused: dict[str, bool] = {}
    target = {name: value for name, value in own.items() if value}
    for name, said, value in offered:
        no = refused.get(name)
        if no is None:
            no = refused[name] = ours is not None and ours(name)
        if no:
            found.left_out[name] = found.left_out.get(name, 0) + 1
            continue
        labels = {key: _plain(text) for key, text in said.items() if text}
        if honor:
            labels = {**target, **labels}
        elif target.keys().isdisjoint(labels):
            labels |= target
        else:
            labels = _forced(labels, target)
        labels["__name__"] = name
        found.samples.append(Sample(tuple(sorted(labels.items())), value))
    return found


def _forced(labels: dict[str, str], target: Mapping[str, str]) -> dict[str, str]:
    """The target's labels, and the page's own ones of these names under names that are free."""
    made = {**{name: value for name, value in labels.items() if name not in target}, **target}
    for name in sorted((name for name in labels if name in target), key=lambda name: (len(name), name)):
        new = EXPORTED + name
        while new in made or new in labels:
            new = EXPORTED + new
        made[new] = labels[name]
    return made


def _plain(text: str) -> str:
    return text if text.isprintable() else units.plain(text, LABEL_LIMIT)
