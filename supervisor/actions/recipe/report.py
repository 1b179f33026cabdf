"""The fidelity report: what becomes of every field of a container that is made again.

From: preview.py (before anything is done) and phoenix.py, with the old container's raw inspect, the create body made of
it, and both images. To: people. It is read off the body itself, so it cannot promise what is not done. Pure.
"""

import json
import math
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace

from supervisor import units
from supervisor.actions.recipe import networks
from supervisor.actions.recipe.image_defaults import COMPOSE
from supervisor.actions.recipe.raw import LONG_ID, SHORT_ID, items, part, variables
from supervisor.actions.recipe.successor import COMPOSE_IMAGE, NOTED_LAYER, layer_size, reference
from supervisor.actions.recipe.traits import AMBIGUOUS, CHANGED, IMAGE, KEPT, KINDS, LOST, Trait, shown
from supervisor.facts import Image, Json
from supervisor.ports import FileChange
from supervisor.services import OP_LABEL, REF_LABEL, ROLE_LABEL

PARKED_FROM = 1 << 30
"""bytes in its own layer from which on the old container is kept after the commit"""
_OF_IMAGES = ("PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", "GPG_KEY", "HOME", "LANG")
_IMAGE_PARTS = ("NVIDIA_", "CUDA_", "NV_", "PYTHON_", "_VERSION", "_SHA256", "TORCH_", "CUDNN")
_PLAIN = ("Cmd", "Entrypoint", "Healthcheck", "WorkingDir", "User", "StopSignal", "Shell", "OnBuild", "ArgsEscaped")
_DONE = (*_PLAIN, "Image", "Env", "Labels", "Hostname", "MacAddress", "Volumes", "ExposedPorts")
_HOST_DONE = ("Binds", "Mounts", "RestartPolicy", "Runtime", "PortBindings", "VolumesFrom", "Links", *networks.SHARED)
_TOP_PATHS = 5
_BY_ENGINE = ("CgroupnsMode", "ConsoleSize", "MaskedPaths", "ReadonlyPaths")
"""what the engine writes by itself where nobody says anything; a compose file seldom does"""
_FILLED_IN = {"LogConfig": '{"Type": "json-file"}', "ShmSize": "67108864"}
"""the same, where it is the engine's own value"""
_BY_FILE = "as the compose file says"
_UNSEEN = "what was changed in it or in .env since is not seen here; phoenix --from-compose FILE applies it"


@dataclass(frozen=True, slots=True)
class _Case:
    raw: Json
    body: Json
    old: Image | None
    new: Image
    changes: tuple[FileChange, ...]
    keep_env: tuple[str, ...]
    along: tuple[str, ...]
    """files that come along"""

    @property
    def base(self) -> Json:
        return self.old.config if self.old is not None else {}


def fidelity(
    raw: Json,
    body: Json,
    old: Image | None,
    new: Image,
    *,
    changes: tuple[FileChange, ...] = (),
    carried: tuple[Trait, ...] = (),
    keep_env: tuple[str, ...] = (),
    document: bool = False,
) -> tuple[Trait, ...]:
    """Every field, worst news first. `changes`: what it wrote into its own layer. `carried`: injected files.
    `document`: the body was made from a compose file, so what differs is meant."""
    along = tuple(trait.what.removeprefix("file ") for trait in carried if trait.kind == KEPT)
    case = _Case(raw, body, old, new, changes, keep_env, along)
    parts = (_image, _environment, _plain, _labels, _names, _storage, _networks, _rest, _layer)
    found = [trait for each in parts for trait in each(case)]
    found += carried
    if document:
        found = [replace(one, kind=CHANGED, how=_BY_FILE) if _differs(one) else one for one in found]
    elif any(str(label).startswith(COMPOSE) for label in part(part(raw, "Config"), "Labels")):
        found.append(Trait(AMBIGUOUS, "its compose file", how=_UNSEEN))
    return tuple(sorted(found, key=lambda trait: KINDS.index(trait.kind)))


