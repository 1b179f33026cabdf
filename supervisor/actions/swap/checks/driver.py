"""What an image asks of NVIDIA's driver and of the cards (`NVIDIA_REQUIRE_*`), and whether it gets it.

From: the image's environment, and the driver. To: image.py and created.py, while the model that serves is untouched:
NVIDIA's own hook would say the same at the start of the container, after the other model was stopped.
"""

import operator
import re
from collections.abc import Iterable, Sequence

from supervisor import units
from supervisor.actions.swap.checks.case import Eyes, Line
from supervisor.facts import Container, GpuCard, GpuReading, Json
from supervisor.gpu.cards import deck_of
from supervisor.verdicts import Reason

_REQUIRE, _WAIVED = "NVIDIA_REQUIRE_", "NVIDIA_DISABLE_REQUIRE"
_CLAUSE = re.compile(r"(driver|cuda|arch)(>=|<=|!=|>|<|=)(\d{1,4}(?:\.\d{1,4}){0,2})")
_HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq, "!=": operator.ne}
# fmt: off
_BRANCHES = {
    (11, 0): 450, (11, 1): 455, (11, 2): 460, (11, 3): 465, (11, 4): 470, (11, 5): 495, (11, 6): 510, (11, 7): 515,
    (11, 8): 520, (12, 0): 525, (12, 1): 530, (12, 2): 535, (12, 3): 545, (12, 4): 550, (12, 5): 555, (12, 6): 560,
    (12, 8): 570, (12, 9): 575, (13, 0): 580,
}
"""CUDA's version -> the first branch of drivers that brings it"""
# fmt: on


async def unserved(eyes: Eyes, raw: Json, box: Container) -> Line | None:
    """What its image asks of the driver and the cards, and does not get; None where it gets all, or has no card. `raw`:
    its Config.Env counts."""
    if not box.gpu:
        return None
    lacks = unmet(raw, await eyes.driver.snapshot("slow"), box.gpus)
    return Line("image", lacks, False, Reason.UNSUPPORTED) if lacks else None


def unmet(raw: Json, reading: GpuReading, asked: Iterable[str] = ()) -> str:
    """What its image asks of the driver and the cards (`NVIDIA_REQUIRE_*`) and does not get; '' for nothing, or where
    nobody can tell. The hook wants it of each card that the container sees. `asked`: the words for these; where they
    name none, one card that will do is enough."""
    found = dict(str(line).partition("=")[::2] for line in (raw.get("Config") or {}).get("Env") or ())
    if found.get(_WAIVED, "").lower() in ("1", "true"):
        return ""
    wanted = [value for name, value in sorted(found.items()) if name.startswith(_REQUIRE) and value.strip()]
    named = deck_of(reading.cards).named(asked)
    cards = [card for card in reading.cards if not named or card.uuid in named] or [GpuCard(0)]
    lacks = [_lacking(wanted, reading.driver, card) for card in cards]
    return next(filter(None, lacks), "") if named or all(lacks) else ""


def _lacking(wanted: Iterable[str], driver: str, card: GpuCard) -> str:
    """The first of these that this driver and this card do not fulfil, as the end of a sentence."""
    for value in wanted:
        choices = [choice.split(",") for choice in value.split()]
        if all(any(_fails(clause, driver, card.compute) for clause in choice) for choice in choices):
            about = units.plain(f"gpu:{card.index} ({card.name}) has compute capability {card.compute}", 150)
            has = [f"the driver is {units.plain(driver, 40)}"] if "cuda" in value or "driver" in value else []
            has += [about] if "arch" in value and card.compute else []
            return f"its image asks for {units.plain(value, 100)}, and {', '.join(has)}"
    return ""


def _fails(clause: str, driver: str, compute: str) -> bool:
    """Whether these plainly do not fulfil it. Brands are not looked at."""
    match = _CLAUSE.fullmatch(clause.strip())
    branch = driver.partition(".")[0]
    if match is None or not (compute if match[1] == "arch" else branch.isdigit()):
        return False
    numbers = [int(one) for one in match[3].split(".")]
    if match[1] == "arch":
        return not _HOLDS[match[2]](_version(compute.split(".")), _version(match[3].split(".")))
    if match[1] == "driver" and match[2] == "<":
        return int(branch) >= numbers[0]
    if match[2] not in (">=", ">"):
        return False
    if match[1] == "driver":
        return int(branch) < numbers[0]
    least = _BRANCHES.get((numbers[0], numbers[1] if len(numbers) > 1 else 0))
    return least is not None and int(branch) < least


def _version(parts: Sequence[str]) -> tuple[int, ...]:
    """To be compared: 12 is 12.0."""
    return tuple(int(part) for part in (*parts, "0", "0")[:3])
