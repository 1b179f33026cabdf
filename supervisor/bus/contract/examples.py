"""An example of every message, as the AsyncAPI document shows it: real-looking values through the real renderers.

Events are rows that go through messages.cloud_event; the documents are those of a small box. Everything here holds
against the models: a test sees to it. No clock and no chance: the same bytes on every machine.
"""

from functools import cache
from typing import Any

from supervisor.bus.contract import box
from supervisor.bus.contract.events import DATA
from supervisor.bus.messages import cloud_event
from supervisor.facts import Json
from supervisor.journal.codec import dump
from supervisor.journal.rows import Row
from supervisor.units import iso
from supervisor.views import (
    alerts_document,
    card_document,
    container_document,
    daemon_document,
    host_document,
    slot_document,
)

AT, HOST, EPOCH = box.AT, box.HOST, box.EPOCH
SERVICE = box.SERVICE
OLD, NEW = box.OLD, box.NEW

_WISH: Json = {
    "verb": "phoenix",
    "service": SERVICE,
    "params": {"image": "last-known-good", "within": ""},
    "by": "playbook:restart-loop",
    "cause": "stack-oracle-1 died 3 times in a row.",
    "incident": "i-12",
}
_PLAN: Json = {"plan": 41, "verb": "phoenix", "service": SERVICE}
_WHY: Json = {key: _WISH[key] for key in ("by", "cause", "incident")}
_END: Json = _PLAN | _WHY | {"left": ["stack-oracle-1--spare-beef"]}
_ABOUT: Json = {
    "service": SERVICE,
    "at": AT,
    "container": "stack-oracle-1",
    "id": "c" * 64,
    "image": "local/oracle:2",
    "image_id": NEW,
}
_DRIFT: Json = _ABOUT | {"ref": "local/oracle:2", "running": NEW, "proved": OLD, "stands_for": NEW}
_OOM: Json = {
    "process": "worker",
    "pid": 4242,
    "victim": "child",
    "constraint": "own_limit",
    "limit_of": f"/docker/{'c' * 64}",
    "confidence": "certain",
    "sources": ["kernel-log", "engine"],
    "kills": 1,
    "ended": False,
}
_ASKED: Json = _WISH | {"approval": "ap-3", "expires_at": iso(AT + 86_400)}
_SILENCE: Json = {"silence": "si-2", "matchers": ['name="stack-oracle-1"'], "by": "uid:0", "reason": "maintenance"}
_FAULT: Json = {
    "episode": "gpu-3",
    "uuid": "GPU-1f0c7a52-6f0e-4b7a-9d39-5f0a4a7f2c11",
    "bus_id": "00000000:17:00.0",
    "gpu": 0,
    "card": "NVIDIA RTX PRO 6000 Blackwell",
    "service": SERVICE,
    "xid": 119,
    "fault": "",
    "class": "firmware",
    "remedy": "reset",
    "recovery": "reset",
    "counts": {"119": 1, "154": 1, "45": 12},
    "first_at": AT,
    "last_at": AT + 1.5,
    "drill": False,
    "past": False,
}
_BENCH: Json = dump(box.measured("mxfp4", 9.8))
_SLOT: Json = {"slot": "oracle", "model": "mxfp4", "plan": 41}
_TRIED: Json = _SLOT | {"from": "deepseek-v32"}
_SUMMARY: Json = {
    "from": 1800,
    "to": 2011,
    "count": 212,
    "kinds": {"container.started": 106, "container.died": 106},
    "severities": {"warning": 106, "info": 106},
    "severity": "warning",
    "alerts": {},
    "services": {SERVICE: 212},
    "firing": [],
    "since": iso(AT - 60),
    "until": iso(AT),
    "why": "flood",
    "pile": "1f3a5c7e9b0d2f4a",
}
_ALERT: Json = {
    "labels": {"alertname": "ContainerRestartLoop", "name": "stack-oracle-1", "severity": "critical"},
    "annotations": {"summary": "stack-oracle-1 died 3 times in a row"},
    "startsAt": iso(AT),
    "fingerprint": "8f2b6d1c0a9e4f37",
    "value": 3,
}

