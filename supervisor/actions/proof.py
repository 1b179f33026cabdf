"""The proof that every maneuver ends with: which image, step by step how long, what showed that it is well, how long
the service was away.

From: the marks of a plan (and the findings of its watches). To: PlanEnded.data, and from there the bus and `show ID`;
what a load took is learned from. Pure.
"""

from collections.abc import Sequence

from supervisor.actions.hand import ACTIVE, TOOK, Hand
from supervisor.actions.probation import Finding, load_seconds
from supervisor.facts import Container, Image, Json
from supervisor.services.names import canonical_ref

LATE = 3600.0
"""seconds by which an engine's clock and ours may differ, at most, for its times to be believed"""


def named(old: Container, old_image: Image | None, new_ref: str, new_image: Image) -> Json:
    """How both images are called: references, and the digests their registries know them by, where there are any."""
    old_ref = "" if "@" in old.image_ref or old.image_ref == old.image_id else old.image_ref
    return {
        "old_ref": old_ref,
        "new_ref": new_ref,
        "old_digest": digest(old_image.digests if old_image is not None else (), old_ref),
        "new_digest": digest(new_image.digests, new_ref),
    }


def digest(digests: Sequence[str], ref: str) -> str:
    """The one of an image's `repository@sha256:…` that belongs to its reference; else the first; '' for none."""
    wanted = _repository(ref)
    mine = [each for each in digests if wanted and _repository(each.partition("@")[0]) == wanted]
    return next(iter(mine or digests), "")


def _repository(ref: str) -> str:
    long = canonical_ref(ref)
    return long.rpartition(":")[0] if long else ""


def last_moment(hand: Hand, old: Container | None) -> float:
    """Unix seconds at which the old one was last there, as the engine tells it; 0 where it did not run when it was
    found."""
    asked = float(hand.data.get("stopped_at") or 0.0)
    if hand.data.get("was") not in ACTIVE or not asked:
        return 0.0
    told = old.finished_at if old is not None else 0.0
    return told if abs(told - asked) < LATE else asked


def well(hand: Hand, finding: Finding, step: str) -> Json:
    """What a watch that ended well says: the proof, how long the load took, how long the service was away.
    `step`: the one that started the container."""
    shown: Json = {"proof": finding.text}
    load = load_seconds(hand, step, finding)
    if load:
        shown["load_seconds"] = load
    ended = float(hand.data.get("ended_at") or 0.0)
    if ended and finding.well_at >= ended:
        shown["seconds"] = shown["downtime"] = round(finding.well_at - ended, 3)
    return shown


def steps(hand: Hand) -> Json:
    """The steps that were taken, in order, with the seconds each took: {"steps": [{"step", "seconds"}, …]}."""
    taken = []
    for step in hand.plan.steps:
        seconds = hand.data.get(f"{TOOK}{step.name}")
        if seconds is not None and step.name in hand.begun:
            taken.append({"step": step.name, "seconds": float(seconds)})
    return {"steps": taken} if taken else {}
