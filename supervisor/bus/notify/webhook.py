"""Notifications as POSTs to any address: alerts in the format of Alertmanager's webhook (version 4), so that existing
receivers understand them; actions as the CloudEvent that also goes over MQTT.

In: messages from notifier.py. Out: HTTP.
"""

from supervisor.bus.messages import BASE, alert_data, cloud_event, to_bytes
from supervisor.bus.notify.message import Item, Message
from supervisor.bus.notify.sending import Door, Post
from supervisor.config.telling import WebhookSettings
from supervisor.facts import Json
from supervisor.units import iso


class WebhookSender:
    """Tells one address."""

    def __init__(
        self, settings: WebhookSettings, host: str, epoch: str, external_url: str = "", post: Post | None = None
    ) -> None:
        self._door = Door(settings.url, settings.token_file, post)
        self._host, self._epoch, self._external_url = host, epoch, external_url

    async def send(self, message: Message) -> str:
        """One POST."""
        headers = {"Idempotency-Key": message.key}
        if message.action is not None:
            event = cloud_event(message.action, self._host, self._epoch)
            await self._door.push(to_bytes(event), "application/cloudevents+json", headers)
        else:
            body = alertmanager_body(message, self._host, self._external_url)
            await self._door.push(to_bytes(body), "application/json", headers)
        return ""

    async def close(self) -> None:
        """Let go of the connections."""
        await self._door.close()


def alertmanager_body(message: Message, host: str, external_url: str = "") -> Json:
    """What Alertmanager's webhook (version 4) sends for the alerts of a group; `host` is ours beside it."""
    return {
        "version": "4",
        "groupKey": message.group_key,
        "truncatedAlerts": message.truncated,
        "status": message.status,
        "receiver": BASE,
        "groupLabels": dict(message.group_labels),
        "commonLabels": message.common_labels,
        "commonAnnotations": message.common_annotations,
        "externalURL": external_url,
        "host": host,
        "alerts": [alert_object(item) for item in message.items],
    }


def alert_object(item: Item) -> Json:
    """An Alertmanager alert object, with `escalated` (since when it fires and nobody took it on) where that is why it
    is told."""
    data = alert_data(item.row)
    return data | {"escalated": iso(item.escalated)} if item.escalated else data
