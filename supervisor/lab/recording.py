"""What `resurgam replay` plays: readings that somebody recorded, from wherever they are.

In: a state folder at rest (`journal.Archive`), a running daemon's stream (`web/recording.py` says its form), or the
JSON that a Prometheus answers to a range query. Out: a `Recording`, and its readings as transactions in time order.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from supervisor.config.reading import read_bytes
from supervisor.errors import ResurgamError, UsageError
from supervisor.facts import Json, Labels
from supervisor.journal.archive import Archive
from supervisor.journal.recorder import Reading, unpack
from supervisor.lab.rehearsal import GivenSample, Transaction
from supervisor.lab.troupe import Actor, compose_labels
from supervisor.samples import STALE, to_ms
from supervisor.services.names import PROJECT_KEY, SERVICE_KEY
from supervisor.web.recording import FORMAT

UNSORTED = 60_000
"""ms: readings that were kept earlier are not that much newer than those kept later"""
MOST_EXPORTED = 256 * 1024 * 1024
"""bytes of an export: it is read as a whole"""
_ABOUT_CONTAINERS = ("container_", "resurgam_container_", "resurgam_service_")


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings between `first` and `last` (ms), both 0 where there are none."""

    name: str
    """where they come from, for people"""
    first: int
    last: int
    series: tuple[Labels, ...]
    blocks: Callable[[int, int], Iterator[Sequence[Reading]]]
    """the readings between two instants (ms), a bit out of order"""
    services: Mapping[str, str] = field(default_factory=dict)
    """container name -> service id, where that is known"""
    exported: bool = False
    """it comes from a Prometheus: all of it was read at once, step after step"""

    def transactions(self, since: int, until: int, without: frozenset[str]) -> Iterator[Transaction]:
        """The readings of `since` to `until` (ms) in time order, one transaction for each collector and instant.
        `without`: metrics that rules write themselves. Who collected a metric is not recorded; the first word of its
        name is a good guess, and all that hangs on it is how long rules wait for readings that belong together."""
        for ms, readings in _instants(self.blocks(since, until)):
            groups: dict[str, list[GivenSample]] = {}
            for labels, _ms, value in readings:
                name = next((text for key, text in labels if key == "__name__"), "")
                if name not in without:
                    source = "exported" if self.exported else name.partition("_")[0]
                    groups.setdefault(source, []).append(GivenSample(labels, value))
            for source, samples in groups.items():
                yield Transaction(ms / 1000, source, tuple(samples))

    def actors(self, owned: Callable[[str], bool | None]) -> tuple[Actor, ...]:
        """The services that the series speak of, by id. `owned`: what the configuration says of one; where it says
        nothing it is taken as ours, since the question is what would have been done."""
        found: dict[str, Actor] = {}
        for labels in self.series:
            have = dict(labels)
            if have.get("name") and have.get("__name__", "").startswith(_ABOUT_CONTAINERS):
                actor = self._actor(have, owned)
                found.setdefault(actor.name, actor)
        return tuple(found[name] for name in sorted(found))

    def _actor(self, have: Mapping[str, str], owned: Callable[[str], bool | None]) -> Actor:
        name, project, service = have["name"], have.get(PROJECT_KEY, ""), have.get(SERVICE_KEY, "")
        usual = f"{project}.{service}" if project and service else name
        ident = self.services.get(name, usual)
        labels = compose_labels(project, service) if project and service else {}
        if ident != usual:
            labels["resurgam.service"] = ident
        if owned(ident) is None:
            labels["resurgam.enable"] = "true"
        return Actor(ident, name, labels)


def _instants(blocks: Iterable[Sequence[Reading]]) -> Iterator[tuple[int, list[Reading]]]:
    """Readings sorted by their instant, without holding more of them than are out of order."""
    waiting: dict[int, list[Reading]] = {}
    for block in blocks:
        newest = 0
        for reading in block:
            waiting.setdefault(reading[1], []).append(reading)
            newest = max(newest, reading[1])
        for ms in sorted(ms for ms in waiting if ms < newest - UNSORTED):
            yield ms, waiting.pop(ms)
    for ms in sorted(waiting):
        yield ms, waiting.pop(ms)


# ---------------------------------------------------------------- a state folder


