"""Words that another version of an engine shows but does not take back at a create, left out once.

From: phoenix.py, when a create was refused as malformed (status 400). To: a second, last try. Only what says nothing is
left out: an emptiness, a default, a field that engines stopped to obey. A field that limits or allows anything is not
in the table, so neither try can widen a right. Pure.
"""

import copy
from collections.abc import Callable

from supervisor.actions.recipe.raw import items, part
from supervisor.facts import Json

_When = Callable[[object, Json], bool]


def _always(_value: object, _host: Json) -> bool:
    return True


def _empty(value: object, _host: Json) -> bool:
    return not value


def _doubled(_value: object, host: Json) -> bool:
    return bool(host.get("NanoCpus"))


def _idle(value: object, _host: Json) -> bool:
    return value in (None, 0, -1, False)


TABLE: tuple[tuple[str, _When, str], ...] = (
    ("KernelMemory", _always, "engines stopped to obey it"),
    ("KernelMemoryTCP", _always, "engines stopped to obey it"),
    ("MemorySwappiness", _idle, "not known with cgroup v2"),
    ("OomKillDisable", _idle, "not known with cgroup v2"),
    ("CpuPeriod", _doubled, "says the same as NanoCpus"),
    ("CpuQuota", _doubled, "says the same as NanoCpus"),
    ("CpuRealtimePeriod", _idle, "not known with cgroup v2"),
    ("CpuRealtimeRuntime", _idle, "not known with cgroup v2"),
    ("ReadonlyPaths", _empty, "the engine's own are used"),
    ("MaskedPaths", _empty, "the engine's own are used"),
    ("Annotations", _empty, "empty"),
    ("Isolation", _empty, "empty"),
    ("ConsoleSize", _always, "that of a terminal which is gone"),
    ("ContainerIDFile", _always, "a file of the client that made it"),
    ("CpuCount", _idle, "Windows"),
    ("CpuPercent", _idle, "Windows"),
    ("IOMaximumIOps", _idle, "Windows"),
    ("IOMaximumBandwidth", _idle, "Windows"),
)
"""(field of HostConfig, when it may be left out, why)"""


def lenient(body: Json) -> tuple[Json, tuple[str, ...]]:
    """The same body for an engine that refused it, and what was left out (`HostConfig.X`); () where there is nothing
    to try."""
    made = copy.deepcopy(body)
    host, left_out = part(made, "HostConfig"), list[str]()
    for key, when, _why in TABLE:
        if key in host and when(host[key], host):
            del host[key]
            left_out.append(f"HostConfig.{key}")
    for device in items(host, "Devices"):
        if isinstance(device, dict) and device.get("CgroupPermissions") == "":
            del device["CgroupPermissions"]  # podman shows nothing for the usual rwm
            left_out.append("HostConfig.Devices.CgroupPermissions")
    return made, tuple(dict.fromkeys(left_out))
