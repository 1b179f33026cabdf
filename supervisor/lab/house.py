"""A whole box on a virtual clock: the real core, runner, watch and pump between a simulated engine and broker.

`SimWorld` is what survives a kill: engine, broker, host, disk. `Life` is one process of the daemon in it. Kill points
are numbered as the world passes them (every engine write and every commit, before and after): `kill_at` ends the life
there and then. A killed life cannot touch the world any more, not even in a `finally`: its ports are fenced first.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from supervisor.actions.compose.preview import Previewer
from supervisor.actions.runner import Runner
from supervisor.bus.broker import Choice
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import availability
from supervisor.bus.telling import Telling
from supervisor.config.slots import slots_of
from supervisor.core import Core
from supervisor.core.assembling import assemble, permit_from
from supervisor.core.holds import let_go
from supervisor.core.standing import Loaded
from supervisor.facts import Command, Decision, EngineEvent, Labels, Plan, Snapshot, Stopping
from supervisor.journal import Journal, JournalThread, Row
from supervisor.kernel.hands import ControlGroups
from supervisor.kernel.host import Machine
from supervisor.lab.broker import SimBrokerWorld
from supervisor.lab.engine import SimEngine
from supervisor.lab.fence import Fence, Fenced, FencedTree, Killed, quiet
from supervisor.lab.gate import SimGate
from supervisor.lab.gpu import SimCards, SimReader, watching
from supervisor.lab.hardware import SimHardware, SimMachineHands
from supervisor.lab.kernel.dockerd import KernelDockerd
from supervisor.lab.kernel.log import SimLog, SimLogReader
from supervisor.lab.kernel.machine import Version
from supervisor.lab.kernel.sim import SimKernel
from supervisor.lab.loop import SimLoop
from supervisor.lab.models import SimModels
from supervisor.lab.prober import SimProber, watched
from supervisor.lab.requests import SimFolder
from supervisor.lab.room import SimRoom
from supervisor.lab.serving import SimServer, SimWeights
from supervisor.ports import Engine, Models
from supervisor.rules.promql.evaluate import Options
from supervisor.samples import Store
from supervisor.signals.docker import Watch
from supervisor.signals.gpu import NamedDriver, Owners
from supervisor.signals.gpu.faults import GpuFaults
from supervisor.signals.memory.watch import MemoryWatch, in_memory
from supervisor.signals.models import ModelWatch
from supervisor.signals.request_file import RequestWatch
from supervisor.slots.doors import Order, obey
from supervisor.verdicts import Verdict

IDLE = 15.0
"""seconds between turns in which nothing happens: quiet stretches are skipped in such steps"""
CALM = 60.0
"""seconds between two readings of memory where nothing happens to it by itself"""


class SimHost:
    """A machine whose memory a test sets."""

    def __init__(self) -> None:
        gib = float(2**30)
        self.memory = {"MemTotal": 384 * gib, "MemAvailable": 376 * gib, "SwapTotal": 64 * gib, "SwapFree": 64 * gib}

    def meminfo(self) -> Mapping[str, float]:
        return dict(self.memory)


class SimWorld:
    """Everything outside the daemon."""

    def __init__(
        self,
        loop: SimLoop,
        loaded: Loaded,
        store: Callable[[], Store] = Store,
        options: Options = Options(),
        groups: Version = 2,
    ) -> None:
        """`store` makes the sample store of each life; `options`: how rules are evaluated; `groups`: the version of
        the machine's control groups."""
        self.loop, self.clock, self.loaded, self.store, self.options = loop, loop.clock, loaded, store, options
        self.host = SimHost()
        self.kernel = SimKernel(self.clock, lambda: self.host.memory, groups)
        self.engine = SimEngine(self.clock, "docker", lambda clock, name: KernelDockerd(clock, name, self.kernel))
        self.cards = SimCards(self.clock, self.engine.world, self.kernel)
        self.hands = SimMachineHands(self.clock, self.cards, self.point, self.restart)
        self.log = SimLog(self.clock)
        self.broker = SimBrokerWorld(will=availability("sim", online=False))
        self.models, self.weights = SimModels(self.engine, self.cards, self.kernel), SimWeights()
        self.room = SimRoom(models=self.models)
        self.folders = {entry.folder: SimFolder(entry.folder, self.point) for entry in loaded.settings.requests}
        self.every: float | None = None
        """seconds between two readings of memory at most, from the next life on. None: as the idle turns come, and
        CALM where no load was declared by then"""
        self.least = IDLE
        """and at least: stories about memory want less"""
        self._down = 0.0
        self.machine = "boot-1"
        """which boot of the machine this is"""
        self.disk: Journal = Journal.open(None, self.clock)
        self.remembered: list[tuple[Labels, int, float]] = []
        self.points = 0
        self.kill_at: frozenset[int] = frozenset()
        self.killed = asyncio.Event()
        self.life: Life | None = None
        self.lives = 0
        self.watching: list[Callable[[str, str, str], None]] = []
        """called with (operation, key, `before` | `after`) at every engine write: invariants look here"""
        self.groups: list[Callable[[str, str, str], None]] = []
        """called with (path, text, `before` | `after`) at every write of ours to a control group"""
        self.dropped: list[tuple[str, ...]] = []
        """files of which the page cache was given up"""
        self.engine.on_call = self._on_write
        loop.set_exception_handler(quiet)

    def _on_write(self, operation: str, key: str, when: str) -> None:
        for watcher in self.watching:
            watcher(operation, key, when)
        self.point()

    def on_group(self, path: str, text: str, when: str) -> None:
        """We write to a control group."""
        for watcher in self.groups:
            watcher(path, text, when)
        self.point()

    def drop(self, paths: tuple[str, ...], _late: Callable[[], bool]) -> float:
        """The page cache of these files is given up; a GiB each."""
        self.dropped.append(paths)
        return len(paths) * 2.0**30

    def point(self) -> None:
        """A numbered place at which the daemon may be killed."""
        self.points += 1
        if self.points in self.kill_at and self.life is not None:
            self.life.fence.closed = True
            self.killed.set()
            raise Killed

    @property
    def rhythm(self) -> tuple[float, float]:
        """Seconds between two readings of memory at most, and at least."""
        if self.every is None and not self.kernel.machine.declared:
            return CALM, CALM
        return self.every or IDLE, self.least

    async def begin(self) -> "Life":
        """Start a life of the daemon."""
        self.lives += 1
        self.killed.clear()
        self.life = Life(self)
        await self.life.open()
        return self.life

    async def run(self, seconds: float) -> None:
        """Let time go by; a life that is killed is followed by the next, half a second later."""
        end = self.clock.mono() + seconds
        while self.clock.mono() < end:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.killed.wait(), end - self.clock.mono())
                await self.bury()
                down, self._down = self._down, 0.0
                await asyncio.sleep(max(0.5, down))
                await self.begin()

    def restart(self, seconds: float) -> None:
        """The machine goes down, daemon and engine with it, and is up again after so long."""
        self.machine, self._down = f"{self.machine}'", seconds
        self.log.boot()
        self.engine.restart_engine(seconds)
        if self.life is not None:
            self.life.fence.closed = True
        self.killed.set()

    async def bury(self) -> None:
        """What the kernel does with a dead process: every task is gone, and the journal is what was committed."""
        life, self.life = self.life, None
        if life is not None:
            await life.die()
            image = self.disk.image()
            self.disk.close()
            self.disk = Journal.open(None, self.clock, image=image)

    async def finish(self) -> None:
        """End the present life in order."""
        if self.life is not None:
            await self.life.close()
            self.life = None


