"""Finding rows in the journal for the control socket, a few at a time.

In: the house's `read`. Out: rows, plans and incidents. Each read takes at most CHUNK rows, because the journal's thread
also makes turns durable and must not be kept from it.
"""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from supervisor import views
from supervisor.facts import Json
from supervisor.journal import Row
from supervisor.web.house import House

CHUNK = 500
DEEPEST = 40_000
"""rows looked through before a search gives up"""
LONGEST = 2_000
"""rows of one incident that are told"""

OF_PLANS = ("action", "model")
"""kinds with rows of plans; those of a slot's plan tell how far it is"""
STORY = ("alert", "action", "container", "drift", "model")
"""kinds that belong to the story of an incident"""
EVIDENCE = ("container.evidence",)
ENDED = tuple(f"action.{outcome}" for outcome in views.OUTCOMES)


@dataclass(frozen=True, slots=True)
class Want:
    """Which rows someone wants: kinds by prefix (() for all), of one subject (None for all), public ones or all."""

    kinds: tuple[str, ...] = ()
    subject: str | None = None
    public: bool | None = True


async def newest(house: House, want: Want, limit: int) -> list[Row]:
    """The last `limit` rows, oldest first."""
    found: list[Row] = []
    before: int | None = None
    while len(found) < limit:
        rows = await _chunk(house, want, before, min(CHUNK, limit - len(found)))
        if not rows:
            break
        found += rows
        before = rows[-1].seq
    return found[::-1]


async def after(house: House, want: Want, seq: int, limit: int) -> list[Row]:
    """Up to `limit` rows after `seq`, oldest first."""
    return await house.read(
        lambda journal: journal.rows(
            after=seq, kinds=want.kinds, subject=want.subject, public=want.public, limit=min(limit, CHUNK)
        )
    )


async def follow(house: House, want: Want, seq: int) -> AsyncIterator[Row]:
    """Rows after `seq`, and every later one as it becomes durable. Never ends by itself."""
    while True:
        snapshot = house.snapshot
        rows = await after(house, want, seq, CHUNK)
        for row in rows:
            yield row
        # With a full chunk there may be more; otherwise everything up to the snapshot was seen, wanted or not.
        if len(rows) == CHUNK:
            seq = rows[-1].seq
        else:
            seq = max(seq, snapshot.seq, rows[-1].seq if rows else 0)
            await house.next(snapshot.rev)


async def plan_document(house: House, plan_id: int) -> Json | None:
    """A plan, open or ended; None if there never was one."""
    snapshot = house.snapshot
    rows = await plan_rows(house, plan_id)
    for plan in snapshot.plans:
        if plan.id == plan_id:
            ended = [row for row in rows if views.outcome_of(row)]
            if ended:
                break
            waiting = views.waits(snapshot).get(plan_id, "")
            return views.plan_document(plan, waiting) | {"events": [views.event_document(row) for row in rows]}
    return views.past_plan_document(plan_id, rows) if rows else None


async def plan_rows(house: House, plan_id: int) -> list[Row]:
    """Every row of a plan, oldest first."""
    return await _search(
        house, OF_PLANS, lambda row: row.body.get("plan") == plan_id, lambda row: row.kind == "action.planned"
    )


async def rollout_document(house: House, ident: int) -> Json | None:
    """A rollout, open or over, with every row of it and of its plans; None if there never was one."""
    rows = await _search(
        house,
        ("action",),
        lambda row: row.body.get("rollout") == ident,
        lambda row: row.kind == "action.rollout" and row.body.get("state") == "planned",
    )
    over = any(views.ended_rollout(row) for row in rows)
    for rollout in house.snapshot.rollouts:
        if rollout.id == ident and not over:
            return views.rollout_document(rollout) | {"events": [views.event_document(row) for row in rows]}
    return views.past_rollout_document(ident, rows) if rows else None


