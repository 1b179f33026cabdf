"""Bugs planted on purpose: what each does to the real code, and the runs in which the simulation must find it.

Each is one small patch at one place, undone afterwards; the table of docs/safety.md is made from this list. A bug that
nothing finds means that the simulation has gone blind there. Every real bug that was found joins the list.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from supervisor.actions import phoenix, probation, recipe
from supervisor.actions.hand import Hand
from supervisor.actions.probation import Finding
from supervisor.bus.delivery import shedding
from supervisor.bus.delivery.catchup import Sift
from supervisor.bus.delivery.piles import STATES, Piles
from supervisor.bus.delivery.sending import Sending
from supervisor.core import Core, admission
from supervisor.core.admission import Admission
from supervisor.core.alerts import AlertDesk
from supervisor.errors import EngineError
from supervisor.incidents import guard, ladder
from supervisor.rules import RuleEngine
from supervisor.services import Registry, looks, state, trouble
from supervisor.verdicts import yes
from tests.sim import ooms
from tests.sim import planted_bus as bus
from tests.sim import planted_gpu as gpu
from tests.sim import planted_memory as memory
from tests.sim import planted_rising as rising
from tests.sim import planted_slots as slots


@dataclass(frozen=True)
class Planted:
    """One bug. `runs` are tried in order; one of them must find it. See test_planted for what the words mean."""

    name: str
    runs: tuple[str, ...]
    plant: Callable[[], Any]
    says: str = ""
    """a word that must stand in what was found: the invariant it breaks"""

    @property
    def where(self) -> str:
        """Where it is found, for people."""
        words = {"kill": "kill matrix", "fault": "fault matrix", "worlds": "seeded worlds", "story": "story"}
        words |= {"memory": "memory kills", "gpu": "GPU kills", "swap": "swap kills", "slots": "worlds with slots"}
        return ", ".join(dict.fromkeys(words[run.split()[0]] for run in self.runs))


def _kills(story: str, *points: int) -> tuple[str, ...]:
    return tuple(f"kill {story} {point}" for point in points)


def _faults(story: str, kind: str, writes: range) -> tuple[str, ...]:
    return tuple(f"fault {story} {write} {kind}" for write in writes)


def _memory(story: str, *points: int) -> tuple[str, ...]:
    return tuple(f"memory {story} {point}" for point in points)


def _gpu(story: str, *points: int) -> tuple[str, ...]:
    return tuple(f"gpu {story} {point}" for point in points)


def _worlds(*seeds: int) -> tuple[str, ...]:
    return tuple(f"worlds {seed}" for seed in seeds)


# ---------------------------------------------------------------- the patches: the docstring is what people read


def _no_recovery() -> Any:
    """Open plans of an earlier process are not taken up again."""
    return patch.object(Admission, "recover", lambda self, core, engine: None)


def _probation_passes() -> Any:
    """Whatever was started counts as healthy at once."""

    async def watch(hand: Hand, key: str, *_rest: Any, **_named: Any) -> Finding:
        return Finding(True, "it is surely fine", well_at=hand.clock.wall())

    return patch.object(phoenix, "watch", watch)


def _blind_retry() -> Any:
    """A call that was answered too late is simply made again, without a look at what it did."""

    async def make(self: Hand, look: Any, done: Any, act: Any, *, tries: int = 3, patience: float = 5.0) -> Any:
        trouble = EngineError("nothing changed")
        seen = await self.read(look)
        for attempt in range(tries):
            if attempt == 0 and done(seen):
                return seen
            try:
                await act(seen)
                return await self.read(look)
            except EngineError as err:
                trouble = err
                await asyncio.sleep(0.25 * 2**attempt)
        raise trouble

    return patch.object(Hand, "make", make)


def _remove_too_soon() -> Any:
    """The old container is taken away as soon as the new one was started."""
    step = Hand.step

    async def stepped(self: Hand, name: str, *seen: Any) -> None:
        await step(self, name, *seen)
        if name == "probation" and self.plan.verb == "phoenix":
            await self.remove(self.plan.container_id)

    return patch.object(Hand, "step", stepped)


def _budget_in_memory() -> Any:
    """What was spent is counted since the start of the process only."""
    init = Admission.__init__

    def forgetful(self: Admission, clock: Any, kept: Mapping[str, Any]) -> None:
        init(self, clock, {**kept, "spent": {}})

    return patch.object(Admission, "__init__", forgetful)


def _everybody_owned() -> Any:
    """Every container counts as having opted in."""
    return patch.object(state, "ownership", lambda *_given, **_named: yes("It opted in."))


def _marked_before_puback() -> Any:
    """A message counts as delivered when it is handed to the connection, not when the broker has it."""
    send = Sending._send

    async def hasty(self: Sending, broker: Any, row: Any, message: Any) -> None:
        self.mark(row.seq, "done", "")
        await send(self, broker, row, message)

    return patch.object(Sending, "_send", hasty)


def _marked_before_the_digest() -> Any:
    """Rows that a digest tells of are marked before the digest is durable."""
    ask = Piles._ask

    def hasty(self: Piles, pile: Any) -> None:
        self._thread.journal.deliver([(seq, STATES[pile.what], 0, "") for seq in pile.seqs])
        ask(self, pile)

    return patch.object(Piles, "_ask", hasty)


def _critical_shed() -> Any:
    """What is given up when too much waits begins with the critical messages."""
    return patch.object(shedding, "ORDER", ("critical", "warning", "info"))


def _ends_folded() -> Any:
    """After an outage the end of an alert goes into the digest, also where people were told of its beginning."""
    finish = Sift.finish

    def folded(self: Sift) -> Any:
        self._heard = dict.fromkeys(self._heard, False)
        return finish(self)

    return patch.object(Sift, "finish", folded)


def _alerts_forgotten() -> Any:
    """Alerts are not restored at a start: what fires, fires anew."""
    return patch.object(RuleEngine, "restore", lambda self, kept, now, away: ())


def _permit_ignored() -> Any:
    """The runner asks for permission and goes on whatever the answer is."""

    async def steps(self: Hand, names: Sequence[str], *seen: Any) -> None:
        for name in names:
            await self._permit(self.plan.id, name, tuple(each for each in seen if each is not None))
            self.begun.append(name)

    return patch.object(Hand, "steps", steps)


def _composed_spare() -> Any:
    """The spare keeps compose's labels."""
    made = recipe.spare

    def spare(raw: Any, image: Any, *, op: str, names: Any) -> Any:
        recipe = made(raw, image, op=op, names=names)
        recipe.body["Labels"] = {**raw["Config"]["Labels"], **recipe.body["Labels"]}
        return recipe

    return patch.object(recipe, "spare", spare)


