"""Keeps the book's memory true: runs whose alert went quiet, expressions that must come true, what can be forgotten.

In: the memory and the World of this turn. Out: changed memory, and when to look again. Nothing is decided here about
what to do; that is `deciding`.
"""

from collections.abc import Sequence
from dataclasses import replace

from supervisor.facts import Alert, Intent
from supervisor.incidents import brake, ladder
from supervisor.incidents.deciding import POLL
from supervisor.incidents.ladder import ENDED, OPEN, VERIFYING, Run
from supervisor.incidents.memory import Memory, Said
from supervisor.incidents.playbooks import Playbook, Verify
from supervisor.incidents.world import SETTLE, World
from supervisor.verdicts import Reason

Stand = tuple[str, ...]
VERIFY_WITHIN = 600.0
"""seconds an expression has to come true where the playbook does not say"""


class Upkeep:
    """Upkeep of one book's memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._stuck: dict[str, Stand] = {}
        """refused after they were decided -> how their service stood then: nothing is tried until that changes"""

    def quieten(self, world: World) -> None:
        """Note since when the alerts behind runs and refusals do not fire any more."""
        firing = {alert.fingerprint: alert.fired_at for alert in world.alerts if alert.state == "firing"}
        for run in list(self._memory.runs.values()):
            if not run.quiet and firing.get(run.alert) != run.fired_at:
                self._memory.keep_run(replace(run, quiet=world.now))
        for place, said in list(self._memory.said.items()):
            if firing.get(said.alert) != said.fired_at:
                self._memory.say(place, None)

    def verify(self, playbooks: Sequence[Playbook], world: World) -> float | None:
        """Runs that lost their plan, and runs whose expression must come true; returns when to look again."""
        plans = {(plan.by, plan.key) for plan in world.plans}
        again: list[float] = []
        for run in sorted(self._memory.runs.values(), key=lambda one: one.place):
            if run.state == OPEN and run.at < world.now and (run.by, run.key) not in plans:
                self.give_back(run, Reason.ENDED_EARLY, world)
            if run.state == VERIFYING:
                later = self._verify_one(run, verify_of(run, playbooks), world)
                if later is not None:
                    again.append(later)
        return min(again, default=None)

    def _verify_one(self, run: Run, verify: Verify | None, world: World) -> float | None:
        """Ask one run's expression; returns when to ask again, None once it is settled."""
        if verify is None or verify.expr is None:  # its playbook was changed meanwhile
            self._memory.keep_run(replace(run, state=ENDED, ok=True, labels={}))
            return None
        alert = Alert(run.alert, run.labels.get("alertname", ""), "firing", run.labels, {}, 0.0, run.fired_at)
        holds = (run.holds or world.now) if world.holds(verify.expr, alert) else 0.0
        deadline = run.ended + (verify.within or VERIFY_WITHIN)
        if holds and world.now - holds >= verify.hold:
            self._memory.keep_run(replace(run, state=ENDED, ok=True, holds=holds, labels={}))
            return None
        if world.now >= deadline:
            failed = replace(run, state=ENDED, ok=False, reason=Reason.FAILED.value, tries=0, labels={})
            self._memory.keep_run(failed)
            return None
        if holds != run.holds:
            self._memory.keep_run(replace(run, holds=holds))
        return min(world.now + POLL, deadline, holds + verify.hold if holds else deadline)

    def forget(self, playbooks: Sequence[Playbook], world: World) -> None:
        """Drop what nothing depends on any more."""
        for run in list(self._memory.runs.values()):
            book = _playbook(run.by, playbooks)
            window = book.budget.window if book is not None and book.budget is not None else 0.0
            keep = max(book.reset, book.cooldown, window) if book is not None else 3600.0
            if ladder.forgettable(run, keep, world.now):
                self._memory.drop_run(run)
        limit = world.settings.brake
        brakes = brake.standing(self._memory.maneuvers, limit)
        if not brakes.on and all(world.now - one.at > limit.window for one in self._memory.maneuvers):
            self._memory.keep_maneuvers(())
        for service, end in list(self._memory.ends.items()):
            if service not in self._memory.incidents and world.now >= end.at + SETTLE:
                self._memory.keep_end(service, None)
        for place in [place for place in self._stuck if place not in self._memory.said]:
            del self._stuck[place]

    def give_back(self, run: Run, reason: Reason, world: World) -> None:
        """A run that came to nothing: as if it had never been, until its service changes."""
        self._memory.drop_run(run)
        self._stuck[run.place] = stand_of(run.target, world)
        self._memory.say(run.place, Said(reason.value, run.alert, run.fired_at))

    def stuck(self, intent: Intent, world: World) -> str:
        """The reason for which it was refused when it was built, if nothing about its service has changed since."""
        place = f"{intent.by}|{intent.key}"
        if place not in self._stuck or self._stuck[place] != stand_of(intent.target, world):
            return ""
        said = self._memory.said.get(place)
        return said.reason if said is not None else Reason.ENDED_EARLY.value


def verify_of(run: Run, playbooks: Sequence[Playbook]) -> Verify | None:
    """What the run's rung wants proved beyond its plan; None if nothing (any more)."""
    book = _playbook(run.by, playbooks)
    if book is None or run.rung >= len(book.steps) or book.steps[run.rung].verify.expr is None:
        return None
    return book.steps[run.rung].verify


def stand_of(service_id: str, world: World) -> Stand:
    """What of a service decides whether a plan for it can be built."""
    service = world.services.get(service_id)
    if service is None:
        return ()
    found = service.container
    parts = (found.id, found.image_id, found.ref_image_id, found.status) if found is not None else ()
    return (*parts, service.proved_image, *service.quarantined)


def _playbook(by: str, playbooks: Sequence[Playbook]) -> Playbook | None:
    name = by.removeprefix("playbook:")
    return next((one for one in playbooks if by.startswith("playbook:") and one.name == name), None)
