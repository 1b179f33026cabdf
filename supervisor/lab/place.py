"""What the simulated engine stands on (GPUs, disk, folders, ports of others), and what it refuses because of that.

From: tests (fields of Place) and lab/dockerd.py, before each create and each start. To: errors with the sentences and
codes of a real engine (20.10, measured).
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from supervisor.engines.docker import shape, versions
from supervisor.errors import Conflict, EngineError, NotFound
from supervisor.facts import Json
from supervisor.lab.boxes import SimContainer
from supervisor.lab.shelf import Shelf
from supervisor.ports import EngineInfo

Find = Callable[[str], SimContainer | None]
BARE = ("host", "none")
"""networks that are none"""


@dataclass(slots=True)
class Place:
    """The machine below a simulated engine. Tests change it as they like."""

    gpu: bool = True
    """its engine can hand out GPUs"""
    runtimes: tuple[str, ...] = ("runc",)
    default_runtime: str = "runc"
    version: str = "20.10.24"
    api: str = "1.41"
    architecture: str = "amd64"
    cdi: bool = False
    missing: set[str] = field(default_factory=set)
    """folders of the host that are not there (all others are)"""
    held: set[str] = field(default_factory=set)
    """host ports that a process outside the engine holds: `8000/tcp`"""
    disk_full: bool = False
    root: str = "/var/lib/docker"
    """the folder where its engine keeps everything"""
    image_size: float = 2 * 2**30
    """bytes of each image, none of them shared"""
    gateways: dict[str, str] = field(default_factory=dict)
    """networks whose gateway is another one than 172.18.0.1"""

    def info(self, identity: str, name: str) -> EngineInfo:
        """What the engine says of itself."""
        return EngineInfo(
            identity,
            name,
            self.version,
            self.api,
            "linux",
            self.architecture,
            self.runtimes,
            self.default_runtime,
            self.cdi,
            root=self.root,
        )

    def gateway(self, network: str, networks: set[str]) -> str:
        """Where this machine is reached from a network; NotFound if there is none of that name."""
        if network not in networks:
            raise NotFound(f"network {network} not found", 404)
        return "" if network in BARE else self.gateways.get(network, "172.18.0.1")


class Keeps(Protocol):
    """What an engine keeps (lab/dockerd.py)."""

    containers: dict[str, SimContainer]
    shelf: Shelf


def on_disk(place: Place, engine: Keeps) -> Json:
    """The engine's answer to `/system/df`: every image of the same size, layers as large as what was written."""
    boxes = [box for _id, box in sorted(engine.containers.items())]
    used = [box.image.id for box in boxes]
    size = place.image_size
    images = [{"Id": one, "Size": size, "SharedSize": 0, "Containers": used.count(one)} for one in engine.shelf.images]
    rows = [{"Id": box.id, "State": box.status, "SizeRw": box.files.own_size()} for box in boxes]
    return {"LayersSize": size * len(images), "Images": images, "Containers": rows, "Volumes": [], "BuildCache": []}


def check_create(place: Place, find: Find, config: Json, host: Json, asked: Json) -> None:
    """EngineError for a container that the engine would not create. `asked`: endpoints by network."""
    if host["Runtime"] not in place.runtimes:
        raise EngineError(f"Unknown runtime specified {host['Runtime']}", 400)
    sharing = shape.parents(host)
    if config.get("Hostname") and "network" in sharing:
        raise EngineError("conflicting options: hostname and the network mode", 400)
    if host["AutoRemove"] and host["RestartPolicy"]["Name"] != "no":
        raise EngineError("can't create 'AutoRemove' container with restart policy", 400)
    for word, key in sharing.items():
        if word != "network" and find(key) is None:
            raise EngineError(f"No such container: {key}", 400)
    check_mounts(place, host)
    if len(asked) > 1 and not versions.at_least(place.api, versions.MANY_NETWORKS):
        raise EngineError(f"Container cannot be connected to network endpoints: {', '.join(sorted(asked))}", 400)
    check_networks(asked)
    if place.disk_full:
        raise EngineError("mkdir /var/lib/docker/overlay2/new-init: no space left on device", 500)


