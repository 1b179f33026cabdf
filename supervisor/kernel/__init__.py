"""What the Linux kernel says and obeys through files: /proc, control groups, pressure, the kernel log.

Nothing here knows services, facts' meaning or the core. Everything takes a `Tree`, so that a simulated kernel
(lab/kernel) can stand in its place, below the very same code.
tree (files that stay open) · words (numbers out of them) · host (meminfo, vmstat, swaps, nodes) · groups (where a
container's control group is, and its memory) · hands (ports.Groups: freeze, fuse, reclaim, raise) · cache (drops page
cache) · pressure, watches (what the kernel tells by itself) · log (/dev/kmsg), oomlines.
"""
