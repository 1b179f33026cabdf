"""Which files belong to a model: the parts of one that was split, and those of a folder. Pure, over names.

From: local.py with the names in a folder, remote.py with an address. To: the names there should be. Split files are
called `NAME-00001-of-00018.gguf`, counted from 1.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from supervisor.weights.header import BadHeader

INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
MOST_PARTS = 4_096
_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})(?P<suffix>\.gguf|\.safetensors)", re.DOTALL)
_UNFINISHED = (".aria2", ".part", ".partial", ".incomplete", ".download", ".crdownload", ".tmp")
_LISTED = 4
"""models in a folder of which all parts are named"""
_BESIDE = ("mmproj", "imatrix")
"""what is no model of its own begins with these"""


@dataclass(frozen=True, slots=True)
class Part:
    """What a name says about it being a part."""

    stem: str
    number: int
    parts: int
    suffix: str

    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(
            f"{self.stem}-{number:05d}-of-{self.parts:05d}{self.suffix}" for number in range(1, self.parts + 1)
        )


def part_of(name: str) -> Part | None:
    """What a file's name says, None where it is a file of its own. BadHeader for more parts than any model has."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    parts = int(match["parts"])
    if not 0 < parts <= MOST_PARTS:
        raise BadHeader(f"would be one of {parts} parts, which no model has")
    return Part(match["stem"], int(match["part"]), parts, match["suffix"])


def models_in(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The models among the names in a folder, each with all the names it should have: a safetensors model is the whole
    folder; each GGUF file that is no part is one, and so are all parts of one stem."""
    known = sorted(names)
    tensors = tuple(name for name in known if name.endswith(".safetensors"))
    if tensors:
        return (_complete(tensors),)
    groups: dict[str, tuple[str, ...]] = {}
    for name in known:
        if name.endswith(".gguf") and not name.lower().startswith(_BESIDE):
            part = part_of(name)
            stem = part.stem if part is not None else name
            if stem not in groups:  # of many models only the first names are shown
                groups[stem] = part.names() if part is not None and len(groups) < _LISTED else (name,)
    return tuple(groups.values())


def _complete(names: tuple[str, ...]) -> tuple[str, ...]:
    """With the parts that a split one lacks."""
    found: dict[str, None] = {}
    for name in names:
        part = part_of(name)
        found.update(dict.fromkeys(part.names() if part is not None else (name,)))
        if len(found) > MOST_PARTS:
            raise BadHeader(f"comes to more than {MOST_PARTS} files")
    return tuple(found)


def unfinished(names: Iterable[str], wanted: Iterable[str]) -> str:
    """The name of a file that shows that one of `wanted` is still being downloaded; '' for none."""
    signs = {f"{name}{suffix}": None for name in wanted for suffix in _UNFINISHED}
    return next((name for name in sorted(names) if name in signs), "")
