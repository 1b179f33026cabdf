"""A service while it is read: what surrounds it in its file, and the parts of a model.Spec as they come together.

From: reading.py, which knows the file. To: service.py and keys.py, which fill it.
"""

import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from supervisor.actions.compose.nodes import Node
from supervisor.errors import Mistake
from supervisor.facts import Json

ReadText = Callable[[str], str]
"""the text of a file that the compose file names, by absolute path; OSError or ValueError where it may not be read"""
ReadVariables = Callable[[str, bool], tuple[Mapping[str, str | None], list[Mistake]]]
"""the variables of an env_file, by absolute path; the flag: it must be there"""


@dataclass(slots=True)
class Around:
    """What a service's keys refer to."""

    file: str
    folder: str
    project: str
    home: str
    services: tuple[str, ...]
    networks: Mapping[str, Node]
    volumes: Mapping[str, Node]
    configs: Mapping[str, Node]
    secrets: Mapping[str, Node]
    read: ReadText
    variables: ReadVariables

    def path(self, text: str) -> str:
        """A path of the file as an absolute one."""
        if text == "~" or text.startswith("~/"):
            text = self.home + text[1:]
        return os.path.normpath(os.path.join(self.folder, text))


@dataclass(slots=True)
class Draft:
    """A service while it is read: the parts of a Spec."""

    around: Around
    node: Node
    config: Json = field(default_factory=dict)
    host: Json = field(default_factory=dict)
    rest: Json = field(default_factory=dict)
    exposed: dict[str, Json] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
