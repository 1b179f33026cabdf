"""What a compose file would change about a running container, in words; secrets masked. Pure.

From: the raw inspect of the container, the create body that body.py made, both images. To: people, before anything is
done: `resurgam phoenix --from-compose` prints it, and a question for a person's word names it. What widens rights is
marked, by the judgement of recipe/rights.py and one of our own: a network that is joined anew.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor import units
from supervisor.actions.recipe import rights
from supervisor.actions.recipe.grants import namespace, plain
from supervisor.actions.recipe.raw import SHORT_ID, bind, part, variables
from supervisor.actions.recipe.traits import shown
from supervisor.engines.docker.shape import policy_text
from supervisor.facts import Image, Json

_COMPOSE, _OURS = "com.docker.compose.", "resurgam."
_SHOWN = 300
_WHOLE = 100_000
MOST_SHOWN = 3000
"""characters of a question about rights: a person reads no more, and what nobody reads nobody agrees to"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that would change. `field`: the engine's own word for it; `widens`: it would give more rights, or
    take protection away."""

    field: str
    text: str
    widens: bool = False
    why: str = ""
    """what it would widen, and nothing else: whole, since this is what a person says yes to"""

    def document(self) -> Json:
        """As JSON."""
        return {"field": self.field, "text": self.text, "widens": self.widens}


@dataclass(frozen=True, slots=True)
class Pair:
    """The container as it is, and the body it would be made from."""

    raw: Json
    body: Json
    old: Image | None
    new: Image
    names: Mapping[str, str] = field(default_factory=dict)
    """container id -> name"""

    @property
    def base(self) -> Json:
        """What the present image brings: what the file leaves out is compared with that."""
        return self.old.config if self.old is not None else {}


def differences(pair: Pair) -> tuple[Difference, ...]:
    """Everything that would change, in a fixed order; empty where the file says what is there already."""
    widening: dict[str, list[str]] = {}
    for change in rights.check(pair.raw, pair.body, pair.old, pair.new, names=pair.names):
        widening.setdefault(change.field, []).append(change.sentence)
    joined = [name for name in (*_joined(pair.body), *_bridge(pair.body)) if name not in _networks_of(pair.raw)]
    if joined:
        widening["Networks"] = [f"It would reach the network {name}, which it does not now." for name in joined]
    found = []
    for name, text in _words(pair):
        said = widening.pop(name, [])
        found.append(_difference(name, [*said, text], said))
    found += [_difference(name, said, said) for name, said in widening.items()]
    return tuple(found)


def _difference(name: str, words: list[str], said: list[str]) -> Difference:
    """What widens stands first, so that no long text before it can push it out of sight."""
    return Difference(name, units.plain(" ".join(words), 1000), bool(said), units.plain(" ".join(said), _WHOLE))


def widens(found: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Those that need a person's word."""
    return tuple(one for one in found if one.widens)


def too_much(said: str) -> str:
    """Why nobody can be asked that, '' where somebody can."""
    if len(said) <= MOST_SHOWN:
        return ""
    return f"what it widens takes {len(said)} characters to tell, so nobody can be asked; apply it with compose itself"


def sentence(found: tuple[Difference, ...]) -> str:
    """What they widen, in one line and whole: a yes is given to what stands here, and to nothing behind an ellipsis."""
    return "; ".join(one.why.rstrip(".") for one in found)


# ------------------------------------------------------------ in words


def _words(pair: Pair) -> Iterator[tuple[str, str]]:
    config, host = part(pair.raw, "Config"), part(pair.raw, "HostConfig")
    was = str(pair.raw.get("Image") or "")
    if was != pair.new.id:
        yield "Image", f"image: {units.short_image(was)} → {units.short_image(pair.new.id)}."
    yield from _changed("Env", "environment", _env(config.get("Env"), {}), _env(pair.body.get("Env"), pair.base))
    for name, word in _CONFIG:
        before, after = config.get(name), _effective(pair, name)
        if _flat(before) != _flat(after):
            yield name, f"{word}: {_show(name, before)} → {_show(name, after)}."
    yield from _changed("Labels", "labels", _labels(config, pair.base), _labels(pair.body, pair.base))
    yield from _changed("Binds", "mounts", _live_mounts(pair.raw), _body_mounts(pair.body))
    fresh = part(pair.body, "HostConfig")
    yield from _changed("PortBindings", "ports", _ports(host), _ports(fresh))
    yield from _changed("Networks", "networks", _endpoints(pair.raw, pair), _endpoints(pair.body, pair))
    for name in sorted(host.keys() | fresh.keys()):
        if name in _ELSEWHERE:
            continue
        spell = _SPELLED.get(name, _plain_host)
        before, after = spell(host, name, pair), spell(fresh, name, pair)
        if before != after and not _by_engine(name, host, fresh):
            yield name, f"{name}: {_cut(before) or 'none'} → {_cut(after) or 'none'}."


