"""How often memory is looked at: calm while there is plenty, often enough before the end, never busy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.signals.memory.pace import FASTEST, LEAST, SHARE, STILL, Margin, interval

CALM = 5.0
GIB = 2.0**30


def settled(*margins: Margin, cost: float = 0.001, before: float = CALM) -> float:
    """The interval once it had time to grow."""
    for _ in range(20):
        before = interval(margins, before, cost, CALM)
    return before


def test_plenty_is_calm() -> None:
    assert settled(Margin(100 * GIB, 384 * GIB, machine=True)) == CALM
    assert settled() == CALM
    assert settled(Margin(100 * GIB, 384 * GIB, -5 * GIB, machine=True)) == CALM, "it grows"
    assert settled(Margin(100 * GIB, 384 * GIB, 1.0, machine=True)) == CALM, "for ages to come"


def test_a_box_planned_to_its_end_is_looked_at_often_and_one_at_its_end_as_often_as_it_gets() -> None:
    planned = settled(Margin(0.06 * 384 * GIB, 384 * GIB, machine=True))
    assert LEAST < planned < 1.0
    assert settled(Margin(0.01 * 384 * GIB, 384 * GIB, machine=True)) == LEAST
    assert settled(Margin(-1.0, 384 * GIB, machine=True)) == LEAST


def test_one_container_at_its_limit_is_no_alarm_while_it_stands_still() -> None:
    assert settled(Margin(1e6, 64e6)) == STILL
    assert settled(Margin(1e6, 64e6, 1e6)) == LEAST


def test_it_gets_shorter_at_once_and_longer_slowly() -> None:
    fast = interval([Margin(2 * GIB, 8 * GIB, GIB, machine=True)], CALM, 0.001, CALM)
    assert fast == LEAST
    calm = Margin(80 * GIB, 80 * GIB, machine=True)
    assert interval([calm], fast, 0.001, CALM) < 2 * fast
    assert settled(calm, before=fast) == CALM


@pytest.mark.parametrize("left", [1.0, 2 * GIB, 10 * GIB, 25 * GIB])
def test_no_machine_is_filled_between_two_readings(left: float) -> None:
    """A program that takes memory as fast as the kernel gives it, out of the calm: the next reading comes before it
    has everything. (A third of a small machine is gone in less than five seconds.)"""
    pause = settled(Margin(left, 2.5 * left, machine=True))
    assert pause <= max(LEAST, left / FASTEST)
    assert settled(Margin(left, 2.5 * left)) == CALM, "a container at its limit fails alone"


@pytest.mark.parametrize("cost", [0.0, 0.002, 0.05, 60.0])
def test_it_is_never_busier_than_its_share(cost: float) -> None:
    least = interval([Margin(0.0, 8 * GIB, GIB, machine=True)], CALM, cost, CALM)
    assert least == min(CALM, max(LEAST, cost * SHARE))


@settings(max_examples=40)
@given(share=st.floats(0.02, 1.0), seconds=st.floats(13.0, 600.0), phase=st.floats(0.0, 1.0))
def test_a_ramp_is_met_eight_times_before_its_end(share: float, seconds: float, phase: float) -> None:
    """A ramp that takes `seconds` for what is left, and begins at any moment between two readings."""
    whole = 64 * GIB
    rate = share * whole / seconds
    pause = settled(Margin(share * whole, whole, machine=True))
    before, at, met = pause * (phase - 1), pause * phase, 0
    while at < seconds:
        met += 1
        now, then = (share * whole - rate * max(0.0, moment) for moment in (at, before))
        pause = interval([Margin(now, whole, (then - now) / (at - before), machine=True)], pause, 0.001, CALM)
        before, at = at, at + pause
    assert met >= 8
