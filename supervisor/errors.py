"""The exceptions that one room raises and another one catches; those that stay in one room are made there.

ResurgamError
├── UsageError              the person asked for something that cannot be (exit 2)
│   └── ConfigError         a file is wrong; carries every mistake with its place
├── Refused                 policy says no; carries the Verdict (exit 3)
├── DaemonAbsent            no daemon answers at the control socket (exit 4)
├── AlreadyRunning          another daemon holds the state folder
├── JournalError            the journal cannot be written; nothing may be done
├── GroupError              the kernel refused something about a control group, or cannot do it here
├── HardwareError           the machine refused something beyond containers (a card's reset), or cannot do it here
├── ServerError             a model server refused a verb, or did not bring it about
├── EngineError             the engine refused a call
│   ├── EngineGone          it does not answer at all
│   ├── EngineTimeout       it answered too late; what it did is not known
│   ├── NotFound            no such container, image or network
│   └── Conflict            the name is taken, or the state forbids it
└── BrokerError             the broker refused or dropped a message
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ResurgamError(Exception):
    """Base of all; its text is one plain sentence for a person."""


class UsageError(ResurgamError):
    """The person asked for something that cannot be."""


_WRITTEN = re.compile(r"(.+?):(\d+):(\d+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in one file. `line` and `column` count from 1; 0 is 'the whole file'."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"

    @classmethod
    def read(cls, line: str, file: str) -> "Mistake":
        """The mistake that was written as `line`; one about the whole of `file` where it has no place."""
        match = _WRITTEN.fullmatch(line)
        return cls(match[1], int(match[2]), int(match[3]), match[4]) if match else cls(file, 0, 0, line)


class ConfigError(UsageError):
    """Files are wrong; all mistakes at once."""

    def __init__(self, mistakes: "Sequence[Mistake]") -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class Refused(ResurgamError):
    """Policy says no. `reason` is the value of a verdicts.Reason."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class DaemonAbsent(ResurgamError):
    """No daemon answers at the control socket."""


class AlreadyRunning(ResurgamError):
    """Another daemon holds the state folder."""


class JournalError(ResurgamError):
    """The journal cannot be written (disk full, read-only, corrupt). `full`: it may be for want of space, so letting
    go of the reserve may help."""

    def __init__(self, text: str, full: bool = False) -> None:
        self.full = full
        super().__init__(text)


class GroupError(ResurgamError):
    """The kernel refused something about a control group, or cannot do it here; the text names the cure."""


class HardwareError(ResurgamError):
    """The machine refused something beyond containers, or cannot do it here; the text names the cure."""


class ServerError(ResurgamError):
    """A model server refused a verb, does not know it, or did not bring it about."""


class EngineError(ResurgamError):
    """The engine refused a call; `status` is its HTTP status, 0 if there was none."""

    def __init__(self, text: str, status: int = 0) -> None:
        self.status = status
        super().__init__(text)


class EngineGone(EngineError):
    """The engine does not answer: socket missing, refused or closed."""


class EngineTimeout(EngineError):
    """No answer in time. The effect may or may not have happened: look before doing it again."""


class NotFound(EngineError):
    """No such container, image or network."""


class Conflict(EngineError):
    """The name is taken, or the object's state forbids it."""


class BrokerError(ResurgamError):
    """The broker refused, dropped or never acknowledged a message. `code` is the MQTT 5 reason code, 0 if none."""

    def __init__(self, text: str, code: int = 0) -> None:
        self.code = code
        super().__init__(text)

    @property
    def answered(self) -> bool:
        """The broker said no to this one thing, and the connection stands; else it is lost."""
        return self.code >= 0x80
