"""The proof that a container was made again as it is: the engine's inspect of the old one beside that of the new one.

From: phoenix.py, between `create` and the stop of the old one, while nothing is touched. To: a verdict that names what
is not alike. What differs on purpose (names, ids, our labels, what comes with the image) is taken out on both sides
first; anything else that differs is unexpected. Pure. A value of an environment variable never leaves this file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from supervisor.actions.recipe import grants, image_defaults, networks
from supervisor.actions.recipe.raw import LONG_ID, SHORT_ID, items, part, variables
from supervisor.actions.recipe.traits import shown
from supervisor.facts import Image, Json
from supervisor.services import OP_LABEL, REF_LABEL, ROLE_LABEL
from supervisor.verdicts import Reason, Verdict, no, yes

_COMPOSE_OWN = ("com.docker.compose.image", "com.docker.compose.replace")
_OUR_LABELS = (OP_LABEL, REF_LABEL, ROLE_LABEL, *_COMPOSE_OWN)
_CONFIG_ELSEWHERE = (
    "Image",
    "Env",
    "Labels",
    "Cmd",
    "Entrypoint",
    "Healthcheck",
    "Volumes",
    "ExposedPorts",
    "Hostname",
)
_HOST_ELSEWHERE = (
    *("RestartPolicy", "Binds", "Mounts", "VolumesFrom", "Links", "PortBindings", "Runtime", "ContainerIDFile"),
    *(key for key, _what in grants.NAMESPACES),
)
_ASKED = ("Cmd", "Entrypoint", "User", "WorkingDir", "StopSignal", "StopTimeout", "Tty")
_FILLED = (
    *("CgroupnsMode", "IpcMode", "ShmSize", "MaskedPaths", "ReadonlyPaths", "ConsoleSize", "PidsLimit", "Isolation"),
    *("MemorySwap", "MemorySwappiness", "OomKillDisable", "LogConfig", "BlkioDeviceReadBps", "Ulimits", "Init"),
)
"""what an engine may fill in by itself where nothing was said, as a newer one does"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not alike. `before` and `after` are safe to show."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Pair:
    old: Json
    new: Json
    old_image: Image | None
    new_image: Image
    names: Mapping[str, str]
    keep_env: tuple[str, ...]

    @property
    def base(self) -> Json:
        return self.old_image.config if self.old_image is not None else {}


def compare(
    old_raw: Json,
    new_raw: Json,
    old_image: Image | None,
    new_image: Image,
    *,
    names: Mapping[str, str] | None = None,
    keep_env: tuple[str, ...] = (),
    left_out: tuple[str, ...] = (),
) -> tuple[Difference, ...]:
    """Everything about the new container that is not as in the old one, and not meant to differ.

    `names`: container id -> name. `left_out`: fields (`HostConfig.X`) that this engine did not take (see compat).
    """
    pair = _Pair(old_raw, new_raw, old_image, new_image, dict(names or {}), keep_env)
    found = [
        each for check in (_config, _environment, _image_fields, _host, _storage, _network) for each in check(pair)
    ]
    if str(new_raw.get("Image") or "") != new_image.id:
        found.insert(0, Difference("Image", new_image.id, str(new_raw.get("Image"))))
    return tuple(each for each in found if each.field not in left_out)


def honours(body: Json, new_raw: Json) -> tuple[Difference, ...]:
    """What a create body asked for and the engine did not do: the proof for a recipe that comes from a document."""
    config, host = part(new_raw, "Config"), part(new_raw, "HostConfig")
    found: list[Difference] = []
    have = variables(config.get("Env"))
    for name, value in variables(body.get("Env")).items():
        if have.get(name) != value:
            found.append(Difference(f"Config.Env {name}", "set", "another value" if name in have else "missing"))
    for name, value in part(body, "Labels").items():
        if part(config, "Labels").get(name) != value:
            found.append(Difference(f"Config.Labels {name}", "set", "not so"))
    asked = [(f"Config.{key}", body.get(key), config.get(key)) for key in _ASKED]
    for key, value in part(body, "HostConfig").items():
        if key not in ("RestartPolicy", "Links", "Mounts", "NetworkMode"):
            asked.append((f"HostConfig.{key}", value, host.get(key)))
    found += [_unlike(field, value, now) for field, value, now in asked if value and not _same(value, now)]
    wanted = part(part(body, "NetworkingConfig"), "EndpointsConfig")
    missing = sorted(set(wanted) - set(part(part(new_raw, "NetworkSettings"), "Networks")))
    found += [Difference(f"network {name}", "joined", "not joined") for name in missing]
    return tuple(found)


def verdict(name: str, found: tuple[Difference, ...]) -> Verdict:
    """Whether the new container may take the old one's place."""
    if not found:
        return yes(f"{name} was made again as it is.")
    said = "; ".join(f"{each.field} is {each.after} instead of {each.before}" for each in found[:3])
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    text = f"{name} could not be made again as it is: {said}{more}. The old one was left alone and serves on."
    return no(Reason.UNFAITHFUL, text)


# ------------------------------------------------------------ Config


