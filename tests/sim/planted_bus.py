"""Bugs planted in what comes over the bus: commands, second words, alerts from outside.

From: planted.py, whose table names them. Each function is one patch; its docstring is what people read.
"""

from typing import Any
from unittest.mock import patch

from supervisor.bus.delivery.flow import Flow
from supervisor.bus.messages import severity
from supervisor.core import second_word
from supervisor.core.mail import Mail
from supervisor.core.outside import Outsiders
from supervisor.incidents.binding import Action


def command_obeyed_twice() -> Any:
    """Which commands of the bus were obeyed is forgotten at a start: who repeats one has it done again."""
    init = Mail.__init__

    def forgetful(self: Mail, _kept: Any) -> None:
        init(self, {})

    return patch.object(Mail, "__init__", forgetful)


def word_from_the_asker() -> Any:
    """Whoever asks for something without a signature may say the second word too."""
    return patch.object(second_word, "own", lambda *_given: False)


def no_second_word() -> Any:
    """A command that disturbs is obeyed without a signature and without a second word."""
    return patch.object(second_word, "needed", lambda *_given: None)


def outside_obeyed() -> Any:
    """An alert from outside has its arguments obeyed: it chooses the verb's target and image."""
    return patch.object(Action, "bare", property(lambda _self: True))


def outside_forgotten() -> Any:
    """Alerts from outside are forgotten at a start: their end is lost, or they fire twice."""
    init = Outsiders.__init__

    def forgetful(self: Outsiders, _kept: Any) -> None:
        init(self, {})

    return patch.object(Outsiders, "__init__", forgetful)


def ends_swallowed() -> Any:
    """A flood's digest swallows the end of an alert whose beginning people were told."""
    return patch.object(Flow, "_must", lambda _self, row: severity(row) == "critical")
