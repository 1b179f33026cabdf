"""A compose file's text to one resolved service each: variables filled in, files read, every mistake with its place.

From: the text of a compose file and a Source (sources.py) for the files beside it: the person's own eyes on the command
line, one folder and nothing else in the daemon. To: `Project`, whose services are model.Spec. The rules are those of
the compose specification; what is not understood is a mistake, and then nothing is done. Nothing here opens a file.
"""

import os.path
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from supervisor.actions.compose.draft import Around
from supervisor.actions.compose.interpolate import variables
from supervisor.actions.compose.model import Spec
from supervisor.actions.compose.nodes import Node, Notes
from supervisor.actions.compose.service import read_service
from supervisor.config.yaml import load_yaml
from supervisor.errors import ConfigError, Mistake
from supervisor.facts import Json

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""what a compose file is called where only its folder is named"""
_TOP = ("version", "name", "services", "networks", "volumes", "configs", "secrets", "include")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,199}")
_NETWORK = ("name", "external", "driver", "driver_opts", "ipam", "internal", "attachable", "labels", "enable_ipv6",
            "enable_ipv4")  # fmt: skip
_VOLUME = ("name", "external", "driver", "driver_opts", "labels")
_INJECTED = ("file", "content", "environment", "name", "labels", "external", "template_driver", "driver", "driver_opts")
MOST_SERVICES = 200


class Source(Protocol):
    """What a compose file may refer to."""

    environment: Mapping[str, str]
    """variables that go before those of `.env`"""
    home: str
    """what `~` stands for"""

    def read(self, path: str) -> str:
        """The text of a file, by absolute path. OSError or ValueError (a sentence) where it may not or cannot be."""


@dataclass(frozen=True, slots=True)
class Project:
    """One compose file, read."""

    file: str
    name: str
    """the project where the file says it, or COMPOSE_PROJECT_NAME does; '' for the folder's name"""
    services: Mapping[str, Spec] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """what a person should know though nothing is wrong"""

    def documents(self) -> Json:
        """Compose service name -> its document, as a command carries it."""
        return {name: spec.document() for name, spec in self.services.items()}


def read(text: str, file: str, source: Source) -> Project:
    """The project in a compose file. `file`: its absolute path. ConfigError carries every mistake."""
    folder = os.path.dirname(file)
    document = load_yaml(text, file, anchors=True)
    environment, mistakes = _environment(folder, source)
    notes = Notes(document, environment.get)
    notes.mistakes += mistakes
    top = Node(document.data, (), notes)
    if not isinstance(document.data, dict) or not isinstance(document.data.get("services"), dict):
        notes.wrong(("services",), "a compose file has a mapping `services`; this one has none")
        raise ConfigError(notes.mistakes)
    _top_level(top)
    name = _project(top, environment)
    around = _around(top, file, name, source, environment)
    services: dict[str, Spec] = {}
    told: list[str] = []
    for node in top.get("services").entries():
        if not _NAME.fullmatch(node.name):
            node.wrong(f"{node.name!r} cannot be the name of a service", key=True)
            continue
        spec, remarks = read_service(node, around)
        told += [f"{node.name}: {remark}" for remark in remarks]
        if spec is not None:
            services[node.name] = spec
    if notes.mistakes:
        found = sorted(notes.mistakes, key=lambda one: (one.file != file, one.file, one.line, one.column))
        raise ConfigError(found)
    if notes.unset:
        told.append(f"Not set, and so left empty: {', '.join(list(notes.unset)[:20])}.")
    return Project(file, name, services, tuple(told))


def _environment(folder: str, source: Source) -> tuple[dict[str, str], list[Mistake]]:
    """What `${VAR}` means: the source's own variables, and behind them those of `.env` beside the file."""
    path = os.path.join(folder, ".env")
    try:
        text = source.read(path)
    except FileNotFoundError:
        return dict(source.environment), []
    except (OSError, ValueError) as err:
        return dict(source.environment), [Mistake(path, 0, 0, f"it cannot be read: {err}")]
    found, mistakes = variables(text, path, source.environment)
    return {**{key: value for key, value in found.items() if value is not None}, **source.environment}, mistakes


def _top_level(top: Node) -> None:
    for entry in top.entries():
        if entry.name == "include":
            entry.wrong(
                "include is not supported with --from-compose; name the one file, or use compose itself", key=True
            )
        elif entry.name not in _TOP:
            entry.wrong(f"the key {entry.name!r} is not known at the top of a compose file", key=True)
    known = {"networks": _NETWORK, "volumes": _VOLUME, "configs": _INJECTED, "secrets": _INJECTED}
    for section, keys in known.items():
        for entry in top.get(section).entries():
            entry.only(*keys)
    if len(top.raw["services"]) > MOST_SERVICES:
        top.get("services").wrong(f"there are more than {MOST_SERVICES} services in it", key=True)


def _project(top: Node, environment: Mapping[str, str]) -> str:
    given = environment.get("COMPOSE_PROJECT_NAME", "")
    node = top.get("name")
    if not node.given:
        return given
    name = node.text()
    if not _PROJECT.fullmatch(name):
        node.wrong(f"{name!r} cannot be the name of a project; small letters, digits, - and _")
    return given or name


def _around(top: Node, file: str, project: str, source: Source, environment: Mapping[str, str]) -> Around:
    def section(key: str) -> Mapping[str, Node]:
        return {entry.name: entry for entry in top.get(key).entries()}

    def from_file(path: str, needed: bool) -> tuple[Mapping[str, str | None], list[Mistake]]:
        try:
            return variables(source.read(path), path, environment)
        except FileNotFoundError:
            if needed:
                raise
            return {}, []

    names = tuple(entry.name for entry in top.get("services").entries())
    return Around(
        file=file,
        folder=os.path.dirname(file),
        project=project,
        home=source.home,
        services=names,
        networks=section("networks"),
        volumes=section("volumes"),
        configs=section("configs"),
        secrets=section("secrets"),
        read=source.read,
        variables=from_file,
    )