def _config(pair: _Pair) -> Iterator[Difference]:
    old, new = part(pair.old, "Config"), part(pair.new, "Config")
    for key in sorted(old.keys() | new.keys()):
        if key in _CONFIG_ELSEWHERE or key in image_defaults.PLAIN_FIELDS:
            continue
        before, after = old.get(key), new.get(key)
        if key == "MacAddress" and networks.generated_mac(pair.old):
            continue
        if not _same(before, after):
            yield _unlike(f"Config.{key}", before, after)
    if _own_hostname(pair.old) != _own_hostname(pair.new):
        yield Difference("Config.Hostname", _own_hostname(pair.old) or "its id", _own_hostname(pair.new) or "its id")


def _own_hostname(raw: Json) -> str:
    """The host name somebody gave it; '' where it is its id, or belongs to another namespace."""
    host, name = part(raw, "HostConfig"), str(part(raw, "Config").get("Hostname") or "")
    mode = str(host.get("NetworkMode") or "")
    borrowed = mode == "host" or mode.startswith("container:") or host.get("UTSMode") == "host"
    return "" if borrowed or name == str(raw.get("Id") or "")[:12] else name


def _environment(pair: _Pair) -> Iterator[Difference]:
    env = [variables(part(raw, "Config").get("Env")) for raw in _raws(pair)]
    yield from _pairs("Env", env[0], env[1], pair)
    labels = [part(part(raw, "Config"), "Labels") for raw in _raws(pair)]
    own = [{name: value for name, value in each.items() if name not in _OUR_LABELS} for each in labels]
    yield from _pairs("Labels", own[0], own[1], pair)


def _pairs(field: str, old: Json, new: Json, pair: _Pair) -> Iterator[Difference]:
    """Variables or labels: what a person gave is there with its value, and nothing is new but by the new image."""
    inbuilt, fresh = _inbuilt(pair.base, field), _inbuilt(pair.new_image.config, field)
    for name in sorted(old.keys() | new.keys()):
        meant = name in old and (inbuilt.get(name) != old[name] or (field == "Env" and name in pair.keep_env))
        if field == "Labels" and name.startswith(image_defaults.COMPOSE):
            meant = name in old
        expected = old[name] if meant else fresh.get(name)
        if new.get(name) != expected:
            before = "set" if expected is not None else "not there"
            yield Difference(f"Config.{field} {name}", before, "another value" if name in new else "missing")


def _inbuilt(config: Json, field: str) -> Json:
    return variables(config.get("Env")) if field == "Env" else part(config, field)


def _image_fields(pair: _Pair) -> Iterator[Difference]:
    """What is the image's unless somebody said otherwise: as the engine merges it."""
    old, new = part(pair.old, "Config"), part(pair.new, "Config")
    own = dict(old)
    image_defaults.command(own, pair.base)
    fresh = pair.new_image.config
    cleared = bool(own.get("Entrypoint"))
    expected: Json = {"Entrypoint": own["Entrypoint"] if "Entrypoint" in own else fresh.get("Entrypoint")}
    expected["Cmd"] = own["Cmd"] if "Cmd" in own else None if cleared else fresh.get("Cmd")
    for key in image_defaults.PLAIN_FIELDS:
        kept = old.get(key) if old.get(key) != pair.base.get(key) else None
        expected[key] = kept or fresh.get(key)
    for key, value in expected.items():
        if not _same(value, new.get(key)):
            yield _unlike(f"Config.{key}", value, new.get(key))
    health = _health(part(old, "Healthcheck"), part(pair.base, "Healthcheck"), part(fresh, "Healthcheck"))
    off = (part(new, "Healthcheck").get("Test"), health.get("Test")) == (["NONE"], ["NONE"])
    if not off and not _same(health, part(new, "Healthcheck")):
        yield _unlike("Config.Healthcheck", health, new.get("Healthcheck"))


def _health(old: Json, base: Json, fresh: Json) -> Json:
    own = {key: value for key, value in old.items() if value != base.get(key)}
    return {**fresh, **own}


# ------------------------------------------------------------ HostConfig


def _host(pair: _Pair) -> Iterator[Difference]:
    old, new = part(pair.old, "HostConfig"), part(pair.new, "HostConfig")
    for key in sorted(old.keys() | new.keys()):
        if key in _HOST_ELSEWHERE or (key in _FILLED and not old.get(key)):
            continue
        if not _same(old.get(key), new.get(key)):
            yield _unlike(f"HostConfig.{key}", old.get(key), new.get(key))
    for key, _what in grants.NAMESPACES:
        before, after = (_shared(each, key, pair.names) for each in (old, new))
        if before != after and (old.get(key) or key not in _FILLED):
            yield Difference(f"HostConfig.{key}", before or "its own", after or "its own")
    if str(old.get("Runtime") or "") not in ("", str(new.get("Runtime") or "")):
        yield Difference("HostConfig.Runtime", str(old.get("Runtime")), str(new.get("Runtime")))
    if grants.published(old) != grants.published(new):
        yield _unlike("HostConfig.PortBindings", sorted(grants.published(old)), grants.published(new))


