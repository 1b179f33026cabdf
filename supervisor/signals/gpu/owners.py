"""Whose a process on a GPU is: pid -> control group -> container; and which containers may not open the cards any more.

From: /proc/PID/cgroup and version 1's devices.list, through a Tree; and what the engine says of its containers, heard
as the facts pass by. To: watch.py, which puts it into a reading; hands that ask the driver themselves; and faults.py:
the line about a fault names a pid that is often gone by then, so whoever was seen is remembered. Paths and names are
what a container made of them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from supervisor import units
from supervisor.clock import Clock
from supervisor.facts import Container, EngineEvent, Fact, GpuCard, GpuProcess, GpuReading, Looked, Sweep
from supervisor.kernel.groups import ROOT, own_paths
from supervisor.kernel.tree import Tree
from supervisor.ports import GpuDriver, Submit

REMEMBERED = 600.0
"""seconds for which it is known whose a process was"""
_MOST_PIDS, _MOST_GONE = 8_192, 4_096
DEVICES = f"{ROOT}/devices"
"""version 1's controller of devices"""
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DOCKERS = re.compile(r"/docker[/-]([0-9a-f]{64})(?![0-9a-f])")
"""where Docker puts containers: `/docker/ID`, `docker-ID.scope`"""
_SOMEBODYS = "/user.slice/"
"""below it are the containers of a user's own engine, which may not be ours"""
_MAJOR, _CONTROL = "195", 254
"""of NVIDIA's device files; from this minor number on they are no cards"""
_NOT_NVIDIA = ("amd.com/", "/dev/dri", "/dev/kfd", "/dev/dxg")
"""how words for a card of another maker begin"""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a process is."""

    kind: str
    """as in facts.GpuProcess"""
    container_id: str = ""


class Owners:
    """Finds the containers of processes. `heard` lets it know which there are."""

    def __init__(self, tree: Tree, clock: Clock) -> None:
        self._tree, self._clock = tree, clock
        self._there: dict[str, dict[str, Container | None]] = {}
        """engine -> container id -> how it was last seen (None: not looked at yet). No entry: it was never listed"""
        self._gone: dict[str, None] = {}
        """containers that were there, the oldest first"""
        self._seen: dict[int, tuple[str, float]] = {}
        """pid -> (its container, when it was seen last), the oldest first"""

    # ------------------------------------------------------------ what the engine says

    def heard(self, submit: Submit) -> Submit:
        """The same for who listens to an engine: every container it tells of is known here, also one that is no
        service (yet)."""

        def told(fact: Fact) -> None:
            self.take(fact)
            submit(fact)

        return told

    def take(self, fact: Fact) -> None:
        """Learn of containers that came and went."""
        if isinstance(fact, Sweep):
            now = {one.id: one for one in fact.containers}
            for gone in [one for one in self._there.get(fact.engine, ()) if one not in now]:
                self._ended(fact.engine, gone)
            self._there[fact.engine] = dict(now)
        elif isinstance(fact, Looked):
            if fact.container is None:
                self._ended(fact.engine, fact.object_id)
            elif fact.engine in self._there:
                self._there[fact.engine][fact.object_id] = fact.container
            if fact.container is not None and fact.container.alive and fact.container.pid > 0:
                self._remember(fact.container.pid, fact.container.id)
        elif isinstance(fact, EngineEvent) and fact.type == "container":
            if fact.kind == "destroy":
                self._ended(fact.engine, fact.object_id)
            elif fact.engine in self._there:
                self._there[fact.engine].setdefault(fact.object_id, None)

    def _ended(self, engine: str, container_id: str) -> None:
        self._there.get(engine, {}).pop(container_id, None)
        self._gone[container_id] = None
        while len(self._gone) > _MOST_GONE:
            del self._gone[next(iter(self._gone))]

    # ------------------------------------------------------------ processes

    def name(self, cards: Sequence[GpuCard]) -> tuple[GpuCard, ...]:
        """The cards, with whose their processes are."""
        whose: dict[int, tuple[Whose, str]] = {}
        for card in cards:
            for user in card.users:
                if user.pid not in whose:
                    whose[user.pid] = self.whose(user.pid), self._command(user.pid)
        now = self._clock.mono()
        for pid in [pid for pid, (_, at) in self._seen.items() if now - at > REMEMBERED]:
            del self._seen[pid]
        for pid, (found, _) in whose.items():
            if found.container_id:
                self._remember(pid, found.container_id)
        return tuple(
            replace(card, users=tuple(_named(user, *whose[user.pid]) for user in card.users)) for card in cards
        )

    def owner_of(self, pid: int) -> str:
        """The id of the container whose process this is, or was within the last ten minutes; '' for nobody's."""
        if pid <= 0:
            return ""
        found = self.whose(pid).container_id
        if not found and pid in self._seen:
            container_id, at = self._seen[pid]
            found = container_id if self._clock.mono() - at <= REMEMBERED else ""
        return found

    def whose(self, pid: int) -> Whose:
        """Whose a process is now, as its control group tells."""
        text = self._text(f"/proc/{pid}/cgroup")
        return Whose("gone") if text is None else self._from(text)

    def _from(self, text: str) -> Whose:
        """The first id that the engine knows: a container may make groups of its own below its own, and call them as it
        likes. Of an engine that did not list its containers yet nobody knows which are gone."""
        ids = list(dict.fromkeys(_ID.findall(text)))
        for one in ids:
            if any(one in there for there in self._there.values()):
                return Whose("container", one)
        for one in ids:
            if one in self._gone:
                return Whose("orphan", one)
        match = _DOCKERS.search(text)
        if match is None or (_SOMEBODYS in text and self._there):
            return Whose("host")  # none's, or another engine's: k3s, Podman
        return Whose("orphan" if self._there else "container", match[1])

    def _remember(self, pid: int, container_id: str) -> None:
        self._seen.pop(pid, None)
        self._seen[pid] = container_id, self._clock.mono()
        while len(self._seen) > _MOST_PIDS:
            del self._seen[next(iter(self._seen))]

    def _command(self, pid: int) -> str:
        """What a process calls itself; '' where it is gone."""
        return units.plain((self._text(f"/proc/{pid}/comm") or "").strip(), 64)

    def _text(self, path: str) -> str | None:
        """A file that is read once; None where it is not there."""
        try:
            raw = self._tree.read(path)
        except OSError:
            return None
        finally:
            self._tree.forget((path,))
        return raw.decode("utf-8", "replace")

    # ------------------------------------------------------------ what may be opened

    def asking(self) -> tuple[Container, ...]:
        """The running containers that asked for a card of NVIDIA's, by id."""
        found = {one.id: one for there in self._there.values() for one in there.values() if one is not None}
        return tuple(one for _id, one in sorted(found.items()) if one.alive and wants_nvidia(one))

    def denied(self) -> tuple[str, ...]:
        """Ids of those that may open no card (any more): something wrote their list of devices anew, like systemd at a
        `daemon-reload`. Only version 1 of control groups lets itself be read; what nobody can tell is left out."""
        return tuple(one.id for one in self.asking() if self._is_denied(one))

    def _is_denied(self, container: Container) -> bool:
        text = self._text(f"/proc/{container.pid}/cgroup") if container.pid > 0 else None
        path = own_paths(text or "", container.id).get("devices", "")
        allowed = self._text(f"{DEVICES}{path}/devices.list") if path else None
        return allowed is not None and not opens_a_card(allowed.splitlines())


