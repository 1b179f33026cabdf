"""What happened to a service, in the words of the journal.

The registry makes these; the core turns each into a journal row of the same kind. Every one carries a sentence.
"""

from dataclasses import dataclass, field

from supervisor import units
from supervisor.facts import Container, Json

_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    15: "SIGTERM",
    24: "SIGXCPU",
    31: "SIGSYS",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened at `at` (unix seconds). `kind` is a journal kind: container.* or drift.*"""

    kind: str
    service: str
    at: float
    data: Json = field(default_factory=dict)
    public: bool = True
    """evidence (log lines) is kept in the journal and not sent anywhere"""


def signal_name(number: int) -> str:
    """`SIGSEGV` of 11; `signal 64` of what has no common name; '' of 0."""
    return _SIGNALS.get(number, f"signal {number}" if number else "")


def about(container: Container) -> Json:
    """What every row about a container says of it."""
    return {
        "container": container.name,
        "id": container.id,
        "image": container.image_ref,
        "image_id": container.image_id,
    }


def exit_words(code: int | None) -> str:
    """`exit 139 (SIGSEGV)`, `exit 0`, or that nobody knows."""
    if code is None:
        return "an unknown exit code"
    name = signal_name(code - 128) if 128 < code <= 192 else ""
    return f"exit {code} ({name})" if name else f"exit {code}"


def death_text(service: str, code: int | None, uptime: float, streak: int, oom: bool) -> str:
    """One sentence about a death."""
    after = f" after {units.show_duration(uptime)}" if uptime > 0 else ""
    why = "; the kernel killed it for want of memory" if oom else ""
    again = f"; that is death {streak} in a row" if streak > 1 else ""
    return f"{service} died: {exit_words(code)}{after}{why}{again}."


def short(image_id: str) -> str:
    """An image id as people compare them."""
    return image_id.removeprefix("sha256:")[:12]
