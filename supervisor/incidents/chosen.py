"""Which image a verb goes to, and whether it may be good at all: only that is worth the downtime. Pure.

In: an intent and its service. Out: an image id or reference, or the refusal. The guard asks here.
"""

from supervisor import units
from supervisor.facts import Container, Intent, Service
from supervisor.verdicts import Reason, Verdict, no


def goes_to(intent: Intent, service: Service, container: Container) -> str:
    """The image any verb goes to."""
    return service.previous_image if intent.verb == "rollback" else of_phoenix(intent, service, container)


def of_phoenix(intent: Intent, service: Service, container: Container) -> str:
    """The image a phoenix goes to: an id where it is known, else the reference; '' where there is none."""
    image = intent.params.get("image") or "last-known-good"
    known = {"last-known-good": service.proved_image, "current": container.ref_image_id or container.image_id}
    return known.get(image, container.ref_image_id if image == container.image_ref else image)


def unfit(intent: Intent, service: Service, container: Container) -> Verdict | None:
    """The refusal of a phoenix to an image that is not there, or failed before."""
    if intent.verb != "phoenix":
        return None
    image = intent.params.get("image") or "last-known-good"
    found = of_phoenix(intent, service, container)
    if image == "last-known-good" and not found:
        text = (
            f"No image has proved healthy for {service.id} yet, so there is none to go back to; "
            f"name one: `resurgam phoenix {service.id} --image REF`."
        )
        return no(Reason.NO_KNOWN_GOOD, text)
    if found in service.quarantined:
        failed = units.short_image(found)
        text = f"The image {failed} failed for {service.id} before and is quarantined; choose another one."
        return no(Reason.QUARANTINED, text)
    return None
