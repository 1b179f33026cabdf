"""The rule language: PromQL on float samples, as Prometheus 3 means it.

`lexer.py` and `parse.py` make a tree (`nodes.py`) of a text; `evaluate.py` gives its value at one instant from the
samples and notes when it can change next, with `operators.py`, `aggregate.py` and `functions/`; `schedule.py` tells
how far back an expression looks.
Everything here is a pure function of its arguments.
"""
