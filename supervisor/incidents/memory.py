"""What the incident book remembers: incidents, runs, refusals that were said, and how plans ended.

Comes from the journal's spaces `incident` and `run` at start; every change is gathered as a put for this turn's
transaction. Keys in `run`: `RULE|fingerprint|fired_at|rung` for runs, `said|…` for refusals, `end|SERVICE` for ends and
`#` for the number of the last incident, `#maneuvers` for how the latest maneuvers on this host ended. Entries that
cannot be read any more are dropped: nothing is done because of what is missing, since the alert that caused it is
looked at afresh.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from supervisor.errors import JournalError
from supervisor.facts import Incident, Json
from supervisor.incidents import brake
from supervisor.incidents.deciding import End
from supervisor.incidents.ladder import OPEN, Run
from supervisor.incidents.world import Maneuver, Put
from supervisor.journal.codec import dump, load

_Key = TypeVar("_Key", bound=Hashable)
_SAID, _END, _NUMBER, _MANEUVERS = "said|", "end|", "#", "#maneuvers"


@dataclass(frozen=True, slots=True)
class Said:
    """A refusal people were told of, so that it is not told again while its reason stays."""

    reason: str
    alert: str
    fired_at: float


class Memory:
    """The kept state, with the changes of this turn. Asking changes nothing."""

    def __init__(self, kept: Mapping[str, Mapping[str, Json]]) -> None:
        self.incidents: dict[str, Incident] = {}
        self.runs: dict[str, Run] = {}
        self.said: dict[str, Said] = {}
        self.ends: dict[str, End] = {}
        self.maneuvers: tuple[Maneuver, ...] = ()
        self._number = 0
        self._ladders: dict[tuple[str, str], dict[str, Run]] = {}
        self._targets: dict[str, dict[str, Run]] = {}
        self._puts: dict[tuple[str, str], Json | None] = {}
        for key, body in sorted(kept.get("incident", {}).items()):
            self._restore_incident(key, body)
        for key, body in sorted(kept.get("run", {}).items()):
            self._restore_run(key, body)

    def _restore_incident(self, key: str, body: Json) -> None:
        try:
            incident = load(Incident, body)
        except JournalError:
            self._puts["incident", key] = None
            return
        self.incidents[incident.subject] = incident

    def _restore_run(self, key: str, body: Json) -> None:
        try:
            if key == _NUMBER:
                self._number = int(body.get("incidents", 0))
            elif key == _MANEUVERS:
                self.maneuvers = tuple(load(Maneuver, one) for one in body.get("ended", ()))
            elif key.startswith(_SAID):
                self.said[key.removeprefix(_SAID)] = load(Said, body)
            elif key.startswith(_END):
                self.ends[key.removeprefix(_END)] = load(End, body)
            else:
                self._index(load(Run, body))
        except JournalError:
            self._puts["run", key] = None

    def take_puts(self) -> tuple[Put, ...]:
        """The changes since the last call, ordered."""
        puts = tuple((space, key, self._puts[space, key]) for space, key in sorted(self._puts))
        self._puts.clear()
        return puts

    # ------------------------------------------------------------ changes

    def keep_incident(self, incident: Incident) -> None:
        """This is how the incident stands now."""
        self.incidents[incident.subject] = incident
        self._puts["incident", incident.id] = dump(incident)

    def drop_incident(self, incident: Incident) -> None:
        """It is closed."""
        self.incidents.pop(incident.subject, None)
        self._puts["incident", incident.id] = None

    def next_incident(self) -> str:
        """A fresh id, never used before on this journal."""
        self._number += 1
        self._puts["run", _NUMBER] = {"incidents": self._number}
        return f"inc-{self._number}"

    def keep_run(self, run: Run) -> None:
        """This is how the run stands now."""
        self._index(run)
        self._puts["run", run.place] = dump(run)

    def _index(self, run: Run) -> None:
        self.runs[run.place] = run
        self._ladders.setdefault((run.by, run.scope), {})[run.place] = run
        self._targets.setdefault(run.target, {})[run.place] = run

    def drop_run(self, run: Run) -> None:
        """Nothing depends on it any more."""
        self.runs.pop(run.place, None)
        _drop(self._ladders, (run.by, run.scope), run.place)
        _drop(self._targets, run.target, run.place)
        self._puts["run", run.place] = None

    def keep_end(self, service: str, end: End | None) -> None:
        """How the last plan on a service ended."""
        if end is not None:
            self.ends[service] = end
            self._puts["run", _END + service] = dump(end)
        elif self.ends.pop(service, None) is not None:
            self._puts["run", _END + service] = None

    def keep_maneuvers(self, found: tuple[Maneuver, ...]) -> None:
        """How the latest maneuvers on this host ended."""
        if found != self.maneuvers:
            self.maneuvers = found
            self._puts["run", _MANEUVERS] = {"ended": [dump(one) for one in found]} if found else None

    def say(self, place: str, said: Said | None) -> bool:
        """Remember what was said last at `place`; True if it is news."""
        before = self.said.get(place)
        if said is None:
            if before is not None:
                del self.said[place]
                self._puts["run", _SAID + place] = None
            return False
        if before is not None and before.reason == said.reason:
            return False
        self.said[place] = said
        self._puts["run", _SAID + place] = dump(said)
        return True

    def shift(self, seconds: float) -> None:
        """The wall clock jumped: what was done keeps its distance to now, so that a jump is neither a cooldown that is
        over nor one without end. When an alert fired is a name as well, and stays. Set back, nothing lies ahead."""
        for run in list(self.runs.values()):
            moved = replace(run, at=_moved(run.at, seconds), ended=_moved(run.ended, seconds))
            self.keep_run(replace(moved, quiet=_moved(run.quiet, seconds), holds=_moved(run.holds, seconds)))
        self.keep_maneuvers(brake.shifted(self.maneuvers, seconds))
        if seconds < 0:
            for service, end in list(self.ends.items()):
                self.keep_end(service, replace(end, at=end.at + seconds, since=end.since + seconds))
            for known in list(self.incidents.values()):
                self.keep_incident(replace(known, opened_at=known.opened_at + seconds))

    # ------------------------------------------------------------ questions

    def ladder(self, by: str, scope: str) -> tuple[Run, ...]:
        """The runs of one ladder, oldest first."""
        found = self._ladders.get((by, scope), {})
        return tuple(sorted(found.values(), key=lambda run: (run.at, run.rung, run.key)))

    def of_plan(self, by: str, key: str) -> Run | None:
        """The open run that a plan with this key works for."""
        run = self.runs.get(f"{by}|{key}") if key else None
        return run if run is not None and run.state == OPEN else None

    def of_target(self, target: str) -> Sequence[Run]:
        """Every run aimed at a service, oldest first."""
        return tuple(sorted(self._targets.get(target, {}).values(), key=lambda run: (run.at, run.key)))


def _moved(at: float, seconds: float) -> float:
    """An instant after the clock jumped; 0 is none."""
    return at + seconds if at else 0.0


def _drop(index: dict[_Key, dict[str, Run]], key: _Key, place: str) -> None:
    """Take a run out of an index, and its entry with the last of them."""
    found = index.get(key, {})
    found.pop(place, None)
    if not found:
        index.pop(key, None)
