"""The runner's question before every step: what ends a plan, and from where on nothing does."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from supervisor.facts import Plan, Step, Wanted
from supervisor.incidents import may_step
from supervisor.verdicts import Reason, no
from tests.support.incidents import NOW, ORACLE, Box, alert, container, oracle, plan, service

LOOK, STOP, TIDY, UNDO = plan().steps
FOUND = (container(),)
RULED = {"by": "playbook:restart-loop", "key": "fp-ContainerRestartLoop|1760000000.000|0"}


def ask(box: Box, which: Plan, step: Step = LOOK, seen: tuple = FOUND) -> Reason:  # type: ignore[type-arg]
    return may_step(which, step, box.world(), seen).reason


def _not_ours(box: Box) -> None:
    box.put(service(owned=no(Reason.NOT_OWNED, "The entry says enable: false.")))


def _stopped_by_hand(box: Box) -> None:
    box.put(service(wanted=Wanted("stopped", "a person", NOW + 1)))


def _veto(box: Box) -> None:
    box.alerts += (alert("V", labels={"name": ""}, annotations={"veto": "phoenix"}),)


REASONS: list[tuple[Callable[[Box], object], Reason]] = [
    (lambda box: box.pauses.update({"*": ("x", 0.0)}), Reason.PAUSED),
    (lambda box: box.pauses.update({ORACLE: ("x", 0.0)}), Reason.PAUSED),
    (lambda box: setattr(box, "mode", "observe"), Reason.OBSERVE_MODE),
    (lambda box: setattr(box, "stopping", True), Reason.STOPPING),
    (lambda box: setattr(box, "alerts", ()), Reason.RESOLVED),
    (lambda box: box.services.clear(), Reason.VANISHED),
    (_not_ours, Reason.NOT_OWNED),
    (_stopped_by_hand, Reason.WANTED_STOPPED),
    (_veto, Reason.VETO),
]


@pytest.mark.parametrize(("happens", "reason"), REASONS)
def test_before_the_irreversible_part_it_ends_and_inside_it_goes_on(
    happens: Callable[[Box], object], reason: Reason
) -> None:
    box = oracle()
    fresh = plan(**RULED)
    assert ask(box, fresh) is Reason.ALLOWED
    happens(box)
    assert ask(box, fresh) is reason
    # the most important one: the first irreversible step itself is still refused
    assert ask(box, replace(fresh, begun=("look",)), STOP) is reason
    inside = replace(fresh, begun=("look", "stop"))
    assert ask(box, inside, STOP) is Reason.ALLOWED
    assert ask(box, inside, TIDY) is Reason.ALLOWED
    assert ask(box, replace(inside, begun=("look", "stop", "tidy")), TIDY) is Reason.ALLOWED
    assert ask(box, inside, UNDO, ()) is Reason.ALLOWED


def test_a_persons_plan_has_no_alert_that_could_end() -> None:
    assert ask(oracle(alerts=()), plan()) is Reason.ALLOWED


def test_a_plan_for_the_end_of_an_alert_does_not_need_it_firing() -> None:
    which = plan(by="playbook:back", key="fp-ContainerRestartLoop|1760000000.000|0|resolved")
    assert ask(oracle(alerts=()), which) is Reason.ALLOWED


def test_pending_is_not_firing() -> None:
    assert ask(oracle(alerts=(alert(state="pending"),)), plan(**RULED)) is Reason.RESOLVED


def test_an_override_goes_past_a_veto() -> None:
    box = oracle()
    _veto(box)
    assert ask(box, plan()) is Reason.VETO
    assert ask(box, plan(override="I looked")) is Reason.ALLOWED


def test_a_person_may_start_what_was_stopped_before() -> None:
    box = oracle()
    box.put(service(wanted=Wanted("stopped", "uid:0", NOW - 60)))
    assert ask(box, plan()) is Reason.ALLOWED


def test_its_own_stop_is_not_a_persons_hand() -> None:
    box = oracle()
    box.put(service(wanted=Wanted("stopped", "rule:X", NOW)))
    assert ask(box, plan(1, "stop")) is Reason.ALLOWED
    box.put(service(wanted=Wanted("stopped", "uid:0", NOW + 5)))
    assert ask(box, plan(1, "stop")) is Reason.ALLOWED


@pytest.mark.parametrize(
    ("seen", "step", "reason"),
    [
        ((container(),), LOOK, Reason.ALLOWED),
        ((), LOOK, Reason.ALLOWED),  # a step that needs no look at the container
        ((), STOP, Reason.VANISHED),  # the irreversible part is never begun blindly
        ((container("c9", "other"),), LOOK, Reason.VANISHED),
        ((container("c1", "oracle-old"),), STOP, Reason.INTERFERED),
        ((container("c1"), container("c9", "oracle")), STOP, Reason.INTERFERED),
        ((container("c1"), container("c9", "oracle.resurgam-new-abc123")), STOP, Reason.ALLOWED),
    ],
)
def test_the_container_must_still_be_the_one_found(seen: tuple, step: Step, reason: Reason) -> None:  # type: ignore[type-arg]
    assert ask(oracle(), plan(begun=("look",) if step is STOP else ()), step, seen) is reason


def test_inside_the_name_may_only_be_with_the_old_one_or_with_ours() -> None:
    inside = plan(begun=("look", "stop"), marks=(("look", True, {"new_id": "n1"}),))
    box = oracle()
    parked = container("c1", "oracle.resurgam-parked-abc123")
    assert ask(box, inside, STOP, (parked, container("n1"))) is Reason.ALLOWED
    ours = container("n2", labels={"resurgam.op": "abc123"})
    assert ask(box, inside, STOP, (parked, ours)) is Reason.ALLOWED
    assert ask(box, inside, STOP, (parked, container("stranger"))) is Reason.INTERFERED
    assert ask(box, inside, UNDO, (parked, container("stranger"))) is Reason.ALLOWED


def test_protecting_an_image_needs_no_alert_and_no_running_container() -> None:
    box = oracle(alerts=())
    assert ask(box, plan(1, "protect", by="resurgam", steps=(LOOK,)), LOOK, ()) is Reason.ALLOWED
    box.mode = "observe"
    assert ask(box, plan(1, "protect", by="resurgam", steps=(LOOK,)), LOOK, ()) is Reason.OBSERVE_MODE
