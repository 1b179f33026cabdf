"""The settings: every key of `resurgam.yaml`, its type, its default and what it does.

Comes from `files.load`, which reads the file and fills in what the environment says; goes, frozen, to everything that
is wired in daemon.py. `Settings()` alone is what runs with no file at all.
"""

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from supervisor import units
from supervisor.config import fields
from supervisor.config.fields import (
    Argv,
    BudgetText,
    Duration,
    EnvName,
    GrpcMethod,
    HostName,
    HostPath,
    InsidePath,
    Link,
    Listen,
    MetricsUrl,
    PositiveDuration,
    Probe,
    ServiceId,
    Size,
    Vram,
    Word,
    Words,
)
from supervisor.config.model import Model
from supervisor.config.slots import SlotSettings
from supervisor.config.telling import BUS_VERBS, CommandsSettings, MqttSettings, NotifySettings, WebhookSettings
from supervisor.config.watching import DiskSettings, GpuSettings, ProbeSettings, SafeSettings, ScrapeSettings


class DockerSettings(Model):
    """How to reach the container engine."""

    endpoint: str = ""
    """`unix:///var/run/docker.sock` or `tcp://…`; empty: DOCKER_HOST, the context, then the known sockets"""


class HttpSettings(Model):
    """The read-only web port."""

    listen: Listen = "127.0.0.1:9464"
    """address:port, or `none`"""
    token_file: str = ""
    """with it, who sends this token may hand in alerts (`/api/v2/alerts`); everything else only reads"""

    @property
    def address(self) -> tuple[str, int] | None:
        """(address, port) to listen on; None for `none`."""
        return None if self.listen == "none" else fields.listen_address(self.listen)


class KubeSettings(Model):
    """The names this service has in rules that were written for Kubernetes."""

    namespace: str = Field(default="", max_length=253)
    deployment: str = Field(default="", max_length=253)
    container: str = Field(default="", max_length=253)

    def names(self) -> dict[str, str]:
        """The names that are set, by key."""
        return {key: value for key, value in self.model_dump().items() if value}


class BeforeSettings(Model):
    """A command inside the container that must end well before its image is changed: a backup."""

    exec: Argv
    within: PositiveDuration = 600.0
    """seconds"""
    file: InsidePath = ""
    """what it must leave behind: a file inside the container, not empty and newer than the command's start"""


class BenchmarkSettings(Model):
    """How fast a model must answer before it counts as good."""

    at_least: float = Field(alias="at-least", gt=0, le=1_000_000)
    """tokens per second"""
    tokens: int = Field(default=64, ge=1, le=4096)
    within: PositiveDuration = 120.0


