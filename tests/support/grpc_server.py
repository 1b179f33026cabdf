"""A gRPC server in the test's own process, with the standard health service, or a method of its own, or neither."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import grpc.aio

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


@dataclass
class GrpcServer:
    """`health`: the answer of Check by service name; None: there is no health service. `methods`: others, by full name,
    with their answer or the status they fail with."""

    health: dict[str, bytes] | None = None
    methods: dict[str, bytes | grpc.StatusCode] = field(default_factory=dict)
    fails: grpc.StatusCode | None = None
    """what Check fails with"""
    port: int = 0
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of one method; None where there is none."""
        name = call.method
        if name == "/grpc.health.v1.Health/Check":
            known = self.health is not None or self.fails is not None
        else:
            known = name in self.methods

        async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            self.asked.append((name, request))
            if name in self.methods:
                said = self.methods[name]
                if isinstance(said, grpc.StatusCode):
                    await context.abort(said, "as the test wants it")
                assert isinstance(said, bytes)
                return said
            if self.fails is not None:
                await context.abort(self.fails, "as the test wants it")
            assert self.health is not None
            wanted = request[2:].decode()
            if wanted not in self.health:
                await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
            return self.health[wanted]

        return grpc.unary_unary_rpc_method_handler(answer) if known else None


@asynccontextmanager
async def served(server: GrpcServer, host: str = "127.0.0.1") -> AsyncIterator[GrpcServer]:
    """The server on a free port of `host`."""
    made = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    made.add_generic_rpc_handlers((server,))  # type: ignore[arg-type]
    server.port = made.add_insecure_port(f"{host}:0")
    await made.start()
    try:
        yield server
    finally:
        await made.stop(None)
