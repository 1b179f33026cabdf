"""Whether anything is still about to be tried for a service that is down: before a stand-in takes its place."""

from dataclasses import replace
from typing import Any

from supervisor.facts import Alert, Plan
from supervisor.incidents.playbooks import read
from supervisor.verdicts import yes
from tests.support.incidents import LADDER, NOW, ORACLE, Box, service

SOON = 60.0


def alert(state: str = "firing", since: float = 300.0, **labels: str) -> Alert:
    named = {"alertname": "ContainerRestartLoop", "name": "oracle"} | labels
    at = NOW - since
    return Alert("f1", "ContainerRestartLoop", state, named, {}, 1.0, at, at if state == "firing" else 0.0)


def box(*alerts: Alert, text: str = LADDER, **more: Any) -> Box:
    found = Box(alerts=alerts, playbooks=read(text, "p.yaml"))
    found.put(replace(service(), owned=yes(), **more))
    return found


def hopes(there: Box) -> bool:
    return there.book.hopes(ORACLE, there.world(), SOON)


def test_without_any_rule_there_is_none() -> None:
    assert not hopes(box())


def test_a_plan_at_work_is_hope_also_one_of_a_slot() -> None:
    there = box()
    given = ("restart", ORACLE, "docker", {}, "why", "uid:0", NOW, "abc", "", "")
    there.plans = (Plan(1, *given),)
    assert hopes(there)
    there.plans = (replace(there.plans[0], verb="swap", service="slot:oracle", touches=("x", ORACLE)),)
    assert hopes(there)
    there.plans = (replace(there.plans[0], verb="protect", service=ORACLE, touches=()),)
    assert not hopes(there), "it only tags an image"


def test_a_rule_that_may_start_it_is_hope_and_one_that_waits_is_for_a_while() -> None:
    assert hopes(box(alert()))
    assert hopes(box(alert("pending", 30.0)))
    assert not hopes(box(alert("pending", 600.0)))
    assert not hopes(box(alert(drill="true")))


def test_what_no_remedy_is_left_for_has_none() -> None:
    assert not hopes(box(alert(), proved_image="")), "there is no image to go back to"
    paused = box(alert())
    paused.pauses = {"*": ("maintenance", 0.0)}
    assert not hopes(paused), "nobody knows for how long"


def test_a_step_that_stops_it_is_no_hope() -> None:
    stops = "playbooks:\n- name: down\n  match: ['alertname=\"ContainerRestartLoop\"']\n  steps:\n  - do: stop\n"
    assert not hopes(box(alert(), text=stops))
