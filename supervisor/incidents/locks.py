"""Who may work at the same time: a plan gets all its locks at once or none.

Plans come from the core, with their lock names in the plan's own row, so a restart has them back before anything else.
Waiting plans queue in the order they came; nobody overtakes one that waits for a lock he wants. Emergencies go to the
front.
"""

from collections.abc import Iterable
from dataclasses import replace

from supervisor import verbs
from supervisor.facts import Needs, Plan
from supervisor.gpu.budget import GpuBudget
from supervisor.verbs import Disturbance
from supervisor.verdicts import Reason, Verdict, no, yes

ENGINE_START = "engine:start"
GPU_TURN = "gpu:turn"
"""the turn at the GPUs of a box: they are let go of and taken one after the other, also by a stop"""
_LENT = (ENGINE_START, GPU_TURN)
_SERVICE, _WORD = "service:", "word:"
_STARTERS = ("restart", "phoenix", "rollback", "start")


def names(service: str, needs: Needs, verb: str, params: dict[str, str], *, gpu: bool = False) -> tuple[str, ...]:
    """The locks a plan of this verb takes: the service, its exclusive words, the turn at the GPUs (`gpu`: its container
    asks for one), and the right to start something. A container chooses its own words: they live in a namespace of
    their own, or one could hold up everybody."""
    found = [f"{_SERVICE}{service}"]
    if (gpu or needs.vram) and verb not in verbs.GENTLE:
        found.append(GPU_TURN)
    if starts(verb, params):
        found += [f"{_WORD}{word}" for word in dict.fromkeys(needs.exclusive)]
        found.append(ENGINE_START)
    return tuple(found)


def starts(verb: str, params: dict[str, str]) -> bool:
    """Whether this call of a verb may leave a container running that did not run before."""
    return verb in _STARTERS or (verb == "scale" and params.get("replicas") != "0")


def words(exclusive: Iterable[str], known: GpuBudget | None) -> tuple[str, ...]:
    """Exclusive words, with the UUID behind each that means a card: who writes `gpu:0` and who writes its UUID share
    one."""
    return known.deck.words(exclusive) if known is not None else tuple(dict.fromkeys(exclusive))


def with_cards(held: Iterable[str], known: GpuBudget | None) -> tuple[str, ...]:
    """The locks of a plan, with the UUID behind each word that means a card."""
    found: dict[str, None] = {}
    for name in held:
        own = words((name.removeprefix(_WORD),), known) if name.startswith(_WORD) else ()
        found.update(dict.fromkeys((name, *(f"{_WORD}{word}" for word in own))))
    return tuple(found)


