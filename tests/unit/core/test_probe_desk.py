"""The core's hand on probes: what is shown of them, their series, and that series end with what they are about."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.standing import Loaded
from supervisor.facts import Container, Labels, Looked, Probed, ProbeState, Reloaded, labels
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from tests.support.desk import Turns
from tests.support.rules import rule, ruleset

BOX = Container("id-oracle", "oracle", "sha256:1", "img", status="running", started_at=1.0)
OUTSIDE = {"name": "away", "probe": "https://example.org/health"}
SERIES = {"name": "oracle", "probe": "oracle", "kind": "http"}


class Desk(Turns):
    """A decider with a service that is asked, and an endpoint outside."""

    every = 15.0

    def __init__(self, *rules: str, entry: dict[str, Any] | None = None, probes: Any = (OUTSIDE,)) -> None:
        self.clock = SimLoop().clock
        self.journal = Journal.open(None, self.clock)
        self.rules = rules
        self.loaded = self.settings(entry or {"probe": "http://:8000/health"}, probes)
        self.core: Decider = assemble(self.loaded, self.journal, self.clock)
        self.core.registry.asked()
        self.begin(self.core, self.journal, self.clock.wall(), self.clock.mono())
        self.listed(BOX)

    def settings(self, entry: dict[str, Any], probes: Any = (OUTSIDE,)) -> Loaded:
        said = {"host": "sim", "consent": "listed", "services": {"oracle": {"enable": True, **entry}}}
        return Loaded(Settings.model_validate({**said, "probes": list(probes)}), ruleset(*self.rules), ())

    def answer(self, ok: bool = True, **more: Any) -> None:
        known: dict[str, Any] = {"text": "200 OK" if ok else "refused", "seconds": 0.25, "service": "oracle"}
        known |= {"name": "oracle", "container_id": BOX.id, "started_at": BOX.started_at}
        self.turn(Probed(0, 0, ok=ok, **(known | more)))

    def shown(self, name: str = "oracle") -> ProbeState:
        return {state.name: state for state in self.core.snapshot({}).probes}[name]

    def series(self) -> dict[Labels, float]:
        """Those of the probes."""
        return {one: value for one, value in self.core.metrics(self.core.now) if "probe" in dict(one)}

    def value(self, metric: str, **pairs: str) -> float | None:
        return self.series().get(labels(metric, **(pairs or SERIES)))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_before_any_answer_everyone_who_is_asked_is_shown(desk: Desk) -> None:
    assert desk.core.snapshot({}).probes == (
        ProbeState("oracle", "oracle", "http://:8000/health"),
        ProbeState("away", "", "https://example.org/health"),
    )
    assert desk.series() == {}


def test_an_answer_is_shown_and_sampled(desk: Desk) -> None:
    desk.answer()
    shown = desk.shown()
    assert (shown.ok, shown.failing, shown.seconds, shown.text, shown.at) == (True, False, 0.25, "200 OK", desk.wall)
    assert desk.value("probe_success") == 1
    assert desk.value("probe_duration_seconds") == 0.25
    assert desk.value("resurgam_probe_failing") == 0
    assert desk.value("resurgam_probe_tokens_per_second") is None


def test_a_completion_tells_its_speed() -> None:
    desk = Desk(entry={"probe": "completion://:8000"})
    desk.answer(rate=4.0)
    assert desk.value("resurgam_probe_tokens_per_second", **{**SERIES, "kind": "completion"}) == 4.0
    assert desk.shown().rate == 4.0


@pytest.mark.parametrize("word", ["broken", "asleep"])
def test_what_tells_nothing_about_the_service_has_no_success(desk: Desk, word: str) -> None:
    desk.answer()
    desk.answer(ok=False, text="cannot", **{word: True})
    assert desk.value("probe_success") is None
    assert desk.value(f"resurgam_probe_{word}") == 1
    assert getattr(desk.shown(), word)
    desk.answer()
    assert desk.value("probe_success") == 1
    assert desk.value(f"resurgam_probe_{word}") == 0


def test_an_endpoint_outside_has_no_names_of_a_container(desk: Desk) -> None:
    desk.answer(ok=False, failing=True, name="away", service="", container_id="", started_at=0.0)
    found = {"probe": "away", "kind": "https"}
    assert desk.value("resurgam_probe_failing", **found) == 1
    assert desk.value("probe_success", **found) == 0
    assert desk.shown("away").failing
    assert not desk.shown("oracle").at


def test_a_service_that_fails_is_not_healthy_and_that_is_written_down(desk: Desk) -> None:
    desk.answer()
    assert desk.core.registry.get("oracle").healthy  # type: ignore[union-attr]
    desk.answer(ok=False, failing=True)
    assert not desk.core.registry.get("oracle").healthy  # type: ignore[union-attr]
    assert "container.unhealthy" in desk.rows
    healthy = dict(desk.core.metrics(desk.core.now))[labels("resurgam_service_healthy", name="oracle")]
    assert healthy == 0


def test_a_rule_sees_the_answer_in_its_own_turn() -> None:
    desk = Desk(rule('resurgam_probe_failing{name!=""} == 1', "ServiceNotAnswering"))
    desk.answer()
    desk.answer(ok=False)
    assert desk.core.alerts() == ()
    desk.answer(ok=False, failing=True)
    assert [alert.name for alert in desk.core.alerts()] == ["ServiceNotAnswering"]


def stopped() -> Looked:
    return Looked(0, 0, "docker", BOX.id, replace(BOX, status="exited"), ())


def test_its_series_end_with_its_run(desk: Desk) -> None:
    desk.answer(ok=False, failing=True)
    desk.turn(stopped())
    assert desk.series() == {}
    assert desk.shown() == ProbeState("oracle", "oracle", "http://:8000/health")


def test_they_end_where_another_run_began_and_an_old_answer_brings_nothing_back(desk: Desk) -> None:
    desk.answer()
    desk.turn(Looked(0, 0, "docker", BOX.id, replace(BOX, started_at=desk.wall, restart_count=1), ()))
    assert desk.series() == {}
    desk.answer()
    assert desk.series() == {}
    assert not desk.shown().at


def test_with_another_address_what_was_answered_counts_no_more(desk: Desk) -> None:
    desk.answer(ok=False, failing=True)
    desk.turn(Reloaded(0, 0, desk.settings({"probe": "tcp://:6333"}), "read again"))
    assert desk.series() == {}
    assert desk.shown() == ProbeState("oracle", "oracle", "tcp://:6333")
    desk.answer(text="port 6333 is open")
    assert desk.value("probe_success", **{**SERIES, "kind": "tcp"}) == 1


def test_a_probe_that_was_taken_out_is_shown_no_more(desk: Desk) -> None:
    desk.answer()
    desk.turn(Reloaded(0, 0, desk.settings({}), "read again"))
    assert [state.name for state in desk.core.snapshot({}).probes] == ["away"]
    assert desk.series() == {}
    desk.answer()
    assert desk.series() == {}, "an answer that was on its way"


def test_one_that_is_asked_seldom_is_told_again_meanwhile() -> None:
    desk = Desk(entry={"probe": "http://:8000/", "probe-interval": "30m"})
    desk.answer()
    for _ in range(70):
        desk.turn()
    assert desk.value("probe_success") == 1
    assert desk.shown().at == desk.wall - 70 * 15, "people are told when it answered"


def test_one_that_is_asked_often_is_not_told_in_between(desk: Desk) -> None:
    desk.answer()
    for _ in range(30):
        desk.turn()
    assert desk.series() == {}, "nobody asked for five minutes, and that is to be seen"


def test_the_snapshot_is_made_anew_when_the_word_turns_and_not_for_each_answer(desk: Desk) -> None:
    desk.answer()
    desk.core.snapshot({})
    desk.answer(seconds=0.3)
    assert not desk.core.stale_snapshot
    desk.answer(ok=False)
    assert desk.core.stale_snapshot
