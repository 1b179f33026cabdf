"""What must hold in every simulated world (names as in docs/safety.md). Each finding is one sentence.

`Watcher` looks at every engine write as it happens; `at_rest` looks once everything has come to rest.
"""

import re
from dataclasses import dataclass, field

from supervisor.facts import SLOT, Approval, Json, Plan
from supervisor.journal.codec import load
from supervisor.lab.house import SimWorld
from supervisor.lab.place import cut_off
from supervisor.services import OP_LABEL, is_temp
from tests.sim.told import delivered

TEMP = re.compile(r"^(?P<name>.+)\.resurgam-(?P<role>new|parked|spare|failed)-(?P<op>[0-9a-f]+)$")
HOUR, DAY = 3600.0, 86400.0
SLACK = 60.0
"""seconds: the budget counts from a plan's admission, here its first write is seen, which may wait for a stop"""
DISRUPTIVE = ("restart", "phoenix", "start")
ENDS = ("action.verified", "action.rolled_back", "action.degraded", "action.failed", "action.ended_early")
OPERATIONS = {
    "protect": ("tag",),
    "create": ("create", "put_archive", "remove"),
    "stop": ("stop",),
    "hold": ("set_policy",),
    "keep_down": ("set_policy",),
    "policy": ("set_policy",),
    "park": ("rename",),
    "adopt": ("rename",),
    "start": ("start",),
    "spare": ("create", "put_archive", "remove"),
    "clear": ("remove",),
    "retag": ("tag",),
    "back_stop": ("stop", "set_policy"),
    "back_aside": ("set_policy", "rename"),
    "back_name": ("rename",),
    "back_policy": ("set_policy",),
    "back_start": ("start",),
    "back_clear": ("remove",),
}
"""what each step of a plan may do; nothing else, and nothing by a step that was not begun (`create` is undone by a
`remove` that needs no step: what it made was never started)"""

OF_SLOTS = {
    "dry_run": ("create", "put_archive", "start", "stop", "remove"),
    "create": ("create", "put_archive", "remove"),
    "stop": ("stop", "set_policy"),
    "start": ("set_policy", "start", "rename"),
    "move": ("rename",),
    "stop_old": ("stop", "set_policy", "rename"),
    "tidy": ("set_policy", "rename"),
    "back_stop": ("stop", "set_policy"),
    "back_start": ("set_policy", "start", "rename"),
}
"""the same of a slot's plan: it works on containers that stay, and only what it made for a dry run goes again"""

FOREIGN = ("com.docker.swarm.", "io.kubernetes.")
"""how labels of other orchestrators begin"""
TOLD = (
    "action.degraded",
    "action.failed",
    "action.rolled_back",
    "action.refused",
    "action.approval",
    "container.stopped",
    "container.died",
)


def base_name(name: str) -> str:
    """The canonical name behind a temporary one."""
    match = TEMP.match(name)
    return match["name"] if match else name


