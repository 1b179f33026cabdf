"""What a client may wish for: the JSON body of POST /v1/command, checked before it becomes a fact.

In: text from a client. Out: a Wish, or ValueError with one sentence that says what is wrong.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from supervisor.actions.compose.model import MOST_DOCUMENT
from supervisor.facts import Json
from supervisor.units import duration
from supervisor.verbs import VERBS, Param

_PAUSE = {"reason": Param("text"), "for": Param("duration")}
_WORD = {"reason": Param("text")}
OTHER = {
    "pause": _PAUSE,
    "resume": {},
    "release": {},
    "approve": _WORD,
    "deny": _WORD,
    "ack": _WORD,
    "gpu-release": {"for": Param("duration")},
    "gpu-resume": {},
    "gpu-forget": {},
    "gpu-drill": {"xid": Param("text"), "for": Param("duration"), "service": Param("text")},
    "silence": {"reason": Param("text"), "for": Param("duration"), "end": Param("text")},
}
"""commands that steer us rather than a service"""

_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Wish:
    """A verb on a target; `override` is the reason for lifting budget, cooldown and veto once."""

    verb: str
    target: str
    params: dict[str, str] = field(default_factory=dict)
    override: str = ""
    document: Json = field(default_factory=dict)
    """compose service name -> that service, resolved (`phoenix --from-compose`)"""


def parse(text: str) -> Wish:
    """Read `{"verb", "target", "params", "override", "document"}`."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise ValueError("the body must be an object with verb and target")
    unknown = [key for key in body if key not in ("verb", "target", "params", "override", "document")]
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; there are verb, target, params, override and document")
    params = body.get("params") or {}
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        raise ValueError("params must be an object of texts")
    wish = check(_text(body, "verb"), _text(body, "target"), params, _text(body, "override"))
    return replace(wish, document=_services(wish, body.get("document") or {}))


def _services(wish: Wish, given: Any) -> Json:
    """The compose services a phoenix is made from: an object of objects, of bounded size."""
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise ValueError("document must be an object of compose services")
    if given and wish.verb != "phoenix":
        raise ValueError(f"{wish.verb} takes no document; phoenix does")
    if len(json.dumps(given)) > MOST_DOCUMENT:
        raise ValueError(f"the document is larger than {MOST_DOCUMENT // 1000} kB; name single services instead")
    return given


def check(verb: str, target: str, params: dict[str, str], override: str = "") -> Wish:
    """A Wish whose verb exists and whose parameters fit it. Empty parameters count as not given."""
    given = {name: value for name, value in params.items() if value}
    if verb in OTHER:
        _check_other(verb, given)
        if verb in ("approve", "deny", "ack") and not target:
            raise ValueError(f"{verb} needs the id of what it is about, or a service")
        return Wish(verb, target or ("" if verb == "silence" else "*"), given)
    known = VERBS.get(verb)
    if known is None or known.internal:
        names = ", ".join([name for name, entry in VERBS.items() if not entry.internal] + list(OTHER))
        raise ValueError(f"there is no verb {verb!r}; there are: {names}")
    if not target:
        raise ValueError(f"{verb} needs a service")
    known.check(given)
    if verb == "scale" and given.get("replicas") not in ("0", "1"):
        raise ValueError("scale needs replicas=0 or replicas=1")
    return Wish(verb, target, given, override)


def _check_other(verb: str, given: dict[str, str]) -> None:
    for name, value in given.items():
        if name not in OTHER[verb]:
            known = ", ".join(OTHER[verb]) or "none"
            raise ValueError(f"{verb} has no parameter {name!r}; it knows: {known}")
        if OTHER[verb][name].kind == "duration":
            duration(value)


def _text(body: dict[str, object], key: str) -> str:
    value = body.get(key) or ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"{key} must be a text of at most {_LONGEST} characters")
    return value
