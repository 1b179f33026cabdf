"""What the answers of a described server mean: the state of a model, and what else is told of it. Pure.

From: generic.py, which asked. To: ServerLook, and the sentences of errors.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from supervisor import units
from supervisor.facts import Identity, ServerLook, SlotModel
from supervisor.servers import paths
from supervisor.servers.described import Question, Rule, Value

_EVERY = "*"


@dataclass(frozen=True, slots=True)
class Said:
    """What a server answered: `document` is its JSON, None where it sent none."""

    status: int
    text: str = ""
    document: Any = None


def words_of(model: SlotModel) -> dict[str, str]:
    """What the words in braces stand for."""
    return {"model": model.model or model.name, "level": str(model.sleep or 1), "each": "", "path": ""}


def named(model: SlotModel) -> str:
    """The model, in a sentence."""
    return units.plain(model.model or model.name, 100)


def address(path: str, query: Mapping[str, str], words: Mapping[str, str]) -> str:
    """A word in an address is one piece of it, whatever it holds."""
    made = paths.fill(path, {word: quote(value, safe="") for word, value in words.items()})
    return f"{made}?{urlencode({key: paths.fill(value, words) for key, value in query.items()})}" if query else made


def filled(body: Any, words: Mapping[str, str]) -> Any:
    """A body with the words in braces put in."""
    if isinstance(body, str):
        return paths.fill(body, words)
    if isinstance(body, dict):
        return {key: filled(value, words) for key, value in body.items()}
    return [filled(value, words) for value in body] if isinstance(body, list) else body


def applies(rule: Rule, said: Said, model: SlotModel, words: Mapping[str, str]) -> str:
    """The state that a rule tells; '' where it does not apply."""
    if rule.status is not None and rule.status != said.status:
        return ""
    if rule.says and rule.says.lower() not in said.text.lower():
        return ""
    if rule.of and (rule.of == "inside") != model.inside:
        return ""
    if rule.at is None:
        return rule.state or ""
    found = paths.find(said.document, rule.at, words) if said.status == 200 else []
    if rule.words is None:
        return (rule.state or "") if any(found) else ""
    there = [str(value) for value in found if isinstance(value, str | int | float)]
    for word, state in rule.words.items():
        if there and (word == _EVERY or paths.fill(word, words) in there):
            return state
    return "unknown" if there else ""


def values(question: Question, said: Said, words: Mapping[str, str]) -> dict[str, list[Any]]:
    """What an answer tells beside the state; what it does not tell is left out."""
    found = {name: _found(value, said, words) if said.status == 200 else [] for name, value in question.values.items()}
    return {name: values for name, values in found.items() if values}


def _found(value: Value, said: Said, words: Mapping[str, str]) -> list[Any]:
    every: list[Any] = []
    for path in value.at:
        found = paths.find(said.document, path, words)
        if not found:
            return []
        every += [value.words.get(str(one)) for one in found] if value.words is not None else found
    if value.factor != 1.0:
        return [number * value.factor for number in map(paths.number, every) if number is not None]
    return [one for one in every if one is not None]


def look(server: str, state: str, text: str, told: Mapping[str, list[Any]]) -> ServerLook:
    """All of it together."""
    loaded, busy, used = _plain(told, "loaded"), _sum(told.get("in_flight")), _sum(told.get("used"))
    context = _sum(told.get("context", [])[:1])
    return ServerLook(
        state,
        units.plain(text, 300),
        server,
        Identity(
            _first(told, "model"),
            _plain(told, "aliases"),
            int(context) if context is not None and context > 0 else 0,
            _first(told, "build"),
            _first(told, "path"),
        ),
        tuple(dict.fromkeys(loaded)),
        _clamped(_sum(told.get("progress"))),
        int(busy) if busy is not None and busy >= 0 else None,
        max(0.0, _sum(told.get("memory")) or 0.0),
        max(0.0, _sum(told.get("vram")) or 0.0),
        used if used is not None and used >= 0 else -1.0,
    )


def _sum(values: list[Any] | None) -> float | None:
    numbers = [number for number in map(paths.number, values or ()) if number is not None]
    return math.fsum(numbers) if numbers else None


def _clamped(progress: float | None) -> float:
    return -1.0 if progress is None else min(1.0, max(0.0, progress))


def _first(told: Mapping[str, list[Any]], name: str) -> str:
    return next(iter(_plain(told, name)), "")


def _plain(told: Mapping[str, list[Any]], name: str) -> tuple[str, ...]:
    """What a server calls things may hold anything: it is shown to people."""
    return tuple(units.plain(text, 500) for text in paths.texts(told.get(name, [])))


def message(said: Said) -> str:
    """What a server says in an answer that is well, short; '' for nothing."""
    if isinstance(said.document, dict):
        for key in ("message", "status"):
            if isinstance(said.document.get(key), str):
                return units.plain(said.document[key], 200)
    return ""


def error(said: Said) -> str:
    """What an answer says of an error, whatever its status: LM Studio answers 200 to what it does not know."""
    found = said.document.get("error") if isinstance(said.document, dict) else None
    if isinstance(found, dict):
        found = found.get("message") or found.get("type") or "error"
    return units.plain(str(found), 200) if found else ""


def short(said: Said) -> str:
    """An answer in a few words, for a sentence."""
    words = error(said) or said.text
    if isinstance(said.document, dict) and not error(said):
        other = said.document.get("detail") or said.document.get("message")
        words = other if isinstance(other, str) else json.dumps(said.document)
    return units.mask(units.plain(f"{said.status} {' '.join(words.split())}".strip(), 200))
