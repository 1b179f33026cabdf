"""Somebody at the simulated broker who commands the box, and hears what is answered; for tests of commands."""

import asyncio
import json
from pathlib import Path
from typing import Any

from supervisor.bus.commands import read, sign
from supervisor.lab.broker import Delivery
from supervisor.ports import PLAIN, Properties
from tests.support.words import Words

HOST = "sim"
CMD, REPLY = f"resurgam/{HOST}/cmd", f"resurgam/{HOST}/reply"
KEY = "0123456789abcdef" * 4


def key_file(folder: Path, name: str = "phone.key", key: str = KEY) -> str:
    """A key as a person keeps it."""
    made = folder / name
    made.write_text(f"{key}\n")
    made.chmod(0o600)
    return str(made)


def signed(principal: str, verb: str, body: dict[str, Any], now: float, key: str = KEY, **other: Any) -> dict[str, Any]:
    """The same command with its times and a signature; `other` replaces what is said in it."""
    full = {"at": int(now), "exp": int(now) + 60, **body, **other}
    envelope, wrong = read(json.dumps(full).encode())
    assert not wrong
    return full | {"sig": sign(key, HOST, principal, verb, envelope)}


class Phone:
    """Somebody at the broker."""

    def __init__(self, words: Words) -> None:
        self.words, self.broker = words, words.world.broker
        self.got = self.broker.subscribe("phone", f"{REPLY}/#")

    async def hears(
        self, where: str, body: Any, retain: bool = False, properties: Properties = PLAIN
    ) -> list[Delivery]:
        """Publish, and every answer within a second."""
        before = len(self.got.got)
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.broker.take(f"{CMD}/{where}", payload, retain, properties)
        await asyncio.sleep(1.0)
        return self.got.got[before:]

    async def says(self, where: str, body: Any, retain: bool = False) -> dict[str, Any] | None:
        """Publish, and what is answered within a second; None for nothing."""
        fresh = await self.hears(where, body, retain)
        assert [one.topic for one in fresh] in ([], [f"{REPLY}/{where}"])
        return json.loads(fresh[0].payload) if fresh else None

    async def asks(self, where: str, body: Any) -> dict[str, Any]:
        """The same, where an answer must come."""
        reply = await self.says(where, body)
        assert reply is not None
        return reply

    async def signs(self, where: str, body: dict[str, Any], key: str = KEY, **other: Any) -> dict[str, Any]:
        """The same, signed."""
        principal, verb = where.split("/")
        return await self.asks(where, signed(principal, verb, body, self.words.clock.wall(), key, **other))


def told_rows(words: Words) -> list[tuple[bool, str]]:
    """(allowed, reason) of every command that was told."""
    return [(row.body["allowed"], row.body["reason"]) for row in words.rows("daemon.command")]
