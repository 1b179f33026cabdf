"""Docker's raw inspect JSON turned into the frozen snapshots of facts.py. Pure; imports no SDK.

From: engines/docker/engine.py (the real engine) and lab/dockerd.py (the simulated one, which speaks the same JSON).
To: facts.Container and facts.Image. Whatever the engine leaves out or sets to null becomes the field's default.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from supervisor.engines.docker import cards
from supervisor.engines.docker.versions import spoken
from supervisor.facts import Container, Image, Json
from supervisor.ports import EngineInfo, Usage
from supervisor.services import OP_LABEL, REF_LABEL
from supervisor.services.checks import CANNOT_RUN

OWN_LABELS = "resurgam."
DEFAULT_GRACE = 10.0
"""seconds the engine gives a container that sets no stop timeout of its own"""
OUTPUT = 300
"""characters kept of a health check's output"""
_TOOL_MISSING = ("executable file not found", "no such file or directory", "permission denied")
_ALL_ADDRESSES = ("", "0.0.0.0", "[::]")  # noqa: S104 - read, not listened on
_GPU_DEVICES = ("/dev/nvidia", "/dev/dri", "/dev/kfd", "/dev/dxg")
_HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")


def container(raw: Json, image_labels: Mapping[str, str] | None = None, ref_image_id: str = "") -> Container:
    """One container from its raw inspect. `image_labels`: all labels of its image (ours are picked out)."""
    config, host, state = _dict(raw, "Config"), _dict(raw, "HostConfig"), _dict(raw, "State")
    mode = str(host.get("NetworkMode") or "")
    grace = config.get("StopTimeout")
    return Container(
        id=str(raw.get("Id") or ""),
        name=str(raw.get("Name") or "").removeprefix("/"),
        image_id=str(raw.get("Image") or ""),
        image_ref=called(raw),
        labels=_texts(config.get("Labels")),
        image_labels={key: value for key, value in (image_labels or {}).items() if key.startswith(OWN_LABELS)},
        ref_image_id=ref_image_id,
        status=str(state.get("Status") or "created"),
        health=_health(state),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        restart_count=int(raw.get("RestartCount") or 0),
        restart_policy=policy_text(_dict(host, "RestartPolicy")),
        auto_remove=bool(host.get("AutoRemove")),
        stop_grace=DEFAULT_GRACE if grace is None else float(grace),
        parents=parents(host),
        ports=ports(config, host),
        gpu=wants_gpu(config, host),
        gpus=cards.asked(config, host),
        health_output=health_output(state),
        network_parent=mode.removeprefix("container:") if mode.startswith("container:") else "",
        created_at=seconds(raw.get("Created")),
        started_at=seconds(state.get("StartedAt")),
        finished_at=seconds(state.get("FinishedAt")),
        pid=int(state.get("Pid") or 0),
        address=address(raw),
    )


def info(raw: Json, version: Json, identity: str, name: str) -> EngineInfo:
    """What an engine is, from its `/info` and `/version`. `api` is the version we speak with it; the architecture is
    named as in images (`amd64`)."""
    return EngineInfo(
        identity,
        name,
        str(version.get("Version") or ""),
        spoken(str(version.get("ApiVersion") or "")),
        str(version.get("Os") or raw.get("OSType") or ""),
        str(version.get("Arch") or raw.get("Architecture") or ""),
        tuple(sorted(_dict(raw, "Runtimes"))),
        str(raw.get("DefaultRuntime") or ""),
        bool(raw.get("CDISpecDirs")),
        root=str(raw.get("DockerRootDir") or ""),
    )


def parents(host: Json) -> dict[str, str]:
    """What a HostConfig shares with another container: network, pid, ipc, cgroup, volumes (further ones are `volumes.2`
    …) -> its id or name, as it was written."""
    found: dict[str, str] = {}
    for word, key in (("network", "NetworkMode"), ("pid", "PidMode"), ("ipc", "IpcMode"), ("cgroup", "Cgroup")):
        mode = str(host.get(key) or "")
        if mode.startswith("container:"):
            found[word] = mode.removeprefix("container:")
    for number, given in enumerate(host.get("VolumesFrom") or (), 1):
        found["volumes" if number == 1 else f"volumes.{number}"] = str(given).partition(":")[0]
    return found


