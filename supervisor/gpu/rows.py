"""Faults as rows of the journal: what is said of an episode, and of each message in it. Pure.

From: core/faults.py. To: the journal, whose public rows are messages on the bus (bus/contract/gpus.py promises them).
"""

from supervisor import units
from supervisor.facts import Json, XidEpisode, XidSeen
from supervisor.gpu.episodes import Burst
from supervisor.gpu.known import Place


def subject(bus_id: str, uuid: str) -> str:
    """Whom a row is about: the card, by its UUID where that is known."""
    return f"gpu:{uuid or bus_id or 'unknown'}"


def document(episode: XidEpisode, place: Place | None, past: bool = False) -> Json:
    """An episode as the body of a row."""
    return {
        "episode": episode.id,
        "uuid": episode.uuid,
        "bus_id": episode.bus_id,
        "gpu": place.index if place is not None else None,
        "card": units.plain(place.name, 100) if place is not None else "",
        "service": episode.service,
        "xid": episode.root,
        "fault": episode.fault,
        "class": episode.kind,
        "remedy": episode.remedy,
        "recovery": episode.recovery,
        "counts": {str(xid): count for xid, count in episode.counts.items()},
        "first_at": episode.first_at,
        "last_at": episode.last_at,
        "drill": episode.drill,
        "past": past,
        "text": episode.text,
    }


def line(fact: XidSeen, burst: Burst) -> Json:
    """One message as the body of a row; `burst`: the episode it is part of."""
    named = f"XID {fact.xid}" if fact.xid else fact.kind
    body: Json = {"episode": burst.id, "xid": fact.xid, "kind": fact.kind, "source": fact.source, "at": fact.at}
    body |= {"pid": fact.pid, "process": fact.process, "container": fact.container_id, "caused_by": fact.caused_by}
    body |= {"recovery": fact.recovery, "drill": fact.drill, "past": fact.past, "sequence": fact.sequence}
    return body | {"text": f"{named}: {fact.text}" if fact.text else named}
