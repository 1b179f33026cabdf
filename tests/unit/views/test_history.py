"""Plans and incidents as their rows tell them."""

from types import SimpleNamespace
from typing import Any

from supervisor import views
from tests.support.boxes import NOW


def row(seq: int, kind: str, **body: Any) -> Any:
    return SimpleNamespace(seq=seq, at=NOW + seq, kind=kind, subject="stack.oracle", body=body, public=True)


def test_an_ended_plan_has_its_outcome_and_its_events() -> None:
    rows = [
        row(1, "action.planned", plan=41, verb="phoenix", service="stack.oracle", cause="drift", by="rule:Loop"),
        row(2, "action.begin", plan=41, step="create"),
        row(3, "action.rolled_back", plan=41, verb="phoenix", reason="rolled_back", text="the new one died"),
    ]
    document = views.past_plan_document(41, rows)
    assert (document["state"], document["verb"], document["cause"]) == ("rolled_back", "phoenix", "drift")
    assert document["text"] == "plan 41 phoenix rolled back: the new one died"
    assert [event["seq"] for event in document["events"]] == [1, 2, 3]


def test_a_plan_without_an_end_is_open_and_a_refusal_is_no_end() -> None:
    assert views.past_plan_document(41, [row(1, "action.planned", plan=41)])["state"] == "open"
    assert views.outcome_of(row(1, "action.refused")) == ""
    assert views.outcome_of(row(1, "alert.failed")) == ""


def test_an_incident_takes_the_latest_cause_and_knows_its_end() -> None:
    told = {"id": "i-1", "title": "Loop", "cause": "unknown", "state": "open"}
    rows = [
        row(1, "incident.opened", incident=told),
        row(2, "incident.changed", incident=told | {"cause": "image drift"}),
        row(3, "action.verified", plan=41, incident="i-1"),
        row(4, "incident.closed", incident=told | {"cause": "image drift", "state": "closed"}),
        row(4, "incident.opened", incident=told | {"id": "i-2", "cause": "another"}),
    ]
    document = views.past_incident_document("i-1", rows)
    assert (document["state"], document["cause"], document["title"]) == ("closed", "image drift", "Loop")
    assert document["closed_at"] > document["opened_at"]
    assert [event["seq"] for event in document["events"]] == [1, 2, 3, 4, 4]
