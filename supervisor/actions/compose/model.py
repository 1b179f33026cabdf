"""One compose service, resolved: what `resurgam phoenix --from-compose` sends, and all that a plan keeps of a file.

From: service.py, which makes it from a compose file. To: body.py and difference.py, in the daemon, which trust nothing
about it but this shape: a closed list of fields, each of its type, named as the engine's API names them. Networks and
volumes are named by their keys in the file; only the project they belong to, known to the daemon, completes them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from supervisor.facts import Json

Text = Annotated[str, StringConstraints(max_length=32_000)]
Word = Annotated[str, StringConstraints(max_length=1_000)]
Texts = Annotated[dict[Word, Text], Field(max_length=1_000)]
Lines = Annotated[tuple[Text, ...], Field(max_length=1_000)]
Words = Annotated[tuple[Word, ...], Field(max_length=1_000)]
Count = Annotated[int, Field(ge=-1, lt=2**63)]
Port = Annotated[str, StringConstraints(pattern=r"^\d{1,5}/(tcp|udp|sctp)$")]

MOST_DOCUMENT = 48_000
"""characters of all services in one command: each is kept with the plan that comes from it"""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Health(_Part):
    """Docker's HealthConfig; times in ns. A field left out is the image's."""

    Test: Lines | None = None
    Interval: Count | None = None
    Timeout: Count | None = None
    StartPeriod: Count | None = None
    StartInterval: Count | None = None
    Retries: Count | None = None


class Config(_Part):
    """What the engine keeps of the process."""

    Cmd: Lines | None = None
    Entrypoint: Lines | None = None
    Env: Lines = ()
    Labels: Texts = {}
    User: Word = ""
    WorkingDir: Text = ""
    Hostname: Word = ""
    Domainname: Word = ""
    MacAddress: Word = ""
    StopSignal: Word = ""
    StopTimeout: Count | None = None
    Healthcheck: Health | None = None
    ExposedPorts: dict[Port, dict[str, Any]] = {}
    Tty: bool = False
    OpenStdin: bool = False


class Binding(_Part):
    """One port on the host."""

    HostIp: Word = ""
    HostPort: Annotated[str, StringConstraints(pattern=r"^(\d{1,5}(-\d{1,5})?)?$")] = ""


class Policy(_Part):
    """Docker's RestartPolicy."""

    Name: Literal["no", "always", "unless-stopped", "on-failure"] = "no"
    MaximumRetryCount: Count = 0


class Log(_Part):
    """Docker's LogConfig."""

    Type: Word = ""
    Config: Texts = {}


class Ulimit(_Part):
    """One resource limit."""

    Name: Word
    Soft: Count
    Hard: Count


class Device(_Part):
    """One device of the host."""

    PathOnHost: Word
    PathInContainer: Word
    CgroupPermissions: Word = "rwm"


class DeviceRequest(_Part):
    """GPUs and their kin."""

    Driver: Word = ""
    Count: int = 0
    DeviceIDs: Words = ()
    Capabilities: tuple[Words, ...] = ()
    Options: Texts = {}


class Host(_Part):
    """What the engine keeps of the container's place on the host; mounts and networks stand apart."""

    RestartPolicy: Policy = Policy()
    PortBindings: dict[Port, Annotated[tuple[Binding, ...], Field(max_length=100)]] = {}
    NetworkMode: Word = ""
    """host | none | bridge | service:X | container:X; '' where `networks` says it"""
    PidMode: Word = ""
    IpcMode: Word = ""
    UTSMode: Word = ""
    UsernsMode: Word = ""
    CgroupnsMode: Word = ""
    CgroupParent: Word = ""
    Privileged: bool = False
    ReadonlyRootfs: bool = False
    Init: bool | None = None
    Runtime: Word = ""
    CapAdd: Words = ()
    CapDrop: Words = ()
    SecurityOpt: Lines = ()
    GroupAdd: Words = ()
    Devices: tuple[Device, ...] = ()
    DeviceCgroupRules: Words = ()
    DeviceRequests: tuple[DeviceRequest, ...] = ()
    Tmpfs: Texts = {}
    Sysctls: Texts = {}
    Ulimits: tuple[Ulimit, ...] = ()
    ShmSize: Count = 0
    Memory: Count = 0
    MemoryReservation: Count = 0
    MemorySwap: Count = 0
    MemorySwappiness: Count | None = None
    OomKillDisable: bool = False
    OomScoreAdj: Annotated[int, Field(ge=-1000, le=1000)] = 0
    NanoCpus: Count = 0
    CpuShares: Count = 0
    CpuQuota: Count = 0
    CpuPeriod: Count = 0
    CpusetCpus: Word = ""
    PidsLimit: Count | None = None
    LogConfig: Log | None = None
    ExtraHosts: Words = ()
    Dns: Words = ()
    DnsOptions: Words = ()
    DnsSearch: Words = ()
    StorageOpt: Texts = {}


class Mount(_Part):
    """One mount. A volume's `source` is its key in the file unless `real` says that it is its name."""

    type: Literal["bind", "volume", "tmpfs"]
    target: Text
    source: Text = ""
    """a path on the host, or a volume; '' for an anonymous volume"""
    real: bool = False
    external: bool = False
    """the volume is not this project's own"""
    short: bool = True
    """written as `source:target:mode`: the engine makes what is missing"""
    mode: Word = ""
    """of the short form: `rw`, `ro,z` …"""
    read_only: bool = False
    options: dict[str, Any] = {}
    """of the long form: the engine's BindOptions, VolumeOptions or TmpfsOptions"""


class Endpoint(_Part):
    """One network it joins."""

    key: Word
    real: bool = False
    external: bool = False
    aliases: Words = ()
    ipv4: Word = ""
    ipv6: Word = ""
    link_local: Words = ()
    driver_opts: Texts = {}
    priority: int = 0


class InlineFile(_Part):
    """A config or secret whose content stands in the file or the environment: put into the container."""

    path: Text
    text: Text
    mode: Annotated[int, Field(ge=0, le=0o777)] = 0o444
    uid: Annotated[int, Field(ge=0, lt=2**31)] = 0
    gid: Annotated[int, Field(ge=0, lt=2**31)] = 0


class Spec(_Part):
    """One compose service, resolved."""

    service: Word
    file: Text = ""
    project: Word = ""
    """the project's name where the file says it"""
    image: Word = ""
    built: bool = False
    """the file would build the image"""
    container_name: Word = ""
    config: Config = Config()
    host: Host = Host()
    mounts: Annotated[tuple[Mount, ...], Field(max_length=500)] = ()
    networks: Annotated[tuple[Endpoint, ...], Field(max_length=50)] = ()
    files: Annotated[tuple[InlineFile, ...], Field(max_length=50)] = ()
    depends_on: dict[Word, tuple[Word, bool]] = {}
    """service -> (condition, restart)"""
    config_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,128}$")] = ""
    """what a compose program gives as the hash of this service; '' where none was asked"""
    agreed: Text = ""
    """what of it a person was asked about, in the words of the question; only the core puts it here"""

    def document(self) -> Json:
        """As JSON, without what is as it is by default."""
        made: Json = self.model_dump(mode="json", exclude_defaults=True)
        return made


def from_document(document: Json) -> Spec:
    """The service in a document; ValueError with one sentence where it has not the shape."""
    try:
        return Spec.model_validate(document)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"the compose document cannot be read: {place}: {first['msg']}") from None
