"""The TCP door: /metrics, /healthz, /readyz and Prometheus' API. It only reads, but for alerts from outside, which it
takes from who has the token.

In: the house's snapshot and newest samples. Out: answers on `http.listen` (default 127.0.0.1:9464). The Host header is
checked, so that a web page cannot read the box through a name that was rebound to it. A taken port is a warning, never
a reason not to run.
"""

import errno
import ipaddress
import logging
import socket
from collections.abc import Iterable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from supervisor.facts import Snapshot
from supervisor.web.house import House, answer, problem
from supervisor.web.inlet import Inlet
from supervisor.web.metrics import Exposition
from supervisor.web.prometheus import Api

_NAMES = ("localhost", "host.docker.internal", "host.containers.internal", "host.lima.internal")


def bare_host(header: str) -> str:
    """The host part of a Host header, lower case, without port and brackets."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


def host_allowed(header: str, names: Iterable[str]) -> bool:
    """An address cannot be rebound, so every literal one is fine; a name must be one of ours."""
    host = bare_host(header)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".") in {name.lower() for name in names}
    return True


def readiness(snapshot: Snapshot) -> tuple[bool, list[str]]:
    """Whether everything is there to act on what is seen, and what is missing."""
    missing = []
    if snapshot.status in ("recovering", "stopping"):
        missing.append(f"the daemon is {snapshot.status}")
    if not any(engine.up for engine in snapshot.engines):
        said = next((engine.text for engine in snapshot.engines if engine.text), "")
        missing.append("no container engine answers" + (f": {said}" if said else ""))
    if not any(rule.rules for rule in snapshot.rules):
        missing.append("no rule is loaded")
    return not missing, missing


def our_fault(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's log is about us: what a stranger sends that is no HTTP is answered with 400, and not
    worth a traceback in our log, which they could fill."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class Server:
    """The TCP door. `names` are further host names it may be called by; `token_file` holds the token with which alerts
    may be handed in, '' takes none."""

    def __init__(self, house: House, host: str, port: int, names: Iterable[str] = (), token_file: str = "") -> None:
        self._token_file = token_file
        self._house, self._host, self._port = house, host, port
        machine = socket.gethostname()
        self._names = (*_NAMES, host, machine, machine.partition(".")[0], f"{machine}.local", *names)
        self._page = Exposition(lambda: house.metrics(house.clock.wall()))
        self._runner: web.AppRunner | None = None
        self.port = 0
        """the port it really listens on; 0 while it does not"""

    async def start(self) -> str:
        """Listen. Returns '' or one sentence that says why it does not; never raises for a taken port."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        Api(self._house).add_to(app)
        Inlet(self._house, token_file=self._token_file).add_to(app)
        # Handlers end with their client: nobody waits for the answer to a question whose asker went away.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        logging.getLogger("aiohttp.server").addFilter(our_fault)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as err:
            await self.close()
            why = "another program has it" if err.errno == errno.EADDRINUSE else (err.strerror or str(err))
            where = f"{self._host}:{self._port}"
            return f"no HTTP: cannot listen on {where}, {why}; set http.listen to another address or to none"
        address = self._runner.addresses[0]
        self.port = int(address[1])
        return ""

    async def close(self) -> None:
        """Stop listening and drop what is open."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            self.port = 0
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not host_allowed(request.headers.get("Host", ""), (*self._names, self._house.snapshot.host)):
            return problem("this door does not go by that name; use an address or localhost", 403)
        try:
            return await handler(request)
        except web.HTTPException as err:
            return problem(f"{request.method} {request.path}: {err.reason}", err.status)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self._page.page(request.headers.get("Accept", ""), self._house.clock.mono)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _health(self, _request: web.Request) -> web.Response:
        """That it answers is the news: the loop is alive."""
        return answer({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.Response:
        snapshot = self._house.snapshot
        ready, missing = readiness(snapshot)
        return answer({"ready": ready, "status": snapshot.status, "missing": missing}, 200 if ready else 503)
