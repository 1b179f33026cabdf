"""The closed table of verbs. Rules, playbooks and the command line all speak these, and nothing else.

A verb is data: a name, what it may be aimed at, its typed parameters and how much it disturbs. There is no verb
that runs a command, and there is no way to add one from a file.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from supervisor import units


class Disturbance(StrEnum):
    """How much a verb disturbs: counted against the budget (disruptive), or let past the queue (emergency)."""

    HARMLESS = "harmless"
    DISRUPTIVE = "disruptive"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class Param:
    """One typed parameter. `kind` is `text`, `image`, `count`, `duration`, `size` or `flag` (true | false)."""

    kind: str
    default: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be done."""

    name: str
    disturbance: Disturbance
    targets: tuple[str, ...]
    help: str
    params: "dict[str, Param]" = field(default_factory=dict)
    internal: bool = False

    def check(self, given: "dict[str, str]") -> dict[str, str]:
        """The parameters with defaults filled in; ValueError names the first that is unknown or wrong."""
        for name, value in given.items():
            param = self.params.get(name)
            if param is None:
                known = ", ".join(self.params) or "none"
                raise ValueError(f"{self.name} has no parameter {name!r}; it knows: {known}")
            if param.kind == "duration":
                units.duration(value)
            elif param.kind == "size" and value:
                units.size(value)
            elif param.kind == "count" and not (value.isdigit() and int(value) <= 1000):
                raise ValueError(f"{self.name} {name}={value!r} is not a count")
            elif param.kind == "flag" and value not in ("true", "false"):
                raise ValueError(f"{self.name} {name}={value!r} is neither true nor false")
            elif param.kind == "image" and (not value or value.startswith("-") or len(value) > 512 or " " in value):
                raise ValueError(f"{self.name} {name}={value!r} is not an image reference")
        return {name: given.get(name, param.default) for name, param in self.params.items()}


