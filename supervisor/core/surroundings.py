"""The world as the guard and the incident book see it: put together from everything the decider knows.

From: decider.py. To: incidents, as one frozen value per look.
"""

from typing import TYPE_CHECKING

from supervisor.incidents import World

if TYPE_CHECKING:
    from supervisor.core.decider import Decider


def world_of(core: "Decider") -> World:
    """How everything stands now."""
    standing, asking = core.standing, core.rules.asking(core.now)
    return World(
        now=core.now,
        mode=core.mode,
        ready=bool(standing.swept),
        stopping=standing.stopping,
        pauses=dict(standing.pauses),
        services={service.id: service for service in core.registry.services()},
        alerts=core.alerts(),
        plans=core.admission.plans(),
        spent=core.admission.spent(core.now),
        rollouts=core.rollouts.open(),
        held=core.holds.open(),
        adapters=standing.adapters | core.slots.adapters(),
        slots=core.slots.world(core),
        failing=frozenset(one.service for one in core.probing.shown(core) if one.failing and one.service),
        memory=core.memory.budget(core),
        gpus=core.gpu.state(core),
        vram=core.gpu.budget(core),
        settings=core.loaded.settings,
        find=core.slots.finder(core.gpu.finder(core.registry.find)),
        holds=lambda expr, alert: asking.holds(expr, alert.labels),
        action=core.rules.action,
        maneuvers=core.book.maneuvers(),
        absent=tuple(name for name, state in sorted(standing.engines.items()) if not state.up),
    )
