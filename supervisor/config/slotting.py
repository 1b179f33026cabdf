"""What is odd about slots that load well: findings for `resurgam check` and `resurgam doctor`. Pure.

From: Settings, the kinds of servers there are, and which paths of this machine exist. To: (place, sentence, whether it
is certain) triples. No mistakes: a label may add what is missing, and a path may be there for the daemon alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from supervisor.config import fields
from supervisor.config.settings import ServiceSettings, Settings
from supervisor.config.slots import SlotModelSettings, SlotSettings
from supervisor.units import show_duration

Exists = Callable[[str], bool]
Place = tuple[str | int, ...]

_LOOPBACK = ("", "127.0.0.1", "localhost", "::1", "[::1]", "0.0.0.0")  # noqa: S104 - compared, never listened on
_LONGEST_LIST = 20


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that is odd. `sure`: it cannot work as it stands; else a person should look."""

    place: Place
    text: str
    sure: bool = False


def doubts(settings: Settings, kinds: Sequence[str], exists: Exists) -> tuple[Doubt, ...]:
    """Everything, slot by slot. `kinds`: the names of the adapters; `exists`: whether a path is there."""
    found: list[Doubt] = []
    for name, slot in settings.slots.items():
        place: Place = ("slots", name)
        found += _listening(place, name, slot, settings)
        found += _times(place, slot, settings)
        found += _beside(place, slot)
        for word, given in slot.models.items():
            model = given or SlotModelSettings()
            found += _model((*place, "models", word), word, model, settings, kinds, exists)
        found += _measured(place, slot, exists)
        found += _standing_in(place, slot)
    return (*found, *_shared(settings))


# ------------------------------------------------------------ addresses


def _port(url: str) -> tuple[str, int]:
    """(host, port) of an address; ('', 0) where it has no port."""
    try:
        parts = fields.split_url(url, ("http", "https", "tcp", "grpc", "completion"), "an address")
        return parts.hostname or "", parts.port or 0
    except ValueError:
        return "", 0