@dataclass
class Watcher:
    """Sees every write of ours, before and after it has its effect."""

    world: SimWorld
    found: list[str] = field(default_factory=list)
    was_healthy: set[str] = field(default_factory=set)
    """container ids that were ever well"""
    at_work: dict[int, tuple[Plan, float]] = field(default_factory=dict)
    """plans that wrote something that is not to be undone, and when the first time was (monotonic)"""

    def __post_init__(self) -> None:
        self.world.watching.append(self.on_write)

    def say(self, invariant: str, text: str) -> None:
        line = f"{invariant}: {text} (at {self.world.clock.mono():.3f} s, point {self.world.points})"
        if len(self.found) < 20:
            self.found.append(line)

    def on_write(self, operation: str, key: str, when: str) -> None:
        if when == "after":
            self.one_copy()
            return
        for box in self.world.engine.containers():
            if box.running and box.health in ("none", "healthy"):
                self.was_healthy.add(box.id)
        self.named_first(operation, key)
        self.hands_off(operation, key)
        if operation == "remove":
            self.proof_before_delete(key)
        if operation == "start":
            self.data_is_handed_back(key)
            self.there_is_room(key)

    def one_copy(self) -> None:
        """I1: never two running copies of one service."""
        running: dict[str, list[str]] = {}
        for box in self.world.engine.containers():
            if box.status in ("running", "restarting", "paused"):
                running.setdefault(base_name(box.name), []).append(box.name)
        for name, boxes in running.items():
            if len(boxes) > 1:
                self.say("I1 one copy", f"{name} runs as {', '.join(boxes)}")

    def plans(self) -> list[Plan]:
        return [load(Plan, value) for value in self.world.disk.space("plan").values()]

    def named_first(self, operation: str, key: str) -> None:
        """I9: every write is named by an open plan whose step was durable before it."""
        box = self.world.engine.world.find(key)
        name = box.name if box else key
        for plan in self.plans():
            begun = [step for step in plan.steps if step.name in plan.begun]
            table = OF_SLOTS if plan.service.startswith(SLOT) else OPERATIONS
            able = [step for step in begun if operation in table.get(step.name, ())]
            touched = {one for step in able for one in step.writes} | set(plan.data().get("older", {}).values())
            parts = {part["container_id"] for part in plan.found.get("parts", {}).values()}
            mine = key in (plan.container_id, str(plan.data().get("new_id", "")), *parts)
            # one spare and one failed container are enough: those of earlier plans go
            older = operation == "remove" and is_temp(name) and base_name(name) == plan.name
            if able and (name in touched or mine or older):
                self._permitted(plan, operation)
                return
        self.say("I9 journal before effect", f"{operation} {name} is named by no step that was begun")

    def _permitted(self, plan: Plan, operation: str) -> None:
        """I5: while everything (or its service) is paused, no plan begins its irreversible part."""
        if plan.phase == "before" or plan.id in self.at_work:
            return
        self.at_work[plan.id] = plan, self.world.clock.mono()
        # the permission may be a moment older than the pause: it was durable before the pause was
        pauses = [key for key in ("*", *plan.services) if key in self.world.disk.space("pause")]
        if pauses and self._begun_since_the_pause(plan, pauses[0]):
            self.say("I5 hands off", f"{operation} by plan {plan.id}, which began while {pauses[0]} was paused")

    def _begun_since_the_pause(self, plan: Plan, key: str) -> bool:
        rows = self.world.disk.rows(kinds=("daemon.paused", "action.begin"), limit=1_000_000)
        subject = "daemon" if key == "*" else key
        paused = max((row.seq for row in rows if row.kind == "daemon.paused" and row.subject == subject), default=0)
        inside = [row.seq for row in rows if row.body.get("plan") == plan.id and row.body.get("phase") == "inside"]
        return bool(inside) and inside[0] > paused

    def over_budget(self, per_service: int = 3, per_host: int = 10) -> list[str]:
        """I4 and I13: disruptive plans of rules in any window of the clock that does not jump."""
        found = []
        spent = [(at, plan) for plan, at in self.at_work.values() if plan.verb in DISRUPTIVE and "uid:" not in plan.by]
        for at, plan in spent:
            hour = [one for when, one in spent if 0 <= when - at < HOUR - SLACK and one.service == plan.service]
            day = once({one.id: one.rollout for when, one in spent if 0 <= when - at < DAY - SLACK})
            if len(hour) > per_service:
                found.append(f"I4 budget: {plan.service} had {len(hour)} disruptive plans within an hour")
            if len(day) > per_host:
                found.append(f"I4 budget: {len(day)} disruptive plans within a day")
        return found[:3]

    def hands_off(self, operation: str, key: str) -> None:
        """I5: no write names a container that did not opt in."""
        if operation in ("tag", "untag"):
            return
        # what is created is for whoever has the name without our ending
        box = self.world.engine.world.find(base_name(key) if operation == "create" else key)
        if box is None:
            return
        labels = self._labels(box.id)
        if labels.get("resurgam.enable") != "true" and OP_LABEL not in labels:
            self.say("I5 hands off", f"{operation} on {box.name}, which did not opt in")
        if any(label.startswith(FOREIGN) for label in labels):
            self.say("I5 hands off", f"{operation} on {box.name}, which another orchestrator owns")

    def _labels(self, ident: str) -> dict[str, str]:
        return next((dict(box.labels) for box in self.world.engine.containers() if box.id == ident), {})

    def proof_before_delete(self, key: str) -> None:
        """I3: a container that was ever well is removed only after the commit that replaced it is durable, and once a
        spare holds what it was; a spare or a failed one only where a better one stays."""
        box = self.world.engine.world.find(key)
        if box is None:
            return
        match = TEMP.match(box.name)
        role = match["role"] if match else ""
        others = [one.name for one in self.world.engine.containers() if one.id != box.id]
        family = [name for name in others if base_name(name) == base_name(box.name)]
        if role == "spare" and not any(".resurgam-spare-" in name for name in family):
            self.say("I3 no delete before proof", f"{box.name} was the only spare")
        if box.id not in self.was_healthy:
            return
        if not family:
            self.say("I3 no delete before proof", f"{box.name} was well once and is the last of its service")
        ours = [plan for plan in self.plans() if plan.container_id == box.id]
        if role == "parked" and not any(".resurgam-spare-" in name for name in family):
            self.say("I3 no delete before proof", f"{box.name} is removed before there is a spare")
        # what an earlier plan left parked goes once a later one has proved what serves now
        ours += [plan for plan in self.plans() if box.name in plan.data().get("older", {})]
        if any("commit" in plan.begun for plan in ours) or role in ("spare", "failed"):
            return
        self.say("I3 no delete before proof", f"{box.name} was well once and is removed without a commit")

    def data_is_handed_back(self, key: str) -> None:
        """A service that keeps state: no older container is started on data that a newer image ran on, and no rule
        takes it to another image, without a person's word."""
        engine = self.world.engine.world
        box = engine.find(key)
        if box is None:
            return
        newer = [
            one.name
            for one in engine.containers.values()
            if base_name(one.name) == base_name(box.name) and one.image.id != box.image.id
            if one.created > box.created and one.started > box.started
        ]
        for plan in self.plans():
            data = plan.data()
            mine = box.id in (plan.container_id, data.get("new_id")) and plan.needs.stateful
            if not mine or plan.approved or self._said_yes(plan):
                continue
            if newer and box.id == plan.container_id:
                self.say("stateful", f"{box.name} is started on data that {newer[0]} wrote, without a word")
            by_itself = "uid:" not in plan.by and not plan.rollout
            if box.id == data.get("new_id") and by_itself and data.get("old_image") != data.get("new_image"):
                self.say("stateful", f"{box.name} is taken to another image by {plan.by}, without a word")

    def there_is_room(self, key: str) -> None:
        """I10: nothing new is started while there is no room for it."""
        box, wanting = self.world.engine.world.find(key), self.world.room.wanting
        if box is not None and wanting and any(box.id == plan.data().get("new_id") for plan in self.plans()):
            self.say("I10 memory budget", f"{box.name} is started although {wanting}")

    def _said_yes(self, plan: Plan) -> bool:
        return any(row.body.get("plan") == plan.id for row in self.world.disk.rows(kinds=("action.approved",)))


