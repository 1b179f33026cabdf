"""One webhook: alerts and actions as POSTs, for people and programs that do not speak MQTT.

In: a knock when rows were committed; the rows themselves are read from the journal. Out: an alert as the body
Alertmanager's webhook (version 4) sends, so existing receivers understand it; everything else as the CloudEvent that
also goes over MQTT. It keeps its own place in the journal (space `meta`, key `notify/<n>`), so nothing is lost in a
restart, and it waits for nobody: a receiver that is down holds up its own messages only.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type
from tenacity.stop import stop_base

from supervisor.bus.backoff import FullJitter
from supervisor.bus.messages import BASE, DAY, alert_data, cloud_event, is_alert, severity, to_bytes
from supervisor.clock import Clock
from supervisor.config.files import read_secret
from supervisor.config.settings import NotifySettings
from supervisor.errors import ConfigError, JournalError, ResurgamError
from supervisor.facts import Json
from supervisor.journal import Journal, JournalThread, Row
from supervisor.units import plain

KINDS = ("alert.firing", "alert.resolved", "action.")
CHUNK = 64
LIMIT = 10.0
"""seconds for one POST"""
FLOOR, CEILING = 0.5, 60.0
LATER = (408, 425, 429)
"""answers below 500 that ask to come back"""
OPEN_TO_TRY = DAY
"""seconds: a message older than this is given up, its time is over"""


class PostFailed(ResurgamError):
    """A POST that may work later."""


class PostRefused(ResurgamError):
    """A POST that will never work."""


class Post(Protocol):
    """How a POST leaves; returns the HTTP status. OSError, TimeoutError or aiohttp.ClientError if there is none."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> int: ...


@dataclass(frozen=True, slots=True)
class NotifierState:
    """How one notifier is: `text` says what is wrong, '' if nothing is."""

    name: str
    sent: int
    given_up: int
    text: str