class Life:
    """One process of the daemon: what daemon.House is to the real world."""

    def __init__(self, world: SimWorld) -> None:
        self.world, self.clock = world, world.clock
        self.fence = Fence()
        self.journal = world.disk
        self.journal.on_commit = self._on_commit
        self.thread = JournalThread(self.journal)
        kept = (world.remembered, world.store(), world.options, world.machine)
        decider = assemble(world.loaded, self.journal, self.clock, *kept)
        self.core = Core(decider, self.journal, self.thread, self, self.clock, idle=IDLE)
        submit = self.core.submit
        engine: Engine = Fenced(world.engine, self.fence)
        self.prober = prober = SimProber(world.engine)
        self.probes = watched(prober, self.core, world.loaded.settings.probes, CALM, IDLE)
        permit = permit_from(self.core.ask, self.clock)
        self.engines = {"docker": engine}
        hands = ControlGroups(FencedTree(world.kernel, self.fence, world.on_group), self.clock, world.drop)
        self.gpu = SimReader(world.cards)
        beneath = SimHardware(world.hands, self.gpu, self.fence.check)
        slots, check, point = slots_of(world.loaded.settings), self.fence.check, world.point
        self.gates = SimGate(slots, self.clock, submit, world.models.call, check, point)
        self.models = Models(SimServer(world.models, check, point), self.gates, world.weights)
        looked = (self.models.server, submit, self.clock, lambda: self.core.snapshot)
        self.modelwatch = ModelWatch(*looked, lambda: slots, IDLE) if slots else None
        owners = Owners(world.cards, self.clock)
        self.driver = NamedDriver(self.gpu, owners)
        ports = (permit, submit, self.clock, hands, self.models, beneath, self.driver)
        self.runner = Runner(self.engines, prober, world.room, *ports)
        running, tree = (lambda: in_memory(self.core.snapshot)), world.kernel
        every, least = world.rhythm
        self.hostwatch = MemoryWatch(Machine(tree), tree, submit, self.clock, running, every, least=least)
        self.gpus = watching(world.cards, self.gpu, owners, self.core, world.loaded.settings.gpu, IDLE)
        self.log = SimLogReader(world.log)
        heard_by = (self.log, self.gpu, owners.owner_of, submit, self.clock, lambda: decider.loaded.xids)
        self.faults = GpuFaults(*heard_by, since=decider.gpu.faults.sequence, write=world.log.write_raw)
        heard = owners.heard(self.hostwatch.heard(submit))
        self.watch = Watch(engine, heard, self.clock, stats_every=60)
        tells = Previewer(self.engines, lambda: self.core.snapshot.services).widening
        self.requests = [
            RequestWatch(entry, Fenced(world.folders[entry.folder], self.fence), self.core.ask, self.clock, tells)
            for entry in world.loaded.settings.requests
        ]
        settings = world.loaded.settings.model_copy(update={"host": "sim", "notify": ()})
        broker = Choice("the broker", "", self._broker)
        self.telling = Telling(settings, self.thread, self.clock, submit, self.core.ask, broker, node="sim")
        self.rows: list[Row] = []
        self.trouble: list[BaseException] = []
        self._tasks: list[asyncio.Task[None]] = []

    def _broker(self) -> Connection:
        made: Connection = Fenced(self.world.broker(), self.fence)
        return made

    def _on_commit(self, _when: str) -> None:
        self.fence.check()
        self.world.point()

    # ------------------------------------------------------------ effects of a turn

    def start(self, plan: Plan) -> None:
        self.runner.start(plan)

    def end(self, plan_id: int, why: Verdict) -> None:
        self.runner.end(plan_id, why)

    def notice(self, event: EngineEvent) -> None:
        self.runner.notice(event)

    def resweep(self, engine: str) -> None:
        self.watch.resweep()

    def drill(self, text: str, until: float) -> None:
        self.faults.drill(text, until)

    def gate(self, order: Order) -> None:
        obey(self.models.gate, order)

    def publish(self, rows: Sequence[Row]) -> None:
        self.rows.extend(rows)
        self.telling.publish(rows)

    def show(self, snapshot: Snapshot) -> None:
        self.telling.show(snapshot)
        self.probes.changed()
        if self.gpus is not None:
            self.gpus.changed()
        if self.modelwatch is not None:
            self.modelwatch.changed()

    def remember(self) -> None:
        self.world.remembered.extend(self.core.decider.store.drain())
        del self.world.remembered[:-50_000]

    def prune(self, now: float) -> None:
        self.journal.prune(now)

    def alive(self) -> None:
        return

    # ------------------------------------------------------------ life and death

    async def open(self) -> None:
        """Start every edge."""
        self.log.open()
        requests = [watch.run for watch in self.requests]
        gpus = [self.gpus.run] if self.gpus is not None else []
        slots = [self.gates.run, self.modelwatch.run] if self.modelwatch is not None else []
        for body in (self.core.run, self.hostwatch.run, self.probes.run, *gpus, self.watch.run, *requests, *slots):
            self._tasks.append(asyncio.ensure_future(self._live(body())))
        self.telling.open(lambda _name, body: self._tasks.append(asyncio.ensure_future(self._live(body()))))

    async def _live(self, body: Any) -> None:
        try:
            await body
        except Killed:
            return
        except Exception as err:
            self.trouble.append(err)
            raise

    async def ask(self, verb: str, target: str = "", override: str = "", **params: str) -> Decision:
        """What a person types."""
        fact = Command(self.clock.wall(), self.clock.mono(), verb, target, params, "uid:0", "socket", "", override)
        answer: Decision = await self.core.ask(fact)
        return answer

    async def die(self) -> None:
        """SIGKILL: fenced first, then every task is dropped."""
        self.fence.closed = True
        self.gates.end()
        self.log.close()
        if self.telling.commands is not None:
            self.telling.commands.abandon()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Killed):
            await self.runner.close()

    async def close(self) -> None:
        """SIGTERM."""
        if self.core.snapshot.holds or self.runner.holding():
            await self.core.ask(Stopping(self.clock.wall(), self.clock.mono()))
            await let_go(self.core, self.runner.holding, 2.0)
        await self.runner.close()
        self.gates.end()
        await self.telling.quiet()
        self.core.stop()
        self.log.close()
        await self._tasks[0]
        for task in self._tasks[1:]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
