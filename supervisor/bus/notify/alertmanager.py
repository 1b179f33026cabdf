"""An Alertmanager is told what fires, again and again, as a Prometheus does it: `POST /api/v2/alerts`.

In: the newest snapshot, never rows: what it says is how things are, so nothing has to be kept over a restart. Out: all
firing alerts every `every` seconds and soon after a change, each with an end of four times as long from now, so that
they end by themselves should we be gone; what has ended is told a few times more. Grouping, silences and routes are
the Alertmanager's own, so alerts that a silence of ours mutes are told as well. Alerts from outside are not: they
would come back.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supervisor.bus.backoff import FullJitter
from supervisor.bus.messages import to_bytes
from supervisor.bus.notify.sending import CEILING, FLOOR, Door, NotifierState, Post, SendFailed, SendRefused
from supervisor.clock import Clock
from supervisor.config.settings import NotifySettings
from supervisor.facts import Alert, Json, Snapshot
from supervisor.units import iso, plain

PATH = "/api/v2/alerts"
SETTLE = 1.0
"""seconds between a change and the message about it: alerts seldom come alone"""
AT_ONCE = 64
"""alerts in one POST, as Prometheus sends them"""
MOST = 2000
"""alerts told in all"""
LIVES = 4
"""an alert ends by itself after so many times `every` without a word from us"""
OUTSIDE = "outside"
"""the origin of alerts that others told us of: an Alertmanager that told us of one would hear it from us for ever"""
ENDS_TOLD = 3
"""how often the end of an alert is told"""


@dataclass(slots=True)
class _Ended:
    alert: Alert
    at: float
    left: int = ENDS_TOLD


class Outlet:
    """Tells one Alertmanager. `show` may be called at any time; `run` until `close`."""

    def __init__(
        self,
        number: int,
        settings: NotifySettings,
        clock: Clock,
        host: str,
        external_url: str = "",
        external_labels: Mapping[str, str] | None = None,
        post: Post | None = None,
    ) -> None:
        """`number` is its place in `notify:`, its name where it has none. `external_labels` are put onto every alert
        that does not have them, and `host` in the same way, so that two boxes' alerts are two."""
        assert settings.alertmanager is not None  # the others have senders
        self._key, self._settings, self._clock = f"notify/{settings.name or number}", settings, clock
        self._every = settings.alertmanager.every
        self._door = Door(settings.alertmanager.url.rstrip("/") + PATH, settings.alertmanager.token_file, post)
        self._labels = {"host": host, **(external_labels or {})}
        self._link = external_url
        self._jitter = FullJitter(clock, FLOOR, CEILING)
        self._now: dict[str, Alert] | None = None
        """what fires by the newest snapshot, by fingerprint; None before the first"""
        self._told: dict[str, Alert] = {}
        """what the Alertmanager was told of as firing"""
        self._ended: dict[str, _Ended] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sent = self._refused = 0
        self._text = ""

    @property
    def state(self) -> NotifierState:
        """For `status`: what it did and what is wrong."""
        return NotifierState(self._key, self._sent, self._refused, self._text)

    def knock(self) -> None:
        """Rows are none of its business."""

    def show(self, snapshot: Snapshot) -> None:
        """How things stand now."""
        firing = {
            alert.fingerprint: alert
            for alert in snapshot.alerts
            if alert.state == "firing" and alert.severity in self._settings.severity and alert.origin != OUTSIDE
        }
        changed = self._now is None or _essence(firing) != _essence(self._now)
        self._now = firing
        if changed:
            self._wake.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        self._task = asyncio.current_task()
        failures = 0
        try:
            while True:
                if self._now is not None:
                    failures = 0 if await self._round() else failures + 1
                if failures:
                    await asyncio.sleep(min(self._every, self._jitter.after(failures)))
                else:
                    await self._rest()
        finally:
            await self._door.close()

    async def close(self) -> None:
        """End at once; the Alertmanager ends our alerts by itself, unless we are back by then."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # ------------------------------------------------------------ one round

    async def _round(self) -> bool:
        """Tell how things stand; whether the Alertmanager took it."""
        self._wake.clear()
        firing, now = dict(list((self._now or {}).items())[:MOST]), self._clock.wall()
        for fingerprint in [known for known in self._told if known not in firing]:
            self._ended[fingerprint] = _Ended(self._told.pop(fingerprint), now)
        for fingerprint in [known for known in self._ended if known in firing]:
            del self._ended[fingerprint]
        until = now + LIVES * self._every
        body = [self._alert(alert, until) for alert in firing.values()]
        body += [self._alert(one.alert, one.at) for one in self._ended.values()]
        try:
            for first in range(0, len(body), AT_ONCE):
                await self._door.push(to_bytes(body[first : first + AT_ONCE]), "application/json")
        except SendFailed as err:
            self._text = str(err)
            return False
        except SendRefused as err:
            self._text, self._refused = str(err), self._refused + 1
            return False
        except Exception as err:  # noqa: BLE001 - the edge of this loop: told in `state`, tried again
            self._text = plain(f"telling the Alertmanager tripped over {type(err).__name__}", 300)
            return False
        self._told = firing
        for fingerprint, one in list(self._ended.items()):
            one.left -= 1
            if one.left <= 0:
                del self._ended[fingerprint]
        self._sent += 1 if body else 0
        left = len(self._now or {}) - len(firing)
        self._text = f"{left} more alerts fire than the {MOST} that an Alertmanager is told of" if left > 0 else ""
        return True

    def _alert(self, alert: Alert, ends_at: float) -> Json:
        """A postableAlert of the v2 API: labels and annotations are texts, and none is empty."""
        labels = {**self._labels, "alertname": alert.name, **alert.labels}
        return {
            "labels": _texts(labels),
            "annotations": _texts(alert.annotations),
            "startsAt": iso(alert.fired_at or alert.active_at or self._clock.wall()),
            "endsAt": iso(max(ends_at, alert.fired_at)),
            **({"generatorURL": self._link} if self._link else {}),
        }

    async def _rest(self) -> None:
        """Until the next round is due, or a second after something changed."""
        try:
            await asyncio.wait_for(self._wake.wait(), self._every)
        except TimeoutError:
            return
        await asyncio.sleep(SETTLE)


def _texts(found: Mapping[str, str]) -> dict[str, str]:
    return {str(name): str(value) for name, value in sorted(found.items()) if name and str(value)}


def _essence(firing: Mapping[str, Alert]) -> Sequence[tuple[str, float, Mapping[str, str]]]:
    """What, if it changes, is told at once: not the value."""
    return [(alert.fingerprint, alert.fired_at, alert.annotations) for alert in firing.values()]