def _differs(trait: Trait) -> bool:
    if not trait.after and trait.before == _FILLED_IN.get(trait.what, ""):
        return False
    seen = trait.kind == KEPT and bool(trait.before) and trait.before != trait.after
    return seen and bool(trait.after or trait.what not in _BY_ENGINE)


def _image(case: _Case) -> Iterator[Trait]:
    before, after = units.short_image(str(case.raw.get("Image") or "")), units.short_image(case.new.id)
    ref = reference(case.raw)
    if before == after:
        yield Trait(KEPT, "image", before, after, f"still the one {ref} was when it was made" if ref else "")
    else:
        yield Trait(IMAGE, "image", f"{ref} {before}".strip(), after)
    if case.old is None:
        how = "the engine has lost the old image, so what it brought stays as if a person had asked for it"
        yield Trait(AMBIGUOUS, "image defaults", before, "", how)


def _environment(case: _Case) -> Iterator[Trait]:
    old, own = variables(part(case.raw, "Config").get("Env")), variables(case.body.get("Env"))
    base, fresh = variables(case.base.get("Env")), variables(case.new.config.get("Env"))
    same = 0
    for name in sorted(old.keys() | own.keys() | fresh.keys()):
        what = f"env {name}"
        if name in own:
            meant = name in case.keep_env and base.get(name) == own[name]
            how = "keep-env names it" if meant else ""
            yield Trait(KEPT, what, shown(what, old.get(name, "")), shown(what, own[name]), how)
        elif name not in old:
            yield Trait(IMAGE, what, "", shown(what, fresh[name]), "new in the image")
        elif fresh.get(name) == old[name]:
            same += 1
        else:
            how = "the old image's value goes with it"
            kind = IMAGE if _is_images(name) else AMBIGUOUS
            if kind == AMBIGUOUS:
                how = f"equal to the old image's default, so it counts as the image's; to keep it: keep-env: [{name}]"
            yield Trait(kind, what, shown(what, old[name]), shown(what, fresh.get(name, "")), how)
    if same:
        yield Trait(IMAGE, f"env, {same} of the image", "", "", "the same in both images")


def _is_images(name: str) -> bool:
    """Whether nobody sets such a variable by hand."""
    return name in _OF_IMAGES or any(each in name for each in _IMAGE_PARTS)


def _plain(case: _Case) -> Iterator[Trait]:
    config = part(case.raw, "Config")
    for key in _PLAIN:
        before, inbuilt, fresh = config.get(key), case.base.get(key), case.new.config.get(key)
        if case.body.get(key):
            after = case.body[key]
            if key == "Healthcheck" and isinstance(after, dict) and after.get("Test") != ["NONE"]:
                after = {**part(case.new.config, key), **after}
            yield Trait(KEPT, _word(key), _value(key, before), _value(key, after))
        elif key == "Cmd" and "Cmd" not in case.body and case.body.get("Entrypoint"):
            continue
        elif before or fresh:
            how = "" if before == fresh else "comes with the image"
            if before != inbuilt and before:
                how = "it was the engine's doing"
            yield Trait(IMAGE, _word(key), _value(key, before), _value(key, fresh), how)


def _labels(case: _Case) -> Iterator[Trait]:
    old, own = part(part(case.raw, "Config"), "Labels"), part(case.body, "Labels")
    fresh = part(case.new.config, "Labels")
    compose = 0
    for name in sorted(old.keys() | own.keys()):
        what = f"label {name}"
        before, after = old.get(name), own.get(name)
        if name == COMPOSE_IMAGE and after != before:
            how = "so that `compose up` leaves it alone"
            yield Trait(CHANGED, what, units.short_image(str(before)), units.short_image(str(after)), how)
        elif name in (OP_LABEL, REF_LABEL, ROLE_LABEL):
            yield Trait(CHANGED, what, shown(what, before), shown(what, after), "ours: which plan made it, from what")
        elif after is not None and name.startswith("com.docker.compose."):
            compose += 1
        elif after is not None:
            yield Trait(KEPT, what, shown(what, before), shown(what, after))
        elif name.startswith("com.docker.compose."):
            yield Trait(CHANGED, what, shown(what, before), "", "only compose itself may set it")
        else:
            same = fresh.get(name) == before
            how = "the same in both images" if same else "comes with the image"
            yield Trait(IMAGE, what, shown(what, before), shown(what, fresh.get(name)), how)
    if compose:
        yield Trait(KEPT, f"labels of compose, {compose}", "", "", "compose still knows it as its own")


