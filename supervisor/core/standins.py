"""Failover: a model of `fallback` takes the slot while its holder cannot be brought back, and the first choice gets it
back by a swap that is tried once per window.

From: the slots as they stand, the registry, what rules may still try (incidents/hope.py). To: swaps, asked of the guard
like everything; the slots' records (`stand_in`, which outlives a restart); rows; the gate, which sends callers away
where nothing is tried any more. Nobody stands in for what a person stopped; the first choice is not tried while a rule
holds it down.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.core import slot_rows
from supervisor.core.slot_wishes import Wishes, at_work
from supervisor.facts import Json, Plan, Service, Slot
from supervisor.slots import failover
from supervisor.slots.kept import Kept, StandIn
from supervisor.verdicts import Verdict

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

STAND_IN, HAND_BACK = "standin|", "handback|"
"""what the keys of these swaps begin with"""
_STOPS = ("stop", "scale", "quiesce")


class StandIns:
    """Who is down, and who stands in. What lasts is in the slots' records."""

    def __init__(self) -> None:
        self._wishes = Wishes()
        self._down: dict[str, float] = {}
        """slot -> the monotonic instant since when its holder is down"""
        self._tried: dict[str, dict[str, float]] = {}
        """slot -> model -> when it may be tried again (monotonic)"""
        self._hopeless: set[str] = set()

    def hopeless(self, slot: str) -> bool:
        """Whether nothing is tried any more to have somebody in the slot."""
        return slot in self._hopeless

    # ------------------------------------------------------------ time

    def tick(self, core: "Decider") -> None:
        """Look at every slot."""
        for slot in core.slots.live(core):
            if at_work(core, slot):
                continue
            if self._is_down(core, slot):
                since = self._down.setdefault(slot.name, core.mono)
                if core.mono - since >= slot.fallback_after:
                    self._stand_in(core, slot)
                continue
            self._down.pop(slot.name, None)
            self._hopeless.discard(slot.name)
            self._hand_back(core, slot)

    def due(self, core: "Decider") -> list[float]:
        """The monotonic instants at which `tick` has something to do."""
        found = []
        for slot in core.slots.live(core):
            since, stand_in = self._down.get(slot.name), core.slots.kept(slot.name).stand_in
            if at_work(core, slot):
                continue
            if since is not None and core.mono < since + slot.fallback_after:
                found.append(since + slot.fallback_after)
            elif stand_in is not None:
                at = core.mono + max(0.0, failover.hand_back_at(slot, stand_in) - core.now)
                held = self._wishes.again.get(_hand_back_key(slot, stand_in), 0.0)
                found += [max(at, held)] if max(at, held) > core.mono else []
        return found

    def ended(self, core: "Decider", slot: Slot, plan: Plan, before: Kept, outcome: Verdict, data: Json) -> None:
        """A swap is over; the slot's record has its new holder already. `before`: the record as it was."""
        kept, first = core.slots.kept(slot.name), slot.models[0].name
        comes = str(plan.found.get("to") or "")
        if plan.key.startswith(STAND_IN):
            if kept.holder == comes and outcome.ok:
                self._down.pop(slot.name, None)
                stand_in = StandIn(comes, core.now, plan.cause)
                core.slots.keep_record(core, slot.name, replace(kept, stand_in=stand_in, probation=None))
                slot_rows.stand_in(core, slot.name, comes, first, plan.cause, plan.id)
            else:
                self._tried.setdefault(slot.name, {})[comes] = core.mono + slot.hand_back
            return
        was = before.stand_in
        if was is not None and kept.holder == first and before.holder == was.model:
            self._tried.pop(slot.name, None)
            slot_rows.handed_back(core, slot.name, was.model, first, plan.id)

    # ------------------------------------------------------------ somebody stands in

    def _is_down(self, core: "Decider", slot: Slot) -> bool:
        kept = core.slots.kept(slot.name)
        model = slot.model(kept.holder) or slot.models[0]
        service = core.registry.get(model.service) if model.service else None
        if service is None and model.service:
            return False  # it never was there: nothing has failed
        if service is not None and failover.stays_down(service):
            return False
        if not kept.holder and (service is None or service.wanted.state != "running"):
            return False  # nobody wants anything of it
        failing = any(one.failing and one.service == model.service for one in core.probing.shown(core))
        look = core.slots.look(slot.name, model.name)
        return failover.down(model, service, look, failing and bool(model.service), core.now)

    def _stand_in(self, core: "Decider", slot: Slot) -> None:
        kept = core.slots.kept(slot.name)
        down = slot.model(kept.holder) or slot.models[0]
        service = core.registry.get(down.service) if down.service else None
        held_down = service is not None and failover.stopped_by_rule(service)
        if service is not None and not held_down and core.book.hopes(service.id, core.world(), slot.fallback_after):
            return  # something is still being tried for it
        now = core.slots.now(core, slot)
        no_go = {one.name: one.no_go for one in now.state.models}
        why = self._why(down.name, service, held_down)
        for name in failover.candidates(slot, down.name, self._tried.get(slot.name, {}), core.mono, no_go):
            key = f"{STAND_IN}{slot.name}|{name}"
            if not self._wishes.ready(core, key):
                continue
            if self._wishes.ask(core, slot, "swap", key, why, to=name).plan:
                return
        if slot.name not in self._hopeless:
            self._hopeless.add(slot.name)
            core.reviewed_later()

    @staticmethod
    def _why(name: str, service: Service | None, held_down: bool) -> str:
        if held_down and service is not None:
            return f"{name} was stopped by {service.wanted.by} and stays down."
        text = service.trouble_text.rstrip(".") if service is not None else ""
        said = f": {text[0].lower()}{text[1:]}" if text else ""
        return f"{name} is down, and nothing is left that could be tried for it{said}."

    # ------------------------------------------------------------ the first choice is tried again

    def _hand_back(self, core: "Decider", slot: Slot) -> None:
        kept, first = core.slots.kept(slot.name), slot.models[0]
        stand_in = kept.stand_in
        if stand_in is None or kept.holder != stand_in.model or failover.hand_back_at(slot, stand_in) > core.now:
            return
        key = _hand_back_key(slot, stand_in)
        if not self._wishes.ready(core, key) or self._held_down(core, first.service):
            return
        lasted = units.show_duration(core.now - stand_in.since)
        cause = f"{stand_in.model} has stood in for {lasted}; {first.name} is tried again."
        if self._wishes.ask(core, slot, "swap", key, cause, to=first.name).plan:
            tried = replace(stand_in, tried=core.now, tries=stand_in.tries + 1)
            core.slots.keep_record(core, slot.name, replace(core.slots.kept(slot.name), stand_in=tried))

    @staticmethod
    def _held_down(core: "Decider", ident: str) -> bool:
        """Whether an owner's rule or a person wants the first choice down, or one that stops it still fires. What a
        shipped ladder stopped in the end was only out of remedies: the next window is another one."""
        service = core.registry.get(ident) if ident else None
        if service is None:
            return False
        wanted, shipped = service.wanted, [one.name for one in core.loaded.playbooks if one.origin != "owner"]
        ours = wanted.by.startswith("slot:") or wanted.by.removeprefix("playbook:") in shipped
        if wanted.state == "stopped" and not ours:
            return True
        world = core.world()
        return any(core.book.asks(verb, (ident,), world, "owner") for verb in _STOPS)


def _hand_back_key(slot: Slot, stand_in: StandIn) -> str:
    return f"{HAND_BACK}{slot.name}|{stand_in.tries}"
