"""What is to be scraped: the targets that the configuration lists, and the services that offer metrics. Pure.

From: `scrape:` in the settings, and the services of the newest snapshot. To: watch.py. A service's page goes under its
own names whatever it says of itself; one that was declared by a label is only asked where the container itself is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from supervisor.config.settings import ScrapeSettings
from supervisor.facts import Service
from supervisor.services.names import series_labels
from supervisor.signals import web
from supervisor.signals.scrapes.series import EVERY

TIMEOUT = 10.0
SERIES, SIZE = 5_000, 4 << 20
"""how much a service may offer at once"""
PATH = "/metrics"
"""where nothing else is said"""


@dataclass(frozen=True, slots=True)
class Target:
    """One page to read for ever. `collector` names it; what else there is may change while it is read."""

    collector: str
    job: str
    instance: str
    url: str
    own: Mapping[str, str] = field(default_factory=dict)
    """the labels of all its series, job and instance among them"""
    interval: float = EVERY
    timeout: float = TIMEOUT
    token_file: str = ""
    series: int = SERIES
    size: int = SIZE
    honor: bool = False
    override: bool = False
    """what it says under names that are made here is taken, too"""
    service: str = ""
    inside: bool = False
    """a container's own address: nobody gives a certificate for that"""
    cannot: str = ""
    """why it cannot be asked at all"""


def listed(settings: Iterable[ScrapeSettings]) -> tuple[Target, ...]:
    """The targets of the configuration, in its order."""
    found: list[Target] = []
    for entry in settings:
        parts = urlsplit(entry.url)
        instance = web.netloc(parts.hostname or "", parts.port or web.PORTS[parts.scheme])
        own = {"job": entry.job, "instance": instance, **entry.labels}
        made = Target(
            f"scrape:{own['job']}:{own['instance']}",
            own["job"],
            own["instance"],
            entry.url if parts.path else parts._replace(path=PATH).geturl(),
            own,
            entry.interval,
            entry.timeout,
            entry.token_file,
            entry.series,
            entry.size,
            entry.honor_labels,
            entry.override,
        )
        if any(one.collector == made.collector for one in found):
            made = replace(made, collector=f"scrape:{entry.job}:{entry.url}")
        found.append(made)
    return tuple(found)


def of_services(services: Iterable[Service]) -> tuple[Target, ...]:
    """The services that run and declare `metrics`, in their order."""
    return tuple(_of(service) for service in services if service.needs.metrics and _runs(service))


def _runs(service: Service) -> bool:
    return service.container is not None and service.container.running


def _of(service: Service) -> Target:
    """Its target: named after the service and the port, so that a recreated container goes on with its series."""
    container, needs = service.container, service.needs
    assert container is not None
    names = series_labels(container.name, container.labels)
    url, cannot, port, inside = _address(needs.metrics, container.address, needs.metrics_from_label)
    instance = f"{names['name']}:{port}" if port else names["name"]
    own = {**names, "job": service.id, "instance": instance}
    return Target(
        f"scrape:{service.id}:{instance}",
        service.id,
        instance,
        url,
        own,
        service=service.id,
        inside=inside,
        cannot=cannot,
    )


def _address(declared: str, address: str, from_label: bool) -> tuple[str, str, int, bool]:
    """(where to ask, why that cannot be, the port, whether it is the container's own address)."""
    try:
        parts = urlsplit(declared)
        host, port = parts.hostname or "", parts.port or web.PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", f"{declared[:100]!r} is no address; write it like http://:8000/metrics", 0, False
    if parts.scheme not in web.PORTS or len(declared) > web.LONGEST or not declared.isprintable():
        return "", f"{declared[:100]!r} is no address; write it like http://:8000/metrics", port, False
    if parts.username is not None or parts.password is not None:
        return "", "an address to scrape carries no name or password", port, False
    if from_label and web.elsewhere(host, address):
        text = f"metrics in a label may only be its own container's, not those of {host}; leave the host out"
        return "", text, port, False
    if not (host or address):
        text = "the container has no address that this host can reach; name a host under services: in resurgam.yaml"
        return "", text, port, False
    where = f"{parts.scheme}://{web.netloc(host or address, port)}{parts.path or PATH}"
    return f"{where}?{parts.query}" if parts.query else where, "", port, not host
