"""What became of plans and incidents, from their journal rows.

In: rows of one plan or incident, oldest first. Out: JSON documents in the shape of those for open ones, with the events
that led to the end.
"""

from collections.abc import Sequence

from supervisor.facts import Json
from supervisor.units import iso
from supervisor.views.sentences import Row, event_document, phrase

OUTCOMES = ("verified", "rolled_back", "degraded", "failed", "ended_early")
"""How a plan can end; a refused one never began."""


def outcome_of(row: Row) -> str:
    """`verified` … for a row that ends a plan, '' for any other."""
    family, _, what = row.kind.partition(".")
    return what if family == "action" and what in OUTCOMES else ""


def incident_of(row: Row) -> str:
    """The id of the incident that a row `incident.…` is about, '' for any other row."""
    told = row.body.get("incident")
    return str(told.get("id", "")) if row.kind.startswith("incident.") and isinstance(told, dict) else ""


def past_plan_document(plan_id: int, rows: Sequence[Row]) -> Json:
    """A plan as its rows tell it; `state` is its outcome, or `open` while it has none."""
    told: Json = {}
    state, text, ended_at = "open", "", 0.0
    for row in rows:
        for key in ("verb", "service", "by", "cause", "incident", "params", "image", "limit"):
            if row.body.get(key):
                told.setdefault(key, row.body[key])
        if outcome_of(row):
            state, text, ended_at = outcome_of(row), phrase(row), row.at
    return {
        "id": plan_id,
        "state": state,
        "verb": told.get("verb", ""),
        "service": told.get("service", rows[0].subject if rows else ""),
        "params": told.get("params", {}),
        "image": told.get("image", ""),
        "cause": told.get("cause", ""),
        "by": told.get("by", ""),
        "incident": told.get("incident", ""),
        "limit_text": told.get("limit", ""),
        "created_at": iso(rows[0].at if rows else 0.0),
        "ended_at": iso(ended_at),
        "text": text,
        "events": [event_document(row) for row in rows],
    }


def past_incident_document(incident_id: str, rows: Sequence[Row]) -> Json:
    """An incident as the rows from its beginning to its end tell it, other rows about its subject among them."""
    told: Json = {}
    own = [row for row in rows if incident_of(row) == incident_id]
    for row in own:
        told.update(
            {key: row.body["incident"][key] for key in ("title", "cause", "state") if row.body["incident"].get(key)}
        )
    closed = [row for row in own if row.kind == "incident.closed"]
    return {
        "id": incident_id,
        "subject": rows[0].subject if rows else "",
        "state": "closed" if closed else told.get("state", "open"),
        "title": told.get("title", ""),
        "cause": told.get("cause", ""),
        "opened_at": iso(rows[0].at if rows else 0.0),
        "closed_at": iso(closed[-1].at if closed else 0.0),
        "events": [event_document(row) for row in rows],
    }
