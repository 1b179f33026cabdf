"""The Service snapshot of one record: what people, rules and plans are shown of it.

From: state.py, whenever something about a service changed. What a service is to others (parents, what it needs first)
is added by graph.py once all of them are known.
"""

from supervisor.facts import Container, Plan, Service
from supervisor.journal.ledger import Ledger
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
) -> Service:
    """How the service stands now."""
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
        quarantined=tuple(bad.image for bad in ledger.bad(record.id)),
        drift=tally.drift,
        deaths=tally.deaths,
        streak=tally.streak,
        last_exit=tally.last_exit,
        last_death_at=tally.last_death_at,
        plan=plan.id if plan is not None else 0,
        twins=record.twins,
    )
