"""Rights never grow by a recreation, and hardening is never lost: what a container may do, before and after.

From: phoenix.py (with the create body, and again with what the engine made of it), preview.py, and whoever applies a
compose file. To: a verdict. Every comparison is one small function in a list; the sources of what is compared are the
engine's raw inspect, or a create body, which has the same words. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from supervisor.actions.recipe import grants
from supervisor.actions.recipe.raw import items, part
from supervisor.facts import Image, Json
from supervisor.verdicts import Reason, Verdict, no, yes


@dataclass(frozen=True, slots=True)
class Change:
    """One right that would grow, or one protection that would be lost."""

    field: str
    """the engine's own word for it"""
    before: str
    after: str
    sentence: str
    by_image: bool = False
    """it comes from the new image alone: nobody asked for it in a recipe"""


@dataclass(frozen=True, slots=True)
class _Side:
    config: Json
    host: Json
    image: Image | None
    body: bool
    """a create body: what is left out is the engine's default, not nothing"""
    raw: Json
    names: Mapping[str, str] = field(default_factory=dict)
    default_runtime: str = ""


_Check = Callable[[_Side, _Side], Iterator[Change]]


def check(
    old_raw: Json,
    new: Json,
    old_image: Image | None,
    new_image: Image | None,
    *,
    names: Mapping[str, str] | None = None,
    default_runtime: str = "",
) -> tuple[Change, ...]:
    """What `new` (a create body, or the raw inspect of what was made) may do that the old container may not.

    `names`: container id -> name, for namespaces shared by id. `default_runtime`: the engine's, '' where unknown.
    """
    known = dict(names or {})
    old = _Side(part(old_raw, "Config"), part(old_raw, "HostConfig"), old_image, False, old_raw, known, default_runtime)
    body = "Config" not in new
    config = new if body else part(new, "Config")
    fresh = _Side(config, part(new, "HostConfig"), new_image, body, new, known, default_runtime)
    return tuple(change for each in _CHECKS for change in each(old, fresh))


def verdict(changes: tuple[Change, ...], *, approved: str = "", document: bool = False) -> Verdict:
    """Whether it may be made all the same. `approved`: who said yes, '' for nobody. `document`: the recipe comes from
    a compose file; only there, and for the user that an image runs as, can a person's yes widen anything."""
    if not changes:
        return yes()
    open_to_yes = document or all(change.by_image for change in changes)
    if approved and open_to_yes:
        return yes(f"{_said(changes)} {approved} agreed to it.")
    if open_to_yes:
        return no(Reason.NEEDS_APPROVAL, f"{_said(changes)} It needs a person's yes.")
    return no(Reason.WIDENS, f"{_said(changes)} Nothing was touched; change it in the compose file and apply that.")


def _said(changes: tuple[Change, ...]) -> str:
    more = f" And {len(changes) - 3} more of the kind." if len(changes) > 3 else ""
    return " ".join(change.sentence for change in changes[:3]) + more


# ------------------------------------------------------------ one thing each


def _privileged(old: _Side, new: _Side) -> Iterator[Change]:
    if new.host.get("Privileged") and not old.host.get("Privileged"):
        yield Change("Privileged", "no", "yes", "It would be privileged: the whole host would be open to it.")


def _capabilities(old: _Side, new: _Side) -> Iterator[Change]:
    had, has = grants.capabilities(old.host, "CapAdd"), grants.capabilities(new.host, "CapAdd")
    gained = sorted(has - had) if "ALL" not in had else []
    if gained:
        words = ", ".join(gained)
        yield Change("CapAdd", _list(had), _list(has), f"It would gain the capability {words}.")
    dropped, drops = grants.capabilities(old.host, "CapDrop"), grants.capabilities(new.host, "CapDrop")
    lost = sorted(dropped - drops) if "ALL" not in drops else []
    if lost:
        words = ", ".join(lost)
        yield Change("CapDrop", _list(dropped), _list(drops), f"{words} would not be dropped any more.")


