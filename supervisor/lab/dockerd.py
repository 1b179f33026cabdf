"""The simulated engine's inside: containers, images, networks and events, with Docker's rules and sentences.

From: lab/engine.py (calls, and people's hands) and its own timers. To: the event ring and whoever subscribed.
What was measured on a live engine (20.10) is copied, bad manners included: a failed start leaves a container
`created`, labels can shadow event attributes, the ring keeps 256 events and is lost at a restart of the engine.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping

from supervisor.clock import Clock
from supervisor.engines.docker import shape
from supervisor.errors import Conflict, EngineError, NotFound
from supervisor.facts import EngineEvent, Json
from supervisor.lab.boxes import NO_TOOL, SimContainer, mounts, settle, signal_number
from supervisor.lab.files import FOLDER, Files, image_files
from supervisor.lab.place import BARE, Place, check_create, check_networks, check_start, cut_off, parents_of
from supervisor.lab.shelf import Shelf
from supervisor.lab.timers import Timers

RING = 256
_BACKOFF, _BACKOFF_MAX, _LONG_RUN = 0.1, 60.0, 10.0


class SimDockerd:
    """What `dockerd` does, in memory. Every method acts at once; delays belong to the caller."""

    def __init__(self, clock: Clock, name: str) -> None:
        self.clock, self.name = clock, name
        self.timers = Timers(clock)
        self.containers: dict[str, SimContainer] = {}
        self.shelf = Shelf(self._note, self._users)
        self.networks: set[str] = {"bridge", "host", "none"}
        self.volumes: list[str] = []
        self.ring: deque[EngineEvent] = deque(maxlen=RING)
        self.listeners: list[Callable[[EngineEvent], None]] = []
        self.place = Place()
        self.lives = 1
        self._made = 0
        self._stamp = 0

    # ------------------------------------------------------------ looking

    def find(self, key: str) -> SimContainer | None:
        """A container by id, name, or an id's first digits (12 at least)."""
        bare = key.removeprefix("/")
        if bare in self.containers:
            return self.containers[bare]
        for box in self.containers.values():
            if box.name == bare:
                return box
        if len(bare) >= 12:
            for box in self.containers.values():
                if box.id.startswith(bare):
                    return box
        return None

    def get(self, key: str) -> SimContainer:
        """The same; NotFound if there is none."""
        box = self.find(key)
        if box is None:
            raise NotFound(f"No such container: {key}", 404)
        return box

    # ------------------------------------------------------------ containers

    def create(self, name: str, body: Json) -> str:
        """Make a container from a raw create body."""
        ref = str(body.get("Image") or "")
        image = self.shelf.resolve(ref)
        if image is None:
            raise NotFound(f"No such image: {shape.reference(ref)}", 404)
        self._made += 1
        made = hashlib.sha256(f"{self.name}/{self._made}".encode()).hexdigest()
        self._free_name(name)
        config, host = settle(body, image, made)
        host["Runtime"] = host["Runtime"] or self.place.default_runtime
        for key in ("NetworkMode", "PidMode", "IpcMode"):  # names become ids; a network's parent may still be missing
            parent = self.find(str(host.get(key) or "").partition("container:")[2])
            host |= {key: f"container:{parent.id}"} if parent else {}
        asked = dict((body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {})
        mode = "bridge" if host["NetworkMode"] == "default" else host["NetworkMode"]
        if not mode.startswith("container:"):
            asked = {mode: asked.pop(mode, None) or {}, **asked}
        check_create(self.place, self.find, config, host, asked)
        box = SimContainer(
            made,
            name,
            image,
            config,
            host,
            asked,
            mounts(config, host, self._volume),
            self.clock.wall(),
            Files(image_files(image.files)),
        )
        self.containers[made] = box
        self.emit(box, "create")
        return made

    def connect(self, key: str, network: str, endpoint: Json) -> None:
        """Connect a container that was only created to one more network."""
        box = self.get(key)
        check_networks([*box.networks, network])
        box.networks[network] = endpoint

    def start(self, key: str, *, by_policy: bool = False) -> None:
        """Start a container; fine if it runs."""
        box = self.get(key)
        if box.status == "paused":
            raise Conflict("cannot start a paused container, try unpause instead.", 409)
        if box.active and not by_policy:
            return
        if not by_policy:
            box.restart_count, box.retries, box.backoff = 0, 0, 0.0
        try:
            check_start(self.place, self.find, self.containers.values(), self.networks, box)
        except EngineError as err:
            if err.status != 400:  # as with a missing bind source: the engine refuses it before it tries
                box.error, box.exit_code = str(err), box.exit_code or 128
            if box.status == "restarting":
                box.status = "exited"
            raise
        box.life += 1
        box.status, box.exit_code, box.oom_killed, box.error = "running", 0, False, ""
        box.started, box.began_mono = self.clock.wall(), self.clock.mono()
        box.stopped_by_hand = False
        box.forced = ""
        box.pid = 1000 + self._next()
        box.addresses = {name: self._address(asked) for name, asked in box.networks.items() if name not in BARE}
        box.joined = {word: found.life for word, found in parents_of(self.find, box).items()}
        for mount in box.mounts:
            if box.files.get(mount["Destination"]) is None:
                box.files.put(mount["Destination"], FOLDER)
        box.log.extend(box.run.log)
        del box.log[:-200]
        box.health, box.health_log = ("starting" if box.checked else ""), []
        self.emit(box, "start")
        self._live(box)

    def stop(self, key: str, grace: float, done: Callable[[], None]) -> None:
        """Stop it; `done` is called once it stands still. Ends the engine's own retries."""
        box = self.get(key)
        if not box.active:
            done()
            return
        box.stopped_by_hand = True
        if box.status == "restarting":
            box.life += 1
            box.status = "exited"
            self.emit(box, "stop")
            done()
            return
        if box.status == "paused":
            box.status = "running"
            self.emit(box, "unpause")

        def ended() -> None:
            self.emit(box, "stop")
            done()

        box.on_end.append(ended)
        self.emit(box, "kill", signal=signal_number(box.config.get("StopSignal")))
        life, takes = box.life, box.run.stop_takes
        if takes is not None and takes <= grace:
            self.timers.after(takes, lambda: self.end(box, box.run.stop_code, life=life))
            return

        def kill() -> None:
            if box.life == life and box.alive:
                self.emit(box, "kill", signal="9")
                self.end(box, 137, life=life)

        self.timers.after(grace, kill)

    def kill(self, key: str, signal: str = "9") -> None:
        """`docker kill`: the process gets the signal; only 9 and 15 end it here."""
        box = self.get(key)
        if not box.alive:
            raise Conflict(f"Cannot kill container: {key}: Container {box.id} is not running", 409)
        self.emit(box, "kill", signal=signal)
        if signal in ("9", "15"):
            box.stopped_by_hand = True
            self.end(box, 137 if signal == "9" else box.run.stop_code)

    def pause(self, key: str, paused: bool) -> None:
        """`docker pause` and `unpause`: its clock goes on, it just does nothing."""
        box = self.get(key)
        if box.status != ("running" if paused else "paused"):
            raise Conflict(f"Container {box.id} is not {'running' if paused else 'paused'}", 409)
        box.status = "paused" if paused else "running"
        self.emit(box, "pause" if paused else "unpause")

    def rename(self, key: str, name: str) -> None:
        """Give it a name."""
        box = self.get(key)
        if box.name == name:
            return
        self._free_name(name)
        old, box.name = box.name, name
        self.emit(box, "rename", oldName=f"/{old}")

    def remove(self, key: str, *, force: bool = False) -> None:
        """Remove a container; its volumes stay."""
        box = self.get(key)
        if box.active:
            if not force:
                raise Conflict(
                    f"You cannot remove a running container {box.id}. "
                    "Stop the container before attempting removal or force remove",
                    409,
                )
            box.stopped_by_hand = True
            if box.alive:
                self.emit(box, "kill", signal="9")
                self.end(box, 137)
        if self.containers.pop(box.id, None):
            box.life += 1
            self.emit(box, "destroy")

    def set_policy(self, key: str, policy: str) -> None:
        """Set the restart policy of a container that stands still."""
        box = self.get(key)
        if box.active:
            raise Conflict(f"container {box.name} runs; its restart policy is only changed while it is stopped", 409)
        box.host["RestartPolicy"] = shape.policy_json(policy)

    def end(self, box: SimContainer, code: int, *, oom: bool = False, life: int | None = None) -> None:
        """Its process ends; what the restart policy says happens."""
        if not box.alive or (life is not None and life != box.life):
            return
        box.life += 1
        if oom:
            box.oom_killed = True
            self.emit(box, "oom")
        ran = self.clock.mono() - box.began_mono
        again = self._restarts(box, code, ran)
        box.status = "restarting" if again else "exited"
        box.exit_code, box.finished, box.pid = code, self.clock.wall(), 0
        if box.health:
            box.health = "unhealthy"
        self.emit(box, "die", exitCode=str(code))
        waiting, box.on_end = box.on_end, []
        for done in waiting:
            done()
        for child in tuple(self.containers.values()):
            if child.alive and parents_of(self.find, child).get("pid") is box:
                self.end(child, 137)  # the kernel takes everything in a process namespace along with its first process
        if again:
            life_now = box.life
            self.timers.after(box.backoff, lambda: self._again(box, life_now))
        elif box.host["AutoRemove"] and self.containers.pop(box.id, None):
            self.emit(box, "destroy")

    def set_health(self, box: SimContainer, status: str, output: str = "") -> None:
        """Its health check says so from now on (an event only if that is a change)."""
        box.forced = status
        self._health(box, status, output)

    def well(self, box: SimContainer) -> bool:
        """Whether it would answer a probe now."""
        if box.status != "running" or cut_off(self.find, box):
            return False
        if box.forced:
            return box.forced == "healthy"
        age, run = self.clock.mono() - box.began_mono, box.run
        after = run.healthy_after or 0.0
        return age >= after - 1e-6 and (run.unhealthy_at is None or age < run.unhealthy_at - 1e-6)

    # ------------------------------------------------------------ the engine itself

    def shut_down(self) -> None:
        """It ends in order: every container is stopped, with the events of a stop, but by nobody's hand."""
        for _id, box in sorted(self.containers.items()):
            if box.alive:
                self.emit(box, "kill", signal="15")
                self._halt(box)
                self.emit(box, "die", exitCode=str(box.exit_code))
                self.emit(box, "stop")

    def _halt(self, box: SimContainer) -> None:
        box.life += 1
        box.status, box.exit_code = "exited", box.run.stop_code if box.run.stop_takes is not None else 137
        box.finished, box.pid = self.clock.wall(), 0

    def restart(self) -> None:
        """A new life of the engine: every process of the old one is dead, the ring is lost, policies are obeyed."""
        self.lives += 1
        again: list[SimContainer] = []
        for box in self.containers.values():
            if box.active:
                self._halt(box)
                box.on_end.clear()
            policy = box.host["RestartPolicy"]["Name"]
            wanted = policy == "always" or (policy == "unless-stopped" and not box.stopped_by_hand)
            wanted = wanted or (policy == "on-failure" and box.exit_code != 0 and not box.stopped_by_hand)
            if wanted and box.started:
                again.append(box)
        self.ring.clear()
        for box in again:
            try:
                self.start(box.id)
            except EngineError:
                continue  # the engine logs it and goes on; inspect shows the error

    def emit(self, box: SimContainer, kind: str, **extra: str) -> None:
        """A container event; as with Docker, labels lie over the event's own attributes."""
        named = {"image": str(box.config.get("Image") or ""), "name": box.name}
        self._note("container", box.id, kind, {**extra, **box.labels, **named})

    # ------------------------------------------------------------ inside

    def _note(self, kind_of: str, object_id: str, kind: str, attributes: Mapping[str, str]) -> None:
        wall = round(self.clock.wall() * 1e9)
        self._stamp = self._stamp + 1 if 0 <= self._stamp - wall < 1_000_000 else wall
        event = EngineEvent(
            self._stamp / 1e9, self.clock.mono(), self.name, kind_of, object_id, kind, self._stamp, dict(attributes)
        )
        self.ring.append(event)
        for listener in tuple(self.listeners):
            listener(event)

    def _users(self, image_id: str) -> list[str]:
        return [box.id for box in self.containers.values() if box.image.id == image_id]

    def _live(self, box: SimContainer) -> None:
        run, life, after = box.run, box.life, self.timers.after
        if set(run.needs_env) - box.env():
            after(0.05, lambda: self.end(box, 1, life=life))
        if run.exit_after is not None:
            code = 137 if run.oom else run.exit_code
            after(run.exit_after, lambda: self.end(box, code, oom=run.oom, life=life))
        if run.oom_child_after is not None:
            after(run.oom_child_after, lambda: self.emit(box, "oom") if box.life == life else None)
        if box.checked and run.check_missing:
            said = NO_TOOL.format(run.check_missing)
            after(1.0, lambda: self._check(box, life, "unhealthy", said, -1))
        elif box.checked:
            soon = 1.0 if run.healthy_after is None else run.healthy_after
            after(soon, lambda: self._check(box, life, "healthy"))
            if run.unhealthy_at is not None:
                after(run.unhealthy_at, lambda: self._check(box, life, "unhealthy"))

    def _check(self, box: SimContainer, life: int, status: str, output: str = "", code: int = 1) -> None:
        if box.life == life and not box.forced:
            self._health(box, status, output, code)

    def _health(self, box: SimContainer, status: str, output: str = "", code: int = 1) -> None:
        if not box.checked or not box.alive:
            return
        box.told(status, output, code)
        if box.health != status:
            box.health = status
            self.emit(box, "health_status", health_status=status)

    def _restarts(self, box: SimContainer, code: int, ran: float) -> bool:
        policy = box.host["RestartPolicy"]
        if box.stopped_by_hand or policy["Name"] == "no":
            return False
        box.backoff = 0.0 if ran >= _LONG_RUN else box.backoff
        box.backoff = min(box.backoff * 2, _BACKOFF_MAX) if box.backoff else _BACKOFF
        if policy["Name"] == "on-failure":
            limit = policy["MaximumRetryCount"]
            if code == 0 or (limit and box.retries >= limit):
                return False
        box.retries += 1
        box.restart_count += 1
        return True

    def _again(self, box: SimContainer, life: int) -> None:
        if box.life != life or box.status != "restarting":
            return
        try:
            self.start(box.id, by_policy=True)
        except EngineError:
            return  # the engine gives up here, too

    def _address(self, asked: Json) -> str:
        fixed = ((asked or {}).get("IPAMConfig") or {}).get("IPv4Address")
        number = self._next()
        return str(fixed or f"10.{90 + number // 65025 % 100}.{number // 255 % 255}.{number % 255}")

    def _free_name(self, name: str) -> None:
        for box in self.containers.values():
            if box.name == name:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container "{box.id}". '
                    "You have to remove (or rename) that container to be able to reuse that name.",
                    409,
                )

    def _volume(self) -> str:
        name = hashlib.sha256(f"{self.name}/volume/{self._next()}".encode()).hexdigest()
        self.volumes.append(name)
        return name

    def _next(self) -> int:
        self._made += 1
        return self._made