class Locks:
    """The locks that are held, and the plans that wait for some."""

    def __init__(self) -> None:
        self._holder: dict[str, Plan] = {}
        self._queue: list[Plan] = []

    def restore(self, plans: Iterable[Plan]) -> tuple[int, ...]:
        """Take back the locks of open plans after a restart: those that had begun hold theirs, the others queue by
        id. Returns the ids of those that wait."""
        ordered = sorted(plans, key=lambda plan: (not plan.begun, not plan.rollout, plan.id))
        return tuple(plan.id for plan in ordered if not self.admit(plan))

    def admit(self, plan: Plan) -> Verdict:
        """Give the plan all its locks, or put it into the queue and say what it waits for. Asking again is fine."""
        if plan.begun:
            self._drop(plan.id)
            self._take(plan)
            return yes()
        if any(holder.id == plan.id for holder in self._holder.values()):
            return yes()
        self._drop(plan.id)
        place = self._place(plan)
        blocker = self._blocker(plan, self._queue[:place])
        if blocker is None:
            self._take(plan)
            return yes()
        self._queue.insert(place, plan)
        return no(Reason.LOCKED, self._sentence(*blocker))

    def release(self, plan_id: int) -> tuple[Plan, ...]:
        """Give back everything of a plan that ended (or gave up waiting); returns the plans that hold theirs now."""
        self._drop(plan_id)
        self._holder = {name: plan for name, plan in self._holder.items() if plan.id != plan_id}
        return self._next()

    def lend(self, plan: Plan) -> tuple[Plan, tuple[Plan, ...]]:
        """A plan that waits for a person keeps its service, and gives back what would hold up the whole box, and the
        services that its rollout has not come to. Returns the plan with what it holds now, and the plans that hold
        theirs now; `found` remembers what it lent."""
        ahead = [name for name in plan.locks if name.startswith(_SERVICE) and name != f"{_SERVICE}{plan.service}"]
        lent = [name for name in plan.locks if name in _LENT or name in ahead]
        if not lent:
            return plan, ()
        kept = tuple(name for name in plan.locks if name not in lent)
        plan = replace(plan, locks=kept, found={**plan.found, "lent": lent})
        self._holder = {name: holder for name, holder in self._holder.items() if holder.id != plan.id}
        self._take(plan)
        return plan, self._next()

    def regain(self, plan: Plan) -> tuple[Plan, Verdict]:
        """The word has come: take back what was lent, all or nothing; LOCKED while somebody else works with it."""
        lent = tuple(plan.found.get("lent") or ())
        for name in lent:
            holder = self._holder.get(name)
            if holder is not None and holder.id != plan.id:
                return plan, no(Reason.LOCKED, self._sentence(name, holder, True))
        if lent:
            found = {key: value for key, value in plan.found.items() if key != "lent"}
            plan = replace(plan, locks=(*plan.locks, *lent), found=found)
            self._take(plan)
        return plan, yes()

    def _next(self) -> tuple[Plan, ...]:
        """Let those in the queue have their locks that can; returns them."""
        admitted: list[Plan] = []
        waiting: list[Plan] = []
        for plan in self._queue:
            if self._blocker(plan, waiting) is None:
                self._take(plan)
                admitted.append(plan)
            else:
                waiting.append(plan)
        self._queue = waiting
        return tuple(admitted)

    def waiting(self) -> tuple[tuple[int, str], ...]:
        """(plan id, `waits for …, held by …`) in the order of the queue."""
        found = []
        for place, plan in enumerate(self._queue):
            blocker = self._blocker(plan, self._queue[:place])
            if blocker is not None:
                found.append((plan.id, self._sentence(*blocker)))
        return tuple(found)

    def holders(self) -> tuple[tuple[str, int], ...]:
        """(lock name, plan id) of every lock that is held, by name."""
        return tuple(sorted((name, plan.id) for name, plan in self._holder.items()))

    def _take(self, plan: Plan) -> None:
        for name in plan.locks:
            self._holder[name] = plan

    def _drop(self, plan_id: int) -> None:
        self._queue = [plan for plan in self._queue if plan.id != plan_id]

    def _place(self, plan: Plan) -> int:
        """Where in the queue it belongs: the end, or for an emergency behind the other emergencies."""
        if not _urgent(plan):
            return len(self._queue)
        return len([waiting for waiting in self._queue if _urgent(waiting)])

    def _blocker(self, plan: Plan, ahead: list[Plan]) -> tuple[str, Plan, bool] | None:
        """The first lock it cannot have, by whom, and whether that one holds it (or only waits ahead). The next plan of
        a rollout takes over what the one before it holds: nobody comes in between. One ahead that waits for a person's
        word, with the plan that holds what it wants, keeps nobody waiting."""
        for name in plan.locks:
            holder = self._holder.get(name)
            if holder is not None and holder.id != plan.id and not _yields(name, holder, plan):
                return name, holder, True
        for name in plan.locks:
            for other in ahead:
                if self._waits_for_a_word(other):
                    continue
                if name in other.locks and not self._handed_over(name, plan) and not _reserved(name, other, plan):
                    return name, other, False
        return None

    def _waits_for_a_word(self, plan: Plan) -> bool:
        return any(name in self._holder and self._holder[name].found.get("lent") for name in plan.locks)

    def _handed_over(self, name: str, plan: Plan) -> bool:
        holder = self._holder.get(name)
        return holder is not None and bool(plan.rollout) and holder.rollout == plan.rollout

    @staticmethod
    def _sentence(name: str, other: Plan, held: bool) -> str:
        shown = name.removeprefix(_SERVICE).removeprefix(_WORD)
        how = "held by" if held else "wanted first by"
        return f"waits for {shown}, {how} plan {other.id} ({other.verb} {other.service})"


def _yields(name: str, holder: Plan, plan: Plan) -> bool:
    """Whether the holder of a lock does not stand in this plan's way: it is the one before it in the same rollout, or
    the plan is urgent and the lock only reserved."""
    return (bool(plan.rollout) and holder.rollout == plan.rollout) or _reserved(name, holder, plan)


def _reserved(name: str, other: Plan, plan: Plan) -> bool:
    """Whether the other plan has the lock only for a later one of its rollout: an emergency does not wait for that."""
    later = bool(other.rollout) and name.startswith(_SERVICE) and name != f"{_SERVICE}{other.service}"
    return later and _urgent(plan)


def _urgent(plan: Plan) -> bool:
    return verbs.disturbance(plan.verb, dict(plan.params)) is Disturbance.EMERGENCY


__all__ = ["ENGINE_START", "GPU_TURN", "Locks", "names", "starts", "with_cards", "words"]