def ports(config: Json, host: Json) -> tuple[str, ...]:
    """The fixed ports of the host that are wanted, sorted: `8000/tcp` on all addresses, `127.0.0.1:8000/tcp`,
    `[::1]:8000/tcp`. One that the engine picks anew at each start is left out; an unexposed one is never published."""
    exposed, found = _dict(config, "ExposedPorts"), set[str]()
    for inside, binds in _dict(host, "PortBindings").items():
        for bind in (binds or ()) if inside in exposed else ():
            address, port = str(bind.get("HostIp") or ""), str(bind.get("HostPort") or "")
            if not port.isdigit() or port == "0":
                continue
            address = f"[{address}]" if ":" in address else address
            where = "" if address in _ALL_ADDRESSES else f"{address}:"
            found.add(f"{where}{port}/{inside.partition('/')[2] or 'tcp'}")
    return tuple(sorted(found))


def wants_gpu(config: Json, host: Json) -> bool:
    """Whether a container asks for a GPU. Where NVIDIA's runtime is the default, every container has it; there the
    environment says which ones mean it, as that runtime reads it."""
    for request in host.get("DeviceRequests") or ():
        wanted = {str(word) for words in request.get("Capabilities") or () for word in words or ()}
        ids = [str(each) for each in request.get("DeviceIDs") or ()]
        if "gpu" in wanted or request.get("Driver") in ("nvidia", "amd") or any("gpu" in each for each in ids):
            return True
    if any(str(each.get("PathOnHost") or "").startswith(_GPU_DEVICES) for each in host.get("Devices") or ()):
        return True
    if "nvidia" not in str(host.get("Runtime") or ""):
        return False
    return bool(cards.visible(config))


def health_output(state: Json) -> str:
    """What the engine's health check said last, in one bounded line. One that could not run at all begins with
    CANNOT_RUN: that says nothing about the service."""
    log = _dict(state, "Health").get("Log") or ()
    if not log:
        return ""
    text, code = " ".join(str(log[-1].get("Output") or "").split()), int(log[-1].get("ExitCode") or 0)
    missing = any(words in text for words in _TOOL_MISSING)
    broken = (code < 0 and missing) or (code in (126, 127) and (missing or "not found" in text))
    return f"{CANNOT_RUN if broken else ''}{text}"[:OUTPUT]


def called(raw: Json) -> str:
    """What the container's image is called. One that we made comes from an image id; its label says what it stands
    for, so that it is seen when that reference moves on (or still stands for a bad image)."""
    config = _dict(raw, "Config")
    ref, labels = str(config.get("Image") or ""), _texts(config.get("Labels"))
    return labels.get(REF_LABEL) or ref if is_id(ref) and OP_LABEL in labels else ref


def image(raw: Json) -> Image:
    """One image from its raw inspect."""
    return Image(
        id=str(raw.get("Id") or ""),
        tags=tuple(sorted(tag for tag in raw.get("RepoTags") or () if tag != "<none>:<none>")),
        digests=tuple(sorted(digest for digest in raw.get("RepoDigests") or () if "<none>" not in digest)),
        config=dict(raw.get("Config") or {}),
        architecture=str(raw.get("Architecture") or ""),
        os=str(raw.get("Os") or ""),
        variant=str(raw.get("Variant") or ""),
    )


def own_labels(raw_image: Json) -> dict[str, str]:
    """The `resurgam.*` labels of a raw image."""
    found = _texts(_dict(raw_image, "Config").get("Labels"))
    return {key: value for key, value in found.items() if key.startswith(OWN_LABELS)}