class NamedDriver:
    """The driver as hands ask it: with whose the processes are (implements ports.GpuDriver)."""

    def __init__(self, driver: GpuDriver, owners: Owners) -> None:
        self._driver, self._owners = driver, owners

    @property
    def held(self) -> str:
        return self._driver.held

    @property
    def running(self) -> bool:
        return self._driver.running

    async def snapshot(self, depth: str) -> GpuReading:
        found = await self._driver.snapshot(depth)
        return replace(found, cards=self._owners.name(found.cards))

    def hold(self, why: str) -> None:
        self._driver.hold(why)

    async def release(self, why: str) -> bool:
        return await self._driver.release(why)

    def resume(self) -> None:
        self._driver.resume()


# ------------------------------------------------------------ decisions


def wants_nvidia(container: Container) -> bool:
    """Whether a container asks for a card that NVIDIA's driver serves."""
    return container.gpu and not (container.gpus and all(word.startswith(_NOT_NVIDIA) for word in container.gpus))


def opens_a_card(lines: Iterable[str]) -> bool:
    """Whether a devices.list (`c 195:0 rwm`) lets a card be opened for reading and writing."""
    for line in lines:
        kind, _, rest = line.strip().partition(" ")
        number, _, access = rest.partition(" ")
        major, _, minor = number.partition(":")
        if kind not in ("a", "c") or not {"r", "w"} <= set(access):
            continue
        card = minor == "*" or (minor.isascii() and minor.isdigit() and int(minor) < _CONTROL)
        if kind == "a" or (major in ("*", _MAJOR) and card):
            return True
    return False


def _named(user: GpuProcess, whose: Whose, name: str) -> GpuProcess:
    return replace(user, kind=whose.kind, container_id=whose.container_id, name=name or user.name)
