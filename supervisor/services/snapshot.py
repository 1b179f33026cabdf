"""The Service snapshot of one record: what people, rules and plans are shown of it.

From: state.py, whenever something about a service changed. What a service is to others (parents, what it needs first)
is added by graph.py once all of them are known.
"""

from collections.abc import Iterable

from supervisor.facts import Container, Plan, Service
from supervisor.journal.ledger import Ledger
from supervisor.services.names import ONEOFF_LABEL, PROFILE_LABEL, PROJECT_LABEL, ROLE_LABEL, canonical
from supervisor.services.record import Record
from supervisor.verdicts import Verdict


def service_of(
    record: Record,
    engine: str,
    container: Container | None,
    owned: Verdict,
    healthy: bool,
    ledger: Ledger,
    plan: Plan | None,
    mates: Iterable[Container] = (),
) -> Service:
    """How the service stands now. `mates`: every container of its engine."""
    tally = record.tally
    return Service(
        id=record.id,
        engine=engine,
        container=container,
        owned=owned,
        needs=record.needs,
        wanted=record.wanted,
        healthy=healthy,
        proved_image=ledger.last_known_good(record.id),
        previous_image=previous_image(ledger, record.id, container, mates),
        quarantined=tuple(bad.image for bad in ledger.bad(record.id)),
        drift=tally.drift,
        deaths=tally.deaths,
        streak=tally.streak,
        last_exit=tally.last_exit,
        last_death_at=tally.last_death_at,
        loads=tuple(load.seconds for load in record.loads),
        plan=plan.id if plan is not None else 0,
        trouble=tally.trouble,
        trouble_text=tally.trouble_text,
        trouble_told=tally.trouble_told,
        trouble_by=tally.trouble_by,
        trouble_at=tally.trouble_at,
        twins=record.twins,
        profile=profile_of(container),
        project=project_of(container) if container is not None else "",
        expected=record.wanted.state == "running" or (record.wanted.state == "any" and tally.ran),
    )


def previous_image(ledger: Ledger, service: str, container: Container | None, mates: Iterable[Container]) -> str:
    """The image that a rollback goes to: the newest one that proved healthy and is not what runs; else that of the
    spare, which is what ran before. Never one that is quarantined. '' where there is none."""
    if container is None:
        return ""
    proved = [proof.image for proof in ledger.proofs(service)]
    name = canonical(container.name, container.labels)
    spares = [one for one in mates if one.labels.get(ROLE_LABEL) == "spare" and canonical(one.name, one.labels) == name]
    kept = [one.image_id for one in sorted(spares, key=lambda one: (-one.created_at, one.id))]
    for image in (*proved, *kept):
        if image and image != container.image_id and not ledger.why_bad(service, image):
            return image
    return ""


def profile_of(container: Container | None) -> str:
    """`safe` where we made it by its safe profile; an image's label is not our word."""
    labels = container.labels if container is not None else {}
    ours = container is not None and PROFILE_LABEL not in container.image_labels
    return "safe" if ours and labels.get(PROFILE_LABEL) == "safe" else ""


def project_of(container: Container) -> str:
    """The compose project it belongs to; '' for none, and for a one-off run."""
    oneoff = container.labels.get(ONEOFF_LABEL, "").lower() == "true"
    return "" if oneoff else container.labels.get(PROJECT_LABEL, "")
