"""Which shape a swap takes, and why, in the order in which it is decided."""

from dataclasses import replace

import pytest

from supervisor.facts import Free, Needs, Slot, SlotModel
from supervisor.facts.slots import BESIDE, EXCLUSIVE, SLEEP
from supervisor.signals.room import clash
from supervisor.slots import fit
from supervisor.slots.fit import Need
from supervisor.slots.shape import Chosen, Side, choose
from supervisor.verdicts import Reason, Verdict

GB = 10**9
A, B = SlotModel("a", "box.a"), SlotModel("b", "box.b")
SLOT = Slot("oracle", (A, B), listen="127.0.0.1:8000")
SMALL = (Need(fit.MEMORY, 10.0 * GB, fit.DECLARED),)
PLENTY = Free(100.0 * GB, {"GPU-a": 90.0 * GB})


def side(model: SlotModel = B, *words: str, ports: tuple[str, ...] = (), size: tuple[Need, ...] = SMALL) -> Side:
    return Side(model, Needs(exclusive=words), ports, size)


def chosen(
    slot: Slot = SLOT, before: Side | None = None, to: Side | None = None, free: Free = PLENTY
) -> Chosen | Verdict:
    return choose(slot, before or side(A), to or side(), free, clash)


def test_nobody_holds_it() -> None:
    assert choose(SLOT, None, side(), PLENTY, clash) == Chosen(EXCLUSIVE, "nothing has to be stopped")


def test_two_that_need_the_same_card() -> None:
    found = chosen(before=side(A, "gpu:0"), to=side(B, "gpu:1", "gpu:0"))
    assert isinstance(found, Chosen)
    assert found.text() == "exclusive (both need gpu:0)"


def test_there_is_room_for_both() -> None:
    assert chosen() == Chosen(BESIDE, "there is room for both")
    assert chosen(slot=replace(SLOT, listen="", rename="llm")) == Chosen(BESIDE, "there is room for both")


@pytest.mark.parametrize(
    ("slot", "before", "to", "free", "why"),
    [
        (SLOT, side(A, ports=("80/tcp",)), side(ports=("0.0.0.0:80/tcp",)), PLENTY, "both publish port 0.0.0.0:80/tcp"),
        (replace(SLOT, listen=""), side(A), side(), PLENTY, "callers cannot be moved: the slot has neither a gate "
         "(listen) nor a container name (rename)"),
        (SLOT, side(A), side(), Free(10.0 * GB), "beside, 10 GB of memory are needed and 10 GB free"),
        (SLOT, side(A), side(size=(Need("GPU-a", 88.0 * GB, fit.DECLARED),)), PLENTY,
         "beside, 88 GB of VRAM are needed and 90 GB free"),
        (SLOT, side(A), side(size=()), PLENTY, "nobody knows whether b fits beside a"),
        (SLOT, side(A), side(replace(B, service="box.a")), PLENTY, "both are carried by box.a"),
    ],
)  # fmt: skip
def test_exclusive_and_why(slot: Slot, before: Side, to: Side, free: Free, why: str) -> None:
    assert choose(slot, before, to, free, clash) == Chosen(EXCLUSIVE, why)


def test_a_guess_must_have_much_more_room_to_run_beside_production() -> None:
    guess = (Need(fit.ANYWHERE, 10.0 * GB, fit.ESTIMATE),)
    assert chosen(to=side(size=guess), free=Free(11.0 * GB)) != Chosen(BESIDE, "there is room for both")
    assert chosen(to=side(size=guess), free=Free(14.0 * GB)) == Chosen(BESIDE, "there is room for both")


def test_one_that_sleeps() -> None:
    sleeper = replace(A, sleep=2)
    assert chosen(before=side(sleeper)) == Chosen(SLEEP, "a sleeps")
    shared = chosen(before=side(sleeper, "gpu:0"), to=side(B, "gpu:0"))
    assert shared == Chosen(EXCLUSIVE, "both need gpu:0"), "one that sleeps still runs"


def test_weights_that_move_into_memory_must_have_room_there() -> None:
    first = replace(side(replace(A, sleep=1)), vram=80.0 * GB)
    assert chosen(before=first) == Chosen(SLEEP, "a sleeps")
    assert chosen(before=first, free=Free(60.0 * GB)) == Chosen(BESIDE, "there is room for both")
    second = replace(side(replace(A, sleep=2)), vram=80.0 * GB)
    assert chosen(before=second, free=Free(60.0 * GB)) == Chosen(SLEEP, "a sleeps"), "level 2 keeps nothing"


def test_two_models_of_one_server() -> None:
    one, other = (replace(each, inside=True, service="box.ollama") for each in (A, B))
    assert chosen(before=side(one), to=side(other)) == Chosen(SLEEP, "both are in one server")
    far, near = (
        replace(each, inside=True, service="", url=url) for each, url in ((A, "http://m:1"), (B, "http://n:1"))
    )
    assert chosen(before=side(far), to=side(near)) == Chosen(BESIDE, "there is room for both"), "two servers are two"


@pytest.mark.parametrize("shape", [EXCLUSIVE, BESIDE])
def test_what_is_declared_is_done(shape: str) -> None:
    assert chosen(slot=replace(SLOT, shape=shape)) == Chosen(shape, "resurgam.yaml says so")


@pytest.mark.parametrize(
    ("shape", "why"),
    [(BESIDE, "which cannot be: both need gpu:0"), (SLEEP, "which cannot be: a does not declare sleep")],
)
def test_what_is_declared_and_cannot_be_is_refused(shape: str, why: str) -> None:
    found = chosen(slot=replace(SLOT, shape=shape), before=side(A, "gpu:0"), to=side(B, "gpu:0"))
    assert isinstance(found, Verdict)
    assert found.reason is Reason.UNSUPPORTED
    assert why in found.text
