"""Ladders: which rung is next, when, and what a restart of ours must not change."""

import pytest

from supervisor.incidents.binding import bind
from supervisor.verdicts import Reason, Verdict, no
from tests.support.incidents import (
    EARLY,
    ORACLE,
    ROLLED_BACK,
    VERIFIED,
    Box,
    alert,
    books,
    oracle,
    service,
    well,
)

THREE = """
playbooks:
- name: restart-loop
  match: ['alertname="ContainerRestartLoop"']
  steps:
  - do: restart
    verify: {probe: true, within: 2m}
  - do: phoenix
    verify: {expr: 'resurgam_service_healthy == 1', for: 60s, within: 10m}
  - do: stop
  cooldown: 10m
  reset: 1h
"""
HEALTHY = "resurgam_service_healthy == 1"


def three(**more: object) -> Box:
    return oracle(playbooks=books(THREE), **more)


def verbs(box: Box) -> list[tuple[str, bool]]:
    return [(one.intent.verb, one.verdict.ok) for one in box.last.decisions]


def again_at(box: Box) -> None:
    """Time goes to where the book asked to be called."""
    assert box.last.again is not None
    assert box.last.again > box.now
    box.now = box.last.again


def test_each_rung_is_acted_on_once() -> None:
    box = three()
    box.turn()
    assert verbs(box) == [("restart", True)]
    assert dict(box.last.decisions[0].intent.params) == {"within": "120s"}
    for _ in range(5):
        box.now += 1
        assert box.turn() == ()
    box.run(ROLLED_BACK)
    box.turn()
    assert verbs(box) == [("phoenix", True)]
    box.run(no(Reason.FAILED, "it could not be done"))
    box.turn()
    assert verbs(box) == [("stop", True)]
    box.run(no(Reason.FAILED, "it could not be done"))
    box.turn()
    assert box.said() == [("playbook:restart-loop", "ladder_spent")]
    assert "all 3 steps were tried" in box.last.decisions[0].verdict.text
    assert box.book.incidents()[0].state == "degraded"
    keys = [one.intent.key for one in box.decisions if one.verdict.ok]
    assert len(keys) == len(set(keys)) == 3


def heals_and_falls_ill(box: Box, after: float) -> None:
    """The newest plan verifies, all is well for so long, then the same trouble begins anew."""
    box.run(VERIFIED)
    box.put(well(service()))
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += after
    box.put(service(last_death_at=box.now))
    box.spent = ()
    box.alerts = (alert(fired_at=box.now, active_at=box.now),)
    box.turn()


def test_what_did_not_help_for_long_is_not_done_again() -> None:
    """Every restart verifies, and every time it falls ill again: the ladder goes up all the same."""
    box = three()
    box.turn()
    heals_and_falls_ill(box, 300)
    assert box.said() == [("playbook:restart-loop", "cooldown")]
    assert box.turn() == ()
    again_at(box)
    box.turn()
    assert verbs(box) == [("phoenix", True)]
    box.true = {HEALTHY}
    box.run(VERIFIED)
    box.put(well(service()))
    for _ in range(30):
        box.now += 5
        box.turn()
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += 900
    box.put(service(last_death_at=box.now))
    box.alerts = (alert(fired_at=box.now, active_at=box.now),)
    box.turn()
    assert verbs(box) == [("stop", True)]


def test_what_was_stopped_and_started_by_a_person_is_stopped_again() -> None:
    box = oracle(playbooks=books(THREE.replace("  - do: restart\n    verify: {probe: true, within: 2m}\n", "")))
    box.put(service(proved_image="", drift=""))
    box.turn()
    assert verbs(box) == [("phoenix", False), ("stop", True)]
    heals_and_falls_ill(box, 900)
    assert verbs(box) == [("stop", True)]


def test_a_ladder_of_one_rung_has_no_other() -> None:
    box = oracle(alerts=(alert(annotations={"action": "restart"}),), playbooks=())
    box.turn()
    box.run(VERIFIED)
    box.put(well(service()))
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += 900
    box.put(service(last_death_at=box.now))
    box.alerts = (alert(annotations={"action": "restart"}, fired_at=box.now, active_at=box.now),)
    box.turn()
    assert verbs(box) == [("restart", True)]


def test_what_helped_for_long_enough_is_used_again() -> None:
    box = three()
    box.turn()
    box.run(VERIFIED)
    box.put(well(service()))
    box.now += 3000  # the alert went on for a while: the hour since then is not over yet
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += 700
    box.spent = ()
    box.put(service(last_death_at=box.now))
    box.alerts = (alert(fired_at=box.now, active_at=box.now),)
    box.turn()
    assert verbs(box) == [("restart", True)]


# ---------------------------------------------------------------- rungs that cannot be taken


LKG_FIRST = THREE.replace("  - do: restart\n    verify: {probe: true, within: 2m}\n", "")


