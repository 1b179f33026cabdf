"""Recordings for the tests of replay: a state folder with a story, and what a Prometheus would export."""

import json
from collections.abc import Iterable
from pathlib import Path

from supervisor.clock import ManualClock
from supervisor.facts import Labels
from supervisor.journal import Journal
from supervisor.journal.recorder import Reading, Recorder
from tests.support.rules import series

BEGIN = 1_760_000_000
"""unix seconds of the first reading"""
STREAK = series(
    'resurgam_container_death_streak{name="oracle-1",container_label_com_docker_compose_project="box",'
    'container_label_com_docker_compose_service="oracle"}'
)
MEMORY = series("node_memory_MemAvailable_bytes")


def story(minutes: int = 5) -> list[Reading]:
    """A container whose streak is 3 in its second and third minute; a reading every 15 s."""
    found: list[Reading] = []
    for step in range(minutes * 4):
        ms = (BEGIN + step * 15) * 1000
        found.append((STREAK, ms, 3.0 if 4 <= step < 12 else 0.0))
        found.append((MEMORY, ms + 3, 1e9))
    return found


def state_folder(folder: Path, readings: Iterable[Reading], services: dict[str, str] | None = None) -> Path:
    """The state folder of a stopped daemon: written in blocks of 8 readings."""
    clock = ManualClock(BEGIN)
    recorder = Recorder.open(folder / "recorder.db", clock)
    rows = list(readings)
    for first in range(0, len(rows), 8):
        recorder.write(rows[first : first + 8])
    recorder.close()
    journal = Journal.open(folder / "journal.db", clock)
    batch = journal.batch()
    for container, service in (services or {}).items():
        batch.row("container.appeared", service, {"service": service, "container": container}, BEGIN, True)
    journal.commit(batch)
    journal.close()
    return folder


def export(path: Path, result: dict[Labels, dict[int, float]]) -> Path:
    """What a Prometheus answers to a range query; the points are unix seconds -> value."""
    matrix = [
        {"metric": dict(labels), "values": [[at, repr(value).replace("inf", "Inf")] for at, value in points.items()]}
        for labels, points in result.items()
    ]
    path.write_text(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": matrix}}))
    return path
