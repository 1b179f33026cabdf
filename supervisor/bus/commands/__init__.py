"""Commands over the message bus: `resurgam/<host>/cmd/<principal>/<verb>`, for those that `commands:` names.

Read in this order: envelope (what a command is), signature (who said it), gate (what is refused at the door), purses
(how much each may say), listener (from a message to the answer). What is decided about it: `core/mail.py`. The same for
others to read, as a schema: `bus/contract/commands.py`.
"""

from supervisor.bus.commands.envelope import Envelope, read
from supervisor.bus.commands.gate import Gate, Ruling
from supervisor.bus.commands.listener import Commands, EdgeVerb
from supervisor.bus.commands.purses import BURST, REFILL
from supervisor.bus.commands.signature import Keys, canonical, sign

__all__ = [
    "BURST",
    "REFILL",
    "Commands",
    "EdgeVerb",
    "Envelope",
    "Gate",
    "Keys",
    "Ruling",
    "canonical",
    "read",
    "sign",
]
