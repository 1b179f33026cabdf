"""A small box to show: snapshots with an oracle that loops and a database that is well. For views, doors and CLI."""

from dataclasses import replace

from supervisor.facts import (
    Alert,
    BusState,
    Container,
    Decision,
    EngineState,
    Incident,
    Intent,
    Plan,
    RuleHealth,
    Service,
    Snapshot,
    Step,
)
from supervisor.verdicts import Reason, no, yes

NOW = 1_760_000_000.0
GOOD = "sha256:" + "a" * 64
BAD = "sha256:" + "b" * 64


def oracle() -> Service:
    """A service that dies of SIGSEGV since its tag moved."""
    box = Container(
        "c" * 64,
        "stack_oracle_1",
        BAD,
        "local/oracle:1",
        ref_image_id=BAD,
        status="restarting",
        exit_code=139,
        restart_count=3,
        restart_policy="always",
        started_at=NOW - 3,
    )
    return Service(
        "stack.oracle",
        "docker",
        box,
        yes(),
        proved_image=GOOD,
        drift="unproved",
        deaths=3,
        streak=3,
        last_exit=139,
        last_death_at=NOW - 1,
    )


def qdrant() -> Service:
    """A service that is well and not ours to touch."""
    box = Container(
        "d" * 64, "qdrant", GOOD, "local/qdrant:1", status="running", health="healthy", started_at=NOW - 900
    )
    why = no(Reason.NOT_OWNED, "qdrant is watched only; label it resurgam.enable=true to let it heal.")
    return Service("qdrant", "docker", box, why, healthy=True)


def loop_alert(state: str = "firing") -> Alert:
    """The restart loop of the oracle."""
    return Alert(
        "f00d",
        "ContainerRestartLoop",
        state,
        {"alertname": "ContainerRestartLoop", "name": "stack_oracle_1", "severity": "critical"},
        {"summary": "stack_oracle_1 died 3 times in a row"},
        3.0,
        NOW - 2,
        fired_at=NOW - 2 if state != "pending" else 0.0,
        resolved_at=NOW if state == "resolved" else 0.0,
        origin="shipped",
    )


def phoenix(plan_id: int = 41, **changes: object) -> Plan:
    """A phoenix of the oracle that created its new container and was allowed to stop the old one."""
    plan = Plan(
        plan_id,
        "phoenix",
        "stack.oracle",
        "docker",
        {"image": "last-known-good", "within": ""},
        "died 3 times in a row",
        "playbook:restart-loop",
        NOW - 1,
        "beef",
        "c" * 64,
        "stack_oracle_1",
        GOOD,
        ("service:stack.oracle",),
        (
            Step("create", "before"),
            Step("stop_old", "inside"),
            Step("probe", "inside"),
            Step("put_back", "inside", (), True),
        ),
        marks=(("create", True, {}),),
        begun=("create", "stop_old"),
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


def box(**changes: object) -> Snapshot:
    """The whole box at NOW."""
    intent = Intent("phoenix", "qdrant", {}, "drift", "rule:ContainerImageDrift")
    snapshot = Snapshot(
        at=NOW,
        mono=100.0,
        rev=7,
        host="omni",
        version="0.1.0",
        epoch="e1",
        seq=12,
        started_at=NOW - 3600,
        mode="heal",
        status="ok",
        engines=(EngineState(NOW, 1.0, "docker", True, "docker 20.10 answers", "id", "20.10.24"),),
        services=(qdrant(), oracle()),
        alerts=(loop_alert(),),
        incidents=(
            Incident("i-1", "stack.oracle", NOW - 2, alerts=("f00d",), title="Restart loop", cause="image drift"),
        ),
        plans=(),
        decisions=(Decision(NOW, intent, no(Reason.NOT_OWNED, "qdrant is not ours to touch.")),),
        rules=(RuleHealth("containers.yaml", 5, "", "shipped"),),
        bus=BusState(NOW, 1.0, True, "managed mosquitto", "", 2),
        host_memory={"MemTotal": 400e9, "MemAvailable": 100e9, "SwapTotal": 64e9, "SwapFree": 64e9},
        counts={"readings_overtaken": 1},
    )
    return replace(snapshot, **changes)  # type: ignore[arg-type]
