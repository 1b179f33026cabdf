"""Why a rule gives what it gives (`resurgam explain`): its parts now, since when, what moved them, what comes next.

`reasons.py` is the door. It works on a rule as it stood at one instant (`case.py`) and a copy of the samples:
`gives.py` says what a part gives, `past.py` looks back, `ahead.py` onwards.
"""
