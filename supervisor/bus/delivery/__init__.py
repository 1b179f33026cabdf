"""A message's way out: from a row of the journal to a broker that has acknowledged it. Nothing is lost on the way.

In the order a message takes it:

1. `outbox.py`: which rows still wait, by seq, and the mark each gets in the journal's delivery table.
2. `flow.py`: is this one told by itself, or do too many come at once? Then `piles.py` counts them into one digest row.
3. `sending.py`: a window of 16 in flight, in order; a row is marked once the broker has it.
4. `posting.py`: beside the events, the retained documents (bus/state.py and the boards) and the `watermark.py`, by
   which a listener sees that it missed something.

`pump.py` holds it together: it connects, runs 3 and 4, and tries again when the line (`line.py`) breaks. `keeping.py`
runs whether a broker is there or not: after an outage `catchup.py` tells what is old in one digest, `shedding.py` gives
up the least of it when too much waits (both read the `backlog.py` through a `sift.py`), and `reporting.py` tells the
core how all this is, with the critical alerts that nobody heard (`hearing.py`).
"""
