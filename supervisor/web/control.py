"""The control socket: the one door that serves everything, to people on this machine.

In: HTTP/1.1 on a unix socket from root, the daemon's user or the group `resurgam`; who it is says the kernel. Out:
JSON and NDJSON answers; commands go to the core as facts, with `uid:N` as their principal.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from supervisor import views
from supervisor.actions.compose.preview import Previewer
from supervisor.errors import AlreadyRunning, ResurgamError, UsageError
from supervisor.facts import Command, Decision, Json
from supervisor.web import lookup
from supervisor.web.commands import Wish, parse
from supervisor.web.house import House, answer, problem
from supervisor.web.inlet import Inlet
from supervisor.web.peer import Peer, group_id, may_enter, peer_of
from supervisor.web.prometheus import Api
from supervisor.web.recording import Recording
from supervisor.web.stream import Stream

_LONGEST_PATH = 100  # a unix address holds 108 bytes on Linux and 104 on macOS
_BIGGEST = 64 * 1024
_FOLLOWERS = 64

Foresight = Callable[[Command], Awaitable[Json]]
"""What a command would do, found out without doing it."""


class Control:
    """The control socket of one daemon. `admit` says who may come in."""

    def __init__(
        self,
        house: House,
        path: Path,
        admit: Callable[[Peer], bool] = may_enter,
        recording: Recording | None = None,
        compose: Previewer | None = None,
        foresight: Foresight | None = None,
    ) -> None:
        """`compose`: who tells what a compose file would do; `foresight`: what any command would."""
        self._house, self._path, self._admit, self._recording = house, path, admit, recording
        self._compose, self._foresight = compose, foresight
        self._runner: web.AppRunner | None = None
        self._inode = (0, 0)
        self._followers: dict[asyncio.Task[None] | None, None] = {}

    async def start(self) -> None:
        """Listen. AlreadyRunning where another daemon answers there, ResurgamError where no socket can be made."""
        app = web.Application(middlewares=[self._guard], client_max_size=_BIGGEST)
        app.router.add_get("/v1/status", self._status)
        app.router.add_get("/v1/events", self._events)
        app.router.add_get("/v1/history", self._history)
        app.router.add_get("/v1/benchmarks", self._benchmarks)
        app.router.add_get("/v1/show/{id}", self._show)
        app.router.add_get("/v1/explain/{word}", self._explain)
        app.router.add_get("/v1/plans/{id}", self._plan)
        app.router.add_get("/v1/rollouts/{id}", self._rollout)
        app.router.add_get("/v1/recording", self._tape)
        app.router.add_post("/v1/command", self._command)
        app.router.add_post("/v1/compose", self._prospects)
        app.router.add_post("/v1/preview", self._foresee)
        Api(self._house).add_to(app)
        Inlet(self._house, _who).add_to(app)
        bound = _bind(self._path)
        stat = self._path.stat()
        self._inode = (stat.st_dev, stat.st_ino)
        # Handlers end with their client: a follower that went away must not wait for the next row for ever.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.SockSite(self._runner, bound).start()

    async def close(self) -> None:
        """Stop listening, drop what is open, remove the socket if it is still ours."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        with contextlib.suppress(OSError):
            stat = self._path.stat()
            if (stat.st_dev, stat.st_ino) == self._inode:
                self._path.unlink()
        for task in list(self._followers):
            if task is not None:
                task.cancel()
        await runner.cleanup()

    # ------------------------------------------------------------ who

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = _peer(request)
        if peer is None or not self._admit(peer):
            who = peer.principal if peer else "an unknown user"
            return problem(f"{who} may not use this socket; add the user to the group resurgam, or use root", 403)
        try:
            return await handler(request)
        except web.HTTPException as err:
            return problem(f"{request.method} {request.path}: {err.reason}", err.status)
        except ResurgamError as err:
            return problem(str(err), 503)

    # ------------------------------------------------------------ reading

    async def _status(self, _request: web.Request) -> web.Response:
        now = self._house.clock.wall()
        return answer(views.status_document(self._house.snapshot) | {"now": views.iso(now)})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        want = lookup.Want(
            kinds=tuple(kind for kind in query.get("kind", "").split(",") if kind),
            subject=query.get("subject") or None,
            public=None if _flag(request, "all") else True,
        )
        limit = _number(request, "limit", 50, 10_000)
        since = _number(request, "after", -1, 2**62)
        if _flag(request, "follow"):
            self._room()
            return await self._stream_events(request, want, since, limit)
        if since < 0:
            rows = await lookup.newest(self._house, want, limit)
        else:
            rows = []
            while len(rows) < limit:
                more = await lookup.after(self._house, want, rows[-1].seq if rows else since, limit - len(rows))
                rows += more
                if not more:
                    break
        return answer({"events": [views.event_document(row) for row in rows]})

    async def _stream_events(
        self, request: web.Request, want: lookup.Want, since: int, limit: int
    ) -> web.StreamResponse:
        """NDJSON, one event a line: the last ones (or those after `after`), then each as it becomes durable."""
        stream = await Stream.open(request)
        with self._following(), contextlib.suppress(ConnectionError):
            if since < 0:
                since = self._house.snapshot.seq
                for row in await lookup.newest(self._house, want, limit):
                    await stream.write(views.event_document(row))
                    since = max(since, row.seq)
            async for row in lookup.follow(self._house, want, since):
                await stream.write(views.event_document(row))
        return stream.response

    async def _history(self, request: web.Request) -> web.Response:
        want = lookup.Want(kinds=lookup.ENDED, subject=request.query.get("service") or None)
        rows = await lookup.newest(self._house, want, _number(request, "limit", 50, 1000))
        return answer({"history": [views.event_document(row) for row in rows]})

    async def _benchmarks(self, request: web.Request) -> web.Response:
        """What models did when they were measured: of all slots, or of `slot` or `model` alone."""
        kept = await self._house.read(lambda journal: journal.space("bench"))
        found = views.benchmarks_document(kept, request.query.get("slot", ""), request.query.get("model", ""))
        limit = _number(request, "limit", 50, 10_000)
        return answer({"benchmarks": found[max(0, len(found) - limit) :]})

    async def _show(self, request: web.Request) -> web.Response:
        word = request.match_info["id"]
        found = await lookup.show(self._house, word)
        if found is None:
            return problem(
                f"no plan, incident, question, rollout or event is called {word!r}; `resurgam history` lists plans", 404
            )
        return answer(found)

    async def _explain(self, request: web.Request) -> web.Response:
        word = request.match_info["word"]
        told = await self._house.explain(word)
        snapshot = self._house.snapshot
        service = views.explained_service(word, snapshot, told)
        rows = await lookup.newest(self._house, lookup.Want(lookup.EVIDENCE, service, None), 1) if service else []
        document = views.explain_document(word, snapshot, told, rows[-1] if rows else None)
        return answer(document, 200 if document["found"] else 404)

    async def _tape(self, request: web.Request) -> web.StreamResponse:
        if self._recording is None:
            return problem("this daemon keeps no recording", 404)
        self._room()
        with self._following():
            return await self._recording.serve(request, self._house)

    # ------------------------------------------------------------ acting

    async def _command(self, request: web.Request) -> web.Response:
        wish = await _wish(request)
        if isinstance(wish, web.Response):
            return wish
        try:
            widens = await self._widening(wish)
        except UsageError as err:
            return problem(str(err), 400)
        decision: Decision = await self._house.ask(self._fact(request, wish, widens))
        return answer({"plan": decision.plan, "decision": views.decision_document(decision)})

    async def _prospects(self, request: web.Request) -> web.Response:
        """What a compose file would do (`phoenix --from-compose` before it asks): the body of a command; reads only."""
        wish = await _wish(request)
        if isinstance(wish, web.Response):
            return wish
        if self._compose is None:
            return problem("this daemon cannot look at compose files", 404)
        return answer(await self._compose.of(wish.target, wish.document))

    async def _foresee(self, request: web.Request) -> web.Response:
        """What a command would do now (`resurgam plan`): the body of a command; nothing is touched or kept."""
        wish = await _wish(request)
        if isinstance(wish, web.Response):
            return wish
        if self._foresight is None:
            return problem("this daemon makes no previews", 404)
        return answer(await self._foresight(self._fact(request, wish)))

    def _fact(self, request: web.Request, wish: Wish, widens: str = "") -> Command:
        """The wish as a fact, with who has it."""
        peer, clock = _peer(request), self._house.clock
        assert peer is not None  # the guard let nobody else in
        return Command(
            at=clock.wall(),
            mono=clock.mono(),
            verb=wish.verb,
            target=wish.target,
            params=wish.params,
            principal=peer.principal,
            door="socket",
            id=clock.token(),
            override=wish.override,
            document=wish.document,
            widens=widens,
        )

    async def _widening(self, wish: Wish) -> str:
        if not wish.document or self._compose is None:
            return ""
        return await self._compose.widening(wish.target, wish.document)

    async def _plan(self, request: web.Request) -> web.StreamResponse:
        word = request.match_info["id"]
        plan_id = int(word) if word.isascii() and word.isdigit() and len(word) < 16 else 0
        document = await lookup.plan_document(self._house, plan_id)
        if document is None:
            return problem(f"there is no plan {word}; `resurgam history` lists plans", 404)
        if not _flag(request, "wait"):
            return answer(document)
        self._room()
        return await self._stream_plan(request, plan_id, document)

    async def _stream_plan(self, request: web.Request, plan_id: int, document: Json) -> web.StreamResponse:
        """NDJSON: `{"event": …}` for every row of the plan, those so far first; at its end `{"plan": …}`."""
        want = lookup.Want(kinds=lookup.OF_PLANS, public=None)
        stream = await Stream.open(request)
        with self._following(), contextlib.suppress(ConnectionError):
            seen = 0
            for event in document["events"]:
                await stream.write({"event": event})
                seen = event["seq"]
            if document["state"] in ("open", "waiting"):
                async for row in lookup.follow(self._house, want, seen):
                    if row.body.get("plan") != plan_id:
                        continue
                    await stream.write({"event": views.event_document(row)})
                    if views.outcome_of(row):
                        break
            await stream.write({"plan": await lookup.plan_document(self._house, plan_id)})
        return stream.response

    async def _rollout(self, request: web.Request) -> web.StreamResponse:
        """A rollout. With `wait` NDJSON: `{"event": …}` for every row of it and its plans, then `{"rollout": …}`."""
        word = request.match_info["id"]
        ident = int(word) if word.isascii() and word.isdigit() and len(word) < 16 else 0
        document = await lookup.rollout_document(self._house, ident)
        if document is None:
            return problem(f"there is no rollout {word}", 404)
        if not _flag(request, "wait"):
            return answer(document)
        self._room()
        stream = await Stream.open(request)
        with self._following(), contextlib.suppress(ConnectionError):
            seen = 0
            for event in document["events"]:
                await stream.write({"event": event})
                seen = event["seq"]
            if document["state"] == "open":
                async for row in lookup.follow(self._house, lookup.Want(kinds=("action",), public=None), seen):
                    if row.body.get("rollout") != ident:
                        continue
                    await stream.write({"event": views.event_document(row)})
                    if views.ended_rollout(row):
                        break
            await stream.write({"rollout": await lookup.rollout_document(self._house, ident)})
        return stream.response

    def _room(self) -> None:
        if len(self._followers) >= _FOLLOWERS:
            raise web.HTTPServiceUnavailable(reason=f"{_FOLLOWERS} followers are here already; end one first")

    @contextlib.contextmanager
    def _following(self) -> Iterator[None]:
        task = asyncio.current_task()
        self._followers[task] = None
        try:
            yield
        finally:
            self._followers.pop(task, None)


