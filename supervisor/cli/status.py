"""`resurgam status`: how everything stands, the first line in one sentence.

In: /v1/status. Out: tables, or the document itself. Exit 1 where something needs a person.
"""

import argparse
from collections.abc import Mapping

from supervisor.cli import status_memory, status_slots, status_watching
from supervisor.cli.client import Client
from supervisor.cli.output import Output, ago, counted, local
from supervisor.cli.plan import at_step
from supervisor.errors import UsageError
from supervisor.facts import Json
from supervisor.units import show_duration

LATE = 10.0
"""seconds that a message may wait for the broker before it is worth a word"""
_GONE = (("dead", "the broker never takes (resurgam bus doctor)"), ("shed", "given up, since too many waited"))


def arguments(parser: argparse.ArgumentParser) -> None:
    """The optional service to look at alone."""
    parser.add_argument("service", nargs="?", default="", help="show this service (or slot) only")


def run(args: argparse.Namespace) -> int:
    """Print the status."""
    document = Client.of(args).get("status")
    if args.service:
        document = only(document, args.service)
    output = Output(args.output)
    if output.for_people:
        _print(document, output)
    else:
        output.document(document)
    return 1 if needs_you(document) else 0


def only(document: Json, word: str) -> Json:
    """The document with what is about one service, by id or container name, or about one slot and the services of its
    models. UsageError where there is none."""
    services = [entry for entry in document["services"] if word in (entry["service"], entry["container"])]
    slots = status_slots.only(document, {word, *(entry["service"] for entry in services)})
    if not services:
        carrying = status_slots.services_of(slots)
        services = [entry for entry in document["services"] if entry["service"] in carrying]
    if not services and not slots:
        raise UsageError(f"no service and no slot is called {word!r}; `resurgam status` lists them")
    names = {entry["service"] for entry in services} | {entry["container"] for entry in services}
    names |= {f"slot:{slot['slot']}" for slot in slots}
    marks = {mark for incident in document["incidents"] if incident["subject"] in names for mark in incident["alerts"]}
    return document | {
        "services": services,
        "alerts": [
            alert
            for alert in document["alerts"]
            if alert["fingerprint"] in marks
            or alert["labels"].get("name") in names
            or f"slot:{alert['labels'].get('slot')}" in names
        ],
        "incidents": [incident for incident in document["incidents"] if incident["subject"] in names],
        "approvals": [asked for asked in document["approvals"] if asked["service"] in names],
        "plans": [plan for plan in document["plans"] if names & {plan["service"], *plan.get("touches", ())}],
        "slots": slots,
        **status_watching.only(document, names),
    }


def needs_you(document: Json) -> list[str]:
    """The services, questions and problems that a person should look at."""
    named = [entry["service"] for entry in document["services"] if _troubled(entry)]
    asked = [one["id"] for one in document["approvals"]]
    problems = list(document["daemon"]["problems"])
    watched = status_memory.troubled(document) + status_watching.troubled(document) + status_slots.troubled(document)
    return named + asked + problems + watched


def _troubled(entry: Json) -> bool:
    return (
        bool(entry["twins"])
        or bool(entry["alerts"])
        or (entry["wanted"]["state"] == "running" and not entry["healthy"])
    )


def headline(document: Json) -> str:
    """The first line: `box: ok, heal mode; 9 services, 2 may be healed, 8 healthy; 1 alert firing; …`."""
    daemon = document["daemon"]
    state = "" if daemon["status"] == daemon["mode"] else f"{daemon['status']}, "
    services, alerts = daemon["services"], daemon["alerts"]
    parts = [
        f"{daemon['host']}: {state}{daemon['mode']} mode",
        f"{counted(services['total'], 'service')}, {services['owned']} may be healed, {services['healthy']} healthy",
        f"{alerts['firing']} firing, {alerts['pending']} pending",
        f"up {ago(daemon['started_at'], str(document.get('now', document['at'])))}",
    ]
    return "; ".join(parts)


