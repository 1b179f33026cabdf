"""The series that tell of faults: a counter per card and XID, one for messages without a number, and the episodes.

From: core/faults.py. To: the sample store, the moment a fault is told of, and every 60 s. A counter gets its 0 right
before its first 1, so that `increase` sees that one; what was over before we looked counts from where it is. What is
part of a drill carries `drill="true"`. A label that is not known is left out.
"""

from collections.abc import Mapping

from supervisor.facts import Labels, Metric, Sample, XidEpisode, labels
from supervisor.facts.metrics import ABOUT_CARD, ABOUT_CONTAINER
from supervisor.gpu.xids import Entry

XIDS, FAULTS, EPISODE = "resurgam_gpu_xid_total", "resurgam_gpu_faults_total", "resurgam_gpu_episode"
ENDED = "resurgam_gpu_episodes_total"
"""bursts, counted when they are over and their root is certain: for what happens again and again"""
EVERY = 60.0
"""seconds: all of them are told again so often"""
MOST = 1_000
"""counters that are kept; with more the oldest are told no more"""

_WHICH = ("class", "remedy", "drill", *ABOUT_CARD)

METRICS = (
    Metric(XIDS, "counter", ("xid", *_WHICH, *ABOUT_CONTAINER), EVERY, events=True),
    Metric(FAULTS, "counter", ("kind", *_WHICH, *ABOUT_CONTAINER), EVERY, events=True),
    Metric(ENDED, "counter", ("xid", "kind", *_WHICH, *ABOUT_CONTAINER), EVERY, events=True),
    Metric(EPISODE, "gauge", ("xid", "kind", *_WHICH), EVERY, events=True),
)
"""what is made here"""


class FaultSeries:
    """What was told, and what is to be told next."""

    def __init__(self) -> None:
        self._counts: dict[Labels, float] = {}
        self._episodes: dict[str, Labels] = {}
        """episode -> the series that says 1 for it"""
        self._news: list[Sample] = []

    def fault(
        self,
        xid: int,
        kind: str,
        entry: Entry,
        card: Mapping[str, str],
        about: Mapping[str, str],
        *,
        drill: bool,
        old: bool,
    ) -> None:
        """One fault. `card`: UUID and gpu; `about`: the labels of the container whose process it was. `old`: it was
        over before we looked, so it is no news: the counter merely begins there."""
        named = {"xid": str(xid)} if xid else {"kind": kind}
        made = {**about, **card, **named, "class": entry.kind, "remedy": entry.remedy, **_drill(drill)}
        self._count(labels(XIDS if xid else FAULTS, **made), old=old)

    def ended(self, episode: XidEpisode, card: Mapping[str, str], about: Mapping[str, str]) -> None:
        """An episode is over. `about`: the labels of the container of its service."""
        self._count(labels(ENDED, **about, **_of(episode, card)), old=False)

    def _count(self, under: Labels, *, old: bool) -> None:
        known = self._counts.pop(under, None)
        if known is None and not old:
            self._news.append(Sample(under, 0.0))
        self._counts[under] = (known or 0.0) + 1.0
        self._news.append(Sample(under, self._counts[under]))
        while len(self._counts) > MOST:
            self._counts.pop(next(iter(self._counts)))

    def episode(self, episode: XidEpisode, card: Mapping[str, str]) -> None:
        """How an episode stands now."""
        before = self._episodes.pop(episode.id, None)
        under = labels(EPISODE, **_of(episode, card))
        if not episode.over:
            self._episodes[episode.id] = under
        elif before is None:
            return
        if before is not None and (episode.over or before != under):
            self._gone(before)
        if not episode.over and before != under:
            self._news.append(Sample(under, 1.0))

    def take(self) -> tuple[Sample, ...]:
        """What is new since the last call."""
        if not self._news:
            return ()
        news, self._news = tuple(self._news), []
        return news

    def all(self) -> tuple[Sample, ...]:
        """Everything, as it is now."""
        self._news.clear()
        counts = [Sample(under, value) for under, value in self._counts.items()]
        return (*counts, *[Sample(under, 1.0) for under in dict.fromkeys(self._episodes.values())])

    def _gone(self, under: Labels) -> None:
        if under not in self._episodes.values():  # two cards without a name can share one
            self._news.append(Sample(under, 0.0))


def _of(episode: XidEpisode, card: Mapping[str, str]) -> dict[str, str]:
    named = {"xid": str(episode.root)} if episode.root else {"kind": episode.fault}
    return {**card, **named, "class": episode.kind, "remedy": episode.remedy, **_drill(episode.drill)}


def _drill(drill: bool) -> dict[str, str]:
    return {"drill": "true"} if drill else {}
