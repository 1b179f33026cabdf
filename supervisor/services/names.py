"""The words of identity: labels we read, names we give, the ids and series labels made from both.

Pure text in, pure text out. Names and labels come from whoever started a container, so they are bounded and made
safe here, once, before anything else sees them. Used by services, signals (series labels) and actions (temporary
names and labels).
"""

import hashlib
import re
from collections.abc import Mapping

from supervisor import units
from supervisor.facts.metrics import ABOUT_CONTAINER

PREFIX = "resurgam."
ENABLE_LABEL = "resurgam.enable"
SERVICE_LABEL = "resurgam.service"
ROLE_LABEL = "resurgam.role"
OP_LABEL = "resurgam.op"
REF_LABEL = "resurgam.ref"
"""on containers we made: the reference their image came by, since we create by image id"""
PROFILE_LABEL = "resurgam.profile"
"""on containers we made: `safe` where it runs by its safe profile"""
ROLES = ("new", "parked", "spare", "failed")
"""What a container of ours can be while it is not the service: not yet, not now, in reserve, kept for study."""

PROJECT_LABEL = "com.docker.compose.project"
COMPOSE_SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ONEOFF_LABEL = "com.docker.compose.oneoff"
SERIES_LABELS = ABOUT_CONTAINER
"""the labels that series about a container can carry, see `series_labels`"""
_NAME_KEY, PROJECT_KEY, SERVICE_KEY = SERIES_LABELS
"""compose's project and service as cAdvisor writes them into a series' labels"""

ID_LIMIT = 200
"""Characters of an id; a longer one is cut and told apart by a hash."""
LABEL_LIMIT = 255
"""Characters of one label value in a series."""

_TEMPORARY = re.compile(r"(.+)\.resurgam-(new|parked|spare|failed)-[0-9A-Za-z]+", re.DOTALL)
_COMPOSE_ASIDE = re.compile(r"[0-9a-f]{12}_(.+)", re.DOTALL)
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_TAKEN = ("host", "daemon")


def temp_name(name: str, role: str, op: str) -> str:
    """The name of a container that is not (or no longer) the service: `oracle.resurgam-parked-1f2e3d4c`.

    ValueError for a role that is not in ROLES, or an op that would not be recognised again.
    """
    made = f"{name}.resurgam-{role}-{op}"
    match = _TEMPORARY.fullmatch(made)
    if match is None or match[1] != name or match[2] != role:
        raise ValueError(f"{made!r} would not be known again as a temporary name")
    return made


def is_temp(name: str) -> bool:
    """Whether a container's name is one that temp_name makes: such a container is never a service."""
    return _TEMPORARY.fullmatch(name) is not None


def role_of(name: str, other: str) -> tuple[str, str]:
    """(role, op) of a container called `other` that stands aside for the one called `name`; ('', '') if it does not."""
    match = _TEMPORARY.fullmatch(other)
    if match is None or match[1] != name:
        return "", ""
    return match[2], other.rpartition("-")[2]


def canonical(name: str, labels: Mapping[str, str]) -> str:
    """The name people know a container by: without our suffix, and without the `<12 hex>_` that compose puts
    before the name of one it is replacing."""
    while match := _TEMPORARY.fullmatch(name):
        name = match[1]
    if labels.get(PROJECT_LABEL) and (match := _COMPOSE_ASIDE.fullmatch(name)):
        name = match[1]
    return name


def safe_id(text: str) -> str:
    """An id that is one MQTT level, one word of a command line and one label value.

    What is not `A-Za-z0-9_.-` becomes `~XX` (upper-case hex of its UTF-8 bytes). So does the first character where
    the word would look like an option, a hidden file or one of our own subjects (`host`, `daemon`).
    """
    raw = text.encode("utf-8", "surrogatepass")
    parts = [chr(byte) if byte in _SAFE else f"~{byte:02X}" for byte in raw[: ID_LIMIT * 4]]
    if parts and (parts[0] in "-." or text in _TAKEN):
        parts[0] = f"~{raw[0]:02X}"
    made = "".join(parts) or "~"
    if len(made) <= ID_LIMIT:
        return made
    return f"{made[: ID_LIMIT - 13]}-{hashlib.sha256(raw).hexdigest()[:12]}"


def series_labels(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels every series about a container carries: its canonical name, and compose's project and service
    where it has them. Never the image, the container id or a temporary name. Each value is plain and bounded."""
    made = {"name": units.plain(canonical(name, labels), LABEL_LIMIT)}
    for label, key in (
        (PROJECT_LABEL, PROJECT_KEY),
        (COMPOSE_SERVICE_LABEL, SERVICE_KEY),
    ):
        if value := labels.get(label, ""):
            made[key] = units.plain(value, LABEL_LIMIT)
    return made


def canonical_ref(ref: str) -> str:
    """An image reference in its long form, so that two spellings compare equal; '' for an id or a pinned digest.

    `busybox` and `docker.io/library/busybox:latest` are the same one.
    """
    if not ref or "@" in ref or ref.startswith("sha256:") or re.fullmatch(r"[0-9a-f]{64}", ref):
        return ""
    first, slash, _rest = ref.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        ref = f"docker.io/{ref}" if slash else f"docker.io/library/{ref}"
    elif first == "index.docker.io":
        ref = "docker.io" + ref[len(first) :]
    return ref if ":" in ref.rpartition("/")[2] else f"{ref}:latest"
