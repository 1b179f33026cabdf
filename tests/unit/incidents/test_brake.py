"""The brake: it comes on with failures, holds rules back until it was quiet, lets one try, and forgets nothing."""

from typing import Any

import pytest

from supervisor.facts import Intent
from supervisor.incidents import brake, may_run
from supervisor.incidents.guard import judge
from supervisor.incidents.world import Maneuver
from supervisor.units import Budget
from supervisor.verdicts import Reason, no
from tests.support.incidents import (
    DEGRADED,
    NOW,
    ORACLE,
    ROLLED_BACK,
    VERIFIED,
    Box,
    alert,
    books,
    oracle,
    plan,
    service,
)

LIMIT = Budget(3, 3600.0)
FAILED = no(Reason.FAILED, "it failed")
OTHERS = ("demo.a", "demo.b", "demo.c", "demo.d")


def failed(*ages: float) -> tuple[Maneuver, ...]:
    return tuple(Maneuver(NOW - age, 90 + n, "restart", f"demo.s{n}", True) for n, age in enumerate(ages))


def well(age: float) -> Maneuver:
    return Maneuver(NOW - age, 99, "restart", "demo.s", False)


@pytest.mark.parametrize(
    ("known", "on"),
    [
        ((), False),
        (failed(100, 50), False),
        (failed(100, 50, 10), True),
        (failed(3700, 50, 10), False),
        (failed(9000, 8900, 8800), True),
        ((*failed(9000, 8900, 8800), well(5000)), False),
        ((*failed(9000, 8900, 8800), well(8000)), True),
        ((*failed(20000, 19900, 19800), well(15000), *failed(20, 10)), False),
        ((*failed(20000, 19900, 19800), *failed(5000)), True),
    ],
)
def test_when_it_is_on(known: tuple[Maneuver, ...], on: bool) -> None:
    assert brake.standing(known, LIMIT).on is on


def test_without_a_limit_there_is_none() -> None:
    assert not brake.standing(failed(3, 2, 1), Budget(0, 3600.0)).on


def test_what_counts_as_a_failure() -> None:
    inside, before = plan(begun=("look", "stop")), plan(begun=("look",))
    for outcome in (FAILED, ROLLED_BACK, DEGRADED):
        assert [one.failed for one in brake.after((), inside, outcome, NOW)] == [True]
        assert brake.after((), before, outcome, NOW) == (), "it touched nothing"
    assert brake.after((), inside, no(Reason.INTERFERED, "a person"), NOW) == ()
    assert brake.after((), inside, VERIFIED, NOW) == ()
    known = failed(10)
    for _ in range(300):
        known = brake.after(known, inside, VERIFIED, NOW)
    assert [one.failed for one in known] == [True, False]
    for _ in range(300):
        known = brake.after(known, inside, FAILED, NOW)
    assert len(known) == brake.KEPT


def braked(**more: Any) -> Box:
    """A box on which three maneuvers have just failed, in the book's own memory."""
    box = oracle(alerts=(), playbooks=books(LOOPS), **more)
    for number, name in enumerate(OTHERS[:3], 1):
        box.put(service(name))
        box.plans = (plan(number, "restart", name, begun=("look", "stop")),)
        box.end(number, FAILED)
    return box


LOOPS = """
playbooks:
- name: loop
  match: ['alertname="ContainerRestartLoop"']
  steps: [{do: restart}, {do: stop}]
"""


def said(box: Box, verb: str = "restart", by: str = "playbook:x", **more: Any) -> Reason:
    return may_run(Intent(verb, ORACLE, {}, "", by, **more), box.world()).reason


def test_rules_wait_and_people_and_emergencies_pass() -> None:
    box = braked()
    found = judge(Intent("restart", ORACLE, {}, "", "playbook:x"), box.world())
    assert (found.verdict.reason, found.again, found.lasting) == (Reason.BRAKE, NOW + 3600, False)
    assert (
        "3 maneuvers failed on this host (last: restart demo.a, restart demo.b, restart demo.c)" in found.verdict.text
    )
    assert said(box, "phoenix") is Reason.BRAKE
    assert said(box, "stop") is Reason.ALLOWED
    assert said(box, "notify") is Reason.ALLOWED
    assert said(box, by="uid:0") is Reason.ALLOWED
    assert said(box, override="I know") is Reason.ALLOWED


def test_it_survives_a_restart_and_a_clock_that_jumps() -> None:
    box = braked()
    box.restart()
    assert said(box) is Reason.BRAKE
    box.now += 3590
    box.book.gap(3590)
    box._keep(box.book.review(box.world(), ()))
    assert said(box) is Reason.BRAKE, "time in which nobody looked is no quiet time"
    box.restart()
    assert said(box) is Reason.BRAKE
    box.now += 3601
    assert said(box) is Reason.ALLOWED


def test_after_the_quiet_time_one_try_decides() -> None:
    box = braked()
    box.now += 3600
    both = {"demo.a": "a", "demo.b": "b"}
    box.alerts = tuple(
        alert(fingerprint=f"fp-{word}", labels={"name": word}, fired_at=box.now, active_at=box.now)
        for word in both.values()
    )
    box.turn()
    assert [(one.intent.target, one.verdict.reason) for one in box.last.decisions] == [
        ("demo.a", Reason.ALLOWED),
        ("demo.b", Reason.BRAKE),
    ], "one try at a time, in one review as well"
    assert said(box) is Reason.BRAKE
    box.begin(box.plans[-1].id)
    box.end(box.plans[-1].id, FAILED)
    found = judge(Intent("restart", ORACLE, {}, "", "playbook:x"), box.world())
    assert (found.verdict.reason, found.again) == (Reason.BRAKE, box.now + 3600), "it failed: all over again"
    box.now += 3600
    box.alerts = ()
    box.plans = (plan(50, "restart", "demo.c", begun=("look", "stop"), created_at=box.now),)
    box.end(50, VERIFIED)
    assert said(box) is Reason.ALLOWED
    box.turn()
    box.now += 3601
    box.turn()
    assert box.book.maneuvers() == (), "what is over is forgotten"


def test_a_ladder_waits_at_its_rung() -> None:
    box = braked()
    box.alerts = (alert(),)
    box.turn()
    assert box.said() == [("playbook:loop", "brake")], "a brake is no reason to go up to the stop"
    assert box.last.again == NOW + 3600
