"""Resurgam: signals -> samples -> rules -> incidents -> actions -> bus, web. Read daemon.py first."""

__version__ = "0.1.0"
