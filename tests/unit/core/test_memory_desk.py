"""The core's hand on memory: samples in the transaction of their reading, sums that follow the services, what outlives
a restart."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.decider import Decider
from supervisor.core.previewing import wished
from supervisor.core.standing import Loaded
from supervisor.facts import (
    Command,
    Container,
    EngineEvent,
    GroupMemory,
    HostReading,
    Looked,
    MemoryBudget,
    MemorySource,
    Readings,
    Sample,
    ServiceMemory,
    labels,
)
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.verdicts import Reason
from tests.support.desk import Turns
from tests.support.rules import rule, ruleset

GIB, MIB = float(1 << 30), float(1 << 20)
TOTAL = 64 * GIB


def box(name: str, ident: str = "", status: str = "running", **more: Any) -> Container:
    return Container(
        ident or f"id-{name}",
        name,
        f"sha256:{name}",
        "img",
        status=status,
        started_at=1.0 if status == "running" else 0.0,
        **more,
    )


class Desk(Turns):
    """A decider with two services, and readings of the machine they run on."""

    def __init__(self, *rules: str, journal: Journal | None = None, **services: Any) -> None:
        self.clock = SimLoop().clock
        self.journal = journal or Journal.open(None, self.clock)
        entries = {name: {"enable": True, **more} for name, more in services.items()}
        settings = Settings.model_validate({"host": "sim", "consent": "listed", "services": entries, "proof": "60s"})
        self.core: Decider = assemble(Loaded(settings, ruleset(*rules), ()), self.journal, self.clock)
        self.begin(self.core, self.journal, self.clock.wall(), self.clock.mono())

    def read(self, groups: Mapping[str, GroupMemory], available: float, *samples: Sample, seconds: float = 5.0) -> None:
        self.turn(reading(groups, available, *samples), seconds=seconds)

    @property
    def budget(self) -> MemoryBudget:
        found = self.core.memory.budget(self.core)
        assert found is not None
        return found

    def part(self, name: str) -> ServiceMemory:
        found = self.budget.of(name)
        assert found is not None
        return found

    def value(self, metric: str, **pairs: str) -> float | None:
        return dict(self.core.metrics(self.core.now)).get(labels(metric, **pairs))


def reading(groups: Mapping[str, GroupMemory], available: float, *samples: Sample) -> Readings:
    memory = {"MemTotal": TOTAL, "MemAvailable": available, "SwapTotal": 0.0, "SwapFree": 0.0}
    sources = (MemorySource("meminfo", True, "reads"),)
    return Readings(0.0, 0.0, "host", samples, HostReading(memory, groups), sources)


def held(**sizes: float) -> dict[str, GroupMemory]:
    return {f"id-{name}": GroupMemory(anon=size * GIB) for name, size in sizes.items()}


def model(**more: Any) -> Desk:
    desk = Desk(model={"memory": "40GiB"}, sidecar={"memory": "1GiB"}, **more)
    desk.listed(box("model"), box("sidecar"))
    return desk


def test_before_any_reading_nothing_is_known() -> None:
    desk = model()
    assert desk.core.memory.budget(desk.core) is None
    assert desk.core.snapshot({}).budget is None
    assert desk.core.world().memory is None


def test_a_reading_becomes_a_budget_for_the_snapshot_and_the_guard() -> None:
    desk = model()
    desk.read(held(model=30, sidecar=0.5), 30 * GIB)
    shown = desk.core.snapshot({})
    assert shown.budget is not None
    assert shown.budget.planned == 41 * GIB
    assert shown.budget.effective == 30 * GIB - 10.5 * GIB - 0.02 * TOTAL
    assert shown.memory == {"model": 30 * GIB, "sidecar": 0.5 * GIB}
    assert [one.name for one in shown.sources] == ["meminfo"]
    assert shown.host_memory["MemAvailable"] == 30 * GIB
    assert desk.core.world().memory == shown.budget


def test_what_follows_from_a_reading_is_of_its_transaction() -> None:
    """A rule that joins both sees them together, at the very instant."""
    own, ours = "node_memory_MemAvailable_bytes", "resurgam_memory_effective_available_bytes"
    desk = Desk(rule(f"{own} - {ours} > 0", name="Together"), model={"memory": "40GiB"})
    desk.listed(box("model"))
    desk.read(held(model=30), 30 * GIB, Sample(labels(own), 30 * GIB))
    assert [alert.name for alert in desk.core.rules.active()] == ["Together"]
    assert desk.value("resurgam_service_memory_used_bytes", name="model") == 30 * GIB
    assert desk.value("resurgam_memory_at_risk", resource="ram") == 0.0


def test_a_stop_counts_before_the_next_reading() -> None:
    desk = model()
    desk.read(held(model=40, sidecar=1), 20 * GIB)
    assert desk.budget.planned == 41 * GIB
    desk.turn(Looked(0, 0, "docker", "id-model", box("model", status="exited")))
    assert not desk.part("model").running
    assert desk.budget.planned == 1 * GIB


def test_a_start_that_does_not_fit_is_refused_and_looked_at_again_once_it_does() -> None:
    desk = Desk(model={"memory": "40GiB"}, other={"memory": "30GiB"})
    desk.listed(box("model"), box("other", status="exited", exit_code=1))
    desk.read(held(model=40), 23 * GIB)
    start = Command(0, 0, "start", "other", {}, "uid:0", "socket")
    desk.turn(start)
    decision = desk.core.decisions[0]
    assert decision.verdict.reason is Reason.NO_ROOM
    assert "other needs 30 GiB; of 64 GiB 1.3 GiB are the system's and 40 GiB are planned (model 40 GiB)" in (
        decision.verdict.text
    )
    desk.turn(Looked(0, 0, "docker", "id-model", box("model", status="exited")))
    desk.turn(start)
    assert desk.core.decisions[0].verdict.ok


def test_a_reading_before_the_first_sweep_hides_no_leak() -> None:
    """It knows no service: what they hold would be missing twice, and no fall after it would be new."""
    told = []
    for early in (0, 2):
        desk = Desk(model={"memory": "40GiB"}, sidecar={"memory": "1GiB"})
        for _ in range(early):
            desk.read(held(model=40, sidecar=1), 22 * GIB, seconds=1.0)
        desk.listed(box("model"), box("sidecar"))
        for number in range(80):
            grown = max(0, number - 50) * 0.75
            desk.read(held(model=40, sidecar=1 + grown), (22 - grown) * GIB, seconds=1.0)
            if desk.budget.culprit:
                break
        told.append(number)
    assert told[0] == told[1] < 79


def test_a_preview_knows_the_plan_that_was_learned() -> None:
    """As the plan itself does: nobody is told that nobody knows it."""
    desk = Desk(model={"memory": "40GB"}, web={})
    desk.listed(box("model"), box("web"))
    for _ in range(20):
        desk.read(held(model=30, web=2), 30 * GIB)
    (ahead,) = wished(desk.core, Command(0, 0, "freeze", "web", {}, "uid:0", "socket")).ahead
    assert ahead.plan is not None
    assert ahead.plan.found["memory_plan"] == pytest.approx(2.2 * GIB)
    assert ahead.plan.found["sizes_like"] == 40e9


def test_a_leak_is_told_by_series_and_the_snapshot() -> None:
    desk = model()
    for number in range(40):
        grown = max(0, number - 10) * 0.75
        desk.read(held(model=40, sidecar=1 + grown), (22 - grown) * GIB, seconds=1.0)
        if desk.budget.culprit:
            break
    assert desk.budget.culprit == "sidecar"
    assert desk.value("resurgam_memory_at_risk", resource="ram") == 1.0
    assert desk.value("resurgam_service_memory_culprit", name="sidecar") == 1.0
    assert "over its plan of 1 GiB" in desk.budget.text
    desk.turn(Looked(0, 0, "docker", "id-sidecar", box("sidecar", status="exited")))
    assert desk.budget.culprit == "", "what was stopped is nobody to blame, and needs no reading to say so"


def test_where_no_group_can_be_read_the_engine_is_asked() -> None:
    desk = model()
    desk.turn(
        Readings(0, 0, "docker", (Sample(labels("container_memory_working_set_bytes", name="model"), 38 * GIB),)),
    )
    desk.read({}, 20 * GIB)
    assert (desk.part("model").used, desk.part("model").unread) == (38 * GIB, False)
    assert desk.part("sidecar").unread
    assert desk.core.snapshot({}).memory == {"model": 38 * GIB}
    assert desk.budget.effective == 20 * GIB - 2 * GIB - 0.02 * TOTAL, "what nobody knows does not still have to come"


def test_what_was_learned_outlives_a_restart() -> None:
    desk = Desk(stray={})
    desk.listed(box("stray"))
    for size in (3, 9, 8, 8, 8, 8, 8, 8):
        desk.read(held(stray=size), 20 * GIB, seconds=20.0)
    # healthy at once, as far as can be seen; 60 s are its proof
    assert desk.part("stray").source == "learned"
    assert desk.part("stray").plan == pytest.approx(9.9 * GIB)
    again = Desk(journal=desk.journal, stray={})
    again.listed(box("stray"))
    again.read(held(stray=2), 20 * GIB)
    assert again.part("stray").plan == pytest.approx(9.9 * GIB)
    assert again.budget.text == ""


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_figures_that_are_none_are_left_out(bad: float) -> None:
    desk = model()
    desk.read({**held(model=30), "id-sidecar": GroupMemory(anon=bad)}, 30 * GIB)
    assert desk.part("sidecar").unread
    before = desk.budget
    desk.read(held(model=30, sidecar=1), bad)
    assert desk.budget == before


def test_of_a_machine_that_cannot_be_read_the_samples_count_and_there_is_no_budget() -> None:
    desk = model()
    desk.turn(Readings(0, 0, "host", (Sample(labels("resurgam_memory_source_live", source="meminfo"), 0.0),)))
    assert desk.core.memory.budget(desk.core) is None
    assert desk.core.snapshot({}).host_memory == {}
    assert desk.value("resurgam_memory_source_live", source="meminfo") == 0.0


def test_twenty_minutes_of_readings_leave_little_behind() -> None:
    desk = Desk(model={"memory": "40GiB"})
    desk.listed(box("model"))
    fact = reading(held(model=30), 30 * GIB)
    for number in range(250):
        desk.core.memory.read(desk.core, replace(fact, mono=desk.mono + 5 * number), desk.wall)
    history = desk.core.memory._before.history
    assert len(history.fresh) + len(history.near) + len(history.far) < 100


def test_an_engines_word_of_a_kill_is_held_against_the_last_reading() -> None:
    """At a limit around them the engine tells of the innocent as well; what cannot be read is believed."""
    desk = Desk(a={}, b={})
    desk.listed(box("a"), box("b"))
    live = MemorySource("groups", True, "…")

    def read(**kills: float) -> None:
        groups = {f"id-{name}": GroupMemory(oom_kills=number) for name, number in kills.items()}
        desk.turn(replace(reading(groups, 30 * GIB), sources=(live,)), seconds=0.1)

    def oom(name: str) -> None:
        stamp = round((desk.wall + 0.1) * 1e9)
        desk.turn(EngineEvent(0, 0, "docker", "container", f"id-{name}", "oom", stamp), seconds=0.1)

    read(a=0, b=0)
    oom("a")
    oom("b")
    read(a=0, b=1)
    desk.turn(seconds=0.1)
    assert [one.trouble for one in desk.core.registry.services()] == ["", "oom"]
    desk.turn(seconds=10)
    assert desk.rows.count("container.oom") == 1
    read(b=1)
    oom("a")
    assert [one.trouble for one in desk.core.registry.services()] == ["oom", "oom"]
