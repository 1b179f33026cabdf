"""The settings of everything that tells people and hears them: `mqtt`, `notify` and `commands`.

Part of settings.py, which says where they come from; they go to the room `bus`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from supervisor.config.fields import BrokerUrl, Duration, PositiveDuration, Principal, WebUrl, Words
from supervisor.config.model import Model
from supervisor.verbs import VERBS

BUS_VERBS = (
    *("approve", "deny", "ack", "silence", "pause", "resume", "refresh", "replay"),
    *(name for name, verb in VERBS.items() if not verb.internal),
)
"""what may be asked for over the bus, by those whom `commands.principals` allows it"""


class HomeAssistantSettings(Model):
    """Home Assistant's MQTT discovery: its devices and entities appear by themselves."""

    enable: bool = True
    prefix: str = Field(default="homeassistant", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """the discovery prefix that Home Assistant listens to"""


class FloodSettings(Model):
    """How many events are told one by one; what is beyond becomes one digest. Critical ones are never held back."""

    rate: float = Field(default=20.0, gt=0, le=10_000)
    """events per second, over time"""
    burst: int = Field(default=200, ge=1, le=100_000)
    """events at once"""


class MqttSettings(Model):
    """Where messages go."""

    url: BrokerUrl = "auto"
    """`auto` (a mosquitto of our own where the program exists), `none`, `mqtt://…`, `mqtts://…`, `unix://…`"""
    username: str = Field(default="", max_length=200)
    password_file: str = ""
    """the file with the password; a file of that name in $CREDENTIALS_DIRECTORY goes first"""
    ca_file: str = ""
    """certificates to trust with mqtts; empty: those of the system"""
    cert_file: str = ""
    """our own certificate with mqtts, where the broker asks for one"""
    key_file: str = ""
    """the key of that certificate; empty: it is in the same file"""
    client_id: str = Field(default="", max_length=64)
    """empty: made from this machine's id"""
    gateway: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,62})?$")
    """a Docker network whose containers may reach the managed broker, at the network's gateway address"""
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    flood: FloodSettings = FloodSettings()

    @model_validator(mode="after")
    def _each_has_an_effect(self) -> "MqttSettings":
        tls = [key for key in ("ca_file", "cert_file", "key_file") if getattr(self, key)]
        if tls and not self.url.startswith("mqtts://"):
            raise ValueError(f"{' and '.join(tls)} is for TLS; write mqtt.url as mqtts://host, or take it out")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file is the key of cert_file; name that certificate, too")
        login = [key for key in ("username", "password_file") if getattr(self, key)]
        if login and self.url == "auto":
            raise ValueError(
                f"{' and '.join(login)} is for a broker of yours, and our own mosquitto makes its own users; "
                "write mqtt.url as mqtt://host, or take it out"
            )
        if self.gateway and self.url != "auto":
            raise ValueError("gateway is for the managed broker; write mqtt.url: auto, or take it out")
        return self


class WebhookSettings(Model):
    """An address that gets a POST for every message."""

    url: WebUrl
    token_file: str = ""
    """the file with the bearer token; a file of that name in $CREDENTIALS_DIRECTORY goes first"""


class AppriseSettings(Model):
    """Whatever Apprise knows to reach: ntfy, Discord, Slack, Telegram, mail … Needs the extra `notify`."""

    url_file: str
    """the file with one Apprise URL on a line: they hold secrets, so they do not stand in the settings. A file of that
    name in $CREDENTIALS_DIRECTORY goes first"""


class AlertmanagerSettings(Model):
    """An Alertmanager that is told again and again which alerts fire, as a Prometheus does; the grouping, silences and
    routes are its own."""

    url: WebUrl
    """its address, without `/api/v2/alerts`"""
    token_file: str = ""
    every: PositiveDuration = 60.0
    """seconds"""


class TemplateSettings(Model):
    """How a message reads, as Go templates over Alertmanager's data (`{{ .CommonLabels.alertname }}`)."""

    title: str = Field(default="", max_length=4000)
    body: str = Field(default="", max_length=20_000)


ALL_LABELS = "..."
_ALERTMANAGERS_OWN = ("when", "escalate", "group_by", "group_wait", "group_interval", "repeat", "template")


