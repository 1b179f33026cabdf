"""Makes a create body from a container's raw inspect: what the person asked for, without what its image brought.

From: the engine's raw inspect and both images (phoenix.py, tidy.py, preview.py). To: Engine.create. Pure. Everything is
raw JSON, so nothing is typed away: a field this room does not know is carried over as it is. What cannot be carried
faithfully becomes a note for people; report.py says everything.
"""

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from supervisor import units
from supervisor.actions.recipe import image_defaults, networks, storage
from supervisor.actions.recipe.image_defaults import COMPOSE
from supervisor.actions.recipe.raw import items, part
from supervisor.engines.docker import shape
from supervisor.facts import Image, Json, Needs
from supervisor.ports import EngineInfo
from supervisor.services import OP_LABEL, REF_LABEL, ROLE_LABEL

COMPOSE_IMAGE = "com.docker.compose.image"
COMPOSE_WAS_LABEL = "resurgam.compose"
"""on a spare: the compose labels it must not carry, as JSON"""
_COMPOSE_REPLACE = "com.docker.compose.replace"
NOTED_LAYER = 1 << 20
"""bytes in its own layer from which on a person is told"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A create body, and what about it a person should know."""

    body: Json
    notes: tuple[str, ...] = ()


def successor(
    raw: Json,
    old: Image | None,
    new: Image,
    *,
    op: str,
    policy: Json,
    ref: str,
    names: Mapping[str, str],
    keep_env: tuple[str, ...] = (),
    engine: EngineInfo | None = None,
) -> Recipe:
    """The container that takes its place, on another image (or the same).

    `raw`: inspect of the old one. `old`: its image, None if the engine has lost it. `policy`: Docker's RestartPolicy
    to be created with. `names`: container id -> name, for namespaces that are shared with another container.
    `keep_env`: variables that stay though the old image set the same. `engine`: what it is created on.
    """
    recipe = _recipe(raw, old, new, names, keep_env, engine)
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


def spare(
    raw: Json, image: Image | None, *, op: str, names: Mapping[str, str], engine: EngineInfo | None = None
) -> Recipe:
    """A copy that is never started: same recipe and image id, our labels instead of compose's, policy `no`.

    compose takes any container that carries its labels for its own, also a stopped one.
    """
    kept = image or Image(str(raw.get("Image") or ""))
    recipe = _recipe(raw, image, kept, names, (), engine)
    have = recipe.body["Labels"]
    compose = {key: value for key, value in have.items() if key.startswith(COMPOSE)}
    labels = {key: value for key, value in have.items() if key not in compose}
    if compose:
        labels[COMPOSE_WAS_LABEL] = json.dumps(compose, sort_keys=True)
    recipe.body["Labels"] = labels | {ROLE_LABEL: "spare", OP_LABEL: op, REF_LABEL: reference(raw)}
    recipe.body["HostConfig"]["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    return recipe


def final_policy(raw: Json, needs: Needs, kept: str) -> Json:
    """Docker's RestartPolicy that the new one is created with: the old one's, or `kept`, what a stop of ours took from
    it. With boot=ordered none: it is ours to start then, and what it had is kept (core/consequences.py)."""
    if needs.boot == "ordered":
        return {"Name": "no", "MaximumRetryCount": 0}
    current = part(part(raw, "HostConfig"), "RestartPolicy") or {"Name": "no", "MaximumRetryCount": 0}
    if kept and current.get("Name") in ("", "no"):
        return shape.policy_json(kept)
    return current


def shared_with(raw: Json) -> tuple[str, ...]:
    """The ids or names of the containers whose namespaces or volumes it shares, in order."""
    host = part(raw, "HostConfig")
    modes = [str(host.get(field) or "") for field in networks.SHARED]
    keys = [mode.removeprefix("container:") for mode in modes if mode.startswith("container:")]
    keys += [str(source).partition(":")[0] for source in items(host, "VolumesFrom")]
    return tuple(dict.fromkeys(keys))


def reference(raw: Json) -> str:
    """The reference a container was made from, '' where only an id is known."""
    ref = shape.called(raw)
    return "" if shape.is_id(ref) else ref


def layer_size(raw: Json) -> float:
    """Bytes it wrote into its own layer, which no recreation brings along; infinity where they could not be
    measured in time: then there is much of it."""
    size = raw.get("SizeRw")
    return math.inf if size is None else float(size)


def _recipe(
    raw: Json,
    old: Image | None,
    new: Image,
    names: Mapping[str, str],
    keep_env: tuple[str, ...],
    engine: EngineInfo | None,
) -> Recipe:
    base = old.config if old is not None else {}
    config, host = copy.deepcopy(part(raw, "Config")), copy.deepcopy(part(raw, "HostConfig"))
    notes: list[str] = []
    if old is None:
        notes.append("The old image is gone, so what it brought (environment, command) stays as it was.")
    config["Image"] = new.id
    image_defaults.subtract(config, base, new, keep_env, notes)
    networks.share(host, names, notes)
    storage.carry(config, host, raw, base, new, notes)
    networks.ports(config, host, base, notes)
    joined = networks.endpoints(config, host, raw)
    if layer_size(raw) > NOTED_LAYER:
        size = "An unknown amount" if math.isinf(layer_size(raw)) else units.show_size(layer_size(raw))
        notes.append(f"{size} in its own writable layer does not come along.")
    body = {key: value for key, value in config.items() if value is not None}
    body["Labels"] = config["Labels"]
    body["HostConfig"] = host
    if joined:
        body["NetworkingConfig"] = {"EndpointsConfig": joined}
    if engine is not None:
        networks.pin_mac(body, engine.api)
        if engine.default_runtime and host.get("Runtime") == engine.default_runtime:
            del host["Runtime"]  # it was never asked for, and some engines refuse the word
    return Recipe(body, tuple(notes))