def test_a_rung_that_time_cannot_help_is_passed_over_and_said_once() -> None:
    box = oracle(playbooks=books(LKG_FIRST))
    box.put(service(proved_image="", drift=""))
    box.turn()
    assert verbs(box) == [("phoenix", False), ("stop", True)]
    assert box.said()[0] == ("playbook:restart-loop", "no_known_good")
    assert "It stays down until a person starts it: `resurgam start demo.oracle`." in box.decisions[-1].intent.cause
    for _ in range(3):
        box.now += 1
        assert box.turn() == ()
    assert len(box.spaces["run"]) == len(
        [key for key in box.spaces["run"] if key.startswith(("said", "playbook", "#"))]
    )


def test_a_rung_whose_reason_ends_is_taken_after_all() -> None:
    box = oracle(playbooks=books(LKG_FIRST), pauses={"*": ("work", 0.0)})
    box.put(service(proved_image="", drift=""))
    box.turn()
    assert box.said() == [("playbook:restart-loop", "no_known_good"), ("playbook:restart-loop", "paused")]
    box.pauses = {}
    box.put(service())
    box.turn()
    assert verbs(box) == [("phoenix", True)]


def test_where_no_rung_can_be_taken_a_person_is_asked_for() -> None:
    both = LKG_FIRST.replace("  - do: stop\n", "  - do: phoenix image=last-known-good within=5m\n")
    box = oracle(playbooks=books(both))
    box.put(service(proved_image="", drift=""))
    box.turn()
    assert [reason for _by, reason in box.said()] == ["no_known_good", "no_known_good", "ladder_spent"]
    assert "no step that is left could help" in box.last.decisions[-1].verdict.text
    assert box.book.incidents()[0].state == "degraded"
    assert box.turn() == ()


def test_what_has_to_be_waited_for_is_no_reason_to_go_up() -> None:
    for more in ({"pauses": {"*": ("x", 0.0)}}, {"mode": "observe"}, {"absent": ("docker",)}):
        box = oracle(playbooks=books(LKG_FIRST), **more)
        box.turn()
        assert [one.intent.verb for one in box.last.decisions] == ["phoenix"], more


def test_quiet_for_so_long_leads_back_to_the_first_rung() -> None:
    for quiet, verb in ((3599.0, "phoenix"), (3600.0, "restart")):
        box = three()
        box.turn()
        box.run(ROLLED_BACK)
        box.turn(*box.resolve("ContainerRestartLoop"))
        box.now += quiet
        box.spent = ()
        box.alerts = (alert(fired_at=box.now, active_at=box.now),)
        box.turn()
        assert verbs(box) == [(verb, True)], quiet


def test_a_plan_that_touched_nothing_is_tried_again_and_at_last_counts_as_failed() -> None:
    box = three()
    box.turn()
    for wait in (60.0, 120.0):
        box.end(box.plans[-1], EARLY)
        box.spent, ended = (), box.now
        box.turn()
        assert box.said() == [("playbook:restart-loop", "cooldown")]
        again_at(box)
        assert box.now == ended + wait
        box.turn()
        assert verbs(box) == [("restart", True)]
    box.end(box.plans[-1], EARLY)
    box.turn()
    assert verbs(box) == [("phoenix", True)]


def test_what_a_pause_ended_is_no_try() -> None:
    box = three()
    box.turn()
    for _ in range(5):
        box.pauses = {"*": ("a person works here", 0.0)}
        box.turn()
        assert [why.reason for _ident, why in box.last.end] == [Reason.PAUSED]
        box.now += 10
        box.pauses, box.spent = {}, ()
        box.turn()
        assert verbs(box) == [("restart", True)]


@pytest.mark.parametrize("reason", [Reason.INTERFERED, Reason.VANISHED])
def test_a_persons_hand_is_no_reason_to_go_up(reason: Reason) -> None:
    box = three()
    box.turn()
    box.run(no(reason, "someone else made a container of that name"))
    box.turn()
    assert box.said() == [("playbook:restart-loop", "cooldown")]
    again_at(box)
    box.turn()
    assert verbs(box) == [("restart", True)]


def _to_second_rung(box: Box) -> None:
    box.turn()
    box.run(ROLLED_BACK)
    box.turn()
    assert verbs(box) == [("phoenix", True)]
    box.run(VERIFIED)
    box.put(well(service()))


def test_an_expression_must_hold_for_its_time() -> None:
    box = three()
    _to_second_rung(box)
    box.turn()
    assert box.book.incidents()[0].state == "verifying"
    box.true = {HEALTHY}
    for _ in range(11):
        box.now += 5
        box.turn()
    assert box.plans == ()
    box.now += 10
    box.turn()
    box.now += 700  # the deadline has passed, but it held in time
    box.turn()
    assert box.said() == []
    assert box.plans == ()


def test_an_expression_that_does_not_come_true_is_a_failure() -> None:
    box = three()
    _to_second_rung(box)
    ended = box.now
    box.turn()
    while box.now < ended + 600:
        again_at(box)
        box.true = {HEALTHY} if int(box.now - ended) % 60 < 50 else set()  # it flaps
        box.turn()
    assert verbs(box) == [("stop", True)]
    assert box.now == ended + 600


