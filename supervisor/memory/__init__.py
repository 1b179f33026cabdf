"""What memory means: who is to need how much, who takes how much, until when it lasts, and who is to blame. Pure.

From: facts.HostReading and facts.Service, handed in by core/memory.py with the time. To: facts.MemoryBudget, and the
series that rules read. Nothing here reads a clock or a file.
budget (plans, sums, whether one more fits) · learned (plans that nobody declared) · foresight (one reading after
another) of trend (what the readings were, and their slopes), forecast (until when it lasts) and culprit (who is to
blame, in one sentence) · series (for rules) · words (sizes as people declare them).
"""
