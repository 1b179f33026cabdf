"""The machine beneath the containers: its cards and itself. What is aimed at those is carried by no container, so it
has checks of its own: is it switched on, can it help, is the card still in use, how often was it done?

In: a verb with its target (`gpu:<uuid>` or `host`), the World. Out: refusals for guard.py (may it begin?) and permit.py
(may it go on?), each with what a person would do. What is done is counted over restarts of the machine, with the fault
it was done for: the plans of the journal tell (`spent`).
"""

from collections.abc import Mapping

from supervisor.facts import Gpu, Intent, Service, XidEpisode
from supervisor.gpu import cards
from supervisor.incidents import budget
from supervisor.incidents.locks import ENGINE_START, GPU_TURN
from supervisor.incidents.words import listed
from supervisor.incidents.world import World
from supervisor.verbs import VERBS, Disturbance, disturbance
from supervisor.verdicts import Reason, Verdict, no

RESET, REBOOT, QUIESCE = "gpu-reset", "reboot", "quiesce"
MACHINE = (RESET, REBOOT)
"""verbs that no container carries"""
STOPPED_FOR = "quiesce:"
"""what `Wanted.by` begins with where a service is stopped until its cards are well; their UUIDs follow, with commas"""
LOCK = "machine"
LOOK_AGAIN = 30.0
"""seconds until a card that is in use is looked at again, whatever else changes"""
REPEATS = 2
"""restarts of the machine for one and the same fault after which another one is no use"""
_BEYOND_RESET = ("reboot", "power_cycle")
_FINE = ("", "asleep", "stopped")
"""troubles of the driver that tell of no fault: it sleeps, or nobody asks it"""


def about(target: str) -> bool:
    """Whether a target is a card."""
    return target.startswith(cards.WORD)


def uuid_of(target: str) -> str:
    """The card of a target; '' for none."""
    return target.removeprefix(cards.WORD) if about(target) else ""


def stopped_for(by: str) -> tuple[str, ...] | None:
    """The cards for which a service is stopped, by its `Wanted.by` (empty: whichever it uses); None where it is not."""
    if not by.startswith(STOPPED_FOR):
        return None
    return tuple(uuid for uuid in by.removeprefix(STOPPED_FOR).split(",") if uuid)


# ------------------------------------------------------------ what is known of a card


def card_of(uuid: str, world: World) -> Gpu | None:
    """A card as it is shown; None where there is none of this UUID."""
    known = world.gpus.cards if world.gpus is not None else ()
    return next((card for card in known if uuid and card.uuid == uuid), None)


def shown(target: str, world: World) -> str:
    """`GPU 0 (NVIDIA H200)`, or `the machine`."""
    if not about(target):
        return "the machine"
    card = card_of(uuid_of(target), world)
    if card is None:
        return f"the card {uuid_of(target)}"
    return f"GPU {card.index} ({card.name})" if card.name else f"GPU {card.index}"


def episodes(uuid: str, world: World) -> tuple[XidEpisode, ...]:
    """What is wrong with a card now, by its messages, oldest first; a drill is nothing."""
    card = card_of(uuid, world)
    known = world.gpus.episodes if world.gpus is not None else ()
    bus = card.bus_id if card is not None else ""
    return tuple(one for one in known if _open(one) and (one.uuid == uuid or (bus and one.bus_id == bus)))


def _open(episode: XidEpisode) -> bool:
    return not episode.drill and not episode.over


def fault(intent: Intent, world: World) -> str:
    """What it is done for, in one word that is the same when it comes again: `GPU-… XID 79`; '' where nobody knows."""
    uuid = uuid_of(intent.target) or _of_alert(intent, world).get("UUID", "")
    if not uuid and world.gpus is not None:
        found = [one.uuid for one in world.gpus.episodes if _open(one)]
        uuid = found[0] if len(dict.fromkeys(found)) == 1 else ""
    there = episodes(uuid, world)
    if there:
        last = there[-1]
        return f"{uuid} XID {last.root}" if last.root else f"{uuid} {last.kind}"
    card = card_of(uuid, world)
    return f"{uuid} {card.recovery}" if card is not None and card.recovery not in ("", "none") else ""


def _of_alert(intent: Intent, world: World) -> Mapping[str, str]:
    fingerprint = intent.key.split("|", 1)[0]
    return next((one.labels for one in world.alerts if fingerprint and one.fingerprint == fingerprint), {})