def check_networks(asked: Iterable[str]) -> None:
    """EngineError for networks that exclude each other; a missing one is only noticed at the start."""
    names = set(asked)
    if len(names) > 1 and names & set(BARE):
        raise EngineError("container cannot be connected to multiple networks with one of them host or none", 403)


def check_mounts(place: Place, host: Json) -> None:
    """EngineError for a bind whose folder is missing. Only `Mounts` are like that; `Binds` make the folder."""
    for mount in host.get("Mounts") or ():
        if mount.get("Type") == "bind" and mount.get("Source") in place.missing:
            said = f'invalid mount config for type "bind": bind source path does not exist: {mount["Source"]}'
            raise EngineError(said, 400)


def check_start(
    place: Place, find: Find, others: Iterable[SimContainer], networks: set[str], box: SimContainer
) -> None:
    """EngineError for a container that cannot be started now; it stays `created` (or what it was), with exit 128."""
    check_mounts(place, box.host)
    if box.run.start_error:
        raise EngineError(box.run.start_error, 500)
    if place.disk_full:
        raise EngineError("failed to create shim task: mkdir /run/containerd/task: no space left on device", 500)
    for network in box.networks:
        if network not in networks:
            raise NotFound(f"network {network} not found", 404)
    _check_sharing(find, box)
    running = [other for other in others if other.alive and other is not box]
    for other in running:
        for asked in box.networks.values():
            fixed = ((asked or {}).get("IPAMConfig") or {}).get("IPv4Address")
            if fixed and fixed in other.addresses.values():
                raise EngineError("Address already in use", 403)
    _check_ports(place, running, box)
    for request in box.host.get("DeviceRequests") or ():
        wanted = [[str(word) for word in words] for words in request.get("Capabilities") or ()]
        if not place.gpu or not any("gpu" in words for words in wanted):
            said = " ".join(f"[{' '.join(words)}]" for words in wanted)
            driver = request.get("Driver") or ""
            raise EngineError(f'could not select device driver "{driver}" with capabilities: [{said}]', 500)


def parents_of(find: Find, box: SimContainer) -> dict[str, SimContainer]:
    """What it shares a namespace with, where that one is still there."""
    found = {word: find(key) for word, key in shape.parents(box.host).items()}
    return {word: parent for word, parent in found.items() if parent is not None}


def cut_off(find: Find, box: SimContainer) -> bool:
    """It runs in the network of a parent's earlier life: nothing but `lo` is left there, and nobody reaches it."""
    parent = parents_of(find, box).get("network")
    return "network" in box.joined and (parent is None or parent.life != box.joined["network"])


def _check_sharing(find: Find, box: SimContainer) -> None:
    for word, key in shape.parents(box.host).items():
        parent = find(key)
        if parent is None:
            raise NotFound(f"No such container: {key}", 404)
        if word == "network" and not parent.alive:
            raise Conflict(f"cannot join network of a non running container: {parent.id}", 409)
        if word == "pid" and not parent.alive:
            raise EngineError(f"container {parent.id} is not running", 500)
        if word == "ipc" and not parent.alive:
            said = f"can't join IPC of container {parent.id}: container {parent.id} is not running"
            raise EngineError(said, 500)


def _check_ports(place: Place, running: Iterable[SimContainer], box: SimContainer) -> None:
    mine = shape.ports(box.config, box.host)
    endpoint = f"{box.name} ({hashlib.sha256(box.id.encode()).hexdigest()})"
    failed = f"driver failed programming external connectivity on endpoint {endpoint}: "
    taken = [(port, True) for other in running for port in shape.ports(other.config, other.host)]
    taken += [(port, False) for port in sorted(place.held)]
    for port in mine:
        for held, by_engine in taken:
            if port.rpartition(":")[2] != held.rpartition(":")[2]:
                continue
            address, other = port.rpartition(":")[0], held.rpartition(":")[0]
            where = f"{address or '0.0.0.0'}:{port.rpartition(':')[2].partition('/')[0]}"  # noqa: S104 - a sentence
            if address == other and by_engine:
                raise EngineError(f"{failed}Bind for {where} failed: port is already allocated", 500)
            if address == other or not address or not other:
                proxy = f"Error starting userland proxy: listen tcp4 {where}: bind: address already in use"
                raise EngineError(failed + proxy, 500)
