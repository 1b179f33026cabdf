"""What `resurgam doctor` says about GPUs: the boards, their driver and its library, and what the daemon knows of them.

From: /sys and /proc (signals/gpu/boards.py and a Tree), the device files, and the parts `gpus` and `sources` of
/v1/status where a daemon answers. To: findings for `cli/doctor.py`. The driver itself is never asked from here: a call
into a sick one may never come back. A machine without a GPU gets one line.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from supervisor.cli.doctor_machine import Finding
from supervisor.cli.gpu import wrong
from supervisor.cli.output import counted
from supervisor.facts import Json
from supervisor.kernel.groups import ROOT
from supervisor.kernel.tree import Tree
from supervisor.signals.gpu import Boards
from supervisor.signals.gpu.boards import mismatch

FIRST_NAMESPACE = 0xEFFFFFFC
"""the number that the kernel gives to the PID namespace of the machine itself"""
_SLICES = (f"{ROOT}/system.slice", f"{ROOT}/memory/system.slice")
_CDI = ("etc/cdi", "var/run/cdi", "run/cdi")
_INSTALL = "Install NVIDIA's driver for it; or, if it is not to be watched: `gpu: {enable: false}` in resurgam.yaml."
_RELOAD = (
    "Make it for good: `exec-opts: [native.cgroupdriver=cgroupfs]` in Docker's daemon.json, or give devices by CDI "
    "(`nvidia-ctk cdi generate`). What lost its card is recreated by GpuContainerLostDevice."
)


def look(status: Json | None, tree: Tree, pid: int = 0, root: Path = Path("/")) -> tuple[Finding, ...]:
    """Everything there is to say. `pid`: the daemon's process, 0 for not known (then it is ourselves); `root`: '/' but
    for tests."""
    boards = Boards(root)
    found, told = boards.find(), None if status is None else status.get("gpus")
    if not found and not boards.loaded() and told is None:
        return (Finding("gpu", "ok", "there is none of NVIDIA's in this machine"),)
    seen = any(card["present"] for card in (told or {}).get("cards", ()))  # in WSL there is a card, and no board
    return (
        *(_boards(found) if found or not seen else ()),
        *(_driver(boards, bool(found)) if boards.loaded() or not seen else ()),
        *_files(found, root),
        *_persistence(told, root),
        *_namespace(pid, root),
        *_groups(tree, root),
        *_daemon(told),
    )


def _boards(found: Mapping[str, str]) -> tuple[Finding, ...]:
    said = []
    for bus_id, text in found.items():
        driver = text.rpartition(", ")[2]
        if driver == "driver nvidia":
            said.append(Finding("gpu", "ok", f"a board at {bus_id} ({text})"))
        elif driver == "driver vfio-pci":
            said.append(Finding("gpu", "note", f"the board at {bus_id} is given to a virtual machine ({text})"))
        else:
            whose = "has no driver" if driver == "no driver" else f"has another driver than NVIDIA's ({driver})"
            said.append(Finding("gpu", "finding", f"the board at {bus_id} {whose}", _INSTALL))
    return tuple(said) or (Finding("gpu", "finding", "no board of NVIDIA's is in this machine, and one is asked for"),)


def _driver(boards: Boards, there: bool) -> tuple[Finding, ...]:
    module, libraries = boards.module(), boards.libraries()
    if not boards.loaded():
        text = "NVIDIA's driver is not in the kernel"
        return (Finding("gpu driver", "finding", text, "Load it: modprobe nvidia") if there else _none(text),)
    if not libraries:
        text = f"the driver {module} is loaded, and its library (libnvidia-ml.so.1) is not found"
        cure = "Install the library of the same version; in a container: give it the capability `utility`."
        return (Finding("gpu driver", "finding", text, cure),)
    if mismatch(module, libraries):
        text = f"the driver in the kernel is {module}, the library is {' and '.join(libraries)}"
        cure = "Restart the machine when it suits you; until then no container that uses a GPU can be started."
        return (Finding("gpu driver", "finding", text, cure),)
    return (Finding("gpu driver", "ok", f"version {module or 'unknown'}, and its library"),)


def _none(text: str) -> Finding:
    return Finding("gpu driver", "note", text)


def _files(found: Mapping[str, str], root: Path) -> tuple[Finding, ...]:
    bound = [bus_id for bus_id, text in found.items() if text.endswith("driver nvidia")]
    if not bound:
        return ()
    there = [number for number in range(64) if (root / f"dev/nvidia{number}").exists()]
    lacks = [] if (root / "dev/nvidiactl").exists() else ["/dev/nvidiactl"]
    lacks += [f"{counted(len(bound) - len(there), 'card')} of /dev/nvidia*"] if len(there) < len(bound) else []
    if not lacks:
        return (Finding("gpu devices", "ok", f"/dev/nvidiactl and {counted(len(there), 'card')}"),)
    text = f"missing: {', '.join(lacks)}; a card without its file is not seen, and nobody says so"
    return (Finding("gpu devices", "finding", text, "Make them: nvidia-modprobe -u -c 0, or run nvidia-smi as root."),)


def _persistence(told: Json | None, root: Path) -> tuple[Finding, ...]:
    cards = [card for card in (told or {}).get("cards", ()) if card["persistence"] is not None]
    off = [f"GPU {card['gpu']}" for card in cards if not card["persistence"]]
    cure = "Switch it on: systemctl enable --now nvidia-persistenced, or nvidia-smi -pm 1."
    if off:
        text = f"off for {', '.join(off)}: whenever the last user of a card goes, it is set up anew, which can hang"
        return (Finding("gpu persistence", "finding", text, cure),)
    if cards or (root / "run/nvidia-persistenced/socket").exists():
        return (Finding("gpu persistence", "ok", "on" if cards else "nvidia-persistenced runs"),)
    if told is not None:
        return ()  # it cannot be asked now; why, says the line about its state
    return (Finding("gpu persistence", "unknown", "nvidia-persistenced does not run; a running daemon knows", cure),)


def _namespace(pid: int, root: Path) -> tuple[Finding, ...]:
    whose = "the daemon" if pid else "this command"
    try:
        own = os.stat(root / "proc" / str(pid or "self") / "ns/pid").st_ino
    except OSError:
        return ()
    if own == FIRST_NAMESPACE:
        return (Finding("gpu processes", "ok", "the driver names who uses the cards"),)
    text = f"{whose} lives in another PID namespace, so the driver names no processes: who holds VRAM is not known"
    return (
        Finding("gpu processes", "finding", text, "Run it on the machine itself, or in a container with pid: host."),
    )


def _groups(tree: Tree, root: Path) -> tuple[Finding, ...]:
    """Whether systemd keeps the containers' control groups: then its daemon-reload takes their cards away."""
    by_systemd = any(name.startswith("docker-") for folder in _SLICES for name in _names(tree, folder))
    if not by_systemd:
        return ()
    if any("nvidia" in name for folder in _CDI for name in _listed(root / folder)):
        text = "systemd keeps the containers' control groups; those that get their card by CDI keep it"
        return (Finding("gpu containers", "ok", text),)
    text = (
        "systemd keeps the containers' control groups, and there is no CDI: "
        "`systemctl daemon-reload` takes the card away from every running container"
    )
    return (Finding("gpu containers", "finding", text, _RELOAD),)


def _daemon(told: Json | None) -> tuple[Finding, ...]:
    """What the daemon says of the cards now."""
    if told is None:
        return ()
    found = []
    if told["quiet"]:
        found.append(Finding("gpu state", "finding", told["quiet"]))
    elif told["text"]:
        meant = told["trouble"] in ("stopped", "asleep")
        found.append(Finding("gpu state", "note" if meant else "finding", told["text"]))
    found += [Finding("gpu state", "finding", wrong(card)) for card in told["cards"] if card["text"]]
    found += [Finding("gpu state", "finding", one["text"]) for one in told["faults"] if not one["drill"]]
    if found:
        return tuple(found)
    there = [card for card in told["cards"] if card["present"] and card["up"]]
    return (Finding("gpu state", "ok", f"{counted(len(there), 'card')} answer, nothing is wrong"),) if there else ()


def _names(tree: Tree, folder: str) -> Sequence[str]:
    try:
        return tree.names(folder)
    except OSError:
        return ()


def _listed(folder: Path) -> Sequence[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return ()
