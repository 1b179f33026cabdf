"""Which models may be put away, and in which order: those that nobody needs, the one that was used least lately first.

Pure. From: the slot as it is declared and as it stands, when its models were loaded. To: core/residency.py (idle ones,
and room under pressure) and core/slot_plans.py (room for one that comes). A model with requests in flight, or of which
nobody knows whether it has any, is never put away; nor one that is kept, or was loaded just now.
"""

from collections.abc import Collection, Iterable, Mapping

from supervisor.facts import Free, ModelState, Slot, SlotState
from supervisor.facts.slots import LOADED
from supervisor.slots.fit import ANY_CARD, MEMORY, Need
from supervisor.verdicts import Reason, Verdict, no


def stays(slot: Slot, one: ModelState, loaded_at: Mapping[str, float], now: float) -> Verdict | None:
    """Why a loaded model must not be put away by us now; None if it may."""
    model = slot.model(one.name)
    if model is None or one.state != LOADED:
        return no(Reason.NO_USE, f"{one.name} is not loaded.")
    if model.keep or one.kept_until:
        who = "resurgam.yaml keeps it" if model.keep else "a person keeps it"
        return no(Reason.RESIDENT, f"{one.name} stays: {who}.")
    if one.in_flight is None:
        return no(Reason.IN_USE, f"nobody knows whether {one.name} works on requests.")
    if one.in_flight:
        return no(Reason.IN_USE, f"{one.name} works on {one.in_flight} requests.")
    if now - loaded_at.get(one.name, 0.0) < slot.residency:
        return no(Reason.RESIDENT, f"{one.name} was loaded only just now.")
    return None


def idle(slot: Slot, state: SlotState, loaded_at: Mapping[str, float], now: float) -> tuple[str, ...]:
    """The models that nobody asked anything for their `ttl`, in the order in which they are declared."""
    found = []
    for one in state.models:
        model = slot.model(one.name)
        last = max(one.used_at, loaded_at.get(one.name, 0.0), one.since)
        if model is not None and model.ttl and last and now - last >= model.ttl:
            found += [one.name] if stays(slot, one, loaded_at, now) is None else []
    return tuple(found)


def least_used(
    slot: Slot, state: SlotState, loaded_at: Mapping[str, float], now: float, but: str = ""
) -> tuple[str, ...]:
    """The models that may go, the one that was used least lately first, and the one that holds the slot after all the
    others. The last one that is loaded is not among them: an empty slot serves nobody. `but`: one that is to stay."""
    loaded = [one for one in state.models if one.state == LOADED]
    able = [one for one in loaded if one.name != but and stays(slot, one, loaded_at, now) is None]
    able.sort(key=lambda one: (one.name == state.holder, max(one.used_at, loaded_at.get(one.name, 0.0)), one.name))
    most = len(loaded) - (0 if but else 1)
    return tuple(one.name for one in able[: max(0, most)])


def victims(slot: Slot, state: SlotState, loaded_at: Mapping[str, float], now: float, comes: str) -> tuple[str, ...]:
    """Who makes place for one that comes where a slot may have several: as many as are too many by then, of those that
    may go."""
    loaded = [one.name for one in state.models if one.state == LOADED and one.name != comes]
    too_many = len(loaded) + 1 - slot.together
    return least_used(slot, state, loaded_at, now, comes)[:too_many] if too_many > 0 else ()


def heir(slot: Slot, state: SlotState, loaded_at: Mapping[str, float], but: Collection[str]) -> str:
    """Who holds the slot where its holder had to go: the one that was loaded last of those that are there; '' for none.
    `but`: who is not meant."""
    since = {one.name: loaded_at.get(one.name, one.since) for one in state.models if one.state == LOADED}
    able = [one.name for one in slot.models if one.name in since and one.name not in but]
    return max(able, key=since.__getitem__, default="")


def full(needs: Iterable[Need], free: Free, total: Free, share: float) -> bool:
    """Whether memory or a card would be in use beyond `share` with one that needs so much. What nobody knows is not
    full; which card one takes that may choose, only where there is one."""
    for need in needs:
        if need.where == MEMORY:
            have, most = free.memory, total.memory
        else:
            where = next(iter(total.vram)) if need.where == ANY_CARD and len(total.vram) == 1 else need.where
            have, most = free.vram.get(where, 0.0), total.vram.get(where, 0.0)
        if most > 0 and have - need.bytes < (1.0 - share) * most:
            return True
    return False


def for_room(
    able: Iterable[str], needs: Iterable[Need], gives: Mapping[str, Free], free: Free, total: Free, share: float
) -> tuple[str, ...]:
    """Who goes so that one that needs so much keeps memory and each card below `share`: of `able`, in their order, as
    many as it takes; all where that is not enough. `gives`: what comes back of each; `free`: without any of it."""
    known, gone = tuple(needs), []
    for name in able:
        if not full(known, free, total, share):
            break
        back = gives.get(name, Free(0.0))
        if back.memory > 0 or any(size > 0 for size in back.vram.values()):
            gone.append(name)
            free = plus(free, back)
    return tuple(gone)


def plus(free: Free, back: Free) -> Free:
    """What is free once that came back."""
    vram = {uuid: size + back.vram.get(uuid, 0.0) for uuid, size in free.vram.items()}
    return Free(free.memory + back.memory, vram)


def due(slot: Slot, state: SlotState, loaded_at: Mapping[str, float], now: float) -> float | None:
    """Unix seconds at which one may be idle for too long; None while none can be."""
    found = []
    for one in state.models:
        model = slot.model(one.name)
        last = max(one.used_at, loaded_at.get(one.name, 0.0), one.since)
        if model is not None and model.ttl and last and one.state == LOADED:
            at = max(last + model.ttl, loaded_at.get(one.name, 0.0) + slot.residency)
            found += [at] if at > now else []
    return min(found, default=None)