_SERVICE = ("service",)
_SLOT = ("slot",)
_TABLE = (
    Verb(
        "restart",
        Disturbance.DISRUPTIVE,
        _SERVICE,
        "stop and start the same container, verified",
        {"within": Param("duration", "", "how long it may take to become healthy")},
    ),
    Verb(
        "phoenix",
        Disturbance.DISRUPTIVE,
        _SERVICE,
        "recreate the container from an image, verified, or put it back",
        {
            "image": Param("image", "last-known-good", "last-known-good, current, or an image reference"),
            "profile": Param("text", "", "safe: with its safe profile; normal: without; left out: as it is"),
            "within": Param("duration", "", "how long it may take to become healthy"),
        },
    ),
    Verb(
        "rollback",
        Disturbance.DISRUPTIVE,
        _SERVICE,
        "recreate the container from the image it had before, verified",
        {
            "retag": Param("flag", "false", "let the tag stand for that image too, so that compose keeps it"),
            "within": Param("duration", "", "how long it may take to become healthy"),
        },
    ),
    Verb("start", Disturbance.DISRUPTIVE, _SERVICE, "start the container and want it running"),
    Verb(
        "stop",
        Disturbance.EMERGENCY,
        _SERVICE,
        "stop the container and keep it stopped",
        {"over_plan": Param("flag", "false", "only while it uses more memory than its plan says")},
    ),
    Verb(
        "scale",
        Disturbance.EMERGENCY,
        _SERVICE,
        "0 stops and keeps stopped, 1 starts",
        {"replicas": Param("count", "", "0 or 1")},
    ),
    Verb(
        "swap",
        Disturbance.DISRUPTIVE,
        _SLOT,
        "put another model into a slot, proved, or bring the one before back",
        {
            "to": Param("text", "", "the model; left out: the only other one"),
            "within": Param("duration", "", "how long its load may take"),
            "probation": Param("duration", "", "how long it is on probation; left out: as the slot says"),
            "again": Param("flag", "false", "though it was tried on this server image and failed"),
            "cut": Param("flag", "false", "cut requests that are still in flight after the drain"),
        },
    ),
    Verb(
        "load",
        Disturbance.DISRUPTIVE,
        _SLOT,
        "load a model into a slot that has room for it",
        {
            "model": Param("text", "", "which; left out: the first choice"),
            "within": Param("duration", "", "how long its load may take"),
        },
    ),
    Verb(
        "unload",
        Disturbance.EMERGENCY,
        ("service", "slot"),
        "let a model server give its model's memory back",
        {
            "within": Param("duration", "30s", "how long it may take"),
            "model": Param("text", "", "of a slot: which; left out: the one that holds it"),
        },
    ),
    Verb(
        "sleep",
        Disturbance.DISRUPTIVE,
        _SLOT,
        "let a model sleep: its memory is free, its server keeps running",
        {
            "model": Param("text", "", "which; left out: the one that holds the slot"),
            "within": Param("duration", "5m", "how long it may take"),
        },
    ),
    Verb(
        "wake",
        Disturbance.DISRUPTIVE,
        _SLOT,
        "wake a model that sleeps, and see that it is in its senses",
        {
            "model": Param("text", "", "which; left out: the only one that sleeps"),
            "within": Param("duration", "5m", "how long it may take"),
        },
    ),
    Verb(
        "keep",
        Disturbance.HARMLESS,
        _SLOT,
        "keep a model loaded: it is not put away to make room, nor for being idle",
        {
            "model": Param("text", "", "which; left out: the one that holds the slot"),
            "for": Param("duration", "", "for how long; left out: until `off`"),
            "off": Param("flag", "false", "keep it no longer"),
        },
    ),
    Verb(
        "bench",
        Disturbance.HARMLESS,
        _SLOT,
        "measure how fast a model answers, and ask its canaries",
        {
            "model": Param("text", "", "which; left out: the one that holds the slot"),
            "runs": Param("count", "", "measured answers; left out: as the slot says"),
        },
    ),
    Verb(
        "drop-cache",
        Disturbance.EMERGENCY,
        _SERVICE,
        "let the kernel forget the page cache of its model's files",
        {"within": Param("duration", "30s", "how long it may take")},
    ),
    Verb(
        "reclaim",
        Disturbance.EMERGENCY,
        _SERVICE,
        "let the kernel take memory back from it (page cache, and into swap)",
        {
            "size": Param("size", "", "how much; left out: what it uses over its plan"),
            "within": Param("duration", "5s", "how long it may take"),
        },
    ),
    Verb(
        "fuse",
        Disturbance.EMERGENCY,
        _SERVICE,
        "slow it down where it grows on, without killing it",
        {
            "at": Param("size", "", "from how much on; left out: its plan, or what it uses now if that is more"),
            "for": Param("duration", "10m", "it is released by itself after so long"),
        },
    ),
    Verb("unfuse", Disturbance.EMERGENCY, _SERVICE, "end a fuse"),
    Verb(
        "freeze",
        Disturbance.EMERGENCY,
        _SERVICE,
        "let it stand still as it is, for a while",
        {"for": Param("duration", "2m", "it goes on by itself after so long")},
    ),
    Verb("thaw", Disturbance.EMERGENCY, _SERVICE, "let it go on"),
    Verb(
        "raise-limit",
        Disturbance.EMERGENCY,
        _SERVICE,
        "give a running container a higher memory limit",
        {"to": Param("size", "", "the new limit")},
    ),
    Verb(
        "quiesce",
        Disturbance.EMERGENCY,
        ("service", "gpu"),
        "stop what uses a GPU until that is well again; it is started again by itself then",
        {"gpu": Param("text", "", "the card it is stopped for: an index or a UUID; left out: the target's")},
    ),
    Verb(
        "gpu-reset",
        Disturbance.DISRUPTIVE,
        ("gpu",),
        "reset a GPU that nobody uses; only where resurgam.yaml switches it on",
    ),
    Verb(
        "reboot",
        Disturbance.DISRUPTIVE,
        ("host", "gpu"),
        "restart the machine (for a card that needs it); only where resurgam.yaml switches it on",
    ),
    Verb(
        "notify",
        Disturbance.HARMLESS,
        ("service", "host"),
        "tell people, do nothing else",
        {"message": Param("text", "", "what to say")},
    ),
    Verb(
        "protect",
        Disturbance.HARMLESS,
        _SERVICE,
        "tag an image that proved healthy so that no clean-up takes it",
        {"image": Param("image")},
        internal=True,
    ),
    Verb(
        "release",
        Disturbance.HARMLESS,
        _SERVICE,
        "give a container that stands still the restart policy back that we took",
        {"policy": Param("text")},
        internal=True,
    ),
)

VERBS: dict[str, Verb] = {verb.name: verb for verb in _TABLE}

GENTLE = ("unload", "drop-cache", "reclaim", "fuse", "unfuse", "freeze", "thaw", "raise-limit")
"""verbs that change what a container may take, or let it stand still, and neither stop nor start it"""
OF_SLOTS = ("swap", "load", "unload", "sleep", "wake", "keep", "bench")
"""verbs that may be aimed at a slot"""
HOLDS = {"freeze": "thaw", "fuse": "unfuse"}
"""verbs whose effect ends by itself -> the verb that ends it"""


def disturbance(verb: str, params: "dict[str, str]") -> Disturbance:
    """What this call of a verb costs: scaling up is a start, scaling to 0 a stop."""
    if verb == "scale":
        return Disturbance.EMERGENCY if params.get("replicas") == "0" else Disturbance.DISRUPTIVE
    return VERBS[verb].disturbance
