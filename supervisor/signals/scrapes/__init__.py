"""Prometheus text that others offer, read into our own samples: over HTTP, and from a folder of files.

From: `scrape:`, a service's `metrics`, `textfile:`. To: Readings, one collector per target, with `up` and staleness as
a Prometheus has them.
"""