def _shared(host: Json, key: str, names: Mapping[str, str]) -> str:
    return "" if grants.namespace(host, key, names) in ("", "private") else grants.namespace(host, key, names)


def _storage(pair: _Pair) -> Iterator[Difference]:
    old, new = _mounts(pair.old), _mounts(pair.new)
    fresh = part(pair.new_image.config, "Volumes")
    for target in sorted(old.keys() | new.keys()):
        if target not in new:
            yield Difference(f"mount {target}", _show(f"mount {target}", old[target]), "missing")
        elif target not in old:
            if target.rstrip("/") not in {path.rstrip("/") for path in fresh}:
                yield Difference(f"mount {target}", "not there", _show(f"mount {target}", new[target]))
        elif old[target] != new[target]:
            yield _unlike(f"mount {target}", old[target], new[target])
    before, after = (part(raw, "HostConfig") for raw in _raws(pair))
    gone = [str(each) for each in items(before, "Binds") if each not in items(after, "Binds")]
    yield from (Difference("HostConfig.Binds", each, "missing") for each in gone)
    sources = [{_source(str(each), pair.names) for each in items(host, "VolumesFrom")} for host in (before, after)]
    if sources[0] != sources[1]:
        yield _unlike("HostConfig.VolumesFrom", sorted(sources[0]), sorted(sources[1]))
    wanted = {grants.plain(_unsourced(each)) for each in items(before, "Mounts")}
    have = {grants.plain(_unsourced(each)) for each in items(after, "Mounts")}
    if wanted != have:
        yield _unlike("HostConfig.Mounts", sorted(wanted), sorted(have))


def _mounts(raw: Json) -> dict[str, tuple[str, str, bool]]:
    """Where something is mounted -> (kind, volume or host path, writable)."""
    found = {}
    for each in items(raw, "Mounts"):
        if isinstance(each, dict):
            kind = str(each.get("Type") or "")
            source = "" if kind == "tmpfs" else str(each.get("Name") or each.get("Source") or "")
            found[str(each.get("Destination"))] = (kind, source, bool(each.get("RW", True)))
    return found


def _unsourced(mount: object) -> object:
    """A mount without its source: an anonymous volume is carried by name; the sources are compared above."""
    return {k: v for k, v in mount.items() if k != "Source"} if isinstance(mount, dict) else mount


def _source(text: str, names: Mapping[str, str]) -> str:
    return networks.renamed(text, names).removesuffix(":rw")


def _network(pair: _Pair) -> Iterator[Difference]:
    old, new = part(pair.old, "HostConfig"), part(pair.new, "HostConfig")
    links = [{networks.link(str(each)) for each in items(host, "Links")} for host in (old, new)]
    if links[0] != links[1]:
        yield _unlike("HostConfig.Links", sorted(links[0]), sorted(links[1]))
    joined = [part(part(raw, "NetworkSettings"), "Networks") for raw in _raws(pair)]
    for name in sorted(joined[0].keys() | joined[1].keys()):
        if name not in joined[1]:
            yield Difference(f"network {name}", "joined", "not joined")
        elif name not in joined[0]:
            yield Difference(f"network {name}", "not joined", "joined")
        else:
            before, after = (_endpoint(each[name] or {}) for each in joined)
            for key in before:
                if not _same(before[key], after[key]):
                    yield _unlike(f"network {name} {key}", before[key], after[key])
    exposed = [set(part(part(raw, "Config"), "ExposedPorts")) for raw in _raws(pair)]
    base, fresh = (set(part(config, "ExposedPorts")) for config in (pair.base, pair.new_image.config))
    borrowed = str(old.get("NetworkMode") or "").startswith("container:")
    strange = (exposed[0] - base - exposed[1]) | (exposed[1] - fresh - exposed[0])
    if strange and not borrowed:
        yield _unlike("Config.ExposedPorts", sorted(exposed[0]), sorted(exposed[1]))


def _endpoint(given: Json) -> Json:
    """What somebody asked of one network."""
    aliases = {str(each) for each in given.get("Aliases") or ()}
    return {
        "aliases": sorted(each for each in aliases if not SHORT_ID.fullmatch(each)),
        "addresses": {key: value for key, value in (given.get("IPAMConfig") or {}).items() if value},
        "links": sorted({networks.link(str(each)) for each in given.get("Links") or ()}),
        "options": given.get("DriverOpts") or {},
        "priority": given.get("GwPriority") or 0,
    }


# ------------------------------------------------------------ showing


def _raws(pair: _Pair) -> tuple[Json, Json]:
    return pair.old, pair.new


def _same(before: object, after: object) -> bool:
    """Whether two JSON values mean the same; nothing, emptiness, zero and no are one."""
    if not before and not after:
        return True
    return grants.plain(before) == grants.plain(after)


def _unlike(field: str, before: object, after: object) -> Difference:
    return Difference(field, _show(field, before), _show(field, after))


def _show(field: str, value: object) -> str:
    text = shown(field, sorted(map(str, value)) if isinstance(value, set) else value)
    return LONG_ID.sub(lambda found: found[0][:12], text) or "empty"
