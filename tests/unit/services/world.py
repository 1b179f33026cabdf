"""A tiny engine for these tests: it keeps containers, and tells the registry of them the way Docker does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from supervisor.config import Settings
from supervisor.facts import (
    Container,
    EngineEvent,
    EngineState,
    Fact,
    ImageRef,
    Json,
    Looked,
    Needs,
    OomSeen,
    Plan,
    Sample,
    Service,
    Step,
    Sweep,
)
from supervisor.services import Happening, Registry

T0 = 1_760_000_000.0
GOOD, BAD = "sha256:" + "a" * 64, "sha256:" + "b" * 64
OPT_IN = {"resurgam.enable": "true"}


def compose(project: str = "box", service: str = "oracle", number: int = 1, **more: str) -> dict[str, str]:
    """Labels that compose gives."""
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        **more,
    }


def plan(name: str = "oracle", service: str = "", verb: str = "restart", begun: tuple[str, ...] = ("stop",)) -> Plan:
    """An open plan that (if `begun`) has begun to write."""
    steps = (Step("look", "before"), Step("stop", "inside", (name,)))
    return Plan(
        id=7, verb=verb, service=service or name, engine="docker", params={}, cause="test", by="uid:0", created_at=T0,
        op="abcd", container_id="", name=name, steps=steps, needs=Needs(), begun=begun,
    )  # fmt: skip


@dataclass
class World:
    """`at` and `mono` move with `wait`. Every method that does something hands the facts over at once."""

    settings: Settings = field(default_factory=Settings)
    kept: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    deliver: bool = True
    """False: facts are only written down"""

    def __post_init__(self) -> None:
        self.registry = Registry(self.settings, self.kept)
        self.now, self.mono, self.serial = T0, 100.0, 0
        self.there: dict[str, Container] = {}
        self.plans: dict[str, Plan] = {}
        self.told: list[Happening] = []
        self.facts: list[Fact] = []
        self.journal: dict[str, dict[str, Json | None]] = {}

    # ------------------------------------------------------------ handing over

    def fold(self, fact: Any) -> tuple[Happening, ...]:
        self.facts.append(fact)
        if not self.deliver:
            return ()
        found = self.registry.fold(fact, self.plans)
        self.told += found
        return found

    def wait(self, seconds: float = 1.0) -> tuple[Happening, ...]:
        """Let time pass, ticking whenever the registry is due."""
        end = self.mono + seconds
        found: list[Happening] = []
        while (due := self.registry.due()) is not None and due <= end:
            self.now += max(0.0, due - self.mono)
            self.mono = max(self.mono, due)
            told = self.registry.tick(self.now, self.mono)
            found += told
            if not told and self.registry.due() == due:
                raise AssertionError("a timer that is due does nothing")
        self.now, self.mono = self.now + end - self.mono, end
        self.told += found
        return tuple(found)

    def keep(self) -> dict[str, dict[str, Json]]:
        """What the journal has: everything put so far."""
        for space, entries in self.registry.changed().items():
            self.journal.setdefault(space, {}).update(entries)
        return {
            space: {key: value for key, value in entries.items() if value is not None}
            for space, entries in self.journal.items()
        }

    def again(self) -> "World":
        """A fresh process on the same journal and the same engine."""
        fresh = World(self.settings, self.keep())
        fresh.there, fresh.now, fresh.mono, fresh.serial = dict(self.there), self.now, self.mono, self.serial
        fresh.journal = self.journal
        return fresh

    # ------------------------------------------------------------ what the engine says

    def event(self, cid: str, kind: str, **attributes: str) -> EngineEvent:
        self.serial += 1
        container = self.there.get(cid)
        said = {**attributes, **(container.labels if container else {})}
        if container is not None:
            said |= {"name": container.name, "image": container.image_ref}
        stamp = round(self.now * 1e9) + self.serial
        fact = EngineEvent(self.now, self.mono, "docker", "container", cid, kind, stamp, said)
        self.fold(fact)
        return fact

    def look(self, cid: str, log: tuple[str, ...] = ()) -> tuple[Happening, ...]:
        return self.fold(Looked(self.now, self.mono, "docker", cid, self.there.get(cid), log))

    def sweep(self) -> tuple[Happening, ...]:
        return self.fold(Sweep(self.now, self.mono, "docker", tuple(self.there.values())))

    def engine(self, up: bool) -> tuple[Happening, ...]:
        return self.fold(EngineState(self.now, self.mono, "docker", up, "test", "one"))

    def tag(self, ref: str, image_id: str) -> tuple[Happening, ...]:
        for cid, container in self.there.items():
            if container.image_ref == ref:
                self.there[cid] = replace(container, ref_image_id=image_id)
        return self.fold(ImageRef(self.now, self.mono, "docker", ref, image_id))

    # ------------------------------------------------------------ what the kernel says

    def line(self, cid: str, pid: int = 4242, process: str = "worker", *, ago: float = 0.0, **more: Any) -> OomSeen:
        """The kernel's log tells of a kill, `ago` seconds after it; of its own limit unless something else is said."""
        said = {"constraint": "memcg", "limit_of": f"/docker/{cid}", **more}
        fact = OomSeen(self.now - ago, self.mono, "kernel-log", cid, pid, process, **said)
        self.fold(fact)
        return fact

    def counter(self, cid: str = "", kills: int = 1) -> None:
        """The counter of its group, or of the machine, has grown."""
        self.fold(OomSeen(self.now, self.mono, "events" if cid else "vmstat", cid, kills=kills))

    # ------------------------------------------------------------ what happens

    def create(self, name: str = "oracle", **given: Any) -> str:
        self.serial += 1
        image_id = given.pop("image_id", GOOD)
        given = {"image_ref": "local/oracle:1", "ref_image_id": image_id, "restart_policy": "always", **given}
        cid = given.pop("id", f"{self.serial:064x}")
        self.there[cid] = Container(id=cid, name=name, image_id=image_id, created_at=self.now, **given)
        self.event(cid, "create")
        self.look(cid)
        return cid

    def run(self, name: str = "oracle", **given: Any) -> str:
        cid = self.create(name, **given)
        self.start(cid)
        return cid

    def start(self, cid: str, by_hand: bool = True, look: bool = True) -> None:
        count = 0 if by_hand else self.there[cid].restart_count
        health = "none" if self.there[cid].health == "none" else "starting"
        self._set(cid, status="running", started_at=self.now, exit_code=0, restart_count=count, health=health)
        self.event(cid, "start")
        if look:
            self.look(cid)

    def end(self, cid: str, code: int = 1, restarts: bool = True, look: bool = True, **more: str) -> None:
        """Its process ends."""
        container = self.there[cid]
        policy = container.restart_policy
        again = restarts and (policy in ("always", "unless-stopped") or (policy.startswith("on-failure") and code != 0))
        status = "restarting" if again else "exited"
        count = container.restart_count + again
        self._set(cid, status=status, exit_code=code, finished_at=self.now, restart_count=count)
        self.event(cid, "die", exitCode=str(code), **more)
        if look:
            self.look(cid, ("last words",))

    def crash(self, cid: str, code: int = 139, ran: float = 0.3, back: float = 0.1) -> None:
        """It runs a little, dies, and the engine starts it again."""
        self.wait(ran)
        self.end(cid, code)
        self.wait(back)
        self.start(cid, by_hand=False)

    def stop(self, cid: str, code: int = 143, signal: str = "15") -> None:
        """`docker stop`."""
        if self.there[cid].status == "running":
            self.event(cid, "kill", signal=signal)
            self.wait(0.1)
            self.end(cid, code, restarts=False)
        else:
            self._set(cid, status="exited")
        self.event(cid, "stop")
        self.look(cid)

    def remove(self, cid: str) -> None:
        self.event(cid, "destroy")
        del self.there[cid]
        self.look(cid)

    def rename(self, cid: str, name: str) -> None:
        old = self.there[cid].name
        self._set(cid, name=name)
        self.event(cid, "rename", oldName=f"/{old}")
        self.look(cid)

    def health(self, cid: str, status: str) -> None:
        self._set(cid, health=status)
        self.event(cid, "health_status", health_status=status)
        self.look(cid)

    def _set(self, cid: str, **change: Any) -> None:
        self.there[cid] = replace(self.there[cid], **change)

    # ------------------------------------------------------------ what came of it

    def service(self, service: str = "oracle") -> Service:
        found = self.registry.get(service)
        assert found is not None, f"{service} is not among {[one.id for one in self.registry.services()]}"
        return found

    def ids(self) -> list[str]:
        return [service.id for service in self.registry.services()]

    def kinds(self, *prefixes: str) -> list[str]:
        return [one.kind for one in self.told if one.kind.startswith(prefixes or ("",))]

    def series(self, full: bool = True) -> dict[str, float]:
        """The newest sample of each series, as `name{label="value"}` without the labels every one has."""
        return {written(sample): sample.value for sample in self.registry.samples(full=full)}


def written(sample: Sample) -> str:
    """A series as rules write it; `name` and compose labels left out where there are others that tell it apart."""
    has = dict(sample.labels)
    name = has.pop("__name__")
    told = ",".join(f'{key}="{value}"' for key, value in sorted(has.items()) if key in ("kind", "state"))
    return f"{name}{{{told}}}" if told else name
