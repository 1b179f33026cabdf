"""What a client may wish for: the JSON body of POST /v1/command, checked before it becomes a fact.

In: text from a client. Out: a Wish, or ValueError with one sentence that says what is wrong.
"""

import json
from dataclasses import dataclass, field

from supervisor.units import duration
from supervisor.verbs import VERBS, Param

_PAUSE = {"reason": Param("text"), "for": Param("duration")}
OTHER = {"pause": _PAUSE, "resume": {}}
"""commands that steer us rather than a service"""

_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Wish:
    """A verb on a target; `override` is the reason for lifting budget, cooldown and veto once."""

    verb: str
    target: str
    params: dict[str, str] = field(default_factory=dict)
    override: str = ""


def parse(text: str) -> Wish:
    """Read `{"verb", "target", "params", "override"}`."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise ValueError("the body must be an object with verb and target")
    unknown = [key for key in body if key not in ("verb", "target", "params", "override")]
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; there are verb, target, params and override")
    params = body.get("params") or {}
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        raise ValueError("params must be an object of texts")
    return check(_text(body, "verb"), _text(body, "target"), params, _text(body, "override"))


def check(verb: str, target: str, params: dict[str, str], override: str = "") -> Wish:
    """A Wish whose verb exists and whose parameters fit it. Empty parameters count as not given."""
    given = {name: value for name, value in params.items() if value}
    if verb in OTHER:
        _check_other(verb, given)
        return Wish(verb, target or "*", given)
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
