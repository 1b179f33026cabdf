"""Home Assistant's switch `Healing paused`: two commands on one topic.

In: messages on `cmd/homeassistant/healing`, as the switch's template writes them: a command with its `verb` (`pause` or
`resume`) inside. Out: the same command on `cmd/homeassistant/<verb>`, handed to bus/commands, which judges it like any
other. Everything else goes there as it came, and is refused as unknown.
"""

from dataclasses import replace

from supervisor.bus.commands.envelope import strictly
from supervisor.bus.homeassistant.entities import PRINCIPAL
from supervisor.bus.homeassistant.host import HEALING, SWITCHES
from supervisor.bus.inbox import Listener
from supervisor.bus.link.connection import Connection
from supervisor.bus.messages import to_bytes, topic
from supervisor.ports import LARGEST_RECEIVED, Received


class HealingSwitch:
    """Hands the switch's messages on (an inbox.Listener that goes before the commands')."""

    def __init__(self, host: str, commands: Listener) -> None:
        self._base, self._commands = topic(host, "cmd", PRINCIPAL), commands

    @property
    def patterns(self) -> tuple[str, ...]:
        """The switch's topic."""
        return (f"{self._base}/{HEALING}",)

    def refused(self, pattern: str, why: str) -> None:
        """The commands' own pattern has this topic in it, and says what is wrong."""

    async def heard(self, broker: Connection, message: Received) -> None:
        """Somebody moved the switch."""
        verb, payload = _without_verb(message.payload)
        if verb and not message.retained:
            message = replace(message, topic=f"{self._base}/{verb}", payload=payload)
        await self._commands.heard(broker, message)


def _without_verb(payload: bytes) -> tuple[str, bytes]:
    """The verb inside, and the command without it; ('', payload) where there is none of ours."""
    if len(payload) > LARGEST_RECEIVED:
        return "", payload
    try:
        body = strictly(payload)
    except (ValueError, RecursionError):
        return "", payload
    if not isinstance(body, dict) or body.get("verb") not in SWITCHES:
        return "", payload
    return str(body.pop("verb")), to_bytes(body)
