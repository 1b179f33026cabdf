"""One simulated container: its state, and the inspect JSON Docker would show for it.

From: create bodies (raw JSON, as the engine's API takes them) and images. To: lab/dockerd.py, which moves the state;
the JSON goes through the same mapping as the real engine's (engines/docker/shape.py).
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from supervisor.facts import Json
from supervisor.lab.files import Files
from supervisor.lab.images import Behaviour, SimImage


@dataclass(slots=True)
class SimContainer:
    """A container in the simulated engine. Times are unix seconds, 0 for never; `*_mono` are monotonic seconds."""

    id: str
    name: str
    image: SimImage
    config: Json
    host: Json
    networks: dict[str, Json]
    mounts: list[Json]
    created: float
    files: Files
    status: str = "created"
    health: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    restart_count: int = 0
    started: float = 0.0
    finished: float = 0.0
    pid: int = 0
    # what inspect does not show
    life: int = 0
    """counts starts and ends: what was planned for an earlier life does not happen in a later one"""
    began_mono: float = 0.0
    backoff: float = 0.0
    retries: int = 0
    stopped_by_hand: bool = False
    forced: str = ""
    """`healthy` or `unhealthy` when a test decided so"""
    override: Behaviour | None = None
    log: list[str] = field(default_factory=list)
    on_end: list[Callable[[], None]] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)
    """network, pid, ipc, volumes -> which life of its parent it was started in"""
    health_log: list[Json] = field(default_factory=list)
    """the last five answers of its health check"""

    @property
    def alive(self) -> bool:
        """A process runs (also while paused)."""
        return self.status in ("running", "paused")

    @property
    def active(self) -> bool:
        """What the engine's State.Running says: also while it waits to be restarted."""
        return self.alive or self.status == "restarting"

    @property
    def run(self) -> Behaviour:
        """How it behaves: its own override, else its image's, which may depend on its command."""
        run = self.override or self.image.run
        if not run.commands:
            return run
        word = next(iter(self.config.get("Cmd") or ()), "")
        return next((other for begins, other in run.commands if begins == word), run)

    @property
    def checked(self) -> bool:
        """It has a health check of its own."""
        test = (self.config.get("Healthcheck") or {}).get("Test") or ["NONE"]
        return bool(test[0] != "NONE")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, the image's among them."""
        return self.config.get("Labels") or {}

    def told(self, status: str, output: str, code: int) -> None:
        """Its health check answered."""
        code, output = (0, output) if status == "healthy" else (code, output or self.run.check_output)
        self.health_log = [*self.health_log, {"ExitCode": code, "Output": output}][-5:]

    def env(self) -> set[str]:
        """The names of its variables."""
        return {str(pair).partition("=")[0] for pair in self.config.get("Env") or ()}

    def raw(self) -> Json:
        """Docker's inspect of it."""
        state: Json = {
            "Status": self.status,
            "Running": self.active,
            "Paused": self.status == "paused",
            "Restarting": self.status == "restarting",
            "OOMKilled": self.oom_killed,
            "Dead": False,
            "Pid": self.pid if self.alive else 0,
            "ExitCode": self.exit_code,
            "Error": self.error,
            "StartedAt": stamp(self.started),
            "FinishedAt": stamp(self.finished),
        }
        if self.health:
            state["Health"] = {"Status": self.health, "FailingStreak": 0, "Log": self.health_log}
        shown: Json = {
            "Id": self.id,
            "Created": stamp(self.created),
            "Path": "",
            "Args": [],
            "State": state,
            "Image": self.image.id,
            "Name": "/" + self.name,
            "RestartCount": self.restart_count,
            "Driver": "overlay2",
            "Platform": "linux",
            "SizeRw": 0,
            "Mounts": self.mounts,
            "Config": self.config,
            "HostConfig": self.host,
            "NetworkSettings": {"Networks": self._endpoints()},
        }
        made: Json = _copied(shown)
        return made

    def _endpoints(self) -> Json:
        found: Json = {}
        for name, asked in self.networks.items():
            aliases = list(asked.get("Aliases") or ())
            if name not in ("bridge", "host", "none"):
                aliases.append(self.id[:12])
            address = self.addresses.get(name, "") if self.alive else ""
            found[name] = {
                "IPAMConfig": asked.get("IPAMConfig"),
                "Links": asked.get("Links"),
                "Aliases": aliases or None,
                "NetworkID": f"net-{name}",
                "EndpointID": f"{self.id[:8]}-{name}" if address else "",
                "Gateway": "",
                "IPAddress": address,
                "IPPrefixLen": 16 if address else 0,
                "MacAddress": "02:42:0a:00:00:02" if address else "",
                "DriverOpts": None,
            }
        return found


