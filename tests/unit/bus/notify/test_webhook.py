"""What a webhook gets, byte for byte, and once over a real loopback server."""

import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from supervisor.bus.notify.message import Item, Message
from supervisor.bus.notify.sending import SendFailed, SendRefused
from supervisor.bus.notify.webhook import WebhookSender, alertmanager_body
from supervisor.config.settings import WebhookSettings
from supervisor.journal import Row
from supervisor.units import NEVER

URL = "http://receiver.lan/services/T0/secret-path?key=secret"


def alert(seq: int, name: str, kind: str = "firing", escalated: float = 0.0, /, **labels: str) -> Item:
    about = {
        "status": kind,
        "labels": {"alertname": name, "severity": "warning", **labels},
        "annotations": {"summary": f"{name} is bad", "runbook": "wiki"},
        "startsAt": "2026-01-01T00:00:00.000Z",
        "fingerprint": f"fp-{name}",
    }
    return Item.of(Row(seq, 1000.0, f"alert.{kind}", "oracle", {"alert": about, "text": "t"}, True, ""), escalated)


class Wire:
    """A POST that answers what it is told to."""

    def __init__(self, answer: int | Exception = 200) -> None:
        self.answer = answer
        self.got: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> int:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.got.append((url, headers, json.loads(body)))
        return self.answer


def sender(wire: Wire, token: str = "") -> WebhookSender:
    return WebhookSender(WebhookSettings(url=URL, token_file=token), "box", "ep", "http://box", wire)


def test_a_group_is_told_as_alertmanager_tells_it() -> None:
    items = (alert(3, "A", name="x"), alert(4, "B", "firing", 500.0, name="y"), alert(5, "C", "resolved", name="x"))
    body = alertmanager_body(Message("k", items=items, group_labels={"severity": "warning"}, truncated=2), "box", "u")
    assert {key: body[key] for key in ("version", "status", "receiver", "truncatedAlerts", "externalURL")} == {
        "version": "4",
        "status": "firing",
        "receiver": "resurgam",
        "truncatedAlerts": 2,
        "externalURL": "u",
    }
    assert (body["groupKey"], body["groupLabels"]) == ('{}:{severity="warning"}', {"severity": "warning"})
    assert (body["commonLabels"], body["commonAnnotations"]) == ({"severity": "warning"}, {"runbook": "wiki"})
    assert [one["status"] for one in body["alerts"]] == ["firing", "firing", "resolved"]
    first = body["alerts"][0]
    assert set(first) >= {
        *("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"),
    }
    assert (first["endsAt"], "escalated" in first) == (NEVER, False)
    assert body["alerts"][1]["escalated"] == "1970-01-01T00:08:20.000Z"
    ended = alertmanager_body(Message("k", items=(items[2],)), "box")
    assert (ended["status"], ended["commonLabels"]["name"]) == ("resolved", "x")


async def test_alerts_are_plain_json_and_actions_cloud_events_with_a_key_of_their_own() -> None:
    wire = Wire()
    await sender(wire).send(Message("ep-3", items=(alert(3, "A"),)))
    await sender(wire).send(Message("ep-4", action=Row(4, 0.0, "action.verified", "oracle", {"plan": 1}, True, "")))
    (_, first, body), (_, second, event) = wire.got
    assert (first["Content-Type"], first["Idempotency-Key"]) == ("application/json", "ep-3")
    assert (body["version"], body["host"], body["externalURL"]) == ("4", "box", "http://box")
    assert (second["Content-Type"], second["Idempotency-Key"]) == ("application/cloudevents+json", "ep-4")
    assert (event["type"], event["id"], event["subject"]) == ("resurgam.action.verified", "ep-4", "oracle")


@pytest.mark.parametrize(
    "answer", [500, 503, 408, 425, 429, OSError("no route"), TimeoutError(), aiohttp.ClientError(f"to {URL}")]
)
async def test_what_may_work_later_is_told_so_without_the_secrets(answer: int | Exception) -> None:
    with pytest.raises(SendFailed) as caught:
        await sender(Wire(answer)).send(Message("k", items=(alert(3, "A"),)))
    assert "http://receiver.lan cannot" in str(caught.value) or "http://receiver.lan answers" in str(caught.value)
    assert "it is tried again" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_why_nobody_can_be_told_is_said_in_words() -> None:
    with pytest.raises(SendFailed, match=r"http://receiver.lan cannot be told: it did not answer within \d+ s; it is"):
        await sender(Wire(TimeoutError())).send(Message("k", items=(alert(3, "A"),)))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = WebhookSender(WebhookSettings(url=f"http://127.0.0.1:{closed.getsockname()[1]}/x"), "box", "ep")
        with pytest.raises(SendFailed, match="cannot be told: nothing answers there; it is tried again"):
            await nobody.send(Message("k", items=(alert(3, "A"),)))
        await nobody.close()


@pytest.mark.parametrize("answer", [301, 400, 401, 404, 413])
async def test_what_will_never_work_is_refused(answer: int) -> None:
    with pytest.raises(SendRefused, match=f"refuses our messages with {answer}; check notify:") as caught:
        await sender(Wire(answer)).send(Message("k", items=(alert(3, "A"),)))
    assert "secret" not in str(caught.value)


async def test_a_token_that_cannot_be_read_is_told_and_may_come_back(tmp_path: Path) -> None:
    wire = Wire()
    tells = sender(wire, str(tmp_path / "token"))
    with pytest.raises(SendFailed, match="cannot be read"):
        await tells.send(Message("k", items=(alert(3, "A"),)))
    (tmp_path / "token").write_text("hush\n")
    (tmp_path / "token").chmod(0o600)
    await tells.send(Message("k", items=(alert(3, "A"),)))
    assert wire.got[0][1]["Authorization"] == "Bearer hush"


async def test_over_real_http() -> None:
    got: list[tuple[str, dict[str, Any]]] = []

    async def hook(request: web.Request) -> web.Response:
        got.append((request.headers["Idempotency-Key"], await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tells = WebhookSender(WebhookSettings(url=f"http://127.0.0.1:{runner.addresses[0][1]}/hook"), "box", "ep")
    async with asyncio.timeout(5):
        await tells.send(Message("ep-3", items=(alert(3, "A"),)))
    await tells.close()
    await runner.cleanup()
    assert [(key, body["alerts"][0]["labels"]["alertname"]) for key, body in got] == [("ep-3", "A")]