BODIES: dict[str, Json] = {
    "alert.firing": {"alert": _ALERT | {"status": "firing", "endsAt": iso(0)}, "text": "stack-oracle-1 died 3 times"},
    "alert.resolved": {"alert": _ALERT | {"status": "resolved", "endsAt": iso(AT + 90)}, "text": "it runs again"},
    "action.planned": _WISH | {"plan": 41, "steps": ["create", "stop_old", "probation", "commit"], "text": "Begun."},
    "action.refused": _WISH | {"plan": 0, "reason": "budget_service", "text": "3 of 3 tries in 1h are spent."},
    "action.verified": _END
    | {
        "reason": "verified",
        "text": f"{SERVICE} runs 4b1d8f0e2c6a (local/oracle:1) and is well.",
        "old_image": NEW,
        "new_image": OLD,
        "old_ref": "local/oracle:2",
        "new_ref": "local/oracle:1",
        "proof": "its probe answered 5 times",
        "seconds": 4.2,
        "downtime": 4.2,
        "load_seconds": 3.1,
        "steps": [{"step": "create", "seconds": 0.4}, {"step": "stop_old", "seconds": 1.1}],
        "probes": {"probe": {"kind": "http", "ok": 5, "failed": 2, "last": "200", "broken": "", "first_ok_after": 3.1}},
    },
    "action.rolled_back": _END | {"reason": "rolled_back", "text": "The new one was not well; the old one is back."},
    "action.degraded": _END | {"reason": "degraded", "text": "Neither the new nor the old one is well.", "left": []},
    "action.failed": _END | {"reason": "failed", "text": "The engine refused to create it.", "left": []},
    "action.ended_early": _END | {"reason": "ended_early", "text": "Its cause has ended before anything was touched."},
    "action.recovered": _PLAN | {"text": "Plan 41 was left open at stop_old; it is taken up again."},
    "action.rollout": {
        "rollout": 7,
        "verb": "restart",
        "target": "stack",
        "kind": "project",
        "by": "uid:0",
        "cause": "asked for by uid:0",
        "incident": "",
        "stages": [{"service": SERVICE, "verb": "restart", "params": {}, "document": {}, "plan": 41, "outcome": ""}],
        "left": [],
        "failed": [],
        "counts": {"verified": 0, "failed": 0, "left": 0, "ahead": 1},
        "state": "planned",
        "reason": "allowed",
        "text": "restart of the project stack: stack.oracle.",
    },
    "action.approval": _ASKED | {"text": "ap-3: playbook:restart-loop wants to phoenix stack.oracle."},
    "action.approved": _ASKED | {"text": "bus:phone approved ap-3.", "answered_by": "bus:phone"},
    "action.denied": _ASKED | {"text": "bus:phone denied ap-3.", "answered_by": "bus:phone"},
    "action.withdrawn": _ASKED | {"text": "ap-3 is not asked any more: its cause has ended.", "answered_by": ""},
    "action.acked": {"incident": "i-12", "service": SERVICE, "by": "bus:phone", "reason": "", "text": "Taken on."},
    "container.appeared": _ABOUT | {"status": "running", "text": "stack.oracle has the container stack-oracle-1."},
    "container.started": _ABOUT | {"again": True, "plan": 0, "text": "stack.oracle started again."},
    "container.died": _ABOUT
    | {
        "exit_code": 139,
        "signal": "SIGSEGV",
        "uptime": 0.614,
        "oom": False,
        "counted": True,
        "deaths": 3,
        "streak": 3,
        "cause": "crash",
        "text": "stack.oracle died: exit 139 (SIGSEGV) after 614ms; that is death 3 in a row.",
    },
    "container.stopped": _ABOUT | {"by": "person", "wanted": "stopped", "text": "A person stopped stack.oracle."},
    "container.removed": _ABOUT | {"text": "The container stack-oracle-1 of stack.oracle was removed."},
    "container.healthy": _ABOUT | {"text": "stack.oracle is healthy by its own check."},
    "container.unhealthy": _ABOUT | {"text": "stack.oracle fails its own health check."},
    "container.oom": _ABOUT
    | {
        "oom_verdict": _OOM,
        "text": "The kernel killed worker (pid 4242) in stack.oracle, which runs on without it: its own limit was met.",
    },
    "drift.tag_moved": _DRIFT | {"text": "stack.oracle runs 4b1d8f0e2c6a, but local/oracle:2 now stands for another."},
    "drift.unproved": _DRIFT | {"text": "stack.oracle runs something else than what last proved healthy."},
    "drift.cleared": _DRIFT | {"text": "stack.oracle runs the image it should."},
    "drift.proved": _ABOUT
    | {"ref": "local/oracle:2", "before": OLD, "unquarantined": False, "text": "stack.oracle was healthy for 10m."},
    "drift.quarantined": {"service": SERVICE, "image_id": NEW, "text": "9e3f1a7c5d2b is quarantined."},
    "gpu.fault": _FAULT | {"text": "GPU 0: its firmware does not answer (XID 119). The driver wants the card reset."},
    "gpu.fault_changed": _FAULT | {"text": "GPU 0: its firmware does not answer (XID 119); with it came XID 45."},
    "gpu.fault_over": _FAULT | {"text": "GPU 0: no further fault for 3m; it was 14 messages, in 2s."},
    "gpu.released": {
        "by": "uid:0",
        "until": AT + 600,
        "text": "NVIDIA's driver is let go of for 10m; nothing is known of the GPUs meanwhile.",
    },
    "gpu.resumed": {"by": "uid:0", "text": "NVIDIA's driver is asked again."},
    "gpu.forgotten": {"by": "uid:0", "card": "1", "text": "GPU 1 (GPU-77aa) is not expected any more."},
    "model.swap_began": _TRIED
    | {
        "verb": "swap",
        "shape": "exclusive",
        "by": "uid:0",
        "cause": "asked for by uid:0",
        "expected": AT + 720,
        "text": "swap oracle: deepseek-v32 -> mxfp4, exclusive (both need gpu:0).",
    },
    "model.phase": _SLOT
    | {
        "phase": "start",
        "found": "",
        "ok": True,
        "seconds": 62.5,
        "progress": 0.4,
        "expected": AT + 720,
        "text": "mxfp4 loads.",
    },
    "model.swapped": _TRIED
    | {
        "holder": "mxfp4",
        "verdict": "GO",
        "report": box.report() | {"verdict": "GO", "bench": _BENCH, "before": None},
        "probation": AT + 600,
        "text": "GO mxfp4: it holds oracle, after 14m; 0 requests failed.",
    },
    "model.no_go": _TRIED
    | {"holder": "deepseek-v32", "verdict": "NO-GO", "report": box.report(), "text": box.report()["text"]},
    "model.probation_over": _SLOT | {"before": "deepseek-v32", "text": "mxfp4 has passed its probation of 10m."},
    "model.stand_in": _SLOT
    | {
        "first": "deepseek-v32",
        "stand_in": "mxfp4",
        "why": "its budget is spent",
        "text": "mxfp4 stands in for deepseek-v32, which is down and may not be started again (its budget is spent).",
    },
    "model.handed_back": _SLOT
    | {
        "model": "deepseek-v32",
        "first": "deepseek-v32",
        "stand_in": "mxfp4",
        "text": "deepseek-v32 has oracle again.",
    },
    "model.evicted": _SLOT | {"why": "93 % of the memory is in use", "text": "mxfp4 was put away to make room."},
    "model.benchmark": _SLOT | {"bench": _BENCH, "drift": 0.99, "text": "mxfp4: 9.8 tokens/s (3 runs)."},
    "daemon.started": {"version": box.VERSION, "text": "resurgam watches box1 with 12 rules."},
    "daemon.ready": {"engine": "docker", "text": "6 containers are watched; healed are: stack.oracle."},
    "daemon.reloaded": {"text": "Configuration and rules were read again."},
    "daemon.stopping": {"text": "Asked to end."},
    "daemon.engine_lost": {"engine": "docker", "text": "The engine does not answer."},
    "daemon.engine_back": {"engine": "docker", "text": "docker 29.1.0 answers."},
    "daemon.oom": {
        "service": "host",
        "at": AT,
        "container": "",
        "oom_verdict": _OOM | {"process": "backup", "victim": "", "constraint": "machine", "limit_of": ""},
        "text": "The kernel killed backup (pid 4242) of no container: the machine ran out of memory.",
    },
    "daemon.clock_jump": {"seconds": -3600.0, "text": "The clock jumped by -3600 s."},
    "daemon.paused": {"until": AT + 3600, "text": "Paused: maintenance."},
    "daemon.resumed": {"text": "Resumed: the time it was paused for is over."},
    "daemon.mode": {"text": "Nothing disruptive is done until you say `resurgam resume`."},
    "daemon.rules_bad": {"file": "/etc/resurgam/rules/mine.yaml", "ok": False, "text": "Left out: 3:5: a mistake."},
    "daemon.command": {
        "principal": "bus:phone",
        "id": "a1",
        "verb": "approve",
        "target": "ap-3",
        "allowed": True,
        "reason": "allowed",
        "repeat": False,
        "signed": False,
        "if_rev": None,
        "plan": 41,
        "approval": "",
        "text": "approve ap-3 by bus:phone was obeyed: Plan 41 was started.",
    },
    "daemon.silenced": _SILENCE | {"text": "si-2: no messages about it for 2h, said uid:0."},
    "daemon.unsilenced": _SILENCE | {"text": "si-2 is over."},
    "daemon.digest": _SUMMARY | {"text": "212 messages came too fast to be told one by one."},
    "daemon.shed": _SUMMARY | {"why": "more than 100000 messages wait", "text": "212 messages were given up."},
}
"""kind -> the body of its row"""


