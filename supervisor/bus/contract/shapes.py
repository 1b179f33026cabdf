"""What all messages are spelt with: the base of every model, and the small types.

Used by the other files of this room. `extra="forbid"`: a key that a model does not know is a mistake in one of the two.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from supervisor.verdicts import Reason


class Shape(BaseModel):
    """Part of a message. A field with a default may be absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$",
        json_schema_extra={"format": "date-time"},
        description="RFC 3339 in UTC; 0001-01-01T00:00:00Z for none",
    ),
]
Number = float | Literal["NaN", "+Inf", "-Inf"]
"""a number, or what JSON has no number for, as Prometheus writes it"""
Labels = dict[str, str]
Severity = Literal["critical", "warning", "info"]
Count = Annotated[int, Field(ge=0)]
Node = Annotated[str, Field(min_length=1, max_length=64, description="the machine, by its node id")]
Why = Reason | Literal[""]
"""a reason machines can read; empty for none"""


class Told(Shape):
    """What every event has."""

    text: str
    """one sentence for a person"""
    trimmed: str = ""
    """there where the event was too long for one message, with what was cut"""


class Trimmed(Shape):
    """What is left of an event whose data could not be cut to 64 kB otherwise."""

    trimmed: str
    text: str = ""
