"""The keys of a compose service that have parts of their own: ports, mounts, networks, devices, checks, files.

Nodes in, the engine's forms (and model.Spec's) out; ValueError, or a note at the node, where they are wrong. Used by
service.py.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from supervisor.actions.compose import values
from supervisor.actions.compose.nodes import Node
from supervisor.actions.compose.values import Published
from supervisor.facts import Json

ToPath = Callable[[str], str]


def words(node: Node) -> list[str]:
    """A command: a list, or one text that is split as a shell would split it."""
    if isinstance(node.raw, list):
        return node.texts()
    try:
        return shlex.split(node.text())
    except ValueError as err:
        raise ValueError(f"the command cannot be split into words: {err}; write it as a list") from None


def ports(node: Node) -> Iterator[Published]:
    """One entry of `ports`, short or long."""
    if not isinstance(node.raw, dict):
        yield from values.ports(node.text())
        return
    node.only("target", "published", "protocol", "host_ip", "mode", "name", "app_protocol")
    protocol = node.get("protocol").text().lower() or "tcp"
    yield from values.spread(
        node.get("target").text(), node.get("published").text(), node.get("host_ip").text(), protocol
    )


# ------------------------------------------------------------ mounts


def mount(node: Node, volumes: Mapping[str, Node], to_path: ToPath) -> Json:
    """One entry of `volumes`, short or long, as model.Mount."""
    if isinstance(node.raw, dict):
        return _long(node, volumes, to_path)
    short = values.mount(node.text())
    if not short.source:
        return {"target": short.target, "type": "volume"}
    made: Json = {"target": short.target, "mode": short.mode or "rw", "read_only": short.read_only}
    if short.is_path:
        return made | {"type": "bind", "source": to_path(short.source)}
    return made | {"type": "volume", **_volume(node, short.source, volumes)}


def _volume(node: Node, key: str, volumes: Mapping[str, Node]) -> Json:
    """Which volume a key stands for."""
    if key not in volumes:
        raise ValueError(f"the volume {key!r} is not declared under the top-level `volumes`")
    name, external = declared(volumes[key])
    return {"source": name or key, "real": bool(name) or external, "external": external}


def declared(node: Node) -> tuple[str, bool]:
    """(its real name where the file says it, whether it is external) of a top-level network or volume."""
    external = node.get("external")
    inner = external.get("name").text() if isinstance(external.raw, dict) else ""
    is_external = bool(inner) or isinstance(external.raw, dict) or (external.given and external.flag())
    name = node.get("name").text() or inner
    return (name or node.name if is_external else name), is_external


_OPTIONS = {"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions"}


def _long(node: Node, volumes: Mapping[str, Node], to_path: ToPath) -> Json:
    node.only("type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs")
    kind, target, source = node.get("type").text(), node.get("target").text(), node.get("source").text()
    if kind not in _OPTIONS:
        raise ValueError(f"{kind!r} is no type of a mount; there are bind, volume and tmpfs")
    if not target.startswith("/"):
        raise ValueError(f"{target!r} is not an absolute path inside the container")
    made: Json = {"type": kind, "target": target.rstrip("/") or "/", "short": False}
    made["read_only"] = node.get("read_only").given and node.get("read_only").flag()
    options: Json = {}
    if kind == "bind":
        if not source:
            raise ValueError("a bind needs a source")
        made["source"] = to_path(source)
        bind = node.get("bind")
        bind.only("propagation", "create_host_path", "selinux", "recursive")
        if bind.get("propagation").given:
            options["Propagation"] = bind.get("propagation").text()
        if bind.get("selinux").given or (bind.get("create_host_path").given and bind.get("create_host_path").flag()):
            mode = [word for word in (bind.get("selinux").text(), "ro" if made["read_only"] else "") if word]
            made |= {"short": True, "mode": ",".join(mode + [one for one in (options.get("Propagation"),) if one])}
    elif kind == "volume":
        made |= _volume(node, source, volumes) if source else {}
        volume = node.get("volume")
        volume.only("nocopy", "subpath")
        if volume.get("nocopy").given:
            options["NoCopy"] = volume.get("nocopy").flag()
        if volume.get("subpath").given:
            options["Subpath"] = volume.get("subpath").text()
    else:
        tmpfs = node.get("tmpfs")
        tmpfs.only("size", "mode")
        if tmpfs.get("size").given:
            options["SizeBytes"] = values.bytes_of(tmpfs.get("size").text())
        if tmpfs.get("mode").given:
            options["Mode"] = _mode(tmpfs.get("mode"))
    return made | {"options": options}


def _mode(node: Node) -> int:
    """File rights: written with a leading 0 they are octal, as everywhere."""
    if isinstance(node.raw, int) and not isinstance(node.raw, bool):
        return node.raw
    try:
        return int(node.text().removeprefix("0o"), 8)
    except ValueError:
        node.wrong(f"{node.text()[:20]!r} are no file rights; write them like 0440")
        return 0


def injected(node: Node, section: str, known: Mapping[str, Node], to_path: ToPath) -> tuple[Json | None, Json | None]:
    """(a mount, None) for a config or secret that is a file, (None, an inline file) for one whose content is given."""
    if isinstance(node.raw, dict):
        node.only("source", "target", "uid", "gid", "mode")
    source = node.get("source").text() if isinstance(node.raw, dict) else node.text()
    declaration = known.get(source)
    if declaration is None:
        node.wrong(f"{source!r} is not declared under the top-level `{section}`")
        return None, None
    base = "/run/secrets/" if section == "secrets" else "/"
    target = (node.get("target").text() if isinstance(node.raw, dict) else "") or source
    path = target if target.startswith("/") else base + target
    if declaration.get("file").given:
        made = {"type": "bind", "source": to_path(declaration.get("file").text()), "target": path}
        return made | {"short": False, "read_only": True}, None
    inline: Json = {"path": path, "text": declaration.get("content").text()}
    if declaration.get("environment").given:
        name = declaration.get("environment").text()
        value = declaration.notes.lookup(name)
        if value is None:
            declaration.get("environment").wrong(f"the variable {name} is not set")
        inline["text"] = value or ""
    elif not declaration.get("content").given:
        declaration.wrong(f"{source!r} needs file, content or environment; Swarm's own are not supported")
    if isinstance(node.raw, dict):
        inline |= {key: node.get(key).number() for key in ("uid", "gid") if node.get(key).given}
        if node.get("mode").given:
            inline["mode"] = _mode(node.get("mode"))
    return None, inline


# ------------------------------------------------------------ networks


def endpoint(networks: Mapping[str, Node], key: str, node: Node, options: Json) -> Json:
    """One network of a service, as model.Endpoint."""
    if key not in networks and key != "default":
        node.wrong(f"the network {key!r} is not declared under the top-level `networks`")
        return {"key": key}
    name, external = declared(networks[key]) if key in networks else ("", False)
    return {"key": name or key, "real": bool(name) or external, "external": external, **options}


def endpoint_options(node: Node) -> Json:
    """What a service says about one of its networks."""
    node.only(
        "aliases", "ipv4_address", "ipv6_address", "link_local_ips", "priority", "driver_opts", "gw_priority",
        "mac_address", "interface_name",
    )  # fmt: skip
    for key in ("gw_priority", "mac_address", "interface_name"):
        if node.get(key).given:
            node.get(key).wrong(f"{key} of a network is not supported with --from-compose; use compose itself")
    made: Json = {
        "aliases": node.get("aliases").texts(),
        "ipv4": node.get("ipv4_address").text(),
        "ipv6": node.get("ipv6_address").text(),
        "link_local": node.get("link_local_ips").texts(),
        "driver_opts": node.get("driver_opts").mapping(),
    }
    if node.get("priority").given:
        made["priority"] = node.get("priority").number()
    return made


# ------------------------------------------------------------ checks, devices, limits


def health(node: Node) -> Json:
    """Docker's HealthConfig; only what the file says, the rest is the image's."""
    node.only("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable")
    if node.get("disable").given and node.get("disable").flag():
        return {"Test": ["NONE"]}
    made: Json = {}
    test = node.get("test")
    if isinstance(test.raw, list):
        made["Test"] = test.texts()
        if not made["Test"] or made["Test"][0] not in ("NONE", "CMD", "CMD-SHELL"):
            test.wrong("a test that is a list begins with NONE, CMD or CMD-SHELL")
    elif test.given:
        made["Test"] = ["CMD-SHELL", test.text()]
    for key, name in (
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start_period", "StartPeriod"),
        ("start_interval", "StartInterval"),
    ):
        if node.get(key).given:
            made[name] = _quietly(node.get(key), values.nanoseconds)
    if node.get("retries").given:
        made["Retries"] = node.get("retries").number()
    return made


def _quietly(node: Node, read: Callable[[str], int]) -> int:
    try:
        return read(node.text())
    except ValueError as err:
        node.wrong(str(err))
        return 0


def devices(node: Node) -> list[Json]:
    """Devices of the host, short (`HOST[:INSIDE[:rwm]]`) or long."""
    made = []
    for item in node.items():
        if isinstance(item.raw, dict):
            item.only("source", "target", "permissions")
            source = item.get("source").text()
            parts = [source, item.get("target").text() or source, item.get("permissions").text() or "rwm"]
        else:
            parts = item.text().split(":")
            if len(parts) > 3 or not parts[0].startswith("/"):
                item.wrong(f"{item.text()!r} is no device of the host; write it like /dev/dri:/dev/dri")
                continue
            parts = [parts[0], *(parts[1:] or [parts[0]])]
            parts = [*parts, "rwm"][:3]
        made.append({"PathOnHost": parts[0], "PathInContainer": parts[1], "CgroupPermissions": parts[2]})
    return made


def gpus(node: Node) -> list[Json]:
    """`gpus: all`, or a list of requests."""
    if node.raw == "all":
        return [{"Count": -1, "Capabilities": [["gpu"]]}]
    return [_request(item, ["gpu"]) for item in node.items()]


def _request(node: Node, capabilities: list[str]) -> Json:
    node.only("driver", "count", "device_ids", "capabilities", "options")
    count, ids = node.get("count"), node.get("device_ids").texts()
    if count.given and ids:
        count.wrong("count and device_ids exclude each other; take one out")
    number = -1 if count.text() == "all" or not (count.given or ids) else count.number() if count.given else 0
    return {
        "Driver": node.get("driver").text(),
        "Count": number,
        "DeviceIDs": ids,
        "Capabilities": [node.get("capabilities").texts() or capabilities],
        "Options": node.get("options").mapping(),
    }


def ulimits(node: Node) -> list[Json]:
    """Resource limits: one number, or soft and hard."""
    made = []
    for entry in node.entries():
        if isinstance(entry.raw, dict):
            entry.only("soft", "hard")
            soft, hard = entry.get("soft").number(), entry.get("hard").number()
        else:
            soft = hard = entry.number()
        made.append({"Name": entry.name, "Soft": soft, "Hard": hard})
    return sorted(made, key=lambda one: str(one["Name"]))


def deployed(node: Node, service: Node) -> Json:
    """What `deploy` says about one container: limits, reservations, devices, restarts. The rest is Swarm's."""
    node.only(
        "resources", "restart_policy", "replicas", "mode", "placement", "update_config", "rollback_config", "labels",
        "endpoint_mode",
    )  # fmt: skip
    made: Json = {}
    resources = node.get("resources")
    resources.only("limits", "reservations")
    limits, reserved = resources.get("limits"), resources.get("reservations")
    limits.only("cpus", "memory", "pids")
    reserved.only("cpus", "memory", "devices", "generic_resources")
    readers: tuple[tuple[Node, str, str, Callable[[str], int]], ...] = (
        (limits.get("cpus"), "cpus", "NanoCpus", values.nano_cpus),
        (limits.get("memory"), "mem_limit", "Memory", values.bytes_of),
        (reserved.get("memory"), "mem_reservation", "MemoryReservation", values.bytes_of),
        (limits.get("pids"), "pids_limit", "PidsLimit", int),
    )
    for one, other, name, read in readers:
        if one.given and service.get(other).given and one.text() != service.get(other).text():
            one.wrong(f"this and {other} say different things; take one out")
        elif one.given:
            made[name] = _quietly(one, read)
    if reserved.get("devices").given:
        made["DeviceRequests"] = [_request(item, []) for item in reserved.get("devices").items()]
    policy = node.get("restart_policy")
    policy.only("condition", "max_attempts", "delay", "window")
    if policy.given and not service.get("restart").given:
        made["RestartPolicy"] = _policy(policy)
    return made


def _policy(node: Node) -> Json:
    condition = node.get("condition").text() or "any"
    names: Mapping[str, Any] = {"none": "no", "on-failure": "on-failure", "any": "always"}
    if condition not in names:
        node.get("condition").wrong("there are none, on-failure and any")
    retries = node.get("max_attempts").number() if node.get("max_attempts").given else 0
    name = names.get(condition, "no")
    return {"Name": name, "MaximumRetryCount": retries if name == "on-failure" else 0}
