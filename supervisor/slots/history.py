"""What each model did when it was measured, the latest hundred times, and how that drifts.

The value of the journal's space `bench`, by slot and model. From: the ends of swaps and benchmarks. To: status, the
series, `resurgam history --benchmarks`, and the baseline that the next model is held against.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from supervisor.errors import JournalError
from supervisor.facts import Bench, Json
from supervisor.journal.codec import dump, load

KEPT = 100
ENOUGH = 2
"""earlier measurements from which on a drift can be told"""


@dataclass(frozen=True, slots=True)
class Benches:
    """The measurements of one model of one slot, newest last."""

    runs: tuple[Bench, ...] = ()


class History:
    """Every measurement that is kept."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `bench`."""
        self._known: dict[str, Benches] = {}
        self._puts: dict[str, Json | None] = {}
        for key in sorted(kept):
            with suppress(JournalError):
                self._known[key] = load(Benches, kept[key])

    def add(self, one: Bench) -> None:
        """One more; the same one again changes nothing."""
        key = _key(one.slot, one.model)
        known = self._known.get(key, Benches()).runs
        if one in known:
            return
        self._known[key] = Benches((*known, one)[-KEPT:])
        self._puts[key] = dump(self._known[key])

    def of(self, slot: str, model: str) -> tuple[Bench, ...]:
        """All of one model, newest last."""
        return self._known.get(_key(slot, model), Benches()).runs

    def latest(self, slot: str, model: str) -> Bench | None:
        """The newest; None where it was never measured."""
        found = self.of(slot, model)
        return found[-1] if found else None

    def take_puts(self) -> dict[str, Json | None]:
        """What changed since the last call, for the journal."""
        found, self._puts = self._puts, {}
        return found


def drift(runs: tuple[Bench, ...]) -> float | None:
    """The newest rate as a share of the median of those before it, all on the same image; None where too few are
    known."""
    if not runs or runs[-1].rate <= 0:
        return None
    before = sorted(one.rate for one in runs[:-1] if one.image_id == runs[-1].image_id and one.rate > 0)
    if len(before) < ENOUGH:
        return None
    middle = len(before) // 2
    median = before[middle] if len(before) % 2 else (before[middle - 1] + before[middle]) / 2
    return runs[-1].rate / median


def _key(slot: str, model: str) -> str:
    return f"{slot}|{model}"
