"""Which models a server has in memory, by its own word: what the lists of servers that load by themselves mean. Pure.

From: probes, which ask such servers for ever and may only ask what is in memory; each list is read at an address that
neither wakes nor loads anything (measured, or read in the servers' sources). llama.py and finding.py share its words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import Json
from supervisor.servers.asking import message
from supervisor.servers.ollama import PS

Entry = Mapping[str, object]
LOADED = ("loaded", "ready")
"""words for a model in memory"""


@dataclass(frozen=True, slots=True)
class Resident:
    """`models`: those in memory. `mixed`: they are of every kind, so one that completes text must be named."""

    models: Sequence[Entry] = ()
    mixed: bool = False
    asleep: str = ""
    """why none may be asked now, though one is there; '' for no reason"""
    unknown: str = ""
    """the end of a sentence: it does not say which are loaded; '' where it does"""


@dataclass(frozen=True, slots=True)
class Keeper:
    """A server that loads models by itself. `read`: what its answer (status, document) at `path` means; None where it
    is another server."""

    path: str
    read: Callable[[int, Json], Resident | None]


def listing(data: Mapping[str, object], key: str = "data") -> list[Entry]:
    """The entries of a list in an answer, those that are none left out."""
    found = data.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text_in(entry: Mapping[str, object], key: str) -> str:
    """A short text in an answer; '' where it is none."""
    found = entry.get(key)
    return found[:500] if isinstance(found, str) else ""


def name(entry: Entry) -> str:
    """What it is called."""
    return text_in(entry, "id") or text_in(entry, "model") or text_in(entry, "name")


def aliases(entry: Entry) -> tuple[str, ...]:
    """What else it is called."""
    found = entry.get("aliases")
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def status(entry: Entry) -> str:
    """A llama.cpp router's word for a model it lists; '' where it is no router."""
    found = entry.get("status")
    return text_in(found, "value") if isinstance(found, dict) else ""


def owner(listed: Sequence[Entry]) -> str:
    """Whose list of models it is, in small letters; '' where it does not say."""
    return text_in(listed[0], "owned_by").lower() if listed else ""


# ------------------------------------------------------------ each of them


def _llama_swap(code: int, data: Json) -> Resident | None:
    if code != 200 or not isinstance(data.get("running"), list):
        return None
    found = [one for one in listing(data, "running") if text_in(one, "state") in ("", *LOADED)]
    for one in found:
        ttl = one.get("ttl")
        if isinstance(ttl, int | float) and ttl > 0:
            took = units.show_duration(float(ttl))
            why = f"{name(one)} is loaded, and a question would keep it so for longer than its ttl ({took})"
            return Resident(found, asleep=why)
    return Resident(found)


def _lm_studio(code: int, data: Json) -> Resident | None:
    found = listing(data)
    if code != 200 or not any("state" in one for one in found):
        return None
    kinds = ("", "llm", "vlm")
    return Resident([one for one in found if text_in(one, "state") in LOADED and text_in(one, "type") in kinds])


def _ollama(code: int, data: Json) -> Resident | None:
    if code != 200 or not isinstance(data.get("models"), list):
        return None
    return Resident([one for one in listing(data, "models") if "bert" not in _family(one)])


def _tabby(code: int, data: Json) -> Resident | None:
    if code == 200 and text_in(data, "id") and text_in(data, "object") in ("", "model"):
        return Resident([data])
    return Resident() if code in (400, 503) and "models are currently loaded" in message(data) else None


def _localai(code: int, data: Json) -> Resident | None:
    if code != 200 or not isinstance(data.get("backends"), list):
        return None
    if not isinstance(data.get("loaded_models"), list):
        return Resident(unknown="this LocalAI does not say which of its models are loaded")
    return Resident(listing(data, "loaded_models"), mixed=True)


def _vllm_mlx(code: int, data: Json) -> Resident | None:
    manager = data.get("model_manager")
    if code != 200 or not isinstance(manager, dict):
        return None
    return Resident([one for one in listing(manager, "models") if one.get("loaded") is True])


def _family(entry: Entry) -> str:
    found = entry.get("details")
    return text_in(found, "family").lower() if isinstance(found, dict) else ""


KEEPERS = (
    Keeper("/running", _llama_swap),
    Keeper("/api/v0/models", _lm_studio),
    Keeper(PS, _ollama),
    Keeper("/v1/model", _tabby),
    Keeper("/system", _localai),
    Keeper("/v1/status", _vllm_mlx),
)
"""those that load models by themselves, in the order in which they are told apart"""