def _print(document: Json, output: Output) -> None:
    daemon, now = document["daemon"], str(document.get("now", document["at"]))
    output.line(headline(document), "bold")
    for problem in daemon["problems"]:
        output.line(f"! {problem}", "red")
    for asked in document["approvals"]:
        output.line(f"{asked['id']} waits for your word: {asked['text'].partition(': ')[2]}", "yellow")
    for name, pause in daemon["paused"].items():
        until = "" if pause["until"].startswith("0001") else f" until {local(pause['until'])}"
        output.line(f"paused: {'everything' if name == '*' else name}{until}: {pause['reason']}", "yellow")
    for one in document["silences"]:
        mutes = f"{one['id']} mutes {counted(one['muted'], 'alert')} now"
        output.line(f"{mutes}: {', '.join(one['matchers'])}, until {local(one['ends_at'])}", "yellow")
    for incident in document["incidents"]:
        if incident["acked"]:
            output.line(f"{incident['id']} ({incident['subject']}) was taken on by {incident['acked']}")
    if daemon["services"]["total"] and not daemon["services"]["owned"]:
        output.line("nothing may be healed yet: label a container resurgam.enable=true, or name it under services:")
    for text, colour in telling(document):
        output.line(text, colour)
    parts = (status_memory, status_watching, status_slots)
    for text, colour in (line for part in parts for line in part.lines(document)):
        output.line(text, colour)
    if document["services"]:
        output.line()
        heads: tuple[str, ...] = ("service", "state", "health", "deaths", "up", "image", "wanted", "heals", "note")
        silent = status_watching.notes(document)
        output.table(heads, [_service(entry, now, silent) for entry in document["services"]])
    _shares(document, output)
    if document.get("slots"):
        output.line()
        output.table(*status_slots.table(document, output.width))
    if document["alerts"]:
        output.line()
        output.table(
            ("alert", "state", "severity", "for", "about", "summary"), [_alert(a, now) for a in document["alerts"]]
        )
    for rollout in document.get("rollouts", ()):
        done = len([stage for stage in rollout["stages"] if stage["outcome"]])
        what = f"{rollout['verb']} {rollout['target']}, {done} of {len(rollout['stages'])} done, at {rollout['at']}"
        output.line(f"rollout {rollout['id']}: {what}")
    if document["plans"]:
        output.line()
        output.table(("plan", "verb", "service", "age", "why", "at"), [_plan(p, now) for p in document["plans"]])


def telling(document: Json) -> list[tuple[str, str]]:
    """(line, colour) of how the bus and the notifiers are; none where nothing is wrong and nothing waits."""
    found = []
    off = document["daemon"]["broker"]["name"] in ("", "none")
    if now := _bus(document, off):
        found.append((f"bus: {'; '.join(now)}".replace("?;", "?"), "dim" if off else "yellow"))
    outbox, counts = document["outbox"], document["daemon"]["counts"]
    if gone := [f"{counted(outbox[key], 'message')} {said}" for key, said in _GONE if outbox.get(key)]:
        found.append((f"bus: {'; '.join(gone)}", "dim"))
    for key, count in counts.items():
        name = key.removeprefix("notify_").removesuffix("_given_up")
        if key == f"notify_{name}_given_up" and count:
            found.append((f"notify {name}: {counted(count, 'message')} given up since the start", "dim"))
    return found


def _bus(document: Json, off: bool) -> list[str]:
    """What of the bus wants attention now, piece by piece."""
    daemon, outbox, found = document["daemon"], document["outbox"], []
    broker, waiting = daemon["broker"], outbox["waiting"]
    if not broker["connected"]:
        said = "no broker" if off else "not connected"
        known = not broker["text"] or broker["text"] in daemon["problems"]
        found.append(said if known else f"{said}: {broker['text']}")
    if waiting and (not broker["connected"] or outbox["oldest_s"] >= LATE):
        found.append(f"{counted(waiting, 'message')} to be sent, the oldest for {show_duration(outbox['oldest_s'])}")
    unheard = dict.fromkeys(alert["labels"]["alertname"] for alert in document["alerts"] if alert["unheard"])
    if unheard:
        found.append(f"nobody listened when it told of {', '.join(unheard)}")
    return found


def _shares(document: Json, output: Output) -> None:
    """Who takes how much of the memory, where that is known."""
    heads, rows, others = status_memory.table(document, output.width)
    if rows:
        output.line()
        output.table(heads, rows)
    if others:
        output.line(others, "dim")


def _service(entry: Json, now: str, silent: Mapping[str, str]) -> tuple[object, ...]:
    """One row. `silent`: service -> what its probe says, where that fails."""
    health = "healthy" if entry["healthy"] else entry["health"]
    health = "failing" if entry["service"] in silent and health == "none" else health
    drift = {"tag_moved": " (tag moved)", "unproved": " (unproved)"}.get(entry["image"]["drift"], "")
    note = ", ".join(dict.fromkeys(entry["alerts"])) or (entry["blocker"] if entry["owned"] else "")
    note = note or silent.get(entry["service"], "") or entry["hint"]
    up = ago(entry["started_at"], now) if entry["state"] == "running" else "-"
    return (
        entry["service"],
        entry["state"],
        health,
        entry["deaths"],
        up,
        entry["image"]["name"] + drift,
        entry["wanted"]["state"],
        "yes" if entry["owned"] else "no",
        f"plan {entry['phoenix']['plan']} {entry['phoenix']['verb']}" if entry["phoenix"]["active"] else note,
    )


def _alert(alert: Json, now: str) -> tuple[object, ...]:
    labels, notes = alert["labels"], alert["annotations"]
    slot = f"slot {labels['slot']}" if "slot" in labels else ""
    card = f"gpu {labels['gpu']}" if "gpu" in labels else ""
    about = labels.get("name") or labels.get("container") or slot or card
    about = about or labels.get("instance") or labels.get("probe")
    summary = notes.get("summary") or notes.get("description") or ""
    state = alert["status"] + (", unheard" if alert["unheard"] else "")
    return labels["alertname"], state, alert["severity"], ago(alert["startsAt"], now), about or "host", summary


def _plan(plan: Json, now: str) -> tuple[object, ...]:
    age = ago(plan["created_at"], now)
    return plan["id"], plan["verb"], plan["service"], age, plan["cause"], plan["waiting"] or at_step(plan)
