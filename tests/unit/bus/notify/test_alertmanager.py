"""The outlet to an Alertmanager: what fires, again and again, from the snapshot."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from supervisor.bus.notify.alertmanager import Outlet
from supervisor.clock import ManualClock
from supervisor.config.settings import NotifySettings
from supervisor.facts import Alert
from supervisor.lab.loop import SimLoop
from supervisor.web.inlet import read
from tests.support.bus import snapshot

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def is_postable(alert: dict[str, Any]) -> bool:
    """By `postableAlert` of the API v2: required labels, texts only, valid names, RFC 3339 times."""
    assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    assert alert["labels"]
    for part in ("labels", "annotations"):
        for name, value in alert[part].items():
            assert LABEL.fullmatch(name)
            assert isinstance(value, str)
            assert value
    return seconds(alert["startsAt"]) <= seconds(alert["endsAt"])


class Box:
    def __init__(self, **entry: Any) -> None:
        self.clock = ManualClock()
        self.answers: list[int | Exception] = []
        self.got: list[tuple[float, list[dict[str, Any]]]] = []
        about = {"url": "http://am:9093/", "every": "60s"}
        settings = NotifySettings(alertmanager=about, **entry)
        labels = {"site": "home"}
        self.outlet = Outlet(0, settings, self.clock, "box", "http://box", labels, self.post)
        self.begun = self.clock.wall()
        self.calls = 0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> int:
        assert url == "http://am:9093/api/v2/alerts"
        assert headers["Content-Type"] == "application/json"
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        if answer == 200:
            self.got.append((round(self.clock.wall() - self.begun), json.loads(body)))
        return answer

    def show(self, *names: str, severity: str = "warning", value: float = 1.0, **changes: str) -> None:
        def one(name: str) -> Alert:
            labels = {"alertname": name, "severity": severity, "name": "oracle", "empty": ""}
            notes = {"summary": "s", "n": ""}
            alert = Alert(f"fp-{name}", name, "firing", labels, notes, value, self.begun, self.begun)
            return replace(alert, **changes)  # type: ignore[arg-type]

        self.outlet.show(snapshot(alerts=tuple(one(name) for name in names)))

    def firing(self, index: int) -> list[str]:
        at, body = self.got[index]
        now = self.begun + at
        return [one["labels"]["alertname"] for one in body if seconds(one["endsAt"]) > now + 1]

    def play(self, story: Callable[["Box"], Awaitable[None]]) -> None:
        async def life() -> None:
            running = asyncio.ensure_future(self.outlet.run())
            await asyncio.sleep(0.1)
            await story(self)
            await self.outlet.close()
            assert running.done()

        SimLoop(self.clock).run_until_complete(life())


def test_what_fires_is_told_at_once_and_again_and_again() -> None:
    async def story(box: Box) -> None:
        box.show()
        await asyncio.sleep(10)
        assert box.got == []
        box.show("A", "B")
        await asyncio.sleep(2)
        ((at, body),) = box.got
        assert at == 11
        assert all(is_postable(one) for one in body)
        (first, _) = body
        assert first["labels"] == {
            "alertname": "A",
            "severity": "warning",
            "name": "oracle",
            "host": "box",
            "site": "home",
        }
        assert (first["annotations"], first["generatorURL"]) == ({"summary": "s"}, "http://box")
        assert seconds(first["endsAt"]) == pytest.approx(box.begun + 11 + 240, abs=1.5)
        await asyncio.sleep(180)
        assert [at for at, _ in box.got] == [11, 71, 131, 191]
        assert box.outlet.state.sent == 4

    Box().play(story)


def test_what_ended_is_told_so_a_few_times_and_a_value_alone_is_no_news() -> None:
    async def story(box: Box) -> None:
        box.show("A", "B")
        await asyncio.sleep(65)
        before = len(box.got)
        box.show("A", "B", value=2.0)
        await asyncio.sleep(5)
        assert len(box.got) == before
        box.show("B")
        await asyncio.sleep(2)
        assert box.firing(-1) == ["B"]
        assert [one["labels"]["alertname"] for one in box.got[-1][1]] == ["B", "A"]
        assert all(is_postable(one) for one in box.got[-1][1])
        await asyncio.sleep(300)
        about_a = [body for _, body in box.got if any(one["labels"]["alertname"] == "A" for one in body)]
        ended = [body for body in about_a if len(body) == 2 and body[-1]["labels"]["alertname"] == "A"]
        assert len(ended) == 3
        box.show("A", "B")
        await asyncio.sleep(2)
        assert sorted(box.firing(-1)) == ["A", "B"]

    Box().play(story)


def test_our_own_inlet_which_reads_what_an_alertmanager_reads_takes_it() -> None:
    async def story(box: Box) -> None:
        box.show("A")
        await asyncio.sleep(2)
        box.show()
        await asyncio.sleep(2)
        (fires,), (ended,) = (read(body) for _, body in box.got)
        assert (fires.labels["alertname"], fires.labels["host"]) == ("A", "box")
        assert fires.ends_at > box.clock.wall() + 200
        assert ended.ends_at <= box.clock.wall()

    Box().play(story)


def test_only_alerts_of_our_own_that_fire_and_are_asked_for_and_many_in_pieces() -> None:
    async def story(box: Box) -> None:
        box.show("A", severity="info")
        await asyncio.sleep(61)
        box.show("A", state="pending", severity="critical")
        await asyncio.sleep(61)
        box.show("A", origin="outside", severity="critical")
        await asyncio.sleep(61)
        assert box.got == []
        box.show(*(f"A{number}" for number in range(130)), severity="critical")
        await asyncio.sleep(2)
        assert [len(body) for _, body in box.got] == [64, 64, 2]

    Box(severity=("critical",)).play(story)


def test_one_that_is_down_is_tried_again_soon_and_said() -> None:
    async def story(box: Box) -> None:
        box.show("A")
        box.answers = [OSError("refused"), 503, 400]
        await asyncio.sleep(5)
        assert "http://am:9093 refuses" in box.outlet.state.text
        await asyncio.sleep(30)
        assert box.firing(0) == ["A"]
        assert box.outlet.state.text == ""
        assert (box.outlet.state.sent, box.outlet.state.given_up) == (1, 1)

    Box().play(story)


def test_an_end_that_could_not_be_told_is_told_later() -> None:
    async def story(box: Box) -> None:
        box.show("A")
        await asyncio.sleep(2)
        box.answers = [503] * 4
        box.show()
        await asyncio.sleep(90)
        ends = [body for _, body in box.got[1:] if body]
        assert ends
        assert all(one["labels"]["alertname"] == "A" for body in ends for one in body)
        assert box.firing(-1) == []

    Box().play(story)
