"""Vetoes: while an alert with the annotation `veto` fires, its verbs are refused in its scope.

The alerts come with the World; the answer goes to `guard` (may this start?) and `permit` (may this go on?).
"""

from dataclasses import dataclass

from supervisor.facts import Alert, Service
from supervisor.incidents import target
from supervisor.incidents.binding import split
from supervisor.incidents.world import World
from supervisor.verbs import VERBS

_SCOPES = ("service", "gpu", "host")
_GPU_LABELS = ("UUID", "uuid", "gpu_uuid", "gpu")


@dataclass(frozen=True, slots=True)
class Veto:
    """What an annotation forbids. `scope` '': the alert's service, else its GPU's services, else the host."""

    verbs: tuple[str, ...]
    scope: str = ""


def parse(text: str) -> Veto:
    """Read `VERB … [scope=service|gpu|host]`; ValueError says what is wrong."""
    verbs: list[str] = []
    scope = ""
    for word in split(text):
        key, equals, value = word.partition("=")
        if equals:
            if key != "scope" or value not in _SCOPES:
                raise ValueError(f"{word!r} is not understood; a veto has verbs and scope={'|'.join(_SCOPES)}")
            scope = value
        elif word not in VERBS or VERBS[word].internal:
            raise ValueError(f"{word!r} is no verb; verbs are: {', '.join(v for v in VERBS if not VERBS[v].internal)}")
        elif word not in verbs:
            verbs.append(word)
    if not verbs:
        raise ValueError("the veto names no verb")
    return Veto(tuple(verbs), scope)


def against(verb: str, params: dict[str, str], service: str, world: World) -> tuple[Alert, Veto] | None:
    """The first firing alert that forbids this verb on this service, in the order of the rules; None if none does."""
    words = _meanings(verb, params)
    speaking = [alert for alert in world.alerts if _may_forbid(alert)]
    for alert in sorted(speaking, key=lambda one: (one.origin != "owner", one.order, one.fingerprint)):
        try:
            veto = parse(alert.annotations["veto"])
        except ValueError:
            continue  # `check` reports it; a text we cannot read forbids nothing
        if any(word in veto.verbs for word in words) and _covers(veto, alert, service, world):
            return alert, veto
    return None


def _may_forbid(alert: Alert) -> bool:
    """Only our own rules can: what others say in an annotation is shown, not obeyed."""
    return alert.state == "firing" and alert.origin != "outside" and bool(alert.annotations.get("veto"))


def _meanings(verb: str, params: dict[str, str]) -> tuple[str, ...]:
    if verb != "scale":
        return (verb,)
    return ("scale", "stop" if params.get("replicas") == "0" else "start")


def _covers(veto: Veto, alert: Alert, service: str, world: World) -> bool:
    own = target.about(alert, world.find).id
    gpu = next((alert.labels[name] for name in _GPU_LABELS if alert.labels.get(name)), "")
    scope = veto.scope
    if not scope:
        scope = "service" if own and own != target.HOST else "gpu" if gpu else "host"
    if scope == "host":
        return True
    if scope == "gpu":
        return _uses(world.services.get(service), gpu or _gpu_of(world.services.get(own)))
    return own == service


def _uses(service: Service | None, gpu: str) -> bool:
    word = gpu if gpu.startswith("gpu:") else f"gpu:{gpu}"
    return service is not None and bool(gpu) and word in service.needs.exclusive


def _gpu_of(service: Service | None) -> str:
    words = service.needs.exclusive if service is not None else ()
    return next((word for word in words if word.startswith("gpu:")), "")
