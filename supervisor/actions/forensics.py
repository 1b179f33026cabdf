"""What is kept of a container that failed or is taken away: the end of its log, how it ended, how it was made.

From: the engine, before anything is removed. To: the marks of the plan, and from there its last journal row; bounded,
and without secrets. Failed containers themselves are kept for study, but only a few: they cost disk.
"""

import json
from collections.abc import Sequence
from contextlib import suppress

from supervisor import units
from supervisor.actions import recipe
from supervisor.actions.hand import Hand
from supervisor.errors import EngineError
from supervisor.facts import Container, Json
from supervisor.services import is_temp

MOST_KEPT = 5
"""failed containers on one host"""
MOST_BYTES = 10 << 30
"""bytes in the writable layers of all failed containers of a host"""
INSPECT = 12_288
"""characters of a masked inspect"""
_LOG_LINES, _LOG_WIDTH, _TEXT = 20, 200, 300
_DULL = (
    *(
        "GraphDriver",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "Platform",
        "MountLabel",
        "ProcessLabel",
    ),
    *(
        "MaskedPaths",
        "ReadonlyPaths",
        "SandboxID",
        "SandboxKey",
        "OnBuild",
        "ConsoleSize",
        "ExecIDs",
        "ContainerIDFile",
    ),
)


async def last_words(hand: Hand, key: str) -> list[str]:
    """The end of its log, bounded and without secrets; best effort."""
    try:
        lines = await hand.engine.logs(key, _LOG_LINES)
    except EngineError:
        return []
    return [units.mask(units.plain(line, _LOG_WIDTH)) for line in lines[-_LOG_LINES:]]


async def evidence(hand: Hand, failed: Container) -> Json:
    """Everything about a container that failed that a row can carry; what cannot be had is left out."""
    found: Json = {
        "name": failed.name,
        "exit_code": failed.exit_code,
        "oom_killed": failed.oom_killed,
        "error": units.plain(failed.error, _TEXT),
        "health": units.mask(units.plain(failed.health_output, _TEXT)),
        "log": await last_words(hand, failed.id),
    }
    with suppress(EngineError):
        found["inspect"] = masked(await hand.engine.raw(failed.id))
    return {key: value for key, value in found.items() if value not in ("", [], False)}


def masked(raw: Json) -> str:
    """An inspect as JSON text, without what is empty or dull, its secrets blanked out; bounded."""
    host = raw.get("HostConfig") or {}
    small = {key: raw.get(key) for key in ("Name", "Image", "Created", "State", "Config", "Mounts", "SizeRw")}
    small["HostConfig"] = host
    small["Networks"] = (raw.get("NetworkSettings") or {}).get("Networks")
    small["Config"] = _unsecret(raw.get("Config") or {})
    text = json.dumps(_clean(small), ensure_ascii=False)
    if len(text) > INSPECT:
        config = raw.get("Config") or {}
        less = {key: _unsecret(config).get(key) for key in ("Image", "Cmd", "Entrypoint", "User", "WorkingDir")}
        bare = {"State": raw.get("State"), "Config": less, "Binds": host.get("Binds")}
        text = json.dumps(_clean(bare), ensure_ascii=False)
    return text[:INSPECT]


def _unsecret(config: Json) -> Json:
    """The same Config with its variables, labels and words shown as a fidelity report shows them: this goes to the bus,
    and a name like `STRIPE_KEY`, or a phrase of several words, is no secret to a pattern for logs."""
    shown = recipe.traits.shown
    env = [str(each).partition("=") for each in config.get("Env") or ()]
    test = (config.get("Healthcheck") or {}).get("Test")
    made: Json = {
        "Env": [name + sign + shown(name, value) for name, sign, value in env],
        "Labels": {name: shown(name, value) for name, value in (config.get("Labels") or {}).items()},
        "Healthcheck": {**(config.get("Healthcheck") or {}), "Test": shown("Test", test) if test else None},
    }
    words = {key: shown(key, config[key]) for key in ("Cmd", "Entrypoint") if config.get(key)}
    return {**config, **made, **words}


def _clean(value: object) -> object:
    if isinstance(value, dict):
        cleaned = {str(key): _clean(each) for key, each in value.items() if key not in _DULL}
        masked_too = {
            key: units.mask(f"{key}={each}")[len(key) + 1 :] if isinstance(each, str) else each
            for key, each in cleaned.items()
        }
        return {key: each for key, each in masked_too.items() if each not in (None, "", [], {}, False, 0)}
    if isinstance(value, list):
        return [_clean(each) for each in value[:100]]
    return units.mask(units.plain(value, _TEXT)) if isinstance(value, str) else value


async def too_many(hand: Hand, failed: Container, others: Sequence[Container]) -> str:
    """Why one more failed container is not kept on this host; '' where it may be. `others`: every container there is;
    those of this service go anyway."""
    mine = f"{hand.plan.name}.resurgam-"
    kept = [
        each
        for each in others
        if is_temp(each.name) and ".resurgam-failed-" in each.name and not each.name.startswith(mine)
    ]
    if len(kept) >= MOST_KEPT:
        return f"{len(kept)} others are kept already"
    used = 0.0
    for each in (failed, *kept):
        try:
            used += recipe.layer_size(await hand.engine.raw(each.id))
        except EngineError:
            continue
    if used > MOST_BYTES:
        return f"with it, failed containers would hold more than {units.show_size(MOST_BYTES)}"
    return ""
