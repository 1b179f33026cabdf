"""Which plans a rollout is made of, in which order, and what it leaves alone: a project, dependents, a boot. Pure.

From: rollouts.py, with the services as they stand. To: the stages of a `Rollout`. Nothing is decided here about whether
a stage may run: the guard is asked at its turn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from supervisor import units
from supervisor.core.documents import documented
from supervisor.facts import Command, Intent, Json, Service, Stage
from supervisor.incidents.locks import starts
from supervisor.incidents.words import listed
from supervisor.services import graph
from supervisor.services.series import ordered_down
from supervisor.verdicts import Reason, Verdict, no

PREFIX = "project:"
"""before a project's name where a service is called so, too"""
VERBS = ("phoenix", "restart", "start", "stop")
"""what can be done to a whole project"""


@dataclass(frozen=True, slots=True)
class Staged:
    """The stages in order, what is left alone (each with why), and what is odd about the order."""

    stages: tuple[Stage, ...]
    left: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def project_named(services: Sequence[Service], word: str, is_service: bool) -> str:
    """The compose project that a word means: `project:NAME`, or the bare name where no service answers to it."""
    name = word.removeprefix(PREFIX)
    known = any(service.project == name for service in services)
    return name if known and (word != name or not is_service) else ""


def project(fact: Command, name: str, services: Sequence[Service], paused: Mapping[str, object]) -> Staged | Verdict:
    """What a command on a whole project comes to; or why it cannot be done."""
    if fact.verb not in VERBS:
        what = listed(VERBS)
        return no(Reason.UNSUPPORTED, f"{fact.verb} is done to one service at a time; a project knows {what}.")
    image = fact.params.get("image", "")
    if image not in ("", "last-known-good", "current") and not fact.document:
        return no(Reason.BAD_PARAMETER, f"One image cannot be that of a whole project; phoenix {name} knows current.")
    mine = [service for service in services if service.project == name]
    ordered = graph.order(mine)
    by_id = {service.id: service for service in mine}
    stages: list[Stage] = []
    left: list[str] = []
    words = _words_in_use(services)
    for ident in ordered.stop if fact.verb == "stop" else ordered.start:
        service = by_id[ident]
        why = "paused" if ident in paused else _left(fact.verb, service, words)
        made = documented(fact, service, fact.params) if not why else (dict(fact.params), {})
        if isinstance(made, Verdict) and made.reason is Reason.NO_TARGET:
            why = "not in the compose file"
        elif isinstance(made, Verdict):
            return made
        if why:
            left.append(f"{ident} ({why})")
        elif not isinstance(made, Verdict):
            stages.append(Stage(ident, fact.verb, made[0], made[1]))
            _take_words(fact.verb, service, words)
    return Staged(tuple(stages), tuple(left), ordered.problems)


def _left(verb: str, service: Service, words: Mapping[str, str]) -> str:
    """Why this service of a project is left alone, '' if it is not."""
    container = service.container
    if not service.owned.ok:
        return "not owned"
    if container is None:
        return "it has no container"
    alive = container.living
    if verb == "stop":
        return "stopped already" if service.wanted.state == "stopped" and not alive else ""
    if verb == "start":
        if container.running and service.wanted.state == "running":
            return "it runs already"
    elif service.wanted.state == "stopped":
        return "stopped on purpose"
    elif not alive and container.exit_code == 0 and service.wanted.state != "running":
        return "it is done" if container.started_at else "never started"
    return "" if container.running else _shares(service, words)


def _words_in_use(services: Sequence[Service]) -> dict[str, str]:
    """Exclusive word -> the running service that has it."""
    used: dict[str, str] = {}
    for service in services:
        if service.container is not None and service.container.running:
            used.update(dict.fromkeys(service.needs.exclusive, service.id))
    return used


def _shares(service: Service, words: Mapping[str, str]) -> str:
    """Services that share an exclusive word never run together: the first one in the order has it."""
    for word in service.needs.exclusive:
        if words.get(word, service.id) != service.id:
            return f"{words[word]} has {word}"
    return ""


def _take_words(verb: str, service: Service, words: dict[str, str]) -> None:
    if starts(verb, {}):
        words.update(dict.fromkeys(service.needs.exclusive, service.id))


# ------------------------------------------------------------ dependents


