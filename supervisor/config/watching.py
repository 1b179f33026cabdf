"""The settings of what is watched beside containers: GPUs, probes, scrapes, text files, disks.

Part of settings.py, which says where they come from; they go to the rooms `signals`, `gpu` and `incidents`.
"""

from collections.abc import Mapping

from pydantic import Field, model_validator

from supervisor import units
from supervisor.config.fields import (
    Argv,
    BudgetText,
    EnvName,
    GrpcMethod,
    HostPath,
    PositiveDuration,
    Probe,
    ServiceId,
    Size,
    WebUrl,
    Word,
    probe_host,
)
from supervisor.config.model import Model


class GpuSettings(Model):
    """The GPUs of this machine, and what may be done to them beyond containers."""

    enable: bool = True
    """false: the driver is never asked, and nothing is known of the cards"""
    expected: int | None = Field(default=None, ge=0, le=64)
    """how many cards there are to be; left out: those that were ever seen here (`resurgam gpu forget` takes one out)"""
    reserve: Size = 0
    """bytes of each card that no service may plan with: a desktop's own"""
    xids: HostPath | None = None
    """a file with entries that count instead of ours in the table of faults"""
    reset: bool = False
    """true: rules and people may reset a card that nobody uses (`gpu-reset`)"""
    reboot: bool = False
    """true: rules and people may restart the machine (`reboot`)"""
    budget: tuple[BudgetText, ...] = Field(default=(units.Budget(2, 86400.0),), max_length=8)
    """resets and restarts of all cards together; they are counted over restarts of the machine"""


class SafeSettings(Model):
    """How a service is run more carefully after faults of its GPU: the same image with other variables, arguments."""

    env: Mapping[EnvName, str] = Field(default_factory=dict, max_length=64)
    args: tuple[str, ...] = Field(default=(), max_length=64)
    """put behind its own arguments"""
    command: Argv | None = None
    """instead of its own arguments"""
    quiet: PositiveDuration = 21600.0
    """seconds without a fault after which it is run as before again"""

    @model_validator(mode="after")
    def _says_something(self) -> "SafeSettings":
        if not (self.env or self.args or self.command):
            raise ValueError("a safe profile changes something; give it env, args or command")
        if self.args and self.command:
            raise ValueError("args go behind its own arguments, command stands instead of them; give one of the two")
        return self


class ProbeSettings(Model):
    """One endpoint outside that is asked for ever."""

    name: ServiceId
    probe: Probe
    """`https://example.org/health`, `tcp://10.0.0.3:6333`, `grpc://…`, `completion://…`; with a host"""
    interval: PositiveDuration | None = None
    """seconds; left out: 15 (a completion: 60)"""
    timeout: PositiveDuration | None = None
    """seconds for an answer; left out: 5 (a completion: 30)"""
    retries: int = Field(default=3, ge=1, le=100)
    """answers in a row that make it count as failing"""
    method: GrpcMethod = ""
    """for a gRPC server without `grpc.health.v1`"""
    model: str = Field(default="", max_length=500)
    """the model a completion is asked of; empty: the first that is loaded"""

    @model_validator(mode="after")
    def _has_a_host(self) -> "ProbeSettings":
        if not probe_host(self.probe):
            raise ValueError(f"{self.probe!r} names no host; write it like https://example.org/health")
        if self.interval is not None and self.interval < 1.0:
            raise ValueError("an interval is 1s or longer")
        return self


class ScrapeSettings(Model):
    """Prometheus text that is read for ever from one address."""

    job: Word
    url: WebUrl
    interval: PositiveDuration = 15.0
    timeout: PositiveDuration = 10.0
    labels: Mapping[str, str] = Field(default_factory=dict, max_length=32)
    """put on every series"""
    token_file: str = ""
    """sent as a bearer token; a file of that name in $CREDENTIALS_DIRECTORY goes first"""
    series: int = Field(default=5_000, ge=1, le=200_000)
    """a scrape with more is not taken at all"""
    size: Size = 10 << 20
    """bytes of one answer; a longer one is not taken at all"""
    honor_labels: bool = False
    """true: its own job and instance labels stay; else they are kept as exported_job, exported_instance"""
    override: bool = False
    """true: also take series of names that are made here (left out else, so that nobody speaks in our name)"""

    @model_validator(mode="after")
    def _in_time(self) -> "ScrapeSettings":
        if self.interval < 1.0:
            raise ValueError("an interval is 1s or longer")
        if self.timeout > self.interval:
            raise ValueError("a scrape's timeout is not longer than its interval")
        return self


class DiskSettings(Model):
    """The folders whose disks are watched, beside the state folder, the engine's and those of the models."""

    folders: tuple[HostPath, ...] = Field(default=(), max_length=64)
    reclaimable: PositiveDuration = 21600.0
    """seconds between two looks at what the engine could give back: each walks through all it has"""