@cache
def events() -> dict[str, Json]:
    """Kind -> the whole message."""
    found: dict[str, Json] = {}
    for number, kind in enumerate(DATA):
        body = BODIES[kind]
        daemon = kind.startswith("daemon.")
        row = Row(2012 + number, AT, kind, "daemon" if daemon else SERVICE, body, True, "", 2011 + number)
        found[kind] = cloud_event(row, HOST, EPOCH)
    return found


@cache
def _others() -> dict[str, Any]:
    snapshot = box.snapshot()
    active = alerts_document(snapshot)
    decided: Json = {
        "at": iso(AT),
        "verb": "approve",
        "target": "ap-3",
        "params": {},
        "by": "bus:phone",
        "cause": "",
        "incident": "",
        "allowed": True,
        "reason": "allowed",
        "text": "Plan 41 was started.",
        "plan": 41,
        "rollout": 0,
    }
    return {
        "Availability": "online",
        "Watermark": {"machine": box.NODE, "epoch": EPOCH, "oldest": 1, "last": 2011, "at": iso(AT)},
        "Daemon": daemon_document(snapshot),
        "Alerts": {"alerts": active, "more": 0},
        "Host": host_document(snapshot),
        "Container": container_document(snapshot.services[0], snapshot),
        "Gpu": card_document(box.card(), snapshot),
        "Slot": slot_document(box.slot(), snapshot),
        "Command": {"id": "a1", "target": "ap-3"},
        "Reply": {"id": "a1", "status": "ok", "data": decided},
    }


def example_of(name: str) -> Any:
    """The example of the message with this name in the document."""
    for kind, event in events().items():
        if name == "".join(word.capitalize() for word in kind.replace("_", ".").split(".")):
            return event
    return _others()[name]