def _devices(old: _Side, new: _Side) -> Iterator[Change]:
    had = {(path, inside): letters for path, inside, letters in grants.devices(old.host)}
    for path, inside, letters in sorted(grants.devices(new.host)):
        more = set(letters) - set(had.get((path, inside), ""))
        if more:
            yield Change("Devices", had.get((path, inside), "none"), f"{path} {letters}", f"It would get {path}.")
    for key, what in (("DeviceRequests", "devices"), ("DeviceCgroupRules", "a device rule")):
        before = {grants.plain(each) for each in items(old.host, key)}
        gained = sorted({grants.plain(each) for each in items(new.host, key)} - before)
        if gained:
            yield Change(
                key, _list(before), _list(gained), f"It would get {what} it does not have: {', '.join(gained)}."
            )


def _storage(old: _Side, new: _Side) -> Iterator[Change]:
    had = grants.sources(old.raw, old.host, anonymous=True)
    for source, rights in sorted(grants.sources(new.raw, new.host, anonymous=False).items()):
        before = had.get(source)
        if before is None:
            yield Change("Binds", "none", source, f"It would see {source}, which it does not see now.")
        elif rights - before:
            word = "write to" if "rw" in rights - before else "share mounts of"
            yield Change("Binds", _list(before), _list(rights), f"It could {word} {source}, which it cannot now.")
    parents = {_name(str(each), old.names) for each in items(old.host, "VolumesFrom")}
    for each in items(new.host, "VolumesFrom"):
        name = _name(str(each), new.names)
        if name not in parents and name.replace(":ro", "") not in parents and name.removesuffix(":rw") not in parents:
            yield Change("VolumesFrom", _list(parents), name, f"It would see the volumes of {name}.")


def _namespaces(old: _Side, new: _Side) -> Iterator[Change]:
    for key, what in grants.NAMESPACES:
        if key == "CgroupnsMode" and not old.host.get(key):
            continue  # made by an engine that did not know it yet
        before, after = grants.namespace(old.host, key, old.names), grants.namespace(new.host, key, new.names)
        if before != after and (after == "host" or after.startswith(("container:", "shareable"))):
            where = "the host's" if after == "host" else after.replace("container:", "that of ")
            yield Change(key, before or "its own", after, f"It would use {where} {what}, which it does not now.")


def _security(old: _Side, new: _Side) -> Iterator[Change]:
    had, has = grants.security(old.host), grants.security(new.host)
    for option in sorted(has - had):
        if option != "no-new-privileges":
            yield Change("SecurityOpt", _list(had), _list(has), f"The security option {option} would be new.")
    for option in sorted(had - has):
        if not option.endswith(("=unconfined", "=disable")):
            yield Change("SecurityOpt", _list(had), _list(has), f"The protection {option} would be lost.")
    if old.host.get("ReadonlyRootfs") and not new.host.get("ReadonlyRootfs"):
        yield Change("ReadonlyRootfs", "yes", "no", "Its root file system would become writable.")
    for key, what in (("MaskedPaths", "hidden"), ("ReadonlyPaths", "read-only")):
        bare = set(map(str, items(old.host, key))) - set(map(str, items(new.host, key)))
        if bare and new.host.get(key) is not None:
            yield Change(
                key, "the engine's", _list(items(new.host, key)), f"{_list(bare)} would not be {what} any more."
            )


def _groups_and_kernel(old: _Side, new: _Side) -> Iterator[Change]:
    groups = set(map(str, items(new.host, "GroupAdd"))) - set(map(str, items(old.host, "GroupAdd")))
    if groups:
        before = _list(items(old.host, "GroupAdd"))
        yield Change("GroupAdd", before, _list(groups), f"It would join the group {_list(groups)}.")
    before_sys, after_sys = part(old.host, "Sysctls"), part(new.host, "Sysctls")
    for name in sorted(before_sys.keys() | after_sys.keys()):
        if before_sys.get(name) != after_sys.get(name):
            was, now = str(before_sys.get(name, "unset")), str(after_sys.get(name, "unset"))
            yield Change("Sysctls", f"{name}={was}", f"{name}={now}", f"The kernel setting {name} would become {now}.")


