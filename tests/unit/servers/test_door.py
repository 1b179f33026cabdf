"""The door to a model server: bounds, and what is said where no answer comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from aiohttp import web

from supervisor.errors import ServerError
from supervisor.servers import door
from supervisor.servers.door import Door
from tests.support.models import Handler, listening


@asynccontextmanager
async def at(handler: Handler) -> AsyncIterator[Door]:
    async with listening(handler) as port, door.session() as session:
        yield Door(session, f"http://127.0.0.1:{port}/")


async def test_a_question_with_a_body_and_headers() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(
            {"body": await request.json(), "key": request.headers["X-Admin-Key"], "to": request.path_qs}
        )

    async with at(handler) as one:
        said = await one.ask("POST", "/load?x=1", {"model": "ä"}, {"X-Admin-Key": "k"}, 60.0)
        assert (said.status, said.document) == (200, {"body": {"model": "ä"}, "key": "k", "to": "/load?x=1"})


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_what_is_no_json_is_text(status: int) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=b"\xff not json")

    async with at(handler) as one:
        said = await one.ask("GET", "/", None, {}, 60.0)
        assert (said.status, said.document) == (status, None)
        assert said.text.endswith("not json")


async def test_nested_beyond_all_measure_is_text() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=b"[" * 200_000)

    async with at(handler) as one:
        assert (await one.ask("GET", "/", None, {}, 60.0)).document is None


async def test_a_redirect_is_an_answer() -> None:
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with at(handler) as one:
        assert (await one.ask("GET", "/here", None, {"Authorization": "Bearer k"}, 60.0)).status == 302
        assert asked == ["/here"]


async def test_an_answer_without_end_is_not_read() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 1_000_000)
        except ConnectionError:
            return response

    async with at(handler) as one:
        with pytest.raises(ServerError, match="8 MiB"):
            await one.ask("GET", "/", None, {}, 60.0)


async def test_nobody_there_and_nobody_in_time_are_said_without_the_key() -> None:
    ends = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        await ends.wait()
        return web.Response()

    async with at(handler) as one:
        with pytest.raises(ServerError, match="did not answer within") as late:
            await one.ask("GET", "/", None, {"Authorization": "Bearer s3cret"}, 0.05)
        ends.set()
    with pytest.raises(ServerError) as gone:
        async with door.session() as session:
            await Door(session, "http://127.0.0.1:1").ask("GET", "/", None, {"Authorization": "Bearer s3cret"}, 60.0)
    assert "nothing listens there" in str(gone.value)
    assert "s3cret" not in f"{late.value}{gone.value}"


async def test_a_connection_that_breaks_is_an_error() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    async with at(handler) as one:
        with pytest.raises(ServerError):
            await one.ask("GET", "/", None, {}, 60.0)


async def test_events_come_one_by_one_however_they_are_cut() -> None:
    raw = b': ping\r\n\r\nevent: x\ndata: {"n": 1}\r\n\r\ndata:{"n": 2}\n\ndata: [DONE]\n\n'

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for byte in raw:
            await response.write(bytes([byte]))
        return response

    async with at(handler) as one:
        found = [said async for said in one.events("POST", "/", {}, {}, 60.0)]
        assert [said.document or said.text for said in found] == [{"n": 1}, {"n": 2}, "[DONE]"]


async def test_an_answer_that_is_no_stream_is_the_only_event() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"detail": "no such model"}, status=400)

    async with at(handler) as one:
        found = [said async for said in one.events("POST", "/", {}, {}, 60.0)]
        assert [(said.status, said.document) for said in found] == [(400, {"detail": "no such model"})]


async def test_an_event_without_end_is_given_up_and_a_stream_may_be_left() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        try:
            while True:
                await response.write(b"x" * 100_000)
        except ConnectionError:
            return response

    async with at(handler) as one:
        async with aclosing(one.events("POST", "/", {}, {}, 60.0)) as events:
            async for said in events:
                assert said.document == 1
                break
        with pytest.raises(ServerError, match="does not end"):
            assert [said async for said in one.events("POST", "/", {}, {}, 60.0)]


async def test_json_beyond_all_measure_is_text() -> None:
    """To take it apart would hold up everything else."""
    raw = b"[" + b"[]," * (door.LARGEST_JSON // 3) + b"0]"
    assert door.said(200, raw).document is None
    assert door.said(200, raw).text


async def test_a_server_that_repeats_the_key_tells_it_to_nobody() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/stream":
            return web.Response(body=f"data: {request.headers['X-Admin-Key']}\n\n", content_type="text/event-stream")
        return web.json_response({"error": f"not {request.headers['X-Admin-Key']}"}, status=401)

    async with listening(handler) as port, door.session() as session:
        one = Door(session, f"http://127.0.0.1:{port}/", hidden="s3cret-key")
        headers = {"X-Admin-Key": "s3cret-key"}
        said = await one.ask("GET", "/", None, headers, 60.0)
        assert (said.text, said.document) == ('{"error": "not ***"}', {"error": "not ***"})
        async with aclosing(one.events("GET", "/stream", None, headers, 60.0)) as events:
            assert [said.text async for said in events] == ["***"]
