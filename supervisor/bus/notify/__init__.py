"""Notifiers: how people are told apart from MQTT.

making.py makes them from the settings. notifier.py is the loop of one, with groups.py (which alerts are told together,
and when), watch.py (what is told only if nobody took it on, or nobody heard it) and place.py (what outlives a
restart). What is told is a message.py; webhook.py and apprise.py are the ways out (sending.py: what they share), and
template.py words it. alertmanager.py is the outlet to an Alertmanager, which works from the snapshot. checking.py is
what `resurgam check` asks.
"""

from supervisor.bus.notify.making import Teller, make, names
from supervisor.bus.notify.notifier import KINDS, Notifier

__all__ = ["KINDS", "Notifier", "Teller", "make", "names"]
