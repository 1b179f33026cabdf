"""The kinds of slots that random worlds are about: how their models come and go, and what their boxes look like.

From: slot_worlds.py, which draws one for each seed. `lone`: two containers of which one may run. `beside`: both fit.
`sleepers`: one sleeps while the other is awake. `named`: no gate, the holder bears a name. `inside`: three models in
one server, which loads and unloads them.
"""

from collections.abc import Mapping
from typing import Any

from supervisor.core.standing import Loaded
from supervisor.lab.gpu import GIB
from supervisor.lab.minds import SimModel
from tests.sim.slots import CANARY, GATE, GOOD, WELL, A, B, Slots, loaded
from tests.sim.stage import Stage, read

C = "cpu"
LONE, BESIDE, SLEEPERS, NAMED, INSIDE = "lone", "beside", "sleepers", "named", "inside"
KINDS = (LONE, LONE, LONE, BESIDE, SLEEPERS, NAMED, INSIDE)
"""as often as they are drawn"""
SERVER = "server"
LITTLE = GOOD.changed(memory=10 * GIB, vram={0: 10 * GIB})
ALONE = SimModel(load=5.0, rate=20.0, memory=8 * GIB, answers={"2+3": "It is 5."})
WITHIN = GOOD.changed(load=5.0, memory=130 * GIB, vram={})
"""of one inside the server: two of them are below 90 % of the machine's memory, three are not"""


def minds(kind: str) -> dict[str, SimModel]:
    """How its models behave when the world begins."""
    both = {BESIDE: LITTLE, INSIDE: WITHIN}.get(kind, GOOD)
    return {A: both, B: both, C: WITHIN if kind == INSIDE else ALONE}


def settings(kind: str, slot: Mapping[str, Any], **more: Any) -> Loaded:
    """What resurgam.yaml says in such a world."""
    if kind == INSIDE:
        return _inside(slot, **more)
    sleep: dict[str, Any] = {"sleep": 2} if kind == SLEEPERS else {}
    models: dict[str, Any] = {name: {"service": f"box.{name}", **sleep} for name in (A, B)}
    words = ["gpu:0"] if kind in (LONE, NAMED) else []
    size = {"memory": "10GiB", "vram": "0:10GiB"} if kind == BESIDE else {}
    both: dict[str, Any] = {name: {"exclusive": words, **size} for name in (A, B)}
    both[C] = {"memory": "8GiB", "probe": "http://:8000/health", "exclusive": words, "startup": "60s"}
    models[C] = {"service": f"box.{C}"}
    name = {"listen": "none", "rename": "llm"} if kind == NAMED else {}
    return loaded({**slot, **name, "models": models}, both, **more)


def _inside(slot: Mapping[str, Any], **more: Any) -> Loaded:
    models = {
        name: {"service": f"box.{SERVER}", "inside": True, "model": name, "memory": "130GiB", "ttl": ttl}
        for name, ttl in ((A, "0"), (B, "5m"), (C, "0"))
    }
    said = {"listen": GATE, "drain": "30s", "criteria": {"runs": 1, "tokens": 20, "canaries": [CANARY]}}
    services = {f"box.{SERVER}": {"startup": "60s", "probe": "http://:11434/health"}}
    whole = {"probation": "2m", "residency": "1m", **said, **slot, "models": models}
    return read(services=services, slots={"oracle": whole}, proof="10s", **more)


async def built(kind: str, stage: Slots) -> None:
    """The box, before the daemon is started: its first choice runs, or its server does."""
    stage.exclusive = kind in (LONE, NAMED)
    if kind != INSIDE:
        await stage.model(C, minds(kind)[C])
        stage.world.cards.add()
        await stage.model(A, minds(kind)[A], start=True)
        await stage.model(B, minds(kind)[B])
        return
    for name, mind in minds(kind).items():
        stage.minds[name] = mind
        stage.world.models.declare(f"box.{SERVER}", mind, inside=name)
    stage.image(f"local/{SERVER}:1", WELL)
    await Stage.up(stage, SERVER)


def changed(kind: str, stage: Slots, model: str, mind: SimModel) -> None:
    """A model is like this from now on."""
    stage.minds[model] = mind
    where, inside = (f"box.{SERVER}", model) if kind == INSIDE else (f"box.{model}", "")
    stage.world.models.declare(where, mind, inside=inside)
