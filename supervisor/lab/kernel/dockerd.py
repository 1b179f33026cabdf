"""A simulated engine whose containers have control groups in a simulated kernel: both obey each other.

From: lab/dockerd.py (containers that begin, end and are paused) and sim.py (kills, freezes). To: the same two.
What stands frozen does not end, answers nothing and fails its health check; version 1's freezer holds even SIGKILL.
Who is told of a kill was tried out with a real engine (`_told`).
"""

import math
from collections.abc import Callable

from supervisor.clock import Clock
from supervisor.lab.boxes import SimContainer
from supervisor.lab.dockerd import SimDockerd
from supervisor.lab.kernel.load import SimLoad
from supervisor.lab.kernel.machine import Death
from supervisor.lab.kernel.sim import SimKernel
from supervisor.lab.kernel.writes import freeze
from supervisor.lab.timers import Timer

_NS = 1e9
_LATE = "Health check exceeded timeout (30s)"


class KernelDockerd(SimDockerd):
    """SimDockerd on a simulated kernel."""

    def __init__(self, clock: Clock, name: str, kernel: SimKernel) -> None:
        super().__init__(clock, name)
        self.kernel = kernel
        self._known: dict[str, int] = {}
        """container id -> the pid with which it was told to the kernel"""
        self._held: dict[str, list[Callable[[], None]]] = {}
        """container id -> ends that wait until it goes on"""
        self._half_dead: set[tuple[str, int]] = set()
        """(container id, life) of which a child was killed: inspect tells of that at its end"""
        self._stale = False
        self._timer: Timer | None = None
        kernel.on_look = self._follow
        kernel.on_due = self._due
        kernel.machine.on_death.append(self._died)
        kernel.machine.on_freeze.append(self._frozen)

    # ------------------------------------------------------------ what the engine does, the kernel follows

    def emit(self, box: SimContainer, kind: str, **extra: str) -> None:
        self._stale = True
        if kind in ("pause", "unpause"):
            which = "v2" if self.kernel.machine.version == 2 else "v1"
            group = self.kernel.machine.find(box.id)
            if group is not None:
                freeze(self.kernel.machine, group, which, kind == "pause", self.clock.mono())
                self.kernel.changed()
        super().emit(box, kind, **extra)
        if kind in ("start", "die"):
            self.kernel.look()

    def restart(self) -> None:
        super().restart()
        self._stale = True
        self.kernel.look()

    def stop(self, key: str, grace: float, done: Callable[[], None]) -> None:
        box = self.get(key)
        life, takes = box.life, box.run.stop_takes
        super().stop(key, grace, done)

        def kill() -> None:
            if box.life == life and box.alive:
                self.emit(box, "kill", signal="9")
                self.end(box, 137, life=life)

        if self._still(box) and takes is not None and takes <= grace:  # it does not hear the signal that it would obey
            self.timers.after(grace, kill)

    def end(self, box: SimContainer, code: int, *, oom: bool = False, life: int | None = None) -> None:
        group = self.kernel.machine.find(box.id)
        now = box.life if life is None else life
        if group is not None and box.alive and now == box.life and group.told():
            held = any("v1" in one.freezers for one in group.above())
            if held or code != 137:  # version 2 lets SIGKILL through
                self._held.setdefault(box.id, []).append(lambda: self.end(box, code, oom=oom, life=now))
                return
        if (box.id, now) in self._half_dead:
            box.oom_killed = True
        super().end(box, code, oom=oom, life=now)

    def well(self, box: SimContainer) -> bool:
        return super().well(box) and not self._still(box)

    def _still(self, box: SimContainer) -> bool:
        group = self.kernel.machine.find(box.id)
        return group is not None and group.told()

    def _follow(self) -> None:
        """Let the kernel know which processes there are."""
        if not self._stale:
            return
        self._stale = False
        living = {box.id: box for _id, box in sorted(self.containers.items()) if box.alive and box.pid}
        for gone in [one for one, pid in self._known.items() if one not in living or living[one].pid != pid]:
            del self._known[gone]
            self._held.pop(gone, None)
            self.kernel.remove(gone)
        for one, box in living.items():
            if one not in self._known:
                self._known[one] = box.pid
                self._begin(box)
            group = self.kernel.machine.find(one)
            if group is not None:
                group.words = words_of(box)

    def _begin(self, box: SimContainer) -> None:
        host = box.host
        limit = float(host.get("Memory") or 0) or math.inf
        both = float(host.get("MemorySwap") or 0)
        memsw = limit * 2 if both == 0 and math.isfinite(limit) else both if both > 0 else math.inf
        parent = "/" + str(host.get("CgroupParent") or "").strip("/")
        group = self.kernel.add(
            box.id,
            box.pid,
            parent=parent if parent != "/" else "",
            limit=limit,
            memsw=memsw,
            score=int(host.get("OomScoreAdj") or 0),
            words=words_of(box),
        )
        group.cpu = box.run.cpu
        if not any(word in self.kernel.loads for word in group.words):
            group.carry(SimLoad(anon=box.run.memory))

    # ------------------------------------------------------------ what the kernel does, the engine follows

    def _due(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.timers.after(seconds, self.kernel.look) if math.isfinite(seconds) else None

    def _died(self, death: Death) -> None:
        box = self.containers.get(death.container_id)
        for one in self._told(death):
            self._half_dead.add((one.id, one.life))
            self.emit(one, "oom")
        if box is not None and box.alive and not death.child:
            box.oom_killed = box.oom_killed or (box.id, box.life) in self._half_dead
            super().end(box, 137)

    def _told(self, death: Death) -> list[SimContainer]:
        """Of which containers the engine hears `oom`, as tried: version 2 counts kills where they happen; version 1
        tells all groups below the one whose limit was met, the innocent ones as well, and nothing where it was the
        machine's own memory."""
        if death.how != "oom":
            return []
        ids = [death.container_id]
        if self.kernel.machine.version != 2:
            met = self.kernel.machine.groups.get(death.limit_of) if death.limit_of else None
            ids = sorted(one.container_id for one in met.below()) if met is not None else []
        return [self.containers[one] for one in ids if one in self.containers and self.containers[one].alive]

    def _frozen(self, container_id: str, frozen: bool) -> None:
        box = self.containers.get(container_id)
        if box is None:
            return
        if not frozen:
            for end in self._held.pop(container_id, []):
                end()
        if box.checked and box.alive:
            life, after = box.life, self._patience(box) if frozen else 1.0
            self.timers.after(after, lambda: self._checked(box, life, frozen))

    def _checked(self, box: SimContainer, life: int, frozen: bool) -> None:
        group = self.kernel.machine.find(box.id)
        if group is None or group.told() != frozen:
            return
        if frozen:
            self._check(box, life, "unhealthy", _LATE, -1)
        elif self.well(box):
            self._check(box, life, "healthy")

    def _patience(self, box: SimContainer) -> float:
        """Seconds of silence after which its health check has failed often enough."""
        check = box.config.get("Healthcheck") or {}
        every, limit = (float(check.get(key) or 30 * _NS) / _NS for key in ("Interval", "Timeout"))
        return (every + limit) * int(check.get("Retries") or 3)


def words_of(box: SimContainer) -> tuple[str, ...]:
    """By which words tests mean a container: id, name, compose service (`oracle` or `box.oracle`), image."""
    labels = box.labels
    project, service = (labels.get(f"com.docker.compose.{key}", "") for key in ("project", "service"))
    compose = (f"{project}.{service}", service) if service else ()
    return (box.id, box.name, *compose, str(box.config.get("Image") or ""), *sorted(box.image.tags))
