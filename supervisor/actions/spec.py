"""Makes a create body from a container's raw inspect: what the person asked for, without what its image brought.

From: the engine's raw inspect and both images (phoenix.py, tidy.py). To: Engine.create. Pure. Everything is raw JSON,
so nothing is typed away: a field this file does not know is carried over as it is. What cannot be carried faithfully
becomes a note for people.
"""

import copy
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from supervisor import units
from supervisor.engines.docker import shape
from supervisor.facts import Image, Json
from supervisor.services import OP_LABEL, REF_LABEL, ROLE_LABEL
from supervisor.verdicts import Reason, Verdict, no

COMPOSE = "com.docker.compose."
COMPOSE_IMAGE = "com.docker.compose.image"
COMPOSE_WAS_LABEL = "resurgam.compose"
"""on a spare: the compose labels it must not carry, as JSON"""
_COMPOSE_REPLACE = "com.docker.compose.replace"
NOTED_LAYER = 1 << 20
"""bytes in its own layer from which on a person is told"""
_MANAGED = ("com.docker.swarm.", "io.kubernetes.", "com.hashicorp.nomad.")
_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_PLAIN_FIELDS = ("WorkingDir", "User", "StopSignal", "Shell", "OnBuild", "ArgsEscaped")
_SHARED = ("NetworkMode", "PidMode", "IpcMode")
_UNALIASED = ("bridge", "host", "none")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A create body, and what about it a person should know."""

    body: Json
    notes: tuple[str, ...] = ()


def refusal(raw: Json) -> Verdict | None:
    """Why this container must not be recreated at all, or None."""
    config, host, status = _dict(raw, "Config"), _dict(raw, "HostConfig"), str(_dict(raw, "State").get("Status"))
    name = str(raw.get("Name") or "").lstrip("/")
    if host.get("AutoRemove"):
        return no(
            Reason.UNSUPPORTED,
            f"{name} is removed by the engine when it stops (--rm), so there would be nothing to go back to; "
            "start it without --rm.",
        )
    for label in sorted(_dict(config, "Labels")):
        if label.startswith(_MANAGED):
            return no(Reason.UNSUPPORTED, f"{name} belongs to another orchestrator (label {label}); act there.")
    if status == "paused":
        return no(Reason.UNSUPPORTED, f"{name} is paused; unpause it first.")
    if status in ("dead", "removing"):
        return no(Reason.UNSUPPORTED, f"{name} is {status}: the engine is taking it away; remove it and start it anew.")
    return None


def misfit(old: Image | None, new: Image) -> Verdict | None:
    """Why the new image cannot run where the old one did, or None."""
    if old is None or not old.architecture or not new.architecture:
        return None
    if (old.os, old.architecture) != (new.os, new.architecture):
        return no(
            Reason.UNSUPPORTED,
            f"The image is for {new.os}/{new.architecture}, the container runs {old.os}/{old.architecture}; "
            "build or pull it for this machine.",
        )
    return None


def successor(
    raw: Json, old: Image | None, new: Image, *, op: str, policy: Json, ref: str, names: Mapping[str, str]
) -> Recipe:
    """The container that takes its place, on another image (or the same).

    `raw`: inspect of the old one. `old`: its image, None if the engine has lost it. `policy`: Docker's RestartPolicy
    to be created with. `names`: container id -> name, for namespaces that are shared with another container.
    """
    recipe = _recipe(raw, old, new, names)
    labels = {key: value for key, value in recipe.body["Labels"].items() if key not in (_COMPOSE_REPLACE, ROLE_LABEL)}
    if COMPOSE_IMAGE in labels:
        # compose recreates whatever does not carry the id of the image it runs
        labels[COMPOSE_IMAGE] = new.id
    labels[OP_LABEL] = op
    if ref:
        labels[REF_LABEL] = ref
    recipe.body["Labels"] = labels
    recipe.body["HostConfig"]["RestartPolicy"] = copy.deepcopy(policy)
    return recipe


def spare(raw: Json, image: Image | None, *, op: str, names: Mapping[str, str]) -> Recipe:
    """A copy that is never started: same recipe and image id, our labels instead of compose's, policy `no`.

    compose takes any container that carries its labels for its own, also a stopped one.
    """
    kept = image or Image(str(raw.get("Image") or ""))
    recipe = _recipe(raw, image, kept, names)
    have = recipe.body["Labels"]
    compose = {key: value for key, value in have.items() if key.startswith(COMPOSE)}
    labels = {key: value for key, value in have.items() if key not in compose}
    if compose:
        labels[COMPOSE_WAS_LABEL] = json.dumps(compose, sort_keys=True)
    recipe.body["Labels"] = labels | {ROLE_LABEL: "spare", OP_LABEL: op, REF_LABEL: reference(raw)}
    recipe.body["HostConfig"]["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    return recipe


def reference(raw: Json) -> str:
    """The reference a container was made from, '' where only an id is known."""
    ref = shape.called(raw)
    return "" if shape.is_id(ref) else ref


def layer_size(raw: Json) -> float:
    """Bytes it wrote into its own layer, which no recreation brings along; infinity where they could not be
    measured in time: then there is much of it."""
    size = raw.get("SizeRw")
    return math.inf if size is None else float(size)


def _recipe(raw: Json, old: Image | None, new: Image, names: Mapping[str, str]) -> Recipe:
    base = old.config if old is not None else {}
    config, host = copy.deepcopy(_dict(raw, "Config")), copy.deepcopy(_dict(raw, "HostConfig"))
    short_id = str(raw.get("Id") or "")[:12]
    notes: list[str] = []
    if old is None:
        notes.append("The old image is gone, so what it brought (environment, command) stays as it was.")
    config["Image"] = new.id
    _environment(config, base, new, notes)
    _command(config, base)
    config["Labels"] = _subtract(_dict(config, "Labels"), _dict(base, "Labels"), keep=COMPOSE)
    _health(config, base)
    for field in _PLAIN_FIELDS:
        if field in config and config[field] == base.get(field):
            del config[field]
    _share(host, names, notes)
    _volumes(config, host, raw, base, new, notes)
    _ports(config, host, base, notes)
    endpoints = _networks(config, host, raw, short_id)
    if layer_size(raw) > NOTED_LAYER:
        size = "An unknown amount" if math.isinf(layer_size(raw)) else units.show_size(layer_size(raw))
        notes.append(f"{size} in its own writable layer does not come along.")
    body = {key: value for key, value in config.items() if value is not None}
    body["Labels"] = config["Labels"]
    body["HostConfig"] = host
    if endpoints:
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return Recipe(body, tuple(notes))


def _environment(config: Json, base: Json, new: Image, notes: list[str]) -> None:
    """What the old image set is not the person's wish; frozen onto a new image it breaks CUDA checks."""
    inbuilt = set(base.get("Env") or ())
    kept = [pair for pair in config.get("Env") or () if pair not in inbuilt]
    config["Env"] = kept
    after = {str(pair).partition("=")[0]: pair for pair in new.config.get("Env") or ()}
    for pair in base.get("Env") or ():
        name = str(pair).partition("=")[0]
        if name != "PATH" and after.get(name) not in (None, pair) and not any(k.startswith(f"{name}=") for k in kept):
            notes.append(f"{name} comes from the image and changes with it.")


