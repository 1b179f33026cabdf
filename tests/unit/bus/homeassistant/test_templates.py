"""How Home Assistant reads our documents: what is there is shown, what is missing is unknown and never an error."""

import json
from dataclasses import replace
from typing import Any

import pytest

from supervisor.bus.homeassistant import host, service
from supervisor.bus.homeassistant.entities import Place
from supervisor.bus.messages import cloud_event
from supervisor.bus.state import documents
from supervisor.facts import Approval, Intent
from supervisor.journal import Row
from tests.support.boxes import BAD, GOOD, box, loop_alert, oracle
from tests.support.budgets import leak, owners
from tests.support.ha import rendered

ALL = ("phoenix", "restart", "pause", "resume")
PLACE = Place("3f9c1e7a52d8", "omni", "0.1.0", ALL)
EMPTY: list[Any] = [None, {}, [], {"alerts": None, "paused": None, "image": None, "memory": None, "data": None}]


def entities() -> dict[str, Any]:
    found = host.device(PLACE).entities
    whole, _steady = service.device(PLACE, "stack.oracle", service.install(PLACE, oracle(), box()))
    return {f"host.{key}": one for key, one in found.items()} | {
        f"service.{key}": o for key, o in whole.entities.items()
    }


def document(snapshot: Any, ending: str) -> Any:
    found = {topic: json.loads(one.message.payload) for topic, one in documents(snapshot).items()}
    return next(body for topic, body in found.items() if topic.endswith(ending))


def shown(key: str, body: Any, field: str = "value_template") -> str:
    return rendered(entities()[key][field], body)


def test_the_host_as_it_is() -> None:
    daemon = document(box(), "state/daemon")
    assert shown("host.status", daemon) == "ok"
    assert shown("host.problem", daemon) == "ON"
    assert shown("host.problem", document(box(alerts=()), "state/daemon")) == "OFF"
    assert shown("host.alerts_firing", daemon) == "1"
    assert shown("host.started", daemon).endswith("Z")
    assert shown("host.outbox_waiting", daemon) == "2"
    assert shown("host.revision", document(box(revisions={"daemon": 4}), "state/daemon")) == "4"
    readings = document(box(), "state/host")
    assert float(shown("host.memory_available", readings)) == pytest.approx(100e9 / 2**30, abs=0.01)
    assert shown("host.swap_used", readings) == "0.0"
    assert shown("host.memory_headroom", readings) == shown("host.memory_lasts", readings) == "None"


def test_how_much_memory_may_be_planned_and_how_long_it_lasts() -> None:
    calm, leaking = (document(box(budget=budget), "state/host") for budget in (owners(), leak()))
    assert shown("host.memory_headroom", calm) == "15.0"
    assert shown("host.memory_lasts", calm) == "None", "it does not run out"
    assert float(shown("host.memory_lasts", leaking)) == 480.0


def test_every_status_there_is_can_be_shown() -> None:
    for status in ("recovering", "ok", "degraded", "healing", "observe", "stopping"):
        assert shown("host.status", document(box(status=status), "state/daemon")) == status
    assert shown("host.status", {"status": "something new"}) == "None", "an enum takes no other word"


def test_the_pause_of_everything_is_shown_and_that_of_one_service_is_not() -> None:
    for key in ("host.paused", "host.healing_paused"):
        assert shown(key, document(box(pauses={"*": ("dinner", 0.0)}), "state/daemon")) == "ON"
        assert shown(key, document(box(pauses={"qdrant": ("dinner", 0.0)}), "state/daemon")) == "OFF"


def test_the_attributes_leave_out_what_changes_with_every_reading() -> None:
    daemon = json.loads(shown("host.status", document(box(), "state/daemon"), "json_attributes_template"))
    assert daemon["mode"] == "heal"
    assert not {"counts", "outbox"} & daemon.keys()
    about = document(box(memory={"stack.oracle": 5.0}), "stack.oracle")
    health = json.loads(shown("service.health", about, "json_attributes_template"))
    assert health["image"]["ref"] == "local/oracle:1"
    assert not {"memory", "budget"} & health.keys()


def test_what_fires_is_in_the_attributes_for_one_that_was_away() -> None:
    alerts = document(box(alerts=(loop_alert(),) * 30), "state/alerts")
    found = json.loads(shown("host.alerts_firing", alerts, "json_attributes_template"))["alerts"]
    assert len(found) == host.SHOWN
    assert found[0] == {
        "name": "ContainerRestartLoop",
        "state": "firing",
        "severity": "critical",
        "summary": "stack_oracle_1 died 3 times in a row",
        "since": found[0]["since"],
        "fingerprint": "f00d",
    }


