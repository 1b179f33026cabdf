"""What must be seen is seen in time, what must be quiet is quiet: the traces of the reference, and what fools rules."""

import math
from dataclasses import replace

import pytest

from supervisor.memory import forecast
from supervisor.memory.forecast import SPENT_HOLD
from supervisor.memory.foresight import Foresight, foresee
from supervisor.memory.trend import History, Mark
from tests.support import traces
from tests.support.traces import GIB, HORIZON, MIB, Seen, Trace, play

# ------------------------------------------------------------ what must be seen


@pytest.mark.parametrize(
    ("trace", "lead"),
    [
        pytest.param(traces.leak(10 * MIB, 12 * GIB), 600, id="10 MiB/s"),
        pytest.param(traces.leak(500 * MIB, 220 * GIB, every=3.0), 120, id="500 MiB/s"),
        pytest.param(traces.leak(2 * GIB, 100 * GIB, every=1.0), 20, id="2 GiB/s"),
        pytest.param(traces.ramp(5 * GIB, 60 * GIB, every=0.5), 6, id="a ramp of 12 s"),
        pytest.param(traces.ramp(10 * GIB, 40 * GIB), 2, id="a ramp of 4 s"),
    ],
)
def test_a_leak_is_seen_in_time_once_and_its_service_is_named(trace: Trace, lead: float):
    seen = play(trace)
    assert seen.lead >= lead, seen.ram
    assert seen.alarms == 1
    assert seen.blamed == {"sidecar"}
    assert seen.budgets[seen.first].culprit == "sidecar"


def test_a_leak_below_a_sawtooth_is_told_from_the_teeth():
    """What falls is the lowest point of each tooth. The alarm comes once and does not flap until the end."""
    seen = play(traces.leak_on_teeth())
    before = [one for one in seen.ram if one[0] < seen.spent]
    assert len(before) == 1
    assert seen.lead >= 500
    assert seen.blamed == {"java"}


def test_a_load_that_does_not_fit_is_told_long_before_it_hits_the_wall():
    seen = play(traces.load(230 * GIB, 220 * GIB, every=2.0))
    assert seen.lead >= 90
    first = seen.budgets[seen.first]
    assert first.culprit == ""
    assert "model loads and still needs" in first.text
    assert "by its plan, but only" in first.text


def test_swap_has_an_end_of_its_own():
    """With free swap counted as free memory the end of RAM would be hidden until swap is full."""
    seen = play(traces.into_swap())
    assert seen.first < 1068, "RAM was told before anything went into swap"
    at, on = seen.swap[0]
    assert on
    assert at < 1887 - 200
    budget = seen.budgets[at]
    assert "In swap: sidecar" in budget.text
    assert budget.effective < budget.available


def test_of_two_that_leak_the_faster_one_is_named():
    seen = play(traces.two_leakers())
    assert seen.blamed == {"b"}
    assert seen.lead > 100


def test_equal_growth_blames_the_one_that_matters_less():
    trace = traces.two_leakers()

    def even(t: float) -> traces.Instant:
        grown = max(0.0, t - 300) * 40 * MIB
        return traces.Instant({"model": 200 * GIB, "a": 4 * GIB + grown, "b": 4 * GIB + grown})

    for priority, blamed in ((0, "a"), (5, "b")):
        parts = {**trace.parts, "a": replace(trace.parts["a"], priority=priority)}
        assert play(replace(trace, parts=parts, at=even)).blamed == {blamed}


def test_shared_memory_counts_like_any_other():
    """A tmpfs that fills up is shmem of whoever writes: `used` has it, so the service is named."""
    seen = play(traces.leak(200 * MIB, 60 * GIB))
    assert seen.blamed == {"sidecar"}


def test_what_is_no_service_is_said_to_be_none():
    seen = play(traces.outside_grows())
    assert seen.alarms == 1
    assert seen.blamed == set()
    text = seen.budgets[seen.first].text
    assert "no service of ours grows beyond its plan; what is no service grew from 4 GiB to" in text


