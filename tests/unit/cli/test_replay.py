"""`resurgam replay`: from a folder, an export or the running daemon; for people and as JSON; two rule sets."""

import json
from pathlib import Path

import pytest

from supervisor.cli.main import main
from supervisor.clock import ManualClock
from supervisor.journal import JournalThread, lock_state
from supervisor.journal.recorder import Recorder
from supervisor.web.recording import Recording
from tests.support.house import served
from tests.support.recordings import BEGIN, STREAK, export, state_folder, story

RULES = """\
groups:
- name: g
  rules:
  - alert: Loop
    expr: resurgam_container_death_streak >= 3
    for: HOLD
    annotations: {summary: it loops, action: restart}
"""
Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("RESURGAM_CONFIG", raising=False)
    Path("a.yaml").write_text(RULES.replace("HOLD", "0s"))
    Path("b.yaml").write_text(RULES.replace("HOLD", "1h"))
    Path("resurgam.yaml").write_text("proof: 20s\nhost: box\n")
    Path("state").mkdir()
    return tmp_path


def recorded(minutes: int = 5) -> str:
    state_folder(Path("state"), story(minutes), {"oracle-1": "box.oracle"})
    return "state"


def test_people_read_when_it_would_have_fired_and_what_would_have_been_done(folder: Path, capsys: Output) -> None:
    assert main(["replay", recorded(), "--rules", "a.yaml"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("4m45s of state, 2025-10-09T08:53:20.000Z to ")
    assert said[0].endswith(": 2 series, 1 rule, no playbook")
    assert said[1].endswith(": box.oracle")
    assert said[2] == "2025-10-09T08:54:20.000Z  fires    Loop box.oracle for 2m: it loops"
    assert said[3].startswith("2025-10-09T08:54:20.000Z  does     restart box.oracle, verified by rule:Loop: ")
    assert len(said) == 4


@pytest.mark.parametrize("since", ["2025-10-09T08:57:00Z", "1760000220", "-1m"])
def test_a_part_may_be_named_by_its_times(folder: Path, capsys: Output, since: str) -> None:
    assert main(["replay", recorded(), "--rules", "a.yaml", "--from", since]) == 0
    assert "No alert would have fired" in capsys.readouterr().out


def test_the_source_may_stand_last(folder: Path, capsys: Output) -> None:
    assert main(["replay", "--rules", "a.yaml", recorded()]) == 0
    assert capsys.readouterr().out.startswith("4m45s of state")


def test_a_part_may_end_early(folder: Path, capsys: Output) -> None:
    assert main(["replay", recorded(), "--rules", "a.yaml", "--to", "2025-10-09T08:55:20Z"]) == 0
    assert "fires    Loop box.oracle to the end" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "soon"], "'soon' is no time"),
        (["--from", "2025-10-09T09:00:00"], "has no time zone"),
        (["--from=-1m", "--to=-2m"], "--from is later than --to"),
        (["--rules", "none.yaml"], "none.yaml does not exist"),
    ],
)
def test_what_cannot_be_played_is_said(folder: Path, capsys: Output, words: list[str], said: str) -> None:
    assert main(["replay", recorded(1), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_source_that_is_none_is_said(folder: Path, capsys: Output) -> None:
    for source, said in (("none", "none does not exist"), ("state", "holds no recorder.db"), ("a.yaml", "is not JSON")):
        assert main(["replay", source, "--rules", "a.yaml"]) == 2
        assert said in capsys.readouterr().err
    state_folder(Path("state"), [])
    assert main(["replay", "state", "--rules", "a.yaml"]) == 2
    assert "nothing is recorded" in capsys.readouterr().err


def test_the_folder_of_a_running_daemon_is_refused_with_the_way_to_ask_it(folder: Path, capsys: Output) -> None:
    source = recorded(1)
    Path(source).chmod(0o700)
    with lock_state(folder / source):
        assert main(["replay", source, "--rules", "a.yaml"]) == 2
    assert "leave the folder out and `resurgam replay` asks that daemon" in capsys.readouterr().err


def test_a_bad_rule_file_is_refused_with_its_places(folder: Path, capsys: Output) -> None:
    Path("bad.yaml").write_text("groups:\n- nome: g\n")
    assert main(["replay", recorded(1), "--rules", "bad.yaml"]) == 2
    assert "bad.yaml:2:3: " in capsys.readouterr().err


def test_another_rule_set_is_compared(folder: Path, capsys: Output) -> None:
    assert main(["replay", recorded(), "--rules", "a.yaml", "--against", "b.yaml"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-3] == "Against the other rule set (1 rule, B):"
    assert said[-2] == "2025-10-09T08:54:20.000Z  only A   Loop box.oracle: fires for 2m"
    assert said[-1] == "2025-10-09T08:54:20.000Z  only A   restart box.oracle: verified"


def test_two_rule_sets_that_do_the_same_are_no_finding(folder: Path, capsys: Output) -> None:
    assert main(["replay", recorded(2), "--rules", "b.yaml", "--against", "b.yaml"]) == 0
    assert "would have done the same" in capsys.readouterr().out


def test_json_has_alerts_actions_and_differences(folder: Path, capsys: Output) -> None:
    path = export(Path("x.json"), {STREAK: {BEGIN + step * 15: float(step > 3) * 3 for step in range(8)}})
    assert main(["replay", str(path), "--rules", "a.yaml", "--against", "b.yaml", "-o", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["services"] == ["box.oracle"]
    (alert,) = document["alerts"]
    assert (alert["alertname"], alert["from"], alert["to"]) == ("Loop", "2025-10-09T08:54:20.000Z", None)
    (action,) = document["actions"]
    assert (action["verb"], action["target"], action["outcome"]) == ("restart", "box.oracle", "verified")
    assert document["against"]["alerts"] == []
    assert [one["side"] for one in document["differences"]] == ["a", "a"]


def test_without_a_source_the_running_daemon_is_asked(folder: Path, capsys: Output) -> None:
    recorder = Recorder.open(folder / "recorder.db", ManualClock(BEGIN))
    recorder.write(story())
    thread = JournalThread()
    try:
        with served(recording=Recording(recorder, thread)) as house:
            assert main(["replay", "--socket", str(house.socket), "--rules", "a.yaml"]) == 0
        assert "4m45s of the running daemon" in capsys.readouterr().out
    finally:
        thread.close()
        recorder.close()
    assert main(["replay", "--socket", str(folder / "none.sock"), "--rules", "a.yaml"]) == 4
