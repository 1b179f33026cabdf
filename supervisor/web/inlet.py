"""`/api/v2/alerts`: where an existing Prometheus or Alertmanager hands in its alerts.

In: Alertmanager's API (a list of alerts, as a Prometheus posts it) or its webhook (version 4), on the control socket,
and on the TCP door from who has the token of `http.token_file`. Out: one fact for the core per delivery, answered once
it is durable. A GET lists the alerts that fire, as an Alertmanager would.
"""

import asyncio
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from supervisor.config.files import read_secret
from supervisor.core.outside import Taken
from supervisor.errors import ConfigError
from supervisor.facts import Alert, Outside, OutsideAlert, Snapshot
from supervisor.units import NEVER, Matcher, iso, plain
from supervisor.web.house import House, answer, problem
from supervisor.web.when import instant

PATH = "/api/v2/alerts"
BIGGEST = 2 * 1024 * 1024
"""bytes of one delivery; a Prometheus sends 64 alerts at once"""
MOST, MOST_LABELS, LONGEST = 1000, 64, 4096
"""alerts in a delivery, labels or annotations of an alert, characters of one"""
HEAVIEST = 32_768
"""characters of an alert in all: a thousand of them are held, shown and written down"""
AT_ONCE, PATIENCE = 8, 10.0
"""deliveries whose body is awaited at once, and seconds for one: who sends slowly holds nobody up for long"""
LASTS = 300.0
"""seconds an alert without an end is held by the API: its source repeats it every minute or so"""
WEBHOOK_LASTS = 25 * 3600.0
"""the same for the webhook, which repeats an alert every `repeat_interval` and tells when it is over"""
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


Who = Callable[[web.Request], str]


class Inlet:
    """The handlers of one door. `who` tells whom a request is from, where the door itself lets nobody else in; without
    it whoever sends the token in `token_file` may hand alerts in, and without that nobody."""

    def __init__(self, house: House, who: Who | None = None, token_file: str = "") -> None:
        self._house, self._who, self._token_file = house, who, token_file
        self._room = asyncio.Semaphore(AT_ONCE)

    def add_to(self, app: web.Application) -> None:
        """Serve `/api/v2/alerts`."""
        app.router.add_get(PATH, self._list)
        app.router.add_post(PATH, self._take)

    async def _list(self, _request: web.Request) -> web.Response:
        return answer(listed(self._house.snapshot))

    async def _take(self, request: web.Request) -> web.Response:
        refused = await self._refused(request)
        if refused is not None:
            return refused
        try:
            async with self._room:
                body = await asyncio.wait_for(_body(request), PATIENCE)
            alerts = read(json.loads(body))
        except TimeoutError:
            return problem(f"the alerts did not come within {PATIENCE:.0f} s; send them again", 408)
        except RecursionError:
            return problem("this is nested too deeply to be alerts", 400)
        except json.JSONDecodeError as err:
            return problem(f"this is not JSON: {err}", 400)
        except ValueError as err:
            return problem(f"these alerts cannot be taken: {err}", 400)
        clock = self._house.clock
        source = self._who(request) if self._who is not None else "http"
        done: Taken = await self._house.ask(Outside(clock.wall(), clock.mono(), source, alerts))
        if done.refused:
            text = f"{done.refused} of {len(alerts)} alerts were not taken, since too many are open or began at once"
            return problem(text, 503)
        return answer({"taken": done.taken})

    async def _refused(self, request: web.Request) -> web.Response | None:
        """Why this request may not hand anything in. A web page cannot send JSON to another site without asking first,
        which nobody answers here; what names an origin is refused all the same."""
        if request.content_type != "application/json":
            return problem("alerts are JSON; send them as application/json", 415)
        if "Origin" in request.headers:
            return problem("alerts are taken from programs, not from web pages", 403)
        if self._who is not None:
            return None
        if not self._token_file:
            return problem("alerts are taken here once http.token_file is set; until then use the control socket", 403)
        try:
            token = await asyncio.get_running_loop().run_in_executor(None, read_secret, self._token_file)
        except ConfigError as err:
            return problem(f"http.token_file cannot be used, so nobody is let in: {err}", 503)
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {token}".encode()):
            text = "alerts are taken from who sends the token of http.token_file as `Authorization: Bearer …`"
            return problem(text, 401)
        return None


