"""Who is gone takes its own past along: its load is no fall of what is left for the others, nor hides it a leak."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from supervisor.memory.foresight import Foresight, foresee
from supervisor.memory.trend import FAR, History, Mark
from tests.support import traces
from tests.support.traces import GIB, HORIZON, MIB, TOTAL, Seen, Trace, play

UNEVEN = (0.05, 0.25, 0.25, 0.4, 0.25, 1.1, 0.05, 0.25, 0.7)
"""seconds between two readings of a daemon that gets its turn late"""


def _swapped_for(rate: float, gap: float, calm: float = 0.6) -> Trace:
    """In a box of 900 MiB one takes 600 of its 640, is stopped, and another takes 660 of its 700, as it was recorded.
    What the kernel needs for the pages of both is no service's."""
    stops = calm + 600 / rate + 0.25
    starts = stops + gap

    def at(t: float) -> traces.Instant:
        used = {"side": 27.5 * MIB}
        if calm <= t < stops:
            used["one"] = min(603.5, 3.5 + (t - calm) * rate) * MIB
        if t >= starts:
            used["two"] = min(663.5, 3.5 + (t - starts) * rate) * MIB
        held = used.get("one", 0.0) + used.get("two", 0.0)
        return traces.Instant(used, foreign=1.2 * MIB + 0.0055 * held + traces.noise(t, 0.4 * MIB))

    parts = {
        "side": traces.Part(64 * MIB),
        "one": traces.Part(640 * MIB, calm, stops),
        "two": traces.Part(700 * MIB, starts),
    }
    return Trace(parts, at, starts + 660 / rate + 40, 0.25, total=900 * MIB, reserve=64 * MIB)


def _unevenly(trace: Trace, first: int) -> Seen:
    """Play it with readings that come early and late."""
    kept, t = [0.0], 0.0
    while t < trace.seconds:
        t += UNEVEN[(first + len(kept)) % len(UNEVEN)]
        kept.append(t)

    class Uneven(Trace):
        def instants(self):  # type: ignore[no-untyped-def]
            return iter(kept)

    return play(Uneven(trace.parts, trace.at, trace.seconds, trace.every, trace.swap, trace.total, trace.reserve))


@pytest.mark.parametrize("rate", [40.0, 120.0, 400.0])
@pytest.mark.parametrize("gap", [0.1, 0.4, 2.0, 9.0])
def test_who_loads_after_another_was_stopped_is_no_risk(rate: float, gap: float):
    """What the one took is no fall of what is left for the other, whenever it is looked at."""
    for phase in range(5):
        trace = _swapped_for(rate, gap, 0.6 + 0.05 * phase)
        for seen in (play(trace), _unevenly(trace, phase)):
            assert seen.ram == []


def _after(ends: float, back: float, kept: float = 0.0, load: float = 0.5 * GIB, plan: float = 155 * GIB) -> Trace:
    """A loads 150 GiB, is stopped, and gives it back within `back` seconds, but for a part `kept` that outlives it
    (shared memory). Then B, of 180 GiB or what is left of them, loads by its plan."""
    others = TOTAL - 220 * GIB - 4 * GIB

    def at(t: float) -> traces.Instant:
        held = min(150 * GIB, max(0.0, t - 10) * load)
        used = {"others": others + traces.noise(t, 50 * MIB)}
        late = 0.0
        if t < ends:
            used["a"] = held
        else:
            late = 150 * GIB * max(kept, 1 - (t - ends) / back)
        if t >= ends + back + 5:
            used["b"] = min((180 - kept * 150) * GIB, (t - ends - back - 5) * 2 * GIB)
        return traces.Instant(used, foreign=4 * GIB + late)

    parts = {
        "others": traces.Part(others + GIB),
        "a": traces.Part(plan, 10, ends, loading=ends),
        "b": traces.Part((180 - kept * 150) * GIB, ends + back + 3, loading=9000),
    }
    return Trace(parts, at, ends + 900, 2.0)


@pytest.mark.parametrize(
    "trace",
    [
        pytest.param(_after(330, 0.5), id="a slow load"),
        pytest.param(_after(330, 8.0), id="its memory comes back late"),
        pytest.param(_after(330, 40.0), id="its memory comes back very late"),
        pytest.param(_after(330, 8.0, kept=0.3), id="a part of it stays"),
        pytest.param(_after(330, 8.0, kept=1.0), id="all of it stays"),
        pytest.param(_after(90, 8.0, load=2 * GIB), id="a load of a minute"),
    ],
)
def test_the_load_of_who_is_gone_is_no_fall(trace: Trace):
    """Not even where the long window saw nothing but that load. What is not given back (yet) is no fall, either."""
    assert play(trace).ram == []


def test_once_a_leaker_is_stopped_the_risk_is_over():
    """Its leak was ten minutes long, and the lowest points of ten minutes are its own."""
    ends = 300 + 0.8 * 12 * GIB / (10 * MIB)
    trace = traces.leak(10 * MIB, 12 * GIB)
    parts = {**trace.parts, "sidecar": replace(trace.parts["sidecar"], ends=ends)}

    def at(t: float) -> traces.Instant:
        now = trace.at(t)
        return now if t < ends else traces.Instant({"model": now.used["model"]})

    seen = play(replace(trace, parts=parts, at=at))
    assert [on for _at, on in seen.ram] == [True, False]
    assert seen.ram[1][0] - ends <= 35


