"""What each key of a compose service means: one function per form, and the table of all keys that are understood.

From: service.py, with a Draft and the key's node. To: the draft's parts, named as the engine names them. ValueError, or
a note at the node, where a value is none.
"""

from collections.abc import Callable, Mapping
from typing import Any

from supervisor.actions.compose import mounting, values
from supervisor.actions.compose.draft import Draft
from supervisor.actions.compose.nodes import Node
from supervisor.facts import Json

# ------------------------------------------------------------ keys that are like the engine's


def _text(part: str, field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        getattr(draft, part)[field_name] = node.text()

    return put


def _flag(part: str, field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        getattr(draft, part)[field_name] = node.flag()

    return put


def _number(field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        draft.host[field_name] = node.number()

    return put


def _size(field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        text = node.text()
        draft.host[field_name] = -1 if text == "-1" and field_name == "MemorySwap" else values.bytes_of(text)

    return put


def _list(field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        draft.host[field_name] = node.texts()

    return put


def _map(field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        draft.host[field_name] = node.mapping()

    return put


def _nothing(_draft: Draft, _node: Node) -> None:
    """A key that says nothing about a container that is there."""


# ------------------------------------------------------------ keys with a form of their own


def _image(draft: Draft, node: Node) -> None:
    before = len(node.notes.mistakes)
    draft.rest["image"] = node.text()
    if not draft.rest["image"] and len(node.notes.mistakes) == before:
        node.wrong("the image is an empty text")


def _build(draft: Draft, _node: Node) -> None:
    draft.rest["built"] = True
    draft.notes.append("The file builds its image; nothing is built here, the image that is there is used.")


def _command(field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        words = mounting.words(node)
        if not words and field_name == "Entrypoint":
            node.wrong("an empty entrypoint is read differently by versions of compose; write the program to run")
        draft.config[field_name] = words

    return put


def _labels(draft: Draft, node: Node) -> None:
    draft.config["Labels"] = node.mapping()
    for name in draft.config["Labels"]:
        if name.startswith("com.docker.compose."):
            node.wrong(f"the label {name} is compose's own; take it out")


def environment(draft: Draft) -> list[str]:
    """env_file first, `environment` over it. A name without a value takes the caller's, and is unset without one."""
    found: dict[str, str | None] = {}
    for item in draft.node.get("env_file").items():
        if isinstance(item.raw, dict):
            item.only("path", "required", "format")
            if item.get("format").given:
                item.get("format").wrong("the format of an env_file is not supported; leave it out", key=True)
        wanted = item.get("path") if isinstance(item.raw, dict) else item
        needed = not (isinstance(item.raw, dict) and item.get("required").given) or item.get("required").flag()
        try:
            inner, mistakes = draft.around.variables(draft.around.path(wanted.text()), needed)
        except (OSError, ValueError) as err:
            wanted.wrong(f"the env_file {wanted.text()} cannot be read: {_why(err)}")
            continue
        found.update(inner)
        for mistake in mistakes:
            wanted.notes.add(mistake)
    for name, value, node in draft.node.get("environment").pairs():
        if not name or "\0" in name:
            node.wrong("a variable needs a name")
        found[name] = node.notes.lookup(name) if value is None else value
    return [name if value is None else f"{name}={value}" for name, value in found.items()]


def _why(err: Exception) -> str:
    return err.strerror or str(err) if isinstance(err, OSError) else str(err)


def _ports(draft: Draft, node: Node) -> None:
    bindings: dict[str, list[Json]] = draft.host.setdefault("PortBindings", {})
    for item in node.items():
        try:
            for port in mounting.ports(item):
                draft.exposed[port.inner] = {}
                bindings.setdefault(port.inner, []).append({"HostIp": port.ip, "HostPort": port.outer or ""})
        except ValueError as err:
            item.wrong(str(err))


def _expose(draft: Draft, node: Node) -> None:
    for item in node.items():
        try:
            draft.exposed.update({port: {} for port in values.exposed(item.text())})
        except ValueError as err:
            item.wrong(str(err))


def _volumes(draft: Draft, node: Node) -> None:
    made = draft.rest.setdefault("mounts", [])
    for item in node.items():
        try:
            made.append(mounting.mount(item, draft.around.volumes, draft.around.path))
        except ValueError as err:
            item.wrong(str(err))


def _networks(draft: Draft, node: Node) -> None:
    if isinstance(node.raw, dict):
        draft.rest["networks"] = [
            mounting.endpoint(draft.around.networks, entry.name, entry, mounting.endpoint_options(entry))
            for entry in node.entries()
        ]
        return
    draft.rest["networks"] = [mounting.endpoint(draft.around.networks, item.text(), item, {}) for item in node.items()]


def _shared(field_name: str) -> Callable[[Draft, Node], None]:
    """network_mode, pid, ipc: a namespace of one's own, the host's, or that of another service."""

    def put(draft: Draft, node: Node) -> None:
        text = node.text()
        kind, _, rest = text.partition(":")
        if kind == "service" and rest not in draft.around.services:
            node.wrong(f"there is no service {rest!r} in this file")
        elif kind == "service" and rest == draft.node.name:
            node.wrong("a service cannot share its own namespace")
        elif field_name == "NetworkMode" and text not in ("host", "none", "bridge") and kind not in _PARENTS:
            node.wrong(f"{text!r} is no network_mode; there are host, none, bridge, service:NAME and container:NAME")
        draft.host[field_name] = text

    return put


_PARENTS = ("service", "container")


def _depends(draft: Draft, node: Node) -> None:
    found: dict[str, tuple[str, bool]] = {}
    if isinstance(node.raw, dict):
        for entry in node.entries():
            entry.only("condition", "restart", "required")
            restart = entry.get("restart").given and entry.get("restart").flag()
            found[entry.name] = (entry.get("condition").text() or "service_started", restart)
    else:
        found = dict.fromkeys(node.texts(), ("service_started", False))
    for name in found:
        if name not in draft.around.services:
            node.wrong(f"there is no service {name!r} in this file")
    draft.rest["depends_on"] = found


def _restart(draft: Draft, node: Node) -> None:
    text = "no" if node.raw is False else node.text()
    name, _, retries = text.partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure") or (retries and not retries.isdigit()):
        node.wrong(f"{text!r} is no restart policy; there are no, always, unless-stopped and on-failure[:N]")
        return
    draft.host["RestartPolicy"] = {"Name": name, "MaximumRetryCount": int(retries or 0)}


def _stop_grace(draft: Draft, node: Node) -> None:
    draft.config["StopTimeout"] = -(-values.nanoseconds(node.text()) // 10**9)


def _cpus(draft: Draft, node: Node) -> None:
    draft.host["NanoCpus"] = values.nano_cpus(node.text())


def _tmpfs(draft: Draft, node: Node) -> None:
    found = {}
    for text in node.texts():
        target, _, options = text.partition(":")
        found[target] = options
    draft.host["Tmpfs"] = found


def _security(draft: Draft, node: Node) -> None:
    """A seccomp profile in a file is read here: the engine wants its content."""
    made = []
    for item in node.items():
        text = item.text()
        kind, mark, rest = text.partition(":" if "=" not in text.partition(":")[0] else "=")
        if kind == "seccomp" and mark and rest != "unconfined":
            try:
                text = f"seccomp={draft.around.read(draft.around.path(rest))}"
            except (OSError, ValueError) as err:
                item.wrong(f"the seccomp profile {rest} cannot be read: {_why(err)}")
        made.append(text)
    draft.host["SecurityOpt"] = made


def _extra_hosts(draft: Draft, node: Node) -> None:
    made = []
    if isinstance(node.raw, dict):
        for entry in node.entries():
            made += [f"{entry.name}:{address}" for address in entry.texts()]
    else:
        made = [text.replace("=", ":", 1) if "=" in text else text for text in node.texts()]
    draft.host["ExtraHosts"] = made


def _logging(draft: Draft, node: Node) -> None:
    node.only("driver", "options")
    draft.host["LogConfig"] = {"Type": node.get("driver").text(), "Config": node.get("options").mapping()}


def _part(reader: Callable[[Node], Any], part: str, field_name: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        getattr(draft, part)[field_name] = reader(node)

    return put


def _deploy(draft: Draft, node: Node) -> None:
    draft.host.update(mounting.deployed(node, draft.node))


def _files(section: str) -> Callable[[Draft, Node], None]:
    def put(draft: Draft, node: Node) -> None:
        around = draft.around
        known = around.configs if section == "configs" else around.secrets
        for item in node.items():
            mount, inline = mounting.injected(item, section, known, around.path)
            if mount is not None:
                draft.rest.setdefault("mounts", []).append(mount)
            if inline is not None:
                draft.rest.setdefault("files", []).append(inline)

    return put


KEYS: Mapping[str, Callable[[Draft, Node], None]] = {
    "image": _image,
    "build": _build,
    "command": _command("Cmd"),
    "entrypoint": _command("Entrypoint"),
    "environment": _nothing,
    "env_file": _nothing,
    "labels": _labels,
    "ports": _ports,
    "expose": _expose,
    "volumes": _volumes,
    "networks": _networks,
    "network_mode": _shared("NetworkMode"),
    "pid": _shared("PidMode"),
    "ipc": _shared("IpcMode"),
    "depends_on": _depends,
    "restart": _restart,
    "user": _text("config", "User"),
    "working_dir": _text("config", "WorkingDir"),
    "hostname": _text("config", "Hostname"),
    "domainname": _text("config", "Domainname"),
    "mac_address": _text("config", "MacAddress"),
    "stop_signal": _text("config", "StopSignal"),
    "stop_grace_period": _stop_grace,
    "tty": _flag("config", "Tty"),
    "stdin_open": _flag("config", "OpenStdin"),
    "healthcheck": _part(mounting.health, "config", "Healthcheck"),
    "container_name": _text("rest", "container_name"),
    "privileged": _flag("host", "Privileged"),
    "read_only": _flag("host", "ReadonlyRootfs"),
    "init": _flag("host", "Init"),
    "oom_kill_disable": _flag("host", "OomKillDisable"),
    "runtime": _text("host", "Runtime"),
    "userns_mode": _text("host", "UsernsMode"),
    "uts": _text("host", "UTSMode"),
    "cgroup": _text("host", "CgroupnsMode"),
    "cgroup_parent": _text("host", "CgroupParent"),
    "cpuset": _text("host", "CpusetCpus"),
    "cap_add": _list("CapAdd"),
    "cap_drop": _list("CapDrop"),
    "group_add": _list("GroupAdd"),
    "device_cgroup_rules": _list("DeviceCgroupRules"),
    "dns": _list("Dns"),
    "dns_opt": _list("DnsOptions"),
    "dns_search": _list("DnsSearch"),
    "sysctls": _map("Sysctls"),
    "storage_opt": _map("StorageOpt"),
    "security_opt": _security,
    "extra_hosts": _extra_hosts,
    "tmpfs": _tmpfs,
    "devices": _part(mounting.devices, "host", "Devices"),
    "gpus": _part(mounting.gpus, "host", "DeviceRequests"),
    "ulimits": _part(mounting.ulimits, "host", "Ulimits"),
    "logging": _logging,
    "deploy": _deploy,
    "cpus": _cpus,
    "cpu_shares": _number("CpuShares"),
    "cpu_quota": _number("CpuQuota"),
    "cpu_period": _number("CpuPeriod"),
    "pids_limit": _number("PidsLimit"),
    "oom_score_adj": _number("OomScoreAdj"),
    "mem_swappiness": _number("MemorySwappiness"),
    "mem_limit": _size("Memory"),
    "mem_reservation": _size("MemoryReservation"),
    "memswap_limit": _size("MemorySwap"),
    "shm_size": _size("ShmSize"),
    "configs": _files("configs"),
    "secrets": _files("secrets"),
    "profiles": _nothing,
    "platform": _nothing,
    "pull_policy": _nothing,
    "scale": _nothing,
    "attach": _nothing,
    "develop": _nothing,
}
