"""The GPUs as documents: each card, its faults, and how the driver is.

In: facts.Snapshot. Out: plain JSON: `gpus_document` for `resurgam gpu` and the status, `card_document` for one MQTT
topic. Sizes are bytes; what moves all the time is rounded (views/memory.py), so that a document does not change with
every allocation. What a card does not tell is null, never 0.
"""

from supervisor.facts import Gpu, Json, Snapshot, XidEpisode
from supervisor.units import iso
from supervisor.views.memory import coarse
from supervisor.views.words import json_number

READINGS = {
    "utilization": "DCGM_FI_DEV_GPU_UTIL",
    "temperature": "DCGM_FI_DEV_GPU_TEMP",
    "memory_temperature": "DCGM_FI_DEV_MEMORY_TEMP",
    "power": "DCGM_FI_DEV_POWER_USAGE",
    "sm_clock": "DCGM_FI_DEV_SM_CLOCK",
}
"""key of a card's `readings` -> the metric that it is: percent, degrees Celsius, watts, megahertz"""
PERSISTENCE = "resurgam_gpu_persistence_mode"


def gpus_document(snapshot: Snapshot) -> Json | None:
    """Every card with what is known of it; None where there is none and nothing asks for one."""
    state = snapshot.gpus
    if state is None:
        return None
    return {
        "cards": [card_document(card, snapshot) for card in state.cards],
        "expected": state.expected,
        "driver": state.driver,
        "trouble": state.trouble,
        "text": state.text,
        "quiet": state.quiet,
        "released_until": iso(state.released),
        "drill_until": iso(state.drill),
        "faults": [fault_document(one) for one in state.episodes],
    }


def card_document(card: Gpu, snapshot: Snapshot) -> Json:
    """One card. `memory` is None where it does not tell; `users`: who holds how much of it, the largest first."""
    state = snapshot.gpus
    faults = [one for one in state.episodes if _about(one, card)] if state is not None else []
    return {
        "host": snapshot.host,
        "gpu": card.index,
        "uuid": card.uuid,
        "name": card.name,
        "bus": card.bus_id,
        "up": card.up,
        "present": card.present,
        "memory": _memory(card) if card.total else None,
        "users": [{"name": name, "used": coarse(used)} for name, used in card.users],
        "recovery": card.recovery,
        "persistence": None if PERSISTENCE not in card.values else card.values[PERSISTENCE] > 0,
        "readings": {
            key: json_number(card.values[metric]) if metric in card.values else None for key, metric in READINGS.items()
        },
        "faults": [fault_document(one) for one in faults],
        "text": card.text,
    }


def _memory(card: Gpu) -> Json:
    return {
        "total": json_number(card.total),
        "free": coarse(card.free),
        "reserved": json_number(card.reserved),
        "planned": coarse(card.planned),
        "headroom": coarse(card.headroom),
        "orphaned": coarse(card.orphaned),
        "unattributed": coarse(card.unattributed),
    }


def fault_document(episode: XidEpisode) -> Json:
    """One burst of faults."""
    return {
        "id": episode.id,
        "uuid": episode.uuid,
        "bus": episode.bus_id,
        "first_at": iso(episode.first_at),
        "last_at": iso(episode.last_at),
        "xid": episode.root,
        "class": episode.kind,
        "remedy": episode.remedy,
        "counts": {str(xid): count for xid, count in sorted(episode.counts.items())},
        "service": episode.service,
        "recovery": episode.recovery,
        "drill": episode.drill,
        "text": episode.text,
    }


def _about(episode: XidEpisode, card: Gpu) -> bool:
    return episode.uuid == card.uuid if episode.uuid else episode.bus_id == card.bus_id
