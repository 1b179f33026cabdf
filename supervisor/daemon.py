"""Wires the house, in the order of the flow: signals -> samples -> rules -> incidents -> actions -> bus, web.

No logic lives here. `House` holds the edges and carries out the effects of a turn; `run` is the life of the process.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import structlog

from supervisor import __version__
from supervisor.actions.compose.preview import Previewer
from supervisor.actions.compose.sources import in_folder
from supervisor.actions.runner import Runner
from supervisor.actions.swap.absent import NO_MODELS
from supervisor.bus.systemd import notify as tell_systemd
from supervisor.bus.telling import Telling
from supervisor.clock import Clock, SystemClock
from supervisor.config import Settings, waits_for_start
from supervisor.config import load as load_settings
from supervisor.core import Core
from supervisor.core.assembling import assemble, caution, permit_from
from supervisor.core.decider import Decider
from supervisor.core.holds import let_go
from supervisor.core.made import ours
from supervisor.core.reading import Reader, read_rules, rule_folders
from supervisor.core.standing import Loaded
from supervisor.core.tape import Tape
from supervisor.engines.docker import DockerEngine
from supervisor.errors import UsageError
from supervisor.facts import (
    Container,
    EdgeState,
    EngineEvent,
    Plan,
    Reloaded,
    Snapshot,
    Stopping,
)
from supervisor.incidents.locks import GPU_TURN
from supervisor.journal import Journal, JournalThread, Row, lock_state
from supervisor.journal.recorder import Recorder
from supervisor.kernel.hands import ControlGroups
from supervisor.kernel.hardware import MachineHardware
from supervisor.kernel.host import Machine
from supervisor.kernel.tree import KernelFiles
from supervisor.ports import Engine
from supervisor.rules.promql.evaluate import Options
from supervisor.signals import pause_file
from supervisor.signals.docker import Watch
from supervisor.signals.elsewhere import Elsewhere
from supervisor.signals.gpu import VramGate
from supervisor.signals.gpu.edge import GpuEdge
from supervisor.signals.machine import boot_id
from supervisor.signals.memory.edges import Edges
from supervisor.signals.memory.mac import MacMachine
from supervisor.signals.memory.watch import MemoryWatch, in_memory
from supervisor.signals.probes import ProbeWatch, ServiceProber
from supervisor.signals.request_file import RequestWatch, SharedFolder
from supervisor.signals.room import HostRoom
from supervisor.signals.rule_folders import watch as watch_folders
from supervisor.signals.slots import SlotEdges
from supervisor.slots.doors import Order, obey
from supervisor.verdicts import Verdict
from supervisor.views import phrase
from supervisor.web.control import Control
from supervisor.web.previewing import Foresight
from supervisor.web.recording import Recording
from supervisor.web.server import Server
from supervisor.web.where import control_path

log = structlog.get_logger()

STOP_DEADLINE = 8.0
"""seconds in which SIGTERM ends us; the unit allows more"""


class House:
    """The edges around the core, and the effects of its turns."""

    def __init__(
        self, decider: Decider, journal: Journal, recorder: Recorder, clock: Clock, settings: Settings
    ) -> None:
        self.clock, self.settings = clock, settings
        self.thread = JournalThread(journal)
        self.recorder = recorder
        self.core = Core(decider, journal, self.thread, self, clock, tape=Tape(recorder, self.thread))
        submit = self.core.submit
        self.tree = KernelFiles()
        machine = MacMachine() if sys.platform == "darwin" else Machine(self.tree, settings.memory.group)
        self.engines: dict[str, Engine] = {"docker": DockerEngine(settings.docker.endpoint, clock, tree=self.tree)}
        self.host = MemoryWatch(machine, self.tree, submit, clock, self._running)
        group = settings.memory.group
        self.edges = Edges(submit, clock, self.host.wake, self._running, group=group, tree=self.tree)
        self.host.edges = self.edges
        about = (submit, clock, lambda: self.core.snapshot, settings, lambda: decider.loaded.xids)
        self.gpu = GpuEdge(self.tree, self.edges.log, *about, since=decider.gpu.faults.sequence, turn=GPU_TURN)
        heard = self.gpu.heard(self.host.heard(submit))
        self.watches = {name: Watch(engine, heard, clock) for name, engine in self.engines.items()}
        self.prober = ServiceProber(clock, self.engines)
        self.elsewhere = Elsewhere(settings, self.engines, submit, clock, lambda: self.core.snapshot, ours)
        self.probes = ProbeWatch(self.prober, submit, clock, lambda: self.core.snapshot, settings.probes)
        decider.registry.asked()
        permit, room = permit_from(self.core.ask, clock), HostRoom(machine, vram=VramGate(self.gpu.reader))
        self.groups = None if sys.platform == "darwin" else ControlGroups(KernelFiles(), clock)
        self.slots = SlotEdges(decider.slots.slots, submit, clock, lambda: self.core.snapshot, self.tree)
        self.models = self.slots.models or NO_MODELS
        decider.slots.cannot = self.models.server.cannot
        ports = (permit, submit, clock, self.groups, self.models, MachineHardware(boot_id), self.gpu.driver)
        self.runner = Runner(self.engines, self.prober, room, *ports)
        look = self.engines["docker"].gateway
        self.telling = Telling(settings, self.thread, clock, submit, self.core.ask, look=look)
        tape = Recording(recorder, self.thread)
        compose = Previewer(self.engines, lambda: self.core.snapshot.services)
        socket = control_path(os.environ, settings.state_dir)
        foresight = Foresight(self.core, self.engines, room, self.groups, self.models, self.gpu.driver)
        self.control = Control(self.core, socket, recording=tape, compose=compose, foresight=foresight)
        self.requests = [
            RequestWatch(entry, SharedFolder(entry, in_folder), self.core.ask, clock, compose.widening)
            for entry in settings.requests
        ]
        self.server = (
            Server(self.core, *settings.http.address, token_file=settings.http.token_file)
            if settings.http.address
            else None
        )
        self.tell: Callable[[Row], None] = _log_row
        self._tasks: list[asyncio.Task[None]] = []
        self._reader = Reader()
        self._remembering: asyncio.Future[int] | None = None
        self._pruning: asyncio.Future[None] | None = None

    def _running(self) -> tuple[Container, ...]:
        return in_memory(self.core.snapshot)

    # ------------------------------------------------------------ effects of a turn

    def start(self, plan: Plan) -> None:
        self.runner.start(plan)

    def end(self, plan_id: int, why: Verdict) -> None:
        self.runner.end(plan_id, why)

    def notice(self, event: EngineEvent) -> None:
        self.runner.notice(event)

    def resweep(self, engine: str) -> None:
        if engine in self.watches:
            self.watches[engine].resweep()

    def drill(self, text: str, until: float) -> None:
        self.gpu.faults.drill(text, until)

    def gate(self, order: Order) -> None:
        obey(self.models.gate, order)

    def publish(self, rows: Sequence[Row]) -> None:
        self.telling.publish(rows)
        for row in rows:
            self.tell(row)

    def show(self, snapshot: Snapshot) -> None:
        self.telling.show(snapshot)
        self.edges.changed()
        self.probes.changed()
        self.elsewhere.changed()
        self.gpu.watch.changed()
        self.slots.changed()

    def remember(self) -> None:
        if self._remembering is None or self._remembering.done():
            taken = self.core.decider.store.drain()
            if taken:
                self._remembering = asyncio.ensure_future(self.thread.run(self.recorder.write, taken))

    def prune(self, now: float) -> None:
        self._pruning = asyncio.ensure_future(self._prune(now))

    async def _prune(self, now: float) -> None:
        """In bounded pieces, so that no turn waits long for the journal's thread."""
        more = True
        while more:
            done = await self.thread.run(self.thread.journal.prune, now, keep_waiting=self.telling.pump is not None)
            more = done.more

    def alive(self) -> None:
        tell_systemd("WATCHDOG=1")

    # ------------------------------------------------------------ life

    async def open(self) -> None:
        """Start every edge. A door that cannot be opened is a warning; the core runs all the same."""
        await self.control.start()
        if self.server is not None:
            self._edge("http", await self.server.start())
        self._keep("core", self.core.run)
        self.telling.open(self._keep)
        self._keep("host", self.host.run)
        self._keep("memory edges", self.edges.run)
        self._keep("probes", self.probes.run)
        self.elsewhere.open(self._keep)
        self.gpu.open(self._keep)
        self.slots.open(self._keep)
        for name, watch in self.watches.items():
            self._keep(f"engine {name}", watch.run)
        self._keep("pause file", self._watch_pause_file)
        for folder in self.requests:
            self._keep(f"requests in {folder.entry.folder}", folder.run)
        self._keep("rule folders", self._watch_rules)
        self._keep("edges", self._watch_edges)

    def _keep(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._keep_running(name, body), name=name))

    async def _keep_running(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        """Run an edge; if it breaks, say so and start it again, slower each time. A core that breaks ends us."""
        for delay in (0.5, 1.0, 2.0, 5.0, 10.0, *([30.0] * 1000)):
            try:
                await body()
                return
            except Exception as err:
                log.exception("broken", part=name)
                self._edge(name, f"The part {name!r} broke ({type(err).__name__}) and is started again.")
                if name == "core":
                    os.kill(os.getpid(), signal.SIGABRT)
            await asyncio.sleep(delay)

    def _edge(self, part: str, text: str) -> None:
        if text:
            log.warning("trouble", subject="daemon", text=text)
        self.core.submit(EdgeState(self.clock.wall(), self.clock.mono(), part, text))

    async def _watch_edges(self) -> None:
        """What edges say of themselves becomes news for the core, when it changes."""
        known: dict[str, str] = {}
        counted: dict[str, int] = {}
        bus = ""
        while True:
            now = {"host": self.host.problem, "recorder": self.recorder.trouble, "disk": self.elsewhere.trouble}
            now |= self.telling.troubles()
            now |= {f"request {one.folder.name}": one.trouble for one in self.requests}
            for part, text in now.items():
                if known.get(part, "") != text:
                    known[part] = text
                    self._edge(part, text)
            bus = bus_words(self.core.snapshot, known.values(), bus)
            counts = self._counts()
            if counts != counted:
                counted = counts
                self.core.submit(EdgeState(self.clock.wall(), self.clock.mono(), "counts", "", counts))
            await asyncio.sleep(5.0)

    def _counts(self) -> dict[str, int]:
        found = {"runner_crashes": self.runner.crashes, "recorder_dropped": self.recorder.dropped}
        found |= {f"engine_{name}_faults": watch.faults for name, watch in self.watches.items()}
        found |= {"memory_edges_faults": self.edges.faults, "probes_faults": self.probes.faults}
        found["scrapes_faults"] = self.elsewhere.faults
        return {**found, **self.slots.counts(), **self.telling.counts()}

    async def _watch_pause_file(self) -> None:
        """A file PAUSE in the state folder pauses everything, as long as it is there."""
        file = self.settings.state_dir / pause_file.NAME
        await pause_file.watch(file, lambda: self.core.snapshot.pauses, self.core.ask, self.clock)

    async def _watch_rules(self) -> None:
        """A rule file or playbook that was saved counts at once; the configuration waits for a word (SIGHUP)."""

        async def changed() -> None:
            await self._reload(lambda: self.core.decider.loaded.settings, "Rules were read again: a file has changed.")

        await watch_folders(lambda: [path for path, _ in rule_folders(self.core.decider.loaded.settings)], changed)

    async def reload(self, config_path: Path | None) -> None:
        """Read configuration and rules again."""
        await self._reload(lambda: load_settings(config_path), "Configuration and rules were read again.")

    async def _reload(self, settings: Callable[[], Settings], done: str) -> None:
        """Read the rules again under these settings; what is bad leaves the running set as it is."""
        tell_systemd("RELOADING=1")
        try:
            loaded = await self._reader.read(settings, os.getuid(), done)
            if loaded is not None:
                text = done + waits_for_start(self.settings, loaded.settings)
                self.core.submit(Reloaded(self.clock.wall(), self.clock.mono(), loaded, text))
        except UsageError as err:
            text = f"Not reloaded, the running set stays: {err}"
            self.core.submit(Reloaded(self.clock.wall(), self.clock.mono(), None, text))
        tell_systemd("READY=1")

    async def close(self) -> None:
        """End: nothing new is started, what is inside its irreversible part stays open for the next start."""
        tell_systemd("STOPPING=1")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.core.ask(Stopping(self.clock.wall(), self.clock.mono())), STOP_DEADLINE / 4)
        await let_go(self.core, self.runner.holding, STOP_DEADLINE / 4)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.runner.close(), STOP_DEADLINE / 4)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.telling.quiet(), STOP_DEADLINE / 4)
        self.core.stop()
        for task in reversed(self._tasks):
            task.cancel()
        for task in reversed(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.thread.run(self.recorder.write, self.core.decider.store.drain())
        await self.slots.close()
        await self.control.close()
        if self.server is not None:
            await self.server.close()
        await self.telling.close()
        await self.prober.close()
        await self.gpu.reader.close()
        for engine in self.engines.values():
            await engine.close()
        if self.groups is not None:
            self.groups.close()
        self.tree.close()


def _log_row(row: Row) -> None:
    log.info(row.kind, seq=row.seq, subject=row.subject, text=phrase(row))


def bus_words(snapshot: Snapshot, said: Iterable[str], before: str) -> str:
    """Log how the bus is where that changed (it is no row: it would wait for the bus itself). Returns its words now,
    '' while it is as it should be. `said`: the sentences that the log has already."""
    bus = snapshot.bus
    if bus is None:
        return before
    now = "" if bus.connected or bus.text in said else bus.text
    if now and now != before:
        tell = log.info if bus.broker == "none" else log.warning
        tell("bus", subject="daemon", text=f"the bus is not connected: {now}")
    elif before and bus.connected:
        log.info("bus", subject="daemon", text=f"the bus is {bus.text}")
    return now


async def run(settings: Settings, config_path: Path | None, options: Options = Options()) -> int:
    """Run until SIGTERM or SIGINT; the exit code. `options`: how rules are evaluated."""
    clock = SystemClock()
    with lock_state(settings.state_dir):
        journal = Journal.open(settings.state_dir / "journal.db", clock)
        recorder = Recorder.open(settings.state_dir / "recorder.db", clock)
        loaded = read_rules(settings, os.getuid())
        before = journal.last_seq
        caution(journal, clock)
        retention = loaded.retention()
        remembered = list(recorder.read(int((clock.wall() - retention) * 1000)))
        decider = assemble(loaded, journal, clock, remembered, options=options, machine=boot_id())
        house = House(decider, journal, recorder, clock, settings)
        batch = journal.batch()
        batch.row(
            "daemon.started",
            "daemon",
            {"text": _greeting(settings, loaded), "version": __version__},
            clock.wall(),
            True,
        )
        journal.commit(batch)
        decider.last_seq = journal.last_seq
        for row in journal.rows(after=before):
            house.tell(row)
        try:
            return await _live(house, config_path)
        finally:
            house.thread.close()  # what was handed over is written before the file is closed under it
            journal.close()
            recorder.close()


async def _live(house: House, config_path: Path | None) -> int:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(house.reload(config_path))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, done.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await house.open()
    tell_systemd("READY=1")
    await done.wait()
    await house.close()
    return 0


def _greeting(settings: Settings, loaded: Loaded) -> str:
    count = len(loaded.rules.rules)
    rules = "1 rule" if count == 1 else f"{count} rules"
    return f"resurgam {__version__} watches {settings.host} with {rules}; state in {settings.state_dir}."
