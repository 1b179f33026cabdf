"""The envelope of every event: CloudEvents 1.0 in structured JSON, as bus/messages.py renders it."""

from typing import Any, Literal

from pydantic import Field, SerializeAsAny, create_model

from supervisor.bus.contract.events import DATA
from supervisor.bus.contract.shapes import Count, Severity, Shape, Time, Trimmed


class Envelope(Shape):
    """An event. Drop repeats by `id`; there is a gap where `prior` is not the last `seq` you have."""

    specversion: Literal["1.0"]
    id: str = Field(pattern=r"^.+-\d+$")
    """`<epoch>-<seq>`"""
    source: str = Field(pattern=r"^/resurgam/")
    type: str
    time: Time
    subject: str
    """the service, `slot:NAME`, `host` or `daemon`; of a card `gpu:UUID`"""
    datacontenttype: Literal["application/json"]
    epoch: str
    """the journal's life: `seq` counts within it"""
    seq: Count
    prior: Count
    """`seq` of the event before this one; 0 where there is none"""
    host: str
    severity: Severity
    data: SerializeAsAny[Shape]


def _event(kind: str, shapes: tuple[type[Shape], ...]) -> type[Envelope]:
    """The model of one kind's events."""
    data: Any = shapes[0]
    for other in (*shapes[1:], Trimmed):
        data |= other
    kept: Any = Literal[f"resurgam.{kind}"]
    fields: dict[str, Any] = {"type": (kept, ...), "data": (data, ...)}
    name = "".join(word.capitalize() for word in kind.replace("_", ".").split("."))
    return create_model(name, __base__=Envelope, __module__=__name__, __doc__=f"`resurgam.{kind}`", **fields)


EVENTS: dict[str, type[Envelope]] = {kind: _event(kind, shapes) for kind, shapes in DATA.items()}
"""kind -> the model of its message"""
