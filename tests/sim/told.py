"""What must hold of messages in every simulated world, once everything has come to rest (see invariants.py).

In: the journal, the delivery table, and what the durable subscriber `everybody` got. Each finding is one sentence.
"""

import json

from supervisor.bus.messages import EVENT_FOLDERS, severity
from supervisor.facts import Json
from supervisor.journal import Row
from supervisor.lab.house import SimWorld

MANY = ("daemon.digest", "daemon.shed")
STATE = {"daemon.digest": "digested", "daemon.shed": "shed"}


def delivered(world: SimWorld) -> list[str]:
    """I7 no alert lost, I8 none invented, a resolved one never before its firing, and no row without a message."""
    rows = {row.seq: row for row in world.disk.rows(public=True, limit=1_000_000)}
    got = [json.loads(body) for body in world.broker.subscribers["everybody"].payloads("resurgam/sim/event/")]
    states = world.disk.delivery_of(rows)
    found = [*_lost(rows, got, states), *_in_turn(rows, got, states), *_chained(rows), *_counted(rows, states)]
    ids = {f"{world.disk.epoch}-{seq}" for seq in rows}
    found += [f"I8 no alert invented: {one['id']} arrived and is in no journal" for one in got if one["id"] not in ids]
    return found[:5]


def _lost(rows: dict[int, Row], got: list[Json], states: dict[int, str]) -> list[str]:
    """Every message arrived, or is among many that one message told of; a critical row always arrived."""
    arrived, found = {event["seq"] for event in got}, []
    for seq, row in rows.items():
        many = states[seq] in STATE.values()
        if many and severity(row) == "critical":
            found.append(f"I7 critical ones go singly: {row.kind} row {seq} is {states[seq]}")
        elif seq not in arrived and not many and row.kind not in MANY:
            found.append(f"I7 no alert lost: {row.kind} row {seq} never arrived, and is {states[seq]}")
        elif seq not in arrived and row.kind in MANY:
            found.append(f"I7 no alert lost: {row.kind} row {seq} never arrived, and it tells of {row.body['count']}")
    return found


def _in_turn(rows: dict[int, Row], got: list[Json], states: dict[int, str]) -> list[str]:
    """An end never comes before its beginning, nobody is left with an alert that is over, and none fires twice."""
    found, firing = [], set()
    untold = {row.body["alert"]["fingerprint"] for seq, row in rows.items() if _many(row, states)}
    for event in got:
        if event["type"].startswith("resurgam.alert."):
            mark = event["data"]["fingerprint"]
            if event["type"].endswith("firing"):
                firing.add(mark)
            elif mark not in firing and mark not in untold:
                found.append(f"I7: {mark} resolved before it fired")
    told: set[str] = set()
    believed: dict[str, bool] = {}
    arrived = {event["seq"] for event in got}
    for row in rows.values():
        if row.kind.startswith("alert."):
            mark, fires = row.body["alert"]["fingerprint"], row.kind == "alert.firing"
            if fires is (mark in told):
                found.append(f"I8 no alert invented: {row.kind} of {mark} in row {row.seq} is a repeat")
            told ^= {mark}
            if row.seq in arrived:
                believed[mark] = fires
    stale = [mark for mark, fires in believed.items() if fires and mark not in told]
    return found + [f"I7 nobody is left with an alert that is over: {mark}" for mark in stale]


def _many(row: Row, states: dict[int, str]) -> bool:
    return row.kind.startswith("alert.") and states[row.seq] in STATE.values()


def _chained(rows: dict[int, Row]) -> list[str]:
    """Every public row is a message, and names the one before it: a listener sees no gap where there is none."""
    found = [
        f"no gap: {row.kind} row {row.seq} is public and has no topic"
        for row in rows.values()
        if row.kind.partition(".")[0] not in EVENT_FOLDERS
    ]
    before = 0
    for seq, row in rows.items():
        if row.prior != before:
            found.append(f"no gap: row {seq} says that {row.prior} is before it, and it is {before}")
        before = seq
    return found


def _counted(rows: dict[int, Row], states: dict[int, str]) -> list[str]:
    """What is marked as told by a digest, or as shed, is counted in rows that say so."""
    found = []
    for kind, state in STATE.items():
        marked = [seq for seq, word in states.items() if word == state]
        tellers = [row for row in rows.values() if row.kind == kind]
        counted = 0
        for row in tellers:
            counted += int(row.body["count"])
        if len(marked) > counted:
            found.append(f"I7 no silence: {len(marked)} rows are {state}, and people were told of {counted}")
        spans = [(row.body["from"], min(row.body["to"], row.seq)) for row in tellers]
        alone = [seq for seq in marked if not any(first <= seq <= last for first, last in spans)]
        found += [f"I7 no silence: row {seq} is {state}, and no row says so" for seq in alone]
    return found
