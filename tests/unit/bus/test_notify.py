"""The webhook notifier on a virtual clock, and once over a real loopback server."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from supervisor.bus.notify import Notifier
from supervisor.clock import ManualClock, SystemClock
from supervisor.config.settings import NotifySettings, WebhookSettings
from supervisor.journal import Journal, JournalThread
from supervisor.lab.loop import SimLoop

URL = "http://receiver.lan/hook?key=secret"


class Receiver:
    """Answers with what is in `answers` (then 200) and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int | Exception] = []
        self.got: list[tuple[Mapping[str, str], dict[str, Any]]] = []
        self.calls = 0

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> int:
        self.calls += 1
        await asyncio.sleep(0.01)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        if answer < 300:
            self.got.append((headers, json.loads(body)))
        return answer

    @property
    def kinds(self) -> list[str]:
        """What was told: the CloudEvent's type, or the alert's status."""
        return [body.get("type", body.get("status")) for _, body in self.got]


class Box:
    def __init__(self, severities: tuple[str, ...] = ("critical", "warning", "info"), token: str = "") -> None:
        self.clock = ManualClock()
        self.journal = Journal.open(None, self.clock)
        self.thread = JournalThread(self.journal)
        self.receiver = Receiver()
        webhook = WebhookSettings(url=URL, token_file=token)
        self.settings = NotifySettings(webhook=webhook, severity=severities)
        self.notifier: Notifier

    def write(self, kind: str, severity: str = "warning", public: bool = True) -> None:
        batch = self.journal.batch()
        alert = {"status": "firing", "labels": {"alertname": "X", "severity": severity}, "annotations": {"a": "b"}}
        body = {"alert": alert, "text": "it loops"} if kind.startswith("alert") else {"text": "done"}
        batch.row(kind, "oracle", body, self.clock.wall(), public)
        self.journal.commit(batch)
        self.notifier.knock()

    async def life(self, story: Callable[["Box"], Awaitable[None]]) -> None:
        """One life of the daemon."""
        self.notifier = Notifier(0, self.settings, self.thread, self.clock, "box", self.receiver)
        running = asyncio.ensure_future(self.notifier.run())
        await asyncio.sleep(0.1)
        await story(self)
        await self.notifier.close()
        assert running.done()

    def play(self, *stories: Callable[["Box"], Awaitable[None]]) -> None:
        loop = SimLoop(self.clock)
        for story in stories:
            loop.run_until_complete(self.life(story))


def test_alerts_go_as_alertmanager_sends_them_and_actions_as_cloud_events() -> None:
    async def story(box: Box) -> None:
        box.write("alert.firing")
        box.write("alert.pending", public=False)
        box.write("container.started")
        box.write("action.verified")
        await asyncio.sleep(1)
        headers, alert = box.receiver.got[0]
        assert headers["Content-Type"] == "application/json"
        assert (alert["version"], alert["status"], alert["commonLabels"]["alertname"]) == ("4", "firing", "X")
        assert alert["alerts"][0]["labels"]["severity"] == "warning"
        headers, action = box.receiver.got[1]
        assert headers["Content-Type"] == "application/cloudevents+json"
        assert (action["type"], action["subject"]) == ("resurgam.action.verified", "oracle")
        assert len(box.receiver.got) == 2

    Box().play(story)


def test_only_the_severities_asked_for_are_told() -> None:
    async def story(box: Box) -> None:
        box.write("alert.firing", "info")
        box.write("alert.firing", "critical")
        box.write("action.verified")
        box.write("action.failed")
        await asyncio.sleep(1)
        assert box.receiver.kinds == ["firing", "resurgam.action.failed"]

    Box(("critical",)).play(story)


def test_a_receiver_that_is_down_gets_everything_later_in_order() -> None:
    async def story(box: Box) -> None:
        box.receiver.answers = [503, OSError("refused"), TimeoutError(), 429]
        box.write("alert.firing")
        box.write("action.verified")
        await asyncio.sleep(0.05)
        assert "answers 503; it is tried again" in box.notifier.state.text
        assert "secret" not in box.notifier.state.text
        await asyncio.sleep(300)
        assert box.receiver.kinds == ["firing", "resurgam.action.verified"]
        assert (box.notifier.state.sent, box.notifier.state.text) == (2, "")

    Box().play(story)


def test_a_refused_message_is_given_up_and_said_without_the_address_secrets() -> None:
    async def story(box: Box) -> None:
        box.receiver.answers = [401]
        box.write("alert.firing")
        await asyncio.sleep(10)
        assert box.receiver.calls == 1
        assert box.notifier.state.given_up == 1
        assert "refuses our messages with 401" in box.notifier.state.text
        assert "secret" not in box.notifier.state.text
        box.write("action.verified")
        await asyncio.sleep(1)
        assert box.receiver.kinds == ["resurgam.action.verified"]

    Box().play(story)


def test_a_message_is_given_up_after_a_day_and_tried_ever_more_rarely() -> None:
    async def story(box: Box) -> None:
        box.receiver.answers = [500] * 100_000
        box.write("alert.firing")
        await asyncio.sleep(26 * 3600)
        assert box.notifier.state.given_up == 1
        assert box.receiver.calls < 6000

    Box().play(story)


def test_it_goes_on_where_it_was_after_a_restart_and_never_tells_history() -> None:
    async def first(box: Box) -> None:
        box.write("action.verified")
        await asyncio.sleep(1)
        box.receiver.answers = [500] * 3
        box.write("action.failed")
        await asyncio.sleep(0.05)

    async def second(box: Box) -> None:
        await asyncio.sleep(60)
        assert box.receiver.kinds == ["resurgam.action.verified", "resurgam.action.failed"]

    box = Box()
    batch = box.journal.batch()
    batch.row("action.refused", "oracle", {}, box.clock.wall(), True)
    box.journal.commit(batch)
    box.play(first, second)


async def test_over_real_http_with_a_token_that_is_read_from_its_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hush\n")
    token.chmod(0o600)
    got: list[tuple[str, dict[str, Any]]] = []
    arrived = asyncio.Event()

    async def hook(request: web.Request) -> web.Response:
        got.append((request.headers["Authorization"], await request.json()))
        arrived.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    clock = SystemClock()
    journal = Journal.open(tmp_path / "journal.db", clock)
    thread = JournalThread(journal)
    webhook = WebhookSettings(url=f"http://127.0.0.1:{port}/hook", token_file=str(token))
    notifier = Notifier(0, NotifySettings(webhook=webhook), thread, clock, "box")
    await thread.run(_begin, journal)
    running = asyncio.ensure_future(notifier.run())
    await thread.run(_write, journal, clock)
    notifier.knock()
    await asyncio.wait_for(arrived.wait(), 5.0)
    assert (got[0][0], got[0][1]["alerts"][0]["labels"]["alertname"]) == ("Bearer hush", "X")
    await notifier.close()
    assert running.done()
    await runner.cleanup()
    await thread.run(journal.close)
    thread.close()


def _begin(journal: Journal) -> None:
    batch = journal.batch()
    batch.put("meta", "notify/0", {"seq": 0})
    journal.commit(batch)


def _write(journal: Journal, clock: SystemClock) -> None:
    batch = journal.batch()
    batch.row("alert.firing", "oracle", {"alert": {"labels": {"alertname": "X"}}}, clock.wall(), True)
    journal.commit(batch)