# ------------------------------------------------------------ what must be quiet


@pytest.mark.parametrize(
    "trace",
    [
        pytest.param(traces.load(180 * GIB, 220 * GIB, every=2.0), id="a load that fits"),
        pytest.param(traces.load(205 * GIB, 220 * GIB, every=2.0), id="a load that fits just so"),
        pytest.param(traces.load(180 * GIB, 220 * GIB, rate=12 * GIB, every=1.0), id="a fast load that fits"),
        pytest.param(traces.hot_swap(2.0), id="a hot-swap"),
        pytest.param(traces.teeth(), id="a heap that is cleaned up, of which nobody knows"),
        pytest.param(traces.teeth(period=150.0), id="a slower one"),
        pytest.param(traces.teeth(plan=34 * GIB, period=300.0), id="a slow one with a plan"),
        pytest.param(traces.cache_fills(), id="a cache that fills"),
        pytest.param(traces.noisy(), id="noise"),
        pytest.param(traces.page_cache_burst(), id="page cache"),
        pytest.param(traces.plan_step(), id="a plan that begins"),
    ],
)
def test_nothing_is_said(trace: Trace):
    seen = play(trace)
    assert seen.ram == []
    assert seen.swap == []
    assert seen.blamed == set()
    assert all(budget.text == "" for budget in seen.budgets.values())


def test_a_plan_that_begins_moves_what_is_left_and_not_how_it_goes():
    """The level falls by 150 GiB at once. The readings before are seen under the new plans, so there is no cliff."""
    seen = play(traces.plan_step())
    assert seen.budgets[295.0].effective - seen.budgets[300.0].effective > 140 * GIB
    assert all(math.isinf(budget.exhaustion[0].seconds) for t, budget in seen.budgets.items() if 300 <= t <= 420)


def test_a_service_within_its_plan_is_never_named_while_another_leaks():
    """The model is fifty times as large, and its heap moves more than the leak does."""
    trace = traces.leak(10 * MIB, 12 * GIB)
    seen = play(trace)
    assert "model" not in seen.blamed


# ------------------------------------------------------------ how it ends, and what it survives


def test_once_the_culprit_stands_still_it_is_soon_over():
    """A ladder verifies a freeze by this; what is urgent is over sooner."""
    urgent = play(traces.ramp(500 * MIB, 60 * GIB, every=1.0, calm=300.0, until=390.0))
    assert [on for _at, on in urgent.ram] == [True, False]
    assert urgent.ram[1][0] - 390 <= 20


def test_a_slow_one_is_over_a_little_later():
    slow = play(traces.ramp(40 * MIB, 60 * GIB, every=5.0, calm=300.0, until=1200.0))
    assert [on for _at, on in slow.ram] == [True, False]
    assert slow.ram[1][0] - 1200 <= 90


def test_the_named_one_stays_named_until_it_is_over():
    seen = play(traces.ramp(500 * MIB, 60 * GIB, every=1.0, calm=300.0, until=390.0))
    assert [name for _at, name in seen.culprits] == ["sidecar", ""]
    assert seen.culprits[1][0] == seen.ram[1][0]


def test_what_was_frozen_stays_named_while_the_end_is_near():
    """It grows no more, more is planned than there is, and readings scatter: that is not somebody else's leak."""
    held = 40 + 29.0

    def at(t: float) -> traces.Instant:
        grown = max(0.0, min(t, held) - 40) * 2 * GIB
        return traces.Instant({"model": 180 * GIB + traces.noise(t, 50 * MIB), "sidecar": 4 * GIB + grown})

    parts = {"model": traces.Part(200 * GIB), "sidecar": traces.Part(4 * GIB)}
    trace = Trace(parts, at, held + 70, every=0.25)
    state, names = Foresight(), []
    for t in trace.instants():
        sums = trace.sums(t)
        frozen = tuple(replace(one, frozen=one.service == "sidecar" and t > held) for one in sums.services)
        state, made = foresee(state, replace(sums, services=frozen), t, HORIZON)
        if made.exhaustion[0].certain:
            names.append(made.culprit)
    assert len(names) > 100
    assert set(names) == {"sidecar"}