def dependents(intent: Intent, service: Service, services: Sequence[Service]) -> Staged | Verdict | None:
    """A service, then the running ones that share its namespaces: made anew after one that was made anew, started anew
    after one that was merely started anew. None where nobody shares them; a refusal where somebody does whom we may not
    touch, and the service is healthy."""
    if intent.verb == "start" and service.container is not None and service.container.running:
        return None
    found = graph.dependents(services, service.id)
    if not found:
        return None
    by_id = {other.id: other for other in services}
    strangers = [ident for ident in found if not by_id[ident].owned.ok]
    if strangers and service.healthy:
        them = "them" if len(strangers) > 1 else "it"
        text = (
            f"{listed(tuple(strangers))} would be cut off: a namespace of {service.id} is theirs, too, and "
            f"{strangers[0]} is not owned. Let {them} be healed as well (enable), or stop {them} first."
        )
        return no(Reason.UNSUPPORTED, text)
    stages = [Stage(service.id, intent.verb, intent.params, intent.document)]
    anew = intent.verb in ("phoenix", "rollback")
    stages += [_joins(by_id[ident], anew) for ident in found if ident not in strangers]
    left = tuple(f"{ident} (not owned; it is cut off until somebody starts it anew)" for ident in strangers)
    return Staged(tuple(stages), left)


def _joins(child: Service, anew: bool) -> Stage:
    return Stage(child.id, "phoenix", as_it_is(child)) if anew else Stage(child.id, "restart")


def as_it_is(service: Service) -> Mapping[str, str]:
    """The parameters of a phoenix that changes nothing about the image: not even where its tag has moved on."""
    container = service.container
    image = container.image_id if container is not None else ""
    if not image or (image in service.quarantined and service.proved_image):
        return {"image": "last-known-good"}
    return {"image": image}


def merely_restart(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """What is left to do after a parent that was put back: the same container was started anew."""
    return tuple(
        stage if stage.outcome else Stage(stage.service, "restart", plan=stage.plan, outcome=stage.outcome)
        for stage in stages
    )


def recreation(intent: Intent, service: Service) -> tuple[Intent, str] | Verdict:
    """(a phoenix instead of a restart or a start, why) where a namespace that the container names is gone with its
    container: the engine would stop it and could not start it again."""
    gone = sorted(key for key, name in service.reattach.items() if not name)
    if gone:
        text = (
            f"{service.id} shares a namespace of a container that is gone ({gone[0][:12]}), and nobody knows what took "
            "its place; create both anew, for example with `docker compose up -d`."
        )
        return no(Reason.UNSUPPORTED, text)
    names = listed(tuple(dict.fromkeys(service.reattach.values())))
    why = f"{names} was made anew, so a {intent.verb} cannot work: {service.id} is made anew, too."
    params = {**as_it_is(service), **{key: value for key, value in intent.params.items() if key == "within"}}
    cause = f"{intent.cause} {why}".strip()
    made = Intent(
        "phoenix",
        intent.target,
        params,
        cause,
        intent.by,
        intent.incident,
        intent.key,
        intent.override,
        intent.approved,
        intent.rollout,
    )
    return made, why


# ------------------------------------------------------------ a card


def quiesce(uuid: str, users: Sequence[Service]) -> Staged:
    """Everything that uses a card and runs, dependents first; what is not ours to stop is left alone."""
    ours = [service for service in users if service.owned.ok]
    ordered = graph.order(ours)
    stages = tuple(Stage(ident, "quiesce", {"gpu": uuid}) for ident in ordered.stop)
    left = tuple(f"{service.id} (not owned; it still uses the card)" for service in users if not service.owned.ok)
    return Staged(stages, left, ordered.problems)


# ------------------------------------------------------------ boot


def boot(services: Sequence[Service], engine: str, busy: Callable[[str], bool]) -> Staged:
    """What is to run after a boot, is ours to start (boot=ordered) and does not: dependencies first, then the largest.
    One that still has a restart policy is the engine's. `busy`: whether something works on a service already."""
    ordered = graph.order([service for service in services if service.engine == engine])
    by_id = {service.id: service for service in services}
    stages: list[Stage] = []
    left: list[str] = []
    words = _words_in_use(services)
    for ident in ordered.start:
        service = by_id[ident]
        container = service.container
        if container is None or not ordered_down(service) or busy(ident):
            continue
        why = "not owned" if not service.owned.ok else _shares(service, words)
        if container.restart_policy != "no":
            why = f"the engine starts it: its restart policy is {container.restart_policy}"
        if why:
            left.append(f"{ident} ({why})")
            continue
        stages.append(Stage(ident, "start"))
        _take_words("start", service, words)
    mine = [problem for problem in ordered.problems if any(stage.service in problem for stage in stages)]
    return Staged(tuple(stages), tuple(left), tuple(mine))


# ------------------------------------------------------------ words


def counted(stages: Sequence[Stage], failed: Sequence[str], left: Sequence[str]) -> Json:
    """How many were done, failed, left alone by the rollout, and not come to."""
    done = [stage for stage in stages if stage.outcome == Reason.VERIFIED.value]
    ahead = [stage for stage in stages if not stage.outcome]
    return {"done": len(done), "failed": len(failed), "left": len(left), "untouched": len(ahead)}


def sequence(stages: Sequence[Stage]) -> str:
    """`db, cache and app`, bounded."""
    return units.plain(listed(tuple(stage.service for stage in stages), 12), 400)
