"""What `resurgam doctor` says about model slots: what is odd about them as declared, and how they stand.

From: the settings (config/slotting.py), the parts `slots`, `host` and `gpus` of /v1/status where a daemon answers. To:
findings for `cli/doctor.py`. No server is asked from here: the daemon's watch does that. Without a slot there is none.
"""

import os
from collections.abc import Iterator

from supervisor.cli.doctor_machine import Finding
from supervisor.cli.output import dotted
from supervisor.config import slotting
from supervisor.config.settings import Settings
from supervisor.config.slots import SlotModelSettings, SlotSettings
from supervisor.facts import Json
from supervisor.servers.finding import kinds
from supervisor.units import speaker

_BUSY = (
    "A swap then takes it for busy and ends early, unless it may cut (--cut). Put a gate in front (listen:), or switch "
    "on its server's metrics (llama-server: --metrics)."
)


def look(settings: Settings, status: Json | None) -> tuple[Finding, ...]:
    """Everything there is to say."""
    if not settings.slots:
        return ()
    found = [*_declared(settings)]
    told = {one["slot"]: one for one in (status or {}).get("slots", ())}
    for name, slot in settings.slots.items():
        found += _fits(name, slot, settings, status)
        if name in told:
            found += _stands(told[name])
        elif status is not None:
            text = "the daemon does not know it yet"
            found.append(Finding(f"slot {name}", "finding", text, "Slots are read at the start: restart the daemon."))
    return tuple(found)


def _declared(settings: Settings) -> Iterator[Finding]:
    for doubt in slotting.doubts(settings, kinds(), os.path.exists):
        where = dotted(doubt.place[2:]) if doubt.place[0] == "slots" else ""
        named = f"slot {doubt.place[1]}" if doubt.place[0] == "slots" else f"service {doubt.place[1]}"
        said = f"{where}: {doubt.text}" if where else doubt.text
        yield Finding(named, "finding" if doubt.sure else "note", said)


def _stands(one: Json) -> Iterator[Finding]:
    """How it is now."""
    named, gate = f"slot {one['slot']}", one["gate"]
    if one["problem"]:
        yield Finding(named, "finding", one["problem"])
    elif one["holder"]:
        yield Finding(named, "ok", f"{one['holder']} holds it")
    elif one["phase"]:
        yield Finding(named, "note", f"plan {one['plan']} is at {one['phase']}")
    else:
        yield Finding(named, "note", "nobody holds it")
    if gate is not None and not gate["listening"]:
        cure = "Free the port, or give `listen` another one, and restart the daemon."
        yield Finding(named, "finding", f"its gate does not listen: {gate['text'] or 'nobody knows why'}", cure)
    for model in one["models"]:
        if model["state"] == "unknown":
            yield Finding(named, "note", f"how {model['name']} stands is not known: {model['text']}")
        elif model["name"] == one["holder"] and model["in_flight"] is None and (gate is None or not gate["listening"]):
            text = f"nobody knows how many requests {model['name']} works on"
            yield Finding(named, "finding", text, _BUSY)


def _fits(name: str, slot: SlotSettings, settings: Settings, status: Json | None) -> Iterator[Finding]:
    """A model that is larger than the whole machine, or than every card, never comes to anything."""
    total = float(((status or {}).get("host") or {}).get("memory", {}).get("total") or 0.0)
    cards = [card for card in ((status or {}).get("gpus") or {}).get("cards", ()) if card["memory"]]
    for word, given in slot.models.items():
        memory, vram = _needs(word, given or SlotModelSettings(), settings)
        role = "stand-in" if word in slot.fallback else "model"
        if total and memory > total:
            text = f"the {role} {word} needs {_size(memory)} of memory, and the whole machine has {_size(total)}"
            yield Finding(f"slot {name}", "finding", text, "Take it out, or correct what is declared for it.")
        for card, size in vram:
            sizes = [float(one["memory"]["total"]) for one in cards if not card or str(one["gpu"]) == card]
            if sizes and size > max(sizes):
                where = f"GPU {card}" if card else "the largest card"
                text = f"the {role} {word} needs {_size(size)} of VRAM, and {where} has {_size(max(sizes))}"
                yield Finding(f"slot {name}", "finding", text, "Take it out, or correct what is declared for it.")


def _needs(word: str, model: SlotModelSettings, settings: Settings) -> tuple[float, tuple[tuple[str, int], ...]]:
    """(bytes of memory, (GPU, bytes) pairs) that are declared for a model: its own, else its service's."""
    if model.inside:
        return float(model.memory), tuple(model.vram)
    entry = settings.services.get(model.service or word)
    return (float(entry.memory or 0), tuple(entry.vram or ())) if entry is not None else (0.0, ())


def _size(size: float) -> str:
    return speaker((size,))(size)
