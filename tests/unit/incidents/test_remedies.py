"""What helps against what, and what is too heavy to be tried on suspicion: for rules only, people may do anything."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.config import Settings
from supervisor.facts import Intent, Needs, Service
from supervisor.incidents import Spend
from supervisor.incidents.guard import judge, may_run
from supervisor.services import OP_LABEL
from supervisor.verdicts import Reason
from tests.support.incidents import BAD, GOOD, NOW, ORACLE, Box, alert, container, oracle, service

CURRENT, GOOD_ONE = {"image": "current"}, {"image": "last-known-good"}
PORT_ERROR = "x: Bind for 0.0.0.0:8000 failed: port is already allocated"
VERBS = (("restart", {}), ("phoenix", CURRENT), ("phoenix", GOOD_ONE))
GIB = 1 << 30


def box_with(one: Service, **more: Any) -> Box:
    made = oracle(**more)
    made.put(one)
    return made


def said(box: Box, verb: str, params: dict[str, str] | None = None, by: str = "playbook:x", **more: Any) -> Reason:
    return may_run(Intent(verb, ORACLE, params or {}, "", by, **more), box.world()).reason


def row(box: Box) -> list[str]:
    """restart, phoenix current, phoenix last-known-good: what a rule is told."""
    return [said(box, verb, params).value for verb, params in VERBS]


def sick(told: str, **more: Any) -> Service:
    """A service on its proved image unless `more` says else, with this cause."""
    given: dict[str, Any] = {
        "trouble": told,
        "trouble_told": told,
        "trouble_text": f"It is {told}; mend it.",
        "trouble_at": NOW - 1,
        "proved_image": BAD,
        "drift": "",
        "streak": 3,
    }
    return service(**(given | more))


DRIFTED = {"proved_image": GOOD, "drift": "unproved"}
DOWN = {"container": container(status="exited", error=PORT_ERROR)}
OK, NO = "allowed", "no_use"


@pytest.mark.parametrize(
    ("one", "want"),
    [
        (sick("crash"), [OK, OK, OK]),
        (sick("crash", **DRIFTED), [NO, NO, OK]),
        (sick("crash", streak=1, **DRIFTED), [OK, OK, OK]),
        (sick("app", **DRIFTED), [NO, NO, OK]),
        (sick("killed", **DRIFTED), [OK, OK, OK]),
        (sick("bad_command"), [NO, NO, NO]),
        (sick("bad_command", **DRIFTED), [NO, NO, OK]),
        (sick("oom"), [OK, NO, NO]),
        (sick("oom", **DRIFTED), [OK, NO, OK]),
        (sick("unhealthy"), [OK, OK, OK]),
        (sick("gpu_runtime", **DOWN), [NO, NO, NO]),
        (sick("disk_full", **DOWN), [NO, NO, NO]),
        (sick("engine_network", **DOWN), [NO, NO, NO]),
        (sick("device_missing", **DOWN), [NO, NO, NO]),
        (sick("mount_missing", **DOWN), [NO, NO, NO]),
        (sick("namespace_gone", **DOWN), [NO, OK, OK]),
        (sick("network_gone", **DOWN), [NO, OK, OK]),
        (sick("image_gone", **DOWN, **DRIFTED), [NO, NO, OK]),
        (sick("start_failed", **DOWN), [OK, OK, OK]),
        (sick("check_broken", container=container(status="running", health="unhealthy")), [NO, NO, NO]),
    ],
    ids=lambda value: f"{value.trouble}-{value.drift}-{value.streak}" if isinstance(value, Service) else "",
)
def test_the_table(one: Service, want: list[str]) -> None:
    box = box_with(one)
    assert row(box) == want
    for verb, params in VERBS:
        assert said(box, verb, params, by="uid:0") is Reason.ALLOWED, "a person may try"
    assert said(box, "stop") is Reason.ALLOWED, "a stop is never of no use"
    assert said(box, "notify") is Reason.ALLOWED


def test_a_word_from_a_log_decides_nothing() -> None:
    box = box_with(sick("app", trouble="disk_full"))
    assert row(box) == [OK, OK, OK]
    assert row(box_with(sick("app", trouble="gpu_memory", **DRIFTED))) == [NO, NO, OK]


@pytest.mark.parametrize("told", ["gpu_runtime", "disk_full", "check_broken"])
def test_what_is_the_machines_trouble_is_waited_for_and_not_climbed_past(told: str) -> None:
    status = {"status": "running", "health": "unhealthy"} if told == "check_broken" else {"status": "exited"}
    found = judge(
        Intent("restart", ORACLE, {}, "", "playbook:x"), box_with(sick(told, container=container(**status))).world()
    )
    assert (found.verdict.reason, found.lasting) == (Reason.NO_USE, False)
    assert "It is " in found.verdict.text
    climbed = judge(Intent("phoenix", ORACLE, CURRENT, "", "playbook:x"), box_with(sick("crash", **DRIFTED)).world())
    assert climbed.lasting


def test_a_held_port_is_waited_for_until_its_holder_lets_go() -> None:
    box = box_with(sick("port_held", trouble_by="demo.web", **DOWN))
    box.put(service("demo.web", container=container("w", "web", status="running", ports=("0.0.0.0:8000/tcp",))))
    found = judge(Intent("restart", ORACLE, {}, "", "playbook:x"), box.world())
    assert (found.verdict.reason, found.again, found.lasting) == (Reason.NO_USE, NOW + 30, False)
    box.put(service("demo.web", container=container("w", "web", status="exited", ports=("0.0.0.0:8000/tcp",))))
    assert said(box, "restart") is Reason.ALLOWED


def test_a_port_held_by_nobody_we_see_is_tried_again_after_a_while() -> None:
    box = box_with(sick("port_held", **DOWN))
    found = judge(Intent("restart", ORACLE, {}, "", "playbook:x"), box.world())
    assert (found.verdict.reason, found.again) == (Reason.NO_USE, NOW + 30)
    box.now += 300
    assert said(box, "restart") is Reason.ALLOWED


def test_out_of_memory_is_restarted_once() -> None:
    spent = (Spend(NOW - 600, ORACLE, "restart", True, 7),)
    assert row(box_with(sick("oom"), spent=spent)) == [NO, NO, NO]
    assert row(box_with(sick("oom"), spent=(Spend(NOW - 3601, ORACLE, "restart", True, 7),))) == [OK, NO, NO]


def test_trouble_is_no_time_to_bring_in_what_the_tag_stands_for_by_now() -> None:
    moved = {"container": container(image_id=GOOD, ref_image_id=BAD), "proved_image": GOOD, "drift": "tag_moved"}
    assert row(box_with(sick("crash", **moved))) == [OK, NO, OK]
    calm = sick("", streak=0, **(moved | {"container": container(image_id=GOOD, ref_image_id=BAD, status="running")}))
    assert row(box_with(calm)) == [OK, OK, OK]


def test_what_was_made_anew_already_is_not_made_anew_again() -> None:
    key = {"key": f"{alert().fingerprint}|{NOW:.3f}|1"}
    made = container(labels={"resurgam.enable": "true", OP_LABEL: "abc"}, created_at=NOW - 10)
    box = box_with(sick("crash", container=made))
    assert said(box, "phoenix", CURRENT, **key) is Reason.NO_USE
    old = container(labels={"resurgam.enable": "true", OP_LABEL: "abc"}, created_at=NOW - 600)
    assert said(box_with(sick("crash", container=old)), "phoenix", CURRENT, **key) is Reason.ALLOWED
    tried = box_with(sick("crash"), spent=(Spend(NOW - 600, ORACLE, "phoenix", True, 7),))
    assert said(tried, "phoenix", GOOD_ONE, **key) is Reason.NO_USE
    drifted = box_with(sick("crash", **DRIFTED), spent=(Spend(NOW - 600, ORACLE, "phoenix", True, 7),))
    assert said(drifted, "phoenix", GOOD_ONE, **key) is Reason.ALLOWED, "another image is another try"


# ---------------------------------------------------------------- heavy


HEAVY = Needs(memory=281 * GIB)
HEAVY_ROW = ["heavy", "heavy", "heavy"]
RUNS = {"container": container(status="running", health="unhealthy"), "streak": 0}


@pytest.mark.parametrize(
    ("one", "want"),
    [
        (sick("killed", needs=HEAVY), HEAVY_ROW),
        (sick("killed", needs=HEAVY, streak=2), HEAVY_ROW),
        (sick("killed", needs=HEAVY, streak=1), [OK, OK, OK]),
        (sick("killed", needs=HEAVY, **DRIFTED), ["heavy", "heavy", OK]),
        (sick("crash", needs=HEAVY, **DRIFTED), [NO, NO, OK]),
        (sick("oom", needs=HEAVY, streak=1), ["heavy", NO, NO]),
        (sick("unhealthy", needs=HEAVY, **RUNS), [OK, "heavy", "heavy"]),
        (sick("unhealthy", needs=HEAVY, **RUNS, **DRIFTED), [OK, "heavy", OK]),
        (sick("killed", needs=Needs(startup=1500, startup_declared=True)), HEAVY_ROW),
        (sick("killed", needs=Needs(startup=1500)), [OK, OK, OK]),
        (sick("killed", needs=Needs(memory=64 * GIB)), [OK, OK, OK]),
        (sick("", needs=HEAVY, streak=0, container=container(status="running")), [OK, OK, OK]),
    ],
    ids=str,
)
def test_a_heavy_service(one: Service, want: list[str]) -> None:
    box = box_with(one)
    assert row(box) == want
    assert [said(box, verb, params, by="uid:0").value for verb, params in VERBS] == [OK, OK, OK]
    assert said(box, "stop") is Reason.ALLOWED


def test_a_heavy_service_that_hangs_is_restarted_once_an_hour() -> None:
    hangs = sick("unhealthy", needs=HEAVY, **RUNS)
    assert said(box_with(hangs, spent=(Spend(NOW - 3000, ORACLE, "restart", True, 1),)), "restart") is Reason.HEAVY
    assert said(box_with(hangs, spent=(Spend(NOW - 3700, ORACLE, "restart", True, 1),)), "restart") is Reason.ALLOWED


def test_the_refusal_has_the_figures() -> None:
    needs = Needs(memory=281 * GIB, startup=1500, startup_declared=True)
    found = may_run(Intent("restart", ORACLE, {}, "", "rule:x"), box_with(sick("killed", needs=needs)).world())
    assert "281 GiB of memory (heavy from 64 GiB) and 25m to load (heavy from 2m)" in found.text
    assert "died 3 times in a row" in found.text
    light = Settings.model_validate({"heavy": {"memory": "512GiB", "startup": "1h"}})
    assert said(box_with(sick("killed", needs=needs), settings=light), "restart") is Reason.ALLOWED


@pytest.mark.parametrize("health", ["none", "healthy"])
def test_a_heavy_service_that_fails_its_probe_hangs_too_whatever_its_own_check_says(health: str) -> None:
    quiet = container(status="running", health=health)
    box = box_with(service(needs=HEAVY, container=quiet, healthy=health == "healthy", **DRIFTED, streak=0))
    failing = replace(box.world(), failing=frozenset({ORACLE}))

    def reason(verb: str, params: dict[str, str]) -> Reason:
        return judge(Intent(verb, ORACLE, params, "", "playbook:not-answering"), failing).verdict.reason

    assert reason("restart", {}) is Reason.ALLOWED
    assert reason("phoenix", CURRENT) is Reason.HEAVY, "that it would do better made anew is a guess"
    assert reason("phoenix", GOOD_ONE) is Reason.ALLOWED, "another image is no guess"
    again = replace(failing, spent=(Spend(NOW - 1800, ORACLE, "restart", True, 1),))
    assert judge(Intent("restart", ORACLE, {}, "", "playbook:x"), again).verdict.reason is Reason.HEAVY