def _names(case: _Case) -> Iterator[Trait]:
    config = part(case.raw, "Config")
    before, after = str(config.get("Hostname") or ""), str(case.body.get("Hostname") or "")
    if before and not after:
        why = "it was its old id; the new one gets its own" if SHORT_ID.fullmatch(before) else "another one gives it"
        yield Trait(CHANGED, "hostname", before, "", why)
    elif after:
        yield Trait(KEPT, "hostname", before, after)
    if config.get("MacAddress"):
        pinned = not networks.generated_mac(case.raw)
        kind, how = (KEPT, "") if pinned else (CHANGED, "the engine made it of the address; the new one gets its own")
        yield Trait(kind, "mac address", str(config["MacAddress"]), str(config["MacAddress"]) if pinned else "", how)


def _storage(case: _Case) -> Iterator[Trait]:
    host, body_host = part(case.raw, "HostConfig"), part(case.body, "HostConfig")
    before = [str(each) for each in items(host, "Binds")]
    for each in items(body_host, "Binds"):
        carried = str(each) not in before
        how = "an anonymous volume: carried by its name, and from now on never removed by itself" if carried else ""
        yield Trait(KEPT, "volume" if carried else "bind", str(each), str(each), how)
    for each in items(body_host, "Mounts"):
        text = _value("Mounts", each)
        yield Trait(KEPT, "mount", text, text)
    for each in items(body_host, "VolumesFrom"):
        yield Trait(KEPT, "volumes from", str(each), str(each))
    covered = {str(mount.get("Destination")) for mount in items(case.raw, "Mounts") if isinstance(mount, dict)}
    for path in sorted(set(part(case.new.config, "Volumes")) - covered):
        yield Trait(IMAGE, f"volume {path}", "", "new, empty", "the new image declares it; it hides what lay there")


def _networks(case: _Case) -> Iterator[Trait]:
    host, body_host = part(case.raw, "HostConfig"), part(case.body, "HostConfig")
    joined = part(part(case.raw, "NetworkSettings"), "Networks")
    for name, kept in part(part(case.body, "NetworkingConfig"), "EndpointsConfig").items():
        old = [str(alias) for alias in (joined.get(name) or {}).get("Aliases") or ()]
        text = _value(name, kept)
        yield Trait(KEPT, f"network {name}", text, text)
        dead = sorted(set(old) - set(kept.get("Aliases") or ()))
        if dead:
            yield Trait(CHANGED, f"aliases on {name}", ", ".join(dead), "", "ids of containers are no names")
    for key in networks.SHARED:
        before, after = (LONG_ID.sub(lambda m: m[0][:12], str(each.get(key) or "")) for each in (host, body_host))
        if before.startswith("container:") and before != after:
            yield Trait(CHANGED, key, before, after, "by name, so that it outlives the other one's id")
        elif after not in ("", "default"):
            yield Trait(KEPT, key, before, after)
    for port, bounds in sorted(part(body_host, "PortBindings").items()):
        text = ", ".join(f"{each.get('HostIp') or ''}:{each.get('HostPort') or ''}" for each in bounds or [{}])
        if networks.floats(bounds):
            yield Trait(
                LOST, f"port {port}", "random", "", "the engine chooses a new number at the start; publish a fixed one"
            )
        else:
            yield Trait(KEPT, f"port {port}", text, text)
    for each in items(body_host, "Links"):
        yield Trait(KEPT, "link", str(each), str(each))


