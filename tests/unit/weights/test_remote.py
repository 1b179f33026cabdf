"""A header at an address, from a real web server on loopback: ranges, redirects, lies, no secret in a sentence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from supervisor.clock import SystemClock
from supervisor.facts import SlotModel, WeightsLook
from supervisor.weights import remote
from supervisor.weights.reader import WeightsReader
from tests.support.headers import key, model, part, safetensors

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Shelf:
    """What the server has, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        wanted = request.headers.get("Range", "")
        self.asked.append((name, wanted))
        if name in self.answers:
            return await self.answers[name](request)
        data = self.files.get(name)
        if data is None:
            raise web.HTTPNotFound
        if not wanted:
            self.sent += len(data)
            return web.Response(body=data)
        end = int(wanted.rpartition("-")[2])
        piece = data[: end + 1]
        self.sent += len(piece)
        headers = {"Content-Range": f"bytes 0-{len(piece) - 1}/{len(data)}"}
        return web.Response(status=206, body=piece, headers=headers)


@asynccontextmanager
async def shelf(**files: bytes) -> AsyncIterator[Shelf]:
    """A server with these files (`__` for a dot, since names are words here)."""
    made = Shelf({name.replace("__", "."): data for name, data in files.items()})
    app = web.Application()
    app.router.add_get("/{tail:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def look(url: str) -> WeightsLook:
    async with asyncio.timeout(60), remote.session() as session:
        return await remote.Remote(session).look(url)


async def test_a_header_costs_a_piece_and_not_the_file() -> None:
    async with shelf(m__gguf=model(data=40 << 20)) as server:
        found = await look(f"{server.url}/repo/m.gguf?download=true")
        assert (found.kind, found.architecture, found.quant) == ("gguf", "llama", "Q3_K_M")
        assert (found.files, found.parts, found.troubles) == (1, 1, ())
        assert found.bytes > 40 << 20
        assert server.sent <= remote.FIRST


async def test_a_large_vocabulary_takes_more_pieces() -> None:
    words = key("tokenizer.words", "[str]", ["x" * 400] * 10_000)
    data = model(extra=[words, key("llama.block_count", "u32", 9)])
    async with shelf(m__gguf=data) as server:
        assert (await look(f"{server.url}/m.gguf")).layers == 9
        assert [wanted for _name, wanted in server.asked] == ["bytes=0-1048575", "bytes=0-4194303"]


async def test_all_parts_are_asked_for_and_only_the_first_is_read() -> None:
    names = [f"m-{number:05d}-of-00006.gguf" for number in range(1, 7)]
    async with shelf() as server:
        server.files = {name: part(number, 6, 6) for number, name in enumerate(names, 1)}
        found = await look(f"{server.url}/{names[3]}")
        assert (found.files, found.parts, found.architecture, found.troubles) == (6, 6, "deepseek2", ())
        assert found.bytes == len(server.files[names[0]]) + 5 * len(server.files[names[1]])
        assert sorted(wanted for _name, wanted in server.asked) == ["bytes=0-0"] * 5 + ["bytes=0-1048575"]
        del server.files[names[4]]
        again = await look(f"{server.url}/{names[0]}")
        assert again.troubles == (f"1 part is not there: {names[4]}",)


async def test_safetensors_with_an_index_and_a_config() -> None:
    index = b'{"metadata": {"total_size": 5000}, "weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}'
    async with shelf(config__json=b'{"model_type": "qwen3"}', m__safetensors=safetensors({"a": (0, 9)}, 9)) as server:
        server.files["model.safetensors.index.json"] = index
        found = await look(f"{server.url}/model.safetensors.index.json")
        assert (found.kind, found.files, found.bytes, found.architecture) == ("safetensors", 2, 5000, "qwen3")
        single = await look(f"{server.url}/m.safetensors")
        assert (single.kind, single.architecture, single.troubles) == ("safetensors", "qwen3", ())


async def test_a_server_that_knows_no_ranges_is_read_no_further() -> None:
    data = model(data=30 << 20)
    async with shelf() as server:

        async def whole(request: web.Request) -> web.StreamResponse:
            return web.Response(body=data)

        server.answers["m.gguf"] = whole
        found = await look(f"{server.url}/m.gguf")
        assert (found.architecture, found.bytes, found.troubles) == ("llama", len(data), ())


async def test_a_server_that_never_ends_is_left() -> None:
    data = model()
    async with shelf() as server:

        async def endless(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(data)
            while True:
                await answer.write(b"\0" * 65_536)

        server.answers["m.gguf"] = endless
        assert (await look(f"{server.url}/m.gguf")).architecture == "llama"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("m.gguf", b"<html>please log in</html>" * 40, "is no safetensors file"),
        ("m.gguf", model()[:-1], "is cut: it has"),
        ("m.gguf", model()[:100], "is cut: it ends within its header"),
        ("m-00001-of-00002.gguf", part(1, 3, 3), "says that there are 3 parts, and its name says 2"),
    ],
)
async def test_what_is_wrong_there_is_said(name: str, data: bytes, words: str) -> None:
    async with shelf() as server:
        server.files[name] = data
        (trouble,) = (await look(f"{server.url}/secret-token/{name}?sig=hush")).troubles
        assert words in trouble
        assert trouble.startswith(f"127.0.0.1/…/{name} ")


