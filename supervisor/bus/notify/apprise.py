"""Notifications through Apprise: ntfy, Discord, Slack, Telegram, mail and whatever else it reaches.

In: messages from notifier.py, worded by template.py, and a file with one address on a line. Out: whatever the library
does with them, on a thread of our own with a deadline, since it is not asynchronous. The addresses hold secrets: they
are read anew for every message, and stand in no log, sentence or error; people are told the line and the kind
(`line 2, discord`). The extra `notify` is imported when the first message leaves.
"""

import asyncio
import hashlib
import importlib
import importlib.util
import logging
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from supervisor.bus.notify.message import Message
from supervisor.bus.notify.sending import SendFailed
from supervisor.bus.notify.template import Wording
from supervisor.config import read_secret_lines
from supervisor.errors import ConfigError
from supervisor.units import plain

INSTALL = "this installation has no Apprise: pip install 'resurgam[notify]'"
LIMIT = 60.0
"""seconds that one message may take, to all its addresses"""
ENOUGH = 5
"""failures in a row after which an address holds up no message any more that reached another one"""
_QUOTING = ("apprise", "oauthlib", "requests", "requests_oauthlib", "urllib3")
_WORDS = {"verified": "success", "failed": "failure", "degraded": "failure"}
_SEVERITIES = {"critical": "failure", "warning": "warning", "info": "info"}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,30})://", re.IGNORECASE)

Tell = Callable[[str, str, str], bool]
"""`tell(title, body, kind)`: whether it was taken; kind is info | success | warning | failure"""
Library = Callable[[str], Tell | None]
"""what an address leads to; None where it is not understood"""


def missing() -> bool:
    """Whether the extra is not installed."""
    return importlib.util.find_spec("apprise") is None


def library() -> Library:
    """Apprise itself. Its log and those of what it is built on quote addresses, so they are kept silent."""
    for name in _QUOTING:
        log = logging.getLogger(name)
        log.handlers, log.propagate = [logging.NullHandler()], False
    apprise: Any = importlib.import_module("apprise")
    asset = apprise.AppriseAsset(async_mode=False, app_id="Resurgam", app_desc="Resurgam")

    def understand(url: str) -> Tell | None:
        server = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if server is None:
            return None
        if "overflow=" not in url:  # what is too long for a service is cut: it would refuse the message
            server.overflow_mode = apprise.OverflowMode.TRUNCATE

        def tell(title: str, body: str, kind: str) -> bool:
            one = apprise.Apprise(asset=asset)
            one.add(server)
            return bool(one.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT))

        return tell

    return understand


class AppriseSender:
    """Tells all addresses in one file."""

    def __init__(self, url_file: str, wording: Wording, load: Callable[[], Library] = library) -> None:
        self._file, self._wording, self._load = url_file, wording, load
        self._library: Library | None = None
        self._busy: asyncio.Future[tuple[list[str], bool]] | None = None
        self._key = ""
        """the message under way"""
        self._done: set[str] = set()
        """digests of the addresses that have it"""
        self._failed: dict[str, int] = {}
        """failures in a row, by the digest of the address"""

    async def send(self, message: Message) -> str:
        """Tell every address that does not have it yet; SendFailed while one does not take it."""
        if self._busy is not None and not self._busy.done():
            raise SendFailed(f"{self._file}: Apprise has not come back from the last message; it is tried again")
        if message.key != self._key:
            self._key, self._done = message.key, set()
        text = self._wording.of(message)
        kind = kind_of(message)
        self._busy = _in_thread(lambda: self._tell(text.title, text.body, kind))
        try:
            wrong, reached = await asyncio.wait_for(asyncio.shield(self._busy), LIMIT)
        except TimeoutError:
            raise SendFailed(f"{self._file}: Apprise took longer than {LIMIT:.0f} s; it is tried again") from None
        except (ConfigError, ImportError) as err:
            why = str(err) if isinstance(err, ConfigError) else INSTALL
            raise SendFailed(plain(f"nothing is told through Apprise: {why}; it is tried again", 300)) from None
        except Exception as err:  # noqa: BLE001 - the library's own errors quote addresses: only their kind is told
            raise SendFailed(f"{self._file}: Apprise tripped over {type(err).__name__}; it is tried again") from None
        said = plain(f"{self._file}: {'; '.join(wrong)}", 300) if wrong else ""
        if wrong and not (reached and min(self._failed.values(), default=ENOUGH) >= ENOUGH):
            raise SendFailed(f"{said}; it is tried again")
        return said or (plain(f"{self._file}: {text.trouble}", 300) if text.trouble else "")

    async def close(self) -> None:
        """A hanging address is left behind: its thread does not keep the process."""

    def _tell(self, title: str, body: str, kind: str) -> tuple[list[str], bool]:
        """On the thread: (what is wrong, whether anybody has it)."""
        if self._library is None:
            self._library = self._load()
        wrong, failed = [], {}
        for number, url in read_secret_lines(self._file):
            digest = hashlib.sha256(url.encode()).hexdigest()
            if digest in self._done:
                continue
            scheme = _SCHEME.match(url)
            name = f"line {number}" + (f", {scheme[1].lower()}" if scheme else "")
            tell = self._library(url)
            if tell is None:
                wrong.append(f"{name} is no address that Apprise understands")
            elif self._reached(tell, title, body, kind):
                self._done.add(digest)
            else:
                wrong.append(f"{name} does not take our messages")
            if digest not in self._done:
                failed[digest] = self._failed.get(digest, 0) + 1
        self._failed = failed
        return wrong, bool(self._done)

    @staticmethod
    def _reached(tell: Tell, title: str, body: str, kind: str) -> bool:
        try:
            return tell(title, body, kind)
        except Exception:  # noqa: BLE001 - one address must not keep the others from being told; it is tried again
            return False


def _in_thread(work: Callable[[], tuple[list[str], bool]]) -> "asyncio.Future[tuple[list[str], bool]]":
    """Run it on a thread of its own, which dies with the process: an executor would be waited for at the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[list[str], bool]] = loop.create_future()

    def settle(found: tuple[list[str], bool] | None, err: Exception | None) -> None:
        if done.cancelled():
            return
        if err is not None:
            done.set_exception(err)
            done.exception()  # it may be that nobody waits any more
        elif found is not None:
            done.set_result(found)

    def run() -> None:
        found, err = None, None
        try:
            found = work()
        except Exception as caught:  # noqa: BLE001 - handed to whoever waits
            err = caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, found, err)

    threading.Thread(target=run, name="apprise", daemon=True).start()
    return done


def kind_of(message: Message) -> str:
    """Apprise's word for how grave it is."""
    if message.action is not None:
        what = message.action.kind.partition(".")[2]
        return _WORDS.get(what) or _SEVERITIES[message.severity]
    return _SEVERITIES[message.severity] if message.status == "firing" else "success"
