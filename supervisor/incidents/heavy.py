"""Heavy services: what takes 300 GB or half an hour to load is not loaded again on suspicion.

In: a rule's intent, what its service declares, and `heavy:` of the settings. Out: the refusal with the figures. A
service that died twice in a row, or ran out of memory, gets only what changes something: the image that last proved
healthy, where another one runs. One that hangs may be restarted once. The guard asks here for rules only.
"""

from supervisor import units
from supervisor.config import Settings
from supervisor.facts import Container, Intent, Needs, Service
from supervisor.incidents.remedies import OTHER, kind_of, loaded_lately
from supervisor.incidents.world import World
from supervisor.services import causes
from supervisor.verdicts import Reason, Verdict, no

SUSPECT = 2
"""deaths in a row from which on loading it again is only a guess"""


def figures(needs: Needs, settings: Settings) -> str:
    """What makes it heavy, for people; '' if it is not. A startup counts only where it was declared."""
    limits, found = settings.heavy, []
    if needs.memory > limits.memory:
        found.append(f"{units.show_size(needs.memory)} of memory (heavy from {units.show_size(limits.memory)})")
    if needs.startup_declared and needs.startup > limits.startup:
        loads, limit = units.show_duration(needs.startup), units.show_duration(limits.startup)
        found.append(f"{loads} to load (heavy from {limit})")
    return " and ".join(found)


def too_heavy(intent: Intent, service: Service, container: Container, chosen: str, world: World) -> Verdict | None:
    """The refusal if a heavy service would be loaded again on suspicion."""
    kind, needs = kind_of(intent, container, chosen), figures(service.needs, world.settings)
    if not kind or not needs:
        return None
    dying = service.streak >= SUSPECT or container.oom_killed or service.trouble_told == causes.OOM
    hanging = container.running and (container.health == "unhealthy" or service.id in world.failing)
    if not dying and not hanging:
        return None
    if kind == OTHER and service.drift and chosen == service.proved_image:
        return None
    if not dying and intent.verb == "restart" and not loaded_lately(service, world):
        return None
    if service.streak >= SUSPECT:
        why = f"it died {service.streak} times in a row"
    elif dying:
        why = "it ran out of memory"
    elif intent.verb == "restart":
        why = "it hangs, and was loaded within the last hour already"
    else:
        why = "it hangs, and that it would do better made anew is a guess"
    text = (
        f"{service.id} needs {needs} and is not loaded again on suspicion: {why}. Only its last known good image would "
        f"be, and only if another one runs; see `resurgam explain {service.id}`, then `resurgam restart {service.id}`."
    )
    return no(Reason.HEAVY, text)
