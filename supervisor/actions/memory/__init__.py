"""Maneuvers for the memory of a running container: what is cheap first, and nothing that kills.

giving (unload, drop-cache, reclaim) · holding (freeze, thaw, fuse, unfuse: they end by themselves, core/holds.py) ·
limits (raise-limit) · looking (what all of them do first, and how they tell what came of it) · preview (the same, only
said) · loosen (before a stop) · absent (a machine without control groups). All act through ports.Groups: nothing is
forked, no engine is asked to act.
"""