@pytest.mark.parametrize("late", [0.3, 0.6, 0.8, 1.1, 2.0])
def test_an_end_that_is_heard_of_late_is_no_fall(late: float):
    """Its control group is gone and its memory is back, but it still counts as running, with what the engine said it
    used: that is not there to come back once more."""
    trace = _swapped_for(120.0, 3.0)
    ends = trace.parts["one"].ends
    state = Foresight()
    for t in trace.instants():
        sums = trace.sums(t)
        if ends <= t < ends + late:
            still = replace(sums.services[0], used=603 * MIB, resident=603 * MIB, running=True)
            assert still.service == "one"
            sums = replace(sums, services=(still, *sums.services[1:]))
        state, made = foresee(state, sums, t, HORIZON)
        assert t < ends or math.isinf(made.exhaustion[0].seconds), t


@pytest.mark.parametrize("ends", [320.0, 400.0])
def test_a_leak_is_seen_although_another_was_stopped(ends: float):
    """Who goes takes its own past along, and nobody else's."""
    lost = 220 * GIB
    trace = traces.leak(500 * MIB, lost, every=3.0)

    def at(t: float) -> traces.Instant:
        used = dict(trace.at(t).used)
        return traces.Instant({**used, "gone": min(40 * GIB, t * GIB)} if t < ends else used)

    parts = {**trace.parts, "gone": traces.Part(42 * GIB, ends=ends)}
    seen = play(replace(trace, parts=parts, at=at))
    assert seen.alarms == 1
    assert seen.lead >= 120
    assert seen.blamed == {"sidecar"}


# ------------------------------------------------------------ the levels


def _read(history: History, t: float, plans: Mapping[str, float], foreign: float = 0.0, **used: float) -> History:
    """One more reading of a box of 100 GiB; `used` and `foreign` in GiB."""
    held = {name: size * GIB for name, size in used.items()}
    left = (100 - foreign) * GIB - sum(held.values())
    mark = Mark(t, left, 0.0, held, foreign * GIB)
    return history.under({name: plan * GIB for name, plan in plans.items()}, 0.0).then(mark)


def _levels(history: History) -> list[float]:
    return [round(mark.level / GIB, 6) for mark in history.fresh]


def _loaded(**more: float) -> History:
    """One of 60 GiB took 50."""
    found = History()
    for t, size in enumerate((0.0, 20.0, 50.0)):
        found = _read(found, t, {"a": 60.0, **dict.fromkeys(more, 0.0)}, a=size, **more)
    return found


def test_what_came_back_was_free_all_the_time_and_the_rest_was_planned():
    before = _loaded()
    assert _levels(before) == [40, 40, 40]
    assert _levels(_read(before, 3, {})) == [100, 100, 100, 100]
    half = _read(before, 3, {}, foreign=25.0)
    assert _levels(half) == [70, 70, 70, 75]
    assert _levels(_read(half, 4, {}, foreign=30.0)) == [70, 70, 70, 75, 70], "what came back once is not owed again"
    assert _levels(_read(half, 4, {})) == [100, 100, 100, 75, 100]


def test_who_has_no_plan_is_gone_as_well():
    assert _levels(_read(_loaded(agent=10.0), 3, {"a": 60.0}, a=50.0)) == [40, 40, 40, 40]


def test_who_runs_again_was_never_gone():
    again = _read(_read(_loaded(), 3, {}), 4, {"a": 60.0}, a=1.0)
    assert _levels(again) == [40, 40, 40, 40, 40]
    assert again.gone == ()


def test_of_two_that_go_one_after_the_other_each_owes_its_own():
    one = _read(_loaded(b=20.0), 3, {"b": 0.0}, foreign=50.0, b=20.0)
    both = _read(one, 4, {}, foreign=70.0)
    assert _levels(both)[-1] == 30
    assert _levels(_read(both, 5, {}, foreign=35.0)) == [60, 60, 40, 30, 65]
    assert _levels(_read(both, 5, {})) == [100, 100, 50, 30, 100]


def test_what_lay_in_swap_did_not_come_back_to_memory():
    mark = Mark(1.0, 50 * GIB, 0.0, {"a": 50 * GIB}, swapped={"a": 30 * GIB})
    found = History().under({"a": 0.0}, 0.0).then(mark)
    found = found.under({}, 0.0).then(Mark(2.0, 70 * GIB, 0.0, {}))
    assert _levels(found) == [70, 70]


def test_what_was_not_read_at_the_end_is_known_from_before():
    unread = _loaded().under({"a": 0.0}, 0.0).then(Mark(3.0, 50 * GIB, 0.0, {}, 50 * GIB, unread=("a",)))
    assert _levels(_read(unread, 4, {}, foreign=50.0))[-1] == 50
    assert _levels(_read(unread, 4, {}))[:3] == [100, 100, 100]


def test_who_is_in_no_reading_any_more_is_forgotten():
    found = _read(_loaded(), 3, {})
    assert len(found.gone) == 1
    for t in range(4, int(FAR) + 30, 10):
        found = _read(found, t, {})
    assert _read(found, FAR + 40, {"b": 1.0}).gone == ()
