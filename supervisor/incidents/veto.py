"""Vetoes: while an alert with the annotation `veto` fires, its verbs are refused in its scope.

The alerts come with the World; the answer goes to `guard` (may this start?) and `permit` (may this go on?).
"""

from dataclasses import dataclass

from supervisor.facts import Alert, Service
from supervisor.gpu import cards
from supervisor.gpu.budget import GpuBudget
from supervisor.incidents import target
from supervisor.incidents.binding import split
from supervisor.incidents.world import World
from supervisor.verbs import VERBS

_SCOPES = ("service", "gpu", "host")
_GPU_LABELS = ("UUID", "uuid", "gpu_uuid", "gpu")


@dataclass(frozen=True, slots=True)
class Veto:
    """What an annotation forbids. `scope` '': the alert's service, else its GPU's services, else the host. With `gpu`,
    an alert that names no card means all services that use any."""

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
    """Only our own rules can, and not for practice: what others say in an annotation is shown, not obeyed."""
    real = alert.origin != "outside" and alert.labels.get("drill") != "true"
    return alert.state == "firing" and real and bool(alert.annotations.get("veto"))


def _meanings(verb: str, params: dict[str, str]) -> tuple[str, ...]:
    if verb != "scale":
        return (verb,)
    return ("scale", "stop" if params.get("replicas") == "0" else "start")


def _covers(veto: Veto, alert: Alert, service: str, world: World) -> bool:
    own = target.about(alert, world.find).id
    named = next((alert.labels[label] for label in _GPU_LABELS if alert.labels.get(label)), "")
    scope = veto.scope
    if not scope:
        scope = "service" if own in world.services else "gpu" if named else "host"
    if scope == "host":
        return True
    if scope == "service":
        return own == service
    return _on_card(service, named, world.services.get(own), world)


def _on_card(service: str, named: str, about: Service | None, world: World) -> bool:
    """Whether a service (or a card, as a target) is of the GPU that an alert names; without a name, of one that the
    alert's service uses; without either, of any."""
    known, there = world.vram if world.vram is not None else GpuBudget(), world.services.get(service)
    if there is None and not service.startswith(cards.WORD):
        return False
    if named:
        words: tuple[str, ...] = (named,)
        meant = known.deck.named(words)
    elif about is not None:
        words = tuple(word for word in about.needs.exclusive if word.startswith(cards.WORD))
        meant = tuple(card.uuid for card in known.deck.cards if _uses(about, card.uuid, known))
    else:
        return there is None or cards.asks(there)
    if there is None:
        return service.removeprefix(cards.WORD) in meant
    if any(_uses(there, uuid, known) for uuid in meant):
        return True
    # a card that nobody has seen yet: who declares it by the same word means the same
    bare = {word.removeprefix(cards.WORD) for word in words}
    return any(word.startswith(cards.WORD) and word.removeprefix(cards.WORD) in bare for word in there.needs.exclusive)


def _uses(service: Service, uuid: str, known: GpuBudget) -> bool:
    return cards.uses(service, uuid, known.deck, known.places.get(service.id, ()))
