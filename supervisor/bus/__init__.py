"""Telling: by MQTT (broker.py chooses, pump.py publishes, messages.py and state.py render) and by notifiers (notify/).

Rows and snapshots come from the core; nothing here is ever waited for by it.
"""
