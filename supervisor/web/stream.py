"""NDJSON answers: one JSON document a line, for as long as there is something to tell.

In: documents. Out: lines on an open response.
"""

from aiohttp import web

from supervisor.facts import Json
from supervisor.web.house import dumps


class Stream:
    """An answer that goes on. `write` raises ConnectionError once the client is gone."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response

    @classmethod
    async def open(cls, request: web.Request) -> "Stream":
        """Send the head now, so that the client knows it is heard before there is any news."""
        response = web.StreamResponse(
            headers={"Content-Type": "application/x-ndjson; charset=utf-8", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        return cls(response)

    async def write(self, document: Json) -> None:
        """One line."""
        await self.response.write(dumps(document).encode() + b"\n")
