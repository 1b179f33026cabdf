"""The documents that MQTT, the control socket and the command line show."""

import json
import math
from dataclasses import replace

from supervisor import views
from supervisor.facts import Approval, BusState, Intent, Needs, Rollout, Stage, Wanted
from supervisor.verdicts import yes
from tests.support.boxes import BAD, GOOD, NOW, box, loop_alert, oracle, phoenix, qdrant


def test_an_alert_is_an_alertmanager_alert() -> None:
    document = views.alert_document(loop_alert())
    assert document["labels"]["alertname"] == "ContainerRestartLoop"
    assert document["status"] == "firing"
    assert document["startsAt"] == "2025-10-09T08:53:18.000Z"
    assert document["endsAt"] == "0001-01-01T00:00:00Z"
    assert document["value"] == 3


def test_a_value_json_cannot_hold_becomes_a_word() -> None:
    for value, word in ((math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf")):
        document = views.alert_document(replace(loop_alert(), value=value))
        assert document["value"] == word
        json.dumps(document, allow_nan=False)


def test_firing_alerts_come_before_pending_ones_and_resolved_ones_not_at_all() -> None:
    pending = replace(loop_alert("pending"), fingerprint="2", name="Pending")
    mild = replace(loop_alert(), fingerprint="3", name="Mild", labels={"severity": "warning"}, active_at=NOW - 99)
    resolved = replace(loop_alert("resolved"), fingerprint="4")
    shown = views.alerts_document(box(alerts=(pending, resolved, mild, loop_alert())))
    assert [alert["fingerprint"] for alert in shown] == ["f00d", "3", "2"]


def test_the_host_document_counts_what_is_used() -> None:
    document = views.host_document(box())
    assert document["memory"] == {"total": 400_000_000_000, "available": 100_000_000_000, "used": 0.75}
    assert document["swap"]["used"] == 0.0


def test_the_host_document_says_when_nothing_is_known() -> None:
    assert views.host_document(box(host_memory={}))["memory"] == {"total": None, "available": None, "used": None}
    assert views.host_document(box(host_memory={"SwapTotal": 0.0, "SwapFree": 0.0}))["swap"]["used"] is None


def test_a_container_document_tells_state_image_and_what_it_is_about() -> None:
    document = views.container_document(oracle(), box())
    assert document["state"] == "restarting"
    assert document["exit_text"] == "exit 139 (SIGSEGV)"
    assert document["image"] == {
        "ref": "local/oracle:1",
        "name": "local/oracle:1",
        "running": BAD,
        "wanted": BAD,
        "proved": GOOD,
        "drift": "unproved",
        "quarantined": [],
    }
    assert document["alerts"] == ["ContainerRestartLoop"]
    assert document["blocker"] == ""
    assert document["phoenix"]["active"] is False


def test_a_container_document_names_the_plan_that_works_on_it() -> None:
    service = replace(oracle(), plan=41)
    document = views.container_document(service, box(plans=(phoenix(),), services=(service,)))
    assert document["phoenix"] == {"active": True, "plan": 41, "verb": "phoenix"}


def test_a_service_without_a_container_is_absent() -> None:
    document = views.container_document(replace(oracle(), container=None), box())
    assert (document["state"], document["container"], document["image"]["running"]) == ("absent", "", "")


def test_what_stands_in_the_way_is_said_in_the_order_it_counts() -> None:
    stopped = replace(oracle(), wanted=Wanted("stopped", "uid:0", NOW, ""))
    assert "label it resurgam.enable=true" in views.container_document(qdrant(), box())["blocker"]
    assert "observe mode" in views.container_document(oracle(), box(mode="observe"))["blocker"]
    paused = box(pauses={"*": ("backup", NOW + 60)})
    assert views.container_document(oracle(), paused)["blocker"].startswith("everything is paused: backup, until 2025")
    assert "`resurgam start stack.oracle`" in views.container_document(stopped, box())["blocker"]
    waiting = box(plans=(phoenix(),), waiting=((41, "waits for gpu:0"),))
    assert views.container_document(replace(oracle(), plan=41), waiting)["blocker"] == "plan 41 waits for gpu:0"


def test_a_plan_document_tells_how_far_it_is() -> None:
    document = views.plan_document(phoenix())
    states = [(step["name"], step["state"]) for step in document["steps"]]
    assert states == [("create", "done"), ("stop_old", "begun"), ("probe", "ahead"), ("put_back", "ahead")]
    assert (document["phase"], document["state"], document["disturbance"]) == ("inside", "open", "disruptive")
    assert views.plan_document(phoenix(), "waits for gpu:0")["state"] == "waiting"


def test_the_daemon_document_counts_and_names_bad_rules() -> None:
    document = views.daemon_document(box(pauses={"*": ("backup", 0.0)}))
    assert document["services"] == {"total": 2, "owned": 1, "healthy": 1}
    assert document["alerts"] == {"firing": 1, "pending": 0, "silenced": 0}
    assert document["paused"] == {"*": {"reason": "backup", "until": "0001-01-01T00:00:00Z"}}
    assert document["rules"] == {"files": 1, "ok": 1, "bad": []}


def test_the_retained_daemon_document_does_not_change_with_every_turn() -> None:
    """It is published whenever it changes; with rev or seq in it every event would cost a second message."""
    later = box(rev=8, seq=99, at=NOW + 1, mono=101.0)
    assert views.daemon_document(later) == views.daemon_document(box())


def test_the_status_document_is_strict_json_and_whole() -> None:
    odd = replace(loop_alert(), value=math.nan)
    document = views.status_document(box(alerts=(odd,), plans=(phoenix(),), waiting=((41, "waits"),)))
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert [entry["service"] for entry in document["services"]] == ["qdrant", "stack.oracle"]
    assert document["plans"][0]["waiting"] == "waits"
    assert document["decisions"][0]["reason"] == "not_owned"
    assert document["outbox"] == document["daemon"]["outbox"]
    assert document["outbox"] == {
        "waiting": 2,
        "oldest_s": 0,
        **dict.fromkeys(("unheard", "critical_unheard", "dead", "shed", "digested"), 0),
    }
    assert document["status"] == "ok"


def test_an_alert_that_nobody_heard_over_mqtt_says_so() -> None:
    bus = BusState(NOW, 1.0, True, "mqtt://box", "", unheard_alerts=(loop_alert().fingerprint,))
    for found, said in ((bus, True), (replace(bus, unheard_alerts=()), False), (None, False)):
        assert [one["unheard"] for one in views.alerts_document(box(bus=found))] == [said]


def test_times_that_no_calendar_holds_do_not_break_a_document() -> None:
    assert views.iso(1e18).startswith("9999-")
    assert views.iso(-5.0) == views.iso(0.0) == "0001-01-01T00:00:00Z"


def test_an_owned_service_that_is_well_has_no_blocker() -> None:
    assert views.container_document(replace(qdrant(), owned=yes()), box())["blocker"] == ""


def test_an_image_is_called_what_people_call_it_with_its_id_where_that_name_has_moved_on() -> None:
    made = oracle().container
    assert made is not None
    by_id = replace(made, image_ref=GOOD, image_id=GOOD, ref_image_id="")
    moved = replace(made, image_ref="local/oracle:1", image_id=GOOD, ref_image_id="sha256:" + "b" * 64)
    still = replace(moved, ref_image_id=GOOD)
    names = [
        views.container_document(replace(oracle(), container=one), box())["image"]["name"]
        for one in (by_id, moved, still)
    ]
    assert names == ["aaaaaaaaaaaa", "local/oracle:1@aaaaaaaaaaaa", "local/oracle:1"]


def _states(begun: tuple[str, ...], marks: tuple[tuple[str, bool], ...]) -> list[str]:
    made = replace(phoenix(begun=begun), marks=tuple((name, ok, {}) for name, ok in marks))
    return [step["state"] for step in views.plan_document(made)["steps"]]


def test_a_step_of_a_plan_is_done_once_it_or_a_later_one_said_so() -> None:
    begun = ("create", "stop_old", "probe")
    assert _states(begun, (("stop_old", True),)) == ["done", "done", "begun", "ahead"]
    assert _states(begun, (("create", True),)) == ["done", "begun", "begun", "ahead"], "several may begin at once"


def test_a_step_that_tells_what_it_waits_for_has_not_failed() -> None:
    begun, waits = ("create", "stop_old", "probe"), (("create", True), ("stop_old", True), ("probe", False))
    assert _states(begun, waits) == ["done", "done", "begun", "ahead"]
    assert _states((*begun, "put_back"), waits) == ["done", "done", "failed", "begun"]
    assert _states(begun, (*waits, ("probe", True))) == ["done", "done", "done", "ahead"]


def test_a_plan_that_stands_still_for_a_persons_word_says_so() -> None:
    asked = Approval("ap-3", Intent("phoenix", "stack.oracle", {}, "x", "uid:0"), "?", NOW, NOW + 60, plan=41)
    shown = box(plans=(phoenix(),), approvals=(asked,))
    assert "ap-3" in views.status_document(shown)["plans"][0]["waiting"]
    assert "ap-3" in views.explain_document("stack.oracle", shown)["plans"][0]["waiting"]


def test_what_is_odd_about_how_a_service_stands_is_hinted_at() -> None:
    assert views.container_document(oracle(), box())["hint"] == ""
    cut = replace(oracle(), cut_off="vpn was made anew", parents={"vpn": "network"})
    document = views.container_document(cut, box())
    assert (document["hint"], document["shares"]) == ("cut off: vpn was made anew", {"vpn": "network"})
    ordered = replace(oracle(), needs=Needs(boot="ordered"))
    assert "`resurgam phoenix stack.oracle --image current`" in views.container_document(ordered, box())["hint"]


def test_a_rollout_is_shown_with_how_far_each_stage_is() -> None:
    stages = (Stage("a", "start", plan=3, outcome="verified"), Stage("b", "start", plan=4), Stage("c", "start"))
    going = Rollout(2, "start", "boot", "resurgam", "The machine came up again.", NOW, stages, kind="boot")
    shown = views.status_document(box(rollouts=(going,)))["rollouts"]
    assert [(one["kind"], one["at"], [stage["outcome"] for stage in one["stages"]]) for one in shown] == [
        ("boot", "b", ["verified", "", ""])
    ]
