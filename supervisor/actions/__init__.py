"""What we do: plans, the runner that takes their steps, recovery, one file per maneuver.

Read plans.py first (from a decision to a plan), then runner.py, hand.py (what every maneuver may use), then a
maneuver: stop.py is the shortest, phoenix.py the longest. Plans come from the core; every step asks it for permission
and reports back to it as a fact.
"""