class NotifySettings(Model):
    """One way to tell people, apart from MQTT. Exactly one of `webhook`, `apprise` and `alertmanager`."""

    name: str = Field(default="", pattern=r"^([A-Za-z0-9_.-]{1,64})?$")
    """how it is called in messages; empty: its place in the list"""
    webhook: WebhookSettings | None = None
    apprise: AppriseSettings | None = None
    alertmanager: AlertmanagerSettings | None = None
    severity: tuple[Literal["critical", "warning", "info"], ...] = ("critical", "warning", "info")
    """which alerts and actions it gets"""
    when: Literal["always", "unheard"] = "always"
    """`unheard`: only critical alerts that nobody heard over MQTT (within 30 s) and that no notifier before it could
    deliver; and those that every notifier before it has given up on"""
    escalate: Duration = 0.0
    """seconds: with it, only alerts that still fire and that nobody acknowledged after so long"""
    group_by: Words | None = None
    """labels: alerts that share their values come in one message; left out: each alert by itself; `...`: all labels; an
    empty list: all alerts in one"""
    group_wait: Duration = 10.0
    """seconds that the first alert of a group waits for others"""
    group_interval: Duration = 300.0
    """seconds between two messages about a group that changed"""
    repeat: Duration = 0.0
    """seconds after which a group that still fires is told again; 0: never"""
    template: TemplateSettings = TemplateSettings()

    @field_validator("group_by", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_way(self) -> "NotifySettings":
        given = [key for key in ("webhook", "apprise", "alertmanager") if getattr(self, key) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none of them"
            raise ValueError(f"a notifier has exactly one of webhook, apprise and alertmanager; this one has {said}")
        return self

    @model_validator(mode="after")
    def _no_contradiction(self) -> "NotifySettings":
        said = self._contradiction()
        if said:
            raise ValueError(said)
        return self

    def _contradiction(self) -> str:
        """What of this would have no effect, or could never tell anybody anything; '' where all is well."""
        given = [name for name in type(self).model_fields if name in self.model_fields_set]
        own = [name for name in given if name in _ALERTMANAGERS_OWN]
        if self.alertmanager is not None and own:
            return f"an Alertmanager groups, repeats and routes by itself; take {' and '.join(own)} out"
        if self.webhook is not None and "template" in given:
            return "a template is for apprise: a webhook gets the body that Alertmanager sends; take template out"
        alone = [name for name in given if name in ("group_wait", "group_interval")]
        if alone and self.group_by is None:
            return f"{' and '.join(alone)} has no effect without group_by; add group_by: [alertname]"
        if self.group_by is not None and ALL_LABELS in self.group_by and len(self.group_by) > 1:
            return "'...' stands for all labels; take the others out of group_by"
        if not self.severity:
            return "with an empty severity nothing is ever told; take it out, or name critical, warning or info"
        if self.when == "unheard" and "critical" not in self.severity:
            return "when: unheard tells of critical alerts only, which severity leaves out; add critical to severity"
        if self.when == "unheard" and self.escalate:
            return "when: unheard and escalate are two reasons to tell; make two notifiers of this one"
        return ""


class PrincipalSettings(Model):
    """What one principal may ask for over the bus. A plain list is its verbs."""

    verbs: tuple[str, ...] = ()
    secret_file: str = Field(default="")
    """the file with the key (32 bytes or more) of its signatures (HMAC-SHA256). A disruptive verb without a signature
    waits for a second word: another principal's or the command line's"""

    @field_validator("verbs")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for verb in value:
            if verb not in BUS_VERBS:
                raise ValueError(f"{verb!r} is no command; there are {', '.join(BUS_VERBS)}")
        return value


class CommandsSettings(Model):
    """Who may ask for what over the message bus. Nothing by default."""

    principals: Mapping[Principal, PrincipalSettings] = Field(default_factory=dict, max_length=64)
    """a level of the topic `resurgam/<host>/cmd/<principal>/<verb>` -> what they may. The broker's access list must let
    nobody else write there"""
    images: tuple[str, ...] = Field(default=(), max_length=64)
    """images that `phoenix image=…` may name over the bus, beside last-known-good and current; `*` stands for anything
    but `/`"""

    @field_validator("principals", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for name, given in value.items():
            if isinstance(given, str):
                raise ValueError(f"{name}: this must be a list of verbs, like [{given[:40]}]")
        return {name: {"verbs": given} if isinstance(given, list | tuple) else given for name, given in value.items()}


__all__ = [
    "BUS_VERBS",
    "AlertmanagerSettings",
    "AppriseSettings",
    "CommandsSettings",
    "FloodSettings",
    "HomeAssistantSettings",
    "MqttSettings",
    "NotifySettings",
    "PrincipalSettings",
    "TemplateSettings",
    "WebhookSettings",
]
