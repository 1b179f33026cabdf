"""The TCP door: metrics and health, to those who call it by a name of ours."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import aiohttp
import pytest

from supervisor.facts import EngineState, Labels
from supervisor.web.server import Server, bare_host, host_allowed
from tests.support.boxes import NOW
from tests.support.house import FakeHouse, series


@pytest.fixture
async def house() -> FakeHouse:
    return FakeHouse()


@pytest.fixture
async def url(house: FakeHouse) -> AsyncIterator[str]:
    server = Server(house, "127.0.0.1", 0)
    assert await server.start() == ""
    yield f"http://127.0.0.1:{server.port}"
    await server.close()


async def get(url: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, response.headers["Content-Type"], await response.text()


async def test_metrics_shows_the_series_of_the_store(url: str, house: FakeHouse) -> None:
    house.series.append((series("resurgam_container_deaths_total", name='evil"\n{}'), 1.0))
    status, kind, text = await get(url + "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert "# TYPE resurgam_container_deaths_total counter" in text
    assert 'resurgam_container_deaths_total{name="oracle"} 3.0' in text
    assert 'name="evil\\"\\n{}"' in text
    assert "node_memory_MemTotal_bytes 4e+011" in text or "node_memory_MemTotal_bytes 4e+11" in text
    assert "python_gc" not in text


async def test_metrics_speaks_openmetrics_when_asked(url: str) -> None:
    _status, kind, text = await get(url + "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert "openmetrics-text" in kind
    assert text.endswith("# EOF\n")


async def test_a_series_no_exposition_can_hold_is_left_out(url: str, house: FakeHouse) -> None:
    house.series += [(series("bad name"), 1.0), (series("ok", **{"bad-label": "x"}), 1.0), ((("x", "y"),), 1.0)]
    status, _kind, text = await get(url + "/metrics")
    assert status == 200
    assert "bad" not in text
    assert "deaths_total" in text


async def test_the_loop_answers_for_its_health(url: str) -> None:
    assert (await get(url + "/healthz"))[0] == 200


async def test_ready_needs_an_engine_and_rules(url: str, house: FakeHouse) -> None:
    assert (await get(url + "/readyz"))[0] == 200
    gone = EngineState(NOW, 1.0, "docker", False, "cannot connect to /var/run/docker.sock")
    house.now(engines=(gone,), rules=(), status="degraded")
    status, _kind, text = await get(url + "/readyz")
    assert status == 503
    assert "no container engine answers: cannot connect" in text
    assert "no rule is loaded" in text
    house.now(status="recovering")
    assert "recovering" in (await get(url + "/readyz"))[2]


async def test_nothing_can_be_done_through_this_door(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/metrics", "/v1/command", "/"):
            async with session.post(url + path, json={"verb": "stop", "target": "oracle"}) as response:
                assert response.status in (404, 405)


async def test_a_page_whose_name_was_rebound_to_us_reads_nothing(url: str) -> None:
    status, _kind, text = await get(url + "/metrics", Host="evil.example")
    assert status == 403
    assert "deaths" not in text
    assert (await get(url + "/metrics", Host="omni:9464"))[0] == 200


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1:9464", True),
        ("[::1]:9464", True),
        ("192.168.7.7", True),
        ("box", True),
        ("BOX:80", True),
        ("box.:80", True),
        ("box.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("1:2:3", False),
    ],
)
def test_addresses_are_fine_and_names_must_be_ours(header: str, allowed: bool) -> None:
    assert host_allowed(header, ("box",)) is allowed


def test_the_port_is_no_part_of_a_host() -> None:
    assert bare_host("[fe80::1]:80") == "fe80::1"
    assert bare_host("Box:80") == "box"


async def test_a_taken_port_is_a_warning_in_words(house: FakeHouse) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = Server(house, "127.0.0.1", taken.getsockname()[1])
        said = await server.start()
        assert "another program has it" in said
        assert "http.listen" in said
        assert server.port == 0
        await server.close()


async def test_a_snapshot_may_change_its_host_name(url: str, house: FakeHouse) -> None:
    house.snapshot = replace(house.snapshot, host="renamed")
    assert (await get(url + "/healthz", Host="renamed"))[0] == 200


async def test_what_is_not_there_is_said_in_json(url: str) -> None:
    status, kind, text = await get(url + "/nope")
    assert (status, kind.partition(";")[0]) == (404, "application/json")
    assert json.loads(text) == {"error": "GET /nope: Not Found"}


async def test_what_is_no_http_is_answered_and_leaves_no_traceback(url: str, caplog: pytest.LogCaptureFixture) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
    await writer.drain()
    assert b" 400 " in await reader.readline()
    writer.close()
    assert caplog.records == []


async def test_a_crowd_of_scrapers_shares_one_page_and_the_next_second_has_its_own(
    url: str, house: FakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    before = house.metrics

    def counted(now: float) -> Iterable[tuple[Labels, float]]:
        asked.append(now)
        return before(now)

    monkeypatch.setattr(house, "metrics", counted)
    pages = await asyncio.gather(*[get(url + "/metrics") for _ in range(20)])
    assert len(asked) == 1
    assert len(set(pages)) == 1
    house.series.append((series("resurgam_container_deaths_total", name="new"), 1.0))
    assert 'name="new"' not in (await get(url + "/metrics"))[2]
    house.clock.advance(1.0)
    assert 'name="new"' in (await get(url + "/metrics"))[2]
