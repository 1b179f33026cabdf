"""A small box for the examples: one service that crashes since its tag moved, the alert about it, a GPU, a slot."""

import math

from supervisor.facts import (
    Alert,
    Bench,
    BusState,
    Container,
    EngineState,
    Exhaustion,
    GateState,
    Gpu,
    GpuState,
    Json,
    MemoryBudget,
    ModelState,
    Probation,
    RuleHealth,
    Service,
    ServiceMemory,
    SlotState,
    Snapshot,
)
from supervisor.verdicts import yes

AT = 1_781_956_800.0
HOST, NODE, EPOCH, VERSION = "box1", "3f9c1e7a52d8", "5d1e0f7c9a3b2846", "0.1.0"
SERVICE = "stack.oracle"
OLD, NEW = "sha256:" + "4b1d8f0e2c6a" + "0" * 52, "sha256:" + "9e3f1a7c5d2b" + "0" * 52
GIB = 2.0**30


def budget() -> MemoryBudget:
    """Its memory at AT: the service loads again, so most of what is free is spoken for."""
    return MemoryBudget(
        at=AT,
        total=384 * GIB,
        reserve=8 * GIB,
        planned=341 * GIB,
        available=96 * GIB,
        effective=22 * GIB,
        swap_total=64 * GIB,
        swap_free=64 * GIB,
        swap_declared=64 * GIB,
        exhaustion=(Exhaustion("ram", math.inf, 22 * GIB, 0.0), Exhaustion("swap", math.inf, 64 * GIB, 0.0)),
        services=(
            ServiceMemory(SERVICE, 341 * GIB, "declared", 275 * GIB, 275 * GIB, growth=GIB, loading=True, running=True),
        ),
    )


def card() -> Gpu:
    """Its GPU at AT."""
    return Gpu(
        "GPU-1f0c7a52-6f0e-4b7a-9d39-5f0a4a7f2c11",
        0,
        "NVIDIA RTX PRO 6000 Blackwell",
        "00000000:17:00.0",
        total=96 * 2**30,
        free=5 * 2**30,
        reserved=2**29,
        planned=90 * 2**30,
        users=((SERVICE, 90 * 2**30),),
        recovery="none",
        values={"DCGM_FI_DEV_GPU_UTIL": 93.0, "DCGM_FI_DEV_GPU_TEMP": 71.0, "DCGM_FI_DEV_POWER_USAGE": 412.5},
    )


def slot() -> SlotState:
    """Its slot at AT: the candidate was tried three hours ago and was too slow, so the first choice has it again."""
    gate = GateState(
        "oracle", True, open=True, upstream="http://172.18.0.3:8000", in_flight=2, requests=18_422, last_at=AT - 1
    )
    holder = ModelState(
        "deepseek-v32",
        "loaded",
        SERVICE,
        "it answers as deepseek-v32",
        since=AT - 10_000,
        used_at=AT - 1,
        in_flight=2,
        memory=275 * GIB,
        vram=90 * GIB,
        bench=measured("deepseek-v32", 10.9),
    )
    other = ModelState(
        "mxfp4",
        "unloaded",
        "stack.mxfp4",
        "its container is not started",
        no_go="9.8 tokens/s, wanted 12 at least",
        bench=measured("mxfp4", 9.8),
    )
    return SlotState(
        "oracle",
        "127.0.0.1:8000",
        "deepseek-v32",
        "deepseek-v32",
        since=AT - 10_000,
        models=(holder, other),
        gate=gate,
        probation=Probation("deepseek-v32", "", AT + 600, AT - 10_000),
        report=report(),
    )


def measured(model: str, rate: float) -> Bench:
    """What a model did."""
    return Bench(
        AT - 10_100, "oracle", model, SERVICE, OLD, 3, rate, 20.5, 1.284, 0.021, canaries=2, plan=41, reason="swap"
    )


def report() -> Json:
    """The report of the candidate's swap."""
    return {
        "plan": 41,
        "at": AT - 10_000,
        "from": "deepseek-v32",
        "to": "mxfp4",
        "verdict": "NO-GO",
        "text": "NO-GO mxfp4: 9.8 tokens/s, wanted 12 at least (deepseek-v32: 10.9). deepseek-v32 holds oracle again.",
        "lines": [
            {"what": "generation", "found": "9.8 tokens/s", "wanted": "12 at least", "ok": False},
            {"what": "canaries", "found": "2 of 2 well", "wanted": "all", "ok": True},
        ],
        "seconds": 840.0,
        "outage": 0.0,
    }


def snapshot() -> Snapshot:
    """How it stands at AT."""
    box = Container(
        "c" * 64,
        "stack-oracle-1",
        NEW,
        "local/oracle:2",
        ref_image_id=NEW,
        status="restarting",
        exit_code=139,
        restart_count=3,
        restart_policy="unless-stopped",
        started_at=AT - 3,
    )
    oracle = Service(
        SERVICE,
        "docker",
        box,
        yes("It opted in."),
        proved_image=OLD,
        drift="unproved",
        deaths=3,
        streak=3,
        last_exit=139,
        last_death_at=AT - 1,
        trouble="crash",
        trouble_text="It crashed (SIGSEGV); look at its last lines.",
        project="stack",
    )
    labels = {"name": "stack-oracle-1", "severity": "critical"}
    alert = Alert(
        "8f2b6d1c0a9e4f37",
        "ContainerRestartLoop",
        "firing",
        labels,
        {"summary": "stack-oracle-1 died 3 times in a row"},
        3.0,
        AT - 30,
        fired_at=AT,
        rule="containers.yaml:containers:2",
        origin="shipped",
    )
    return Snapshot(
        at=AT,
        mono=100.0,
        rev=7,
        host=HOST,
        version=VERSION,
        epoch=EPOCH,
        seq=2011,
        started_at=AT - 86_400,
        mode="heal",
        status="healing",
        engines=(EngineState(AT, 1.0, "docker", True, "docker 29.1.0 answers", "id", "29.1.0"),),
        services=(oracle,),
        alerts=(alert,),
        rules=(RuleHealth("containers.yaml", 5, "", "shipped"),),
        bus=BusState(AT, 1.0, True, "our own mosquitto", "connected to our own mosquitto"),
        host_memory={"MemTotal": 384 * GIB, "MemAvailable": 96 * GIB, "SwapTotal": 64 * GIB, "SwapFree": 64 * GIB},
        budget=budget(),
        gpus=GpuState((card(),), expected=1, driver="595.45.04"),
        slots=(slot(),),
    )
