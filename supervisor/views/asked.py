"""What waits for a person's word, and what people asked not to hear of.

In: facts.Snapshot and its parts, and journal rows of what was asked before. Out: plain JSON, as documents.py makes it.
"""

from collections.abc import Sequence

from supervisor.facts import Approval, Json, Snapshot
from supervisor.units import Matcher, iso
from supervisor.views.sentences import Row, event_document

_STATES = {"action.approved": "approved", "action.denied": "denied", "action.withdrawn": "withdrawn"}


def approval_document(one: Approval) -> Json:
    """One open question: what is asked, why, and when it lapses."""
    intent = one.intent
    return {
        "id": one.id,
        "state": one.answer or "open",
        "verb": intent.verb,
        "service": intent.target,
        "params": dict(intent.params),
        "by": intent.by,
        "cause": intent.cause,
        "incident": intent.incident,
        "plan": one.plan,
        "step": one.step,
        "text": one.text,
        "asked_at": iso(one.asked_at),
        "expires_at": iso(one.expires_at),
    }


def past_approval_document(ident: str, rows: Sequence[Row]) -> Json:
    """A question as its rows tell it, oldest first; `state` is open | approved | denied | withdrawn."""
    first = next((row for row in rows if row.kind == "action.approval"), rows[0])
    body, state = first.body, "open"
    for row in rows:
        state = _STATES.get(row.kind, state)
    return {
        "id": ident,
        "state": state,
        "verb": body.get("verb", ""),
        "service": first.subject,
        "params": body.get("params", {}),
        "by": body.get("by", ""),
        "cause": body.get("cause", ""),
        "incident": body.get("incident", ""),
        "plan": body.get("plan", 0),
        "step": body.get("step", ""),
        "text": body.get("text", ""),
        "asked_at": iso(first.at),
        "expires_at": body.get("expires_at", ""),
        "events": [event_document(row) for row in rows],
    }


def muted_by(snapshot: Snapshot) -> dict[str, str]:
    """Fingerprint of every firing alert that a silence matches now -> that silence's id."""
    found: dict[str, str] = {}
    held = [(one.id, tuple(Matcher.parse(text) for text in one.matchers)) for one in snapshot.silences]
    for alert in snapshot.alerts if held else ():
        labels = {"alertname": alert.name, **alert.labels}
        if alert.state == "firing":
            for ident, matchers in held:
                if all(matcher.matches(labels) for matcher in matchers):
                    found.setdefault(alert.fingerprint, ident)
    return found


def silences_document(snapshot: Snapshot) -> list[Json]:
    """The silences that hold, with how many firing alerts each keeps from people now."""
    muted = list(muted_by(snapshot).values())
    return [
        {
            "id": one.id,
            "matchers": list(one.matchers),
            "by": one.by,
            "why": one.why,
            "begins_at": iso(one.begins_at),
            "ends_at": iso(one.ends_at),
            "muted": muted.count(one.id),
        }
        for one in snapshot.silences
    ]
