"""`resurgam query` as a person types it, against a file and against a daemon that answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from supervisor.cli.main import main
from supervisor.clock import SystemClock
from supervisor.facts import labels
from supervisor.samples import to_ms
from tests.support.boxes import NOW
from tests.support.house import Served, served

SERIES = """interval: 30s
input_series:
- {series: 'x_total{n="a"}', values: '0+3x10'}
- {series: 'x_total{n="b"}', values: '0+6x10'}
- {series: 'gauge', values: '1 _ 3'}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "series.yaml"
    path.write_text(SERIES)
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert main(["query", "-o", "json", *words]) == code
    return json.loads(capsys.readouterr().out)


def results(capsys: pytest.CaptureFixture[str], *words: str) -> list[Any]:
    return [one["data"]["result"] for one in asked(capsys, *words)]


# ---------------------------------------------------------------- of a file


def test_json_is_a_list_with_one_answer_per_expression(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, "--series", file, "--", "sum(rate(x_total[1m]))", "sort_desc(x_total)", "1 / 4", '"text"')
    assert found[0] == {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [300, "0.30000000000000004"]}]},
    }
    assert [one["metric"]["n"] for one in found[1]["data"]["result"]] == ["b", "a"]
    assert found[2]["data"] == {"resultType": "scalar", "result": [300, "0.25"]}
    assert found[3]["data"] == {"resultType": "string", "result": [300, "text"]}