def from_folder(folder: Path, opened: ExitStack) -> Recording:
    """The recording of a stopped daemon, or of a copy of its state folder; `opened` closes it."""
    archive = opened.enter_context(Archive.open(folder))
    first, last = archive.span()
    return Recording(str(folder), first, last, tuple(archive.series()), archive.blocks, archive.services)


# ---------------------------------------------------------------- a running daemon


def from_daemon(lines: Iterable[Json]) -> Recording:
    """The recording of a running daemon, from the lines it sends. It is kept as packed as it came."""
    coming = iter(lines)
    head = next(coming, {})
    if head.get("format") != FORMAT:
        raise ResurgamError("the daemon is of another version and sends its recording in another form; restart it")
    packed: list[tuple[int, bytes, dict[int, Labels]]] = []
    names: dict[int, Labels] = {}
    whole = False
    for line in coming:
        if line.get("end"):
            whole = True
            break
        fresh = {int(number): tuple((str(k), str(v)) for k, v in pairs) for number, pairs in line["names"].items()}
        names.update(fresh)
        try:
            packed.append((int(line["first"]), base64.b64decode(line["data"]), fresh))
        except binascii.Error:
            break
    if not whole:
        raise ResurgamError("the daemon ended its answer in the middle; ask again, or see its log")

    def blocks(since: int, until: int) -> Iterator[list[Reading]]:
        known: dict[int, Labels] = {}
        for first, data, fresh in packed:
            known.update(fresh)
            yield [
                (known[number], ms, value)
                for number, ms, value in unpack(first, data)
                if since <= ms <= until and number in known
            ]

    series = tuple(sorted(dict.fromkeys(names.values())))
    return Recording(
        "the running daemon", int(head["first"]), int(head["last"]), series, blocks, dict(head.get("services") or {})
    )


# ---------------------------------------------------------------- an export


def from_export(path: Path) -> Recording:
    """What Prometheus answered to a range query (one answer, its `data`, or a list of answers)."""
    try:
        raw = read_bytes(path, MOST_EXPORTED)
        if len(raw) > MOST_EXPORTED:
            raise UsageError(f"{path} is larger than 256 MiB; export a shorter time, or fewer series")
        document: Any = json.loads(raw)
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror}") from None
    except (ValueError, RecursionError) as err:
        raise UsageError(f"{path} is not JSON: {err}") from None
    answers = document if isinstance(document, list) else [document]
    found: dict[Labels, dict[int, float]] = {}
    for answer in answers:
        try:
            _take(answer, found)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise UsageError(
                f"{path} is not the answer of a Prometheus to a range query (/api/v1/query_range): "
                + (f"it has no {err}" if isinstance(err, KeyError) else str(err))
            ) from None
    rows = sorted(((labels, ms, value) for labels, points in found.items() for ms, value in points.items()), key=_when)
    first, last = (rows[0][1], rows[-1][1]) if rows else (0, 0)

    def blocks(since: int, until: int) -> Iterator[list[Reading]]:
        yield [row for row in rows if since <= row[1] <= until]

    return Recording(str(path), first, last, tuple(sorted(found)), blocks, exported=True)


def _when(row: Reading) -> tuple[int, Labels]:
    return row[1], row[0]


def _take(answer: Any, found: dict[Labels, dict[int, float]]) -> None:
    """Add the series of one answer. Where a series has no point at a step at which others have one, it has ended."""
    if answer.get("status", "success") != "success":
        raise ValueError(str(answer.get("error", "it says that the query failed")))
    data = answer.get("data", answer)
    if data["resultType"] != "matrix":
        raise ValueError(f"it is a {data['resultType']}, not a matrix")
    steps: dict[int, None] = {}
    taken: list[tuple[Labels, dict[int, float]]] = []
    for series in data["result"]:
        labels = tuple(sorted((str(name), str(text)) for name, text in series["metric"].items() if text))
        if series.get("histograms"):
            raise ValueError("native histograms are not supported")
        points = {to_ms(float(at)): float(value) for at, value in series.get("values", ())}
        taken.append((labels, points))
        steps.update(dict.fromkeys(points))
    order = sorted(steps)
    for labels, points in taken:
        mine = found.setdefault(labels, {})
        mine.update(points)
        for before, ms in pairwise(order):
            if before in points and ms not in points:
                mine.setdefault(ms, STALE)