def _effects_first() -> Any:
    """A turn releases its effects before it is durable."""
    commit = Core._commit

    async def late(self: Core, batch: Any) -> bool:
        self._release(batch)
        await asyncio.sleep(0.2)
        return await commit(self, batch)

    return patch.object(Core, "_commit", late)


def _not_held_down() -> Any:
    """The old container keeps its restart policy while it is parked, and what is stopped keeps its own."""

    async def set_policy(self: Hand, key: str, policy: str, tries: int = 3) -> Any:
        return await self.inspect(key)

    return patch.object(Hand, "set_policy", set_policy)


def _nothing_learned() -> Any:
    """An image that failed is not quarantined."""
    return patch.object(admission, "learn", lambda *_given: None)


def _compose_up_unseen() -> Any:
    """A container that a person made while no daemon ran does not end `wanted: stopped` (a bug we had)."""
    return patch.object(looks, "_started_by_a_person", lambda *_given: False)


def _lost_untold() -> Any:
    """An alert whose rule is gone after a restart ends without a word (a bug we had)."""
    return patch.object(AlertDesk, "restored", lambda *_given: None)


def _engines_stops_are_wishes() -> Any:
    """What an engine stops on its way out counts as stopped by a person (a bug we had)."""
    return patch.object(Registry, "_engine_ended", lambda *_given: None)


def _jump_refills() -> Any:
    """A clock that jumps forward makes old plans out of new ones (a bug we had)."""
    return patch.object(Admission, "gap", lambda *_given: None)


def _stop_without_wish() -> Any:
    """Our own stop does not say that the service is to stay down."""
    return patch.object(admission, "want", lambda *_given: None)


def _waiting_plan_not_fitted() -> Any:
    """A `stop` that waits for a Phoenix goes to the container there was, not to the one put back (a bug we had)."""
    return patch.object(Admission, "_fit", lambda *_given: None)


def _stop_in_probation_ignored() -> Any:
    """A person's `docker stop` in probation is a death like any other: the image is blamed (a bug we had)."""

    async def ended(_hand: Hand, _key: str, how: str, _life: str, its_fault: bool) -> Finding:
        return Finding(False, how, its_fault)

    return patch.object(probation, "ended", ended)


def _ladder_holds() -> Any:
    """A rung that time cannot help is waited for: a loop without any good image is never stopped (a bug we had)."""
    return patch.object(guard, "LASTING", ())


