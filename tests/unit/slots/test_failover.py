"""When a model is down, who may stand in for it, and when the first choice is tried again."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import Container, Needs, ServerLook, Service, Slot, SlotModel, Wanted
from supervisor.slots.failover import candidates, down, hand_back_at, stays_down, stopped_by_rule
from supervisor.slots.kept import StandIn
from supervisor.verdicts import yes

NOW = 10_000.0
MODEL = SlotModel("v32", "v32")
SLOT = Slot("oracle", (MODEL, SlotModel("a", "a"), SlotModel("b", "b")), fallback=("a", "b"), hand_back=600.0)


def service(status: str = "running", health: str = "none", started: float = 0.0, **more: Any) -> Service:
    box = Container("c", "v32", "sha256:i", "i", status=status, health=health, started_at=started)
    return Service("v32", "docker", box, yes(), needs=Needs(startup=300.0), **more)


def is_down(one: Service | None, *, failing: bool = False, look: ServerLook | None = None) -> bool:
    return down(MODEL, one, look, failing, NOW)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (service("exited"), True),
        (service("dead"), True),
        (service("restarting", streak=1), False),
        (service("restarting", streak=3), True),
        (service("running", "healthy", healthy=True), False),
        (service("running", "unhealthy"), True),
        (service("running", "unhealthy", started=NOW - 100), False),
        (service("running", "starting", started=NOW - 100, streak=3), True),
        (service("running", "healthy", healthy=True, streak=3), False),
        (replace(service(), container=None), True),
    ],
)
def test_a_container(seen: Service, expected: bool) -> None:
    assert is_down(seen) is expected


def test_one_whose_probe_fails_is_down_unless_it_loads() -> None:
    assert is_down(service(), failing=True)
    assert not is_down(service(started=NOW - 100), failing=True)


def test_of_a_server_elsewhere_only_its_own_word_counts() -> None:
    assert not is_down(None)
    assert not is_down(None, look=ServerLook("unknown", "it does not answer"))
    assert is_down(None, look=ServerLook("failed", "exit code 1"))


@pytest.mark.parametrize(
    ("by", "person", "rule"),
    [
        ("uid:0", True, False),
        ("bus:phone", True, False),
        ("person", True, False),
        ("rule:ResetLoop", False, True),
        ("playbook:restart-loop", False, True),
        ("quiesce:GPU-1", False, True),
        ("slot:oracle", False, False),
    ],
)
def test_whose_stop_it_was(by: str, person: bool, rule: bool) -> None:
    stopped = service("exited", wanted=Wanted("stopped", by))
    assert (stays_down(stopped), stopped_by_rule(stopped)) == (person, rule)
    assert not stays_down(service("exited", wanted=Wanted("running", by)))


def test_those_that_may_stand_in_are_asked_in_their_order() -> None:
    assert candidates(SLOT, "v32", {}, 100.0, {}) == ("a", "b")
    assert candidates(SLOT, "a", {}, 100.0, {}) == ("b",)
    assert candidates(SLOT, "v32", {"a": 101.0}, 100.0, {}) == ("b",)
    assert candidates(SLOT, "v32", {"a": 100.0}, 100.0, {"b": "too slow"}) == ("a",)


def test_the_first_choice_is_tried_once_per_window() -> None:
    assert hand_back_at(SLOT, StandIn("a", 1000.0)) == 1600.0
    assert hand_back_at(SLOT, StandIn("a", 1000.0, tried=5000.0)) == 5600.0
