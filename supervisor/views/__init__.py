"""What people and machines are shown: one builder for MQTT, HTTP and the command line.

In: facts.Snapshot (how things stand) and journal rows (what happened). Out: JSON documents and one-line sentences.
Pure: nothing here reads a clock, a file or the network.
"""

from supervisor.units import iso
from supervisor.views.asked import approval_document, past_approval_document
from supervisor.views.documents import (
    alert_document,
    alerts_document,
    container_document,
    daemon_document,
    decision_document,
    host_document,
    incident_document,
    plan_document,
    status_document,
    waits,
)
from supervisor.views.explain import explain_document, explained_service
from supervisor.views.gpu import card_document
from supervisor.views.history import OUTCOMES, incident_of, outcome_of, past_incident_document, past_plan_document
from supervisor.views.memory import budget_document
from supervisor.views.rollouts import ended_rollout, past_rollout_document, rollout_document
from supervisor.views.sentences import event_document, headline, phrase
from supervisor.views.slots import benchmarks_document, found_slot, slot_document, slots_document
from supervisor.views.words import clock_text, when

__all__ = [
    "OUTCOMES",
    "alert_document",
    "alerts_document",
    "approval_document",
    "benchmarks_document",
    "budget_document",
    "card_document",
    "clock_text",
    "container_document",
    "daemon_document",
    "decision_document",
    "ended_rollout",
    "event_document",
    "explain_document",
    "explained_service",
    "found_slot",
    "headline",
    "host_document",
    "incident_document",
    "incident_of",
    "iso",
    "outcome_of",
    "past_approval_document",
    "past_incident_document",
    "past_plan_document",
    "past_rollout_document",
    "phrase",
    "plan_document",
    "rollout_document",
    "slot_document",
    "slots_document",
    "status_document",
    "waits",
    "when",
]