def _from_outside(intent: Intent, world: World) -> bool:
    fingerprint = intent.key.split("|", 1)[0]
    return any(one.origin == "outside" for one in world.alerts if fingerprint and one.fingerprint == fingerprint)


def _sick(intent: Intent, world: World) -> bool:
    """Whether anything is wrong with the card, or for the machine with any card, by what is known here."""
    state, uuid = world.gpus, uuid_of(intent.target)
    if state is None:
        return False
    concerned = [card for card in state.cards if not uuid or card.uuid == uuid]
    broken = any(not card.up or not card.present or card.recovery not in ("", "none") for card in concerned)
    if broken or state.quiet or state.trouble not in _FINE:
        return True
    return any(episodes(card.uuid, world) for card in concerned)


# ------------------------------------------------------------ who uses it


def on_card(uuid: str, world: World) -> tuple[Service, ...]:
    """The services that use a card and run, by id."""
    found = [world.services[ident] for ident in sorted(world.services)]
    return tuple(one for one in found if one.container is not None and one.container.living and _uses(one, uuid, world))


def _uses(service: Service, uuid: str, world: World) -> bool:
    known = world.vram
    if known is None:
        return cards.asks(service)
    return cards.uses(service, uuid, known.deck, known.places.get(service.id, ()))


def cards_of(service: Service, world: World) -> tuple[str, ...]:
    """The UUIDs of the cards that a service uses, by index."""
    known = world.gpus.cards if world.gpus is not None else ()
    return tuple(card.uuid for card in known if card.present and _uses(service, card.uuid, world))


def no_card(intent: Intent, service: Service, world: World) -> Verdict | None:
    """The refusal of a quiesce of a service that uses no card, or for a card that is not there."""
    if intent.verb != QUIESCE:
        return None
    word = intent.params.get("gpu", "")
    known = world.gpus.cards if world.gpus is not None else ()
    if word and not cards.deck_of(known).uuid_of(word):
        return no(Reason.BAD_PARAMETER, f"There is no card {word[:100]!r}; `resurgam gpu status` lists them.")
    if word or cards.asks(service) or cards_of(service, world):
        return None
    text = f"{service.id} uses no GPU, so the recovery of none would start it again"
    return no(Reason.UNSUPPORTED, f"{text}; `resurgam stop {service.id}` stops it.")


def in_use(uuid: str, world: World) -> Verdict | None:
    """The refusal of a reset while somebody uses the card, as far as is known without looking."""
    who = [service.id for service in on_card(uuid, world)]
    card, state = card_of(uuid, world), world.gpus
    if card is not None and state is not None and not state.trouble and not state.quiet:  # else it is old news
        who += [name for name, _used in card.users if name not in who]
    if not who:
        return None
    name = shown(f"{cards.WORD}{uuid}", world)
    word = f"{cards.WORD}{card.index}" if card is not None else f"{cards.WORD}{uuid}"
    text = f"{name} is still used by {listed(tuple(who))}; `resurgam quiesce {word}` stops what is ours to stop."
    return no(Reason.GPU_BUSY, text)


# ------------------------------------------------------------ may it be done?


def impossible(intent: Intent, world: World, *, by_rule: bool) -> Verdict | None:
    """A refusal that lasts while things stand as they do; None where it may make sense."""
    verb, target = intent.verb, intent.target
    if about(target) and card_of(uuid_of(target), world) is None:
        return no(Reason.NO_TARGET, f"There is no card {uuid_of(target)!r}; `resurgam gpu status` lists them.")
    if verb not in (*MACHINE, QUIESCE):
        text = f"{verb} is done to a service, and {shown(target, world)} is none; name one: `{verb} SERVICE`."
        return no(Reason.NO_TARGET, text)
    off = switched_off(verb, target, world)
    if off is not None:
        return off
    if by_rule and _of_alert(intent, world).get("drill") == "true":
        return no(Reason.DRY_RUN, f"It is a drill: {verb} of {shown(target, world)} would be done now.")
    return useless(intent, world) if by_rule else None


