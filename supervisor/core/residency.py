"""Models that nobody needs are put away: those that are idle for their `ttl`, and the one that was used least lately
when memory gets short.

From: the slots as they stand, the budgets of memory and of cards. To: `unload` of a slot's model, asked of the guard
like everything; rows. Who may go is decided in slots/residency.py: nobody with requests in flight, nobody who is kept.
"""

from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core import slot_rows
from supervisor.core.slot_wishes import US, Wishes, at_work
from supervisor.facts import Plan, Slot
from supervisor.slots import residency
from supervisor.verdicts import Verdict

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

EVERY = 30.0
"""seconds between two models that are put away for want of room: what came back is measured first"""
IDLE, ROOM = "idle|", "room|"


class Residents:
    """Who may stay in memory."""

    def __init__(self) -> None:
        self._wishes = Wishes()
        self._next = 0.0
        """the monotonic instant at which room may be made again"""

    def tick(self, core: "Decider") -> None:
        """Put away what is idle; make room where memory is short."""
        full = ""
        for slot in core.slots.live(core):
            now = core.slots.now(core, slot)
            if at_work(core, slot):
                continue
            for name in residency.idle(slot, now.state, now.loaded_at, core.now):
                model, key = slot.model(name), f"{IDLE}{slot.name}|{name}"
                if model is not None and self._wishes.ready(core, key):
                    cause = f"Nobody asked {name} anything for {units.show_duration(model.ttl)}."
                    self._wishes.ask(core, slot, "unload", key, cause, model=name)
                    break
            full = full or self._full(core, slot)
            if full and core.mono >= self._next and not at_work(core, slot):
                self._make_room(core, slot, full)

    def due(self, core: "Decider") -> list[float]:
        """The monotonic instants at which `tick` has something to do."""
        found = []
        for slot in core.slots.live(core):
            if any(one.ttl for one in slot.models) and not at_work(core, slot):
                now = core.slots.now(core, slot)
                at = residency.due(slot, now.state, now.loaded_at, core.now)
                found += [core.mono + max(0.0, at - core.now)] if at is not None else []
        return found

    def ended(self, core: "Decider", slot: Slot, plan: Plan, outcome: Verdict) -> None:
        """A plan of a slot is over: what we put away is told."""
        if plan.by == US and plan.verb == "unload" and outcome.ok:
            slot_rows.evicted(core, slot.name, str(plan.found.get("from") or ""), plan.cause, plan.id)

    # ------------------------------------------------------------ inside

    def _make_room(self, core: "Decider", slot: Slot, why: str) -> None:
        now = core.slots.now(core, slot)
        for name in residency.least_used(slot, now.state, now.loaded_at, core.now)[:1]:
            key = f"{ROOM}{slot.name}|{name}"
            if self._wishes.ready(core, key):
                self._next = core.mono + EVERY
                cause = f"{why}, and {name} was used least lately."
                self._wishes.ask(core, slot, "unload", key, cause, model=name)

    @staticmethod
    def _full(core: "Decider", slot: Slot) -> str:
        """What is too full for this slot's taste, as a sentence without its end; '' for nothing."""
        memory, cards = core.memory.budget(core), core.gpu.budget(core)
        if memory is not None and memory.total > 0:
            share = 1.0 - memory.available / memory.total
            if share > slot.evict_above:
                return f"{share:.0%} of memory is in use (evict-above is {slot.evict_above:.0%})"
        for card in cards.cards if cards is not None else ():
            share = card.held.used / card.held.total if card.held.total else 0.0
            if share > slot.evict_above:
                return f"{share:.0%} of GPU {card.held.index} is in use (evict-above is {slot.evict_above:.0%})"
        return ""