def test_a_service_as_it_is() -> None:
    sick = document(box(memory={"stack.oracle": 3.0 * 2**20}), "stack.oracle")
    assert shown("service.running", sick) == "OFF"
    assert shown("service.health", sick) == "none"
    assert shown("service.restarts", sick) == "3"
    assert shown("service.memory", sick) == "3.0"
    well = document(box(), "container/qdrant")
    assert (shown("service.running", well), shown("service.health", well)) == ("ON", "healthy")
    assert shown("service.memory", well) == "None"


def image(**changes: Any) -> Any:
    box_ = replace(oracle().container, image_id=BAD, ref_image_id=GOOD)  # type: ignore[type-var]
    moved = replace(oracle(), container=box_, **changes)
    return json.loads(shown("service.image", document(box(services=(moved,)), "stack.oracle")))


def test_a_moved_tag_is_an_update() -> None:
    assert image()["installed_version"] == "image " + "b" * 12
    assert image()["latest_version"] == "image " + "a" * 12
    assert image()["title"] == "local/oracle:1"
    assert image()["in_progress"] is False


def test_an_image_that_failed_here_is_not_offered() -> None:
    found = image(quarantined=(GOOD,))
    assert found["latest_version"] == found["installed_version"]
    assert "failed here" in found["release_summary"]


def test_an_update_that_is_being_done_says_so() -> None:
    body = document(box(), "stack.oracle")
    body["phoenix"] = {"active": True, "plan": 4, "verb": "phoenix"}
    assert json.loads(shown("service.image", body))["in_progress"] is True
    body["phoenix"]["verb"] = "restart"
    assert json.loads(shown("service.image", body))["in_progress"] is False


def test_a_service_without_a_container_has_no_image_to_compare() -> None:
    assert shown("service.image", document(box(services=(replace(oracle(), container=None),)), "stack.oracle")) == ""


def told(kind: str, body: Any, subject: str = "stack.oracle") -> Any:
    return cloud_event(Row(42, 1_760_000_000.0, kind, subject, body, True, "", 41), "omni", "e1")


def test_an_alert_becomes_an_event() -> None:
    alert = {"labels": {"alertname": "Loop", "severity": "critical"}, "annotations": {"summary": 'it "loops"'}}
    for what in host.ALERT_KINDS:
        found = json.loads(shown("host.alert", told(f"alert.{what}", {"alert": alert, "incident": "i-1"})))
        assert found["event_type"] == what
        assert (found["alertname"], found["severity"], found["summary"]) == ("Loop", "critical", 'it "loops"')
        assert (found["service"], found["id"], found["seq"], found["incident"]) == ("stack.oracle", "e1-42", 42, "i-1")


def test_an_action_becomes_an_event_with_the_question_to_answer() -> None:
    body = {"plan": 41, "verb": "phoenix", "by": "rule", "reason": "r", "text": "t", "approval": "ap-3"}
    for what in host.ACTION_KINDS:
        found = json.loads(shown("host.action", told(f"action.{what}", body)))
        assert (found["event_type"], found["approval"], found["verb"], found["plan"]) == (what, "ap-3", "phoenix", 41)


def test_an_event_that_was_not_declared_is_none() -> None:
    assert shown("host.alert", told("alert.brand_new", {})) == ""
    assert shown("host.action", told("action.rollout", {})) == ""
    assert shown("host.alert", {"type": 5}) == ""


@pytest.mark.parametrize("body", EMPTY)
def test_whatever_is_missing_no_template_fails(body: Any) -> None:
    for key, entity in entities().items():
        for field in ("value_template", "json_attributes_template"):
            if field in entity and not (field.startswith("json") and body == []):
                said = rendered(entity[field], body)
                assert said in ("None", "OFF", "", "{}", '{"alerts": []}', '{"rev": null}') or field.startswith(
                    "json"
                ), key


def test_what_waits_for_a_word_is_in_the_attributes() -> None:
    intent = Intent("phoenix", "stack.oracle", {}, "loop", "rule:Loop")
    asked = Approval("ap-3", intent, "May it?", 1_760_000_000.0, 1_760_003_600.0)
    daemon = document(box(approvals=(asked,)), "state/daemon")
    assert json.loads(shown("host.status", daemon, "json_attributes_template"))["approvals"][0]["id"] == "ap-3"


def test_memory_alone_is_no_reason_to_tell_a_service_at_once() -> None:
    before, after = (documents(box(memory={"qdrant": used})) for used in (1.0, 2.0))
    topic = "resurgam/omni/state/container/qdrant"
    assert before[topic].key == after[topic].key
    assert before[topic].message.payload != after[topic].message.payload
