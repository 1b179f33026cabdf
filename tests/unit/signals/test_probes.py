"""Probes: what counts as well, what as unwell, and what says nothing about the service at all."""

import asyncio
import socket

import pytest
from aiohttp import web

from supervisor.clock import ManualClock
from supervisor.facts import Container, Needs
from supervisor.signals.probes import ServiceProber
from supervisor.signals.probes.answer import CannotAsk
from supervisor.signals.probes.target import target

BOX = Container("a" * 64, "oracle", "sha256:1", "oracle:1", status="running", address="127.0.0.1")


@pytest.fixture
async def server():
    """A server on a free port; `hits` counts what reached it."""
    hits = []

    async def answer(request):
        hits.append(request.path_qs)
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path == "/away":
            raise web.HTTPFound("http://192.0.2.1/")
        status = int(request.query.get("status", "200"))
        return web.Response(status=status, text="model is\nloading " + "x" * 5000)

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1], hits
    await runner.cleanup()


@pytest.fixture
async def prober():
    made = ServiceProber(ManualClock(), {})
    yield made
    await made.close()


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (301, True), (404, False), (503, False)])
async def test_the_status_decides(server, prober, status, ok):
    port, hits = server
    found = await prober.probe(Needs(probe=f"http://:{port}/health?status={status}", probe_from_label=True), BOX, 2.0)
    assert (found.ok, found.broken) == (ok, False)
    assert str(status) in found.text
    assert hits == [f"/health?status={status}"]


async def test_an_unhappy_answer_is_shown_short_and_on_one_line(server, prober):
    found = await prober.probe(Needs(probe=f"http://:{server[0]}/?status=503", probe_from_label=True), BOX, 2.0)
    assert "model is loading" in found.text
    assert len(found.text) <= 300
    assert "\n" not in found.text


async def test_a_redirect_is_an_answer_and_is_not_followed(server, prober):
    found = await prober.probe(Needs(probe=f"http://:{server[0]}/away", probe_from_label=True), BOX, 2.0)
    assert found.ok


async def test_no_answer_in_time_is_unwell(server, prober):
    found = await prober.probe(Needs(probe=f"http://:{server[0]}/slow", probe_from_label=True), BOX, 0.05)
    assert (found.ok, found.broken) == (False, False)
    assert "no answer within" in found.text


@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_nobody_listening_is_unwell_not_broken(server, prober, scheme, unused_tcp_port):
    found = await prober.probe(Needs(probe=f"{scheme}://:{unused_tcp_port}", probe_from_label=True), BOX, 2.0)
    assert (found.ok, found.broken) == (False, False)


async def test_an_open_port_is_well(server, prober):
    found = await prober.probe(Needs(probe=f"tcp://:{server[0]}", probe_from_label=True), BOX, 2.0)
    assert found.ok


@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_a_name_that_does_not_resolve_is_broken(prober, scheme, monkeypatch):
    async def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    found = await prober.probe(Needs(probe=f"{scheme}://no-such-host.invalid:80/", probe_from_label=False), BOX, 5.0)
    assert (found.ok, found.broken) == (False, True)


@pytest.mark.parametrize(
    "url",
    [
        "exec:/bin/true",
        "file:///etc/passwd",
        "http://",
        "tcp://:0",
        "tcp://host",
        "grpc://",
        "completion://",
        "http://:99999/",
        "http://:8000/\nHost: x",
        "http://user:secret@:8000/",
        "http://[::1/",
        "nonsense",
        "",
        "http://:8000/" + "x" * 3000,
    ],
)
async def test_what_cannot_be_asked_is_broken(prober, url):
    nowhere = Container("a", "a", "a", "a", address="")
    found = await prober.probe(Needs(probe=url), nowhere, 1.0)
    assert (found.ok, found.broken) == (False, True)
    assert found.text
    assert "secret" not in found.text


@pytest.mark.parametrize("host", ["192.0.2.1", "169.254.169.254", "localhost", "other"])
@pytest.mark.parametrize("scheme", ["http", "tcp", "grpc", "completion"])
def test_a_probe_from_a_label_reaches_no_other_host(scheme, host):
    url = f"{scheme}://{host}:8000"
    with pytest.raises(CannotAsk, match="may only reach its own container"):
        target(url, Container("a", "a", "a", "a", address="10.0.0.5"), own_only=True)
    assert target(url, BOX, own_only=False).host == host


def test_with_the_hosts_own_network_localhost_is_its_own():
    assert target("http://localhost:8000/", BOX, own_only=True).host == "localhost"


def test_a_host_left_out_is_the_container():
    found = target("tcp://:6333", Container("a", "a", "a", "a", address="fd00::5"), own_only=True)
    assert (found.host, found.port, found.own, found.netloc) == ("fd00::5", 6333, True, "[fd00::5]:6333")


async def test_proxies_of_the_environment_are_not_asked(server, prober, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")
    assert (await prober.probe(Needs(probe=f"http://:{server[0]}/", probe_from_label=True), BOX, 2.0)).ok
