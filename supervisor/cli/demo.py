"""`resurgam demo`: story 1 for real. A moved tag breaks a service; it is healed while you watch.

Uses a real engine, a real daemon in a process of its own and a real broker. It makes its own images, network and
containers (all named `resurgam-demo…`), touches no others, and takes everything away again. Exit code 0 only if the
service answers from outside at the end.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor.cli.client import Client
from supervisor.cli.demo_stage import PROJECT, Stage
from supervisor.clock import Clock, SystemClock
from supervisor.errors import EngineError, ResurgamError
from supervisor.facts import Json
from supervisor.journal import Row
from supervisor.views import clock_text, phrase

PATIENCE = 80.0
"""seconds the whole story may take after set-up"""
CONFIG = """\
host: demo
state_dir: {state}
rules: [shipped]
consent: listed
services:
  resurgam-demo.oracle: {{enable: true, probe: "http://:8000/health", stop-grace: 1s}}
proof: 4s
http: {{listen: none}}
mqtt: {{url: auto}}
"""
DIM, RED, GREEN, BOLD, END = "\033[2m", "\033[31m", "\033[32m", "\033[1m", "\033[0m"
COLOURS = {"container.died": RED, "alert.firing": RED, "alert.resolved": GREEN, "action.verified": GREEN}
CLOCK = SystemClock()
SERVICE = f"{PROJECT}.oracle"
LOOP, SIGNAL = "ContainerRestartLoop", "ContainerKilledBySignal"
HIDDEN = ("action.begin", "alert.pending", "alert.dropped", "incident.changed", "container.evidence")
WIDTH = 150
STAGES = {
    "container": "signal",
    "drift": "signal",
    "alert": "rule",
    "incident": "incident",
    "action": "action",
    "daemon": "daemon",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(_arguments: argparse.Namespace) -> int:
    """Run the story; the exit code."""
    try:
        return asyncio.run(_story())
    except EngineError as err:
        print(f"resurgam: the demo needs a container engine: {err}", file=sys.stderr)
        return 1
    except ResurgamError as err:
        print(f"resurgam: {err}", file=sys.stderr)
        return 1


class Timeline:
    """What happened, as it comes: ours on the left, what a subscriber of the broker sees beside it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rows: list[Row] = []
        self.heard_at: dict[tuple[str, str], float] = {}
        """(subject, alert name) -> when a subscriber had its firing, unix seconds"""
        self._news = asyncio.Event()
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def say(self, text: str) -> None:
        """A word of the storyteller."""
        print(self._paint(BOLD, f"\n# {text}"), flush=True)

    def row(self, document: Json) -> None:
        """A journal row, as the control socket tells it. Other people's containers are none of our business."""
        if not document["subject"].startswith(PROJECT) and not document["kind"].startswith("daemon."):
            return
        keys = ("seq", "kind", "subject", "body", "public")
        row = Row(at=document["time"], digest="", **{key: document[key] for key in keys})
        self.rows.append(row)
        stage = "proof" if row.kind == "action.verified" else STAGES.get(row.kind.partition(".")[0], "")
        self._news.set()
        if row.kind in HIDDEN or row.body.get("verb") == "protect":
            return
        head = f"{clock_text(row.at)}  {stage:<8}  "
        text = f"{row.subject.removeprefix(PROJECT + '.')}: {phrase(row)}"
        shown = textwrap.fill(text, WIDTH, subsequent_indent=" " * (len(head) + 2), initial_indent=" " * len(head))
        print(self._paint(COLOURS.get(row.kind, ""), head + shown[len(head) :]), flush=True)

    def heard(self, topic: str, event: Json) -> None:
        """A message, as any subscriber sees it."""
        at, subject = self._clock.wall(), str(event.get("subject", ""))
        if not subject.startswith(PROJECT):
            return
        if event["type"] == "resurgam.alert.firing":
            self.heard_at.setdefault((subject, event["data"]["labels"]["alertname"]), at)
        line = f"{clock_text(at)}  mqtt      {topic}  {event['type']}  {event['id']}"
        print(self._paint(DIM, line), flush=True)

    async def until(self, what: Callable[[Row], bool], seconds: float, words: str) -> Row:
        """Wait for a row; ResurgamError if it does not come in time."""
        seen = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for row in self.rows[seen:]:
                        seen += 1
                        if what(row):
                            return row
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise ResurgamError(f"the demo waited {seconds:.0f} s for {words}, which did not come") from None

    def first(self, kind: str, after: float) -> Row | None:
        """The first row of a kind since an instant."""
        return next((row for row in self.rows if row.kind == kind and row.at >= after), None)

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{END}" if self._colour and colour else text


