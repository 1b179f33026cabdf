"""Small readings of raw engine JSON that every file of this room needs. Pure."""

import re

from supervisor.facts import Json

SHORT_ID = re.compile(r"[0-9a-f]{12}")
LONG_ID = re.compile(r"[0-9a-f]{64}")


def part(raw: Json, key: str) -> Json:
    """The JSON object under a key; an empty one where there is none, or something else."""
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def items(raw: Json, key: str) -> list[object]:
    """The list under a key; an empty one where there is none, or something else."""
    found = raw.get(key)
    return list(found) if isinstance(found, list | tuple) else []


def name_of(raw: Json) -> str:
    """A container's name without the engine's slash."""
    return str(raw.get("Name") or "").removeprefix("/")


def variable(pair: object) -> tuple[str, str]:
    """(name, value) of one `NAME=value`."""
    name, _, value = str(pair).partition("=")
    return name, value


def variables(pairs: object) -> dict[str, str]:
    """name -> value of a list of `NAME=value`; the last one wins, as it does in a process."""
    return dict(variable(pair) for pair in pairs) if isinstance(pairs, list | tuple) else {}


def bind(text: str) -> tuple[str, str, str]:
    """(source, target, options) of a `source:target[:options]`; ('', target, '') of a path alone."""
    source, colon, rest = text.partition(":")
    if not colon:
        return "", source, ""
    target, _, options = rest.partition(":")
    return source, target, options
