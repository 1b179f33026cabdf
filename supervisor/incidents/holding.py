"""What stands frozen, or is slowed down by us, makes noise: that starts nothing. And nothing is frozen for ever.

In: an intent of a rule and the World, which names what is held. Out: refusals. deciding.py asks for the noise, guard.py
for the rest.
"""

from collections.abc import Sequence

from supervisor import units
from supervisor.facts import Container, Hold, Intent, Service
from supervisor.incidents.words import until
from supervisor.incidents.world import Spend, World
from supervisor.verbs import GENTLE, HOLDS
from supervisor.verdicts import Reason, Verdict, no

OFTEN, WITHIN = 2, 600.0
"""so many freezes of one service within so many seconds are enough"""


def noise(service: str, intent: Intent, began: float, world: World) -> tuple[Verdict, float | None] | None:
    """The refusal of what an alert wants that began while we held its service, and when to look again. What is done
    for want of memory passes: that is no noise of a hold."""
    if for_memory(intent):
        return None
    for hold in world.held:
        if hold.service == service and hold.since <= began:
            text = f"{service} {_words(hold)} by plan {hold.plan}; what that stirs up starts nothing, it ends "
            # what is over is let go in this very moment, and that is looked at by itself
            again = hold.until if hold.until > world.now else None
            return no(Reason.OWN_ACTION, f"{text}{until(hold.until, world.now)}."), again
    return None


def for_memory(intent: Intent) -> bool:
    """Whether it is done for want of memory. That cannot wait until the noise of what was done before has settled: what
    goes on after a freeze takes the last memory within seconds."""
    return intent.verb in GENTLE or intent.params.get("over_plan") == "true"


def held(service: str, world: World) -> bool:
    """Whether we hold it: that it is not well then says nothing about what was tried."""
    return any(hold.service == service for hold in world.held)


def impossible(intent: Intent, service: Service, container: Container, world: World) -> Verdict | None:
    """The refusal of what cannot be done to a container's memory, as far as that is known without asking the kernel."""
    verb, name = intent.verb, service.id
    if verb == "raise-limit" and not intent.params.get("to"):
        return no(Reason.BAD_PARAMETER, f"Say to what: resurgam raise-limit {name} --to 8GiB.")
    if verb == "unload" and name not in world.adapters:
        return no(Reason.UNSUPPORTED, f"No adapter knows how to ask {name} to put a model away.")
    if verb == "drop-cache":
        return _dead_files(service, container, world)
    if verb in GENTLE and verb not in HOLDS.values() and not container.running:
        return no(Reason.UNSUPPORTED, f"{name} does not run (it is {container.status}): there is nothing to {verb}.")
    return None


def _dead_files(service: Service, container: Container, world: World) -> Verdict | None:
    if not service.needs.weights:
        text = f"Nobody knows the files of {service.id}'s model; list them as `weights` under `services:`."
        return no(Reason.UNSUPPORTED, text)
    if container.running and not unloaded(service.id, container, world.spent):
        text = f"{service.id} runs and was not unloaded, so the pages of its files are in use."
        return no(Reason.UNSUPPORTED, text)
    return None


def unloaded(service: str, container: Container, spent: Sequence[Spend]) -> bool:
    """Whether its model was put away in this run of the container."""
    return any((one.service, one.verb) == (service, "unload") and one.at > container.started_at for one in spent)


def enough(intent: Intent, world: World) -> Verdict | None:
    """The refusal of one more freeze: it gives time, and where that helped nobody something else must be done."""
    if intent.verb != "freeze":
        return None
    service = intent.target
    lately = [
        one
        for one in world.spent
        if (one.service, one.verb) == (service, "freeze") and world.now - one.at < WITHIN and not one.asked
    ]
    if len(lately) < OFTEN:
        return None
    text = f"{service} stood frozen {len(lately)} times within {units.show_duration(WITHIN)}, and it did not help."
    return no(Reason.NO_USE, text)


def _words(hold: Hold) -> str:
    return "stands frozen" if hold.kind == "freeze" else "is slowed down"
