"""An answer of a service's probe comes in: how the service stands now, and what is told of it.

From: the registry. To: its state. Only where its own health check does not tell already.
"""

from supervisor.facts import Probed
from supervisor.services import answers
from supervisor.services.record import Record, Said
from supervisor.services.state import State


def answered(state: State, fact: Probed) -> None:
    """One answer, of a run that may be over by now, or that is not the service's yet (a plan's new container)."""
    record = state.records.get(fact.service)
    if record is None or _late(state, record, fact):
        return
    before, was = record.said, record.service
    record.said = answers.heard(before, fact, record.needs.startup)
    if before == record.said:
        return
    state.refresh(record)
    now = record.service
    container = now.container if now is not None else None
    if was is None or now is None or container is None or not container.running:
        return
    if not answers.same_run(container, fact.container_id, fact.started_at) or answers.checks_itself(container):
        return
    if now.healthy and not was.healthy:
        text = f"{record.id} is healthy: it answers its probe."
        if not fact.ok:
            text = f"{record.id} runs, and its probe tells nothing: {fact.text.rstrip('.')}."
        state.tell("container.healthy", record, container, text=text)
        _learn(state, record, before, fact)
    elif was.healthy and not now.healthy and fact.failing:
        text = f"{record.id} does not answer its probe: {fact.text.rstrip('.')}."
        state.tell("container.unhealthy", record, container, text=text)


def _late(state: State, record: Record, fact: Probed) -> bool:
    """Whether it is about another run than the one that carries the service, runs, and was heard of already."""
    held, said = state.current(record), record.said
    if held is None or said is None or not held.container.running:
        return False
    box = held.container
    known = answers.same_run(box, said.container_id, said.started_at)
    return known and not answers.same_run(box, fact.container_id, fact.started_at)


def _learn(state: State, record: Record, before: Said | None, fact: Probed) -> None:
    """It was asked during its start, and is well for the first time in this run: so long that start took. Starts by a
    plan are told by the plan."""
    held = state.current(record)
    if held is None or before is None or before.word != "starting" or not answers.continues(before, fact):
        return
    if fact.ok and state.plan_on(record, held) is None:
        state.learn_load(record, fact.at - fact.started_at, held.container.image_id)
