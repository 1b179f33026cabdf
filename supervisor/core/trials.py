"""Models on probation: measured again and again, watched for errors, deaths and faults, and sent back for a reason.

From: the slots' records (`Probation`, which outlives a restart), the gate's counters, the registry, faults of cards,
the ends of `bench` plans. To: a swap back to the one before, which is only verified and not measured; rows; NO-GOs.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor.core import slot_rows
from supervisor.core.slot_wishes import Wishes, at_work
from supervisor.facts import SLOT, GateState, Json, Plan, Probation, Service, Slot
from supervisor.incidents.slots import LOOK, PIVOT, part
from supervisor.services.checks import broken_check
from supervisor.slots import probation
from supervisor.slots.nogo import NoGo
from supervisor.slots.probation import Seen
from supervisor.units import plain
from supervisor.verdicts import Reason, Verdict, no

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

AGAIN = 900.0
"""seconds until the way back is tried once more where it failed"""
_NO_FAULT = ("info", "verdict")
"""kinds of a card's messages that say nothing against a model"""


class Trials:
    """The models on probation. What lasts is in the slots' records."""

    def __init__(self) -> None:
        self._wishes = Wishes()
        self._failed: dict[str, str] = {}
        """slot -> why its model's latest measurement was a NO-GO"""
        self._warned: set[int] = set()
        """plans that were told of a fault"""

    # ------------------------------------------------------------ news

    def counted(self, core: "Decider", gate: GateState, before: GateState | None) -> None:
        """A gate counted on: errors that callers got since the commit are kept, over restarts too."""
        kept = core.slots.kept(gate.slot)
        grown = gate.errors - (before.errors if before is not None and before.errors <= gate.errors else 0)
        if kept.probation is not None and grown > 0:
            core.slots.keep_record(core, gate.slot, replace(kept, errors=kept.errors + grown))

    def measured(self, core: "Decider", slot: str, plan: Plan, outcome: Verdict, data: Json) -> None:
        """A measurement ended. One of a model on probation that is a NO-GO sends it back."""
        trial = core.slots.kept(slot).probation
        if trial is None or data.get("verdict") != "NO-GO" or plan.found.get("to") != trial.model:
            return
        if outcome.reason is not Reason.ENDED_EARLY:
            text = plain(outcome.text, 500).rstrip(".").removeprefix(f"NO-GO {trial.model}: ")
            self._failed[slot] = text or "a measurement failed"

    # ------------------------------------------------------------ time

    def tick(self, core: "Decider") -> None:
        """Look at everyone on probation, and at those that are being tried by a plan."""
        self._warn(core)
        for slot in core.slots.live(core):
            trial = core.slots.kept(slot.name).probation
            if trial is None:
                continue
            if core.slots.kept(slot.name).holder != trial.model:
                self._over(core, slot)
                continue
            if at_work(core, slot):
                continue
            why = probation.trouble(trial, slot.criteria_of(trial.model), self._seen(core, slot, trial))
            if why:
                self._back(core, slot, trial, why)
            elif trial.until <= core.now:
                self._over(core, slot)
                slot_rows.probation_over(core, slot.name, trial)
            elif trial.next_bench and trial.next_bench <= core.now:
                self._measure(core, slot, trial)

    def due(self, core: "Decider") -> list[float]:
        """The monotonic instants at which `tick` has something to do."""
        found = []
        for slot in core.slots.live(core):
            trial = core.slots.kept(slot.name).probation
            if trial is not None and not at_work(core, slot):
                at = core.mono + max(0.0, probation.due(trial) - core.now)
                key = self._key(slot, trial)
                held = self._wishes.again.get(key, self._wishes.again.get(self._measuring(slot), 0.0))
                found.append(max(at, held))
        return found

    # ------------------------------------------------------------ inside

    def _back(self, core: "Decider", slot: Slot, trial: Probation, why: str) -> None:
        key = self._key(slot, trial)
        if not self._wishes.ready(core, key):
            return
        cause = f"{trial.model} is on probation, and {why}."
        decision = self._wishes.ask(core, slot, "swap", key, cause, to=trial.before)
        if not decision.plan:
            return
        self._wishes.later(core, key, AGAIN)
        self._failed.pop(slot.name, None)
        handed_back = core.slots.kept(slot.name).stand_in is not None and trial.model == slot.models[0].name
        if not handed_back:  # the first choice is tried again with the next window
            image = core.slots.image_of(core, slot, trial.model)
            no_go = NoGo(f"in probation, {why}", core.now, decision.plan)
            core.slots.nogos.failed(slot.name, trial.model, image, no_go)
        slot_rows.sent_back(core, slot.name, trial, why, decision.plan)

    def _measure(self, core: "Decider", slot: Slot, trial: Probation) -> None:
        key = self._measuring(slot)
        if not self._wishes.ready(core, key):
            return
        decision = self._wishes.ask(core, slot, "bench", key, "It is on probation.", model=trial.model)
        if decision.plan:
            kept = core.slots.kept(slot.name)
            following = replace(trial, next_bench=core.now + max(probation.every(slot, trial.model), 1.0))
            core.slots.keep_record(core, slot.name, replace(kept, probation=following))

    def _over(self, core: "Decider", slot: Slot) -> None:
        self._failed.pop(slot.name, None)
        kept = core.slots.kept(slot.name)
        stand_in = kept.stand_in if kept.stand_in is not None and kept.holder == kept.stand_in.model else None
        core.slots.keep_record(core, slot.name, replace(kept, probation=None, errors=0, stand_in=stand_in))

    def _seen(self, core: "Decider", slot: Slot, trial: Probation) -> Seen:
        """What happened to it since the commit."""
        model, kept = slot.model(trial.model), core.slots.kept(slot.name)
        service = core.registry.get(model.service) if model is not None and model.service else None
        if service is None or model is None:
            return Seen(errors=kept.errors, failed=self._failed.get(slot.name, ""))
        memory, cards = core.memory.budget(core), core.gpu.budget(core)
        part = memory.of(service.id) if memory is not None else None
        vram: dict[str, float] = {}
        for gpu, _most in slot.criteria_of(trial.model).vram if cards is not None else ():
            uuid = cards.deck.uuid_of(gpu) if gpu and cards is not None else ""
            on = [one.held for one in cards.cards if not gpu or one.held.uuid == uuid] if cards is not None else []
            vram[gpu] = math.fsum(float(one.services.get(service.id, 0)) for one in on)
        died = service.last_death_at if service.streak > 0 else 0.0
        used = part.used if part is not None and part.running else 0.0
        faults, failed = faults_of(core, service, trial.began), self._failed.get(slot.name, "")
        return Seen(died, _unwell(core, service), faults, kept.errors, used, vram, failed)

    def _warn(self, core: "Decider") -> None:
        """Tell a plan in the midst of it that a card of the model it tries has a fault: that is a NO-GO."""
        plans = [one for one in core.admission.plans() if one.service.startswith(SLOT) and one.phase == "inside"]
        self._warned = {one.id for one in plans} & self._warned
        for plan in plans:
            comes = core.registry.get(str(part(plan, str(plan.found.get("to") or "")).get("service") or ""))
            since = core.slots.began(plan.id)
            if comes is None or plan.id in self._warned or "start" not in plan.begun or not since:
                continue
            found = faults_of(core, comes, since)
            if found:
                self._warned.add(plan.id)
                core.admission.wish_end(core, plan.id, no(Reason.FAILED, f"{found[0][:1].upper()}{found[0][1:]}."))

    @staticmethod
    def _measuring(slot: Slot) -> str:
        """It is measured as often as the slot says, else only its log is looked at."""
        return f"{'bench|' if slot.probation_every else LOOK}{slot.name}"

    @staticmethod
    def _key(slot: Slot, trial: Probation) -> str:
        return f"{PIVOT}{slot.name}|{trial.began:.0f}"


def _unwell(core: "Decider", service: Service) -> str:
    """Why a service that runs is not well, by its own check or its probe; '' while it is, or nobody can tell."""
    box = service.container
    if box is None or not box.running:
        return ""
    if box.health == "unhealthy" and not broken_check(box):
        return "its health check says unhealthy"
    failing = next((one for one in core.probing.shown(core) if one.service == service.id and one.failing), None)
    return f"its probe fails: {plain(failing.text, 200).rstrip('.')}" if failing is not None else ""


def faults_of(core: "Decider", service: Service, since: float) -> tuple[str, ...]:
    """The faults since then (unix seconds) of a service, and of its cards where nobody knows whose they are."""
    uses = core.gpu.cards_of(core, service)
    return tuple(
        f"{f'XID {one.root}' if one.root else 'a fault'} was told of its GPU"
        for one in core.gpu.faults.open()
        if not one.drill
        and one.kind not in _NO_FAULT
        and one.first_at >= since
        and (one.service == service.id or (not one.service and one.uuid in uses))
    )
