"""Runs `*.actions-test.yaml`: which verb runs on which target at which time, or why it does not.

In: a path. Out: a `FileRun`. Each test is a rehearsal of its own (`rehearsal.py`): the given series are one more
collector, our own series of the same names are not heard, and the services are simulated. An expectation is met by a
deed that was decided at its time or within one interval (or its `within`) after it; a deed that nobody expected fails
the test, unless it says `only: false`.
"""

from collections.abc import Sequence
from pathlib import Path

from supervisor.errors import ConfigError
from supervisor.lab import rehearsal
from supervisor.lab.actionsfile import ActionsFile, ActionsTest, Expectation, read
from supervisor.lab.outcomes import CaseRun, Failure, FileRun, roughly
from supervisor.lab.promtest import Wanted
from supervisor.lab.rehearsal import Deed, GivenSample, Played, Rehearsal, Transaction
from supervisor.lab.series import Given
from supervisor.rules.model import RecordRule

START = 1_767_225_600.0
"""2026-01-01 00:00 UTC: when a test begins that does not say when."""
SLACK = 0.5
"""Seconds that readings of several collectors, and the deciding turn, may take."""


def run_file(path: Path, wanted: Wanted = lambda _name: True, delayed_names: bool = False) -> FileRun:
    """Run the tests of one file. Mistakes in it, or in the rules and playbooks it is about, are in the answer."""
    try:
        file = read(path)
    except ConfigError as err:
        return FileRun(str(path), mistakes=err.mistakes)
    runs = tuple(run_test(file, test, delayed_names) for test in file.tests if wanted(test.name))
    return FileRun(str(path), runs, warnings=file.warnings)


def run_test(file: ActionsFile, test: ActionsTest, delayed_names: bool = False) -> CaseRun:
    """Run one test of a file."""
    start = test.start or START
    recorded = {rule.name for rule in file.loaded.rules.rules if isinstance(rule, RecordRule)}
    given = {dict(one.labels).get("__name__", "") for one in test.given.series} - recorded
    piece = Rehearsal(
        loaded=file.loaded,
        transactions=_transactions(test.given, start),
        start=start,
        end=start + test.end + SLACK,
        muted=lambda name: name in given,
        actors=file.actors,
        memory=any(event.what == "grow" for event in test.events),
        cues=tuple(cue.at(start) for cue in test.events),
        delayed_names=delayed_names,
    )
    return CaseRun(test.name, len(test.expect), tuple(_judged(test, rehearsal.play(piece))))


def _transactions(given: Given, start: float) -> list[Transaction]:
    """The given series, one transaction for every instant at which one of them has a value."""
    together: dict[int, list[GivenSample]] = {}
    for labels, ms, value in given.rows(start):
        together.setdefault(ms, []).append(GivenSample(labels, value))
    return [Transaction(ms / 1000, "given", tuple(together[ms])) for ms in sorted(together)]


# ---------------------------------------------------------------- what was expected


def _judged(test: ActionsTest, played: Played) -> list[Failure]:
    left = list(played.deeds)
    unmet: list[Expectation] = []
    for one in test.expect:
        found = next((deed for deed in left if _meets(deed, one)), None)
        if found is None:
            unmet.append(one)
        else:
            left.remove(found)
    failures = [Failure(*one.place, str(one), tuple(_instead(one, left, played))) for one in unmet]
    surplus = [deed for deed in left if not deed.quiet] if test.only else []
    if surplus:
        lines = [*(said(deed) for deed in surplus), "expect it, or say `only: false`"]
        failures.append(Failure(*test.place, "something was done that nobody expects", tuple(lines)))
    return failures + [Failure(*test.place, "a rule erred", (text,)) for text in played.troubles]


def _meets(deed: Deed, one: Expectation) -> bool:
    return one.at - SLACK / 100 <= deed.at <= one.at + one.within + SLACK and not _otherwise(deed, one)


def _otherwise(deed: Deed, one: Expectation) -> list[str]:
    """In what a deed is not as expected, its time aside."""
    found = []
    if one.verb and deed.verb != one.verb:
        found.append("verb")
    if one.target and deed.target != one.target:
        found.append("target")
    if one.outcome and deed.outcome != one.outcome:
        found.append("outcome")
    if not one.outcome and deed.outcome == "refused":
        found.append("outcome")
    if one.reason and deed.reason != one.reason and not deed.reason.startswith(f"{one.reason}_"):
        found.append("reason")
    if one.by and one.by not in (deed.by, deed.by.partition(":")[2]):
        found.append("by")
    return found


def _instead(one: Expectation, left: Sequence[Deed], played: Played) -> list[str]:
    """What came nearest to an expectation, and everything else in time order."""
    near = sorted(left, key=lambda deed: (len(_otherwise(deed, one)), abs(deed.at - one.at)))
    lines = []
    if near and len(_otherwise(near[0], one)) < 2:
        lines.append(f"nearest:  {said(near[0])}")
    if not played.deeds:
        lines.append("nothing was done or refused in this test")
        lines += [f"alert:    {roughly(one.at)} {one.name} {one.subject}" for one in played.fired]
        if not played.fired:
            lines.append("no alert fired; try its expression with: resurgam query --series FILE -- EXPR")
        return lines
    lines.append("all that happened:")
    lines += [f"    {said(deed)}" for deed in played.deeds]
    return lines


def said(deed: Deed) -> str:
    """A deed on one line."""
    how = deed.outcome + (f" ({deed.reason})" if deed.outcome in ("refused", "ended_early", "failed") else "")
    ended = f" at {roughly(deed.ended)}" if deed.ended > deed.at else ""
    return f"{roughly(deed.at)} {deed.verb} {deed.target}: {how}{ended}, by {deed.by}. {deed.text}"