def read(document: Any) -> tuple[OutsideAlert, ...]:
    """The alerts of a delivery: a list (API), or an object with `alerts` (webhook). ValueError names what is wrong, and
    then nothing of it is taken."""
    lasts, found = LASTS, document
    if isinstance(document, dict):
        if str(document.get("version", "")) != "4" or not isinstance(document.get("alerts"), list):
            raise ValueError("an object must be Alertmanager's webhook of version 4, with a list `alerts`")
        lasts, found = WEBHOOK_LASTS, document["alerts"]
    if not isinstance(found, list):
        raise ValueError("a list of alerts is wanted")
    if len(found) > MOST:
        raise ValueError(f"{len(found)} alerts at once are too many; at most {MOST} are taken")
    return tuple(_alert(one, place, lasts) for place, one in enumerate(found))


def _alert(one: Any, place: int, lasts: float) -> OutsideAlert:
    where = f"alert {place}"
    if not isinstance(one, dict):
        raise ValueError(f"{where} is no object")
    labels, annotations = (_texts(one.get(key), f"{where}, {key}") for key in ("labels", "annotations"))
    if not labels.get("alertname"):
        raise ValueError(f"{where} has no label alertname")
    if len("".join((*labels.keys(), *labels.values(), *annotations.keys(), *annotations.values()))) > HEAVIEST:
        raise ValueError(f"{where} has more than {HEAVIEST} characters")
    ends = _time(one.get("endsAt"), f"{where}, endsAt")
    if one.get("status") == "resolved" and not ends:
        raise ValueError(f"{where} is resolved, and has no endsAt")
    if one.get("status") == "firing" and lasts == WEBHOOK_LASTS:
        ends = 0.0  # the webhook tells when it is over; its endsAt is of the past or of no meaning
    return OutsideAlert(labels, annotations, _time(one.get("startsAt"), f"{where}, startsAt"), ends, lasts)


def _texts(given: Any, where: str) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or len(given) > MOST_LABELS:
        raise ValueError(f"{where} must be an object of at most {MOST_LABELS} texts")
    found = {}
    for name, value in given.items():
        if not _NAME.fullmatch(name) or name.startswith("__"):
            raise ValueError(f"{where}: {plain(name, 64)!r} is no label name")
        if not isinstance(value, str) or len(value) > LONGEST:
            raise ValueError(f"{where}: {name} must be a text of at most {LONGEST} characters")
        if value:  # an empty label is none
            found[name] = value
    return found


def _time(given: Any, where: str) -> float:
    if given in (None, "", NEVER):
        return 0.0
    try:
        found = instant(given) / 1000 if isinstance(given, str) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{where} is no time such as 2026-05-01T06:00:00Z")
    return max(found, 0.0)


async def _body(request: web.Request) -> bytes:
    """The whole body, whatever the door's own limit is; ValueError where it is longer than we take."""
    parts: list[bytes] = []
    left = BIGGEST
    async for part in request.content.iter_chunked(65_536):
        left -= len(part)
        if left < 0:
            raise ValueError(f"a delivery has at most {BIGGEST} bytes")
        parts.append(part)
    return b"".join(parts)


def listed(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The open alerts as `GET /api/v2/alerts` of an Alertmanager shows them: those that fire."""
    return [_gettable(alert, snapshot) for alert in snapshot.alerts if alert.state == "firing"]


def _gettable(alert: Alert, snapshot: Snapshot) -> dict[str, Any]:
    labels = {"alertname": alert.name, **alert.labels}
    muted = [one.id for one in snapshot.silences if all(Matcher.parse(text).matches(labels) for text in one.matchers)]
    return {
        "annotations": dict(alert.annotations),
        "endsAt": NEVER,
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": "resurgam"}],
        "startsAt": iso(alert.fired_at or alert.active_at),
        "status": {"inhibitedBy": [], "silencedBy": muted, "state": "suppressed" if muted else "active"},
        "updatedAt": iso(snapshot.at),
        "generatorURL": "",
        "labels": labels,
    }
