"""Plays a recording to a rule set: what would have fired, and what would have been done, with the refusals.

In: a `Recording`, settings, rules and playbooks, and which part of it. Out: what came of it, and how two rule sets
differ. The series are as they were recorded: what a deed would have changed is not in them. Every container is taken
as well, and every deed therefore succeeds after a nominal time.
"""

from dataclasses import dataclass

from supervisor.core.standing import Loaded
from supervisor.lab.outcomes import roughly
from supervisor.lab.recording import Recording
from supervisor.lab.rehearsal import Deed, Fired, Played, Rehearsal, play
from supervisor.rules.model import RecordRule, RuleSet
from supervisor.rules.outputs import ALERTS, ALERTS_FOR_STATE

OURS = ("node_", "container_", "kube_", "resurgam_")
"""how the names begin of what this house makes itself: in a replay the recorded ones count instead"""
SAME = 1.0
"""seconds: two things that far apart happened at the same time"""
NEAR = 300.0
"""seconds: two deeds further apart have nothing to do with each other"""


def replay(recording: Recording, loaded: Loaded, since: int, until: int, delayed_names: bool = False) -> Played:
    """What this rule set makes of the recording between two instants (ms)."""
    written = _written(loaded.rules)
    start = since / 1000
    lead = min(loaded.retention(), max(0.0, (since - recording.first) / 1000))
    services = loaded.settings.services
    piece = Rehearsal(
        loaded=loaded,
        transactions=recording.transactions(since - round(lead * 1000), until, written),
        start=start,
        end=until / 1000,
        muted=lambda name: name.startswith(OURS) and name not in written,
        actors=recording.actors(lambda ident: services[ident].enable if ident in services else None),
        lead=lead,
        delayed_names=delayed_names,
    )
    return play(piece)


def _written(rules: RuleSet) -> frozenset[str]:
    """The metrics that these rules write themselves: what was recorded of them came from other rules."""
    return frozenset({ALERTS, ALERTS_FOR_STATE, *(rule.name for rule in rules.rules if isinstance(rule, RecordRule))})


# ---------------------------------------------------------------- two rule sets


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the two rule sets do not do alike. `side`: `a`, `b`, or `both` (then `text` says in what)."""

    at: float
    side: str
    what: str
    text: str


def difference(a: Played, b: Played) -> list[Difference]:
    """In what two rule sets differ over the same recording, in time order."""
    return sorted([*_alerts(a, b), *_deeds(a, b)], key=lambda one: (one.at, one.what))


def _alerts(a: Played, b: Played) -> list[Difference]:
    found: list[Difference] = []
    theirs = list(b.fired)
    for mine in a.fired:
        twin = next((one for one in theirs if one.labels == mine.labels and _overlap(mine, one)), None)
        what = f"{mine.name} {mine.subject}"
        if twin is None:
            found.append(Difference(mine.at, "a", what, _span(mine)))
            continue
        theirs.remove(twin)
        if abs(mine.at - twin.at) > SAME or (_end(mine) != _end(twin) and abs(_end(mine) - _end(twin)) > SAME):
            text = f"A {_span(mine)}; B {_later(twin.at - mine.at)}{_span(twin)}"
            found.append(Difference(min(mine.at, twin.at), "both", what, text))
    found += [Difference(one.at, "b", f"{one.name} {one.subject}", _span(one)) for one in theirs]
    return found


def _deeds(a: Played, b: Played) -> list[Difference]:
    found: list[Difference] = []
    theirs = [deed for deed in b.deeds if not deed.quiet]
    for mine in (deed for deed in a.deeds if not deed.quiet):
        near = [one for one in theirs if _alike(mine, one)]
        what = f"{mine.verb} {mine.target}"
        if not near:
            found.append(Difference(mine.at, "a", what, _how(mine)))
            continue
        twin = min(near, key=lambda one: abs(one.at - mine.at))
        theirs.remove(twin)
        if abs(mine.at - twin.at) > SAME or (mine.outcome, mine.reason) != (twin.outcome, twin.reason):
            text = f"A {_how(mine)}; B {_later(twin.at - mine.at)}{_how(twin)}"
            found.append(Difference(min(mine.at, twin.at), "both", what, text))
    found += [Difference(one.at, "b", f"{one.verb} {one.target}", _how(one)) for one in theirs]
    return found


def _alike(mine: Deed, other: Deed) -> bool:
    return (mine.verb, mine.target) == (other.verb, other.target) and abs(mine.at - other.at) <= NEAR


def _overlap(mine: Fired, other: Fired) -> bool:
    return mine.at <= _end(other) and other.at <= _end(mine)


def _end(one: Fired) -> float:
    return float("inf") if one.until is None else one.until


def _span(one: Fired) -> str:
    return "fires to the end" if one.until is None else f"fires for {roughly(one.until - one.at)}"


def _later(seconds: float) -> str:
    """How much later B does it; '' for the same time."""
    if abs(seconds) <= SAME:
        return ""
    return f"{roughly(abs(seconds))} {'later' if seconds > 0 else 'earlier'}: "


def _how(deed: Deed) -> str:
    return f"refused ({deed.reason})" if deed.outcome == "refused" else deed.outcome
