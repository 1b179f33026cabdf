"""The header of a file that is not here yet, by a few ranges of its address; the weights are never fetched.

From: reader.py, for a model whose `source` is declared. To: the web server there. It is not ours: what it says is
bounded and held against what a header can be; it leads nobody from the open net to this machine or into the house; and
no sentence of ours repeats more of the address than its host and the file's name, since the rest may hold a token.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp

from supervisor import http
from supervisor.facts import WeightsLook
from supervisor.units import plain, show_size
from supervisor.weights import gguf, safetensors, sharded
from supervisor.weights.header import BadHeader, Header, Short, Window

FIRST, MOST = 1 << 20, 64 << 20
"""bytes that are fetched at first, and at most: a large vocabulary has some 10 MB"""
AT_ONCE, MOST_HOPS = 4, 5
_LARGEST = 1 << 60
"""bytes: no file is larger"""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_OK, _PARTIAL, _MOVED = 200, 206, (301, 302, 303, 307, 308)
_GONE = (404, 410)


class Unreachable(Exception):
    """It could not be asked: that says nothing of the file. Its text goes on after its name."""


class Missing(Exception):
    """There is no such file at that address."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """The beginning of a file, and its size (0 where the server does not say)."""

    data: bytes
    size: int


class Remote:
    """One look at an address, with one session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def look(self, source: str) -> WeightsLook:
        """What the headers say. Never raises but for cancellation."""
        where, name = shown(source), _name(source)
        try:
            if name.endswith(".json"):
                return await self._indexed(source)
            return await self._parts(source, name)
        except (BadHeader, Missing) as err:
            return WeightsLook(troubles=(f"{where} {err}",))
        except Unreachable as err:
            return WeightsLook(notes=(f"{where} {err}",))

    async def _parts(self, source: str, name: str) -> WeightsLook:
        """A file, and the others where it is a part: of those, only whether they are there, and how large."""
        part = sharded.part_of(name)
        names = part.names() if part is not None else (name,)
        first = _beside(source, names[0])
        header, size = await self._header(first)
        sizes, missing, notes = [size], [], list(header.notes)
        if header.end > size > 0:
            raise BadHeader(f"is cut: it has {show_size(size)} of {show_size(header.end)}")
        if header.parts and header.parts != len(names):
            raise BadHeader(f"says that there are {header.parts} parts, and its name says {len(names)}")
        for batch in range(1, len(names), AT_ONCE):
            asked = names[batch : batch + AT_ONCE]
            found = await asyncio.gather(*(self._size(_beside(source, one)) for one in asked))
            for one, known in zip(asked, found, strict=True):
                if known is None:
                    missing.append(one)
                sizes.append(known or 0)
        if 0 in sizes and not missing:
            notes.append("the server does not say how large each part is")
        config = await self._config(source) if header.kind != "gguf" else safetensors.Config()
        few = "1 part is" if len(missing) == 1 else f"{len(missing)} parts are"
        troubles = [f"{few} not there: {', '.join(missing[:4])}"] if missing else []
        return _look(header, config, len(names) - len(missing), len(names), _total(sizes), troubles, notes)

    async def _indexed(self, source: str) -> WeightsLook:
        text = await self._whole(source, safetensors.MOST_INDEX)
        names, size = safetensors.index_files(text)
        config = await self._config(source)
        return _look(Header("safetensors"), config, len(names), len(names), size, [], [])

    async def _config(self, source: str) -> safetensors.Config:
        try:
            return safetensors.config(await self._whole(_beside(source, sharded.CONFIG), safetensors.MOST_CONFIG))
        except (BadHeader, Unreachable, Missing):
            return safetensors.Config()

    async def _header(self, url: str) -> tuple[Header, int]:
        """The header of one file, with as many bytes of it as are needed."""
        wanted = FIRST
        while True:
            piece = await self._fetch(url, wanted)
            size = piece.size or MOST * 1024
            try:
                return await asyncio.to_thread(_read, piece.data, size), piece.size
            except Short as err:
                if wanted >= MOST or err.needed > MOST or len(piece.data) < wanted:
                    raise
                wanted = min(max(wanted * 4, err.needed), MOST)

    async def _whole(self, url: str, most: int) -> bytes:
        piece = await self._fetch(url, most + 1, whole=True)
        if len(piece.data) > most:
            raise BadHeader(f"is larger than {most >> 20} MiB")
        return piece.data

    async def _size(self, url: str) -> int | None:
        """Bytes of a file, 0 where the server does not say, None where there is none."""
        try:
            return (await self._fetch(url, 1)).size
        except Missing:
            return None

    async def _fetch(self, url: str, count: int, *, whole: bool = False) -> _Piece:
        """The first bytes of a file. `whole`: without asking for a range."""
        headers = {} if whole else {"Range": f"bytes=0-{count - 1}"}
        home = urlsplit(url)
        for _ in range(MOST_HOPS):
            try:
                async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                    if answer.status not in _MOVED:
                        return await _taken(answer, count)
                    url = _next(url, answer.headers.get("Location", ""), inside(home.hostname or ""))
            except (aiohttp.ClientError, OSError, ValueError) as err:
                raise Unreachable(f"cannot be asked: {plain(_why(err), 200)}") from None
        raise Unreachable("leads from one address to the next without an end")