def _same(address: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two listeners would want one port."""
    hosts = {address[0], other[0]}
    everywhere = bool(hosts & {"0.0.0.0", "::", "[::]"})  # noqa: S104 - compared, never listened on
    return address[1] == other[1] != 0 and (address[0] == other[0] or everywhere or hosts <= set(_LOOPBACK))


def _listening(place: Place, name: str, slot: SlotSettings, settings: Settings) -> Iterator[Doubt]:
    """The gate's port: it must be its own, and nothing behind it may be asked by it."""
    where = (*place, "listen")
    if slot.listen == "none":
        return
    gate = fields.listen_address(slot.listen)
    http = settings.http.address
    if http is not None and _same(gate, http):
        yield Doubt(where, f"{slot.listen} is the address of http.listen, too; give the gate one of its own", True)
    for other, one in settings.slots.items():
        if other == name:
            break
        if one.listen != "none" and _same(gate, fields.listen_address(one.listen)):
            yield Doubt(where, f"{slot.listen} is the gate of the slot {other}, too; give each one of its own", True)
    for word, given in slot.models.items():
        url = (given.url or "") if given is not None else ""
        host, port = _port(url)
        if host and _same((host, port), gate):
            text = f"{url} is this slot's own gate, which would ask itself; name the server's own address"
            yield Doubt((*place, "models", word, "url"), text, True)
    for word, entry in _services(slot, settings):
        for key in ("probe", "metrics"):
            host, port = _port(getattr(entry, key) or "")
            if host in _LOOPBACK[1:] and port == gate[1]:
                text = (
                    f"its {key} asks {host}:{port}, which is the gate of the slot {name}: whoever holds the slot would "
                    f"answer for it; write {key} with :{port} alone, which is its own container"
                )
                yield Doubt(("services", word, key), text)


def _beside(place: Place, slot: SlotSettings) -> Iterator[Doubt]:
    """Two models that run at the same time have an address each."""
    if slot.shape != "beside":
        return
    seen: dict[tuple[str, int], str] = {}
    for word, given in slot.models.items():
        address = _port((given.url or "") if given is not None else "")
        if not address[0] or (given is not None and given.inside):
            continue
        if address in seen:
            text = (
                f"{word} and {seen[address]} are to run beside each other, and both answer at "
                f"{address[0]}:{address[1]}; give each a port of its own"
            )
            yield Doubt((*place, "models", word, "url"), text, True)
        seen.setdefault(address, word)


# ------------------------------------------------------------ times and measurements


def _times(place: Place, slot: SlotSettings, settings: Settings) -> Iterator[Doubt]:
    """Requests are held for as long as a swap may take, or callers see 503 in every one."""
    if slot.listen != "none" and slot.shape != "beside":
        longest, whose = 0.0, ""
        for word, given in slot.models.items():
            model = given or SlotModelSettings()
            entry = settings.services.get(model.service or word)
            startup = model.startup or (entry.startup if entry is not None else None) or 0.0
            if startup > longest:
                longest, whose = startup, word
        if longest > slot.gate.hold:
            text = (
                f"{whose} may take {show_duration(longest)} to load and requests are held for "
                f"{show_duration(slot.gate.hold)} at most, so callers may get 503 in a swap; raise gate: hold"
            )
            yield Doubt(place, text)
    if slot.probation_every and not slot.probation:
        yield Doubt((*place, "probation-every"), "there is no probation, so nothing is measured in it")


def _measured(place: Place, slot: SlotSettings, exists: Exists) -> Iterator[Doubt]:
    """What is asked for and what is hoped for."""
    every = [((*place, "criteria"), slot.criteria)]
    every += [
        ((*place, "models", word, "criteria"), given.criteria)
        for word, given in slot.models.items()
        if given is not None and given.criteria is not None
    ]
    for where, one in every:
        for low, high in (("at_least", "wanted"), ("prompt_at_least", "prompt_wanted")):
            least, hoped = getattr(one, low), getattr(one, high)
            if hoped and least > hoped:
                names = low.replace("_", "-"), high.replace("_", "-")
                yield Doubt((*where, names[1]), f"less is hoped for ({names[1]}) than is asked for ({names[0]})")
        if one.golden and not exists(one.golden):
            yield Doubt((*where, "golden"), f"there is no folder {one.golden}, so no golden file is asked")


# ------------------------------------------------------------ models


def _services(slot: SlotSettings, settings: Settings) -> list[tuple[str, ServiceSettings]]:
    """The entries of the services that carry its models."""
    names = [(given.service or word) if given is not None else word for word, given in slot.models.items()]
    return [(name, settings.services[name]) for name in names if name in settings.services]


def _model(
    place: Place, word: str, model: SlotModelSettings, settings: Settings, kinds: Sequence[str], exists: Exists
) -> Iterator[Doubt]:
    """One model: its service, its kind of server, its files."""
    elsewhere = model.service is None and model.url is not None and not model.url.split("//", 1)[1].startswith(":")
    service = model.service or word
    if not elsewhere and service not in settings.services:
        text = (
            f"services: says nothing about {service}, so what it needs is not known, and it is ours only where its "
            f"container has the label resurgam.enable=true; write services: {{{service}: {{enable: true, memory: …}}}}"
        )
        yield Doubt(place, text)
    elif not elsewhere and settings.services[service].enable is False:
        text = f"{service} is only watched (enable: false), so no swap may start or stop it"
        yield Doubt(place, text, True)
    if model.server and model.server not in kinds:
        known = ", ".join(sorted(kinds)[:_LONGEST_LIST])
        yield Doubt((*place, "server"), f"there is no kind of server {model.server!r}; there are: {known}", True)
    for number, file in enumerate(model.files):
        if not exists(file):
            text = f"{file} is not here; a swap to {word} is refused until it is"
            yield Doubt((*place, "files", number), text)
    if model.compose and not exists(model.compose):
        yield Doubt((*place, "compose"), f"{model.compose} is not here, so its container cannot be made from it")


def _standing_in(place: Place, slot: SlotSettings) -> Iterator[Doubt]:
    """A stand-in must have something that the first choice has not: else it fails with it."""
    first = next(iter(slot.models))
    own = slot.models[first] or SlotModelSettings()
    for number, word in enumerate(slot.fallback):
        model = slot.models[word] or SlotModelSettings()
        if (model.service or word) == (own.service or first) and not (model.url and model.service is None):
            text = f"{word} runs in the same service as {first}: when that is down, it is down, too"
            yield Doubt((*place, "fallback", number), text)


def _shared(settings: Settings) -> Iterator[Doubt]:
    """A container that is a model of two slots can serve one of them only."""
    seen: dict[str, str] = {}
    for name, slot in settings.slots.items():
        for word, given in slot.models.items():
            if given is not None and (given.inside or (given.url and given.service is None)):
                continue
            service = (given.service if given is not None else None) or word
            if seen.get(service, name) != name:
                text = f"{service} is a model of the slot {seen[service]}, too: only one of them can be held by it"
                yield Doubt(("slots", name, "models", word), text)
            seen.setdefault(service, name)
