"""What must hold of everything we write to the control groups of containers, in every simulated story.

`MemoryWatcher` sees each write as it happens: it is named by an open plan whose step was durable before (I9), aimed at
what opted in (I5), and no rule writes to what keeps to its plan. `held` looks once everything has come to rest: nothing
stands frozen or slowed down that is not known to be, nothing does so beyond its time.
"""

from dataclasses import dataclass, field

from supervisor.facts import Hold, Plan
from supervisor.incidents import guard
from supervisor.journal.codec import load
from supervisor.lab.engine import SimContainer
from supervisor.lab.house import SimWorld
from supervisor.lab.kernel.group import SimGroup
from supervisor.services import OP_LABEL
from supervisor.verbs import GENTLE

FILES = {
    "freeze": ("cgroup.freeze", "freezer.state"),
    "thaw": ("cgroup.freeze", "freezer.state"),
    "fuse": ("memory.high",),
    "unfuse": ("memory.high",),
    "reclaim": ("memory.reclaim",),
    "raise-limit": ("memory.max", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
}
"""what each step may write to"""
THAWS = ("0", "THAWED")
SETTLE = 5.0
"""seconds beyond its end in which a hold is let go, while a daemon lives"""


@dataclass
class MemoryWatcher:
    """Sees every write of ours to a control group."""

    world: SimWorld
    found: list[str] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)
    """(file, text) of those that had their effect"""

    def __post_init__(self) -> None:
        self.world.groups.append(self.on_write)

    def on_write(self, path: str, text: str, when: str) -> None:
        name = path.rpartition("/")[2]
        if when == "after":
            self.writes.append((name, text))
            return
        groups = [one for one in self.world.kernel.machine.groups.values() if one.container_id]
        group = next((one for one in groups if f"{one.path}/" in path), None)
        box = self.world.engine.world.find(group.container_id) if group is not None else None
        if box is None or group is None:
            self._say("I5 hands off", f"{name} of {path}, which is no container's")
            return
        self._owned(box, name)
        self._named(box, name, text)
        self._spared(box, group, name, text)
        limit = group.limit
        if name in FILES["raise-limit"] and not float(text) >= min(limit, float("1e300")):
            self._say("limits", f"{name} of {box.name} is lowered to {text}")

    def _owned(self, box: SimContainer, name: str) -> None:
        if box.labels.get("resurgam.enable") != "true" and OP_LABEL not in box.labels:
            self._say("I5 hands off", f"{name} of {box.name}, which did not opt in")

    def _named(self, box: SimContainer, name: str, text: str) -> None:
        """I9. A stop of ours lets it go first, by its own step."""
        for plan in self._plans():
            mine = box.id in (plan.container_id, plan.data().get("new_id"))
            if mine and any(name in FILES.get(step, ()) for step in plan.begun):
                return
            inside = any(step.phase == "inside" and step.name in plan.begun for step in plan.steps)
            if mine and inside and text in THAWS:
                return
        self._say("I9 journal before effect", f"{text} to {name} of {box.name} is named by no step that was begun")

    def _spared(self, box: SimContainer, group: SimGroup, name: str, text: str) -> None:
        """No rule does anything for want of memory to what keeps to its plan."""
        if text in THAWS or text == "max":
            return
        used = group.charge - group.total("file") - group.total("slab") + group.total("swap")
        for plan in self._plans():
            by_rule = plan.container_id == box.id and guard.by_rule(plan.by) and plan.verb in GENTLE
            if by_rule and used <= plan.needs.memory:
                self._say("within plan", f"{plan.verb} by {plan.by} on {box.name}, which keeps to its plan")

    def _plans(self) -> list[Plan]:
        return [load(Plan, value) for value in self.world.disk.space("plan").values()]

    def _say(self, invariant: str, text: str) -> None:
        if len(self.found) < 20:
            clock = self.world.clock.mono()
            self.found.append(f"{invariant}: {text} (at {clock:.3f} s, point {self.world.points})")


def held(world: SimWorld) -> list[str]:
    """What is held and should not be, now that everything has come to rest."""
    holds = [load(Hold, value) for value in world.disk.space("hold").values()]
    known = {(hold.kind, hold.container_id) for hold in holds}
    alive = world.life is not None
    found = [
        f"held for ever: the {hold.kind} of {hold.service} was to end {world.clock.wall() - hold.until:.0f} s ago"
        for hold in holds
        if alive and world.clock.wall() > hold.until + SETTLE
    ]
    for box in world.engine.containers():
        group = world.kernel.machine.find(box.id)
        if group is None or not box.running:
            continue
        if group.freezers and ("freeze", box.id) not in known:
            found.append(f"held for ever: {box.name} stands frozen, and nobody knows")
        if group.high < float("inf") and ("fuse", box.id) not in known:
            found.append(f"held for ever: {box.name} is slowed down, and nobody knows")
    return found
