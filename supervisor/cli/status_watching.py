"""The part of `resurgam status` about GPUs, probes and scrapes: what is wrong, and one line where all is well.

In: the parts `gpus`, `probes` and `targets` of /v1/status. Out: lines for `cli/status.py`.
"""

from collections.abc import Collection, Sequence

from supervisor.cli import gpu
from supervisor.cli.output import counted
from supervisor.facts import Json

MOST = 8
"""probes, or targets, that are told of one by one"""


def lines(document: Json) -> list[tuple[str, str]]:
    """(line, colour). A machine without a GPU, a probe or a scrape has none."""
    found: list[tuple[str, str]] = []
    if document.get("gpus") is not None:
        told = gpu.lines(document["gpus"])
        found += [(f"{'gpu' if index == 0 else '   '}     {text}", colour) for index, (text, colour) in enumerate(told)]
    return found + _probes(document.get("probes", ())) + _targets(document.get("targets", ()))


def _probes(probes: Sequence[Json]) -> list[tuple[str, str]]:
    wrong = [one for one in probes if one["state"] in ("failing", "failed", "broken")]
    asleep = [one for one in probes if one["state"] == "asleep"]
    found = [
        (f"probe   {one['name']} {_HOW[one['state']]}: {one['text']}", _COLOUR[one["state"]]) for one in wrong[:MOST]
    ]
    if len(wrong) > MOST:
        found.append((f"        and {len(wrong) - MOST} more", "yellow"))
    well = [one for one in probes if one["state"] == "well"]
    if well or asleep:
        rest = f", {len(asleep)} asleep" if asleep else ""
        found.append((f"probes  {counted(len(well), 'answer')} well{rest}", ""))
    return found


_HOW = {"failing": "fails", "failed": "failed", "broken": "cannot be asked"}
_COLOUR = {"failing": "red", "failed": "yellow", "broken": "yellow"}


def _targets(targets: Sequence[Json]) -> list[tuple[str, str]]:
    wrong = [one for one in targets if one["text"]]
    found = [
        (f"scrape  {one['job']} {one['instance']}: {one['text']}", "dim" if one["up"] else "yellow")
        for one in wrong[:MOST]
    ]
    up = [one for one in targets if one["up"]]
    if targets:
        found.append((f"scrapes {len(up)} of {counted(len(targets), 'target')} up", ""))
    return found


def only(document: Json, names: Collection[str]) -> Json:
    """These parts of the document, with what is about one service: its probe, its targets, the cards that it uses."""
    gpus = document.get("gpus")
    if gpus is not None:
        cards = [card for card in gpus["cards"] if any(one["name"] in names for one in card["users"])]
        uuids = {card["uuid"] for card in cards}
        faults = [one for one in gpus["faults"] if one["service"] in names or one["uuid"] in uuids]
        gpus = gpus | {"cards": cards, "faults": faults, "expected": len(cards)} if cards or faults else None
    return {
        "gpus": gpus,
        "probes": [one for one in document.get("probes", ()) if one["service"] in names],
        "targets": [one for one in document.get("targets", ()) if one["service"] in names],
    }


def notes(document: Json) -> dict[str, str]:
    """Service -> what its probe says, in a few words, where it fails or cannot be asked."""
    wrong = [one for one in document.get("probes", ()) if one["service"] and one["state"] in ("failing", "broken")]
    return {one["service"]: f"its probe {_HOW[one['state']]}: {one['text']}" for one in wrong}


def troubled(document: Json) -> list[str]:
    """What of it a person should look at."""
    failing = [one["name"] for one in document.get("probes", ()) if one["state"] in ("failing", "broken")]
    down = [one["job"] for one in document.get("targets", ()) if not one["up"] and one["text"]]
    return gpu.troubled(document.get("gpus")) + failing + down
