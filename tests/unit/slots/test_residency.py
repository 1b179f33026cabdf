"""Who may be put away, and who goes first."""

import pytest

from supervisor.facts import Free, ModelState, Slot, SlotModel, SlotState
from supervisor.facts.slots import ASLEEP, LOADED
from supervisor.slots.fit import DECLARED, MEMORY, Need
from supervisor.slots.residency import due, for_room, heir, idle, least_used, stays, victims
from supervisor.verdicts import Reason

NOW = 10_000.0


def slot(*models: SlotModel, together: int = 3) -> Slot:
    return Slot("chat", models or (model("a"), model("b"), model("c")), together=together, residency=300.0)


def model(name: str, **more: object) -> SlotModel:
    return SlotModel(name, inside=True, url="http://127.0.0.1:11434", **more)  # type: ignore[arg-type]


def one(name: str, used: float = 0.0, state: str = LOADED, **more: object) -> ModelState:
    given: dict[str, object] = {"in_flight": 0}
    return ModelState(name, state, used_at=used, **(given | more))  # type: ignore[arg-type]


def state(*models: ModelState) -> SlotState:
    return SlotState("chat", "", models=models)


@pytest.mark.parametrize(
    ("seen", "loaded_at", "reason"),
    [
        (one("a", in_flight=2), 0.0, Reason.IN_USE),
        (one("a", in_flight=None), 0.0, Reason.IN_USE),
        (one("a", kept_until=-1.0), 0.0, Reason.RESIDENT),
        (one("a"), NOW - 299, Reason.RESIDENT),
        (one("a", state=ASLEEP), 0.0, Reason.NO_USE),
    ],
)
def test_who_stays(seen: ModelState, loaded_at: float, reason: Reason) -> None:
    found = stays(slot(), seen, {"a": loaded_at}, NOW)
    assert found is not None
    assert found.reason is reason


def test_what_the_configuration_keeps_stays() -> None:
    assert stays(slot(model("a", keep=True)), one("a"), {}, NOW) is not None
    assert stays(slot(), one("a"), {"a": NOW - 301}, NOW) is None


def test_idle_is_who_was_asked_nothing_for_its_ttl() -> None:
    declared = slot(model("a", ttl=600.0), model("b", ttl=600.0), model("c"))
    seen = state(one("a", NOW - 601), one("b", NOW - 599), one("c", NOW - 9000))
    assert idle(declared, seen, {}, NOW) == ("a",)
    assert due(declared, seen, {}, NOW) == NOW + 1


def test_one_that_was_never_asked_counts_from_its_load() -> None:
    declared = slot(model("a", ttl=600.0))
    assert idle(declared, state(one("a")), {"a": NOW - 599}, NOW) == ()
    assert idle(declared, state(one("a")), {"a": NOW - 600}, NOW) == ("a",)


def test_the_one_used_least_lately_goes_first_and_the_last_one_stays() -> None:
    seen = state(one("a", 300.0), one("b", 100.0), one("c", 200.0))
    assert least_used(slot(), seen, {}, NOW) == ("b", "c")
    assert least_used(slot(), state(one("a", 300.0)), {}, NOW) == ()
    assert least_used(slot(), state(one("a", 1.0, in_flight=1), one("b", 2.0)), {}, NOW) == ("b",)


def test_the_heir_is_who_was_loaded_last_of_those_that_are_there() -> None:
    seen = state(one("a", 9.0), one("b", 1.0, since=50.0), one("c", 2.0, state=ASLEEP))
    assert heir(slot(), seen, {"a": 40.0, "c": 99.0}, ()) == "b"
    assert heir(slot(), seen, {"a": 60.0}, ()) == "a"
    assert heir(slot(), seen, {"a": 60.0}, ("a",)) == "b"
    assert heir(slot(), seen, {}, ("a", "b")) == ""
    assert heir(slot(), state(one("a"), one("b")), {}, ()) == "a", "the first choice, where nobody knows"


def test_as_many_go_as_are_too_many_for_the_one_that_comes() -> None:
    seen = state(one("a", 300.0), one("b", 100.0), one("c", 0.0, "unloaded"))
    assert victims(slot(together=2), seen, {}, NOW, "c") == ("b",)
    assert victims(slot(together=3), seen, {}, NOW, "c") == ()
    assert victims(slot(together=1), seen, {}, NOW, "c") == ("b", "a")


GIVES = {"b": Free(30.0, {"GPU-a": 40.0}), "a": Free(20.0)}
TOTAL = Free(100.0, {"GPU-a": 50.0})


def room(need: float, where: str = MEMORY, free: Free = TOTAL, share: float = 0.9) -> tuple[str, ...]:
    return for_room(("b", "c", "a"), (Need(where, need, DECLARED),), GIVES, free, TOTAL, share)


@pytest.mark.parametrize(
    ("free", "gone"), [(60.0, ()), (59.0, ("b",)), (30.0, ("b",)), (29.0, ("b", "a")), (0.0, ("b", "a"))]
)
def test_memory_and_not_the_count_says_who_makes_room(free: float, gone: tuple[str, ...]) -> None:
    assert room(50.0, free=Free(free)) == gone, "c gives nothing back"


def test_each_card_counts_and_what_nobody_knows_puts_nobody_away() -> None:
    assert room(10.0, "GPU-a", Free(0.0, {"GPU-a": 14.0})) == ("b",)
    assert room(10.0, "any", Free(0.0, {"GPU-a": 14.0})) == ("b",), "there is one card"
    assert room(10.0, "GPU-a", Free(0.0, {"GPU-a": 15.0})) == ()
    assert room(10.0, "GPU-b", Free(0.0, {"GPU-a": 0.0})) == ()
    assert for_room(("b",), (Need(MEMORY, 9.0, DECLARED),), GIVES, Free(0.0), Free(0.0), 0.9) == ()
    assert room(100.0, share=1.0) == ()
