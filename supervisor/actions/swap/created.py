"""A container for a model that has none, made from its compose file (`compose:` of resurgam.yaml).

From: before.py, in the step `create`, and the preflight, which says what would be made. To: the engine: a container
under its final name, not started, as `docker compose create` would make it. Its restart policy is `no` until its model
serves: an engine starts what has a policy at its own start, also what never ran. What --from-compose refuses is refused
here; rights beyond those of the model that leaves are for a person to give, with compose itself.
"""

import asyncio
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor import units
from supervisor.actions import common
from supervisor.actions.compose import body, reading, sources
from supervisor.actions.compose.body import Place
from supervisor.actions.compose.model import Spec
from supervisor.actions.compose.reading import Project
from supervisor.actions.hand import Cannot, Hand
from supervisor.actions.recipe import injected, likeness, misfit, rights
from supervisor.actions.recipe.grants import sources as bound
from supervisor.actions.recipe.sources import missing_sources
from supervisor.actions.swap.checks import callers, driver, place
from supervisor.actions.swap.checks.case import Case, Eyes, Line, Part, eyes_of
from supervisor.config.trust import problems
from supervisor.engines.docker import shape
from supervisor.errors import ConfigError, EngineError, NotFound
from supervisor.facts import Container, Image, Json
from supervisor.ports import EngineInfo
from supervisor.services.names import (
    COMPOSE_SERVICE_LABEL,
    ENABLE_LABEL,
    NUMBER_LABEL,
    OP_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
    is_temp,
    safe_id,
)
from supervisor.verdicts import Reason

