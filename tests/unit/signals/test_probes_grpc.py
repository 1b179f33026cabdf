"""gRPC probes against a real server in this process: the health service, the declared method, and what is broken."""

import asyncio
import importlib

import grpc
import pytest

from supervisor.clock import ManualClock
from supervisor.facts import Container, Needs
from supervisor.signals.probes import ServiceProber
from supervisor.signals.probes.grpc import health_request, health_status
from tests.support.grpc_server import NOT_SERVING, SERVING, GrpcServer, served

BOX = Container("a" * 64, "skill", "sha256:1", "skill:1", status="running", address="127.0.0.1")
METHOD = "/skills.Health/Check"


async def ask(server: GrpcServer, service: str = "", method: str = ""):
    async with served(server):
        needs = Needs(probe=f"grpc://:{server.port}{service}", probe_from_label=True, probe_method=method)
        return await ServiceProber(ManualClock(), {}).probe(needs, BOX, 2.0)


@pytest.mark.parametrize(
    ("said", "ok", "words"),
    [
        (SERVING, True, "SERVING"),
        (NOT_SERVING, False, "NOT_SERVING"),
        (b"", False, "UNKNOWN"),
        (b"\x08\x03", False, "SERVICE_UNKNOWN"),
        (b"\x12\x03abc\x08\x01", True, "SERVING"),
        (b"\xff\xff", False, "cannot be read"),
    ],
)
async def test_the_health_service_decides(said, ok, words):
    found = await ask(GrpcServer(health={"": said}))
    assert (found.ok, found.broken) == (ok, False)
    assert words in found.text


async def test_one_service_of_several_can_be_named():
    server = GrpcServer(health={"": SERVING, "skills.Voice": NOT_SERVING})
    assert (await ask(server)).ok
    found = await ask(server, "/skills.Voice")
    assert (found.ok, found.broken, found.text) == (False, False, "NOT_SERVING")
    assert server.asked[-1][1] == b"\x0a\x0cskills.Voice"
    unknown = await ask(server, "/skills.Nothing")
    assert unknown.broken, "that it reports nothing about this name says nothing about the service"


async def test_without_the_health_service_the_declared_method_is_called_with_an_empty_message():
    server = GrpcServer(methods={METHOD: b"\x08\x02"})
    found = await ask(server, method=METHOD)
    assert (found.ok, found.broken) == (True, False)
    assert server.asked == [(METHOD, b"")]


async def test_without_a_declared_method_it_is_broken_and_says_what_to_declare():
    found = await ask(GrpcServer())
    assert (found.ok, found.broken) == (False, True)
    assert "probe-method: /skills.Health/Check" in found.text


async def test_a_method_that_is_not_there_is_broken():
    found = await ask(GrpcServer(), method="/skills.Health/Chekc")
    assert found.broken
    assert "/skills.Health/Chekc" in found.text


@pytest.mark.parametrize(
    ("code", "broken"),
    [
        (grpc.StatusCode.UNAVAILABLE, False),
        (grpc.StatusCode.INTERNAL, False),
        (grpc.StatusCode.UNAUTHENTICATED, True),
        (grpc.StatusCode.PERMISSION_DENIED, True),
    ],
)
@pytest.mark.parametrize("where", ["health", "method"])
async def test_a_failure_of_the_service_is_unwell_and_a_wanted_login_is_broken(code, broken, where):
    server = GrpcServer(fails=code) if where == "health" else GrpcServer(methods={METHOD: code})
    found = await ask(server, method=METHOD)
    assert (found.ok, found.broken) == (False, broken)
    assert code.name in found.text


async def test_nobody_listening_is_unwell(unused_tcp_port):
    found = await ServiceProber(ManualClock(), {}).probe(Needs(probe=f"grpc://:{unused_tcp_port}"), BOX, 2.0)
    assert (found.ok, found.broken) == (False, False)
    assert "UNAVAILABLE" in found.text


async def test_a_server_that_never_answers_does_not_hang_us():
    async def silent(reader, writer):
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await ServiceProber(ManualClock(), {}).probe(Needs(probe=f"grpc://:{port}"), BOX, 0.1)
    server.close()
    assert (found.ok, found.broken) == (False, False)


async def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    real = importlib.import_module

    def none(name, package=None):
        if name.startswith("grpc"):
            raise ModuleNotFoundError("No module named 'grpc'")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", none)
    found = await ServiceProber(ManualClock(), {}).probe(Needs(probe="grpc://:1"), BOX, 2.0)
    assert found.broken
    assert "pip install 'resurgam[grpc]'" in found.text


@pytest.mark.parametrize("name", ["", "a", "x" * 200, "grüße"])
def test_a_request_is_what_protobuf_makes_of_it(name):
    raw = name.encode()
    size = bytes([len(raw)]) if len(raw) < 128 else bytes([len(raw) & 0x7F | 0x80, len(raw) >> 7])
    assert health_request(name) == (b"\x0a" + size + raw if raw else b"")


@pytest.mark.parametrize("said", [b"\x08", b"\x08" + b"\xff" * 11, b"\x12\x7fabc", b"\x0b", b"\x0f\x01"])
def test_what_is_no_message_is_refused(said):
    with pytest.raises(ValueError, match=r"end|short|wire"):
        health_status(said)


def test_fields_that_are_not_known_are_skipped():
    assert health_status(b"\x15abcd\x19abcdefgh\x08\x01") == 1
