"""Networks, ports and shared namespaces, carried over: what a person can have asked for, no dead id, no address that
the engine chose.

From: successor.py, with the raw inspect. Pure; `config` and `host` are changed in place.
"""

import copy
from collections.abc import Mapping

from supervisor.actions.recipe.raw import SHORT_ID, part
from supervisor.facts import Json

SHARED = ("NetworkMode", "PidMode", "IpcMode")
MAC_BY_NETWORK = (1, 44)
"""the API version that takes a MAC address with the network"""
_UNALIASED = ("bridge", "host", "none")


def ports(config: Json, host: Json, base: Json, notes: list[str]) -> None:
    """The image's EXPOSE goes with the image; what is published stays."""
    published = {port: bound for port, bound in part(host, "PortBindings").items() if not port.startswith("/")}
    if published != part(host, "PortBindings"):
        host["PortBindings"] = published  # a port without a number, as some tools leave behind, is refused
    inbuilt = part(base, "ExposedPorts")
    exposed: Json = {
        port: {} for port in part(config, "ExposedPorts") if port not in inbuilt and not port.startswith("/")
    }
    exposed |= {port: {} for port in published}
    config["ExposedPorts"] = exposed or None
    if str(host.get("NetworkMode") or "").startswith("container:"):
        config["ExposedPorts"] = None
    floating = [port for port in sorted(published) if floats(published[port])]
    notes += [f"Port {port} gets a new random port on the host." for port in floating]


def floats(bounds: list[Json] | None) -> bool:
    """Whether the engine chooses the host's port at every start."""
    return any(not (bound or {}).get("HostPort") for bound in bounds or [{}])


def share(host: Json, names: Mapping[str, str], notes: list[str]) -> None:
    """A namespace shared by id dies with that id; by name it lives on."""
    for field in SHARED:
        mode = str(host.get(field) or "")
        if mode.startswith("container:"):
            parent = mode.removeprefix("container:")
            if parent in names:
                host[field] = f"container:{names[parent]}"
            else:
                notes.append(f"{field} points at container {parent[:12]}, whose name is not known.")
    if host.get("VolumesFrom"):
        host["VolumesFrom"] = [renamed(str(source), names) for source in host["VolumesFrom"]]
    if host.get("Links"):
        host["Links"] = [link(str(each)) for each in host["Links"]]


def endpoints(config: Json, host: Json, raw: Json) -> Json:
    """NetworkingConfig.EndpointsConfig: the primary network first; also settles hostname and MAC address."""
    mode = str(host.get("NetworkMode") or "default")
    short_id = str(raw.get("Id") or "")[:12]
    if config.get("Hostname") == short_id or mode.startswith("container:") or host.get("UTSMode") == "host":
        config["Hostname"] = ""
    if not config.get("MacAddress") or generated_mac(raw):
        config.pop("MacAddress", None)
    if mode in ("host", "none") or mode.startswith("container:"):
        return {}
    primary = "bridge" if mode == "default" else mode
    found = part(part(raw, "NetworkSettings"), "Networks")
    ordered = sorted(found, key=lambda name: (primary not in (name, str((found[name] or {}).get("NetworkID"))), name))
    made: Json = {}
    for name in ordered:
        given = found[name] or {}
        kept = {key: copy.deepcopy(given[key]) for key in ("IPAMConfig", "DriverOpts", "GwPriority") if given.get(key)}
        aliases = [alias for alias in given.get("Aliases") or () if not SHORT_ID.fullmatch(str(alias))]
        if aliases and name not in _UNALIASED:
            kept["Aliases"] = list(dict.fromkeys(aliases))
        if given.get("Links"):
            kept["Links"] = [link(str(each)) for each in given["Links"]]
        made[name] = kept
    return made


def generated_mac(raw: Json) -> bool:
    """Whether its MAC address is one that the engine made of an IP address: carried over, two would have the same."""
    given = str(part(raw, "Config").get("MacAddress") or "").lower()
    for endpoint in part(part(raw, "NetworkSettings"), "Networks").values():
        numbers = str((endpoint or {}).get("IPAddress") or "").split(".")
        if len(numbers) == 4 and all(each.isdigit() for each in numbers):
            made = "02:42:" + ":".join(f"{int(each):02x}" for each in numbers)
            if given == made:
                return True
    return False


def pin_mac(body: Json, api: str) -> None:
    """Newer engines take a MAC address with the network only, older ones with the container only."""
    given = body.get("MacAddress")
    joined = part(part(body, "NetworkingConfig"), "EndpointsConfig")
    if given and joined and api_at_least(api, MAC_BY_NETWORK):
        first = next(iter(joined))
        joined[first] = {**joined[first], "MacAddress": given}
        del body["MacAddress"]


def api_at_least(api: str, wanted: tuple[int, int]) -> bool:
    """Whether an API version like `1.44` is not older; False for one that cannot be read."""
    major, _, minor = api.partition(".")
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= wanted


def link(text: str) -> str:
    """`/db:/app/alias` as inspect shows it, `db:alias` as create wants it."""
    source, _, alias = text.partition(":")
    return f"{source.lstrip('/')}:{alias.rpartition('/')[2] or source.lstrip('/')}"


def renamed(source: str, names: Mapping[str, str]) -> str:
    """`id[:ro]` of a VolumesFrom with the container's name in the id's place."""
    parent, colon, options = source.partition(":")
    return f"{names.get(parent, parent)}{colon}{options}"
