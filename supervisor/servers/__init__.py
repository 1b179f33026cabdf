"""The hands on model servers, one adapter each (implements ports.ModelServer): what they say, and their verbs.

From: maneuvers, the watch of slots, probes. To: the servers, over HTTP. A look never wakes, loads or disturbs anything.
"""
