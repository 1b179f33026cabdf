"""Which compose service a command's document means for one of our services.

From: commands.py and rollouts.py, with `Command.document`: compose service name -> that service as
`actions/compose/reading.py` resolved it. To: the intents and stages they make, whose `document` is one such service.
"""

from collections.abc import Mapping
from dataclasses import replace

from supervisor.facts import Command, Intent, Json, Service
from supervisor.services.names import COMPOSE_SERVICE_LABEL
from supervisor.verdicts import Reason, Verdict, no

AGREED = "agreed"
"""where a service's document has the words that a person said yes to: a yes is good for those, and no others"""


def compose_name(service: Service) -> str:
    """What compose calls it; '' for a container that compose did not make."""
    return service.container.labels.get(COMPOSE_SERVICE_LABEL, "") if service.container is not None else ""


def documented(fact: Command, service: Service, params: Mapping[str, str]) -> tuple[dict[str, str], Json] | Verdict:
    """(parameters, document) with which this service is recreated, or why it cannot be. Without a document in the
    command: the parameters as they are. The image is the file's; where it only builds one, what runs now stays."""
    if not fact.document:
        return dict(params), {}
    name = compose_name(service)
    if not name or not service.project:
        return no(Reason.UNSUPPORTED, f"{service.id} was not made by compose, so a compose file says nothing about it.")
    found = fact.document.get(name)
    if not isinstance(found, dict):
        known = ", ".join(sorted(fact.document)) or "none"
        return no(Reason.NO_TARGET, f"The compose file has no service {name!r}; it has: {known}.")
    project = str(found.get("project") or "")
    if project and project != service.project:
        return no(
            Reason.BAD_PARAMETER,
            f"The compose file is that of the project {project!r}, and {service.id} belongs to {service.project!r}.",
        )
    found = {key: value for key, value in found.items() if key != AGREED}
    if fact.approved and f"{service.id}: " in fact.widens:
        found[AGREED] = fact.widens
    return {**params, "image": str(found.get("image") or "current")}, found


def widening(fact: Command, params: Mapping[str, str]) -> tuple[Intent, Verdict]:
    """The intent that a person is asked about, with all that the command brought, and why."""
    given = {name: value for name, value in params.items() if name != "image"}  # the file names the images
    cause = f"asked for by {fact.principal}"
    override = fact.override if fact.door == "socket" else ""
    intent = Intent(fact.verb, fact.target, given, cause, fact.principal, override=override, document=fact.document)
    return intent, no(Reason.NEEDS_APPROVAL, f"The compose file widens rights: {fact.widens}.")


def asked_as_a_whole(intent: Intent) -> bool:
    """Whether an intent is a whole command (compose service name -> service) rather than about one service."""
    return bool(intent.document) and not isinstance(intent.document.get("service"), str)


def again(intent: Intent, who: str, now: float, mono: float, question: str = "") -> Command:
    """The command that such an intent stood for, with the yes it has now, and the question in the words it was put."""
    given = {name: value for name, value in intent.params.items() if value}
    return Command(
        now,
        mono,
        intent.verb,
        intent.target,
        given,
        intent.by,
        "socket",
        override=intent.override,
        document=intent.document,
        widens=question,
        approved=who,
    )


def asking(intent: Intent, question: str) -> Intent:
    """An intent about one service that a person is asked about in these words."""
    return replace(intent, document={**intent.document, AGREED: question}) if intent.document else intent


def with_document(fact: Command, intent: Intent, service: Service | None) -> Intent | Verdict:
    """The intent, with the document that the command brought for its service; or why it cannot be."""
    if not fact.document or service is None:
        return intent
    made = documented(fact, service, intent.params)
    if isinstance(made, Verdict):
        return made
    params, document = made
    return replace(intent, params=params, document=document)