def once(plans: dict[int, int]) -> set[int]:
    """Plans (id -> rollout) as the host's budget counts them: a rollout is one deed."""
    return {-rollout if rollout else plan for plan, rollout in plans.items()}


def budget(world: SimWorld, per_service: int = 3, per_host: int = 10) -> list[str]:
    """I4: disruptive plans in any window, counted from the journal; those that ended untouched cost nothing."""
    begun = world.disk.rows(kinds=("action.begin",), limit=1_000_000)
    touched = {row.body["plan"] for row in begun if row.body["phase"] == "inside"}
    rows = [
        row
        for row in world.disk.rows(kinds=("action.planned",), limit=100_000)
        if row.body["verb"] in DISRUPTIVE and row.body["plan"] in touched and not row.body["by"].startswith("uid:")
    ]
    found = []
    for row in rows:
        hour = [other for other in rows if 0 <= other.at - row.at < HOUR and other.subject == row.subject]
        day = once({o.body["plan"]: o.body.get("rollout", 0) for o in rows if 0 <= o.at - row.at < DAY})
        if len(hour) > per_service:
            found.append(f"I4 budget: {row.subject} had {len(hour)} disruptive plans within an hour")
        if len(day) > per_host:
            found.append(f"I4 budget: {len(day)} disruptive plans within a day")
    return found[:3]


def at_rest(world: SimWorld, healthy_before: dict[str, str], since: int = 0) -> list[str]:
    """I2, I6, I7, I8, I11: everything has come to rest, faults have stopped. `healthy_before`: name -> container id,
    as it was when row `since` was the last."""
    found = []
    asked = waiting(world)
    held = {plan.service for plan in asked.values()}  # who queues for the same service waits for the same word
    open_plans = [key for key, one in sorted(world.disk.space("plan").items()) if load(Plan, one).service not in held]
    if open_plans:
        found.append(f"I11 liveness: plans {', '.join(open_plans)} never ended")
    rows = world.disk.rows(limit=1_000_000)
    kept = {name for row in rows if row.kind.startswith("action.") for name in row.body.get("left", ())}
    kept |= {name for plan in asked.values() for step in plan.steps for name in step.writes}
    boxes = {box.name: box for box in world.engine.containers()}
    left = [name for name in boxes if TEMP.match(name) and name not in kept]
    found += [f"I6 clean exit: {name} is left over and no plan says it is kept" for name in left]
    for name, ident in healthy_before.items():
        box = boxes.get(name)
        well = box is not None and box.running and box.health in ("none", "healthy")
        word = name.removesuffix("-1").split("-")[-1]
        told = [row for row in rows if row.seq > since and row.kind in TOLD and row.subject.endswith(word)]
        exists = any(other.id == ident for other in boxes.values())
        if not well and not (told and (exists or box is not None)):
            found.append(
                f"I2 never worse: {name} was healthy and is {box.status if box else 'gone'}, and nobody was told"
            )
    found += [*believed(world), *delivered(world), *in_order(world), *joined(world)]
    return found


