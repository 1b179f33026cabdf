"""Recordings from a folder, a daemon and an export: the same readings, in time order, whole transactions."""

import base64
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from supervisor.errors import ResurgamError, UsageError
from supervisor.journal.recorder import _pack
from supervisor.lab.recording import Recording, from_daemon, from_export, from_folder
from supervisor.lab.rehearsal import Transaction
from supervisor.samples import is_stale
from tests.support.recordings import BEGIN, MEMORY, STREAK, export, state_folder, story
from tests.support.rules import series

ALL = (0, 1 << 60)


def played(recording: Recording, without: tuple[str, ...] = ()) -> list[Transaction]:
    return list(recording.transactions(*ALL, frozenset(without)))


def test_a_folder_gives_one_transaction_for_each_collector_and_instant(tmp_path: Path) -> None:
    with ExitStack() as opened:
        recording = from_folder(state_folder(tmp_path, story()), opened)
        found = played(recording)
    assert len(found) == 40
    assert [(one.at, one.collector) for one in found[:3]] == [
        (BEGIN, "resurgam"),
        (BEGIN + 0.003, "node"),
        (BEGIN + 15, "resurgam"),
    ]
    assert [one.at for one in found] == sorted(one.at for one in found)


def test_readings_that_were_kept_out_of_order_are_played_in_order(tmp_path: Path) -> None:
    rows = story()
    for first in range(0, len(rows) - 8, 8):
        rows[first : first + 8] = reversed(rows[first : first + 8])
    with ExitStack() as opened:
        found = played(from_folder(state_folder(tmp_path, rows), opened))
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert len(found) == 40


def test_what_rules_write_themselves_is_left_out(tmp_path: Path) -> None:
    with ExitStack() as opened:
        found = played(from_folder(state_folder(tmp_path, story()), opened), (dict(MEMORY)["__name__"],))
    assert {one.collector for one in found} == {"resurgam"}


def test_the_services_are_those_that_series_speak_of(tmp_path: Path) -> None:
    with ExitStack() as opened:
        recording = from_folder(state_folder(tmp_path, story(), {"oracle-1": "my.oracle"}), opened)
    (actor,) = recording.actors(lambda _ident: None)
    assert (actor.id, actor.name) == ("my.oracle", "oracle-1")
    assert actor.all_labels() == {
        "com.docker.compose.project": "box",
        "com.docker.compose.service": "oracle",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": "False",
        "resurgam.service": "my.oracle",
        "resurgam.enable": "true",
    }
    (watched,) = recording.actors(lambda _ident: False)
    assert "resurgam.enable" not in watched.all_labels(), "the configuration says whose it is"


# ---------------------------------------------------------------- a running daemon


def lines(**head: Any) -> list[dict[str, Any]]:
    """What a daemon sends of two readings."""
    said = {"format": 1, "first": 1000, "last": 2000, "services": {"oracle-1": "box.oracle"}, **head}
    blocks = [_pack([7], [1000], [1.5]), _pack([7, 9], [2000, 2000], [2.5, 3.5])]
    data = [base64.b64encode(block).decode() for block in blocks]
    names = [{"7": [list(pair) for pair in STREAK]}, {"9": [list(pair) for pair in MEMORY]}]
    coming = [{"first": first, "data": data[n], "names": names[n]} for n, first in enumerate((1000, 2000))]
    return json.loads(json.dumps([said, *coming, {"end": True}]))


def test_a_daemons_recording_may_be_played_again_and_again() -> None:
    recording = from_daemon(lines())
    assert recording.services == {"oracle-1": "box.oracle"}
    for _ in range(2):
        found = [reading for block in recording.blocks(*ALL) for reading in block]
        assert found == [(STREAK, 1000, 1.5), (STREAK, 2000, 2.5), (MEMORY, 2000, 3.5)]
    assert recording.series == tuple(sorted([STREAK, MEMORY]))


def test_half_an_answer_is_no_recording() -> None:
    with pytest.raises(ResurgamError, match="in the middle"):
        from_daemon(lines()[:-1])
    with pytest.raises(ResurgamError, match="another version"):
        from_daemon(lines(format=2))
    with pytest.raises(ResurgamError, match="another version"):
        from_daemon([])


# ---------------------------------------------------------------- an export


def test_an_export_is_one_collector_and_a_missing_point_ends_the_series(tmp_path: Path) -> None:
    up, down = series('up{job="a"}'), series('up{job="b"}')
    path = export(tmp_path / "x.json", {up: {10: 1.0, 20: 1.0, 30: float("inf")}, down: {10: 0.0, 30: 0.5}})
    found = played(from_export(path))
    assert [(one.at, one.collector, len(one.samples)) for one in found] == [
        (10.0, "exported", 2),
        (20.0, "exported", 2),
        (30.0, "exported", 2),
    ]
    values = {sample.labels: sample.value for sample in found[1].samples}
    assert values[up] == 1.0
    assert is_stale(values[down])
    assert found[2].samples[0].value == float("inf")


def test_a_list_of_answers_and_a_bare_one_will_do(tmp_path: Path) -> None:
    path = export(tmp_path / "x.json", {STREAK: {10: 1.0}})
    other = export(tmp_path / "y.json", {MEMORY: {10: 2.0}})
    both = [json.loads(path.read_text()), json.loads(other.read_text())["data"]]
    path.write_text(json.dumps(both))
    assert from_export(path).series == tuple(sorted([STREAK, MEMORY]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "range query"),
        ('{"status": "error", "error": "bad range"}', "bad range"),
        ('{"status": "success", "data": {"resultType": "vector", "result": []}}', "it is a vector"),
        ('{"data": {"resultType": "matrix", "result": [{"metric": {}, "histograms": [1]}]}}', "native histograms"),
        ('{"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [["a", "b"]]}]}}', "range query"),
        ("7", "range query"),
    ],
)
def test_a_file_that_is_no_export_says_so(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        from_export(tmp_path / "x.json")
