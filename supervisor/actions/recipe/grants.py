"""What a HostConfig grants, in one spelling: Docker has several for most things.

From: rights.py and likeness.py, with a raw inspect or a create body. Pure.
"""

import hashlib
import json
from collections.abc import Mapping

from supervisor.actions.recipe.raw import LONG_ID, bind, items, part
from supervisor.facts import Image, Json

NAMESPACES = (
    ("NetworkMode", "network"),
    ("PidMode", "processes"),
    ("IpcMode", "shared memory"),
    ("UTSMode", "host name"),
    ("UsernsMode", "users"),
    ("CgroupnsMode", "cgroups"),
    ("Cgroup", "cgroup"),
)
LIMITS = (("Memory", "memory"), ("MemorySwap", "memory with swap"), ("PidsLimit", "processes"))
_SHARED = ("shared", "rshared")
_WIDE = 80


def plain(value: object) -> str:
    """One spelling of any JSON value, nothing and emptiness left out."""
    return json.dumps(_thin(value), sort_keys=True, default=str)


def _thin(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _thin(each) for key, each in value.items() if each not in (None, "", [], {})}
    if isinstance(value, list | tuple):
        return [_thin(each) for each in value]
    return value


def capabilities(host: Json, key: str) -> set[str]:
    """`NET_ADMIN` for `CAP_NET_ADMIN` and `net_admin`."""
    return {str(each).upper().removeprefix("CAP_") for each in items(host, key)}


def devices(host: Json) -> set[tuple[str, str, str]]:
    """(path on the host, path inside, letters of `rwm`)."""
    found: set[tuple[str, str, str]] = set()
    for each in items(host, "Devices"):
        if isinstance(each, dict):
            path = str(each.get("PathOnHost") or "")
            letters = "".join(sorted(str(each.get("CgroupPermissions") or "rwm")))
            found.add((path, str(each.get("PathInContainer") or path), letters))
    return found


def sources(raw: Json, host: Json, *, anonymous: bool) -> dict[str, set[str]]:
    """Where its data comes from -> what it may do there (`ro`, `rw`, `shared`): host paths and volumes by name.
    `anonymous`: also the volumes that the engine made and named by itself, which are nobody else's."""
    found: dict[str, set[str]] = {}

    def add(source: str, writable: bool, propagation: str) -> None:
        rights = found.setdefault(source, set())
        rights.update(("ro", "rw") if writable else ("ro",))
        rights.update(("shared",) if propagation in _SHARED else ())

    for each in items(host, "Binds"):
        source, _target, options = bind(str(each))
        words = options.split(",")
        if source:
            add(source, "ro" not in words, next((word for word in words if word in _SHARED), ""))
    for each in items(host, "Mounts"):
        if not isinstance(each, dict) or each.get("Type") == "tmpfs":
            continue
        driver = part(part(each, "VolumeOptions"), "DriverConfig")
        source = str(each.get("Source") or "") or (plain(driver) if driver else "")
        if driver and part(driver, "Options") and each.get("Source"):
            add(f"{source} {plain(driver)}", not each.get("ReadOnly"), "")
        if source:
            add(source, not each.get("ReadOnly"), str(part(each, "BindOptions").get("Propagation") or ""))
    if "Config" in raw:
        # what it really has: also the volumes that got their names from the engine
        for each in items(raw, "Mounts"):
            if isinstance(each, dict) and each.get("Type") in ("volume", "bind"):
                source = str(each.get("Name") or each.get("Source") or "")
                if source and (anonymous or source in found or not LONG_ID.fullmatch(source)):
                    add(source, bool(each.get("RW")), str(each.get("Propagation") or ""))
    return found


def namespace(host: Json, key: str, names: Mapping[str, str]) -> str:
    """A namespace mode with the other container's name in its id's place; '' for one of its own."""
    mode = str(host.get(key) or "")
    if mode.startswith("container:"):
        other = mode.removeprefix("container:")
        return f"container:{names.get(other, other)}"
    return "" if mode in ("default", "private", "bridge") else mode


def security(host: Json) -> set[str]:
    """Security options as `seccomp=unconfined`, `no-new-privileges`; those that only say the default are left out."""
    found: set[str] = set()
    for each in items(host, "SecurityOpt"):
        text = str(each)
        name, sign, value = text.partition("=") if "=" in text.split(":")[0] else text.partition(":")
        if not sign and "=" in text:
            name, _, value = text.partition("=")
        if len(value) > _WIDE:  # a whole seccomp profile: compared by its digest, and shown so
            value = f"profile-{hashlib.sha256(value.encode()).hexdigest()[:12]}"
        if name == "no-new-privileges":
            found.update({"no-new-privileges"} if value in ("", "true") else ())
        else:
            found.add(f"{name}={value}" if value else name)
    return found


def published(host: Json) -> set[tuple[str, str]]:
    """(`8080->80/tcp`, address) of what is published; '' is every address, a port the engine chooses is `any`."""
    found: set[tuple[str, str]] = set()
    for port, bounds in part(host, "PortBindings").items():
        if port.startswith("/"):
            continue  # no number: nothing is published
        for each in bounds or [{}]:
            address = str((each or {}).get("HostIp") or "")
            outside = str((each or {}).get("HostPort") or "any")
            found.add((f"{outside}->{port}", "" if address in ("0.0.0.0", "::") else address))  # noqa: S104
    return found


def user(config: Json, image: Image | None) -> str:
    """Who its processes are: what the container says, else what its image says."""
    return str(config.get("User") or "") or (str(image.config.get("User") or "") if image is not None else "")


def is_root(who: str) -> bool:
    """Whether a `user[:group]` is root."""
    name = who.partition(":")[0]
    return name in ("", "root") or (name.isdigit() and int(name) == 0)


def number(host: Json, key: str) -> int:
    """A whole number; 0 where there is none."""
    found = host.get(key)
    return int(found) if isinstance(found, int | float) else 0


def cpu(host: Json) -> bool:
    """Whether its CPU time is limited, in either spelling."""
    return number(host, "NanoCpus") > 0 or number(host, "CpuQuota") > 0


def ulimits(host: Json) -> dict[str, int]:
    """name -> hard limit; -1 is none."""
    found = {}
    for each in items(host, "Ulimits"):
        if isinstance(each, dict):
            found[str(each.get("Name"))] = number(each, "Hard")
    return found


def runtime(host: Json, default: str) -> str:
    """The runtime's name; '' where nobody can tell."""
    return str(host.get("Runtime") or default)
