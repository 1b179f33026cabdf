"""`resurgam bus doctor` and `bus purge`: what is with the broker (looking), what that means (judging), clearing up.

Works without a daemon: it connects as the daemon would, under a client id of its own and without a last will.
"""

from supervisor.bus.doctor.judging import Finding, judge
from supervisor.bus.doctor.looking import House, Seen, look, look_at_kept
from supervisor.bus.doctor.purging import clear, everything, leftovers

__all__ = ["Finding", "House", "Seen", "clear", "everything", "judge", "leftovers", "look", "look_at_kept"]