def switched_off(verb: str, target: str, world: World) -> Verdict | None:
    """What reaches beyond containers is only told, unless resurgam.yaml switches it on."""
    settings = world.settings.gpu
    if verb == RESET and not settings.reset:
        card = card_of(uuid_of(target), world)
        bus = card.bus_id if card is not None and card.bus_id else "BUS"
        text = (
            f"A reset of {shown(target, world)} is switched off here. By hand, once nothing uses it: "
            f"`resurgam gpu release`, `nvidia-smi --gpu-reset -i {bus}`, `resurgam gpu resume`. To let Resurgam do it: "
            "`gpu: {reset: true}` in resurgam.yaml."
        )
        return no(Reason.SWITCHED_OFF, text)
    if verb == REBOOT and not settings.reboot:
        text = (
            "A restart of the machine is switched off here. By hand: `systemctl reboot`. To let Resurgam do it: "
            "`gpu: {reboot: true}` in resurgam.yaml."
        )
        return no(Reason.SWITCHED_OFF, text)
    return None


def useless(intent: Intent, world: World) -> Verdict | None:
    """The refusal of what is known not to help; a person may try it all the same."""
    card = card_of(uuid_of(intent.target), world)
    if intent.verb in MACHINE and _from_outside(intent, world) and not _sick(intent, world):
        text = f"An alert from outside asks for a {intent.verb}, and nothing is known here of a fault"
        return no(Reason.NO_USE, f"{text} of {shown(intent.target, world)}: look at it, and do it by hand.")
    says = card.recovery if card is not None else ""
    name = shown(intent.target, world)
    if intent.verb == RESET and (says in _BEYOND_RESET or (card is not None and not card.present)):
        why = f"its driver asks for {'a power cycle' if says == 'power_cycle' else 'a restart of the machine'}"
        text = f"A reset of {name} is no use: {why if says in _BEYOND_RESET else 'it is gone from the machine'}."
        return no(Reason.NO_USE, text)
    if intent.verb == REBOOT and says == "power_cycle":
        text = f"A restart is no use: the driver of {name} asks for a power cycle. Switch the machine off for a minute."
        return no(Reason.NO_USE, text)
    what = fault(intent, world) if intent.verb == REBOOT else ""
    done = [one for one in world.spent if one.verb == REBOOT and what and one.fault == what]
    if len(done) >= REPEATS:
        text = (
            f"{len(done)} restarts of the machine did not mend it ({what}), so another one is no use: look at the "
            "card's power cable, seat and cooling, or have it replaced."
        )
        return no(Reason.NO_USE, text)
    return None


def nothing_to_stop(intent: Intent, world: World) -> Verdict | None:
    """The refusal of a quiesce of a card that no service of ours uses any more."""
    if intent.verb != QUIESCE:
        return None
    there = on_card(uuid_of(intent.target), world)
    if any(service.owned.ok for service in there):
        return None
    others = tuple(service.id for service in there)
    text = f"No service of ours uses {shown(intent.target, world)}"
    return no(Reason.ALREADY_DONE, f"{text}; {listed(others)} is not ours to stop." if others else f"{text}.")


def busy(verb: str, target: str, world: World, but: int = 0) -> Verdict | None:
    """The refusal that passes: the card is in use, or other plans are at work. `but`: the plan that asks."""
    if verb == RESET:
        return in_use(uuid_of(target), world)
    if verb != REBOOT:
        return None
    plans = [
        plan for plan in world.plans if plan.id != but and not VERBS[plan.verb].internal and plan.phase != "before"
    ]
    if not plans:
        return None
    text = (
        f"Plan {plans[0].id} ({plans[0].verb} {plans[0].service}) is at work; the machine is restarted after it ends."
    )
    return no(Reason.LOCKED, text)


def spent(intent: Intent, world: World) -> tuple[Verdict, float | None] | None:
    """The refusal if the budget of resets and restarts is spent, with the instant it has room again."""
    if disturbance(intent.verb, dict(intent.params)) is not Disturbance.DISRUPTIVE:
        return None
    refused = budget.over([one.at for one in world.spent if one.verb in MACHINE], world.settings.gpu.budget, world.now)
    if refused is None:
        return None
    text = budget.sentence(refused[0], refused[1], world.now, "resets of cards and restarts of the machine")
    return no(Reason.BUDGET_HOST, text), refused[1]


def locks(verb: str, target: str) -> tuple[str, ...]:
    """What a reset or a restart holds: the turn at the GPUs and the right to start something, so that nothing that
    starts or stops comes in between; and the card, by the word its exclusive users have, or the machine."""
    own = f"word:{target}" if about(target) else LOCK
    first = (own,) if verb == RESET else (LOCK, own)
    return tuple(dict.fromkeys((*first, ENGINE_START, GPU_TURN)))
