"""What the Linux kernel says and obeys through files: /proc, control groups, pressure, the kernel log.

Nothing here knows services, facts' meaning or the core. What reads and writes takes a `Tree`, so that a simulated
kernel (lab/kernel) can stand in its place, below the very same code; what is told needs the real one.
Read: tree (files that stay open) · words (numbers out of them) · host (meminfo, vmstat, swaps, nodes) · groups (where a
container's control group is, and its memory).
Told: watches (files that tell by themselves) · pressure (stall triggers) · log (/dev/kmsg) · oomlines (its lines about
kills, understood).
Written: hands (ports.Groups: freeze, fuse, reclaim, raise) · aside (what may block) · cache (drops page cache).
"""
