"""The slots: who holds each, what was measured, who stands in, what is on probation. The core's side.

From: declarations (settings.slots, as they were at the start), Readings of the collectors `models` and `gate`, the ends
of plans. To: the journal's spaces `slot`, `bench` and `nogo`; the plans of slots (slot_plans.py); what follows from
their ends (slot_ends.py); SlotState; the effects that open the gates. What is done without being asked is decided
beside it: residency.py, standins.py, trials.py.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.config import Settings
from supervisor.config.slots import slots_of
from supervisor.core import residency, slot_ends, slot_plans, slot_rows, standins, trials
from supervisor.errors import JournalError
from supervisor.facts import (
    SLOT,
    Bench,
    Container,
    Decision,
    GateState,
    Intent,
    Json,
    Plan,
    Readings,
    Sample,
    ServerLook,
    Service,
    Slot,
    SlotModel,
    SlotState,
    StepEnded,
)
from supervisor.facts.slots import ASLEEP, LOADED, UNLOADED
from supervisor.incidents.slots import meant
from supervisor.incidents.target import IN_SLOT
from supervisor.incidents.words import until
from supervisor.incidents.world import Find, SlotNow
from supervisor.journal.codec import dump, load
from supervisor.slots import doors
from supervisor.slots.history import History
from supervisor.slots.kept import FOR_EVER, Kept, moved, settles
from supervisor.slots.nogo import NoGos
from supervisor.slots.series import Series
from supervisor.slots.state import Looked, Sight, holder_seen, outdated, state_of
from supervisor.verbs import OF_SLOTS, Verb
from supervisor.verdicts import Reason, Verdict, no, yes

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

SPACE = "slot"


class SlotDesk:
    """The slots that are declared."""

    def __init__(self, settings: Settings, kept: Mapping[str, Mapping[str, Json]]) -> None:
        """`kept`: the journal's spaces by name; `slot`, `bench` and `nogo` are ours."""
        self.settings = settings
        self.slots = slots_of(settings)
        self.history, self.nogos = History(kept.get("bench", {})), NoGos(kept.get("nogo", {}))
        self.cannot: Callable[[str, SlotModel], str] = _cannot
        """why a verb cannot be done to a model, by its server's kind; '' if it can"""
        self.trials, self.standins, self.residents = trials.Trials(), standins.StandIns(), residency.Residents()
        self._kept: dict[str, Kept] = {}
        for slot in self.slots:
            with suppress(JournalError):
                body = kept.get(SPACE, {}).get(slot.name)
                self._kept[slot.name] = load(Kept, body) if body else Kept()
        self._known = frozenset(kept.get(SPACE, {}))
        self._looks: dict[str, dict[str, Looked]] = {slot.name: {} for slot in self.slots}
        self.gates: dict[str, GateState] = {}
        self._told: dict[str, doors.Order] = {}
        """the last word to each gate since this process began"""
        self._begun: dict[int, float] = {}
        """plan -> when its first step was permitted, unix seconds"""
        self._said: dict[int, float] = {}
        """plan -> when people were last told of it"""
        self._series = Series()
        self._rev = 0
        self._shown: tuple[tuple[object, ...], dict[str, SlotNow]] = ((), {})

    # ------------------------------------------------------------ what comes in

    def read(self, core: "Decider", fact: Readings) -> tuple[Sample, ...]:
        """What a reading of `models` or `gate` says; the series that follow from it."""
        for one in fact.models:
            looks = self._looks.get(one.slot)
            if looks is not None:
                looks[one.model] = _looked(looks.get(one.model), one.look, fact.at, fact.mono)
        for gate in fact.gates:
            before = self.gates.get(gate.slot)
            self.gates[gate.slot] = gate
            self.trials.counted(core, gate, before)
        self._changed(core)
        core.reviewed_later()
        return ()

    def due(self, core: "Decider") -> list[float]:
        """The monotonic instants at which `finish` has something to do."""
        if not self.slots:
            return []
        return [*self.trials.due(core), *self.standins.due(core), *self.residents.due(core)]

    def finish(self, core: "Decider") -> None:
        """At the end of a turn: what time and news bring about is asked for, what changed goes into the journal, and
        the gates hear where callers go."""
        if not self.slots:
            return
        self._look(core)
        for space, puts in (("bench", self.history.take_puts()), ("nogo", self.nogos.take_puts())):
            for key, value in puts.items():
                core.batch.put(space, key, value)

    def live(self, core: "Decider") -> tuple[Slot, ...]:
        """Those of which it is known how they stand: containers are, once an engine has listed them."""
        return self.slots if core.standing.swept else tuple(slot for slot in self.slots if slot.elsewhere)

    def _look(self, core: "Decider") -> None:
        live = self.live(core)
        if not live:
            return
        for slot in live:
            self._adopt(core, slot)
        self.trials.tick(core)
        self.standins.tick(core)
        self.residents.tick(core)
        for slot in live:
            seen = self.sight(core, slot)
            one = doors.order(seen, self.now(core, slot).state, hopeless=self.standins.hopeless(slot.name))
            if one is not None and self._told.get(slot.name) != one:
                self._told[slot.name] = one
                core.effects.append(lambda to, said=one: to.gate(said))  # type: ignore[misc]
        samples = self._series.samples(self._states(core), self.history, self._kept)
        if samples:
            core.rules.arrived("slots", core.store.append(core.now, samples), core.now)

    def repeat(self) -> None:
        """Every series is told again with the next turn's end."""
        self._series.again()

    def gap(self, core: "Decider", seconds: float) -> None:
        """The wall clock jumped: what lasts for a time lasts as long as it was to."""
        for name, kept in list(self._kept.items()):
            self.keep_record(core, name, moved(kept, seconds))
        for looks in self._looks.values():
            looks.update({model: one.moved(seconds) for model, one in looks.items()})

    # ------------------------------------------------------------ plans

    def plan(self, core: "Decider", intent: Intent, plan_id: int, op: str) -> Plan | Verdict:
        """The plan of a verb that is aimed at a slot, or why there can be none. Changes nothing."""
        if intent.target not in self.world(core):
            return no(Reason.NO_TARGET, f"There is no slot {intent.target.removeprefix(SLOT)!r}.")
        if intent.verb == "keep":
            return yes(self._keeping(core, intent)[1])
        return slot_plans.make(core, intent, plan_id, op)

    def keep(self, core: "Decider", intent: Intent) -> Decision:
        """A person keeps a model loaded, or lets it go again: nothing has to be done for it."""
        kept, text = self._keeping(core, intent)
        name = intent.target.removeprefix(SLOT)
        self.keep_record(core, name, kept)
        core.row("model.kept", intent.target, {"slot": name, "by": intent.by, "text": text}, False)
        return Decision(core.now, intent, yes(text))

    def _keeping(self, core: "Decider", intent: Intent) -> tuple[Kept, str]:
        now = self.world(core)[intent.target]
        model = meant(intent, now).model
        word, kept = model.name if model is not None else "", self.kept(now.slot.name)
        rest = {name: at for name, at in kept.kept.items() if name != word}
        if intent.params.get("off") == "true":
            return replace(kept, kept=rest), f"{word} may be put away again."
        given = intent.params.get("for", "")
        ends = core.now + units.duration(given) if given else FOR_EVER
        end = until(ends, core.now).replace("at ", "until ", 1) if given else "until `--off`"
        return replace(kept, kept={**rest, word: ends}), f"{word} is kept loaded {end}."

    def asked(self, core: "Decider", plan: Plan, step: str) -> None:
        """A step of a plan was permitted."""
        if not plan.service.startswith(SLOT):
            return
        self._begun.setdefault(plan.id, core.now)
        self._told.pop(plan.service.removeprefix(SLOT), None)  # from now on the plan speaks to the gate
        self._changed(core)
        if slot_rows.phase(core, plan, step, self._begun[plan.id]):
            self._said[plan.id] = core.now

    def stepped(self, core: "Decider", plan: Plan, fact: StepEnded) -> None:
        """A step of a plan ended."""
        said = self._said.get(plan.id, self._begun.get(plan.id, 0.0))
        if plan.service.startswith(SLOT) and core.now - said >= slot_rows.PATIENCE:
            self._said[plan.id] = core.now
            slot_rows.step_ended(core, plan, fact, self._begun.get(plan.id, plan.created_at))

    def ended(self, core: "Decider", plan: Plan, outcome: Verdict, data: Json) -> None:
        """A plan is over."""
        if not plan.service.startswith(SLOT):
            return
        self._begun.pop(plan.id, None)
        self._said.pop(plan.id, None)
        name = plan.service.removeprefix(SLOT)
        self._told.pop(name, None)
        if plan.phase != "before":
            self._looks[name] = outdated(self._looks.get(name, {}), plan.found["parts"])
        slot_ends.ended(core, plan, outcome, data)
        self._changed(core)

    # ------------------------------------------------------------ what is known

    def kept(self, slot: str) -> Kept:
        """What must not be forgotten of a slot."""
        return self._kept.get(slot, Kept())

    def keep_record(self, core: "Decider", slot: str, kept: Kept) -> None:
        """Remember it, durably."""
        if self._kept.get(slot) == kept and slot in self._known:
            return
        self._kept[slot] = kept
        self._known |= {slot}
        core.batch.put(SPACE, slot, dump(kept))
        self._changed(core)
        core.reviewed_later()

    def look(self, slot: str, model: str) -> ServerLook | None:
        """The newest word of a model's server; None where it was not asked yet."""
        found = self._looks.get(slot, {}).get(model)
        return found.look if found is not None else None

    def began(self, plan: int) -> float:
        """When the first step of an open plan was permitted, unix seconds; 0 where that is not known."""
        return self._begun.get(plan, 0.0)

    def latest(self, slot: str, model: str) -> Bench | None:
        """What a model did when it was measured last."""
        return self.history.latest(slot, model)

    def world(self, core: "Decider") -> Mapping[str, SlotNow]:
        """How every slot stands now, by id."""
        if not self.slots:
            return {}
        plans = tuple(plan for plan in core.admission.plans() if plan.service.startswith(SLOT))
        made_of = (core.registry.services(), self._rev, core.now, *plans)
        known = self._shown[0]
        if len(known) != len(made_of) or any(one is not two for one, two in zip(made_of, known, strict=True)):
            found: dict[str, SlotNow] = {}
            for slot in self.slots:
                kept = self.kept(slot.name)
                state = state_of(self.sight(core, slot))
                found[slot.id] = SlotNow(slot, state, kept.holder, kept.loaded_at)
            self._shown = made_of, found
        return self._shown[1]

    def now(self, core: "Decider", slot: Slot) -> SlotNow:
        """How one slot stands."""
        return self.world(core)[slot.id]

    def sight(self, core: "Decider", slot: Slot) -> Sight:
        """Everything that is known of a slot in this turn."""
        plans = [plan for plan in core.admission.plans() if plan.service == slot.id]
        plan = next((one for one in plans if one.begun), plans[0] if plans else None)
        services = {}
        for model in slot.models:
            service = core.registry.get(model.service) if model.service else None
            if service is not None:
                services[service.id] = service
        words = [one.service for one in slot.models if one.service and one.service not in services]
        others = {word: found[0] for word in words if len(found := core.registry.find(word)) == 1}
        benches = {one.name: self.latest(slot.name, one.name) for one in slot.models}
        return Sight(
            slot=slot,
            kept=self.kept(slot.name),
            now=core.now,
            mono=core.mono,
            services=services,
            others=others,
            looks=self._looks[slot.name],
            benches={name: bench for name, bench in benches.items() if bench is not None},
            no_go={one.name: self._no_go(slot, one, services) for one in slot.models},
            gate=self.gates.get(slot.name),
            plan=plan,
            began=self._begun.get(plan.id, 0.0) if plan is not None else 0.0,
        )

    def image_of(self, core: "Decider", slot: Slot, model: str) -> str:
        """The image id of the container that carries a model now; '' for none."""
        found = slot.model(model)
        return image_of(core.registry.get(found.service) if found is not None and found.service else None)

    def shown(self, core: "Decider") -> tuple[SlotState, ...]:
        """How they stand, in the order in which they are declared."""
        return self._states(core) if self.slots else ()

    def finder(self, find: Find) -> Find:
        """The same `find`, which also knows slots: `slot:oracle`, and the slots of a service."""
        if not self.slots:
            return find
        ids = {slot.id for slot in self.slots}

        def found(word: str | Mapping[str, str]) -> tuple[str, ...]:
            if isinstance(word, str):
                return ((word,) if word in ids else ()) if word.startswith(SLOT) else find(word)
            if IN_SLOT not in word:
                return find(word)
            service = word[IN_SLOT]
            return tuple(slot.id for slot in self.slots if any(one.service == service for one in slot.models))

        return found

    def aimed(self, core: "Decider", verb: Verb, word: str) -> tuple[str, Verdict | None] | None:
        """(target, why there is none) where a person means a slot; None where it is about something else."""
        if verb.name not in OF_SLOTS:
            return None
        ident = word if word.startswith(SLOT) else f"{SLOT}{word}"
        if any(slot.id == ident for slot in self.slots):
            return ident, None
        if "service" in verb.targets:
            return None
        services = core.registry.find(word)
        found = self.finder(core.registry.find)({IN_SLOT: services[0]}) if len(services) == 1 else ()
        if len(found) == 1:
            return found[0], None
        there = ", ".join(slot.name for slot in self.slots)
        known = f"there are: {there}" if there else "declare one under slots: in resurgam.yaml"
        return "", no(Reason.NO_TARGET, f"There is no slot {units.plain(word, 100)!r}; {known}.")

    def adapters(self) -> frozenset[str]:
        """Services whose model server can be asked to put a model away, though the container runs on."""
        found = [one for slot in self.slots for one in slot.models if one.service and not self.cannot("unload", one)]
        return frozenset(one.service for one in found)

    def unloading(self, service: str) -> Json:
        """What a plan must know that lets a service's model server put its model away: {"model": …}; of several the one
        that is loaded."""
        found = [(slot, one) for slot in self.slots for one in slot.models if one.service == service]
        able = [(slot, one) for slot, one in found if not self.cannot("unload", one)]
        looked = {one.name: self._looks[slot.name].get(one.name) for slot, one in able}
        there = [one for _slot, one in able if (seen := looked[one.name]) is not None and seen.look.state == LOADED]
        model = next(iter([*there, *(one for _slot, one in able)]), None)
        return {"model": dump(model)} if model is not None else {}

    def away(self, service: str) -> bool:
        """Whether every model that a service carries is known to be out of the cards' memory: asleep, or unloaded."""
        models = [(slot, one) for slot in self.slots for one in slot.models if one.service == service]
        looked = [self._looks[slot.name].get(one.name) for slot, one in models if one.inside or one.sleep]
        return bool(looked) and all(one is not None and one.look.state in (ASLEEP, UNLOADED) for one in looked)

    # ------------------------------------------------------------ inside

    def _states(self, core: "Decider") -> tuple[SlotState, ...]:
        found = self.world(core)
        return tuple(found[slot.id].state for slot in self.slots)

    def _no_go(self, slot: Slot, model: SlotModel, services: Mapping[str, Service]) -> str:
        return self.nogos.why(slot.name, model.name, image_of(services.get(model.service)))

    def _adopt(self, core: "Decider", slot: Slot) -> None:
        """Who holds it where nobody was kept, or a person put another one in its place with their own hands."""
        kept, seen = self.kept(slot.name), self.sight(core, slot)
        if seen.plan is not None or settles(kept, core.now):
            return
        model = slot.model(kept.holder)
        if model is not None:
            service = seen.services.get(model.service)
            box = service.container if service is not None else None
            gone = service is not None and service.wanted.state == "stopped" and (box is None or not box.living)
            if not gone:
                return
        found = holder_seen(seen)
        if found and found != kept.holder:
            self.keep_record(core, slot.name, kept.adopted(found, core.now))
            text = f"{found} holds {slot.name}: it was found there."
            core.row("model.adopted", slot.id, {"slot": slot.name, "model": found, "text": text}, False)

    def _changed(self, core: "Decider") -> None:
        self._rev += 1
        core.stale_snapshot = True


def image_of(service: Service | None) -> str:
    """The image id of the container that carries a service; '' for none."""
    box: Container | None = service.container if service is not None else None
    return box.image_id if box is not None else ""


def _cannot(verb: str, model: SlotModel) -> str:
    """Until the servers themselves are asked (daemon.py): what is inside a server, or sleeps, can be put away."""
    able = model.inside or (verb in ("sleep", "wake") and bool(model.sleep))
    return "" if able else f"nobody knows how to {verb} {model.name} while its container runs"


def _looked(before: Looked | None, look: ServerLook, at: float, mono: float) -> Looked:
    same = before is not None and before.look.state == look.state
    worked = bool(look.in_flight) or (before is not None and 0 <= before.look.used < look.used)
    used_at = at if worked else before.used_at if before is not None else 0.0
    return Looked(look, at, mono, before.since if same and before is not None else at, used_at)
