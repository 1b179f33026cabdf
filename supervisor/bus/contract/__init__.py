"""The contract: a model of every message on the bus, and the AsyncAPI document made from them.

The messages are rendered by messages.py and state.py from what the core and the views give; nothing here is on their
way. `resurgam export asyncapi` prints the document, and tests hold real traffic against the models, so that what is
promised and what is sent cannot drift apart.
"""
