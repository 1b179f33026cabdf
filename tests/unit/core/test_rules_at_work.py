"""Rules inside the core: what is shown of what they write, what is kept, how a rule that errs is told, small steps of
the clock."""

from dataclasses import replace

import pytest

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.standing import Loaded
from supervisor.facts import Labels, Readings, Reloaded, Sample, labels
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.rules.promql.evaluate import Options
from tests.support.rules import rule, ruleset

RECORD = "groups:\n- {name: r, rules: [{record: hot, expr: x > 5}]}\n"
SICK = rule("resurgam_rules_file_healthy == 0", name="Sick")


class Desk:
    """A decider, and turns with what is given."""

    def __init__(self, *texts: str, options: Options = Options(), **settings: object) -> None:
        self.clock = SimLoop().clock
        self.journal = Journal.open(None, self.clock)
        self.loaded = Loaded(Settings.model_validate({"host": "sim", **settings}), ruleset(*texts), ())
        self.core: Decider = assemble(self.loaded, self.journal, self.clock, options=options)
        self.wall, self.mono = self.clock.wall(), self.clock.mono()
        self.rows: list[tuple[str, str]] = []

    def turn(self, *samples: Sample, wall: float | None = None) -> None:
        """One turn, a second after the last one."""
        self.mono += 1
        self.wall = self.wall + 1 if wall is None else wall
        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        if samples:
            self.core.take(Readings(self.wall, self.mono, "c", samples), None)
        self.core.finish()
        self.rows += [(row.kind, row.body.get("text", "")) for row in batch.rows]
        self.journal.commit(batch)

    def shown(self) -> dict[Labels, float]:
        return dict(self.core.metrics(self.core.now))

    def states(self) -> dict[str, str]:
        return {alert.name: alert.state for alert in self.core.rules.active()}


def x(value: float, **more: str) -> Sample:
    return Sample(labels("x", **more), value)


def test_recorded_series_are_shown_and_those_about_alerts_are_not() -> None:
    desk = Desk(RECORD, rule("hot > 7"))
    desk.turn(x(9))
    names = [dict(series)["__name__"] for series in desk.shown()]
    assert "hot" in names
    assert not [name for name in names if name.startswith("ALERTS")]
    kept = [dict(series)["__name__"] for series, _ms, _value in desk.core.store.drain()]
    assert {"hot", "ALERTS", "ALERTS_FOR_STATE"} <= set(kept)  # but remembered over a restart


def test_only_what_moved_is_written_into_the_journal() -> None:
    desk = Desk(rule("x > 5"))
    desk.turn(x(9))
    count = len(desk.rows)
    for value in (8, 7, 9):
        desk.turn(x(value))
    assert len(desk.rows) == count
    assert [key for key, _ in desk.journal.space("alert").items()] == [desk.core.rules.active()[0].fingerprint]
    desk.turn(x(1))
    assert desk.journal.space("alert") == {}


def test_a_rule_that_errs_raises_an_alert_at_once_and_ends_it_by_itself() -> None:
    desk = Desk(rule("x / on (k) x > 0"), SICK)
    desk.turn(x(1, k="1"))
    desk.turn(x(1, k="1", twin="1"))
    desk.turn()
    assert desk.states() == {"A": "firing", "Sick": "firing"}
    said = next(text for kind, text in desk.rows if kind == "daemon.rules_bad")
    assert ": A: " in said
    assert said.endswith("its alerts stay as they are until it evaluates again.")
    for _ in range(320):
        desk.turn(x(1, k="1"))
    assert desk.states() == {"A": "firing"}
    assert [text for kind, text in desk.rows if kind == "daemon.rules_bad"][-1].endswith("evaluates again.")


def test_templates_know_the_labels_and_the_address_of_this_box_also_after_a_reload() -> None:
    text = rule("x > 5", annotations='{summary: "{{ $externalLabels.box }} {{ $externalURL }}"}')
    desk = Desk(text, external_labels={"box": "b1"}, external_url="http://b1/")
    desk.turn(x(9))
    assert desk.core.rules.active()[0].annotations["summary"] == "b1 http://b1/"
    other = Settings.model_validate({"host": "sim", "external_labels": {"box": "b2"}})
    desk.core.take(Reloaded(desk.wall, desk.mono, replace(desk.loaded, settings=other), "read again"), None)
    desk.turn(x(9))
    assert desk.core.rules.active()[0].annotations["summary"] == "b2 "


@pytest.mark.parametrize("delayed", [False, True])
def test_the_switch_for_delayed_names_reaches_the_rules(delayed: bool) -> None:
    text = """groups:\n- {name: r, rules: [{record: both, expr: 'count({__name__=~"x.*"} * 2)'}]}\n"""
    desk = Desk(text, options=Options(delayed_names=delayed))
    desk.turn(x(1), Sample(labels("x2"), 1.0))
    assert (labels("both") in desk.shown()) == delayed  # else two elements have become one
    assert desk.core.rules.options.delayed_names == delayed


def test_a_clock_set_back_a_little_stands_still_and_loses_no_sample() -> None:
    desk = Desk(rule("x > 5", for_="10s"))
    start = desk.wall
    desk.turn(x(9))
    for _ in range(4):
        desk.turn(x(9))
    desk.turn(x(9), wall=desk.wall - 4)
    for _ in range(3):
        desk.turn(x(9))
    assert desk.core.store.counts["samples_out_of_order"] == 0
    assert desk.core.now == start + 5
    assert not [kind for kind, _text in desk.rows if kind == "daemon.clock_jump"]
    desk.turn(x(9), wall=desk.wall - 4)  # too much in all: now it is a jump
    assert [kind for kind, _text in desk.rows if kind == "daemon.clock_jump"] == ["daemon.clock_jump"]
    assert desk.core.store.counts["samples_out_of_order"] == 0
