"""What the machine says of its memory: readings, more often as less is left, and what the kernel tells by itself.

From: supervisor/kernel. To: the core, as Readings of the collector `host` (with facts.HostReading in it) and OomSeen.
"""