def waiting(world: SimWorld) -> dict[int, Plan]:
    """Open plans that wait for a person's word: a person may sleep."""
    asked = [load(Approval, value) for key, value in world.disk.space("approval").items() if key != "#"]
    plans = {plan.id: plan for plan in (load(Plan, value) for value in world.disk.space("plan").values())}
    return {one.plan: plans[one.plan] for one in asked if one.plan in plans and not one.answer}


def in_order(world: SimWorld) -> list[str]:
    """I11 and more, of rollouts: each ends, once; its plans go one after the other, and none after one that failed
    where they build on each other. And every question that waits for a word is shown."""
    asked = waiting(world)
    still = {plan.rollout for plan in asked.values()}
    found = [f"I11 liveness: rollout {key} never ended" for key in world.disk.space("rollout") if int(key) not in still]
    told: dict[int, list[Json]] = {}
    last: dict[int, tuple[int, str]] = {}
    plans: dict[int, int] = {}
    for row in world.disk.rows(limit=1_000_000):
        body = row.body
        if row.kind == "action.rollout":
            told.setdefault(body["rollout"], []).append(body)
        elif row.kind == "action.planned" and body.get("rollout"):
            number = body["rollout"]
            before, end = last.get(number, (0, "action.verified"))
            first = told[number][0]
            if not end:
                found.append(f"rollout {number}: plan {body['plan']} was begun before plan {before} had ended")
            builds = first["kind"] == "project" and first["verb"] != "stop"
            if builds and end in ("action.failed", "action.rolled_back", "action.degraded"):
                found.append(f"rollout {number}: plan {body['plan']} was begun after plan {before} failed")
            last[number], plans[body["plan"]] = (body["plan"], ""), number
        elif row.kind in ENDS and body.get("plan") in plans:
            last[plans[body["plan"]]] = (body["plan"], row.kind)
    ends = {number: [one["state"] for one in bodies if one["state"] != "planned"] for number, bodies in told.items()}
    found += [f"I11 liveness: rollout {key} ended {len(all_)} times" for key, all_ in ends.items() if len(all_) > 1]
    life = world.life
    if life is not None:
        shown = {one.id for one in life.core.snapshot.approvals}
        kept = [load(Approval, value) for key, value in world.disk.space("approval").items() if key != "#"]
        untold = [one.id for one in kept if not one.answer and one.id not in shown]
        found += [f"no silence: {ident} waits for a word and is not shown" for ident in untold]
    return found


def joined(world: SimWorld) -> list[str]:
    """I2 for those that share a network: nobody who opted in runs on in the network of a container that is gone,
    unless somebody was told."""
    life, engine = world.life, world.engine.world
    if life is None or world.engine.away:
        return []
    firing = {alert.labels.get("name") for alert in life.core.snapshot.alerts}
    firing |= {incident.subject for incident in life.core.snapshot.incidents}
    found = []
    for service in life.core.snapshot.services:
        box = engine.find(service.container.id) if service.container is not None else None
        if box is None or box.status != "running" or not service.owned.ok or not cut_off(engine.find, box):
            continue
        # before the other one runs again, nothing can be done for this one
        parents = [other for other in life.core.snapshot.services if other.id in service.parents]
        waits = parents and not any(other.container is not None and other.container.running for other in parents)
        if not waits and not firing & {box.name, service.id}:
            found.append(f"I2 never worse: {box.name} is cut off from the network it shares, and nobody is told")
    return found


def believed(world: SimWorld) -> list[str]:
    """I6 and "lose no state": no lock is held by nobody, and what is shown of every service is how its container is."""
    life = world.life
    if life is None or world.engine.away:
        return []
    admission = life.core.decider.admission
    asked = waiting(world)
    locked = [(name, plan) for name, plan in admission.locked() if plan not in asked or name not in asked[plan].locks]
    found = [f"I6 clean exit: {name} is still locked by plan {plan}" for name, plan in locked]
    shown = {service.container.id: service for service in life.core.snapshot.services if service.container is not None}
    for box in world.engine.containers():
        service = shown.get(box.id)
        if service is None or service.container is None:
            continue
        seen = service.container
        # a container that dies and is started again and again is between two states at any moment
        if service.streak == 0 and (seen.name, seen.status, seen.health) != (box.name, box.status, box.health):
            found.append(f"no state lost: {box.name} is {box.status}/{box.health}, shown {seen.status}/{seen.health}")
    missing = [one.id for one in shown.values() if all(box.id != one.container.id for box in world.engine.containers())]  # type: ignore[union-attr]
    return found + [f"no state lost: {ident} is shown with a container that is gone" for ident in missing]
