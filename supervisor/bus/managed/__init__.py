"""A mosquitto of our own: found (program), configured (configuration, users, gateway), run (process) and connected to.

`bus/broker.py` makes it where `mqtt.url` is `auto`; `resurgam bus` adds users and serves it as a unit of its own.
"""

from supervisor.bus.managed.connection import Managed, Patience
from supervisor.bus.managed.process import Mosquitto
from supervisor.bus.managed.program import find

__all__ = ["Managed", "Mosquitto", "Patience", "find"]
