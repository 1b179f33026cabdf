"""The bus: everything that tells people and other machines, and hears them. The core never waits for any of it.

Rows and snapshots come from the core, committed; `telling.py` wires the rooms and hands them in. Out, in this order:
`messages.py` (a row as an event) and `state.py` (a snapshot as retained documents) say what is told, `delivery/` brings
it to the broker without losing any, `link/` speaks MQTT; `vanished.py` clears what is no more (`told.py` remembers what
the broker has). In: `inbox.py` hands what arrives to its listeners, of which `commands/` is the one that lets others
command.

Which broker: `broker.py`; one of our own: `managed/`. Who we are among many: `identity.py`, `twins.py`, `fleet.py`.
Beside the broker: `notify/` (webhooks, chat, mail), `homeassistant/`, `systemd.py`. For those who write a client, or
look for a fault: `contract/` (the AsyncAPI document) and `doctor/`.
"""
