"""Measurements are kept, the latest hundred, and a drift is told against those on the same image."""

from supervisor.facts import Bench
from supervisor.slots.history import KEPT, History, drift


def bench(rate: float, at: float = 1.0, image: str = "i") -> Bench:
    return Bench(at, "oracle", "v32", image_id=image, rate=rate)


def test_the_latest_hundred_are_kept_over_a_restart() -> None:
    history = History({})
    for number in range(KEPT + 5):
        history.add(bench(10.0, float(number)))
    puts = history.take_puts()
    assert list(puts) == ["oracle|v32"]
    assert not history.take_puts()
    again = History({key: value for key, value in puts.items() if value is not None})
    assert len(again.of("oracle", "v32")) == KEPT
    assert again.latest("oracle", "v32") == bench(10.0, KEPT + 4.0)
    assert again.latest("oracle", "mxfp4") is None


def test_what_cannot_be_read_any_more_is_measured_anew() -> None:
    assert History({"oracle|v32": {"runs": "no"}}).of("oracle", "v32") == ()


def test_a_drift_is_held_against_the_median_of_the_earlier_ones_on_the_same_image() -> None:
    runs = tuple(bench(rate, float(at)) for at, rate in enumerate((10.0, 12.0, 50.0)))
    assert drift((*runs, bench(6.0, 4.0))) == 0.5
    assert drift((*runs[:2], bench(5.5, 4.0))) == 0.5
    assert drift((*runs, bench(6.0, 4.0, "other"))) is None, "another image is another model"
    assert drift(runs[:2]) is None
    assert drift(()) is None
