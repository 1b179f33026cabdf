"""What the machine says of its memory: readings, more often as less is left, and what the kernel tells by itself.

From: supervisor/kernel. To: the core, as Readings of the collector `host` (with facts.HostReading in it) and OomSeen.
watch looks: at the machine (kernel/host, or mac) and at every container (groups), as often as pace says; series are its
samples. edges waits for the kernel's own word, with sources that each stand or fall alone: levels (memory gets scarce)
and kills (somebody died of it). An edge wakes the watch.
"""
