"""The front doors of slots: hold requests while a model is swapped, pass streams untouched, count what is in flight.

From: callers, over HTTP on the address of a slot; maneuvers, which hold and open a door (ports.Gate). To: the model
that holds the slot; the core, as Readings of the collector `gate`. Nothing is decided here.
"""

from supervisor.gate.doors import Gates

__all__ = ["Gates"]