def _command(config: Json, base: Json) -> None:
    """Cmd and Entrypoint are one thing; an entrypoint of one's own erases the image's command."""
    command, entrypoint = config.get("Cmd"), config.get("Entrypoint")
    same_entrypoint = (entrypoint or None) == (base.get("Entrypoint") or None)
    erased = not command and bool(base.get("Cmd"))
    if same_entrypoint and not erased:
        config.pop("Entrypoint", None)
        if command == base.get("Cmd"):
            config.pop("Cmd", None)


def _health(config: Json, base: Json) -> None:
    """Field by field, so that an interval of one's own stays and the image's test does not freeze."""
    own, inbuilt = config.get("Healthcheck"), _dict(base, "Healthcheck")
    if not isinstance(own, dict):
        return
    kept = {key: value for key, value in own.items() if value != inbuilt.get(key)}
    if kept:
        config["Healthcheck"] = kept
    else:
        del config["Healthcheck"]


def _volumes(config: Json, host: Json, raw: Json, base: Json, new: Image, notes: list[str]) -> None:
    """An anonymous volume is carried along by its name, or the successor would get an empty one."""
    covered = {str(bind).split(":")[1] for bind in host.get("Binds") or () if ":" in str(bind)}
    live = {str(mount.get("Destination")): mount for mount in raw.get("Mounts") or ()}
    for mount in host.get("Mounts") or ():
        target = str(mount.get("Target"))
        covered.add(target)
        if mount.get("Type") == "volume" and not mount.get("Source") and live.get(target, {}).get("Name"):
            mount["Source"] = live[target]["Name"]
    carried = []
    for target, mount in live.items():
        if mount.get("Type") == "volume" and mount.get("Name") and target not in covered:
            options = str(mount.get("Mode") or "") or ("" if mount.get("RW", True) else "ro")
            carried.append(f"{mount['Name']}:{target}" + (f":{options}" if options else ""))
            covered.add(target)
    if carried:
        host["Binds"] = [*(host.get("Binds") or ()), *carried]
    inbuilt = _dict(base, "Volumes")
    left = {path: value for path, value in _dict(config, "Volumes").items() if path not in inbuilt | _ones(covered)}
    config["Volumes"] = left or None
    fresh = sorted(set(_dict(new.config, "Volumes")) - set(inbuilt) - covered)
    notes += [f"The new image declares a volume at {path}, which hides what lay there before." for path in fresh]


