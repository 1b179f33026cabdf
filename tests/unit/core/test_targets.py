"""What others offer, in the core: series that end when their source no longer has them, and how each target is."""

from typing import Any

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.standing import Loaded
from supervisor.facts import Labels, Readings, Sample, TargetState, labels
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.samples import Store
from tests.support.rules import rule, ruleset

C = "scrape:node:a:1"
UP = labels("up", job="node", instance="a:1")
DOWN = rule("up == 0", name="TargetDown")
HIGH = rule("kpi > 5", name="High")


class Desk:
    """A decider, and scrapes handed to it."""

    def __init__(self, *rules: str, store: Store | None = None, remembered: Any = ()) -> None:
        self.clock = SimLoop().clock
        self.journal = Journal.open(None, self.clock)
        settings = Settings.model_validate({"host": "sim"})
        loaded = Loaded(settings, ruleset(*rules), ())
        self.core = assemble(loaded, self.journal, self.clock, remembered, store)
        self.wall, self.mono = self.clock.wall(), self.clock.mono()

    def turn(self, *facts: Readings) -> None:
        self.wall, self.mono = self.wall + 15, self.mono + 15
        batch = self.journal.batch()
        self.core.begin(batch, self.wall, self.mono)
        for fact in facts:
            self.core.take(fact, None)
        self.core.finish()
        self.core.effects.clear()
        self.journal.commit(batch)

    def scraped(self, up: bool = True, collector: str = C, text: str = "", **values: float) -> Readings:
        instance = collector.partition(":")[2].partition(":")[2]
        own = {"job": "node", "instance": instance}
        brought = tuple(Sample(labels(name, **own), value) for name, value in values.items())
        state = TargetState("node", instance, up, self.wall, 0.1, len(brought), text=text)
        at, mono = self.wall + 15, self.mono + 15
        ours = (Sample(labels("up", **own), float(up)),)
        return Readings(at, mono, collector, ours, brought=brought, whole=True, target=state)

    def gone(self, collector: str = C) -> Readings:
        return Readings(self.wall + 15, self.mono + 15, collector, (), whole=True)

    def shown(self) -> dict[Labels, float]:
        return dict(self.core.metrics(self.core.now))

    def alerts(self) -> dict[str, str]:
        return {alert.name: alert.state for alert in self.core.alerts()}


def kpi(instance: str = "a:1") -> Labels:
    return labels("kpi", job="node", instance=instance)


def test_a_series_that_vanishes_ends_at_once_and_its_alert_with_it() -> None:
    desk = Desk(HIGH)
    desk.turn(desk.scraped(kpi=7.0, other=1.0))
    assert desk.alerts() == {"High": "firing"}
    desk.turn(desk.scraped(other=1.0))
    assert kpi() not in desk.shown()
    assert labels("other", job="node", instance="a:1") in desk.shown()
    assert desk.alerts() == {}
    desk.turn(desk.scraped(kpi=8.0, other=1.0))
    assert desk.alerts() == {"High": "firing"}


def test_a_target_that_fails_leaves_up_alone() -> None:
    desk = Desk(DOWN, HIGH)
    desk.turn(desk.scraped(kpi=7.0))
    desk.turn(desk.scraped(up=False, text="nothing listens on a:1"))
    found = {name: value for name, value in desk.shown().items() if name in (UP, kpi())}
    assert found == {UP: 0.0}
    assert desk.alerts() == {"TargetDown": "firing"}
    (target,) = desk.core.snapshot({}).targets
    assert (target.up, target.text) == (False, "nothing listens on a:1")


def test_a_target_that_is_taken_out_leaves_nothing() -> None:
    desk = Desk(DOWN)
    desk.turn(desk.scraped(up=False), desk.scraped(collector="scrape:node:b:1", kpi=1.0))
    assert desk.alerts() == {"TargetDown": "firing"}
    desk.turn(desk.gone())
    assert UP not in desk.shown()
    assert kpi("b:1") in desk.shown(), "another target's series of the same name go on"
    desk.turn()  # a rule fed by several collectors waits a moment for the others
    assert desk.alerts() == {}
    assert [target.instance for target in desk.core.snapshot({}).targets] == ["b:1"]


def test_an_overtaken_reading_takes_no_end_with_it() -> None:
    """Lanes keep the newest reading of a collector only: what ended is told from what there was, not from a word."""
    desk = Desk()
    desk.turn(desk.scraped(kpi=1.0, other=1.0))
    desk.turn(desk.scraped(third=1.0))  # one in between, in which the two had ended, was never seen
    names = {dict(series)["__name__"] for series in desk.shown() if dict(series).get("job") == "node"}
    assert names == {"up", "third"}


def test_the_snapshot_is_made_anew_only_when_a_target_changes() -> None:
    desk = Desk()
    desk.turn(desk.scraped(kpi=1.0))
    assert desk.core.stale_snapshot
    desk.core.snapshot({})
    desk.turn(desk.scraped(kpi=2.0))
    assert not desk.core.stale_snapshot
    desk.turn(desk.scraped(up=False))
    assert desk.core.stale_snapshot


def test_others_fill_their_own_room_and_never_ours() -> None:
    store = Store(max_series=100)
    desk = Desk(store=store)
    many = {f"kpi_{n}": 1.0 for n in range(60)}
    desk.turn(desk.scraped(**many))
    theirs = [name for name in desk.shown() if dict(name)["__name__"].startswith("kpi")]
    assert len(theirs) == 50
    assert UP in desk.shown()
    (target,) = desk.core.snapshot({}).targets
    assert target.left_out == 10
    assert "found no room" in target.text
    desk.turn(desk.scraped(collector="scrape:node:b:1", kpi=1.0))
    assert desk.shown()[labels("up", job="node", instance="b:1")] == 1.0
    room = 100 - (len(store) - 50)
    ours = tuple(Sample(labels("resurgam_x", n=str(n)), 1.0) for n in range(room))
    desk.turn(Readings(desk.wall + 15, desk.mono + 15, "c", ours))
    assert len([name for name in desk.shown() if dict(name)["__name__"] == "resurgam_x"]) == room


def test_after_a_restart_what_others_had_brought_still_takes_their_room_only() -> None:
    now = SimLoop().clock.wall()
    theirs = [(labels("kpi", n=str(n)), round(now * 1000), 1.0) for n in range(80)]
    mine = [(labels("resurgam_service_healthy", name=str(n)), round(now * 1000), 1.0) for n in range(100)]
    store = Store(max_series=100)
    Desk(store=store, remembered=[*theirs, *mine])
    names = [dict(row[0])["__name__"] for row in store.latest(now)]
    assert (names.count("resurgam_service_healthy"), names.count("kpi")) == (100, 50)
