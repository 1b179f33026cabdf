"""Facts and snapshots as JSON, and back.

Used wherever a frozen dataclass of facts goes into the journal or is shown: `dump` makes plain JSON, `load` makes the
dataclass again, in this or a later version. Keys that this version does not know are ignored; missing ones take their
defaults.
"""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from supervisor.errors import JournalError
from supervisor.facts import Json

T = TypeVar("T")


def dump(value: Any) -> Json:
    """A frozen dataclass as JSON; enums as their values, tuples as lists."""
    found: Json = _adapter(type(value)).dump_python(value, mode="json")
    return found


def load(kind: type[T], value: Json) -> T:
    """The dataclass that `dump` made this JSON from. JournalError where it cannot be one."""
    try:
        found: T = _adapter(kind).validate_python(value)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise JournalError(f"A {kind.__name__} in the journal cannot be read: {where}: {first['msg']}") from None
    return found


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    found = _ADAPTERS.get(kind)
    if found is None:
        found = _ADAPTERS[kind] = TypeAdapter(kind)
    return found