@contextlib.contextmanager
def _second_loop_unseen() -> Iterator[None]:
    """What we stopped, a person started and loops again loops for ever: its ladder is spent (a bug we had)."""
    with (
        patch.object(ladder, "_stops", lambda _step: False),
        patch.object(trouble, "fresh_start", lambda *_given: None),
    ):
        yield


PLANTED: tuple[Planted, ...] = (
    Planted("no recovery", _kills("healed", *range(40, 100, 12)), _no_recovery, "I11"),
    Planted("probation always passes", _kills("rolled_back", 0), _probation_passes, "comes to rest"),
    Planted("blind retry", _faults("healed", "effect_then_timeout", range(1, 10)), _blind_retry),
    Planted("delete before proof", ("worlds 1", *_kills("rolled_back", 0)), _remove_too_soon, "I3"),
    Planted("budget in memory", ("story budget",), _budget_in_memory, "refilled the budget"),
    Planted("everybody is ours", ("story not owned",), _everybody_owned),
    Planted("delivered before PUBACK", ("story broker",), _marked_before_puback, "I7"),
    Planted("marked before the digest", ("story outage",), _marked_before_the_digest, "no digest"),
    Planted("critical shed", ("story shed",), _critical_shed, "critical ones go singly"),
    Planted("ends folded", ("story outage",), _ends_folded, "left with an alert that is over"),
    Planted("alerts forgotten", _kills("healed", *range(30, 60, 10)), _alerts_forgotten, "I8"),
    Planted("permit ignored", ("story pause",), _permit_ignored, "action.ended_early"),
    Planted("spare with compose's labels", _kills("healed", 0), _composed_spare, "I6"),
    Planted("effect before commit", _kills("healed", 0), _effects_first, "I9"),
    Planted("not held down", _kills("stopped", 0), _not_held_down, "comes to rest"),
    Planted("nothing learned", _kills("healed", 0), _nothing_learned, "comes to rest"),
    Planted("stop without a wish", ("story project stop",), _stop_without_wish),
    Planted("compose up unseen", _kills("healed", *range(14, 30, 3)), _compose_up_unseen, "comes to rest"),
    Planted("alert of a vanished rule untold", ("story rule gone",), _lost_untold, "resolved"),
    Planted("the engine's stops are wishes", ("story engine ends",), _engines_stops_are_wishes, "stopped"),
    Planted("clock jump refills", ("story jump",), _jump_refills, "refilled the budget"),
    Planted("waiting stop lost", ("story waiting stop",), _waiting_plan_not_fitted, "action.failed"),
    Planted("stop in probation ignored", ("story stopped by hand",), _stop_in_probation_ignored, "quarantined"),
    Planted("the ladder holds", ("story loop",), _ladder_holds, "no stop within"),
    Planted("second loop unseen", ("story second loop",), _second_loop_unseen, "no second stop within"),
    Planted("rights unchecked", ("story rights",), rising.rights_unchecked, "more rights"),
    Planted("secrets left behind", ("story secrets",), rising.secrets_left_behind, "left behind"),
    Planted("likeness skipped", ("story likeness",), rising.likeness_skipped, "not like the old one"),
    Planted("backup skipped", ("story backup",), rising.backup_skipped, "without a backup"),
    Planted("room not waited for", ("story room",), rising.room_not_waited_for, "no room"),
    Planted("data handed back", _kills("worded", 0), rising.data_handed_back, "stateful"),
    Planted("rollout goes on", ("story bad stage",), rising.rollout_goes_on),
    Planted("rollout forgotten", ("story rollout and sigterm",), rising.rollout_forgotten, "no end of rollout"),
    Planted("children forgotten", ("story shared network",), rising.children_forgotten),
    Planted("request obeyed twice", ("story locked request",), rising.request_obeyed_twice),
    Planted("brake forgotten", ("story brake",), rising.brake_forgotten, "by the next process"),
    Planted("heavy on suspicion", ("story heavy",), rising.heavy_on_suspicion),
    Planted("loads forgotten", ("story loads",), rising.loads_forgotten),
    Planted("slow is fine", ("story slow",), rising.slow_is_fine, "action.verified"),
    Planted("toolless is sick", ("story toolless",), rising.toolless_is_sick),
    Planted("engine back at once", ("story engine back",), rising.engine_back_at_once, "as a person wants it"),
    Planted("parked for ever", ("story left parked",), rising.parked_for_ever, "compose up"),
    Planted("parked untold", ("story left parked",), rising.parked_untold),
    Planted("policy lost", ("story policy kept",), rising.policy_lost),
    Planted("command obeyed twice", _worlds(57, 50), bus.command_obeyed_twice, "led to"),
    Planted("second word from the asker", _worlds(2, 12), bus.word_from_the_asker, "no second word"),
    Planted("no second word", _worlds(16, 2), bus.no_second_word, "no second word"),
    Planted("arguments from outside obeyed", _worlds(36, 38), bus.outside_obeyed, "its arguments were obeyed"),
    Planted("alert from outside forgotten", _worlds(18, 2), bus.outside_forgotten, "I8"),
    Planted("holds forgotten", _memory("frozen", 14, 16), memory.holds_forgotten, "held for ever"),
    Planted("hold unsaid", _memory("frozen", 0), memory.hold_unsaid, "comes to rest"),
    Planted("stopped as it stands", _memory("frozen and stopped", 0), memory.stopped_as_it_stands),
    Planted("fuse not given back", _memory("fused", 0), memory.above_what_it_was, "slowed down"),
    Planted("swap is free memory", ("story ram before swap",), memory.swap_is_free, "at its end already"),
    Planted("a plan is a cliff", ("story load by plan",), memory.plans_are_cliffs),
    Planted("the biggest is to blame", ("story leaker",), memory.the_biggest_is_to_blame, "the large one was"),
    Planted("kept down for ever", _gpu("reset", 0), gpu.kept_down, "comes to rest"),
    Planted("reset begun anew", ("story killed in a reset",), gpu.begun_anew),
    Planted("our own handle kept", _gpu("reset", 0), gpu.own_handle_kept, "comes to rest"),
    Planted("restart before the word", _gpu("reboot", 0), gpu.deed_before_the_word, "I9"),
    Planted("resets uncounted", ("story resets",), gpu.resets_uncounted),
    Planted("asked on", _worlds(40), gpu.asked_on, "left alone"),
    Planted("profile by its mark", ("story profile killed",), gpu.profile_by_its_mark),
    Planted("image frozen", ("story profile kept",), gpu.image_frozen),
    Planted("ends swallowed by a flood", _worlds(28, 27), bus.ends_swallowed, "left with an alert that is over"),
    Planted("each word a kill", _worlds(9, 14), ooms.each_word_a_kill, "one verdict"),
    Planted("memory not waited for", ("story late memory",), slots.memory_not_waited_for, "I10"),
    Planted("both at once", ("swap good 0",), slots.both_at_once, "I1 one model"),
    Planted("a plain yes is ready", ("swap pivot 0",), slots.plain_yes_is_ready, "was not asked a question"),
    Planted("unknown is idle", ("story unknown in flight",), slots.busy_is_idle),
    Planted("no-go forgotten", ("story too slow to hold it",), slots.no_go_forgotten),
    Planted("canaries unread", ("story senseless",), slots.canaries_unread, "action.verified"),
    Planted("policy kept", ("swap good 0",), slots.policy_kept, "with policy always"),
    Planted("handed back against a rule", ("story held down",), slots.handed_back_against_a_rule),
    Planted("door left shut", ("swap good 95",), slots.door_left_shut, "open gate"),
    Planted("committed unasked", ("story senseless",), slots.committed_unasked, "action.verified"),
    Planted("way back unverified", ("swap pivot 0",), slots.way_back_unverified, "was not asked a question"),
    Planted("busy put away", ("story works",), slots.busy_put_away, "it works on something"),
    Planted("woken beside", ("story woken",), slots.woken_beside),
    Planted("handed back at once", ("story once per window",), slots.handed_back_at_once),
    Planted("stand-in for a person's stop", ("story holder stopped",), slots.stood_in_for_a_person),
    Planted("left to loop", ("story loops asleep",), slots.left_to_loop, "I1 one model"),
    Planted("older than its start", ("slots 80088",), slots.older_than_its_start, "is shown unknown"),
    Planted("probation unmeasured", ("story breaks its word",), slots.probation_unmeasured, "no the way back"),
)


def table() -> str:
    """The table of docs/safety.md."""
    lines = ["| planted bug | what the patched code does | found within |", "|---|---|---|"]
    for bug in PLANTED:
        doc = (bug.plant.__doc__ or "").strip().rstrip(".")
        runs = "1 run" if len(bug.runs) == 1 else f"{len(bug.runs)} runs"
        lines.append(f"| {bug.name} | {doc} | {runs} ({bug.where}) |")
    return "\n".join(lines)
