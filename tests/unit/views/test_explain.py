"""Why it is as it is: the answer to `resurgam explain`."""

from dataclasses import replace

from supervisor import views
from supervisor.facts import Needs
from tests.support.boxes import box, loop_alert, oracle, phoenix


def test_a_service_is_explained_by_state_deaths_drift_and_alerts() -> None:
    document = views.explain_document("stack.oracle", box())
    assert document["found"]
    assert document["sentence"] == (
        "stack.oracle is restarting; died 3 times in a row, last with exit 139 (SIGSEGV); "
        "it runs bbbbbbbbbbbb, which has not proved healthy (aaaaaaaaaaaa has); firing: ContainerRestartLoop"
    )
    assert [alert["fingerprint"] for alert in document["alerts"]] == ["f00d"]
    assert document["incidents"][0]["id"] == "i-1"


def test_a_service_is_found_by_alias_and_by_container_name() -> None:
    aliased = replace(oracle(), needs=Needs(aliases=("seer",)))
    for word in ("seer", "stack_oracle_1"):
        assert views.explain_document(word, box(services=(aliased,)))["service"]["service"] == "stack.oracle"


def test_what_the_core_found_for_a_word_counts() -> None:
    document = views.explain_document("ktransformers", box(), {"found": True, "services": [{"id": "stack.oracle"}]})
    assert document["service"]["service"] == "stack.oracle"


def test_an_alert_is_explained_with_its_rule_its_plan_and_its_incident() -> None:
    rows = [{"labels": {"name": "oracle"}, "value": float("inf")}]
    told = {"found": True, "rules": ({"rule": "a:b:0", "parts": [{"expr": "x > 2", "rows": rows}]},)}
    document = views.explain_document("ContainerRestartLoop", box(plans=(phoenix(),)), told)
    assert document["sentence"] == "ContainerRestartLoop is firing for 2s"
    assert document["rules"][0]["parts"][0]["rows"] == [{"labels": {"name": "oracle"}, "value": "+Inf"}]
    assert document["incidents"][0]["subject"] == "stack.oracle"
    assert [plan["id"] for plan in document["plans"]] == [41]


def test_a_known_rule_that_does_not_fire_is_said_to_be_quiet() -> None:
    document = views.explain_document("HostMemoryHigh", box(), {"found": True, "rules": []})
    assert document["found"]
    assert "is not active" in document["sentence"]


def test_a_held_alert_says_so() -> None:
    held = replace(loop_alert(), held=True)
    assert "held until" in views.explain_document("ContainerRestartLoop", box(alerts=(held,)))["sentence"]


def test_an_unknown_word_names_what_comes_close() -> None:
    document = views.explain_document("stack.oracel", box(), {"found": False})
    assert not document["found"]
    assert document["sentence"].endswith("did you mean stack.oracle?")
    assert views.explain_document("zzz", box())["near"] == []


def test_rules_that_are_quiet_now_come_close_too() -> None:
    told = {"found": False, "names": ["ContainerRestartLoop", "HostMemoryHigh"]}
    document = views.explain_document("HostMemory", box(alerts=()), told)
    assert document["sentence"] == "nothing here is called 'HostMemory'; did you mean HostMemoryHigh?"


def test_the_word_that_is_explained_stands_for_one_service_or_none() -> None:
    assert views.explained_service("stack_oracle_1", box()) == "stack.oracle"
    assert views.explained_service("ContainerRestartLoop", box()) == ""