async def test_no_sentence_repeats_what_may_be_a_secret() -> None:
    async with shelf() as server:
        gone = await look(f"{server.url}/hush/m.gguf?token=hush")
        assert gone.troubles == ("127.0.0.1/…/m.gguf is not there",)

        async def locked(request: web.Request) -> web.StreamResponse:
            return web.Response(status=401, text="hush")

        server.answers["m.gguf"] = locked
        said = await look(f"{server.url}/hush/m.gguf?token=hush")
        assert said.notes == ("127.0.0.1/…/m.gguf cannot be asked: the server says 401",)
    unheard = await look(f"{server.url}/hush/m.gguf?token=hush")
    assert unheard.notes == ("127.0.0.1/…/m.gguf cannot be asked: nothing answers there",)
    assert unheard.troubles == (), "that says nothing of the file"


async def test_redirects_are_followed_and_bounded() -> None:
    async with shelf(blob=model()) as server:

        async def moved(request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound("/cdn/blob")

        async def loops(request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(str(request.rel_url))

        async def elsewhere(request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound("file:///etc/passwd")

        server.answers = {"m.gguf": moved, "loop.gguf": loops, "out.gguf": elsewhere}
        assert (await look(f"{server.url}/m.gguf")).architecture == "llama"
        assert "without an end" in (await look(f"{server.url}/loop.gguf")).notes[0]
        assert "leads to no address" in (await look(f"{server.url}/out.gguf")).notes[0]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]",
        "printer.local",
        "localhost.",
        "2130706433",
        "0x7f.1",
        "127.1",
    ],
)
def test_a_redirect_from_outside_never_leads_into_the_house(host: str) -> None:
    with pytest.raises(remote.Unreachable, match="leads into this network"):
        remote._next("https://models.example/m.gguf", f"https://{host}/m.gguf", False)
    assert remote._next("https://10.0.0.9/m.gguf", f"https://{host}/m.gguf", True), "from inside it may"


def test_a_redirect_gives_up_no_encryption() -> None:
    with pytest.raises(remote.Unreachable, match="from https to http"):
        remote._next("https://models.example/m.gguf", "http://models.example/m.gguf", False)


async def test_a_server_that_lies_about_the_range() -> None:
    async with shelf() as server:

        async def other(request: web.Request) -> web.StreamResponse:
            return web.Response(status=206, body=b"GGUF", headers={"Content-Range": "bytes 5-9/10"})

        server.answers["m.gguf"] = other
        assert "another range than was asked for" in (await look(f"{server.url}/m.gguf")).notes[0]


async def test_a_size_beyond_all_measure_is_none() -> None:
    async with shelf() as server:
        whole = model()

        async def vast(request: web.Request) -> web.StreamResponse:
            size = "9" * 4_000
            return web.Response(status=206, body=whole, headers={"Content-Range": f"bytes 0-{len(whole) - 1}/{size}"})

        server.answers["m.gguf"] = vast
        found = await look(f"{server.url}/m.gguf")
        assert (found.architecture, found.bytes) == ("llama", 0)


async def test_the_reader_asks_the_source_only_where_no_file_is_here(tmp_path) -> None:  # type: ignore[no-untyped-def]
    reader = WeightsReader(SystemClock())
    async with shelf(m__gguf=model("qwen3")) as server:
        here = tmp_path / "m.gguf"
        wanted = SlotModel("q", files=(str(here),), source=f"{server.url}/m.gguf")
        absent = await reader.look(wanted)
        assert absent.architecture == "qwen3"
        assert absent.troubles == (f"{here} is not there; it was looked for at its source",)
        here.write_bytes(model("llama"))
        asked = len(server.asked)
        found = await reader.look(wanted)
        assert (found.architecture, found.troubles) == ("llama", ())
        assert len(server.asked) == asked
    assert await reader.look(SlotModel("none")) == WeightsLook()
    reader.close()
