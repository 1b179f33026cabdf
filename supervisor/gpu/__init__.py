"""What GPUs mean: cards and who they are meant for, the budget of their memory, faults and their episodes. Pure.

From: facts.GpuReading and facts.XidSeen, by core/gpu.py. To: facts.GpuState, verdicts for the guard, samples.
"""
