"""What must not be recreated at all, and why, in words; and what a person should be warned of. Pure.

From: phoenix.py and preview.py, before anything is made: the raw inspect, both images, and what the engine says of
itself. To: the plan's verdict and its notes.
"""

from supervisor.actions.recipe.raw import items, name_of, part, variables
from supervisor.facts import Image, Json
from supervisor.ports import EngineInfo
from supervisor.services import ENABLE_LABEL, OP_LABEL, ROLE_LABEL, SERVICE_LABEL
from supervisor.verdicts import Reason, Verdict, no

_MANAGED = ("com.docker.swarm.", "io.kubernetes.", "com.hashicorp.nomad.")
_WHO = (ENABLE_LABEL, SERVICE_LABEL, ROLE_LABEL, OP_LABEL)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm", "armv6l": "arm"}
_RUNS = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm")}
"""an engine's architecture -> those of the images it can run without an emulator"""
_ALIVE = ("running", "restarting", "paused")


def refusal(raw: Json, engine: EngineInfo | None = None) -> Verdict | None:
    """Why this container must not be recreated at all, or None."""
    config, host, status = part(raw, "Config"), part(raw, "HostConfig"), str(part(raw, "State").get("Status"))
    name = name_of(raw)
    if host.get("AutoRemove"):
        return no(
            Reason.UNSUPPORTED,
            f"{name} is removed by the engine when it stops (--rm), so there would be nothing to go back to; "
            "start it without --rm.",
        )
    for label in sorted(part(config, "Labels")):
        if label.startswith(_MANAGED):
            return no(Reason.UNSUPPORTED, f"{name} belongs to another orchestrator (label {label}); act there.")
    if status == "paused":
        return no(Reason.UNSUPPORTED, f"{name} is paused; unpause it first.")
    if status in ("dead", "removing"):
        return no(Reason.UNSUPPORTED, f"{name} is {status}: the engine is taking it away; remove it and start it anew.")
    return _devices(raw, engine) if engine is not None else None


def misfit(old: Image | None, new: Image, engine: EngineInfo | None = None) -> Verdict | None:
    """Why the new image cannot run where the old one did, or None. One that is as foreign to this engine as the old
    one was passes: an emulator runs that, too."""
    known = part(old.config, "Labels") if old is not None else {}
    for label, value in sorted(part(new.config, "Labels").items()):
        if label in _WHO and known.get(label) != value:
            text = f"The image brings the label {label}, by which Resurgam knows a container; no image may."
            return no(Reason.WIDENS, text)
    if not new.architecture:
        return None
    if old is not None and (old.os, old.architecture, old.variant) == (new.os, new.architecture, new.variant):
        return None
    what = "/".join(each for each in (new.os, new.architecture, new.variant) if each)
    if engine is not None and engine.architecture:
        if _can_run(engine, new):
            return None
        where = f"this engine runs {engine.os or 'linux'}/{_MACHINES.get(engine.architecture, engine.architecture)}"
    elif old is None or not old.architecture or (old.os, old.architecture) == (new.os, new.architecture):
        return None
    else:
        where = f"the container runs {old.os}/{old.architecture}"
    text = f"The image is for {what}, {where}; build or pull it for this machine."
    return no(Reason.UNSUPPORTED, text)


def warnings(raw: Json, engine: EngineInfo | None = None) -> tuple[str, ...]:
    """What is not refused, but may surprise."""
    found = []
    config, host = part(raw, "Config"), part(raw, "HostConfig")
    numbered = [str(each) for request in items(host, "DeviceRequests") for each in _ids(request)]
    visible = variables(config.get("Env")).get("NVIDIA_VISIBLE_DEVICES", "")
    numbered += visible.split(",") if host.get("Runtime") == "nvidia" else []
    cards = [each for each in numbered if each.isdigit()]
    if cards:
        found.append(f"It asks for GPU {', '.join(cards)} by number, which can change at a boot; name it by UUID.")
    if engine is not None and _wants_gpu(host) and not _has_gpu(engine):
        found.append("The engine lists no GPU runtime; it is tried, since the container runs with a GPU now.")
    return tuple(found)


def _can_run(engine: EngineInfo, image: Image) -> bool:
    machine = _MACHINES.get(engine.architecture, engine.architecture)
    if engine.os and image.os and engine.os != image.os:
        return False
    if image.architecture not in _RUNS.get(machine, (machine,)):
        return False
    if machine == "arm" and image.variant[1:].isdigit() and engine.architecture.startswith("armv"):
        return int(image.variant[1:]) <= int(engine.architecture[4:5])
    return True


def _devices(raw: Json, engine: EngineInfo) -> Verdict | None:
    """A create is never refused for want of a GPU runtime, only a start is: then the old one has stopped already."""
    host, name = part(raw, "HostConfig"), name_of(raw)
    runtime = str(host.get("Runtime") or "")
    if runtime and engine.runtimes and runtime not in engine.runtimes:
        known = ", ".join(engine.runtimes)
        text = f"{name} needs the runtime {runtime!r}, and this engine has {known}; install or configure it first."
        return no(Reason.UNSUPPORTED, text)
    if any(isinstance(each, dict) and each.get("Driver") == "cdi" for each in items(host, "DeviceRequests")):
        if engine.runtimes and not engine.cdi:
            text = f"{name} asks for a CDI device, and this engine does not know CDI; turn it on in daemon.json."
            return no(Reason.UNSUPPORTED, text)
        return None
    runs = str(part(raw, "State").get("Status")) in _ALIVE
    if engine.runtimes and _wants_gpu(host) and not _has_gpu(engine) and not runs:
        text = (
            f"{name} asks for a GPU, and this engine has neither the nvidia runtime nor CDI; "
            "install nvidia-container-toolkit and restart the engine."
        )
        return no(Reason.UNSUPPORTED, text)
    return None


def _wants_gpu(host: Json) -> bool:
    for request in items(host, "DeviceRequests"):
        if isinstance(request, dict):
            groups = [group for group in items(request, "Capabilities") if isinstance(group, list)]
            if request.get("Driver") == "nvidia" or any("gpu" in group for group in groups):
                return True
    return False


def _has_gpu(engine: EngineInfo) -> bool:
    return not engine.runtimes or engine.cdi or any("nvidia" in each for each in engine.runtimes)


def _ids(request: object) -> list[object]:
    return items(request, "DeviceIDs") if isinstance(request, dict) else []