NO_TOOL = (
    "OCI runtime exec failed: exec failed: unable to start container process: "
    'exec: "{}": executable file not found in $PATH: unknown'
)
"""what the engine says of a check whose tool is not in the image (exit code -1)"""
_COPIED = ("WorkingDir", "User", "StopSignal", "Shell", "OnBuild")


def settle(body: Json, image: SimImage, container_id: str) -> tuple[Json, Json]:
    """(Config, HostConfig) as the engine stores them: the create body merged with what the image brings."""
    given = {key: value for key, value in copy.deepcopy(body).items() if key not in ("HostConfig", "NetworkingConfig")}
    base, host = image.config, copy.deepcopy(body.get("HostConfig") or {})
    names = {str(pair).partition("=")[0] for pair in given.get("Env") or ()}
    inherited = [pair for pair in base.get("Env") or () if str(pair).partition("=")[0] not in names]
    given["Env"] = [*(given.get("Env") or ()), *inherited]
    if not given.get("Entrypoint"):
        given["Cmd"] = given.get("Cmd") or base.get("Cmd")
        given["Entrypoint"] = base.get("Entrypoint")
    given["Labels"] = {**(base.get("Labels") or {}), **(given.get("Labels") or {})}
    for key in ("ExposedPorts", "Volumes"):
        both = {**(base.get(key) or {}), **(given.get(key) or {})}
        if both:
            given[key] = both
    for key in _COPIED:
        given[key] = given.get(key) or base.get(key) or ("" if key in ("WorkingDir", "User") else None)
    own, inbuilt = given.get("Healthcheck"), base.get("Healthcheck")
    if own or inbuilt:
        given["Healthcheck"] = {**(inbuilt or {}), **{key: value for key, value in (own or {}).items() if value}}
    mode = host.setdefault("NetworkMode", "default")
    if not given.get("Hostname") and mode != "host" and not mode.startswith("container:"):
        given["Hostname"] = container_id[:12]
    given.setdefault("Hostname", "")
    for key, default in _HOST_DEFAULTS.items():
        host.setdefault(key, copy.deepcopy(default))
    policy = host["RestartPolicy"] or {}
    host["RestartPolicy"] = {
        "Name": policy.get("Name") or "no",
        "MaximumRetryCount": policy.get("MaximumRetryCount") or 0,
    }
    return given, host


_HOST_DEFAULTS: dict[str, Any] = {
    "Binds": None,
    "Mounts": None,
    "PortBindings": {},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "DeviceRequests": None,
    "Runtime": "runc",
}


def mounts(config: Json, host: Json, volume: Callable[[], str]) -> list[Json]:
    """The Mounts list of an inspect; `volume()` makes the name of a new anonymous volume."""
    found: list[Json] = []
    for bind in host.get("Binds") or ():
        source, _, rest = str(bind).partition(":")
        target, _, options = rest.partition(":")
        kind = "bind" if source.startswith("/") else "volume"
        found.append(_mount(kind, source, target, options))
    for mount in host.get("Mounts") or ():
        kind = str(mount.get("Type") or "volume")
        source = str(mount.get("Source") or "") or volume()
        found.append(_mount(kind, source, str(mount.get("Target")), "ro" if mount.get("ReadOnly") else ""))
    taken = {mount["Destination"] for mount in found}
    found += [_mount("volume", volume(), path, "") for path in config.get("Volumes") or () if path not in taken]
    return found


def _mount(kind: str, source: str, target: str, options: str) -> Json:
    shown: Json = {"Type": kind, "Source": source, "Destination": target, "Mode": options, "RW": "ro" not in options}
    if kind == "volume":
        shown |= {"Name": source, "Source": f"/var/lib/docker/volumes/{source}/_data", "Driver": "local"}
    return shown


def _copied(value: Any) -> Any:
    """A JSON value, copied whole. (deepcopy took a tenth of the time of all simulations.)"""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value


def stamp(seconds: float) -> str:
    """An RFC 3339 stamp the way the engine writes it."""
    if not seconds:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_SIGNALS = {"SIGTERM": "15", "SIGINT": "2", "SIGQUIT": "3", "SIGKILL": "9", "SIGHUP": "1"}


def signal_number(text: object) -> str:
    """The number of a stop signal, as the engine's `kill` event has it."""
    return _SIGNALS.get(str(text or "SIGTERM"), "15")
