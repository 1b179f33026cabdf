"""What one version of the engine's API takes and another does not, from 1.41 (Debian 12) to 1.52 (Docker 29). Pure.

From: engines/docker/engine.py and lab/engine.py, with the version that was negotiated. To: a create body that this
version takes, meaning the same. Only what says nothing is left out: zero values, and what could never have worked.
"""

import copy

from supervisor.facts import Json

OLDEST, NEWEST = "1.41", "1.52"
"""the versions this is written for; a newer engine is asked to speak NEWEST"""
MANY_NETWORKS = "1.44"
"""from this version on a container can be created on several networks at once, and a MAC address belongs to one"""
START_INTERVAL = "1.44"
ANNOTATIONS = "1.43"
GATEWAY_PRIORITY = "1.48"
_MEANINGLESS = {
    "KernelMemory": (0, None),
    "KernelMemoryTCP": (0, None),
    "OomKillDisable": (False, None),
    "MemorySwappiness": (-1, None),
    "CpuRealtimePeriod": (0, None),
    "CpuRealtimeRuntime": (0, None),
    "IOMaximumIOps": (0, None),
    "IOMaximumBandwidth": (0, None),
    "Annotations": ({}, None),
    "Isolation": ("", "default", None),
}
"""fields that some engines refuse to be given (cgroup v2, Podman, later versions), with the values that say nothing"""
_SEEN = (
    "IPAddress",
    "IPPrefixLen",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPv6Gateway",
    "EndpointID",
    "NetworkID",
    "DNSNames",
)
"""what the engine shows of an endpoint and does not want to be told"""
_NOT_USER_DEFINED = ("bridge", "default", "host", "none", "nat")


def numbers(version: str) -> tuple[int, ...]:
    """`1.44` as (1, 44), so that versions compare."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def at_least(api: str, version: str) -> bool:
    """Whether an API version is this one or later; False where it is not known."""
    return bool(api) and numbers(api) >= numbers(version)


def spoken(api: str) -> str:
    """The version to speak with an engine whose newest one is `api`."""
    return NEWEST if at_least(api, NEWEST) else api


def fit(spec: Json, api: str) -> tuple[Json, Json]:
    """(create body, endpoints to connect before the start) for an engine that speaks `api`. The spec stays as it is."""
    body = copy.deepcopy(dict(spec))
    host = body.get("HostConfig") or {}
    for key, nothing in _MEANINGLESS.items():
        if key in host and host[key] in nothing:
            del host[key]
    if not at_least(api, ANNOTATIONS):
        host.pop("Annotations", None)
    if not at_least(api, START_INTERVAL):
        (body.get("Healthcheck") or {}).pop("StartInterval", None)
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    endpoints = {name: _endpoint(name, given or {}, api) for name, given in endpoints.items()}
    first = primary(host, list(endpoints))
    _place_mac(body, endpoints, first, api)
    if not endpoints:
        return body, {}
    now = endpoints if at_least(api, MANY_NETWORKS) else {first: endpoints[first]}
    body["NetworkingConfig"] = {"EndpointsConfig": now}
    return body, {name: endpoint for name, endpoint in endpoints.items() if name not in now}


def primary(host: Json, networks: list[str]) -> str:
    """The network that NetworkMode names, because it decides the default route; else the first; '' without any."""
    mode = str(host.get("NetworkMode") or "default")
    named = "bridge" if mode == "default" else mode
    return named if named in networks or not networks else networks[0]


def _endpoint(name: str, given: Json, api: str) -> Json:
    kept = {key: value for key, value in given.items() if key not in _SEEN and value is not None}
    if name in _NOT_USER_DEFINED:
        for key in ("Aliases", "IPAMConfig", "Links"):
            kept.pop(key, None)  # refused there, and without any effect before it was
    if not at_least(api, GATEWAY_PRIORITY):
        kept.pop("GwPriority", None)
    return kept


def _place_mac(body: Json, endpoints: Json, first: str, api: str) -> None:
    """A MAC address belongs to the container in older versions, to its endpoint in later ones."""
    if at_least(api, MANY_NETWORKS):
        mac = body.pop("MacAddress", None)
        if mac and first in endpoints:
            endpoints[first].setdefault("MacAddress", mac)
        elif mac and first not in ("host", "none") and not first.startswith("container:"):
            endpoints[first] = {"MacAddress": mac}
        return
    for name, endpoint in endpoints.items():
        mac = endpoint.pop("MacAddress", None)
        if mac and name == first and not body.get("MacAddress"):
            body["MacAddress"] = mac