class Notifier:
    """Tells one webhook. `knock` may be called at any time; `run` until `close`."""

    def __init__(
        self,
        number: int,
        settings: NotifySettings,
        thread: JournalThread,
        clock: Clock,
        host: str,
        post: Post | None = None,
    ) -> None:
        """`number` is its place in `notify:`; its memory goes by it."""
        assert settings.webhook is not None  # the others have rooms of their own
        self._key, self._settings, self._hook, self._thread = f"notify/{number}", settings, settings.webhook, thread
        self._clock, self._host = clock, host
        self._own_post = _HttpPost() if post is None else None
        self._post: Post = self._own_post if post is None else post  # type: ignore[assignment]
        self._jitter = FullJitter(clock, FLOOR, CEILING)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sent = self._given_up = 0
        self._text = ""

    @property
    def state(self) -> NotifierState:
        """For `status`: what it did and what is wrong."""
        return NotifierState(self._key, self._sent, self._given_up, self._text)

    def knock(self) -> None:
        """Rows were committed."""
        self._wake.set()

    async def run(self) -> None:
        """Send what is new, in order, until cancelled. The first start ever begins with what happens from now on."""
        self._task = asyncio.current_task()
        failures = 0
        try:
            while True:
                try:
                    await self._follow()
                except JournalError as err:
                    self._text = f"notifications wait, because the journal cannot be used: {err}"
                except Exception as err:  # noqa: BLE001 - the edge of this loop: told in `state`, begun again
                    self._text = plain(f"the notifier tripped over {type(err).__name__}: {err}", 300)
                failures += 1
                await asyncio.sleep(self._jitter.after(failures))
        finally:
            if self._own_post is not None:
                await self._own_post.close()

    async def close(self) -> None:
        """End at once; what is unsent is sent after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        place = await self._thread.run(_place, self._thread.journal, self._key)
        while True:
            self._wake.clear()
            rows = await self._thread.run(self._rows_after, place)
            for row in rows:
                place = row.seq
                if severity(row) in self._settings.severity:
                    await self._deliver(row)
                if severity(row) in self._settings.severity or row is rows[-1]:
                    await self._thread.run(_remember, self._thread.journal, self._key, place)
            if len(rows) < CHUNK:
                await self._wake.wait()

    def _rows_after(self, place: int) -> list[Row]:
        return self._thread.journal.rows(after=place, kinds=KINDS, public=True, limit=CHUNK)

    async def _deliver(self, row: Row) -> None:
        """One message, tried again until it is taken, refused for good, or a day old."""
        retrying = AsyncRetrying(
            wait=self._jitter,
            stop=_TooOld(self._clock, row.at + OPEN_TO_TRY),
            retry=retry_if_exception_type(PostFailed),
            sleep=asyncio.sleep,
        )
        try:
            await retrying(self._try, row)
        except PostRefused as err:
            self._given_up += 1
            self._text = str(err)
        except RetryError:
            self._given_up += 1
        else:
            self._sent += 1
            self._text = ""

    async def _try(self, row: Row) -> None:
        url = self._hook.url
        body, kind = self._body(row)
        headers = {"Content-Type": kind, "User-Agent": BASE, "Idempotency-Key": f"{self._epoch}-{row.seq}"}
        try:
            token = await asyncio.get_running_loop().run_in_executor(None, self._token)
            if token:
                headers["Authorization"] = f"Bearer {token}"
            status = await self._post(url, headers, body, LIMIT)
        except (OSError, aiohttp.ClientError, ConfigError, ValueError) as err:
            # The token is never in these texts, and neither is the address' query, which may hold one.
            why = str(err) if isinstance(err, ConfigError) else type(err).__name__
            self._text = plain(f"{self._where} cannot be told: {why}; it is tried again", 300)
            raise PostFailed(self._text) from None
        if status >= 500 or status in LATER:
            self._text = f"{self._where} answers {status}; it is tried again"
            raise PostFailed(self._text)
        if status >= 300:
            raise PostRefused(f"{self._where} refuses our messages with {status}; check notify: in resurgam.yaml")

    def _token(self) -> str:
        """Read at every try, so that a rotated token needs no restart."""
        file = self._hook.token_file
        return read_secret(file) if file else ""

    @property
    def _where(self) -> str:
        return self._hook.url.split("?")[0]

    @property
    def _epoch(self) -> str:
        return self._thread.journal.epoch

    def _body(self, row: Row) -> tuple[bytes, str]:
        if is_alert(row):
            return to_bytes(alertmanager_body(row, self._host)), "application/json"
        return to_bytes(cloud_event(row, self._host, self._epoch)), "application/cloudevents+json"


def alertmanager_body(row: Row, host: str) -> Json:
    """What Alertmanager's webhook (version 4) sends for one alert."""
    alert = alert_data(row)
    labels = dict(alert["labels"])
    name = labels.get("alertname", "")
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
        "status": alert["status"],
        "receiver": BASE,
        "groupLabels": {"alertname": name},
        "commonLabels": labels,
        "commonAnnotations": dict(alert["annotations"]),
        "externalURL": "",
        "host": host,
        "alerts": [alert],
    }


def _place(journal: Journal, key: str) -> int:
    """The seq up to which this notifier is done; written down at the first start ever."""
    found = journal.space("meta").get(key)
    if found is not None:
        return int(found["seq"])
    _remember(journal, key, journal.last_seq)
    return journal.last_seq


def _remember(journal: Journal, key: str, seq: int) -> None:
    batch = journal.batch()
    batch.put("meta", key, {"seq": seq})
    journal.commit(batch)


class _TooOld(stop_base):
    """Give a message up once its time is over."""

    def __init__(self, clock: Clock, until: float) -> None:
        self._clock, self._until = clock, until

    def __call__(self, retry_state: object) -> bool:
        return self._clock.wall() > self._until


class _HttpPost:
    """POSTs through one aiohttp session, made at the first."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, limit: float) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        timeout = aiohttp.ClientTimeout(total=limit)
        async with self._session.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            return answer.status

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
