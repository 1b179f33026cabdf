"""Who a container is, and whether it is ours to touch.

Containers (as inspected) and settings come in; service ids, trusted labels and the ownership verdict go to the
registry. All of it is a pure function of its arguments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from supervisor import units
from supervisor.config import ServiceSettings, Settings
from supervisor.facts import Container
from supervisor.services import names
from supervisor.verdicts import Reason, Verdict, no, yes

LABEL_BYTES = 4096
"""Characters kept of a container's labels, keys and values together; ours and compose's go first."""
NAME_LIMIT = 4096
_FOREIGN = (
    ("com.docker.swarm.", "a swarm"),
    ("io.kubernetes.", "Kubernetes"),
    ("com.hashicorp.nomad.", "Nomad"),
)
_HERE = ("localhost", "127.0.0.1", "::1")
_NEVER = ("parked", "spare", "failed")


def tame(container: Container) -> Container:
    """The same container with text that is safe to keep: no control characters, labels bounded."""
    return replace(
        container,
        name=units.plain(container.name, NAME_LIMIT),
        image_ref=units.plain(container.image_ref, NAME_LIMIT),
        error=units.plain(container.error, 1024),
        labels=_bounded(container.labels),
        image_labels=_bounded(container.image_labels),
    )


def trusted(container: Container) -> dict[str, str]:
    """The `resurgam.*` labels that count: those its image does not carry with the same value. Read it from the
    container as inspected, before anything is cut."""
    return {
        key: units.plain(value, 1024)
        for key, value in _ours(container.labels)
        if container.image_labels.get(key) != value
    }


def never_a_service(container: Container, said: Mapping[str, str]) -> bool:
    """Whether it is one of ours that is not, or no longer, the service. Names decide first: what was made as a new
    one is the service as soon as it carries the canonical name."""
    return names.is_temp(container.name) or said.get(names.ROLE_LABEL) in _NEVER


class Identities:
    """The ids of all containers of one engine, which must be looked at together: replicas get a number each."""

    def __init__(self, settings: Settings, containers: Iterable[tuple[Container, Mapping[str, str]]]) -> None:
        self._settings = settings
        self._many = sorted(
            {
                _compose(container)
                for container, said in containers
                if _number(container) > 1 and not never_a_service(container, said)
            }
        )

    def id_of(self, container: Container, said: Mapping[str, str]) -> str:
        """`project.service`, `project.service.N`, or the container's name; what is declared wins. '' for none."""
        if never_a_service(container, said):
            return ""
        base, number = self._defaults(container)
        entry = entry_of(self._settings, names.safe_id(base + number), names.safe_id(base))
        if entry is not None and entry.service is not None:
            return entry.service + number
        return names.safe_id((said.get(names.SERVICE_LABEL) or base) + number)

    def entry_of(self, container: Container, service: str) -> ServiceSettings | None:
        """What `services:` says about it: by its id, else by the id it would have if nothing were declared."""
        base, number = self._defaults(container)
        return entry_of(self._settings, service, names.safe_id(base + number), names.safe_id(base))

    def _defaults(self, container: Container) -> tuple[str, str]:
        """(what its id is made from, `.N` for a replica)."""
        project, service = _compose(container)
        if not project:
            return names.canonical(container.name, container.labels), ""
        return f"{project}.{service}", f".{_number(container)}" if (project, service) in self._many else ""


def entry_of(settings: Settings, *ids: str) -> ServiceSettings | None:
    """The first `services:` entry with one of these ids."""
    for found in ids:
        entry = settings.services.get(found)
        if entry is not None:
            return entry
    return None


