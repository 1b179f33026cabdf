"""Asks services whether they are well, the way their owner declared it. One file per way of asking.

From: actions (probation) and watch.py (for ever), with the needs of a service and its container as it was last seen.
To: a ProbeResult.
A question that cannot be put at all (bad address, a tool or method that is not there, a name that does not resolve) is
*broken*: that says nothing about the service. Containers are hostile: every answer has a deadline and a bound, nothing
is followed, nothing is unpacked, and one that came from a container's label may only reach that container.
"""

from supervisor.signals.probes.prober import ServiceProber
from supervisor.signals.probes.watch import ProbeWatch

__all__ = ["ProbeWatch", "ServiceProber"]
