"""Which service, or which card, an alert is about, and what its action is aimed at.

Labels and targets come from alerts and actions; ids come from the core's `find`, which knows services and cards. The
answer is the id of a service, `gpu:<uuid>`, `host`, or a refusal that names the fix.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor import units
from supervisor.facts import SLOT, Alert
from supervisor.gpu.cards import WORD
from supervisor.incidents.binding import Action
from supervisor.incidents.words import listed
from supervisor.incidents.world import Find
from supervisor.services.names import PROJECT_KEY, SERVICE_KEY
from supervisor.verbs import OF_SLOTS, VERBS
from supervisor.verdicts import Reason, Verdict, no, yes

HOST = "host"
IN_SLOT = "slot_of"
"""the name by which `find` is asked for the slots of a service"""
UUID = "UUID"
"""the label that names a card, as dcgm-exporter has it"""


@dataclass(frozen=True, slots=True)
class Aim:
    """What was found: `id` is a service id, `slot:NAME`, `gpu:<uuid>` or `host`, '' where the verdict says no."""

    id: str
    verdict: Verdict


def about(alert: Alert, find: Find) -> Aim:
    """What the alert's labels say it is about: `name`; else project and service; else `container` with `namespace`;
    else `container`; else the slot that `slot` names; else the card of this machine that `UUID` names; else the host.
    The first of these that is there decides."""
    has = alert.labels
    if has.get("name"):
        return _one(find(has["name"]), f"name {_shown(has['name'])!r}", _alias_fix(has["name"]))
    if has.get(PROJECT_KEY) and has.get(SERVICE_KEY):
        word = _shown(f"{has[PROJECT_KEY]}.{has[SERVICE_KEY]}")
        found = find({"project": has[PROJECT_KEY], "service": has[SERVICE_KEY]})
        return _one(found, f"compose service {word!r}", "`resurgam status` lists the services; name one in the action")
    if has.get("container"):
        names = {"container": has["container"]}
        if has.get("namespace"):
            names["namespace"] = has["namespace"]
        return _one(find(names), _kube_words(names), _kube_fix(names))
    return Aim(slot(alert, find) or card(alert, find) or HOST, yes())


def slot(alert: Alert, find: Find) -> str:
    """The id of the slot of ours that the alert names; '' where it names none."""
    word = f"{SLOT}{alert.labels.get('slot', '')}"
    return word if word != SLOT and find(word) == (word,) else ""


def card(alert: Alert, find: Find) -> str:
    """`gpu:<uuid>` of the card of this machine that the alert names, whatever else it is about; '' where it names
    none: a series of another machine has a UUID, too."""
    word = f"{WORD}{alert.labels.get(UUID, '')}"
    return word if word != WORD and find(word) == (word,) else ""


def at_card(alert: Alert, find: Find) -> Aim:
    """The card that the alert names, for what is done to cards."""
    found = card(alert, find)
    if found:
        return Aim(found, yes())
    text = "The alert names no card of this machine (label UUID); `resurgam gpu` lists the cards."
    return Aim("", no(Reason.NO_TARGET, text))


def aimed(action: Action, alert: Alert, find: Find) -> Aim:
    """What the action is aimed at: what it names, else what the alert is about. What is never done to a service is
    aimed at the card that the alert names, else at the host."""
    if action.kube:
        names = dict(action.kube)
        return _one(find(names), _kube_words(names), _kube_fix(names))
    if action.verb in OF_SLOTS:
        return _at_slot(action.verb, action.target, alert, find)
    if action.target:
        return named(action.target, find)
    targets = VERBS[action.verb].targets
    if "service" in targets:
        return about(alert, find)
    found = card(alert, find) if "gpu" in targets else ""
    return Aim(found or HOST, yes()) if found or HOST in targets else at_card(alert, find)


def _at_slot(verb: str, word: str, alert: Alert, find: Find) -> Aim:
    """The slot that an action names, or that the alert is about: by its own name, or by that of a service of it."""
    own = slot(alert, find) if not word else ""
    if own:
        return Aim(own, yes())
    if word and find(word if word.startswith(SLOT) else f"{SLOT}{word}"):
        return Aim(word if word.startswith(SLOT) else f"{SLOT}{word}", yes())
    aim = named(word, find) if word else about(alert, find)
    if not aim.id or aim.id == HOST:
        fix = "`resurgam status` lists them; write the slot: " + f"`{verb} SLOT`"
        return Aim("", no(Reason.NO_TARGET, f"There is no slot {_shown(word)!r}; {fix}." if word else f"{fix}."))
    if "service" in VERBS[verb].targets:
        return aim
    return _one(find({IN_SLOT: aim.id}), f"service {_shown(aim.id)!r} in a slot", "declare it under slots:")


def for_verb(verb: str, target: str, find: Find) -> str:
    """What a rung of a ladder is aimed at: a verb for slots means the one slot that the service is a model of."""
    if verb not in OF_SLOTS or target.startswith(SLOT) or "service" in VERBS[verb].targets:
        return target
    found = find({IN_SLOT: target}) if target and target != HOST else ()
    return found[0] if len(found) == 1 else target


def named(word: str, find: Find) -> Aim:
    """A service by any of its names, a slot (`slot:oracle`), a card (`gpu:0`, `gpu:<uuid>`), or `host`."""
    if word == HOST:
        return Aim(HOST, yes())
    if word.startswith(SLOT):
        return _one(find(word), f"slot {_shown(word)!r}", "`resurgam status` lists the slots")
    if word.startswith(WORD):
        return _one(find(word), f"card {_shown(word)!r}", "`resurgam gpu` lists the cards")
    return _one(
        find(word), f"name {_shown(word)!r}", "`resurgam status` lists the services; correct the name or add it there"
    )


def subject(alert: Alert, find: Find, aim: Aim | None = None) -> str:
    """Whose incident the alert belongs to: the service (or the card) it is about; else, where it speaks of a container
    that nobody has, the one its action is aimed at; else the host."""
    own = about(alert, find)
    if own.id and own.id != HOST:
        return own.id
    if not own.id and aim is not None and aim.id:
        return aim.id
    return HOST


def _one(found: tuple[str, ...], what: str, fix: str) -> Aim:
    if len(found) == 1:
        return Aim(found[0], yes())
    if not found:
        text = (
            f"There is no {what} here; {fix}."
            if what.startswith(("card ", "slot ", "service "))
            else f"No service has the {what}; {fix}."
        )
        return Aim("", no(Reason.NO_TARGET, text))
    text = f"The {what} stands for {listed(found)}; write the id of the one that is meant."
    return Aim("", no(Reason.AMBIGUOUS_TARGET, text))


def _kube_words(names: Mapping[str, str]) -> str:
    key = "deployment" if "deployment" in names else "container"
    place = f" in the namespace {_shown(names['namespace'])!r}" if names.get("namespace") else ""
    return f"kube {key} {_shown(names[key])!r}{place}"


def _kube_fix(names: Mapping[str, str]) -> str:
    pairs = ", ".join(
        f"{key}: {_shown(names[key])}" for key in ("namespace", "deployment", "container") if names.get(key)
    )
    return f"add `kube: {{{pairs}}}` to the service in resurgam.yaml"


def _alias_fix(word: str) -> str:
    return f"add `aliases: [{_shown(word)}]` to the service in resurgam.yaml"


def _shown(word: str) -> str:
    """A word from outside, short and on one line."""
    return units.plain(word, 100)