def ownership(
    service: str,
    container: Container,
    said: Mapping[str, str],
    entry: ServiceSettings | None,
    twins: tuple[str, ...] = (),
    own: bool = False,
    listed_only: bool = False,
    broker: str = "none",
) -> Verdict:
    """Whether we may write to it, and what to do where we may not. `own`: it is the container we run in;
    `listed_only`: its label is no consent; `broker`: the URL of the broker we talk through."""
    opted = not listed_only and said.get(names.ENABLE_LABEL, "").strip().lower() == "true"
    if entry is not None and entry.enable is not None:
        opted = entry.enable
        if not opted:
            return no(
                Reason.NOT_OWNED,
                f"{service} is only watched: resurgam.yaml says enable: false; set it to true to have it healed.",
            )
    if twins:
        return no(
            Reason.DUPLICATE_IDENTITY,
            f"{service} is claimed by {1 + len(twins)} running containers ({container.name}, {', '.join(twins)}); "
            f"stop all but one, or give each its own {names.SERVICE_LABEL} label.",
        )
    if not opted:
        from_image = " (its image carries the label, which does not count)" if _only_in_image(container, said) else ""
        label = "" if listed_only else f"start it with the label {names.ENABLE_LABEL}=true, or "
        return no(
            Reason.NOT_OWNED,
            f"{service} is only watched{from_image}; to have it healed, {label}"
            f"add services: {{{service}: {{enable: true}}}} to resurgam.yaml.",
        )
    if own:
        return no(Reason.UNSUPPORTED, f"{service} is the container that Resurgam runs in; it does not act on itself.")
    if is_broker(container, broker):
        return no(
            Reason.UNSUPPORTED,
            f"{service} is the broker that Resurgam talks through, and nobody would hear how it went; do it by hand.",
        )
    for prefix, what in _FOREIGN:
        if any(key.startswith(prefix) for key in container.labels):
            return no(
                Reason.UNSUPPORTED, f"{service} belongs to {what}, which would undo what we do; use its own tools."
            )
    if container.auto_remove:
        return no(
            Reason.UNSUPPORTED,
            f"{service} was started with --rm: a stop deletes it, and nothing is left to go back to; start it without.",
        )
    return yes("It opted in.")


def is_broker(container: Container, url: str) -> bool:
    """Whether the broker at this URL is this container: it publishes that port on this machine, or the URL has its
    name, its compose service or its address."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        return False
    known = (container.name, container.labels.get(names.COMPOSE_SERVICE_LABEL, ""), container.address)
    if parts.hostname not in _HERE:
        return parts.hostname in [name.lower() for name in known if name]
    wanted = f"{parts.port or (8883 if parts.scheme == 'mqtts' else 1883)}/tcp"
    return any(port.rpartition(":")[2] == wanted for port in container.ports)


def _ours(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Our labels, a bounded number, those that decide first."""
    deciding = (names.ENABLE_LABEL, names.SERVICE_LABEL, names.ROLE_LABEL, names.OP_LABEL)
    found = [(key, value) for key, value in labels.items() if key.startswith(names.PREFIX) and len(key) <= 64]
    return sorted(found, key=lambda pair: (pair[0] not in deciding, pair))[:64]


def _only_in_image(container: Container, said: Mapping[str, str]) -> bool:
    return names.ENABLE_LABEL in container.image_labels and names.ENABLE_LABEL not in said


def _compose(container: Container) -> tuple[str, str]:
    """(project, service) as compose labelled it; empty for anything else, one-off runs among them."""
    labels = container.labels
    project = labels.get(names.PROJECT_LABEL, "")
    service = labels.get(names.COMPOSE_SERVICE_LABEL, "")
    if not project or not service or labels.get(names.ONEOFF_LABEL, "").lower() == "true":
        return "", ""
    return project, service


def _number(container: Container) -> int:
    """The replica's number; 1 where there is none that can be read."""
    text = container.labels.get(names.NUMBER_LABEL, "")
    if not _compose(container)[0] or not text.isascii() or not text.isdigit() or len(text) > 6:
        return 1
    return max(1, int(text))


def _bounded(labels: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = LABEL_BYTES
    first = (names.PREFIX, "com.docker.compose.", *(prefix for prefix, _what in _FOREIGN))
    for key in sorted(labels, key=lambda key: (not key.startswith(first), key)):
        value = units.plain(labels[key], 1024)
        room -= len(key) + len(value)
        if room < 0:
            break
        kept[units.plain(key, 256)] = value
    return kept
