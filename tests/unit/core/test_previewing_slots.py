"""`--dry-run` of a slot's verb, as the core foresees it: the same plan, the same guard, and nothing is kept."""

import pytest

from supervisor.core.previewing import Wished, wished
from supervisor.facts import Command
from supervisor.facts.slots import UNLOADED
from supervisor.verdicts import Reason
from tests.support.slot_desk import Slots, looks


def foreseen(slots: Slots, verb: str, target: str = "oracle", **params: str) -> Wished:
    seq = slots.journal.last_seq
    found = wished(slots.core, Command(0.0, 0.0, verb, target, params, "uid:0", "socket"))
    assert slots.journal.last_seq == seq
    assert slots.core.admission.plans() == ()
    return found


@pytest.fixture
def slots() -> Slots:
    found = Slots()
    found.listed()
    found.models(v32=looks(), mxfp4=looks(UNLOADED))
    return found


@pytest.mark.parametrize("word", ["oracle", "slot:oracle"])
def test_a_swap_is_foreseen_as_the_plan_it_would_be(slots: Slots, word: str) -> None:
    found = foreseen(slots, "swap", word, to="mxfp4")
    assert found.verdict.ok, found.verdict.text
    (ahead,) = found.ahead
    assert found.intent.target == ahead.intent.target == "slot:oracle"
    assert ahead.plan is not None
    assert ahead.plan.found["from"] == "v32"
    assert ahead.plan.found["to"] == "mxfp4"
    assert ahead.plan.found["shape"] == "exclusive"
    assert ahead.plan.steps[0].name == "preflight"
    assert set(ahead.plan.touches) == {"v32", "mxfp4"}


def test_what_is_there_already_is_said(slots: Slots) -> None:
    found = foreseen(slots, "swap", to="v32")
    assert found.verdict.reason is Reason.ALREADY_DONE


def test_a_model_that_there_is_none_is_said(slots: Slots) -> None:
    found = foreseen(slots, "swap", to="glm")
    assert not found.verdict.ok
    assert "glm" in found.verdict.text


def test_a_slot_that_there_is_none_is_said(slots: Slots) -> None:
    found = foreseen(slots, "swap", "executor", to="mxfp4")
    assert found.verdict.reason is Reason.NO_TARGET
    assert "there are: oracle" in found.verdict.text


def test_a_parameter_that_is_wrong_is_said(slots: Slots) -> None:
    assert foreseen(slots, "swap", within="soon").verdict.reason is Reason.BAD_PARAMETER


def test_keep_needs_no_plan(slots: Slots) -> None:
    found = foreseen(slots, "keep")
    assert found.verdict.ok
    assert [ahead.plan for ahead in found.ahead] == [None]
    assert slots.core.slots.kept("oracle").kept == {}


def test_unload_of_a_service_is_still_about_the_service(slots: Slots) -> None:
    assert foreseen(slots, "unload", "v32").intent.target == "v32"
