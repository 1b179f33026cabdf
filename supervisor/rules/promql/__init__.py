"""The rule language: PromQL on float samples, as Prometheus 3 means it.

`lexer.py` and `parse.py` make a tree (`nodes.py`) of a text; `evaluate.py` gives its value at one instant from the
samples, with `operators.py`, `aggregate.py` and `functions/`; `schedule.py` tells when the value can change next.
Everything here is a pure function of its arguments.
"""
