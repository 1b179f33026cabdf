"""What services are to each other: whose namespaces a container shares, what it needs first, in which order to start.

From: registry.py, with every service and container as they stand, once per change. To: the Service snapshot (`parents`,
`reattach`, `cut_off`, `needs_first`) and core/rollouts.py (`order`). Pure; the words come from labels that anybody may
write, so what cannot be resolved is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.facts import Container, Service
from supervisor.services.names import COMPOSE_SERVICE_LABEL, PROJECT_LABEL, canonical

Key = tuple[str, str]
"""(engine, container id)"""
DEPENDS_LABEL = "com.docker.compose.depends_on"
JOINED = ("network", "pid", "ipc", "cgroup")
"""namespaces that die with the container that made them; volumes outlive it"""
_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Box:
    """One container that exists, and the service it claims ('' for a parked, spare, new or failed one)."""

    engine: str
    container: Container
    service: str


@dataclass(frozen=True, slots=True)
class Order:
    """The order to start in; reversed it is the order to stop in. `problems`: a sentence for each cycle."""

    start: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def stop(self) -> tuple[str, ...]:
        """The order to stop in."""
        return self.start[::-1]


def shared(container: Container) -> Mapping[str, str]:
    """What it shares with another container: kind -> that one's id or name."""
    if container.parents or not container.network_parent:
        return container.parents
    return {"network": container.network_parent}


# ------------------------------------------------------------ relations


def related(services: Sequence[Service], boxes: Iterable[Box], carried: Mapping[Key, str]) -> tuple[Service, ...]:
    """The same services, each with what it is to the others. `boxes`: every container that exists; `carried`: which
    service a container carried that may be gone by now."""
    known = _Known(services, boxes, carried)
    made = {service.id: known.relate(service) for service in services if tied(service)}
    return tuple(made.get(service.id, service) for service in services)


def tied(service: Service) -> bool:
    """Whether it can have anything to do with another one at all."""
    container = service.container
    if service.needs.depends:
        return True
    return container is not None and (bool(shared(container)) or bool(container.labels.get(DEPENDS_LABEL)))


class _Known:
    """Everything a relation is looked up in."""

    def __init__(self, services: Sequence[Service], boxes: Iterable[Box], carried: Mapping[Key, str]) -> None:
        self.services = {service.id: service for service in services}
        self.carried = carried
        self.boxes: dict[Key, Box] = {}
        for box in boxes:
            self.boxes[(box.engine, box.container.name)] = box
            self.boxes[(box.engine, box.container.id)] = box
            self.boxes[(box.engine, box.container.id[:_ID_DIGITS])] = box
        self.composed: dict[tuple[str, str], list[str]] = {}
        self.named: dict[str, list[str]] = {}
        for service in services:
            found = service.container
            labels = found.labels if found is not None else {}
            name = labels.get(COMPOSE_SERVICE_LABEL, "")
            if service.project and name:
                self.composed.setdefault((service.project, name), []).append(service.id)
            for word in dict.fromkeys((*service.needs.aliases, found.name if found is not None else "")):
                if word:
                    self.named.setdefault(word, []).append(service.id)

    def relate(self, service: Service) -> Service:
        """One service with its relations."""
        parents: dict[str, list[str]] = {}
        reattach: dict[str, str] = {}
        cut_off = ""
        container = service.container
        for kind, key in shared(container).items() if container is not None else ():
            parent, lost = self._parent(service, key)
            if parent:
                parents.setdefault(parent, []).append(kind.partition(".")[0])
            if kind not in JOINED:
                continue
            if lost:
                reattach[key] = self._name_of(parent)
            cut_off = cut_off or self._cut_off(service, kind, parent, lost)
        return replace(
            service,
            parents={parent: ", ".join(dict.fromkeys(kinds)) for parent, kinds in parents.items()},
            reattach=reattach,
            cut_off=cut_off,
            needs_first=self._needs(service),
        )

    def _parent(self, service: Service, key: str) -> tuple[str, bool]:
        """(the service behind an id or a name, '' for none; whether that container is not the one that carries it)."""
        box = self.boxes.get((service.engine, key)) or self.boxes.get((service.engine, key[:_ID_DIGITS]))
        if box is not None and box.container.name != key and not box.container.id.startswith(key):
            box = None  # another id that only begins alike
        if box is None:
            parent = self.carried.get((service.engine, key), "")
            return parent if parent in self.services else "", _is_id(key)
        parent = box.service or self.carried.get((service.engine, box.container.id), "")
        if not parent:
            name = canonical(box.container.name, box.container.labels)
            parent = next((other for other in self.named.get(name, ()) if other != service.id), "")
        current = self._current(parent)
        replaced = current is not None and current.id != box.container.id and not box.container.alive
        return (parent if parent in self.services else ""), replaced

    def _current(self, ident: str) -> Container | None:
        service = self.services.get(ident)
        return service.container if service is not None else None

    def _name_of(self, ident: str) -> str:
        current = self._current(ident)
        return current.name if current is not None else ""

    def _cut_off(self, service: Service, kind: str, parent: str, lost: bool) -> str:
        """Why what it shares is dead, '' if it is not, or if nothing can be done before the other one runs again."""
        container = service.container
        if container is None or not container.alive:
            return ""
        if lost and not parent:
            return f"the container whose {kind} {service.id} shares is gone, and nobody knows what took its place"
        current = self._current(parent)
        if current is None or not current.running:
            return ""
        if lost:
            return f"{parent} was made anew since {service.id} started, so the {kind} it shares with it is dead"
        if 0 < container.started_at < current.started_at:
            return f"{parent} was started anew since {service.id} started, so the {kind} it shares with it is dead"
        return ""

    def _needs(self, service: Service) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for word in service.needs.depends:
            found.update(dict.fromkeys(self._by_word(word, service)))
        labels = service.container.labels if service.container is not None else {}
        for word in compose_depends(labels):
            found.update(dict.fromkeys(self.composed.get((labels.get(PROJECT_LABEL, ""), word), ())))
        found.pop(service.id, None)
        return tuple(found)

    def _by_word(self, word: str, service: Service) -> Sequence[str]:
        """The services a declared dependency means: an id, a compose service of the same project, an alias or a
        container's name."""
        if word in self.services:
            return (word,)
        return self.composed.get((service.project, word), ()) or self.named.get(word, ())


