"""The simulated engine: ports.Engine on a virtual clock, with latencies, faults, kill points and people's hands.

From: plans, watchers and tests, exactly as they would call the real one. To: lab/dockerd.py, which has Docker's rules.
A call that was sent has its effect even if the caller is gone by then: the engine does not know who still waits.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from supervisor.clock import Clock
from supervisor.engines.docker import disk, shape
from supervisor.engines.docker.output import TIMED_OUT
from supervisor.errors import Conflict, EngineError, EngineGone, EngineTimeout, NotFound
from supervisor.facts import Container, EngineEvent, Image, Json
from supervisor.lab.boxes import SimContainer
from supervisor.lab.dockerd import SimDockerd
from supervisor.lab.files import SimFile
from supervisor.lab.images import NEVER, Behaviour, Fault, SimImage
from supervisor.lab.people import People
from supervisor.lab.place import on_disk
from supervisor.lab.streams import Stream, fail, give
from supervisor.ports import DiskUse, EngineInfo, ExecResult, FileChange, FileStat, Usage

__all__ = ["NEVER", "WRITES", "Behaviour", "Fault", "SimContainer", "SimEngine", "SimFile", "SimImage"]

T = TypeVar("T")
WRITES = ("create", "put_archive", "start", "stop", "rename", "remove", "set_policy", "tag", "untag")
LATENCY: Mapping[str, float] = {
    "create": 0.033,
    "start": 0.25,
    "stop": 0.07,
    "rename": 0.007,
    "remove": 0.03,
    "set_policy": 0.002,
    "tag": 0.002,
    "untag": 0.004,
    "exec": 0.024,
    "event": 0.001,
}
"""seconds per call, as measured on a live engine; 2 ms where nothing stands here"""
LIMIT: Mapping[str, float] = {"create": 120.0, "start": 120.0, "stop": 30.0, "remove": 120.0}
"""seconds a caller waits for an answer (a stop waits its grace on top); 30 s where nothing stands here"""


class SimEngine(People):
    """An engine in memory. `world` is its inside, `world.place` what it stands on; `human_*` (lab/people.py) are
    people's hands on it."""

    def __init__(
        self, clock: Clock, name: str = "sim", inside: Callable[[Clock, str], SimDockerd] = SimDockerd
    ) -> None:
        self.name = name
        self.clock = clock
        super().__init__(inside(clock, name))
        self.latency = dict(LATENCY)
        self.limit = dict(LIMIT)
        self.fault: Callable[[str, str], Fault | None] | None = None
        """asked before every call with (operation, key): what goes wrong with it"""
        self.on_call: Callable[[str, str, str], None] | None = None
        """told (operation, key, `before` | `after`) around every write; it may raise: a kill point"""
        self.writes: list[tuple[str, str, float]] = []
        """every write that had its effect: (operation, key, unix time)"""
        self.execs: list[tuple[str, tuple[str, ...], float]] = []
        """every command that was run inside: (name of the container, argv, unix time)"""
        self._exec_answers: list[tuple[str, tuple[str, ...], ExecResult, float]] = []
        self.away = False
        self._streams: list[Stream] = []
        self._waiting: list[asyncio.Future[Any]] = []
        self.world.listeners.append(self._spread)

    # ------------------------------------------------------------ ports.Engine: looking

    async def info(self) -> EngineInfo:
        identity = f"{self.name}-{self.world.lives}"
        return await self._call("info", "", lambda: self.world.place.info(identity, self.name))

    async def list(self) -> tuple[Container, ...]:
        return await self._call("list", "", self.containers)

    async def inspect(self, key: str) -> Container | None:
        def look() -> Container | None:
            box = self.world.find(key)
            return self._shape(box) if box else None

        return await self._call("inspect", key, look)

    async def raw(self, key: str) -> Json:
        return await self._call("raw", key, lambda: self.world.get(key).raw())

    async def image(self, ref: str) -> Image | None:
        def look() -> Image | None:
            found = self.world.shelf.resolve(ref)
            return shape.image(found.raw(self.world.shelf.tags_of(found.id))) if found else None

        return await self._call("image", ref, look)

    async def images(self) -> Mapping[str, str]:
        return await self._call("images", "", lambda: dict(sorted(self.world.shelf.tags.items())))

    async def logs(self, key: str, lines: int) -> tuple[str, ...]:
        def look() -> tuple[str, ...]:
            box = self.world.find(key)
            return tuple(box.log[-lines:]) if box else ()

        return await self._call("logs", key, look)

    async def gateway(self, network: str) -> str:
        return await self._call("network", network, lambda: self.world.place.gateway(network, self.world.networks))

    async def usage(self, key: str) -> Usage | None:
        def look() -> Usage | None:
            box = self.world.find(key)
            if box is None or not box.alive:
                return None
            age = self.clock.mono() - box.began_mono
            return Usage(box.run.memory, float(box.host.get("Memory") or 0), age * box.run.cpu)

        return await self._call("usage", key, look)

    async def exec(self, key: str, argv: tuple[str, ...], limit: float) -> ExecResult:
        def look() -> ExecResult:
            box = self.world.get(key)
            if not box.alive:
                raise Conflict(f"Container {box.id} is not running", 409)
            if box.status == "paused":
                raise Conflict(f"Container {box.id} is paused, unpause the container before exec", 409)
            self.execs.append((box.name, argv, self.clock.wall()))
            for name, begins, told, seconds in reversed(self._exec_answers):
                if name in (box.name, box.id) and argv[: len(begins)] == begins:
                    takes.append(seconds)
                    return told
            return ExecResult(0 if self.world.well(box) else 1, "")

        takes: list[float] = []
        result = await self._call("exec", key, look)
        for seconds in takes:
            await asyncio.sleep(min(seconds, limit))
        return ExecResult(TIMED_OUT, "") if takes and takes[0] > limit else result

    async def changes(self, key: str) -> tuple[FileChange, ...]:
        return await self._call("changes", key, lambda: self.world.get(key).files.changes())

    async def stat(self, key: str, path: str) -> FileStat | None:
        def look() -> FileStat | None:
            box = self.world.find(key)
            return box.files.stat(path) if box else None

        return await self._call("stat", key, look)

    async def get_archive(self, key: str, path: str, limit: int) -> bytes:
        def look() -> bytes:
            box = self.world.get(key)
            return box.files.archive(path, limit, box.id)

        return await self._call("get_archive", key, look)

    async def disk(self) -> DiskUse:
        return await self._call("disk", "", lambda: disk.use(on_disk(self.world.place, self.world)))

    # ------------------------------------------------------------ ports.Engine: writing

    async def put_archive(self, key: str, path: str, tar: bytes) -> None:
        def act() -> None:
            box = self.world.get(key)
            if box.host.get("ReadonlyRootfs"):
                raise EngineError("container rootfs is marked read-only", 500)
            box.files.unpack(path, tar, box.id)

        await self._call("put_archive", key, act)

    async def create(self, name: str, spec: Json) -> str:
        return await self._call("create", name, lambda: self.made(name, spec))

    async def start(self, key: str) -> None:
        await self._call("start", key, lambda: self.world.start(key))

    async def stop(self, key: str, grace: float) -> None:
        await self._call("stop", key, lambda done: self.world.stop(key, grace, done), slow=True, margin=grace)

    async def rename(self, key: str, name: str) -> None:
        await self._call("rename", key, lambda: self.world.rename(key, name))

    async def remove(self, key: str) -> None:
        def act() -> None:
            if self.world.find(key):
                self.world.remove(key)

        await self._call("remove", key, act)

    async def set_policy(self, key: str, policy: str) -> None:
        await self._call("set_policy", key, lambda: self.world.set_policy(key, policy))

    async def tag(self, image_id: str, ref: str) -> None:
        await self._call("tag", ref, lambda: self.world.shelf.tag(image_id, ref))

    async def untag(self, ref: str) -> None:
        await self._call("untag", ref, lambda: self.world.shelf.untag(ref))

    # ------------------------------------------------------------ ports.Engine: events

    async def events(self, since_ns: int = 0) -> AsyncGenerator[EngineEvent, None]:
        await self._call("events", "", lambda: None)
        stream = Stream()
        now = round(self.clock.wall() * 1e9)
        stream.push(EngineEvent(self.clock.wall(), self.clock.mono(), self.name, "engine", "", "subscribed", now, {}))
        for event in self.world.ring:
            if since_ns and event.time_ns >= since_ns:
                stream.push(event)
        self._streams.append(stream)
        lag = self.latency.get("event", 0.0)
        try:
            while True:
                await stream.wait()
                if not stream.items:
                    return
                event = stream.items.popleft()
                late = event.mono + lag - self.clock.mono()
                if late > 1e-9 and event.kind != "subscribed":
                    await asyncio.sleep(late)
                yield replace(event, at=min(event.at, self.clock.wall()), mono=self.clock.mono())
        finally:
            if stream in self._streams:
                self._streams.remove(stream)

    async def close(self) -> None:
        """Streams end; the world goes on."""
        self._end_streams()

    # ------------------------------------------------------------ the engine's own fate

    def go_away(self) -> None:
        """It does not answer any more; its containers live on."""
        self.away = True
        self._end_streams()
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            fail(future, EngineGone(f"the engine {self.name} closed the connection"))

    def come_back(self) -> None:
        """It answers again, with its memory intact."""
        self.world.timers.run_due()
        self.away = False

    def restart_engine(self, down: float = 1.0, *, orderly: bool = False) -> None:
        """It restarts: gone for `down` seconds, then a new life with new processes and an empty event ring. `orderly`:
        as `systemctl restart docker` does it, it stops every container first, and says so like of any other stop."""

        def back() -> None:
            self.away = False
            self.world.restart()

        def gone() -> None:
            self.go_away()
            self.world.timers.after(down, back)

        if orderly:
            self.world.shut_down()
            self.world.timers.after(0.5, gone)
        else:
            gone()

    # ------------------------------------------------------------ the world: images, faults in containers

    def add_image(self, image: SimImage) -> str:
        """An image arrives with its tags (they move to it). Returns its id."""
        return self.world.shelf.add(image)

    def add_network(self, name: str) -> None:
        """A user-defined network."""
        self.world.networks.add(name)

    def break_container(self, name: str, **changes: Any) -> None:
        """From its next start on this container behaves otherwise: fields of Behaviour. None at all: as its image."""
        box = self.world.get(name)
        box.override = box.run.changed(**changes) if changes else None

    def crash(self, name: str, code: int = 139, *, oom: bool = False) -> None:
        """Its main process ends now, by itself."""
        self.world.timers.run_due()
        self.world.end(self.world.get(name), code, oom=oom)

    def set_health(self, name: str, status: str, output: str = "") -> None:
        """It is `healthy` or `unhealthy` from now on, until its next start; its check prints `output`."""
        self.world.set_health(self.world.get(name), status, output)

    def set_exec(self, name: str, result: ExecResult, *argv: str, seconds: float = 0.0) -> None:
        """Commands that begin with `argv` (all, if none) end so from now on, after `seconds`, in whatever container has
        this name (or id) then. What was set last wins. Without any, a command fails where the service is not well."""
        self._exec_answers.append((name, argv, result, seconds))

    def write_file(self, name: str, path: str, content: bytes | SimFile) -> None:
        """It wrote a file into its own layer (or somebody copied it there)."""
        self.world.get(name).files.put(path, content)

    def well(self, key: str) -> bool:
        """Whether it would answer a probe now."""
        self.world.timers.run_due()
        box = self.world.find(key)
        return box is not None and self.world.well(box)

    def containers(self) -> tuple[Container, ...]:
        """Every container now, ordered by id: what a test looks at."""
        self.world.timers.run_due()
        return tuple(self._shape(box) for _id, box in sorted(self.world.containers.items()))

    def container(self, key: str) -> Container | None:
        """One container now."""
        self.world.timers.run_due()
        box = self.world.find(key)
        return self._shape(box) if box else None

    # ------------------------------------------------------------ inside

    def _shape(self, box: SimContainer) -> Container:
        ref = shape.called(box.raw())
        stands_for = "" if shape.is_id(ref) else self.world.shelf.tags.get(shape.reference(ref), "")
        found = shape.container(box.raw(), box.image.config.get("Labels") or {}, stands_for)
        if found.network_parent and box.alive:
            parent = self.world.find(found.network_parent)
            return replace(found, address=shape.address(parent.raw()) if parent else "")
        return found

    async def _call(self, op: str, key: str, act: Callable[..., T], *, slow: bool = False, margin: float = 0.0) -> T:
        writing = op in WRITES
        if writing and self.on_call:
            self.on_call(op, key, "before")
        result = await self._answer(op, key, act, slow, self.limit.get(op, 30.0) + margin)
        if writing and self.on_call:
            self.on_call(op, key, "after")
        return result

    async def _answer(self, op: str, key: str, act: Callable[..., T], slow: bool, limit: float) -> T:
        self.world.timers.run_due()
        fault = (self.fault(op, key) if self.fault else None) or Fault("none")
        if self.away or fault.kind == "cut":
            raise EngineGone(f"cannot reach the engine {self.name}")
        latency = self.latency.get(op, 0.002)
        if fault.kind == "timeout_before_effect":
            await asyncio.sleep(limit)
            raise EngineTimeout(f"the engine did not answer {op} within {limit:.0f} s")
        if fault.kind == "refuse":
            await asyncio.sleep(latency)
            raise _ERRORS.get(fault.status, EngineError)(fault.text, fault.status)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        late = self.world.timers.after(
            limit, lambda: fail(future, EngineTimeout(f"the engine did not answer {op} within {limit:.0f} s"))
        )

        def answer(result: Any = None) -> None:
            if fault.kind == "effect_then_cut":
                fail(future, EngineGone(f"the engine {self.name} closed the connection"))
            elif fault.kind != "effect_then_timeout":
                give(future, result)

        def effect() -> None:
            try:
                if op in WRITES:
                    self.writes.append((op, key, self.clock.wall()))
                if slow:
                    act(answer)
                else:
                    answer(act())
            except EngineError as err:
                fail(future, err)

        self.world.timers.after(latency + fault.seconds, effect)
        try:
            return await future
        finally:
            late.cancel()
            if future in self._waiting:
                self._waiting.remove(future)

    def _spread(self, event: EngineEvent) -> None:
        if not self.away:
            for stream in tuple(self._streams):
                stream.push(event)

    def _end_streams(self) -> None:
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.end()


_ERRORS: Mapping[int, type[EngineError]] = {404: NotFound, 409: Conflict}
