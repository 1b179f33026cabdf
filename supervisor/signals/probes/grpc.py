"""`grpc://:50051[/service]`: the standard health service (`grpc.health.v1`), else the method that was declared.

Needs the extra `grpc`, imported when the first such probe is asked. Two messages with one field each are not worth a
compiler: they are written and read here, byte by byte.
"""

import asyncio
import importlib
import importlib.util
from typing import Any

from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell
from supervisor.signals.probes.target import Target

CHECK = "/grpc.health.v1.Health/Check"
INSTALL = "this installation has no gRPC: pip install 'resurgam[grpc]'"
_LARGEST = 65_536
"""bytes of an answer"""
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", _LARGEST),
    ("grpc.max_metadata_size", _LARGEST),
    ("grpc.use_local_subchannel_pool", 1),
)
_WORDS = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_LONGEST_VARINT = 10
_FIXED = {1: 8, 5: 4}
"""bytes of the wire types that have a fixed size"""


def missing() -> bool:
    """Whether the extra is not installed."""
    return importlib.util.find_spec("grpc") is None


async def ask(where: Target, method: str, timeout: float) -> Answer:
    """Call Check, or `method` where the server has no Check. An empty `method`: none was declared."""
    grpc = await _library()
    service = where.path.strip("/")
    async with grpc.aio.insecure_channel(where.netloc, options=_OPTIONS) as channel:
        try:
            said = await channel.unary_unary(CHECK)(health_request(service), timeout=timeout)
        except grpc.aio.AioRpcError as err:
            if err.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise _meaning(grpc, err, where, service) from None
        else:
            return _standing(said)
        if not method:
            text = "the server has no grpc.health.v1; declare the method to call: probe-method: /skills.Health/Check"
            raise CannotAsk(text)
        try:
            await channel.unary_unary(method)(b"", timeout=timeout)
        except grpc.aio.AioRpcError as err:
            if err.code() is grpc.StatusCode.UNIMPLEMENTED:
                raise CannotAsk(f"the server has neither grpc.health.v1 nor {method}; see probe-method") from None
            raise _meaning(grpc, err, where, "") from None
        return Answer(True, f"{method} answered OK")


async def _library() -> Any:
    """The module, loaded beside the loop: it takes half a second."""
    try:
        await asyncio.to_thread(importlib.import_module, "grpc.aio")
    except ImportError:
        raise CannotAsk(INSTALL) from None
    return importlib.import_module("grpc")


def _meaning(grpc: Any, err: Any, where: Target, service: str) -> CannotAsk | Unwell:
    code, details = err.code(), " ".join(str(err.details() or "").split())
    if code is grpc.StatusCode.NOT_FOUND and service:
        return CannotAsk(f"the server reports no health for the service {service!r}; leave it out, or name another")
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return CannotAsk(f"the server wants a login for this ({code.name}: {details}); a probe has none")
    if "DNS resolution failed" in details or "Domain name not found" in details:
        return CannotAsk(f"the name {where.host!r} does not resolve: {details}")
    return Unwell(f"{code.name}: {details}" if details else str(code.name))


def _standing(said: bytes) -> Answer:
    try:
        status = health_status(said)
    except ValueError:
        raise Unwell("its health answer cannot be read") from None
    word = _WORDS[status] if status < len(_WORDS) else str(status)
    if word != "SERVING":
        raise Unwell(word)
    return Answer(True, word)


def health_request(service: str) -> bytes:
    """`HealthCheckRequest{service = 1}`."""
    name = service.encode()
    return b"" if not name else b"\x0a" + _varint(len(name)) + name


def health_status(said: bytes) -> int:
    """Field 1 (`status`) of a HealthCheckResponse, 0 where it is left out; ValueError where this is no message."""
    status, at = 0, 0
    while at < len(said):
        tag, at = _read_varint(said, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read_varint(said, at)
            status = value if tag >> 3 == 1 else status
            continue
        if kind == 2:
            size, at = _read_varint(said, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}")
        at += size
    if at != len(said):
        raise ValueError("cut short")
    return status


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _read_varint(said: bytes, at: int) -> tuple[int, int]:
    number = 0
    for i, byte in enumerate(said[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return number, at + i + 1
    raise ValueError("a number without an end")