@pytest.mark.parametrize(
    ("at", "seconds"), [("5m", 300), ("90s", 90), ("1m30s", 90), ("90", 90), ("0.5", 0.5), ("end", 300), ("0", 0)]
)
def test_times_count_from_the_start_of_the_file(
    file: str, at: str, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results(capsys, "--series", file, "--at", at, "--", "time()")[0][0] == seconds


def test_without_a_time_it_is_the_end_of_the_data(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert results(capsys, "--series", file, "--", 'x_total{n="a"}')[0][0]["value"] == [300, "30"]


def test_a_range(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = asked(capsys, "--series", file, "--range", "0..1m/30s", "--", "gauge")
    assert found["data"]["resultType"] == "matrix"
    assert found["data"]["result"] == [{"metric": {"__name__": "gauge"}, "values": [[0, "1"], [30, "1"], [60, "3"]]}]


def test_a_range_vector_gives_its_samples(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = results(capsys, "--series", file, "--at", "1m", "--", "gauge[2m]")
    assert found == [{"metric": {"__name__": "gauge"}, "values": [[0, "1"], [60, "3"]]}]


def test_a_subquery_without_a_step_has_one_of_a_minute(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert results(capsys, "--series", file, "--", "count_over_time(vector(1)[5m:])")[0][0]["value"][1] == "5"


def test_an_expression_that_errs_exits_with_1_and_the_others_are_answered(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys, "--series", file, "--", 'label_replace(x_total, "n", "", "", "")', "1", code=1)
    assert found[0]["status"] == "error"
    assert found[0]["errorType"] == "execution"
    assert "same labelset" in found[0]["error"]
    assert found[1]["status"] == "success"


def test_a_bad_expression_exits_with_2_and_the_list_is_printed_all_the_same(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys, "--series", file, "--", "1", "foo(", 'label_replace(x_total, "n", "", "", "")', code=2)
    assert [one["status"] for one in found] == ["success", "error", "error"]
    assert found[1]["errorType"] == "bad_data"
    assert found[1]["error"].startswith('invalid parameter "query": 1:')


def test_doubts_are_told(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = asked(capsys, "--series", file, "--", "rate(gauge[6m])")
    assert "might not be a counter" in found["infos"][0]
    assert main(["query", "--series", file, "--", "rate(gauge[6m])"]) == 0
    assert "\ninfo: metric might not be a counter" in capsys.readouterr().out


def test_names_are_dropped_late_where_that_is_switched_on(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'label_replace(rate(x_total{n="a"}[1m]), "m", "$1", "__name__", "(.+)")'
    feature = "--enable-feature=promql-delayed-name-removal"
    assert results(capsys, "--series", file, feature, "--", text)[0][0]["metric"] == {"n": "a", "m": "x_total"}
    assert results(capsys, "--series", file, "--", text)[0][0]["metric"] == {"n": "a"}


def test_people_get_a_line_a_series(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--series", file, "x_total"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["SERIES", "VALUE"]
    assert lines[1].split() == ['x_total{n="a"}', "30"]
    assert main(["query", "--series", file, "--", "nope", "1+1", "foo("]) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[:6] == ["nope", "no series", "", "1+1", "2", ""]
    assert said[6] == "foo("
    assert said[7].startswith("1:4: parse error: ")  # where, and what; not what the API calls it


def test_people_get_a_line_a_sample_of_a_range(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--series", file, "--range", "0..1m/30s", "--", "x_total"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1:4] == [['x_total{n="a"}', "0s", "0"], ["30s", "3"], ["1m", "6"]]
    assert len(rows) == 7


def test_yaml(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "-o", "yaml", "--series", file, "--", "1"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)[0]["data"]["result"] == [300, "1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "yesterday", "--", "1"], "'yesterday' is not a time from the start"),
        (["--range", "5m", "--", "1"], "is not a range; write --range FROM..TO/STEP"),
        (["--range", "0..5m/0", "--", "1"], "must be longer than 0"),
        (["--range", "5m..0/1m", "--", "1"], "ends before it begins"),
        (["--range", "0..5m/x", "--", "1"], "to a valid duration"),
        (["--at", "1m", "--range", "0..5m/1m", "--", "1"], "give one of them"),
        (["--enable-feature=other", "--", "1"], "there is no feature 'other'"),
    ],
)
def test_wrong_usage_exits_with_2(file: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--series", file, *words]) == 2
    assert said in capsys.readouterr().err


def test_a_range_of_too_many_steps_is_bad_data(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = asked(capsys, "--series", file, "--range", "0..5h/1s", "--", "1", code=2)
    assert "maximum resolution of 11,000 points" in found["error"]


def test_a_bad_file_is_said_with_its_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    assert main(["query", "--series", str(path), "--", "1"]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    path.write_text("input_series:\n- {series: 'x{', values: '1 2 q'}\n")
    assert main(["query", "--series", str(path), "--", "1"]) == 2
    said = capsys.readouterr().err
    assert f"{path}:2:12: " in said
    assert f"{path}:2:26: 'q' is not a value" in said
    path.write_bytes(b"\xff\xfe")
    assert main(["query", "--series", str(path), "--", "1"]) == 2
    assert "not UTF-8" in capsys.readouterr().err


# ---------------------------------------------------------------- of a daemon


@pytest.fixture
def daemon() -> Iterator[Served]:
    with served() as found:
        now = SystemClock().wall()
        rows = [(labels("x", n=n), to_ms(now - 600 + i * 15), float(i)) for n in ("a", "b") for i in range(41)]
        found.do(lambda: found.house.store.keep(1e9))
        found.do(lambda: found.house.store.restore(rows))
        yield found


def daemons(capsys: pytest.CaptureFixture[str], daemon: Served, *words: str, code: int = 0) -> Any:
    return asked(capsys, "--socket", str(daemon.socket), *words, code=code)


def test_the_daemons_samples_now_and_before(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    now, before = daemons(capsys, daemon, "--", "count(x)", "max(x)")
    assert now["data"]["result"][0]["value"][1] == "2"
    assert before["data"]["result"][0]["value"][1] == "40"
    (past,) = daemons(capsys, daemon, "--at", "-5m", "--", "max(x)")
    assert 19 <= float(past["data"]["result"][0]["value"][1]) <= 20
    (none,) = daemons(capsys, daemon, "--at", str(NOW), "--", "max(x)")
    assert none["data"]["result"] == []
    (then,) = daemons(capsys, daemon, "--at", "2025-01-31T12:00:00Z", "--", "time()")
    assert then["data"]["result"][0] == 1_738_324_800


def test_a_range_of_the_daemons_samples(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = daemons(capsys, daemon, "--range", "-5m..now/1m", "--", 'x{n="a"}')
    assert len(found["data"]["result"][0]["values"]) == 6


def test_the_daemons_errors_have_the_same_codes(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = daemons(capsys, daemon, "--", "foo(", code=2)
    assert found["errorType"] == "bad_data"
    (found,) = daemons(capsys, daemon, "--", 'label_replace(x, "n", "", "", "")', code=1)
    assert found["errorType"] == "execution"
    assert main(["query", "--socket", str(daemon.socket), "--at", "soon", "--", "1"]) == 2
    assert "write unix seconds" in capsys.readouterr().err


def test_the_daemon_is_shown_with_its_dates(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["query", "--socket", str(daemon.socket), "--at", "2025-01-31T12:00:00Z", "--", "vector(1)[1m:30s]"]) == 0
    )
    assert "2025-01-31T12:00:00.000Z" in capsys.readouterr().out


def test_no_daemon_is_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--socket", str(tmp_path / "none.sock"), "--", "1"]) == 4
    assert "no daemon answers" in capsys.readouterr().err
