"""The command line: one file per command; `client.py` is the only door to a running daemon."""