def _ports(old: _Side, new: _Side) -> Iterator[Change]:
    had = grants.published(old.host)
    for port, address in sorted(grants.published(new.host)):
        if (port, address) not in had and (port, "") not in had:
            where = f"{address}:{port}" if address else f"{port} on every address"
            yield Change("PortBindings", _list(f"{a}:{p}" for p, a in had), where, f"It would publish {where}.")
    if new.host.get("PublishAllPorts") and not old.host.get("PublishAllPorts"):
        yield Change("PublishAllPorts", "no", "yes", "Every port its image names would be published.")
    elif new.host.get("PublishAllPorts"):
        known = {**part(old.config, "ExposedPorts"), **(part(old.image.config, "ExposedPorts") if old.image else {})}
        brought = part(new.image.config, "ExposedPorts") if new.image else {}
        more = sorted(brought.keys() - known)
        if more and len(brought) > len(known):  # the same service on another port is what was wished for
            yield Change("ExposedPorts", _list(known), _list(brought), f"It would publish {_list(more)}, too.", True)


def _user(old: _Side, new: _Side) -> Iterator[Change]:
    before, after = grants.user(old.config, old.image), grants.user(new.config, new.image)
    if grants.is_root(after) and not grants.is_root(before):
        by_image = _by_image(new, after)
        yield Change("User", before, after or "root", f"It would run as root instead of {before}.", by_image)
    own, group = str(new.config.get("User") or ""), after.partition(":")[2]
    if own and group and group != before.partition(":")[2] and not _by_image(new, after):
        yield Change("User", before or "root", after, f"It would run with the group {group}.")


def _by_image(new: _Side, who: str) -> bool:
    return new.image is not None and grants.user(new.image.config, None) == who


def _limits(old: _Side, new: _Side) -> Iterator[Change]:
    for key, what in grants.LIMITS:
        before, after = grants.number(old.host, key), grants.number(new.host, key)
        unsaid = key == "MemorySwap" and new.body and after == 0  # the engine makes it of the memory limit
        if before > 0 >= after and not unsaid:
            yield Change(key, str(before), "none", f"Its limit of {what} would be lost.")
    if grants.cpu(old.host) and not grants.cpu(new.host):
        yield Change("NanoCpus", "limited", "none", "Its limit of CPU time would be lost.")
    had, has = grants.ulimits(old.host), grants.ulimits(new.host)
    for name in sorted(had):
        if has.get(name, -1) != had[name] and (has.get(name, -1) == -1 or 0 <= had[name] < has[name]):
            now = str(has.get(name, "none"))
            yield Change("Ulimits", f"{name}={had[name]}", f"{name}={now}", f"Its limit {name} would be lifted.")
    if grants.number(new.host, "OomScoreAdj") < grants.number(old.host, "OomScoreAdj"):
        was, now = str(grants.number(old.host, "OomScoreAdj")), str(grants.number(new.host, "OomScoreAdj"))
        yield Change("OomScoreAdj", was, now, "The kernel would spare it more than now when memory runs out.")
    if new.host.get("OomKillDisable") and not old.host.get("OomKillDisable"):
        yield Change("OomKillDisable", "no", "yes", "The kernel could not end it when memory runs out.")


def _home(old: _Side, new: _Side) -> Iterator[Change]:
    before, after = str(old.host.get("CgroupParent") or ""), str(new.host.get("CgroupParent") or "")
    if before != after:
        yield Change("CgroupParent", before or "the engine's", after or "the engine's", "It would leave its cgroup.")
    was, now = grants.runtime(old.host, old.default_runtime), grants.runtime(new.host, new.default_runtime)
    if was != now and (was and now):
        yield Change("Runtime", was, now, f"It would run under {now} instead of {was}.")


def _list(words: object) -> str:
    found = sorted(str(word) for word in words) if hasattr(words, "__iter__") else []
    return ", ".join(found) or "none"


def _name(text: str, names: Mapping[str, str]) -> str:
    key, colon, options = text.partition(":")
    return f"{names.get(key, key)}{colon}{options}"


_CHECKS: tuple[_Check, ...] = (
    _privileged,
    _capabilities,
    _devices,
    _storage,
    _namespaces,
    _security,
    _groups_and_kernel,
    _ports,
    _user,
    _limits,
    _home,
)
