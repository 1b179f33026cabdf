"""A create body from a resolved compose service, for the place of a container that is there. Pure.

From: a document (model.Spec), the raw inspect of the container it is to replace, both images. To: Engine.create, by way
of phoenix.py. The file decides everything it can say; from the running container come only its name, what compose
itself keeps in labels, the project its networks and volumes are named after, and the anonymous volumes with their data,
as compose carries them along too.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.actions.compose.model import Endpoint, Mount, Spec
from supervisor.actions.recipe import Recipe
from supervisor.actions.recipe.networks import pin_mac
from supervisor.actions.recipe.raw import part
from supervisor.facts import Image, Json
from supervisor.ports import EngineInfo
from supervisor.services.names import (
    COMPOSE_SERVICE_LABEL,
    ENABLE_LABEL,
    OP_LABEL,
    PROJECT_LABEL,
    REF_LABEL,
    ROLE_LABEL,
    SERVICE_LABEL,
)
from supervisor.verdicts import Reason, Verdict, no

_COMPOSE = "com.docker.compose."
_HASH, _IMAGE, _REPLACE = _COMPOSE + "config-hash", _COMPOSE + "image", _COMPOSE + "replace"
_DEPENDS = _COMPOSE + "depends_on"
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_SERVICE = "service:"


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of where the new container goes."""

    raw: Json
    """inspect of the container that it replaces"""
    names: Mapping[str, str]
    """container id -> name, of those whose namespaces it shares"""
    siblings: Mapping[str, str]
    """compose service -> container name, of its project"""

    @property
    def labels(self) -> Json:
        return part(part(self.raw, "Config"), "Labels")

    @property
    def project(self) -> str:
        """The compose project of the container that is there; '' if compose did not make it."""
        return str(self.labels.get(PROJECT_LABEL) or "")

    def network(self, endpoint: Endpoint) -> str:
        """The network's real name."""
        return endpoint.key if endpoint.real else f"{self.project}_{endpoint.key}"

    def volume(self, mount: Mount) -> str:
        """The volume's real name."""
        return mount.source if mount.real else f"{self.project}_{mount.source}"


def misplaced(spec: Spec, place: Place) -> Verdict | None:
    """Why this document is not for this container, or None."""
    service = str(place.labels.get(COMPOSE_SERVICE_LABEL) or "")
    if not place.project or service != spec.service:
        was = f"the service {service!r}" if service else "no service of compose"
        return no(Reason.BAD_PARAMETER, f"The container is {was}, and the file speaks of {spec.service!r}.")
    if spec.project and spec.project != place.project:
        text = f"The file is that of the project {spec.project!r}; the container belongs to {place.project!r}."
        return no(Reason.BAD_PARAMETER, text)
    name = str(place.raw.get("Name") or "").lstrip("/")
    if spec.container_name and spec.container_name != name:
        text = (
            f"The file calls it {spec.container_name} and it is called {name}; a new name is `compose up`'s business."
        )
        return no(Reason.UNSUPPORTED, text)
    for label in (ENABLE_LABEL, SERVICE_LABEL):
        before, after = str(place.labels.get(label) or ""), spec.config.Labels.get(label, "")
        if before != after and (before or label == SERVICE_LABEL):  # no file may make it pass for another service
            text = f"The file changes the label {label}, by which Resurgam knows it ({before!r}); let compose do that."
            return no(Reason.UNSUPPORTED, text)
    for mode in (spec.host.NetworkMode, spec.host.PidMode, spec.host.IpcMode):
        if mode.startswith(_SERVICE) and mode.removeprefix(_SERVICE) not in place.siblings:
            text = f"It shares a namespace with {mode.removeprefix(_SERVICE)!r}, of which there is no container."
            return no(Reason.VANISHED, text)
    return None


def successor_from(
    spec: Spec,
    place: Place,
    old: Image | None,
    new: Image,
    *,
    op: str,
    ref: str,
    engine: EngineInfo | None = None,
) -> Recipe:
    """The container that takes its place, as the file wants it, on this image.

    `op` and `ref` become our labels, as in recipe.successor. `engine`: what it is created on. Files of inline configs
    and secrets are not in a body: see `files`.
    """
    notes: list[str] = []
    config = {key: value for key, value in _plain(spec.config).items() if value not in (None, "", {}, [])}
    host = {key: value for key, value in _plain(spec.host).items() if value not in (None, "", {}, [], 0, False)}
    config |= {key: given for key in ("Cmd", "Entrypoint") if (given := _plain(spec.config)[key]) is not None}
    body: Json = {**config, "Image": new.id, "Labels": _labels(spec, place, new, op, ref)}
    if spec.config.Healthcheck is not None:
        body["Healthcheck"] = {k: v for k, v in _plain(spec.config.Healthcheck).items() if v is not None}
    if spec.host.Init is not None:
        host["Init"] = spec.host.Init
    host["RestartPolicy"] = _plain(spec.host.RestartPolicy)
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        mode = str(host.get(key) or "")
        if mode.startswith(_SERVICE):
            host[key] = f"container:{place.siblings[mode.removeprefix(_SERVICE)]}"
        elif mode.startswith("container:"):
            parent = mode.removeprefix("container:")
            host[key] = f"container:{place.names.get(parent, parent)}"
    _mounts(spec, place, old, new, body, host, notes)
    endpoints = _endpoints(spec, place)
    if endpoints:
        host["NetworkMode"] = next(iter(endpoints))
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
        known = part(part(place.raw, "NetworkSettings"), "Networks")
        notes += [f"It joins the network {name}, which must be there." for name in endpoints if name not in known]
    elif str(host.get("NetworkMode") or "").startswith("container:"):
        body.pop("ExposedPorts", None)
        body.pop("Hostname", None)
    body["HostConfig"] = host
    if engine is not None:
        pin_mac(body, engine.api)
    return Recipe(body, tuple(notes))