def _through(trace: Trace, skip: tuple[float, float]) -> Seen:
    """Play it without the readings between these seconds."""
    whole = list(trace.instants())
    kept = [t for t in whole if not skip[0] < t < skip[1]]

    class Gap(Trace):
        def instants(self):  # type: ignore[no-untyped-def]
            return iter(kept)

    return play(Gap(trace.parts, trace.at, trace.seconds, trace.every, trace.swap, trace.total, trace.reserve))


def test_a_gap_in_the_readings_begins_anew():
    """Before a suspend and after it are two stories: what lies between them is no fall."""

    def at(t: float) -> traces.Instant:
        return traces.Instant({"model": (100 if t < 400 else 240) * GIB + noise(t)})

    def noise(t: float) -> float:
        return traces.noise(t, 20 * MIB)

    trace = Trace({"model": traces.Part(0.0)}, at, 900.0)
    assert _through(trace, (390.0, 600.0)).ram == []


def test_a_leak_is_seen_in_spite_of_a_short_gap():
    seen = _through(traces.leak(500 * MIB, 220 * GIB, every=2.0), (400.0, 440.0))
    assert seen.lead >= 100


def test_a_new_start_says_nothing_until_it_knows_enough():
    """After a restart of ours the windows are empty: the first readings alone are no trend, in the midst of a load."""
    trace = traces.load(180 * GIB, 220 * GIB, every=2.0)
    state = Foresight()
    for t in (340.0, 342.0, 344.0, 346.0, 350.0):
        state, made = foresee(state, trace.sums(t), t, HORIZON)
        assert not made.exhaustion[0].certain
        assert math.isinf(made.exhaustion[0].seconds)


@pytest.mark.parametrize("blind", [(0.0,), (60.0,), (0.0, 2.0, 4.0)])
def test_a_reading_that_knew_no_service_hides_no_leak(blind: tuple[float, ...]):
    """The first one after a start: what it did not know is not nothing, or less was never left than at that moment."""
    trace = traces.leak(500 * MIB, 220 * GIB, every=2.0)
    state, foreseen = Foresight(), {False: 0, True: 0}
    for part in (False, True):
        for t in trace.instants():
            sums = trace.sums(t)
            if part and t in blind:
                gone = tuple(replace(one, used=0.0, resident=0.0, unread=one.running) for one in sums.services)
                sums = replace(sums, services=gone)
            state, made = foresee(state, sums, t, HORIZON)
            foreseen[part] += made.exhaustion[0].certain
        state = Foresight()
    assert foreseen[True] >= foreseen[False] > 0


def test_a_limit_that_is_moved_is_no_fall():
    trace = traces.noisy()
    state = Foresight()
    for t in range(0, 200, 5):
        sums = trace.sums(float(t))
        smaller = replace(sums, total=sums.total - 30 * GIB, available=max(0.0, sums.available - 30 * GIB))
        state, made = foresee(state, sums if t < 100 else smaller, float(t), HORIZON)
        assert not made.exhaustion[0].certain


def test_a_reading_from_the_past_is_left_out():
    mark = Mark(100.0, GIB, 0.0, {})
    history = History().then(mark)
    assert history.then(replace(mark, at=99.0)) is history
    assert history.then(mark) is history


# ------------------------------------------------------------ the hold


def _fell(seconds: float, every: float = 1.0, rate: float = GIB) -> list[forecast.Standing]:
    """The standings of a fall that has `seconds` left when it begins to be looked at."""
    history, standing, found = History(), forecast.Standing(), []
    for number in range(int(seconds / every)):
        t = number * every
        history = history.under({}, 0.0).then(Mark(t, (seconds - t) * rate, 0.0, {}))
        standing = forecast.ram(standing, history, HORIZON)
        found.append(standing)
    return found


