"""What a compose file would do to containers that are there: asked of the engine, decided by nobody.

From: phoenix.py (one plan, right before its container is created) and the doors (all services of a command, for the
person who asks). To: a Prospect each. Reads the engine only.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from supervisor.actions.compose import body, difference
from supervisor.actions.compose.body import Place
from supervisor.actions.compose.difference import Difference, Pair
from supervisor.actions.compose.model import Spec, from_document
from supervisor.errors import EngineError, UsageError
from supervisor.facts import Container, Json, Service
from supervisor.ports import Engine
from supervisor.services.names import COMPOSE_SERVICE_LABEL, PROJECT_LABEL, is_temp
from supervisor.verdicts import Reason, Verdict, no


@dataclass(frozen=True, slots=True)
class Prospect:
    """One service: what would change, or why nothing can be done."""

    service: str
    name: str
    """what compose calls it"""
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    trouble: str = ""
    compose: str = ""
    """the version of the compose that made it"""

    def document(self) -> Json:
        """As JSON."""
        return {
            "service": self.service,
            "name": self.name,
            "differences": [one.document() for one in self.differences],
            "notes": list(self.notes),
            "trouble": self.trouble,
            "compose": self.compose,
        }


def read(document: Json) -> Spec | Verdict:
    """The service in a document that came from outside, or why it is none."""
    try:
        return from_document(document)
    except ValueError as err:
        return no(Reason.BAD_PARAMETER, f"{err}.")


def siblings(raw: Json, containers: Iterable[Container]) -> dict[str, str]:
    """Compose service -> container name, of the project that this container belongs to."""
    labels = (raw.get("Config") or {}).get("Labels") or {}
    project = labels.get(PROJECT_LABEL)
    found: dict[str, str] = {}
    for each in containers:
        if project and each.labels.get(PROJECT_LABEL) == project and not is_temp(each.name):
            found.setdefault(each.labels.get(COMPOSE_SERVICE_LABEL, ""), each.name)
    return found


def names(raw: Json, containers: Iterable[Container]) -> dict[str, str]:
    """Container id -> name, of those whose namespaces it shares."""
    host = raw.get("HostConfig") or {}
    modes = [str(host.get(key) or "") for key in ("NetworkMode", "PidMode", "IpcMode")]
    wanted = {mode.removeprefix("container:") for mode in modes if mode.startswith("container:")}
    return {each.id: each.name for each in containers if each.id in wanted}


async def prospects(
    engines: Mapping[str, Engine], services: Iterable[Service], documents: Json
) -> tuple[Prospect, ...]:
    """What would become of each of these services (those of other projects, and without a container, are left out)."""
    found = []
    listed: dict[str, tuple[Container, ...]] = {}
    for service in services:
        container = service.container
        name = container.labels.get(COMPOSE_SERVICE_LABEL, "") if container is not None else ""
        engine = engines.get(service.engine)
        if container is None or engine is None or not name or not isinstance(documents.get(name), dict):
            continue
        try:
            if service.engine not in listed:
                listed[service.engine] = await engine.list()
            found.append(await _prospect(engine, service, container.id, documents[name], listed[service.engine]))
        except EngineError as err:
            found.append(Prospect(service.id, name, trouble=f"The engine says: {err}"))
    return tuple(found)


async def _prospect(
    engine: Engine, service: Service, container: str, document: Json, listed: tuple[Container, ...]
) -> Prospect:
    spec = read(document)
    if isinstance(spec, Verdict):
        return Prospect(service.id, str(document.get("service") or ""), trouble=spec.text)
    raw = await engine.raw(container)
    place = Place(raw, names(raw, listed), siblings(raw, listed))
    wrong = body.misplaced(spec, place)
    old = await engine.image(str(raw.get("Image") or ""))
    new = await engine.image(spec.image) if spec.image else old
    if wrong is None and new is None:
        what = spec.image or "that it runs on"
        wrong = no(Reason.IMAGE_GONE, f"The image {what} is not on this machine; pull or build it first.")
    if wrong is not None or new is None:
        return Prospect(service.id, spec.service, trouble=wrong.text if wrong is not None else "")
    made = body.successor_from(spec, place, old, new, op="0", ref="")
    if service.needs.boot == "ordered":  # as applying.py does
        made.body["HostConfig"]["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    changes = difference.differences(Pair(raw, made.body, old, new, place.names))
    version = str(place.labels.get("com.docker.compose.version") or "")
    return Prospect(service.id, spec.service, changes, made.notes, compose=version)


def aimed(services: Iterable[Service], target: str) -> tuple[Service, ...]:
    """The services that a word on the command line means: a project's, or one by its id, alias or container name."""
    known = tuple(services)
    project = target.removeprefix("project:")
    single = tuple(
        one
        for one in known
        if target in (one.id, *one.needs.aliases)
        or (one.container is not None and target in (one.container.name, _called(one)))
    )
    mine = tuple(one for one in known if one.project and one.project == project)
    return mine if mine and (target != project or not single) else single


def _called(service: Service) -> str:
    return service.container.labels.get(COMPOSE_SERVICE_LABEL, "") if service.container is not None else ""


class Previewer:
    """What a compose file would do, for the doors: they ask before the core decides."""

    def __init__(self, engines: Mapping[str, Engine], services: Callable[[], Iterable[Service]]) -> None:
        """`services`: how they stand now."""
        self._engines, self._services = engines, services

    async def of(self, target: str, documents: Json) -> Json:
        """For `resurgam phoenix TARGET --from-compose`: {"project", "services": [Prospect], "new", "gone"}. `new` are
        services of the file without a container, `gone` those of the project that the file does not have."""
        mine = aimed(self._services(), target)
        projects = sorted({one.project for one in mine})
        found = await prospects(self._engines, mine, documents)
        siblings = {_called(one) for one in self._services() if one.project in projects and one.container is not None}
        return {
            "project": projects[0] if len(projects) == 1 else "",
            "services": [one.document() for one in found],
            "new": sorted(set(documents) - siblings) if mine else [],
            "gone": sorted(siblings - set(documents) - {""}),
        }

    async def widening(self, target: str, documents: Json) -> str:
        """What would widen rights, in words, none left out; '' for nothing. An engine that does not answer says nothing
        here: each plan looks again before it makes anything. UsageError where it is too much for one question."""
        found = await prospects(self._engines, aimed(self._services(), target), documents)
        wide = [(one.service, difference.widens(one.differences)) for one in found]
        said = "; ".join(f"{service}: {difference.sentence(one)}" for service, one in wide if one)
        wrong = difference.too_much(said)
        if wrong:
            raise UsageError(wrong)
        return said
