"""Home Assistant: its devices and entities appear by themselves (MQTT discovery, device-based).

Read in this order: names (ids that last), templates (how it reads us and commands us), entities (what all have in
common), host and service (the devices), devices (the messages), birth (it was started), switch (its switch), room (all
of it, for bus/telling.py).
"""

from supervisor.bus.homeassistant.room import HomeAssistant

__all__ = ["HomeAssistant"]
