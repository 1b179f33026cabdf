"""What a question to a service came to, before it is timed, and the words that several ways of asking share."""

from dataclasses import dataclass

from supervisor.errors import ResurgamError


@dataclass(frozen=True, slots=True)
class Answer:
    """`broken`: the question could not be put, which says nothing about the service. `rate`: tokens per second."""

    ok: bool
    text: str
    broken: bool = False
    rate: float = 0.0


class CannotAsk(ResurgamError):
    """The probe itself cannot work: the message says why, and what to declare instead."""


class Unwell(ResurgamError):
    """The service was asked and is not well: the message is what it said."""


class Asleep(ResurgamError):
    """Its model is not in memory and is not put there for a question: the message is what the server says of it."""
