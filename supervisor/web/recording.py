"""The recording, streamed over the control socket: what `resurgam replay` reads of a running daemon.

In: the recorder, through the journal's thread, a few blocks at a time, so that no turn waits long for that thread. Out:
NDJSON. The first line says what there is, `{"format": 1, "first": ms, "last": ms, "services": {container: service}}`;
then come the blocks as they are kept, `{"first": ms, "data": base64, "names": {number: labels}}`: packed, so that the
daemon spends next to nothing on them. `names` holds those that no line before had. The last line is `{"end": true}`.
"""

import base64

from aiohttp import web

from supervisor.facts import Json, Labels
from supervisor.journal import JournalThread
from supervisor.journal.recorder import Recorder
from supervisor.web.house import House
from supervisor.web.stream import Stream

FORMAT = 1
BLOCKS = 8
"""blocks that are read at once: some ten seconds of readings each"""
_LATEST = 1 << 53


class Recording:
    """Serves one daemon's recording. `thread`: where the recorder lives."""

    def __init__(self, recorder: Recorder, thread: JournalThread) -> None:
        self._recorder, self._thread = recorder, thread

    async def serve(self, request: web.Request, house: House) -> web.StreamResponse:
        """GET /v1/recording?from=MS&to=MS"""
        since, until = _ms(request, "from", 0), _ms(request, "to", _LATEST)
        first, last = await self._thread.run(self._recorder.span)
        stream = await Stream.open(request)
        head: Json = {"format": FORMAT, "first": first, "last": last, "services": _services(house)}
        try:
            await stream.write(head)
            await self._blocks(stream, since, min(until, last))
            await stream.write({"end": True})
        except ConnectionError:
            pass  # it has seen enough
        return stream.response

    async def _blocks(self, stream: Stream, since: int, until: int) -> None:
        told: dict[int, Labels] = {}
        after = 0
        while True:
            page = await self._thread.run(self._recorder.page, after, since, until, BLOCKS)
            fresh = {number: labels for number, labels in page.names.items() if told.get(number) != labels}
            told.update(fresh)
            for first, data in page.blocks:
                names = {str(number): [list(pair) for pair in labels] for number, labels in fresh.items()}
                await stream.write({"first": first, "data": base64.b64encode(data).decode("ascii"), "names": names})
                fresh = {}
            if not page.blocks:
                return
            after = page.last


def _services(house: House) -> dict[str, str]:
    """The service that each container is."""
    return {service.container.name: service.id for service in house.snapshot.services if service.container is not None}


def _ms(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise web.HTTPBadRequest(reason=f"{name} is not a time in milliseconds")
    return int(text)