def test_a_restart_of_ours_changes_nothing() -> None:
    """At every point of the way a fresh process goes on as the old one would have."""
    for at in range(4):
        box = three()
        for step in range(4):
            if step == at:
                box.restart()
            box.turn()
            if box.plans:
                box.run(ROLLED_BACK)
        assert [one.intent.verb for one in box.decisions if one.verdict.ok] == ["restart", "phoenix", "stop"], at


def test_a_restart_in_mid_plan_does_not_start_it_twice() -> None:
    box = three()
    box.turn()
    box.restart()
    box.now += 60
    assert box.turn() == ()
    box.begin(1)
    box.restart()
    box.now += 60
    assert box.turn() == ()
    box.end(1, ROLLED_BACK)
    box.turn()
    assert verbs(box) == [("phoenix", True)]


@pytest.mark.parametrize("reason", [Reason.UNSUPPORTED, Reason.IMAGE_GONE, Reason.WIDENS])
def test_what_cannot_be_built_is_passed_over(reason: Reason) -> None:
    box = three()
    (decision,) = box.turn(admit=False)
    box._keep(box.book.refused(decision.intent, no(reason, "it cannot be"), box.world()))
    box.turn()
    assert verbs(box) == [("phoenix", True)]


def test_what_could_not_be_built_waits_for_a_change() -> None:
    box = three()
    (decision,) = box.turn(admit=False)
    refusal = no(Reason.VANISHED, "it has no container")
    box._keep(box.book.refused(decision.intent, refusal, box.world()))
    for _ in range(5):
        box.now += 600
        assert box.turn() == ()
    box.put(service(quarantined=("sha256:" + "c" * 64,)))
    box.turn()
    assert verbs(box) == [("restart", True)]


def test_a_yes_the_core_forgot_is_not_waited_for_for_ever() -> None:
    box = three()
    box.turn(admit=False)
    box.now += 1
    assert box.turn() == ()
    box.put(well(service()))
    box.turn()
    assert verbs(box) == [("restart", True)]


def test_the_playbooks_own_budget() -> None:
    text = THREE.replace("cooldown: 10m", "cooldown: 0s\n  budget: 2 in 1h").replace("- do: phoenix", "- do: restart")
    box = oracle(playbooks=books(text))
    box.turn()
    box.run(ROLLED_BACK)
    box.turn()
    box.run(ROLLED_BACK)
    first = box.decisions[0].at
    box.turn()
    assert box.said() == [("playbook:restart-loop", "budget_playbook")]
    again_at(box)
    assert box.now == first + 3600
    box.turn()
    assert verbs(box) == [("stop", True)]


def test_runs_are_forgotten_once_nothing_depends_on_them() -> None:
    box = three()
    box.turn()
    box.run(ROLLED_BACK)
    box.put(well(service()))
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += 3601
    box.turn()
    assert [key for key in box.spaces["run"] if key != "#"] == [], "what failed an hour ago is no matter for the brake"
    assert box.spaces["incident"] == {}


def test_an_annotation_has_one_rung() -> None:
    box = oracle(alerts=(alert(annotations={"action": "restart"}),), playbooks=())
    box.turn()
    assert verbs(box) == [("restart", True)]
    assert not isinstance(bind("restart"), Verdict)
    box.run(ROLLED_BACK)
    box.turn()
    assert box.said() == [("rule:ContainerRestartLoop", "ladder_spent")]
    assert "its one step was tried" in box.last.decisions[0].verdict.text
    # a new firing after the reset begins anew
    box.put(well(service()))
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += 3600
    box.put(service())
    box.alerts = (alert(annotations={"action": "restart"}, fired_at=box.now, active_at=box.now),)
    box.turn()
    assert verbs(box) == [("restart", True)]
    assert box.plans[-1].service == ORACLE


def test_another_alert_that_still_fires_keeps_the_ladder_where_it_is() -> None:
    box = three(alerts=(alert(fingerprint="a"), alert(fingerprint="b")))
    box.turn()
    box.run(ROLLED_BACK)
    box.alerts = (alert(fingerprint="a"),)
    box.pauses = {ORACLE: ("looking at it", 0.0)}
    box.turn()
    box.now += 7200  # one of the two never went away: that is no rest
    box.pauses, box.spent = {}, ()
    box.alerts = (alert(fingerprint="a"), alert(fingerprint="c", fired_at=box.now, active_at=box.now, order=(-1, 0, 0)))
    box.turn()
    assert ("phoenix", True) in verbs(box)


def test_an_alert_that_ended_and_came_back_between_two_looks_is_a_new_firing() -> None:
    box = three()
    box.turn()
    box.run(ROLLED_BACK)
    box.turn(admit=False)
    box.now += 30
    box.alerts = (alert(fired_at=box.now),)
    box.turn()
    old = [run for run in box.spaces["run"].values() if run.get("fired_at") == box.now - 35]
    assert [run["quiet"] for run in old if "quiet" in run] == [box.now] * len([run for run in old if "quiet" in run])
    assert any("quiet" in run for run in old)
