"""What a slot must not forget, when the clock on the wall jumps, and when another model is found in it."""

from supervisor.facts import Probation
from supervisor.slots.kept import FOR_EVER, Kept, Measured, StandIn, keeps, moved

KEPT = Kept(
    holder="b",
    since=900.0,
    probation=Probation("b", "a", until=2000.0, began=1000.0, next_bench=1500.0),
    errors=2,
    stand_in=StandIn("b", 900.0, "it is down", tried=950.0),
    kept={"b": 5000.0, "c": FOR_EVER},
    loaded_at={"b": 990.0},
    loads={"b": (12.0,)},
    measured={"b": Measured(1.0)},
)


def test_what_lasts_for_a_time_lasts_as_long_after_the_wall_clock_jumped() -> None:
    later = moved(KEPT, 3600.0)
    assert later.probation == Probation("b", "a", until=5600.0, began=4600.0, next_bench=5100.0)
    assert later.stand_in == StandIn("b", 4500.0, "it is down", tried=4550.0)
    assert later.kept == {"b": 8600.0, "c": FOR_EVER}
    assert later.loaded_at == {"b": 4590.0}
    assert moved(later, -3600.0) == KEPT
    never = moved(Kept(probation=Probation("b", "a", 2000.0, 1000.0), stand_in=StandIn("b", 1.0)), 10.0)
    assert never.probation is not None
    assert never.stand_in is not None
    assert (never.probation.next_bench, never.stand_in.tried) == (0.0, 0.0), "what is not foreseen is not moved"


def test_how_long_a_person_keeps_a_model() -> None:
    assert (keeps(KEPT, "b", 4999.0), keeps(KEPT, "b", 5000.0), keeps(KEPT, "a", 0.0)) == (5000.0, 0.0, 0.0)
    assert keeps(KEPT, "c", 1e12) == FOR_EVER


def test_what_was_learned_stays_when_another_model_is_found_there() -> None:
    found = KEPT.adopted("a", 3000.0)
    assert (found.holder, found.since, found.probation, found.stand_in, found.errors) == ("a", 3000.0, None, None, 0)
    assert (found.loads, found.measured, found.loaded_at, found.kept) == (
        KEPT.loads,
        KEPT.measured,
        KEPT.loaded_at,
        KEPT.kept,
    )
