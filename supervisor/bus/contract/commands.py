"""Commands and their answers: `cmd/<principal>/<verb>` and `reply/<principal>/<verb>`. Read and written by
bus/commands, whose bounds these are; a test holds both together.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from supervisor.bus.commands.envelope import LARGEST_REV, LATEST, LONGEST_ID, LONGEST_TARGET, MOST_PARAMS
from supervisor.bus.contract.shapes import Shape, Time, Why

Ident = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Seconds = Annotated[float, Field(ge=0, le=LATEST)]


class Command(Shape):
    """What somebody asks for: at most 4096 bytes of JSON, never retained. It needs an `id` or a `transaction`."""

    id: Ident | None = None
    """a new one for each command: each counts once, over restarts, too; a repeat gets the first answer"""
    transaction: Ident | None = None
    """the same, as zigbee2mqtt calls it; goes back with the answer"""
    target: Annotated[str, Field(max_length=LONGEST_TARGET)] | None = None
    """what it is done to: a service, a slot, `*`, a question, an incident, matchers"""
    params: Annotated[dict[str, str], Field(max_length=MOST_PARAMS)] | None = None
    at: Seconds | None = None
    """unix seconds at which it was given; more than a minute away from now it is refused"""
    exp: Seconds | None = None
    """unix seconds after which it is refused"""
    if_rev: Annotated[int, Field(ge=0, le=LARGEST_REV)] | None = None
    """the newest event about the target that was seen: refused where there is a newer one"""
    aud: str | None = None
    """the box it is meant for; refused by any other"""
    sig: str | None = None
    """HMAC-SHA256 of the canonical text with the principal's key, 64 hex digits"""

    @model_validator(mode="after")
    def _has_an_id(self) -> Self:
        if self.id is None and self.transaction is None:
            raise ValueError("a command has an `id` (or a `transaction`)")
        return self


class Decided(Shape):
    """What was decided, and why."""

    at: Time
    verb: str
    target: str
    params: dict[str, str]
    by: str
    cause: str
    incident: str
    allowed: bool
    reason: Why
    text: str
    plan: int
    """the plan that was opened; 0 for none"""
    rollout: int
    rev: int = 0
    """the present revision, where the command had an `if_rev`"""
    approval: str = ""
    """the question that waits for a second word, like `ap-3`"""
    first: int = Field(default=0, alias="from")
    """of a replay: the first `seq` that was asked for"""
    to: int = 0
    """how far it was told"""
    sent: int = 0
    """how many events came"""
    next: int | None = None
    """where to go on; none at the end"""
    oldest: int = 0
    """`seq` of the oldest event there is"""
    last: int = 0
    """`seq` of the newest"""
    epoch: str = ""


class Reply(Shape):
    """The answer."""

    id: str
    """that of the command; empty where it could not be read"""
    transaction: str = ""
    status: Literal["ok", "error"]
    data: Decided
    error: str = ""
    """why not; only where `status` is error"""