def compose_depends(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The compose services in its label: `db:service_healthy:false,cache:service_started:true` -> db, cache."""
    parts = labels.get(DEPENDS_LABEL, "").split(",")
    return tuple(dict.fromkeys(name for part in parts if (name := part.partition(":")[0].strip())))


def _is_id(key: str) -> bool:
    return len(key) >= _ID_DIGITS and all(digit in "0123456789abcdef" for digit in key)


# ------------------------------------------------------------ who lives in whose namespaces


def dependents(services: Sequence[Service], ident: str) -> tuple[str, ...]:
    """The running services that live in a namespace of this one, or of one that does, in the order to start them."""
    found: dict[str, None] = {}
    queue = [ident]
    while queue:
        parent = queue.pop(0)
        for service in services:
            kinds = [kind for kind in JOINED if kind in service.parents.get(parent, "").split(", ")]
            if kinds and service.id not in found and service.id != ident and _runs(service):
                found[service.id] = None
                queue.append(service.id)
    mine = [service for service in services if service.id in found]
    return order(mine).start


def _runs(service: Service) -> bool:
    return service.container is not None and service.container.status in ("running", "restarting", "paused")


# ------------------------------------------------------------ order


def order(services: Sequence[Service]) -> Order:
    """What is needed comes first; among those that may start, the largest (declared memory, then the longest load).
    Only what is among `services` counts. In a cycle the largest goes first, and the cycle is named."""
    by_id = {service.id: service for service in services}
    size = {
        service.id: (-service.needs.memory, -service.needs.startup, service.id)
        for service in sorted(services, key=lambda service: service.id)
    }
    waits = {
        service.id: [one for one in dict.fromkeys((*service.needs_first, *service.parents)) if one in by_id]
        for service in services
    }
    start: list[str] = []
    problems: list[str] = []
    left = sorted(by_id, key=lambda ident: size[ident])
    while left:
        done = set(start)
        free = [ident for ident in left if all(need in done or need == ident for need in waits[ident])]
        if not free:
            cycle = _cycle(left, waits)
            path = " needs ".join([*cycle, cycle[0]])
            problems.append(f"{path}: that is a circle, so the largest of them goes first.")
            free = sorted(cycle, key=lambda ident: size[ident])
        start.append(free[0])
        left.remove(free[0])
    return Order(tuple(start), tuple(problems))


def _cycle(left: Sequence[str], waits: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle among those that are left: every one of them waits for another."""
    remaining = set(left)
    path = [min(left)]
    while True:
        following = next(need for need in waits[path[-1]] if need in remaining and need != path[-1])
        if following in path:
            return path[path.index(following) :]
        path.append(following)
