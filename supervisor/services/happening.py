"""What happened to a service, in the words of the journal.

The registry makes these; the core turns each into a journal row of the same kind. Every one carries a sentence.
"""

from dataclasses import dataclass, field

from supervisor import units
from supervisor.facts import Container, Json


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened at `at` (unix seconds). `kind` is a journal kind: container.* or drift.*"""

    kind: str
    service: str
    at: float
    data: Json = field(default_factory=dict)
    public: bool = True
    """evidence (log lines) is kept in the journal and not sent anywhere"""


def about(container: Container) -> Json:
    """What every row about a container says of it."""
    return {
        "container": container.name,
        "id": container.id,
        "image": container.image_ref,
        "image_id": container.image_id,
    }


def death_text(service: str, code: int | None, uptime: float, streak: int, oom: str) -> str:
    """One sentence about a death. `oom`: what a kill for want of memory had to do with it; '' for nothing."""
    after = f" after {units.show_duration(uptime)}" if uptime > 0 else ""
    why = f"; {oom}" if oom else ""
    again = f"; that is death {streak} in a row" if streak > 1 else ""
    return f"{service} died: {units.exit_words(code)}{after}{why}{again}."
