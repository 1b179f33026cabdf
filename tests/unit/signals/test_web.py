"""How servers are reached, by probes and by scrapes alike: whose address it is, and why there was no answer."""

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web as server

from supervisor.clock import SystemClock
from supervisor.facts import Needs
from supervisor.signals.probes import ServiceProber
from supervisor.signals.scrapes.fetch import Unread, Web
from supervisor.signals.scrapes.target import Target
from supervisor.signals.web import elsewhere, failed, netloc
from tests.support.certificates import Authority

LATE = 60.0


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a server whose certificate nobody trusts."""
    Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "ca.key")
    runner = server.AppRunner(server.Application(), shutdown_timeout=0.01)
    await runner.setup()
    await server.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def probed(address: str) -> tuple[bool, str]:
    prober = ServiceProber(SystemClock(), {})
    try:
        result = await prober.probe(Needs(probe=address), None, LATE)
    finally:
        await prober.close()
    assert not result.ok
    return result.broken, result.text


async def scraped(address: str) -> str:
    pages = Web()
    try:
        with pytest.raises(Unread) as caught:
            await pages.page(Target("scrape:a:b", "a", "b", address, timeout=LATE))
    finally:
        await pages.close()
    return str(caught.value)


async def test_a_certificate_that_nobody_trusts_is_called_that(stranger: int) -> None:
    address = f"https://127.0.0.1:{stranger}/health"
    said = f"the certificate of 127.0.0.1:{stranger} is not trusted here: self-signed certificate"
    broken, text = await probed(address)
    assert broken, "whether the service is well is not known"
    assert text.replace("self signed", "self-signed") == said
    assert (await scraped(address)).replace("self signed", "self-signed") == said


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = f"nothing listens on 127.0.0.1:{port}"
        assert await probed(f"http://127.0.0.1:{port}/") == (False, said)
        assert await scraped(f"http://127.0.0.1:{port}/") == said


def test_what_is_no_address_and_what_broke_off() -> None:
    text, broken = failed(aiohttp.InvalidURL("http://a b/"), "http://a b/")
    assert broken
    assert text.startswith("'http://a b/' is not an address")
    assert failed(aiohttp.ServerDisconnectedError(), "http://a/") == ("Server disconnected", False)
    assert failed(OSError(), "http://a/") == ("OSError", False)


@pytest.mark.parametrize(
    ("host", "address", "want"),
    [
        ("", "10.0.0.2", False),
        ("10.0.0.2", "10.0.0.2", False),
        ("localhost", "127.0.0.1", False),
        ("localhost", "10.0.0.2", True),
        ("10.0.0.3", "10.0.0.2", True),
        ("10.0.0.3", "", True),
    ],
)
def test_a_host_in_a_label_is_the_container_itself_or_elsewhere(host: str, address: str, want: bool) -> None:
    assert elsewhere(host, address) is want


def test_an_address_of_version_6_has_brackets() -> None:
    assert netloc("::1", 80) == "[::1]:80"
    assert netloc("oracle", 80) == "oracle:80"