def files(spec: Spec) -> tuple[tuple[str, bytes, int, int, int], ...]:
    """What is put into it before its start: (path, content, mode, uid, gid) of inline configs and secrets."""
    return tuple((one.path, one.text.encode(), one.mode, one.uid, one.gid) for one in spec.files)


def _labels(spec: Spec, place: Place, new: Image, op: str, ref: str) -> Json:
    """The file's labels, and those of compose as the running container has them, brought up to date."""
    compose = {key: value for key, value in place.labels.items() if key.startswith(_COMPOSE) and key != _REPLACE}
    if _IMAGE in compose:
        compose[_IMAGE] = new.id  # compose recreates whatever does not carry the id of the image it runs
    if spec.config_hash:
        compose[_HASH] = spec.config_hash
    if _DEPENDS in compose:
        pairs = [f"{name}:{condition}:{str(restart).lower()}" for name, (condition, restart) in spec.depends_on.items()]
        compose[_DEPENDS] = ",".join(pairs)
    own = {key: value for key, value in spec.config.Labels.items() if key not in (ROLE_LABEL, OP_LABEL, REF_LABEL)}
    return {**own, **compose, OP_LABEL: op, **({REF_LABEL: ref} if ref else {})}


def _mounts(spec: Spec, place: Place, old: Image | None, new: Image, body: Json, host: Json, notes: list[str]) -> None:
    """Binds, mounts and anonymous volumes; those that hold data now are carried along by name."""
    binds: list[str] = []
    made: list[Json] = []
    anonymous = dict.fromkeys(str(path) for path in part(new.config, "Volumes"))
    for mount in spec.mounts:
        anonymous.pop(mount.target, None)
        if mount.type == "volume" and not mount.source:
            anonymous[mount.target] = None
        elif mount.short:
            source = place.volume(mount) if mount.type == "volume" else mount.source
            binds.append(f"{source}:{mount.target}" + (f":{mount.mode}" if mount.mode else ""))
        else:
            made.append(_long(mount, place))
    for path in spec.host.Tmpfs:
        anonymous.pop(path, None)
    live = {str(one.get("Destination")): one for one in place.raw.get("Mounts") or ()}
    for path in anonymous:
        name = str(live.get(path, {}).get("Name") or "")
        if live.get(path, {}).get("Type") == "volume" and _ANONYMOUS.fullmatch(name):
            binds.append(f"{name}:{path}")
        else:
            body.setdefault("Volumes", {})[path] = {}
            if path in live:
                notes.append(f"{path} becomes a new, empty volume; what lies there now is not in it.")
    if binds:
        host["Binds"] = binds
    if made:
        host["Mounts"] = made
    kept = {mount.target for mount in spec.mounts} | set(anonymous) | set(spec.host.Tmpfs)
    notes += [f"What lies at {path} now does not come along." for path in sorted(live) if path not in kept]


def _long(mount: Mount, place: Place) -> Json:
    made: Json = {"Type": mount.type, "Target": mount.target}
    if mount.type != "tmpfs":
        made["Source"] = place.volume(mount) if mount.type == "volume" else mount.source
    if mount.read_only:
        made["ReadOnly"] = True
    if mount.options:
        key = {"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions"}[mount.type]
        made[key] = copy.deepcopy(mount.options)
    return made


def _endpoints(spec: Spec, place: Place) -> Json:
    """The networks it joins by real name, in compose's order: by priority, then by name; the first is the primary."""
    before = part(part(place.raw, "NetworkSettings"), "Networks")
    container = str(place.raw.get("Name") or "").lstrip("/")
    ordered = sorted(spec.networks, key=lambda one: (-one.priority, place.network(one)))
    made: Json = {}
    for one in ordered:
        name = place.network(one)
        aliases = [spec.service, *one.aliases]
        if container in ((before.get(name) or {}).get("Aliases") or ()):
            aliases = [container, *aliases]  # a newer compose gives the container's name, too
        given: Json = {"Aliases": list(dict.fromkeys(aliases))}
        addresses = {"IPv4Address": one.ipv4, "IPv6Address": one.ipv6, "LinkLocalIPs": list(one.link_local)}
        if any(addresses.values()):
            given["IPAMConfig"] = {key: value for key, value in addresses.items() if value}
        if one.driver_opts:
            given["DriverOpts"] = dict(one.driver_opts)
        made[name] = given
    return made


def _plain(model: object) -> Json:
    made: Json = model.model_dump(mode="json")  # type: ignore[attr-defined]
    return made
