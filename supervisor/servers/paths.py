"""A tiny language for where a value stands in an answer: `models[key={model}].loaded_instances[*].id`. Pure.

From: the descriptions of servers (data/*.yaml), read once. To: generic.py, which looks into what a server said. There
is nothing to evaluate in it: names, places, and entries told apart by one of their values.

- `a.b`: the key b of the key a; names may hold anything but dots and brackets
- `a[0]`, `a[*]`: one entry of a list, or every entry of a list or mapping
- `a[id={model}]`, `a[id|name={model}]`: the entries of a list in which one of these keys is, or holds, that value
- `[name={model}].state`: the answer itself is a list
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST = 1_000
"""values that one path may find; a server's answer may be of any size"""
LONGEST = 200
_NAME = r"[^.\[\]{}]+"
_STEP = re.compile(rf"\.?(?P<name>{_NAME})|\[(?P<place>\d{{1,6}}|\*)\]|\[(?P<keys>[\w|-]+)=(?P<value>[^\[\]]+)\]")
_WORD = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class _Step:
    """One of: a name, a place (-1: every one), or keys that are to have a value."""

    name: str = ""
    place: int | None = None
    keys: tuple[str, ...] = ()
    value: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """One path, taken apart."""

    text: str
    steps: tuple[_Step, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words in braces that must be given to `find`."""
        return tuple(word for step in self.steps for word in _WORD.findall(step.value))


def parse(text: str) -> Path:
    """A path; ValueError, a sentence, where it is none."""
    if not text or len(text) > LONGEST:
        raise ValueError(f"{text[:40]!r} is not a path; write it like models[id={{model}}].state")
    steps: list[_Step] = []
    place = 0
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None or (found[0].startswith(".") != (bool(steps) and found["name"] is not None)):
            raise ValueError(f"{text!r} is not a path: {text[place : place + 20]!r} cannot be read")
        if found["name"] is not None:
            steps.append(_Step(name=found["name"]))
        elif found["place"] is not None:
            steps.append(_Step(place=-1 if found["place"] == "*" else int(found["place"])))
        else:
            steps.append(_Step(keys=tuple(found["keys"].split("|")), value=found["value"]))
        place = found.end()
    return Path(text, tuple(steps))


def find(document: Any, path: Path, words: Mapping[str, str]) -> list[Any]:
    """Every value there, in the answer's own order; empty where it says nothing there."""
    here = [document]
    for step in path.steps:
        beyond: list[Any] = []
        for value in here:
            beyond += _under(value, step, words)
            if len(beyond) >= MOST:
                break
        here = beyond[:MOST]
    return [value for value in here if value is not None]


def fill(text: str, words: Mapping[str, str]) -> str:
    """The text with the words in braces put in, those that are not given left as they are; nothing is put in twice."""
    return _WORD.sub(lambda found: words.get(found[1], found[0]), text)


def texts(values: list[Any]) -> tuple[str, ...]:
    """Those that are texts, lists of texts unfolded, each bounded."""
    flat = [one for value in values for one in (value if isinstance(value, list) else (value,))]
    return tuple([one[:500] for one in flat if isinstance(one, str) and one][:MOST])


def number(value: Any) -> float | None:
    """A finite number, also one that is written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        made = float(value)
    except (ValueError, OverflowError):
        return None
    return made if -1e18 < made < 1e18 else None


def _under(value: Any, step: _Step, words: Mapping[str, str]) -> list[Any]:
    if step.name:
        return [value[step.name]] if isinstance(value, dict) and step.name in value else []
    entries = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if step.place is not None:
        if step.place < 0:
            return entries[:MOST]
        return [value[step.place]] if isinstance(value, list) and step.place < len(value) else []
    wanted = fill(step.value, words)
    return [one for one in entries if isinstance(one, dict) and any(_is(one.get(key), wanted) for key in step.keys)]


def _is(found: Any, wanted: str) -> bool:
    if isinstance(found, list):
        return wanted in [one for one in found if isinstance(one, str)]
    if isinstance(found, bool):
        return wanted == str(found).lower()
    return isinstance(found, str | int | float) and str(found) == wanted