class ServiceSettings(Model):
    """One entry of `services:`. None means it says nothing about that, and the label or the default counts."""

    enable: bool | None = None
    """true: ours to heal; false: only watched, whatever its labels say"""
    service: ServiceId | None = None
    """another id for the container that would have this one"""
    aliases: Words | None = None
    probe: Probe | None = None
    """how to ask whether it is well: `http://:8000/health`, `tcp://:6333`, `grpc://:50051`, `completion://:8000`"""
    probe_exec: Argv | None = Field(default=None, alias="probe-exec")
    """a command inside the container that asks instead; 0 means well"""
    probe_method: GrpcMethod | None = Field(default=None, alias="probe-method")
    """for a gRPC server without `grpc.health.v1`: the method to call, like `/skills.Health/Check`"""
    probe_model: str | None = Field(default=None, alias="probe-model", max_length=500)
    """the model a `completion://` probe asks; left out: the first that the server lists"""
    probe_interval: PositiveDuration | None = Field(default=None, alias="probe-interval")
    """seconds between two questions; left out: 15 (a completion or a command inside: 60)"""
    probe_timeout: PositiveDuration | None = Field(default=None, alias="probe-timeout")
    """seconds for an answer; left out: 5 (a completion: 30)"""
    probe_retries: int | None = Field(default=None, alias="probe-retries", ge=1, le=100)
    """answers in a row that make it count as failing; left out: 3"""
    benchmark: BenchmarkSettings | None = None
    """for a model: how fast it must be after a Phoenix, or the old one comes back"""
    before: BeforeSettings | None = None
    """what must be done, and proved, before its image is changed"""
    keep_env: tuple[EnvName, ...] | None = Field(default=None, alias="keep-env", max_length=64)
    """variables that were meant, though the old image sets the same: they do not change with the image"""
    startup: PositiveDuration | None = None
    """seconds: the longest normal load"""
    memory: Size | None = None
    """bytes of memory it needs"""
    weights: tuple[HostPath, ...] | None = Field(default=None, max_length=64)
    """files or folders of this machine with its model, so that `drop-cache` knows what to drop once it is unloaded"""
    vram: Vram | None = None
    """(GPU, bytes) pairs; GPU '' is any"""
    safe: SafeSettings | None = None
    """how it is run more carefully after faults of its GPU (`phoenix profile=safe`)"""
    exclusive: Words | None = None
    """services that share one of these words never run together; `gpu:0` is the card of that index"""
    priority: int | None = Field(default=None, ge=-1000, le=1000)
    """higher is spared longer"""
    depends: Words | None = None
    """services it needs running"""
    stop_grace: Duration | None = Field(default=None, alias="stop-grace")
    """seconds between asking it to stop and killing it"""
    stateful: bool | None = None
    """going back to an older image needs a person's word once a newer one could write its data"""
    metrics: MetricsUrl | None = None
    """an endpoint of it to scrape"""
    boot: Literal["engine", "ordered"] | None = None
    """who starts it after a boot: the engine's restart policy, or we, in order"""
    kube: KubeSettings | None = None

    @field_validator("aliases", "exclusive", "depends", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class BudgetSettings(Model):
    """How many disruptive plans are allowed; every window counts."""

    service: tuple[BudgetText, ...] = Field(default=(units.Budget(3, 3600.0), units.Budget(6, 86400.0)), max_length=8)
    """for each service"""
    host: tuple[BudgetText, ...] = Field(default=(units.Budget(10, 86400.0),), max_length=8)
    """for all services together"""

    @field_validator("service", "host", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class HeavySettings(Model):
    """From where on a service counts as heavy: it is not loaded again on suspicion."""

    memory: Size = 64 << 30
    """bytes declared"""
    startup: PositiveDuration = 120.0
    """seconds declared"""


class MemorySettings(Model):
    """The memory of this machine: what may be planned with, and from when on its end counts as near."""

    reserve: Size | None = None
    """bytes that no service may plan with: the system's own and everything that is no service; left out: 2 % of the
    machine's memory, at least 512 MiB and at most 8 GiB"""
    swap: Size = 0
    """bytes of swap that this machine is to have: less, or none, is an alert; 0 for no such wish"""
    horizon: PositiveDuration = 900.0
    """seconds: memory that lasts shorter than this, at the present rate, is about to run out"""
    group: str = Field(default="", pattern=r"^(/[A-Za-z0-9_.@:/-]{1,500})?$")
    """the path of a control group that stands for the machine (one with a memory limit, that everything of ours lives
    in); empty: the machine itself"""


class RequestSettings(Model):
    """A folder in which a container may ask for a recreation of one compose project."""

    folder: str = Field(min_length=1, max_length=1000)
    """an absolute path on this machine"""
    project: Word
    """the compose project that is recreated"""
    file: str = Field(default="restart-requested", pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    """the file that is the request"""
    compose: str = Field(default="", pattern=r"^([A-Za-z0-9_.-]{1,100})?$")
    """the compose file in that folder that is applied; empty: the containers are recreated as they are"""
    grace: Duration = 10.0
    """seconds between seeing the file and acting on it"""


LONGEST_SETTLE = 60.0
"""seconds that rules may wait for readings that belong together: no longer than what repeats them"""


def machine_name() -> str:
    """The machine's own name, made fit for a topic level."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", platform.node().split(".")[0]).strip("-.")[:63] or "localhost"


def default_state_dir(env: Mapping[str, str], uid: int) -> Path:
    """RESURGAM_STATE_DIR, else /var/lib/resurgam as root, else the user's state folder."""
    if env.get("RESURGAM_STATE_DIR"):
        return Path(os.path.abspath(env["RESURGAM_STATE_DIR"]))
    if uid == 0:
        return Path("/var/lib/resurgam")
    base = env.get("XDG_STATE_HOME", "")
    home = env.get("HOME") or os.path.expanduser("~")
    return (Path(base) if base.startswith("/") else Path(home, ".local", "state")) / "resurgam"


def _state_dir_here() -> Path:
    return default_state_dir(os.environ, os.getuid())


class Settings(Model):
    """Everything that can be set. Paths are absolute once `files.load` has read them."""

    host: HostName = Field(default_factory=machine_name)
    """this machine's name in topics and messages"""
    mode: Literal["heal", "observe"] = "heal"
    """`observe` decides and tells everything and writes to nothing"""
    state_dir: Path = Field(default_factory=_state_dir_here)
    """where the journal, the recorder and the control socket are"""
    rules: tuple[str, ...] = ("shipped",)
    """folders of rule files; the word `shipped` stands for ours"""
    settle: Mapping[str, Duration] = Field(default_factory=dict)
    """seconds by the name of a rule group: how long its rules wait, after a reading, for others that belong to it; 0
    not at all. Else 250 ms where several collectors feed a rule"""
    external_labels: Mapping[str, str] = Field(default_factory=dict)
    """what rules see as `$externalLabels`, as under `global:` in a prometheus.yml"""
    external_url: Link = ""
    """where people reach this box's pages: what rules see as `$externalURL`"""
    docker: DockerSettings = DockerSettings()
    mqtt: MqttSettings = MqttSettings()
    http: HttpSettings = HttpSettings()
    services: Mapping[ServiceId, ServiceSettings] = Field(default_factory=dict)
    """what is declared about services, by id; wins over labels"""
    notify: tuple[NotifySettings, ...] = ()
    budget: BudgetSettings = BudgetSettings()
    consent: Literal["label", "listed"] = "label"
    """who may be healed: `label` is everything that says `resurgam.enable=true` or is listed in `services:` with
    `enable: true`; `listed` only the latter, for a daemon beside another one on the same engine"""
    heavy: HeavySettings = HeavySettings()
    memory: MemorySettings = MemorySettings()
    brake: BudgetText = units.Budget(3, 3600.0)
    """so many maneuvers that failed on this host: then rules start nothing disruptive until it was quiet for as long"""
    requests: tuple[RequestSettings, ...] = Field(default=(), max_length=16)
    proof: PositiveDuration = 600.0
    """seconds: how long healthy makes an image proved"""
    commands: CommandsSettings = CommandsSettings()
    gpu: GpuSettings = GpuSettings()
    probes: tuple[ProbeSettings, ...] = Field(default=(), max_length=256)
    """endpoints outside that are asked whether they are well"""
    scrape: tuple[ScrapeSettings, ...] = Field(default=(), max_length=256)
    """Prometheus text that is read from elsewhere"""
    textfile: HostPath | None = None
    """a folder of *.prom files that are read, as node_exporter does"""
    disk: DiskSettings = DiskSettings()
    slots: Mapping[ServiceId, SlotSettings] = Field(default_factory=dict, max_length=32)
    """addresses that callers use, each with the models that may hold it"""

    @field_validator("rules", mode="before")
    @classmethod
    def _rules(cls, value: Any) -> Any:
        folders = (value,) if isinstance(value, str) else value
        if isinstance(folders, list | tuple):
            for folder in folders:
                if folder == "" or folders.count(folder) > 1:
                    raise ValueError(f"the folder {folder!r} is {'listed twice' if folder else 'empty'}; take it out")
        return folders

    @field_validator("settle")
    @classmethod
    def _settle(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        for group, seconds in value.items():
            if not group or seconds > LONGEST_SETTLE:
                raise ValueError(
                    f"the group {group!r} would wait {units.show_duration(seconds)}; at most 1m makes sense"
                    if group
                    else "an empty name is no group; write the name of a rule group"
                )
        return value

    @field_validator("external_labels")
    @classmethod
    def _label_names(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name in value:
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name.startswith("__"):
                raise ValueError(f"{name!r} cannot be a label; use letters, digits and _, and no __ in front")
        return value

    @field_validator("notify")
    @classmethod
    def _notifiers_are_told_apart(cls, value: tuple[NotifySettings, ...]) -> tuple[NotifySettings, ...]:
        """Each keeps its place under its name, or under its number in the list."""
        names = [entry.name or str(number) for number, entry in enumerate(value)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two notifiers are called {name!r}; give each a name of its own")
        return value

    @field_validator("probes", "scrape")
    @classmethod
    def _named_once(cls, value: tuple[ProbeSettings | ScrapeSettings, ...]) -> Any:
        names = [one.name if isinstance(one, ProbeSettings) else f"{one.job} {one.url}" for one in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is there twice; give each a name of its own")
        return value

    @field_validator("services")
    @classmethod
    def _names_are_told_apart(cls, value: Mapping[str, ServiceSettings]) -> Mapping[str, ServiceSettings]:
        owners: dict[str, str] = {}
        for name, entry in value.items():
            for alias in (name, *(entry.aliases or ())):
                if owners.setdefault(alias, name) != name:
                    raise ValueError(f"{alias!r} names both {owners[alias]!r} and {name!r}; give each its own names")
        return value


WIRED = (
    *("host", "state_dir", "docker", "mqtt", "http", "notify", "requests", "commands", "memory"),
    *("gpu", "probes", "scrape", "textfile", "disk", "slots"),
)
"""keys of what is opened once, at the start"""


def waits_for_start(running: Settings, read: Settings) -> str:
    """A sentence about what a reload cannot change, '' where nothing of it was changed."""
    changed = [key for key in WIRED if getattr(running, key) != getattr(read, key)]
    return f" What was changed in {', '.join(changed)} counts from the next start." if changed else ""


__all__ = [
    "BUS_VERBS",
    "BeforeSettings",
    "BenchmarkSettings",
    "BudgetSettings",
    "CommandsSettings",
    "DiskSettings",
    "DockerSettings",
    "GpuSettings",
    "HeavySettings",
    "HttpSettings",
    "KubeSettings",
    "MemorySettings",
    "MqttSettings",
    "NotifySettings",
    "ProbeSettings",
    "RequestSettings",
    "SafeSettings",
    "ScrapeSettings",
    "ServiceSettings",
    "Settings",
    "SlotSettings",
    "WebhookSettings",
    "default_state_dir",
    "machine_name",
    "waits_for_start",
]
