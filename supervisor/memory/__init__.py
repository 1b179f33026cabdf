"""What memory means: who is to need how much, who takes how much, until when it lasts, and who is to blame. Pure.

From: facts.HostReading and facts.Service, handed in by the core with the time. To: facts.MemoryBudget, and the series
that rules read. Nothing here reads a clock or a file.
"""