def _changed(name: str, word: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """One sentence about a mapping: what is new, gone, and other than before. Secrets are told apart, not shown."""
    said = [f"+ {key}" + (f"={shown(key, after[key])}" if after[key] else "") for key in sorted(after.keys() - before)]
    said += [f"− {key}" for key in sorted(before.keys() - after)]
    for key in sorted(before.keys() & after):
        if before[key] != after[key]:
            was, now = shown(key, before[key]) or "(empty)", shown(key, after[key]) or "(empty)"
            said.append(f"{key}: {was} → {now}" if was != now else f"{key} changes")
    if said:
        more = f", and {len(said) - 12} more" if len(said) > 12 else ""
        yield name, f"{word}: {', '.join(said[:12])}{more}."


# ------------------------------------------------------------ Config

_CONFIG = (
    ("Entrypoint", "entrypoint"),
    ("Cmd", "command"),
    ("User", "user"),
    ("WorkingDir", "working directory"),
    ("Hostname", "host name"),
    ("Domainname", "domain name"),
    ("StopSignal", "stop signal"),
    ("StopTimeout", "stop grace (s)"),
    ("Healthcheck", "health check"),
    ("Tty", "terminal"),
    ("OpenStdin", "open stdin"),
)


def _effective(pair: Pair, name: str) -> Any:
    """What a body comes to on the present image: the engine fills in what it leaves out."""
    given, base = pair.body.get(name), pair.base
    if name == "Cmd":
        own_entrypoint = bool(pair.body.get("Entrypoint"))
        return given if given or own_entrypoint else base.get("Cmd")
    if name == "Healthcheck" and isinstance(given, dict):
        return {**part(base, "Healthcheck"), **given}
    if name == "Hostname" and not given:
        return part(pair.raw, "Config").get(name) if _unnamed(pair.raw) else given
    return given if given not in (None, "", [], {}) else base.get(name)


def _unnamed(raw: Json) -> bool:
    """Whether its host name is its id, or another namespace's: nobody gave it one."""
    mode = str(part(raw, "HostConfig").get("NetworkMode") or "")
    name = str(part(raw, "Config").get("Hostname") or "")
    return name == str(raw.get("Id") or "")[:12] or mode == "host" or mode.startswith("container:")


def _flat(value: Any) -> str:
    return "" if value in (None, "", [], {}, False, 0) else plain(value)


def _env(pairs: object, base: Json) -> dict[str, str]:
    """Name -> value, over what an image brings."""
    return {**variables(base.get("Env")), **variables(pairs)}


def _labels(config: Json, base: Json) -> dict[str, str]:
    inbuilt = part(base, "Labels")
    return {
        key: str(value)
        for key, value in part(config, "Labels").items()
        if not key.startswith(_COMPOSE) and key not in _OUR_LABELS and inbuilt.get(key) != value
    }


_OUR_LABELS = (f"{_OURS}op", f"{_OURS}profile", f"{_OURS}ref", f"{_OURS}role", f"{_OURS}compose")


def _show(name: str, value: Any) -> str:
    if value in (None, "", [], {}):
        return "none"
    return _cut(shown(name, value if isinstance(value, list | str) else plain(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


# ------------------------------------------------------------ mounts, ports, networks


def _live_mounts(raw: Json) -> dict[str, str]:
    found = {}
    for one in raw.get("Mounts") or ():
        kind, source = str(one.get("Type") or "bind"), str(one.get("Name") or one.get("Source") or "")
        if kind == "tmpfs":
            found[str(one.get("Destination"))] = "tmpfs"
            continue
        found[str(one.get("Destination"))] = source + ("" if one.get("RW", True) else " (ro)")
    return found


def _body_mounts(body: Json) -> dict[str, str]:
    host, found = part(body, "HostConfig"), {}
    for each in host.get("Binds") or ():
        source, target, options = bind(str(each))
        found[target.rstrip("/") or "/"] = source + (" (ro)" if "ro" in options.split(",") else "")
    for each in host.get("Mounts") or ():
        source = "tmpfs" if each["Type"] == "tmpfs" else str(each.get("Source") or "a new volume")
        found[str(each["Target"])] = source + (" (ro)" if each.get("ReadOnly") else "")
    found |= dict.fromkeys(part(body, "Volumes"), "a new volume")
    return found


def _ports(host: Json) -> dict[str, str]:
    found = {}
    for port, bounds in part(host, "PortBindings").items():
        outer = [_address(one or {}) for one in bounds or [{}]]
        found[port] = ", ".join(sorted(outer))
    return found


def _address(bound: Json) -> str:
    ip, port = str(bound.get("HostIp") or ""), str(bound.get("HostPort") or "") or "a random port"
    return port if ip in ("", "0.0.0.0") else f"{ip}:{port}"  # noqa: S104 - a comparison, nothing listens


def _networks_of(raw: Json) -> Json:
    return part(part(raw, "NetworkSettings"), "Networks")


def _bridge(body: Json) -> tuple[str, ...]:
    """The engine's own network, which everything reaches that names none."""
    return ("bridge",) if part(body, "HostConfig").get("NetworkMode") in ("bridge", "default") else ()


def _joined(body: Json) -> Json:
    return part(part(body, "NetworkingConfig"), "EndpointsConfig")


def _endpoints(side: Json, pair: Pair) -> dict[str, str]:
    """Network -> aliases and addresses that somebody asked for."""
    borrowed = part(side, "HostConfig").get("NetworkMode")
    if borrowed in ("host", "none") or str(borrowed).startswith("container:"):
        return {}
    name = str(pair.raw.get("Name") or "").lstrip("/")
    service = str(part(part(pair.raw, "Config"), "Labels").get(f"{_COMPOSE}service") or "")
    found = {}
    for network, given in (_networks_of(side) or _joined(side)).items():
        given = given or {}
        aliases = {str(one) for one in given.get("Aliases") or ()} - {name, service}
        said = sorted(one for one in aliases if not SHORT_ID.fullmatch(one))
        said += [str(value) for _key, value in sorted(part(given, "IPAMConfig").items()) if value]
        found[network] = " ".join(said)
    return found


# ------------------------------------------------------------ HostConfig

_ELSEWHERE = (
    *("Binds", "Mounts", "PortBindings", "VolumesFrom", "Links", "ContainerIDFile", "AutoRemove", "ConsoleSize"),
    *("MaskedPaths", "ReadonlyPaths", "VolumeDriver", "Isolation", "PublishAllPorts"),
)
_Spell = Callable[[Json, str, Pair], str]


def _plain_host(host: Json, name: str, _pair: Pair) -> str:
    value = host.get(name)
    return "" if value in (None, "", [], {}, False, 0, -1) else plain(value).strip('"')


def _sorted(host: Json, name: str, _pair: Pair) -> str:
    return ", ".join(sorted(str(one) for one in host.get(name) or ()))


def _capabilities(host: Json, name: str, _pair: Pair) -> str:
    return ", ".join(sorted(str(one).upper().removeprefix("CAP_") for one in host.get(name) or ()))


def _policy(host: Json, name: str, _pair: Pair) -> str:
    return policy_text(part(host, name)) or "no"


def _mode(host: Json, name: str, pair: Pair) -> str:
    mode = namespace(host, name, pair.names)
    joined = mode in _networks_of(pair.raw) or mode in _joined(pair.body)
    return "" if joined or (name == "IpcMode" and mode in ("private", "shareable")) else mode


def _runtime(host: Json, name: str, _pair: Pair) -> str:
    return str(host.get(name) or "runc")


def _log(host: Json, name: str, _pair: Pair) -> str:
    """The engine's own choice is nobody's wish."""
    log = part(host, name)
    options = part(log, "Config")
    return f"{log.get('Type')} {plain(options)}" if options or log.get("Type") not in (None, "", "json-file") else ""


def _limits(host: Json, name: str, _pair: Pair) -> str:
    return ", ".join(sorted(f"{one.get('Name')}={one.get('Soft')}:{one.get('Hard')}" for one in host.get(name) or ()))


def _security(host: Json, name: str, _pair: Pair) -> str:
    """`label=disable` comes with being privileged. A profile's content is long: its beginning must do."""
    options = {str(one)[:100] for one in host.get(name) or ()}
    return ", ".join(sorted(options - {"label=disable"} if host.get("Privileged") else options))


def _by_engine(name: str, host: Json, fresh: Json) -> bool:
    """What the engine itself fills in where a body says nothing."""
    if fresh.get(name):
        return False
    value = host.get(name)
    if name == "ShmSize":
        return value == 64 << 20
    if name == "MemorySwap":
        return int(value or 0) in [2 * int(side.get("Memory") or 0) for side in (host, fresh)]
    return name == "CgroupnsMode" or (name == "MemorySwappiness" and value == -1)


_SPELLED: Mapping[str, _Spell] = {
    "CapAdd": _capabilities,
    "CapDrop": _capabilities,
    "GroupAdd": _sorted,
    "Dns": _sorted,
    "DnsOptions": _sorted,
    "DnsSearch": _sorted,
    "ExtraHosts": _sorted,
    "SecurityOpt": _security,
    "RestartPolicy": _policy,
    "NetworkMode": _mode,
    "PidMode": _mode,
    "IpcMode": _mode,
    "UTSMode": _mode,
    "UsernsMode": _mode,
    "Runtime": _runtime,
    "LogConfig": _log,
    "Ulimits": _limits,
}
