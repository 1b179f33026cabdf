"""What Home Assistant takes: its recorded schema, and a real one where there is one.

`complaints` judges a discovery message by ha_schema.json, which `ha_real.py record` made from the version named in it;
this runs everywhere. `real` finds the Python of an installed Home Assistant ($RESURGAM_HA, else our own where it has
it). `rendered` runs a template with Jinja as Home Assistant does, with the few functions of its own that we use.
"""

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "ha_schema.json").read_text())
WILDCARDS = re.compile(r"[+#]")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def complaints(topic: str, payload: Any) -> list[str]:
    """What is wrong with a discovery message; empty where Home Assistant would take every word of it."""
    _prefix, _slash, rest = topic.partition("/")
    match = re.fullmatch(SCHEMA["topic"], rest)
    found = [] if match and match["component"] == "device" else [f"no topic of a device: {topic}"]
    found += _fits("root", SCHEMA["root"], payload)
    found += _fits("device", SCHEMA["device"], payload.get("device", {}))
    found += _fits("origin", SCHEMA["origin"], payload.get("origin", {}))
    if not payload.get("device", {}).get("identifiers"):
        found.append("device: no identifier")
    for key, component in payload.get("components", {}).items():
        found += [f"{key}: {text}" for text in _component(component, payload)]
    return found


def _component(component: Any, payload: Any) -> list[str]:
    platform = SCHEMA["platforms"].get(component.get("platform"))
    if platform is None:
        return [f"there is no platform {component.get('platform')!r}"]
    if len(component) == 1:
        return []  # to be forgotten
    shared = {key: payload[key] for key in SCHEMA["shared"] if key in payload and key in platform["keys"]}
    whole = shared | {key: value for key, value in component.items() if key != "platform"}
    found = _fits(component["platform"], platform, whole)
    found += [] if component.get("unique_id") else ["no unique_id"]
    if component["platform"] == "sensor":
        found += _sensor(component)
    domain = str(component.get("default_entity_id", "")).partition(".")[0]
    return found + ([] if domain == component["platform"] else [f"its entity id is of {domain!r}"])


def _sensor(component: Any) -> list[str]:
    found = []
    kind, unit = component.get("device_class"), component.get("unit_of_measurement")
    if unit is not None and kind in SCHEMA["units"] and unit not in SCHEMA["units"][kind]:
        found.append(f"{unit!r} is no unit of {kind}")
    if "options" in component and (kind != "enum" or unit or component.get("state_class") or not component["options"]):
        found.append("options are for enums, which have neither unit nor state class")
    return found


def _fits(where: str, schema: Any, given: Any) -> list[str]:
    found = [f"{where} lacks {key}" for key in schema["required"] if key not in given]
    for key, value in given.items():
        kind = schema["keys"].get(key)
        if kind is None:
            found.append(f"{where} knows no {key}")
        elif not _is(kind, value):
            found.append(f"{where}: {key} is {value!r}, which is no {kind}")
    return found


def _is(kind: Any, value: Any) -> bool:
    if isinstance(kind, list):
        return value in kind
    if kind in ("subscribe", "publish"):
        bad = CONTROLS.search(value) or (kind == "publish" and WILDCARDS.search(value))
        return isinstance(value, str) and 0 < len(value.encode()) < 65536 and not bad
    if kind == "template":
        return isinstance(value, str) and _parses(value)
    if kind == "icon":
        return isinstance(value, str) and ":" in value
    if kind == "text":
        return value is None or isinstance(value, str | int | float | list)
    if kind == "flag":
        return isinstance(value, bool)
    if kind == "count":
        return isinstance(value, int) and value >= 0
    return value in (0, 1, 2) if kind == "qos" else True


# ------------------------------------------------------------ templates


class _Now:
    """Home Assistant's `now()`: a moment that goes on with every look."""

    def __init__(self, seconds: float = 1_781_956_800.0) -> None:
        self.seconds = seconds

    def __call__(self) -> "_Now":
        self.seconds += 1e-4
        return self

    def timestamp(self) -> float:
        return self.seconds


_NOW = _Now()
_PARSER = ImmutableSandboxedEnvironment()
_PARSER.filters["to_json"] = json.dumps


def _environment(attributes: dict[str, Any] | None = None, now: float = 0.0) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment()
    clock = _Now(now) if now else _NOW
    made.globals |= {"now": clock, "state_attr": lambda _entity, name: (attributes or {}).get(name)}
    made.filters["to_json"] = json.dumps
    return made


@functools.lru_cache(1000)
def _parses(text: str) -> bool:
    try:
        _PARSER.parse(text)
    except Exception:
        return False
    return True


def rendered(
    template: str,
    document: Any = None,
    *,
    value: str = "",
    attributes: dict[str, Any] | None = None,
    now: float = 0.0,
    **others: Any,
) -> str:
    """What a value template gives for a document (None: for an empty message), or a command template for a value, with
    the attributes of its entity, at `now` (unix seconds); `others` are variables of an automation."""
    known = {"value": value} | ({} if document is None else {"value_json": document})
    made = _environment(attributes, now).from_string(template)
    return made.render(**known, entity_id="button.x", **others).strip()  # Home Assistant strips as well


# ------------------------------------------------------------ the real one


def real() -> str | None:
    """The Python of an installed Home Assistant."""
    if given := os.environ.get("RESURGAM_HA"):
        return given
    return sys.executable if importlib.util.find_spec("homeassistant") else None


def ask(python: str, what: str, question: Any) -> Any:
    """One question to the real one: see ha_real.py."""
    done = subprocess.run(
        [python, str(HERE / "ha_real.py"), what],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
