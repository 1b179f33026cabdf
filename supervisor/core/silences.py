"""Silences: messages that match are kept and shown, but not sent. Actions go on; that is what `pause` is for.

From: commands.py (silence). To: the journal's space `silence`, alerts.py (which rows are public), the snapshot.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from supervisor.facts import Command, Decision, Intent, Json, Silence
from supervisor.verdicts import Reason, no

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


class Silences:
    """The silences that hold now."""

    def __init__(self, kept: Mapping[str, Json]) -> None:
        """`kept`: the journal's space `silence` as it was at the start."""

    def open(self) -> tuple[Silence, ...]:
        """Those that have not ended, oldest first."""
        return ()

    def mutes(self, labels: Mapping[str, str], now: float) -> Silence | None:
        """The first silence that matches these labels."""
        return None

    def answer(self, core: "Decider", fact: Command) -> Decision:
        """`silence MATCHER… --for 2h --reason TEXT`, `silence --end ID`."""
        intent = Intent(fact.verb, fact.target, fact.params, "", fact.principal)
        return core.admission.refuse(core, intent, no(Reason.UNSUPPORTED, "There are no silences yet."))

    def due(self) -> float | None:
        """Unix seconds at which the next one ends."""
        return None

    def tick(self, core: "Decider") -> None:
        """End those whose time is over."""