def session() -> aiohttp.ClientSession:
    """One for a look."""
    return http.session(AT_ONCE)


async def _taken(answer: aiohttp.ClientResponse, count: int) -> _Piece:
    """At most `count` bytes of an answer, whatever it sends."""
    if answer.status in _GONE:
        raise Missing("is not there")
    if answer.status not in (_OK, _PARTIAL):
        raise Unreachable(f"cannot be asked: the server says {answer.status}")
    size = answer.content_length or 0
    if answer.status == _PARTIAL:
        match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or match[1] != "0":
            raise Unreachable("cannot be asked: the server sends another range than was asked for")
        size = int(match[3])
    size = size if size < _LARGEST else 0
    data = bytearray()
    async for piece in answer.content.iter_chunked(1 << 16):
        data += piece[: count - len(data)]
        if len(data) >= count:
            break
    return _Piece(bytes(data), size)


def _read(data: bytes, size: int) -> Header:
    window = Window(lambda offset, count: data[offset : offset + count], size)
    return gguf.read(window) if data[:4] == gguf.MAGIC else safetensors.read(window)


def _next(url: str, location: str, home: bool) -> str:
    """Where a redirect leads; Unreachable where it must not."""
    there = urljoin(url, location)
    parts = urlsplit(there)
    if not location or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable("leads to no address")
    if urlsplit(url).scheme == "https" and parts.scheme != "https":
        raise Unreachable("leads from https to http, which is not followed")
    if inside(parts.hostname) and not home:
        raise Unreachable("leads into this network, which is not followed")
    return there


def inside(host: str) -> bool:
    """Whether a host is plainly this machine or one of its own network."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    try:
        return not ipaddress.ip_address(socket.inet_aton(host)).is_global  # `127.1`, `2130706433`: as sockets read it
    except OSError:
        return False


def _beside(source: str, name: str) -> str:
    """The address of another file in the same folder there; a query (a signature, a revision) is kept."""
    parts = urlsplit(source)
    return urlunsplit(parts._replace(path=f"{parts.path.rpartition('/')[0]}/{name}"))


def _name(source: str) -> str:
    return urlsplit(source).path.rpartition("/")[2]


def shown(source: str) -> str:
    """`huggingface.co/…/name.gguf`: nothing that could be a secret."""
    parts = urlsplit(source)
    return plain(f"{parts.hostname or '?'}/…/{_name(source)}", 200)


_WORDS: tuple[tuple[type[BaseException], Callable[[BaseException], str]], ...] = (
    (aiohttp.ClientConnectorDNSError, lambda err: "its name does not resolve"),
    (aiohttp.ClientConnectorCertificateError, lambda err: "its certificate is not trusted here"),
    (aiohttp.ClientConnectorError, lambda err: "nothing answers there"),
)


def _why(err: BaseException) -> str:
    """Without the address, which aiohttp's own words repeat whole."""
    return next((say(err) for kind, say in _WORDS if isinstance(err, kind)), type(err).__name__)


def _look(
    header: Header,
    config: safetensors.Config,
    files: int,
    parts: int,
    size: int,
    troubles: list[str],
    notes: list[str],
) -> WeightsLook:
    mlx = header.kind == "mlx" or (header.kind == "safetensors" and config.mlx)
    return WeightsLook(
        "mlx" if mlx else header.kind,
        header.architecture or config.architecture,
        files,
        size,
        header.context or config.context,
        header.layers or config.layers,
        header.quant or config.quant,
        header.cache or config.cache,
        header.cache_most or config.cache_most,
        parts,
        tuple(troubles),
        tuple(notes),
    )


def _total(sizes: list[int]) -> int:
    found = 0
    for size in sizes:
        found += size
    return found