POLICY = "made_policy"
"""among the data of a plan: the restart policy that the compose file asks for"""
_COMPOSE = "com.docker.compose."
_NOT_IN_NAMES = re.compile(r"[^-_a-z0-9]")
_PATIENCE = 10.0
_ASKS = (
    *(
        "Privileged",
        "CapAdd",
        "CapDrop",
        "Devices",
        "DeviceCgroupRules",
        "VolumesFrom",
        "PidMode",
        "IpcMode",
        "UTSMode",
    ),
    *("NetworkMode", "UsernsMode", "CgroupnsMode", "SecurityOpt", "GroupAdd", "Sysctls", "CgroupParent"),
    *("OomKillDisable", "OomScoreAdj", "Runtime"),
)
"""rights that no file gives to a container of ours without a person's word; folders, ports, cards and limits are what
another model needs other than the one before it"""
_GUARDED = (
    "/etc",
    "/root",
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    "/run",
    "/var/run",
    "/var/lib/docker",
    "/var/lib/containerd",
)
"""folders of the machine itself"""
_HARMLESS = ("/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/etc/pki/tls/certs", "/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True)
class Planned:
    """What is made."""

    name: str
    policy: str
    """the restart policy that the file asks for"""
    spec: Spec
    place: Place
    image: Image
    info: EngineInfo
    notes: tuple[str, ...] = ()

    def body(self, op: str) -> Json:
        """The create body."""
        made = body.successor_from(
            self.spec, self.place, None, self.image, op=op, ref=self.spec.image, engine=self.info
        )
        made.body["HostConfig"]["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
        return made.body


def needed(case: Case) -> bool:
    """Whether the model has no container and one is to be made from `compose`."""
    part = case.to
    return bool(part.model.compose) and not part.container_id and bool(part.model.service)


def container_name(case: Case) -> str:
    """The name it gets, unless the file says `container_name`; '' where none is made. Reads nothing."""
    if not needed(case):
        return ""
    project, dot, service = case.to.model.service.partition(".")
    return f"{project}-{service}-1" if dot else project


async def foresee(eyes: Eyes, case: Case) -> tuple[Line, ...]:
    """What would be made, or why it cannot be. Reads only."""
    found = await plan(eyes, case)
    if isinstance(found, Line):
        return (found,)
    ref = units.plain(found.spec.image, 200) or found.image.id
    short = units.short_image(found.image.id)
    told = Line("container", f"{found.name} is made of {case.to.model.compose}, from {ref} ({short})")
    box = Container("", found.name, found.image.id, found.spec.image, ports=_ports(found.spec))
    lines = [told, *(Line("container", note, None) for note in found.notes)]
    unreached = callers.reached_at(case, box)
    lines += [unreached] if unreached is not None else []
    if box.ports:
        try:
            others = await eyes.ask(eyes.engine.list)
            lines.append(await place.ports_of(eyes, case, box, others))
        except EngineError as err:
            lines.append(Line("ports", f"the engine does not say who has them: {err}", None))
    return tuple(lines)


async def create(hand: Hand, case: Case) -> Container:
    """Make it, with restart policy `no` (what the file asks for is marked as POLICY); Cannot where it must not be. Done
    already is fine. The caller has asked for the step `create`."""
    found = await plan(eyes_of(hand), case)
    if isinstance(found, Line):
        raise Cannot(found.refusal())
    wanted = found.body(hand.plan.op)
    made = await common.create(hand, found.name, wanted)
    if made is None or made.image_id != found.image.id:
        text = f"the engine made {found.name} from another image than {units.short_image(found.image.id)}"
        raise Cannot(Line("container", text, False, Reason.IMAGE_GONE).refusal())
    given = body.files(found.spec)
    if given:
        now = int(hand.clock.wall())
        tar = injected.pack(injected.Found(tuple(injected.File(*one, mtime=now) for one in given)))
        await hand.read(lambda: hand.engine.put_archive(made.id, "/", tar))
    alike = likeness.verdict(found.name, likeness.honours(wanted, await hand.read(lambda: hand.engine.raw(made.id))))
    if not alike.ok:
        await hand.remove(made.id)
        raise Cannot(alike)
    hand.mark("create", f"{found.name} was made from {case.to.model.compose}.", ok=False, **{POLICY: found.policy})
    return made


# ------------------------------------------------------------ what is made


async def plan(eyes: Eyes, case: Case) -> Planned | Line:
    """Everything it is made from; a line with the refusal where it cannot be."""
    try:
        project = await _read(case.to.model.compose)
        if isinstance(project, Line):
            return project
        return await _planned(eyes, case, project)
    except NotFound as err:
        return _no(f"{err}", Reason.VANISHED)
    except EngineError as err:
        return _no(f"the engine says: {err}", Reason.ENGINE_REFUSED)


async def _read(path: str) -> Project | Line:
    """The compose file, where it may be obeyed. Its variables come from `.env` beside it, never from this process."""

    def read() -> Project | Line:
        try:
            wrong = problems(_file(path))
        except OSError as err:
            return _no(f"{path} cannot be read: {err.strerror or err}", Reason.BAD_PARAMETER)
        if wrong:
            return _no(f"{path} is not obeyed: {wrong[0]}", Reason.NOT_ALLOWED)
        try:
            return sources.read_file(str(_file(path)), sources.AsPerson({}, "/nonexistent"))
        except ConfigError as err:
            return _no(f"{path} cannot be understood: {err.mistakes[0]}", Reason.BAD_PARAMETER)

    try:
        async with asyncio.timeout(_PATIENCE):
            return await asyncio.to_thread(read)
    except TimeoutError:
        return _no(f"{path} could not be read in time", Reason.BAD_PARAMETER)


async def _planned(eyes: Eyes, case: Case, project: Project) -> Planned | Line:
    part, name = case.to, project.name or _of_folder(project.file)
    spec = _chosen(project, name, part.model.service)
    if spec is None:
        known = ", ".join(f"{name}.{one}" for one in list(project.services)[:8])
        return _no(f"{part.model.compose} has no service {part.model.service}; it has {known}", Reason.NO_TARGET)
    called = spec.container_name or f"{name}-{spec.service}-1"
    taken = await eyes.ask(lambda: eyes.engine.inspect(called))
    if taken is not None and (eyes.hand is None or taken.labels.get(OP_LABEL) != eyes.hand.plan.op):
        return _no(f"there is a container {called} already, which carries another service", Reason.INTERFERED)
    image = await _image(eyes, spec, name)
    if image is None:
        text = f"there is no image {spec.image or 'of its own'} on this machine; pull or build it first"
        return _no(text, Reason.IMAGE_GONE)
    info = await eyes.ask(eyes.engine.info)
    listed = await eyes.ask(eyes.engine.list)
    place_of = Place(_raw(called, name, spec, project.file), {}, _siblings(listed, name))
    policy = "no" if part.needs.boot == "ordered" else shape.policy_text(spec.host.RestartPolicy.model_dump())
    found = Planned(called, policy, spec, place_of, image, info, _notes(spec, place_of))
    return await _refused(eyes, case, found) or found


def _chosen(project: Project, name: str, service: str) -> Spec | None:
    """The service of the file that will be known by this id."""
    for spec in project.services.values():
        own = spec.config.Labels.get(SERVICE_LABEL) or f"{name}.{spec.service}"
        if safe_id(own) == service:
            return spec
    return None


async def _image(eyes: Eyes, spec: Spec, project: str) -> Image | None:
    refs = (spec.image,) if spec.image else (f"{project}-{spec.service}", f"{project}_{spec.service}")
    for ref in refs:
        image = await eyes.ask(lambda ref=ref: eyes.engine.image(ref))  # type: ignore[misc]
        if image is not None:
            return image
    return None


def _raw(name: str, project: str, spec: Spec, file: str) -> Json:
    """What an inspect would say of the container that compose would have made, as far as compose.body asks for it."""
    own = {key: value for key, value in spec.config.Labels.items() if key in (ENABLE_LABEL, SERVICE_LABEL)}
    compose = {
        PROJECT_LABEL: project,
        COMPOSE_SERVICE_LABEL: spec.service,
        NUMBER_LABEL: "1",
        f"{_COMPOSE}oneoff": "False",
        f"{_COMPOSE}project.config_files": file,
        f"{_COMPOSE}project.working_dir": os.path.dirname(file),
        f"{_COMPOSE}depends_on": "",
        f"{_COMPOSE}image": "",
    }
    return {"Name": f"/{name}", "Config": {"Labels": {**own, **compose}}, "HostConfig": {}}


def _siblings(listed: Iterable[Container], project: str) -> Mapping[str, str]:
    """Compose service -> container name, of the project."""
    found: dict[str, str] = {}
    for each in listed:
        if each.labels.get(PROJECT_LABEL) == project and not is_temp(each.name):
            found.setdefault(each.labels.get(COMPOSE_SERVICE_LABEL, ""), each.name)
    return found


def _notes(spec: Spec, where: Place) -> tuple[str, ...]:
    found = (
        [] if spec.config_hash else ["the next `compose up` makes it anew, once: its label config-hash is not known"]
    )
    volumes = sorted({where.volume(one) for one in spec.mounts if one.type == "volume" and one.source})
    if volumes:
        found.append(f"it uses the volume {', '.join(volumes[:4])}, which is made, and empty, where there is none")
    return tuple(found)


# ------------------------------------------------------------ why not


async def _refused(eyes: Eyes, case: Case, found: Planned) -> Line | None:
    """Why it must not be made; None where it may."""
    bad = body.misplaced(found.spec, found.place) or misfit(None, found.image, found.info)
    if bad is not None:
        return _no(bad.text, bad.reason)
    made = found.body("0")
    env = (*(found.image.config.get("Env") or ()), *(made.get("Env") or ()))
    raw = {"Name": f"/{found.name}", "Config": {**made, "Env": env}, "HostConfig": made["HostConfig"]}
    lacks = await driver.unserved(eyes, raw, shape.container(raw))
    if lacks is not None:
        return lacks
    bad = await missing_sources(raw, found.info)
    if bad is not None:
        return _no(bad.text, bad.reason)
    for one in found.spec.networks:
        network = found.place.network(one)
        try:
            await eyes.ask(lambda network=network: eyes.engine.gateway(network))  # type: ignore[misc]
        except NotFound:
            text = f"there is no network {network}; let compose make it once: docker compose up --no-start"
            return _no(text, Reason.VANISHED)
    wide = await _beyond(eyes, case, made, found)
    if wide:
        text = f"{' '.join(wide[:3])} That is for a person to give: make it once with docker compose up --no-start"
        return _no(text, Reason.WIDENS)
    return None


async def _beyond(eyes: Eyes, case: Case, made: Json, found: Planned) -> list[str]:
    """What it may do beyond the model that leaves, a sentence each."""
    raw, image = await _other(eyes, case.before)
    changes = rights.check(raw, made, image, found.image, default_runtime=found.info.default_runtime)
    said = [change.sentence for change in changes if change.field in _ASKS]
    known = bound(raw, raw.get("HostConfig") or {}, anonymous=True)
    seen = sorted(bound(made, made["HostConfig"], anonymous=False))
    return said + [f"It would see {one} of this machine." for one in seen if one not in known and guarded(one)]


async def _other(eyes: Eyes, part: Part | None) -> tuple[Json, Image | None]:
    if part is None or not part.container_id:
        return {"Config": {}, "HostConfig": {}}, None
    raw = await eyes.ask(lambda: eyes.engine.raw(part.container_id))
    return raw, await eyes.ask(lambda: eyes.engine.image(str(raw.get("Image") or "")))


def guarded(source: str) -> bool:
    """Whether a path is one of the machine's own, which no model needs."""
    path = os.path.normpath(source)
    if not path.startswith("/") or path in _HARMLESS:
        return False
    return path == "/" or any(path == one or path.startswith(f"{one}/") for one in _GUARDED)


# ------------------------------------------------------------ small things


def _no(text: str, reason: Reason) -> Line:
    return Line("container", units.plain(text.strip().rstrip("."), 500), False, reason)


def _file(path: str) -> Path:
    """The file itself, also where its folder was named."""
    given = Path(path)
    if not given.is_dir():
        return given
    return next((given / name for name in reading.NAMES if (given / name).is_file()), given)


def _of_folder(file: str) -> str:
    """The project's name as compose makes it of the folder's."""
    return _NOT_IN_NAMES.sub("", os.path.basename(os.path.dirname(file)).lower()).lstrip("-_") or "default"


def _ports(spec: Spec) -> tuple[str, ...]:
    """What it would publish, as facts.Container writes it."""
    found = [
        (f"{one.HostIp}:" if one.HostIp else "") + f"{one.HostPort}/{port.partition('/')[2]}"
        for port, bindings in spec.host.PortBindings.items()
        for one in bindings
        if one.HostPort.isdigit()
    ]
    return tuple(sorted(found))
