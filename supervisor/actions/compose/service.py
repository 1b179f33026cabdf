"""One service of a compose file as the engine wants it.

From: reading.py, with the service as a node and what surrounds it. To: model.Spec. A key that keys.py does not know is
a mistake: what is not understood is not silently left out of a container.
"""

from pydantic import ValidationError

from supervisor.actions.compose import mounting
from supervisor.actions.compose.draft import Around, Draft
from supervisor.actions.compose.keys import KEYS, environment
from supervisor.actions.compose.model import Spec
from supervisor.actions.compose.nodes import Node


def read_service(node: Node, around: Around) -> tuple[Spec | None, list[str]]:
    """(the service, what about it a person should know); None where it has a mistake, which stands in its notes."""
    draft = Draft(around, node, rest={"service": node.name, "file": around.file, "project": around.project})
    before = len(node.notes.mistakes)
    if not isinstance(node.raw, dict):
        node.wrong(f"the service {node.name!r} must be a mapping of keys to values")
        return None, []
    for entry in node.entries():
        handler = KEYS.get(entry.name)
        if handler is None:
            entry.wrong(_unknown(entry.name), key=True)
        elif entry.given or entry.name in _NULL_MATTERS:
            try:
                handler(draft, entry)
            except ValueError as err:
                entry.wrong(str(err))
    _complete(draft)
    if len(node.notes.mistakes) > before:
        return None, []
    draft.config["ExposedPorts"] = draft.exposed
    try:
        return Spec.model_validate({**draft.rest, "config": draft.config, "host": draft.host}), draft.notes
    except ValidationError as err:
        for error in err.errors(include_url=False):
            node.wrong(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}", key=True)
        return None, []


_NULL_MATTERS = ("build",)
_NOT_YET = {
    "extends": "write the keys of the other service out",
    "links": "services of one network reach each other by name; take it out",
    "external_links": "join a network that both share instead",
    "volumes_from": "write the volumes out",
    "annotations": "take it out",
    "label_file": "write the labels out",
    "credential_spec": "take it out",
    "blkio_config": "take it out",
    "post_start": "take it out",
    "pre_stop": "take it out",
    "provider": "take it out",
    "models": "write the variables out",
    "use_api_socket": "write the bind out",
    "isolation": "take it out",
    "cpu_rt_runtime": "take it out",
    "cpu_rt_period": "take it out",
    "volume_driver": "name a driver under the top-level `volumes`",
}


def _unknown(key: str) -> str:
    if key in _NOT_YET:
        return f"{key} is not supported with --from-compose; {_NOT_YET[key]}, or use compose itself"
    return f"the key {key!r} is not known for a service; nothing is done before it is understood or taken out"


def _complete(draft: Draft) -> None:
    """What several keys say together."""
    node, host = draft.node, draft.host
    mode = host.get("NetworkMode", "")
    if mode and node.get("networks").given:
        node.get("network_mode").wrong("network_mode and networks exclude each other; take one out", key=True)
    elif not mode and "networks" not in draft.rest:
        draft.rest["networks"] = [mounting.endpoint(draft.around.networks, "default", node, {})]
    if not node.get("image").given and not node.get("build").given:
        node.wrong(f"the service {node.name!r} has neither image nor build", key=True)
    if node.get("environment").given or node.get("env_file").given:
        draft.config["Env"] = environment(draft)
