"""What the watch of models says arrives whole: the slots hear of it, its series are kept, and what ends has ended."""

import pytest

from supervisor.facts import ModelReading, Readings, Sample, ServerLook
from supervisor.facts.slots import ASLEEP, LOADED
from supervisor.ports import ModelAt
from supervisor.signals.models import Subject, samples
from tests.support.slot_desk import RACE, Slots, box


def told(box: Slots, states: dict[str, str]) -> Readings:
    slot = box.core.slots.slots[0]
    seen: list[ModelReading] = []
    series: list[Sample] = []
    for name, state in states.items():
        model = slot.model(name)
        assert model is not None
        look = ServerLook(state, "so it says")
        seen.append(ModelReading(slot.name, name, look))
        series += samples(Subject(slot.name, model, ModelAt(model)), look)
    return Readings(0.0, 0.0, "models", tuple(series), whole=True, models=tuple(seen))


def kept(box: Slots) -> dict[tuple[str, str], float]:
    found = {}
    for labels, _at, value in box.core.store.latest(box.wall):
        pairs = dict(labels)
        if pairs["__name__"].startswith("resurgam_model_"):
            found[pairs["__name__"].removeprefix("resurgam_model_"), pairs["model"]] = value
    return found


def test_the_slots_hear_of_it_and_its_series_are_kept() -> None:
    box = Slots()
    box.listed()
    first, second = (model.name for model in box.core.slots.slots[0].models[:2])
    for word in (LOADED, ASLEEP):
        box.turn(told(box, {first: word, second: LOADED}))
        assert next(one.state for one in box.state.models if one.name == first) == word
        assert kept(box)["asleep", first] == (word == ASLEEP)


def test_a_model_that_is_no_longer_watched_has_no_series() -> None:
    box = Slots()
    box.listed()
    first, second = (model.name for model in box.core.slots.slots[0].models[:2])
    box.turn(told(box, {first: LOADED, second: LOADED}))
    box.turn(told(box, {first: LOADED}))
    assert ("loaded", first) in kept(box)
    assert ("loaded", second) not in kept(box)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_makes_no_model_unknown_and_none_idle(jump: float) -> None:
    models = {name: {"inside": True, "service": "server", "ttl": "30m"} for name in ("v32", "mxfp4")}
    there = Slots({"oracle": {**RACE, "models": models, "together": 2}}, {"server": {}})
    there.listed(box("server", started_at=there.wall - 60.0))
    looks = dict.fromkeys(models, ServerLook(LOADED, "it says", in_flight=0))
    there.models(**looks)
    there.wall += jump
    there.models(**looks)
    assert [one.state for one in there.state.models] == [LOADED, LOADED]
    assert [there.wall - one.since for one in there.state.models] == pytest.approx([5.0, 5.0])
    assert not there.plans, "nobody was idle for half an hour"
