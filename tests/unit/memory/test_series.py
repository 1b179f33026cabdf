"""What rules see of the budget."""

import math
from dataclasses import replace

from supervisor.core.made import METRICS as CHECKED
from supervisor.facts import Exhaustion, MemoryBudget, Sample, ServiceMemory, labels
from supervisor.memory.series import CULPRIT, METRICS, Series

ONE = ServiceMemory("a", 4.0, "declared", used=6.0, swap=1.0, running=True, growth=2.0, frozen=True, fuse=7.0)
TWO = ServiceMemory("b", used=3.0, running=True)
BOX = MemoryBudget(
    0.0,
    100.0,
    5.0,
    7.0,
    50.0,
    40.0,
    swap_declared=9.0,
    exhaustion=(Exhaustion("ram", math.inf, 40.0, 0.0), Exhaustion("swap", 30.0, 1.0, 1.0, certain=True)),
    services=(ONE, TWO),
)
NAMES = {"a": {"name": "a"}, "b": {"name": "b"}}


def values(samples: tuple[Sample, ...]) -> dict[tuple[str, str], float]:
    found = {}
    for sample in samples:
        pairs = dict(sample.labels)
        found[pairs.pop("__name__"), pairs.get("name", pairs.get("resource", ""))] = sample.value
    assert len(found) == len(samples), "no series twice"
    return found


def test_every_figure_has_its_series():
    found = values(Series().samples(BOX, NAMES))
    assert found["resurgam_memory_seconds_to_exhaustion", "ram"] == math.inf
    assert found["resurgam_memory_seconds_to_exhaustion", "swap"] == 30.0
    assert found["resurgam_memory_at_risk", "ram"] == 0.0
    assert found["resurgam_memory_at_risk", "swap"] == 1.0
    assert found["resurgam_memory_effective_available_bytes", ""] == 40.0
    assert found["resurgam_memory_planned_bytes", ""] == 7.0
    assert found["resurgam_memory_headroom_bytes", ""] == 88.0
    assert found["resurgam_memory_reserve_bytes", ""] == 5.0
    assert found["resurgam_swap_declared_bytes", ""] == 9.0
    assert found["resurgam_service_memory_plan_bytes", "a"] == 4.0
    assert found["resurgam_service_memory_used_bytes", "a"] == 6.0
    assert found["resurgam_service_memory_over_bytes", "a"] == 2.0
    assert found["resurgam_service_memory_swap_bytes", "a"] == 1.0
    assert found["resurgam_service_memory_growth_bytes_per_second", "a"] == 2.0
    assert found["resurgam_service_frozen", "a"] == 1.0
    assert found["resurgam_service_fuse_bytes", "a"] == 7.0
    assert ("resurgam_service_memory_plan_bytes", "b") not in found
    assert (CULPRIT, "a") not in found


def test_the_culprit_is_1_and_then_0_once():
    series = Series()
    blamed = replace(BOX, culprit="a")
    rounds = [replace(box, at=100.0 + n) for n, box in enumerate((BOX, blamed, blamed, BOX, BOX))]
    said = [values(series.samples(box, NAMES)).get((CULPRIT, "a")) for box in rounds]
    assert said == [None, 1.0, 1.0, 0.0, None]
    both = values(series.samples(blamed, NAMES)) | values(series.samples(replace(BOX, culprit="b"), NAMES))
    assert (both[CULPRIT, "a"], both[CULPRIT, "b"]) == (0.0, 1.0)


def test_between_two_full_rounds_only_those_come_that_matter_at_once():
    series = Series()
    used = "resurgam_service_memory_used_bytes"
    for seconds, expected in ((0.0, {"a", "b"}), (0.25, {"a"}), (0.5, {"a"}), (4.9, {"a", "b"}), (5.1, {"a"})):
        found = values(series.samples(replace(BOX, at=1000.0 + seconds), NAMES))
        assert {name for metric, name in found if metric == used} == expected, seconds
        assert ("resurgam_memory_at_risk", "ram") in found


def test_what_stands_still_is_told_once_a_minute_and_at_once_where_it_changes_or_its_series_may_have_ended():
    series, plan, fuse = Series(), "resurgam_service_memory_plan_bytes", "resurgam_service_fuse_bytes"

    def told(seconds, box=BOX, about=NAMES):
        found = values(series.samples(replace(box, at=1000.0 + seconds), about))
        assert ("resurgam_service_memory_used_bytes", "b") in found
        return {metric: value for (metric, name), value in found.items() if name == "a" and metric in (plan, fuse)}

    loose = replace(BOX, services=(replace(ONE, fuse=0.0), TWO))
    assert told(0) == {plan: 4.0, fuse: 7.0}
    assert told(5) == {}
    assert told(10, loose) == {fuse: 0.0}
    assert told(55, loose) == {}
    assert told(60, loose) == {plan: 4.0, fuse: 0.0}
    assert told(65, loose, dict(NAMES)) == {plan: 4.0, fuse: 0.0}
    assert told(10, loose) == {plan: 4.0, fuse: 0.0}, "a clock that is set back silences nobody"


def test_what_nobody_knows_is_not_said():
    unread = replace(BOX, services=(replace(ONE, unread=True),))
    found = values(Series().samples(unread, NAMES))
    assert ("resurgam_service_memory_used_bytes", "a") not in found
    assert found["resurgam_service_memory_plan_bytes", "a"] == 4.0


def test_two_services_with_one_name_give_one_sample():
    values(Series().samples(BOX, {"a": {"name": "x"}, "b": {"name": "x"}}))


def test_a_renamed_container_gets_other_series():
    series = Series()
    series.samples(BOX, NAMES)
    renamed = series.samples(BOX, {**NAMES, "a": {"name": "z"}})
    assert labels("resurgam_service_memory_used_bytes", name="z") in [sample.labels for sample in renamed]


def test_everything_made_is_known_to_the_linter():
    known = {metric.name for metric in METRICS}
    assert {dict(sample.labels)["__name__"] for sample in Series().samples(replace(BOX, culprit="a"), NAMES)} == known
    assert known <= set(CHECKED)
