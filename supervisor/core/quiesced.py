"""Services that are stopped until their GPU is well, and what is done to cards and the machine: the core's side.

From: plans of `quiesce` (admission.py), which make a service wanted stopped by `quiesce:<uuid>`, so that a restart of
ours or of the machine forgets nothing; GpuState. To: a rollout that starts them again, one at a time, once their cards
have been well for a while: each is up, its driver asks for nothing, no fault of it is open, and no rule that stopped
them still fires. Whoever was started or stopped by somebody else meanwhile is none of ours any more.

And the plans of gpu-reset and reboot: what they must know, that they are taken up by the next process though no engine
is theirs, and that a reset ends what a card's messages said of it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervisor import units
from supervisor.actions.gpu.plan import build
from supervisor.facts import GpuState, Intent, Json, Plan, Service, Stage, Wanted
from supervisor.gpu.cards import deck_of
from supervisor.incidents import machine, may_run
from supervisor.incidents.words import listed
from supervisor.services import graph
from supervisor.verbs import Verb
from supervisor.verdicts import Reason, Verdict, no

if TYPE_CHECKING:
    from supervisor.core.decider import Decider

WELL_FOR = 60.0
"""seconds a card must be well before anything is started on it again"""
RETRY, LONGEST_RETRY = 300.0, 3600.0
"""seconds before a service is tried again that could not be started; twice as long each time"""
US = "resurgam"


@dataclass(slots=True)
class _Try:
    """How often a service was to be started again, when it may be again (monotonic), and what was said against it."""

    count: int = 0
    again: float = 0.0
    said: str = ""


class Quiesced:
    """The services that wait for their cards. What lasts is in what is wanted of them."""

    def __init__(self) -> None:
        self._taken_up = False
        self._seen: tuple[Service, ...] | None = None
        self._waiting: tuple[tuple[Service, tuple[str, ...]], ...] = ()
        self._well: dict[str, float] = {}
        """UUID -> since when its card is well, monotonic"""
        self._tries: dict[str, _Try] = {}
        self._all: tuple[str, ...] = ()
        """the cards that are there"""

    # ------------------------------------------------------------ time

    def tick(self, core: "Decider") -> None:
        """Start again what may be."""
        if not self._taken_up:
            self._taken_up = True
            core.admission.recover(core, "")
        if self._look(core) and self._able(core):
            self._bring_back(core)

    @staticmethod
    def _able(core: "Decider") -> bool:
        """Whether anything may be started at all."""
        return bool(core.standing.swept) and core.mode == "heal" and not core.standing.stopping

    def due(self, core: "Decider") -> list[float]:
        """The monotonic instants at which `tick` has something to do; where only news can change anything, none."""
        if not self._waiting or not self._able(core):
            return []
        return [at for service, cards in self._waiting if (at := self._when(service, cards)) is not None]

    def _look(self, core: "Decider") -> bool:
        """Whether anybody waits; how the cards are that they wait for."""
        services = core.registry.services()
        if services is not self._seen:
            self._seen = services
            found = [(service, machine.stopped_for(service.wanted.by)) for service in services]
            self._waiting = tuple(
                (one, cards) for one, cards in found if cards is not None and one.wanted.state == "stopped"
            )
            here = {service.id for service, _cards in self._waiting}
            self._tries = {ident: one for ident, one in self._tries.items() if ident in here}
        if not self._waiting:
            self._well.clear()
            return False
        state = core.gpu.state(core)
        well = {card.uuid for card in state.cards if is_well(card.uuid, state)} if state is not None else set()
        self._well = {uuid: self._well.get(uuid, core.mono) for uuid in sorted(well)}
        self._all = tuple(card.uuid for card in state.cards if card.present) if state is not None else ()
        return True

    def _when(self, service: Service, cards: tuple[str, ...]) -> float | None:
        """When it may be started again (monotonic); None while one of its cards is not well."""
        needed = cards or self._all
        if not needed or any(uuid not in self._well for uuid in needed):
            return None
        known = self._tries.get(service.id)
        return max(max(self._well[uuid] for uuid in needed) + WELL_FOR, known.again if known is not None else 0.0)

    def _bring_back(self, core: "Decider") -> None:
        due = [(one, cards) for one, cards in self._waiting if (at := self._when(one, cards)) and at <= core.mono]
        ready = {one.id: cards for one, cards in due if not _held_up(core, one.id, cards)}
        for one, _cards in due:
            if one.id not in ready:
                self._later(core, one.id, 0)
        ordered = graph.order([one for one, _cards in due if one.id in ready]).start
        stages = [Stage(ident, "start") for ident in ordered if self._may(core, ident)]
        if not stages:
            return
        cards = ready[stages[0].service] or self._all
        state = core.gpu.state(core)
        names = listed(tuple(called(uuid, state) for uuid in cards))
        cause = f"{names} has been well for {units.show_duration(WELL_FOR)}."
        core.rollouts.bring_back(core, tuple(stages), f"gpu:{cards[0]}", cause)

    def _may(self, core: "Decider", ident: str) -> bool:
        """Whether it may be started now; why not is told once."""
        known = self._tries.setdefault(ident, _Try())
        intent = Intent("start", ident, {}, "Its GPU is well again.", US)
        verdict = may_run(intent, core.world())
        if not verdict.ok and known.said != verdict.reason.value:
            core.admission.refuse(core, intent, verdict)
        known.said = "" if verdict.ok else verdict.reason.value
        self._later(core, ident, 1)
        return verdict.ok

    def _later(self, core: "Decider", ident: str, tried: int) -> None:
        known = self._tries.setdefault(ident, _Try())
        known.again = core.mono + (min(LONGEST_RETRY, RETRY * 2.0 ** min(known.count, 10)) if tried else WELL_FOR)
        known.count += tried

    # ------------------------------------------------------------ plans

    def want(self, core: "Decider", plan: Plan, service: Service) -> None:
        """A plan stops it until its card is well. What a person wants stopped stays so."""
        wanted = service.wanted
        if wanted.state == "stopped" and machine.stopped_for(wanted.by) is None:
            return
        box, policy = service.container, wanted.policy
        if box is not None and box.restart_policy != "no":
            policy = box.restart_policy
        state = core.gpu.state(core)
        given = deck_of(state.cards).uuid_of(plan.params.get("gpu", "")) if state is not None else ""
        cards = (given,) if given else machine.cards_of(service, core.world())
        by = machine.STOPPED_FOR + ",".join(cards)
        core.registry.want(service.id, Wanted("stopped", by, core.now, plan.cause, policy))

    def begun(self, core: "Decider", plan: Plan, step: str) -> None:
        """A step of a plan was permitted. A card that was reset is looked at: what its messages said of it is over,
        and its driver may be asked again."""
        if plan.verb == machine.RESET and step == "verify" and plan.data().get("done"):
            core.gpu.faults.mended(core, str(plan.found.get("bus_id") or ""), machine.uuid_of(plan.service))


def beneath(core: "Decider", intent: Intent, number: int, op: str) -> Plan:
    """The plan of a reset or a restart."""
    world, uuid = core.world(), machine.uuid_of(intent.target)
    card = machine.card_of(uuid, world)
    found: Json = {"fault": machine.fault(intent, world), "card": machine.shown(intent.target, world), "uuid": uuid}
    found["bus_id"] = card.bus_id if card is not None else ""
    return build(intent, plan_id=number, op=op, now=core.now, found=found)


def aimed(core: "Decider", verb: Verb, word: str) -> tuple[str, Verdict | None] | None:
    """(target, why there is none) where a person means a card or the machine; None where it is about a service."""
    if verb.name == machine.REBOOT and word in ("", "host"):
        return "host", None
    card = word.startswith("gpu:") or word.upper().startswith("GPU-")
    if "gpu" not in verb.targets or ("service" in verb.targets and not card):
        return None
    state = core.gpu.state(core)
    uuid = deck_of(state.cards).uuid_of(word) if state is not None else ""
    if uuid:
        return f"gpu:{uuid}", None
    known = listed(tuple(f"gpu:{one.index}" for one in state.cards)) if state is not None else ""
    text = f"There is no card {units.plain(word, 100)!r}; " + (
        f"there are: {known}." if known else "there is none here."
    )
    return "", no(Reason.NO_TARGET, text)


def called(uuid: str, state: GpuState | None) -> str:
    """`GPU 0`, or its UUID where nobody knows which it is."""
    cards = state.cards if state is not None else ()
    return next((f"GPU {card.index}" for card in cards if card.uuid == uuid), uuid)


def is_well(uuid: str, state: GpuState) -> bool:
    """Whether a card can be worked with: it answers, its driver asks for nothing, and no fault of it is open."""
    asleep = state.trouble == "asleep"  # the kernel lets only a well one sleep, and nobody works on it
    if (state.trouble and not asleep) or state.quiet or state.released:
        return False
    card = next((card for card in state.cards if card.uuid == uuid), None)
    if card is None or not card.present or card.recovery not in ("", "none") or not (card.up or asleep):
        return False
    return not any(
        (one.uuid == uuid or (card.bus_id and one.bus_id == card.bus_id)) and not one.over and not one.drill
        for one in state.episodes
    )


def _held_up(core: "Decider", ident: str, cards: tuple[str, ...]) -> bool:
    """Whether something is at work on it or its card, or a rule that fires wants it stopped."""
    targets = (ident, *(f"gpu:{uuid}" for uuid in cards))
    ahead = (stage.service for one in core.rollouts.open() for stage in one.stages if not stage.outcome)
    if ident in ahead or any(one in targets for plan in core.admission.plans() for one in plan.services):
        return True
    return core.book.asks(machine.QUIESCE, targets, core.world())