def usage(raw: Json, host_memory: float = 0.0) -> Usage | None:
    """What a container uses, from a one-shot of its stats; None if it does not run. The working set leaves out the
    file cache that the kernel can drop. Where no limit is set the engine shows the host's memory: that becomes 0."""
    memory = _dict(raw, "memory_stats")
    if not memory.get("usage"):
        return None
    stats = _dict(memory, "stats")
    cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    limit = float(memory.get("limit") or 0)
    cpu = _dict(_dict(raw, "cpu_stats"), "cpu_usage").get("total_usage") or 0
    return Usage(
        memory=max(0.0, float(memory["usage"]) - float(cache or 0)),
        memory_limit=0.0 if host_memory and limit >= host_memory else limit,
        cpu_seconds=float(cpu) / 1e9,
    )


def split_reference(ref: str) -> tuple[str, str]:
    """(repository, tag) of a reference; the tag is `latest` where none is written."""
    full = reference(ref)
    repository, _, tag = full.rpartition(":")
    return repository, tag


def gateway(raw: Json) -> str:
    """The gateway of a network, from the network's own inspect: an IPv4 address if it has one; empty without any."""
    configs = _dict(raw, "IPAM").get("Config") or ()
    found = [str(one["Gateway"]).partition("/")[0] for one in configs if one.get("Gateway")]
    return next((one for one in found if ":" not in one), found[0] if found else "")


def address(raw: Json) -> str:
    """An IP address of a running container that this host can reach; 127.0.0.1 with host networking; else empty."""
    if _dict(raw, "State").get("Status") not in ("running", "paused"):
        return ""
    mode = str(_dict(raw, "HostConfig").get("NetworkMode") or "")
    if mode == "host":
        return "127.0.0.1"
    networks = _dict(_dict(raw, "NetworkSettings"), "Networks")
    primary = "bridge" if mode in ("", "default") else mode
    for name in sorted(networks, key=lambda name: (name != primary, name)):
        endpoint = networks[name] or {}
        found = endpoint.get("IPAddress") or endpoint.get("GlobalIPv6Address")
        if found:
            return str(found)
    return ""


def policy_text(raw: Json) -> str:
    """`no`, `always`, `unless-stopped`, `on-failure` or `on-failure:N` from Docker's RestartPolicy."""
    name, retries = str(raw.get("Name") or "no"), int(raw.get("MaximumRetryCount") or 0)
    return f"{name}:{retries}" if name == "on-failure" and retries else name


def policy_json(text: str) -> Json:
    """Docker's RestartPolicy from that text; ValueError if it is none."""
    name, _, retries = text.partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure") or (retries and name != "on-failure"):
        raise ValueError(f"{text!r} is no restart policy; use no, always, unless-stopped or on-failure[:N]")
    if retries and not retries.isdigit():
        raise ValueError(f"{text!r} is no restart policy; write the retries as a number, like on-failure:3")
    return {"Name": name, "MaximumRetryCount": int(retries or 0)}


def reference(ref: str) -> str:
    """A reference the way the engine lists it: `busybox` is `busybox:latest`; Docker Hub's prefixes are left out.
    An image id or a digest stays as it is."""
    for prefix in _HUB:
        if ref.startswith(prefix):
            ref = ref[len(prefix) :]
            break
    if not ref or is_id(ref) or "@" in ref or ":" in ref.rpartition("/")[2]:
        return ref
    return f"{ref}:latest"


def is_id(ref: str) -> bool:
    """Whether a reference is an image id itself (whole, or its first 12 digits)."""
    digits = ref.removeprefix("sha256:")
    return (ref != digits or len(digits) in (12, 64)) and bool(digits) and all(c in "0123456789abcdef" for c in digits)


def seconds(stamp: Any) -> float:
    """Unix seconds of an RFC 3339 stamp with nanoseconds; 0 for none and for Docker's `0001-01-01T00:00:00Z`."""
    text = str(stamp or "")
    if not text or text.startswith("0001-"):
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _health(state: Json) -> str:
    status = str(_dict(state, "Health").get("Status") or "none")
    return status if status in ("starting", "healthy", "unhealthy") else "none"


def _dict(raw: Json, key: str) -> Json:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def _texts(raw: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in raw.items()} if isinstance(raw, dict) else {}
