"""The steps each maneuver may take, forward and back, with the objects they write to. Pure tables.

From: plans.py, which puts them into the plan's durable row. To: the core (permit) and the maneuvers, which take them
by name. A step stands *before*, *inside* or *after* the irreversible part; `back` marks a way back.
"""

import hashlib
import re

from supervisor.facts import Step
from supervisor.services import temp_name

LKG = "resurgam/lkg"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def lkg_ref(service: str) -> str:
    """The tag that protects a service's last known good image: `resurgam/lkg:<id>`, made to fit a tag's grammar."""
    if _TAG.fullmatch(service):
        return f"{LKG}:{service}"
    digest = hashlib.sha256(service.encode()).hexdigest()[:12]
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", service).lstrip(".-")[:110]
    return f"{LKG}:{plain or 'service'}-{digest}"


def stop(name: str) -> tuple[Step, ...]:
    """Stop and keep stopped."""
    return (
        Step("look", "before"),
        Step("stop", "inside", (name,)),
        Step("keep_down", "inside", (name,)),
    )


def start(name: str) -> tuple[Step, ...]:
    """Start what stands still, or leave it as it was found."""
    return (
        Step("look", "before"),
        Step("policy", "inside", (name,)),
        Step("start", "inside", (name,)),
        Step("verify", "inside"),
        Step("back_stop", "inside", (name,), back=True),
        Step("back_policy", "inside", (name,), back=True),
    )


def restart(name: str) -> tuple[Step, ...]:
    """Stop and start the same container."""
    return (
        Step("look", "before"),
        Step("stop", "inside", (name,)),
        Step("start", "inside", (name,)),
        Step("verify", "inside"),
    )


def release(name: str) -> tuple[Step, ...]:
    """Give a restart policy back."""
    return (Step("policy", "inside", (name,)),)


def gentle(name: str, verb: str) -> tuple[Step, ...]:
    """What is done to the memory of a container that runs on. What is let go needs no look first."""
    first = () if verb in ("thaw", "unfuse") else (Step("look", "before"),)
    return (*first, Step(verb, "inside", (name,)))


def protect(service: str) -> tuple[Step, ...]:
    """Tag the image that proved healthy."""
    return (Step("protect", "before", (lkg_ref(service),)),)


def phoenix(
    service: str, name: str, op: str, *, proved: bool, before: bool = False, retag: str = ""
) -> tuple[Step, ...]:
    """Recreate a container from an image; the order of docs/actions. `proved`: the image is the last known good.
    `before`: a command is run in the old one first. `retag`: the reference that is to stand for the image."""
    new, parked = temp_name(name, "new", op), temp_name(name, "parked", op)
    failed, spare = temp_name(name, "failed", op), temp_name(name, "spare", op)
    first: tuple[Step, ...] = (Step("protect", "before", (lkg_ref(service),)),) if proved else ()
    first += (Step("before", "before", (name,)),) if before else ()
    return (
        Step("look", "before"),
        *first,
        Step("create", "before", (new,)),
        Step("stop", "inside", (name,)),
        Step("hold", "inside", (name,)),
        Step("park", "inside", (name, parked)),
        Step("adopt", "inside", (new, name)),
        Step("room", "inside"),
        Step("start", "inside", (name,)),
        Step("probation", "inside"),
        Step("commit", "inside"),
        *((Step("retag", "after", (retag,)),) if retag else ()),
        Step("spare", "after", (spare,)),
        Step("clear", "after", (parked,)),
        Step("undo", "before", (new,), back=True),
        Step("back_stop", "inside", (name, new), back=True),
        Step("back_aside", "inside", (name, new, failed), back=True),
        Step("back_name", "inside", (parked, name), back=True),
        Step("back_policy", "inside", (name,), back=True),
        Step("back_start", "inside", (name,), back=True),
        Step("back_verify", "inside", back=True),
        Step("back_clear", "inside", (new, failed), back=True),
    )
