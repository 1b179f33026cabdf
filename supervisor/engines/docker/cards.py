"""Which GPUs a container asks for, by the words it used itself. Pure; imports no SDK.

From: shape.py, which maps an engine's inspect. To: Container.gpus. The words are the container's own: they are bounded
and made plain here, and gpu/cards.py decides what card each of them means.
"""

import re
from collections.abc import Iterator
from typing import Any

from supervisor import units
from supervisor.facts import Json

MOST, LONGEST = 64, 100
"""words of one container, characters of each"""
NOTHING = ("", "void", "none")
"""values of NVIDIA_VISIBLE_DEVICES that mean no GPU"""
OTHERS = "amd.com/gpu"
"""before what is asked of another maker's driver: a CDI name, so that nobody takes it for a card of NVIDIA's"""
_CARD_FILE = re.compile(r"/dev/(nvidia\d+|dri(/.*)?|kfd|dxg)")


def asked(config: Json, host: Json) -> tuple[str, ...]:
    """`all`, an index, a UUID, a CDI name or a device file each; empty for some number of them, or none."""
    found = dict.fromkeys(units.plain(word, LONGEST) for word in _words(config, host) if word)
    return tuple(found)[:MOST]


def _words(config: Json, host: Json) -> Iterator[str]:
    for request in host.get("DeviceRequests") or ():
        yield from _requested(request)
    for device in host.get("Devices") or ():
        path = str(device.get("PathOnHost") or "")
        if _CARD_FILE.fullmatch(path):
            yield path
    if "nvidia" in str(host.get("Runtime") or ""):
        yield from visible(config)


def _requested(request: Json) -> Iterator[str]:
    driver = str(request.get("Driver") or "")
    wanted = {str(word) for words in request.get("Capabilities") or () for word in words or ()}
    ids = [str(each) for each in request.get("DeviceIDs") or ()]
    if driver == "amd":
        yield from (f"{OTHERS}={each}" for each in ids or ["all"])
    elif driver == "cdi" or any("/" in each for each in ids):
        yield from (each for each in ids if "gpu" in each)
    elif driver == "nvidia" or "gpu" in wanted:
        yield from ids
        if not ids and request.get("Count") == -1:
            yield "all"


def visible(config: Json) -> list[str]:
    """What NVIDIA_VISIBLE_DEVICES says, as NVIDIA's runtime reads it: left out, images of CUDA mean all of them."""
    env: dict[str, Any] = dict(str(pair).partition("=")[::2] for pair in config.get("Env") or ())
    said = str(env.get("NVIDIA_VISIBLE_DEVICES", "all" if "CUDA_VERSION" in env else ""))
    return [word for word in (each.strip() for each in said.split(",")) if word not in NOTHING]