async def _wish(request: web.Request) -> Wish | web.Response:
    """What the body of a command wishes for, or the answer to one that cannot be read."""
    if request.content_type != "application/json":
        return problem("send application/json", 415)
    try:
        return parse(await request.text())
    except ValueError as err:
        return problem(str(err), 400)


def _flag(request: web.Request, name: str) -> bool:
    """`?name`, `?name=1` and `?name=true` are yes."""
    return request.query.get(name, "0") in ("", "1", "true")


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    """A whole number from the query; 400 for anything else."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise web.HTTPBadRequest(reason=f"{name} is not a whole number")
    return min(int(text), most)


def _who(request: web.Request) -> str:
    peer = _peer(request)
    return peer.principal if peer is not None else ""


def _peer(request: web.Request) -> Peer | None:
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is None:
        return None
    try:
        return peer_of(sock)
    except OSError:
        return None


def _bind(path: Path) -> socket.socket:
    """A bound socket with the right owner and mode. Nobody can connect before it listens, so nobody slips in early."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ResurgamError(f"{path} is too long for a unix socket; choose a shorter state_dir")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_socket():
        if _answers(path):
            raise AlreadyRunning(f"another daemon answers at {path}; stop it first")
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(0o660)
        group = group_id()
        if group is not None:
            # Not a member and not root: then only our own group may enter, which is what the mode says already.
            with contextlib.suppress(PermissionError):
                os.chown(path, -1, group)
        bound.setblocking(False)
    except OSError as err:
        bound.close()
        raise ResurgamError(f"cannot make the control socket {path}: {err.strerror}") from err
    return bound


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