def _rest(case: _Case) -> Iterator[Trait]:
    """Everything else goes through as it is; what is empty is left out."""
    config, host, body_host = part(case.raw, "Config"), part(case.raw, "HostConfig"), part(case.body, "HostConfig")
    for key in sorted(config):
        if key not in _DONE and config[key]:
            yield Trait(KEPT, key, _value(key, config[key]), _value(key, case.body.get(key)))
    for key in sorted(host):
        if key in _HOST_DONE or not host[key]:
            continue
        yield Trait(KEPT, key, _value(key, host[key]), _value(key, body_host.get(key)))
    if host.get("Runtime"):
        how = "" if body_host.get("Runtime") else "the engine's default, so it is not said"
        yield Trait(KEPT, "Runtime", str(host["Runtime"]), str(host["Runtime"]), how)
    before, after = _value("", host.get("RestartPolicy")), _value("", body_host.get("RestartPolicy"))
    if before == after:
        yield Trait(KEPT, "RestartPolicy", before, after)
    else:
        how = "it was held down; it gets the one it had before"
        if part(body_host, "RestartPolicy").get("Name") == "no":
            how = "Resurgam starts it after a boot (boot: ordered), and remembers this one"
        yield Trait(CHANGED, "RestartPolicy", _policy(host), _policy(body_host), how)


def _policy(host: Json) -> str:
    """As compose writes it: `unless-stopped`, `on-failure:3`."""
    policy = part(host, "RestartPolicy")
    tries = policy.get("MaximumRetryCount") or 0
    return f"{policy.get('Name') or 'no'}" + (f":{tries}" if tries else "")


def _layer(case: _Case) -> Iterator[Trait]:
    size = layer_size(case.raw)
    mounted = {str(each.get("Destination")) for each in items(case.raw, "Mounts") if isinstance(each, dict)}
    known = {*mounted, *case.along, "/.dockerenv", "/dev/console"}
    written = [each for each in case.changes if each.kind == "added" and each.path not in known]
    if size >= NOTED_LAYER or written:
        amount = "an unknown amount" if math.isinf(size) else units.show_size(size)
        where = _biggest(written)
        how = (
            "kept with the old container, which stays parked"
            if size > PARKED_FROM
            else "gone once the new one is proved"
        )
        yield Trait(LOST, "its own writable layer", f"{amount}{f', most files in {where}' if where else ''}", "", how)
    yield Trait(
        LOST, "its log so far", "", "", "the engine's log ends with the old container; the last lines are kept here"
    )


def _biggest(written: list[FileChange]) -> str:
    """The folders with the most new files, two levels deep."""
    counts: dict[str, int] = {}
    folders: set[str] = set()
    for each in written:
        above = posixpath.dirname(each.path)
        while above not in folders:
            folders.add(above)
            above = posixpath.dirname(above)
    for each in written:
        if each.path not in folders:
            top = "/" + "/".join(each.path.strip("/").split("/")[:-1][:3])
            counts[top] = counts.get(top, 0) + 1
    ordered = sorted(counts, key=lambda path: (-counts[path], path))[:_TOP_PATHS]
    return units.plain(", ".join(f"{path} ({counts[path]})" for path in ordered), 300)


def _word(key: str) -> str:
    return {"Cmd": "command", "Entrypoint": "entrypoint", "WorkingDir": "workdir"}.get(key, key.lower())


def _value(name: str, value: object) -> str:
    if isinstance(value, dict):
        filled = {key: each for key, each in value.items() if each not in (None, "", [], {})}
        return shown(name, json.dumps(filled, sort_keys=True, default=str)) if filled else ""
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        return shown(name, json.dumps(value, sort_keys=True, default=str))
    return shown(name, value)