def _ports(config: Json, host: Json, base: Json, notes: list[str]) -> None:
    """The image's EXPOSE goes with the image; what is published stays."""
    published = {port: bound for port, bound in _dict(host, "PortBindings").items() if not port.startswith("/")}
    inbuilt = _dict(base, "ExposedPorts")
    exposed: Json = {
        port: {} for port in _dict(config, "ExposedPorts") if port not in inbuilt and not port.startswith("/")
    }
    exposed |= {port: {} for port in published}
    config["ExposedPorts"] = exposed or None
    if str(host.get("NetworkMode") or "").startswith("container:"):
        config["ExposedPorts"] = None
    floating = [port for port in sorted(published) if _floats(published[port])]
    notes += [f"Port {port} gets a new random port on the host." for port in floating]


def _floats(bounds: list[Json] | None) -> bool:
    return any(not (bound or {}).get("HostPort") for bound in bounds or [{}])


def _share(host: Json, names: Mapping[str, str], notes: list[str]) -> None:
    """A namespace shared by id dies with that id; by name it lives on."""
    for field in _SHARED:
        mode = str(host.get(field) or "")
        if mode.startswith("container:"):
            parent = mode.removeprefix("container:")
            if parent in names:
                host[field] = f"container:{names[parent]}"
            else:
                notes.append(f"{field} points at container {parent[:12]}, whose name is not known.")
    if host.get("VolumesFrom"):
        host["VolumesFrom"] = [_renamed(str(source), names) for source in host["VolumesFrom"]]
    if host.get("Links"):
        host["Links"] = [_link(str(link)) for link in host["Links"]]


def _networks(config: Json, host: Json, raw: Json, short_id: str) -> Json:
    """The primary network first, only what a person can have asked for; no dead id, no MAC."""
    mode = str(host.get("NetworkMode") or "default")
    if config.get("Hostname") == short_id or mode.startswith("container:") or host.get("UTSMode") == "host":
        config["Hostname"] = ""
    if not config.get("MacAddress"):
        config.pop("MacAddress", None)
    if mode in ("host", "none") or mode.startswith("container:"):
        return {}
    primary = "bridge" if mode == "default" else mode
    found = _dict(_dict(raw, "NetworkSettings"), "Networks")
    ordered = sorted(found, key=lambda name: (primary not in (name, str((found[name] or {}).get("NetworkID"))), name))
    endpoints: Json = {}
    for name in ordered:
        given = found[name] or {}
        kept = {key: copy.deepcopy(given[key]) for key in ("IPAMConfig", "DriverOpts", "GwPriority") if given.get(key)}
        aliases = [alias for alias in given.get("Aliases") or () if not _SHORT_ID.fullmatch(str(alias))]
        if aliases and name not in _UNALIASED:
            kept["Aliases"] = list(dict.fromkeys(aliases))
        if given.get("Links"):
            kept["Links"] = [_link(str(link)) for link in given["Links"]]
        endpoints[name] = kept
    return endpoints


def _subtract(have: Json, inbuilt: Json, keep: str) -> Json:
    """Labels without those the image brought. Ours are no exception: an image cannot opt a container in."""
    return {key: value for key, value in have.items() if key.startswith(keep) or inbuilt.get(key) != value}


def _link(link: str) -> str:
    """`/db:/app/alias` as inspect shows it, `db:alias` as create wants it."""
    source, _, alias = link.partition(":")
    return f"{source.lstrip('/')}:{alias.rpartition('/')[2] or source.lstrip('/')}"


def _renamed(source: str, names: Mapping[str, str]) -> str:
    parent, colon, options = source.partition(":")
    return f"{names.get(parent, parent)}{colon}{options}"


def _ones(paths: set[str]) -> Json:
    return {path: {} for path in sorted(paths)}


def _dict(raw: Json, key: str) -> Json:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}
