"""What `resurgam check` says of rules that load. Nothing here runs in the daemon.

`lint.py` and `lint_series.py` say what is probably wrong, `accepts.py` which Prometheus takes the file; `shape.py` is
what can be told of a result without any sample.
"""
