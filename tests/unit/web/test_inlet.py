"""Where others hand in alerts: who may, what is taken, and what is said where it is not."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from supervisor.facts import Silence
from supervisor.web import inlet
from supervisor.web.inlet import LASTS, WEBHOOK_LASTS, read
from supervisor.web.server import Server
from tests.support.boxes import NOW, loop_alert
from tests.support.house import FakeHouse

ONE = {"labels": {"alertname": "ModelDown", "name": "oracle"}, "annotations": {"summary": "down"}}


@pytest.fixture
async def house() -> FakeHouse:
    return FakeHouse()


@pytest.fixture
async def url(house: FakeHouse, tmp_path: Path) -> AsyncIterator[str]:
    token = tmp_path / "token"
    token.write_text("sesame\n")
    token.chmod(0o600)
    server = Server(house, "127.0.0.1", 0, token_file=str(token))
    assert await server.start() == ""
    yield f"http://127.0.0.1:{server.port}/api/v2/alerts"
    await server.close()


async def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"Content-Type": "application/json", "Authorization": "Bearer sesame"} | headers
    async with aiohttp.ClientSession() as session, session.post(url, data=data, headers=head) as response:
        return response.status, await response.json()


async def test_what_a_prometheus_sends_reaches_the_core(url: str, house: FakeHouse) -> None:
    sent = ONE | {
        "startsAt": "2026-05-01T06:00:00.5Z",
        "endsAt": "2026-05-01T06:04:00+00:00",
        "generatorURL": "http://p/",
    }
    assert await post(url, [sent]) == (200, {"taken": 1})
    (delivery,) = house.handed
    (taken,) = delivery.alerts
    assert (delivery.source, taken.labels, taken.annotations) == ("http", ONE["labels"], ONE["annotations"])
    assert (taken.starts_at, taken.ends_at, taken.lasts) == (1777615200.5, 1777615440.0, LASTS)


async def test_what_an_alertmanager_sends_to_a_webhook_reaches_the_core(url: str, house: FakeHouse) -> None:
    zero = "0001-01-01T00:00:00Z"
    fires = ONE | {"status": "firing", "startsAt": "2026-05-01T06:00:00Z", "endsAt": zero, "fingerprint": "ab"}
    over = ONE | {"status": "resolved", "endsAt": "2026-05-01T07:00:00Z"}
    assert (await post(url, {"version": "4", "status": "firing", "alerts": [fires, over]}))[0] == 200
    first, second = house.handed[0].alerts
    assert (first.ends_at, first.lasts, second.ends_at) == (0.0, WEBHOOK_LASTS, 1777618800.0)


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"Authorization": "Bearer wrong"}, 401, "http.token_file"),
        ({"Authorization": ""}, 401, "http.token_file"),
        ({"Authorization": "Basic sesame"}, 401, "http.token_file"),
        ({"Content-Type": "text/plain"}, 415, "application/json"),
        ({"Origin": "http://evil.example"}, 403, "not from web pages"),
        ({"Host": "evil.example"}, 403, "does not go by that name"),
    ],
)
async def test_who_may_not_is_told(url: str, house: FakeHouse, headers: dict[str, str], status: int, said: str) -> None:
    got, body = await post(url, [ONE], **headers)
    assert (got, said in body["error"], house.handed) == (status, True, [])


async def test_without_a_token_the_port_only_reads(house: FakeHouse) -> None:
    server = Server(house, "127.0.0.1", 0)
    await server.start()
    status, body = await post(f"http://127.0.0.1:{server.port}/api/v2/alerts", [ONE])
    await server.close()
    assert (status, "http.token_file" in body["error"], house.handed) == (403, True, [])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "this is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b" " * 3_000_000 + b"]", "at most 2097152 bytes"),
        ({"alerts": [ONE]}, "webhook of version 4"),
        ({"version": "4", "alerts": "x"}, "a list `alerts`"),
        ("x", "a list of alerts is wanted"),
        ([ONE] * 1001, "1001 alerts at once"),
        ([ONE, 1], "alert 1 is no object"),
        ([{"labels": {"name": "x"}}], "alert 0 has no label alertname"),
        ([{"labels": {"alertname": "x", "a-b": "c"}}], "'a-b' is no label name"),
        ([{"labels": {"alertname": "x", "__name__": "c"}}], "'__name__' is no label name"),
        ([{"labels": {"alertname": 1}}], "must be a text"),
        ([{"labels": {"alertname": "x" * 5000}}], "must be a text of at most 4096"),
        ([ONE | {"annotations": {f"a{n}": "x" for n in range(65)}}], "at most 64 texts"),
        ([ONE | {"annotations": {f"a{n}": "x" * 4000 for n in range(9)}}], "alert 0 has more than 32768 characters"),
        ([ONE | {"endsAt": "tomorrow"}], "endsAt is no time"),
        ([ONE | {"startsAt": 5}], "startsAt is no time"),
        ([ONE | {"endsAt": "NaN"}], "endsAt is no time"),
        ([ONE | {"status": "resolved"}], "has no endsAt"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_of_it_is_taken(
    url: str, house: FakeHouse, body: Any, said: str
) -> None:
    status, answer = await post(url, body)
    assert (status, house.handed) == (400, [])
    assert said in answer["error"]


async def test_a_body_that_does_not_come_holds_nobody_up(
    url: str, house: FakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inlet, "PATIENCE", 0.05)
    place = urlsplit(url)
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer sesame\r\nContent-Length: 1000\r\n\r\n["
    )
    slow = [await asyncio.open_connection(place.hostname, place.port) for _ in range(2 * inlet.AT_ONCE)]
    for _, writer in slow:
        writer.write(head.encode())
    try:
        assert await asyncio.wait_for(post(url, [ONE]), 5.0) == (200, {"taken": 1})
        assert b" 408 " in await asyncio.wait_for(slow[0][0].readline(), 5.0)
    finally:
        for _, writer in slow:
            writer.close()


async def test_what_fires_can_be_listed_as_an_alertmanager_does(url: str, house: FakeHouse) -> None:
    fires = replace(loop_alert(), labels={"name": "oracle"})
    muted = replace(fires, fingerprint="f2", labels={"name": "hermes"})
    waits = replace(fires, fingerprint="f3", state="pending")
    house.now(alerts=(fires, muted, waits), silences=(Silence("si-1", ('name="hermes"',), "me", "", NOW, NOW + 60),))
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        found = await response.json()
    assert [one["labels"]["name"] for one in found] == ["oracle", "hermes"]
    assert [one["status"]["state"] for one in found] == ["active", "suppressed"]
    assert found[1]["status"]["silencedBy"] == ["si-1"]


def test_an_empty_label_is_none() -> None:
    (taken,) = read([{"labels": {"alertname": "x", "name": ""}}])
    assert taken.labels == {"alertname": "x"}


def test_a_webhook_ends_an_alert_by_saying_so_and_no_time_lies_before_all_time() -> None:
    fires = ONE | {"status": "firing", "startsAt": "1960-01-01T00:00:00Z", "endsAt": "2026-05-01T06:30:00Z"}
    (taken,) = read({"version": "4", "alerts": [fires]})
    assert (taken.starts_at, taken.ends_at) == (0.0, 0.0)
