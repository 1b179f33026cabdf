"""Quiesce: a service is stopped so that nobody has its card open, and kept down until the card is well.

The stop is the everyday one (stop.py: the engine's own, its grace, the restart policy taken). That it is started again
by itself then stands in what is wanted of it (core/quiesced.py), durable before anything is stopped.
"""

from dataclasses import replace

from supervisor.actions import stop
from supervisor.actions.hand import Ending, Hand
from supervisor.verdicts import Reason, yes


async def run(hand: Hand) -> Ending:
    """Do it, or go on with it."""
    ending = await stop.run(hand)
    if ending.outcome.reason is not Reason.VERIFIED:
        return ending
    text = f"{hand.plan.service} is stopped until its GPU is well, and is started again by itself then."
    return replace(ending, outcome=yes(text, Reason.VERIFIED))