async def _story() -> int:
    folder = Path(tempfile.mkdtemp(prefix="resurgam-demo-"))
    stage, timeline = Stage(CLOCK), Timeline(CLOCK)
    daemon: asyncio.subprocess.Process | None = None
    tasks: list[asyncio.Task[Any]] = []
    try:
        await stage.prepare()
        config = folder / "resurgam.yaml"
        config.write_text(CONFIG.format(state=folder / "state"))
        config.chmod(0o600)
        daemon = await _start_daemon(config, folder)
        client = Client(folder / "state" / "control.sock")
        await _ready(client, daemon, folder / "daemon.log")
        _follow(client, timeline)
        tasks.append(asyncio.create_task(_subscribe(folder / "state", timeline)))
        return await _tell(stage, timeline)
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ResurgamError):
                await task
        if daemon is not None and daemon.returncode is None:
            daemon.send_signal(signal.SIGTERM)
            await daemon.wait()
        await stage.clear()
        shutil.rmtree(folder, ignore_errors=True)


async def _tell(stage: Stage, timeline: Timeline) -> int:
    timeline.say("A stack runs healthy on local/oracle:1. Resurgam watches until the image has proved itself.")
    await stage.run_good()
    await timeline.until(
        lambda row: row.kind == "drift.proved" and "oracle" in row.subject, 30, "the image to prove itself"
    )
    timeline.say(
        "Somebody rebuilds the image: local/oracle:1 moves to one that exits 139. The stack is brought up again."
    )
    broken_at = await stage.break_it()
    await timeline.until(
        lambda row: row.kind == "action.verified" and row.body.get("verb") == "phoenix", 60, "the healing"
    )
    healed_at = stage.clock.wall()
    answered = await stage.answers(20.0)
    await timeline.until(lambda row: _about(row, "alert.resolved", LOOP, broken_at), 30, "the alert to resolve")
    return _numbers(stage, timeline, broken_at, healed_at, answered)


def _about(row: Row, kind: str, alert: str, after: float) -> bool:
    labels = row.body.get("alert", {}).get("labels", {})
    return row.kind == kind and row.at > after and labels.get("alertname") == alert and row.subject == SERVICE


def _numbers(stage: Stage, timeline: Timeline, broken_at: float, healed_at: float, answered: bool) -> int:
    """The last line: the engine's stamp of the first death -> a subscriber (or, without a broker, the journal) has the
    alert about it -> the service answers again, asked from outside."""
    death = timeline.first("container.died", broken_at)
    alert = next((row for row in timeline.rows if _about(row, "alert.firing", SIGNAL, broken_at)), None)
    good = answered and stage.image_is_good()
    if death is None or alert is None:
        print("resurgam: the demo saw no death or no alert; nothing was proved", file=sys.stderr)
        return 1
    died_at = float(death.body["at"])
    told_at = timeline.heard_at.get((SERVICE, SIGNAL), alert.at)
    back_at = stage.healthy_since or healed_at
    verdict = "healthy again, on the image that had proved itself" if good else "NOT healthy"
    timeline.say(f"Seen from outside, the service is {verdict}.")
    print(
        f"death → alert {(told_at - died_at) * 1000:.0f} ms · alert → healthy again {back_at - told_at:.1f} s · "
        f"downtime {back_at - died_at:.1f} s",
        flush=True,
    )
    return 0 if good else 1


async def _start_daemon(config: Path, folder: Path) -> asyncio.subprocess.Process:
    log = (folder / "daemon.log").open("wb")
    env = {**os.environ, "RESURGAM_STATE_DIR": str(folder / "state")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "supervisor.cli.main", "run", "--config", str(config), stdout=log, stderr=log, env=env
    )


async def _ready(client: Client, daemon: asyncio.subprocess.Process, log: Path) -> None:
    for _ in range(200):
        if daemon.returncode is not None:
            said = await asyncio.to_thread(log.read_text)
            raise ResurgamError(f"the daemon ended at once: {said[-500:]}")
        with contextlib.suppress(ResurgamError):
            status = await asyncio.to_thread(client.get, "status")
            if status.get("status") not in (None, "recovering"):
                return
        await asyncio.sleep(0.05)
    raise ResurgamError("the daemon did not become ready in 10 s")


def _follow(client: Client, timeline: Timeline) -> None:
    """In a thread: the command line's client is a plain blocking one. It ends with the daemon."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(ResurgamError, RuntimeError):
            for document in client.stream("events", follow=1, after=0, all=1):
                loop.call_soon_threadsafe(timeline.row, document)

    threading.Thread(target=read, daemon=True).start()


async def _subscribe(state: Path, timeline: Timeline) -> None:
    """The view of any subscriber, through the managed broker's unix socket; nothing where there is no broker."""
    import aiomqtt

    socket, secret = state / "bus" / "mqtt.sock", state / "bus" / "listener.password"
    for _ in range(100):
        if socket.exists() and secret.exists():
            break
        await asyncio.sleep(0.05)
    else:
        timeline.say("No broker was found (mosquitto is not installed), so there is no subscriber's view.")
        return
    password = (await asyncio.to_thread(secret.read_text)).strip()
    who: dict[str, Any] = {"transport": "unix", "identifier": "resurgam-demo-view", "username": "listener"}
    try:
        async with aiomqtt.Client(str(socket), password=password, **who) as subscriber:
            await subscriber.subscribe("resurgam/demo/event/#", qos=1)
            async for message in subscriber.messages:
                timeline.heard(message.topic.value, json.loads(bytes(message.payload)))
    except aiomqtt.MqttError as err:
        timeline.say(f"The subscriber's view ended: {err}")
