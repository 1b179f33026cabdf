"""Rollouts as documents: those that go on, and those that are over, from their journal rows.

In: facts.Rollout, or the rows of one, oldest first. Out: JSON for `status`, the control socket and the command line.
"""

from collections.abc import Sequence

from supervisor.facts import Json, Rollout
from supervisor.units import iso
from supervisor.views.sentences import Row, event_document, phrase


def rollout_document(rollout: Rollout) -> Json:
    """One that is not over: its stages in order, how far each is, and what is left alone."""
    stages = [
        {
            "service": stage.service,
            "verb": stage.verb,
            "params": dict(stage.params),
            "plan": stage.plan,
            "outcome": stage.outcome,
        }
        for stage in rollout.stages
    ]
    return {
        "id": rollout.id,
        "state": "open",
        "kind": rollout.kind,
        "verb": rollout.verb,
        "target": rollout.target,
        "by": rollout.by,
        "cause": rollout.cause,
        "incident": rollout.incident,
        "created_at": iso(rollout.created_at),
        "stages": stages,
        "left": list(rollout.left),
        "at": next((stage.service for stage in rollout.stages if not stage.outcome), ""),
    }


def ended_rollout(row: Row) -> str:
    """`verified` or `failed` for a row that ends a rollout, '' for any other."""
    state = str(row.body.get("state", "")) if row.kind == "action.rollout" else ""
    return state if state in ("verified", "failed") else ""


def past_rollout_document(ident: int, rows: Sequence[Row]) -> Json:
    """One as its rows tell it; `state` is how it ended, or `open` while it has not."""
    told = [row for row in rows if row.kind == "action.rollout"]
    last = told[-1] if told else None
    body: Json = dict(last.body) if last is not None else {}
    kept = ("kind", "verb", "target", "by", "cause", "incident", "stages", "left", "failed", "untouched", "counts")
    return {
        "id": ident,
        "state": (ended_rollout(last) if last is not None else "") or "open",
        **{key: body.get(key) for key in kept},
        "created_at": iso(rows[0].at if rows else 0.0),
        "ended_at": iso(last.at if last is not None and ended_rollout(last) else 0.0),
        "text": phrase(last) if last is not None else "",
        "events": [event_document(row) for row in rows],
    }
