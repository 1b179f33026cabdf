"""The only decider: facts come in, one durable transaction per turn comes out, then the effects are released.

`lanes` is the queue, `decider` decides on one fact after another without a single await, `admission` turns decisions
into plans and answers the runner, `commands` answers people, `turn` is the loop around them.
"""

from supervisor.core.turn import Core, Effects

__all__ = ["Core", "Effects"]