@pytest.mark.parametrize("left", [12.0, 28.0])
def test_it_is_certain_after_a_quarter_of_the_time_that_is_left(left: float):
    found = _fell(left, 0.25)
    began = next(number for number, one in enumerate(found) if one.since is not None)
    certain = next(number for number, one in enumerate(found) if one.certain)
    waited = (certain - began) * 0.25
    remains = found[certain].outlook.seconds
    assert remains / 4 - 0.5 <= waited <= remains / 4 + 0.5


@pytest.mark.parametrize(("rate", "least", "most"), [(60 * MIB, 1.5, 3.5), (MIB, SPENT_HOLD, SPENT_HOLD + 1)])
def test_once_the_reserve_is_eaten_the_hold_follows_what_is_really_left(rate: float, least: float, most: float):
    """No time is left by the plan then, but the kernel kills later: with nine seconds of real memory there is no time
    to look on for ten; where it is minutes, scatter is not to be taken for a fall."""
    history, standing, since, reserve = History(), forecast.Standing(), math.inf, 512 * MIB
    for number in range(120):
        t = number * 0.25
        history = history.under({}, reserve).then(Mark(t, reserve + 0.8 * rate - rate * t, 0.0, {}))
        standing = forecast.ram(standing, history, HORIZON)
        since = min(since, t) if standing.since is not None else math.inf
        if standing.certain:
            break
    assert standing.certain
    assert least <= t - since <= most


def test_one_break_and_it_begins_again():
    standing = forecast.Standing(since=10.0, last=19.0)
    broken = forecast._stand(standing, None, forecast.Outlook(), 20.0, HORIZON)
    assert broken.since is None
    again = forecast._stand(broken, None, forecast.Outlook(seconds=800.0, hold=30.0), 21.0, HORIZON)
    assert (again.since, again.certain) == (21.0, False)


def test_what_is_certain_does_not_flap_around_the_horizon():
    standing = forecast._stand(
        forecast.Standing(since=0.0, last=39.0), None, forecast.Outlook(890.0, hold=30.0), 40.0, HORIZON
    )
    assert standing.certain
    for t, seconds in ((45.0, 905.0), (50.0, 895.0), (55.0, 940.0)):
        standing = forecast._stand(standing, None, forecast.Outlook(seconds, hold=30.0), t, HORIZON)
        assert standing.certain
    still = forecast._stand(standing, None, forecast.Outlook(), 80.0, HORIZON)
    assert still.certain
    assert not forecast._stand(still, None, forecast.Outlook(), 90.0, HORIZON).certain


# ------------------------------------------------------------ planted bugs: what a naive rule would say


def test_with_swap_added_to_what_is_free_the_end_would_be_told_too_late(monkeypatch: pytest.MonkeyPatch):
    honest = play(traces.into_swap()).first
    monkeypatch.setattr(forecast, "_level", lambda mark: mark.level + mark.swap_free)
    assert play(traces.into_swap()).first > honest + 100


def test_without_recomputed_history_a_plan_would_look_like_a_cliff(monkeypatch: pytest.MonkeyPatch):
    def forgetful(self: History, plans, reserve):  # type: ignore[no-untyped-def]
        return replace(self, plans=dict(plans), reserve=reserve)

    monkeypatch.setattr(History, "under", forgetful)
    assert play(replace(traces.load(180 * GIB, 220 * GIB, every=2.0), seconds=500.0)).ram != []


def test_without_the_plan_a_load_is_a_leak():
    """The signature is the same, and only the plan tells them apart: the same load with it is among the quiet ones."""
    trace = replace(traces.load(205 * GIB, 220 * GIB, every=3.0), seconds=450.0)
    blind = replace(trace, parts={**trace.parts, "model": replace(trace.parts["model"], plan=0.0, loading=0.0)})
    assert play(blind).ram != []
    still_loading = replace(trace, parts={**trace.parts, "model": replace(trace.parts["model"], plan=0.0)})
    seen = play(still_loading)
    assert seen.blamed == set(), "one that loads without a plan is told of, and never blamed"
    assert "declare `memory` for it" in seen.budgets[seen.first].text
