"""What `resurgam plan freeze X` and its kin say is what the plan then does."""

import pytest

from supervisor.actions.memory.preview import foresee
from supervisor.facts import Needs
from tests.support.groups import GIB


def notes(box, verb, needs=None, **params):
    """What is said before it is done."""
    plan = box.plan(verb, needs, **params)
    service = box.box.service("leak", needs=needs or Needs(memory=int(4 * GIB)))
    return box.box.run(foresee(plan, service, box.groups))


@pytest.mark.parametrize(("params", "at"), [({}, "7 GiB"), ({"at": "9GiB"}, "9 GiB")])
def test_a_fuse_is_said_to_stand_where_it_then_stands(box, params, at):
    said = notes(box, "fuse", **params)["notes"]
    assert said[0] == "It uses 6 GiB, its plan is 4 GiB."
    assert said[1].startswith(f"Above {at} it would be slowed down, for 10m at most")
    assert f"above {at}" in box.done("fuse", **params).outcome.text


@pytest.mark.parametrize(("params", "wanted"), [({}, 2 * GIB), ({"size": "512MiB"}, GIB / 2)])
def test_so_much_is_asked_for_as_was_said(box, params, wanted):
    box.groups.swap = 8 * GIB
    (_uses, said) = notes(box, "reclaim", **params)["notes"]
    assert said.startswith("2 GiB would be asked for" if wanted == 2 * GIB else "512 MiB would be asked for")
    box.done("reclaim", **params)
    assert box.groups.writes == [("reclaim", box.id, wanted)]


def test_what_keeps_to_its_plan_has_nothing_to_give(box):
    (uses, said) = notes(box, "reclaim", Needs(memory=int(8 * GIB)))["notes"]
    assert "its plan is 8 GiB" in uses
    assert said.startswith("There is nothing over its plan to ask for")


def test_a_freeze_a_thaw_and_a_limit_are_said(box):
    box.groups.set(box.id, limit=8 * GIB)
    assert notes(box, "freeze")["notes"][1].startswith("It would stand still for 2m at most")
    assert notes(box, "thaw")["notes"][1] == "It does not stand still."
    box.groups.set(box.id, frozen=True)
    assert notes(box, "thaw")["notes"][1] == "It stands still now."
    raised = notes(box, "raise-limit", to="12GiB")["notes"]
    assert "its limit is 8 GiB" in raised[0]
    assert raised[1].startswith("It would be 12 GiB until its next start")
    assert notes(box, "unfuse")["notes"][1] == "It has no fuse."


def test_where_it_cannot_be_done_the_reason_is_said_and_not_the_figures(box):
    box.groups.why["freeze"] = "the kernel has no freezer for it"
    assert notes(box, "freeze") == {
        "refused": {"reason": "unsupported", "text": "It cannot be done here: the kernel has no freezer for it."}
    }


def test_a_container_that_ended_meanwhile_is_said(box):
    box.groups.alive = lambda _key: False
    assert notes(box, "freeze")["notes"] == ["Its memory cannot be read: the container does not run."]
