"""Snapshots with model slots, as people are shown them. For the tests of views, command line and bus."""

from typing import Any

from supervisor.facts import (
    Bench,
    Container,
    GateState,
    Json,
    ModelState,
    Plan,
    Probation,
    Service,
    SlotState,
    Snapshot,
    Step,
)
from supervisor.verdicts import yes
from tests.support.boxes import GOOD, NOW, box

GIB = 2**30
FIRST, OTHER = "deepseek-v32", "mxfp4"
TEXT = "NO-GO mxfp4: 9.8 tokens/s, wanted 12 at least (deepseek-v32: 10.9). deepseek-v32 holds oracle again."


def measured(model: str = FIRST, rate: float = 10.9, **more: Any) -> Bench:
    """What a model did a while ago."""
    given: dict[str, Any] = {
        "rate": rate,
        "runs": 3,
        "prompt_rate": 20.5,
        "first_token": 1.284,
        "spread": 0.021,
        "reason": "swap",
    }
    return Bench(more.pop("at", NOW - 1000), more.pop("slot", "oracle"), model, **(given | more))


def holder(**more: Any) -> ModelState:
    """The model that serves."""
    given: dict[str, Any] = {
        "service": f"stack.{FIRST}",
        "text": "it answers as deepseek-v32",
        "since": NOW - 900,
        "used_at": NOW - 2,
        "in_flight": 2,
        "memory": 275.0 * GIB,
        "vram": 90.0 * GIB,
        "bench": measured(),
    }
    return ModelState(FIRST, more.pop("state", "loaded"), **(given | more))


def other(**more: Any) -> ModelState:
    """The one that does not."""
    given: dict[str, Any] = {"service": "stack.mxfp4", "text": "its container is not started"}
    return ModelState(OTHER, more.pop("state", "unloaded"), **(given | more))


def gate(**more: Any) -> GateState:
    """Its gate, with two requests on their way."""
    given: dict[str, Any] = {
        "listening": True,
        "open": True,
        "upstream": "http://172.18.0.3:8000",
        "in_flight": 2,
        "requests": 18_422,
        "last_at": NOW - 2,
    }
    return GateState("oracle", **(given | more))


def report(**more: Any) -> Json:
    """The report of a candidate that was too slow, as its plan leaves it."""
    lines = [
        {"what": "generation", "found": "9.8 tokens/s", "wanted": "12 at least", "ok": False},
        {"what": "canaries", "found": "2 of 2 well", "wanted": "all", "ok": True},
    ]
    base: Json = {"plan": 41, "at": NOW - 60, "from": FIRST, "to": OTHER, "verdict": "NO-GO", "text": TEXT}
    return base | {"lines": lines, "seconds": 840.0, "outage": 0.0} | more


def slot(**more: Any) -> SlotState:
    """The oracle's slot: its first choice holds it."""
    given: dict[str, Any] = {
        "holder": FIRST,
        "first": FIRST,
        "since": NOW - 900,
        "models": (holder(), other()),
        "gate": gate(),
    }
    return SlotState(more.pop("name", "oracle"), "127.0.0.1:8000", **(given | more))


def empty(**more: Any) -> SlotState:
    """Nobody holds it."""
    text = "deepseek-v32 died and cannot be brought back, and no stand-in is declared; `resurgam start` it yourself."
    given: dict[str, Any] = {"holder": "", "since": 0.0, "problem": text, "models": (holder(state="failed"), other())}
    return slot(**(given | more))


def probation(**more: Any) -> Probation:
    """The candidate was taken a minute ago."""
    return Probation(OTHER, FIRST, **({"until": NOW + 540, "began": NOW - 60} | more))


def swap(**more: Any) -> Plan:
    """The plan that puts the candidate there: the first choice has stopped."""
    given: dict[str, Any] = {
        "params": {"to": OTHER},
        "cause": "asked for by uid:0",
        "by": "uid:0",
        "created_at": NOW - 62,
        "op": "beef",
        "container_id": "",
        "name": "",
        "image_id": "",
        "locks": ("slot:oracle", f"service:stack.{FIRST}", "service:stack.mxfp4"),
        "steps": (
            Step("preflight", "before"),
            Step("drain", "before"),
            Step("stop", "inside", (FIRST,)),
            Step("start", "inside", (OTHER,)),
            Step("back_start", "inside", (FIRST,), True),
        ),
        "marks": (("preflight", True, {}), ("drain", True, {}), ("stop", True, {})),
        "begun": ("preflight", "drain", "stop", "start"),
        "found": {"from": FIRST, "to": OTHER, "shape": "exclusive", "expected": 780.0},
        "touches": (f"stack.{FIRST}", "stack.mxfp4"),
    }
    return Plan(41, "swap", "slot:oracle", "docker", **(given | more))


def service(name: str, running: bool = True) -> Service:
    """A service that carries a model."""
    state = "running" if running else "exited"
    carrying = Container(name * 8, name.replace(".", "_"), GOOD, "local/llama:1", status=state, started_at=NOW - 900)
    return Service(name, "docker", carrying, yes(), healthy=running)


def shown(*slots: SlotState, **more: Any) -> Snapshot:
    """The box with them; without any, the oracle's."""
    return box(slots=slots or (slot(),), **more)