async def incident_document(house: House, incident_id: str) -> Json | None:
    """An incident, open or closed; None if there never was one."""
    own = await _search(
        house,
        ("incident",),
        lambda row: views.incident_of(row) == incident_id,
        lambda row: row.kind == "incident.opened",
    )
    rows = await _meanwhile(house, own) if own else []
    for incident in house.snapshot.incidents:
        if incident.id == incident_id:
            return views.incident_document(incident) | {"events": [views.event_document(row) for row in rows]}
    return views.past_incident_document(incident_id, rows) if rows else None


async def _meanwhile(house: House, own: Sequence[Row]) -> list[Row]:
    """The rows of an incident and everything else about its subject, from the turn that opened it to the one that
    closed it (what one turn writes has one time), oldest first; of a very long one the latest."""
    first, last = own[0], own[-1]
    end = last.at if last.kind == "incident.closed" else math.inf
    want, before = Want(STORY, first.subject, None), None
    found = {row.seq: row for row in own}
    while len(found) < LONGEST:
        rows = await _chunk(house, want, before, CHUNK)
        found |= {row.seq: row for row in rows if first.at <= row.at <= end}
        if len(rows) < CHUNK or rows[-1].at < first.at:
            break
        before = rows[-1].seq
    return [found[seq] for seq in sorted(found)]


async def approval_document(house: House, ident: str) -> Json | None:
    """What waits, or waited, for a person's word; None if there never was such a question."""
    kinds = tuple(f"action.{what}" for what in ("approval", "approved", "denied", "withdrawn"))
    rows = await _search(
        house, kinds, lambda row: row.body.get("approval") == ident, lambda row: row.kind == "action.approval"
    )
    for one in house.snapshot.approvals:
        if one.id == ident:
            return views.approval_document(one) | {"events": [views.event_document(row) for row in rows]}
    return views.past_approval_document(ident, rows) if rows else None


async def row_document(house: House, seq: int) -> Json | None:
    """One row by its number."""
    rows = await house.read(lambda journal: journal.rows(after=seq - 1, limit=1))
    return views.event_document(rows[0]) if rows and rows[0].seq == seq else None


async def show(house: House, word: str) -> Json | None:
    """What a word stands for: `plan:N`, `seq:N`, `incident:ID`; a bare number is a plan, else a row; `ap-N` a question
    that waits, or waited, for a person's word; else an incident.

    The document has `kind` (plan | row | approval | incident) and the thing itself under that key.
    """
    kind, colon, rest = word.partition(":")
    if not colon or kind not in ("plan", "seq", "incident", "rollout"):
        kind, rest = "", word
    number = int(rest) if rest.isascii() and rest.isdigit() and len(rest) < 16 else 0
    if kind in ("", "plan") and number:
        plan = await plan_document(house, number)
        if plan is not None:
            return {"kind": "plan", "plan": plan}
    if kind in ("", "seq") and number:
        row = await row_document(house, number)
        if row is not None:
            return {"kind": "row", "row": row}
    if kind == "rollout" and number:
        rollout = await rollout_document(house, number)
        if rollout is not None:
            return {"kind": "rollout", "rollout": rollout}
    if word.startswith("ap-"):
        asked = await approval_document(house, word)
        if asked is not None:
            return {"kind": "approval", "approval": asked}
    if kind in ("", "incident"):
        incident = await incident_document(house, rest)
        if incident is not None:
            return {"kind": "incident", "incident": incident}
    return None


async def _chunk(house: House, want: Want, before: int | None, limit: int) -> Sequence[Row]:
    return await house.read(
        lambda journal: journal.rows(
            before=before, kinds=want.kinds, subject=want.subject, public=want.public, limit=limit, newest_first=True
        )
    )


async def _search(
    house: House, kinds: tuple[str, ...], pick: Callable[[Row], bool], first: Callable[[Row], bool]
) -> list[Row]:
    """Rows that `pick` takes, searched backwards until the one that `first` knows to be the earliest."""
    found: list[Row] = []
    before: int | None = None
    for _ in range(DEEPEST // CHUNK):
        rows = await _chunk(house, Want(kinds, None, None), before, CHUNK)
        for row in rows:
            if pick(row):
                found.append(row)
                if first(row):
                    return found[::-1]
        if len(rows) < CHUNK:
            break
        before = rows[-1].seq
    return found[::-1]
