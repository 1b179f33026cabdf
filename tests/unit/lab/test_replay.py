"""A recording played to rules: what would have fired and been done, and in what two rule sets differ."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from supervisor.config import Settings
from supervisor.core.standing import Loaded
from supervisor.errors import ConfigError, UsageError
from supervisor.lab.recording import from_export, from_folder
from supervisor.lab.rehearsal import Deed, Fired, Played
from supervisor.lab.replay import difference, replay
from supervisor.lab.rulesets import ruleset
from tests.support.recordings import BEGIN, STREAK, export, state_folder, story
from tests.support.rules import series

RULES = """\
groups:
- name: g
  rules:
  - {record: 'box:streak', expr: resurgam_container_death_streak}
  - alert: Loop
    expr: box:streak >= 3
    for: HOLD
    labels: {severity: critical}
    annotations: {summary: it loops, action: restart}
"""


def loaded(folder: Path, hold: str = "0s", name: str = "a") -> Loaded:
    """A rule set, with a short proof so that the tests are short."""
    path = folder / f"{name}.yaml"
    path.write_text(RULES.replace("HOLD", hold))
    return ruleset([str(path)], Settings(proof="20s", host="sim"))  # type: ignore[arg-type]


def play(folder: Path, rules: Loaded, since: float = 0, until: float = 285) -> Played:
    """The story of `recordings.py`, or a part of it (seconds from its start), played to these rules."""
    state = folder / "state"
    if not state.exists():
        state.mkdir()
        state_folder(state, story(), {"oracle-1": "box.oracle"})
    with ExitStack() as opened:
        recording = from_folder(state, opened)
        return replay(recording, rules, round((BEGIN + since) * 1000), round((BEGIN + until) * 1000))


def test_what_would_have_fired_and_been_done(tmp_path: Path) -> None:
    found = play(tmp_path, loaded(tmp_path))
    (fired,) = found.fired
    assert (fired.name, fired.subject, fired.text) == ("Loop", "box.oracle", "it loops")
    assert (round(fired.at), round(fired.until or 0)) == (60, 180)
    (deed,) = found.deeds
    assert (round(deed.at), deed.verb, deed.target, deed.outcome) == (60, "restart", "box.oracle", "verified")
    assert deed.by == "rule:Loop"
    assert found.troubles == ()


def test_rules_see_what_was_before_the_part_that_is_played(tmp_path: Path) -> None:
    found = play(tmp_path, loaded(tmp_path, "1m"), since=90, until=150)
    (fired,) = found.fired
    assert (round(fired.at), fired.until) == (30, None), "the minute began before the part"
    found = play(tmp_path, loaded(tmp_path), since=90, until=150)
    assert found.fired[0].at < 0, "it fired already"
    assert found.deeds == (), "what was decided before is not told"


def test_what_was_recorded_of_other_rules_does_not_count(tmp_path: Path) -> None:
    forged = [(series("box:streak"), (BEGIN + 10) * 1000, 5.0), (series("ALERTS"), (BEGIN + 10) * 1000, 1.0)]
    state = tmp_path / "state"
    state.mkdir()
    state_folder(state, [*forged, *story()])
    assert [round(one.at) for one in play(tmp_path, loaded(tmp_path)).fired] == [60]


def test_an_export_can_be_replayed_too(tmp_path: Path) -> None:
    path = export(tmp_path / "x.json", {STREAK: {BEGIN + step * 15: float(step > 3) * 3 for step in range(8)}})
    found = replay(from_export(path), loaded(tmp_path), BEGIN * 1000, (BEGIN + 105) * 1000)
    assert [round(one.at) for one in found.fired] == [60]
    assert [deed.target for deed in found.deeds] == ["box.oracle"]


def test_two_rule_sets_over_one_recording_differ_in_time(tmp_path: Path) -> None:
    a, b = play(tmp_path, loaded(tmp_path)), play(tmp_path, loaded(tmp_path, "1m", "b"))
    assert difference(a, a) == []
    alert, deed = difference(a, b)
    assert (alert.side, alert.what) == ("both", "Loop box.oracle")
    assert alert.text == "A fires for 2m; B 1m later: fires for 1m"
    assert (deed.side, deed.what) == ("both", "restart box.oracle")
    assert deed.text == "A verified; B 1m later: verified"


def fired(at: float, until: float | None, name: str = "A") -> Fired:
    return Fired(at, until, (("alertname", name),), "host", "")


def deed(at: float, verb: str = "restart", outcome: str = "verified", quiet: bool = False) -> Deed:
    return Deed(at, verb, "box.oracle", outcome, outcome, "rule:A", "", "", quiet=quiet)


def test_what_only_one_of_them_does_is_named_as_such() -> None:
    a = Played((fired(10, 20), fired(50, 60)), (deed(10), deed(400, "stop")), ())
    b = Played((fired(10.5, 20.5), fired(50, None, "B")), (deed(10, outcome="refused"), deed(9, quiet=True)), ())
    assert [(one.at, one.side, one.what) for one in difference(a, b)] == [
        (10, "both", "restart box.oracle"),
        (50, "a", "A host"),
        (50, "b", "B host"),
        (400, "a", "stop box.oracle"),
    ]


def test_a_rule_set_is_files_folders_and_their_playbooks(tmp_path: Path) -> None:
    settings = Settings(host="sim")
    loaded(tmp_path, "0s", "one")
    book = "playbooks: [{name: NAME, match: ['alertname=\"Loop\"'], steps: [{do: restart}]}]\n"
    for name in ("one", "two"):
        (tmp_path / f"{name}.playbooks.yaml").write_text(book.replace("NAME", name))
    alone = ruleset([str(tmp_path / "one.yaml")], settings)
    assert [one.name for one in alone.playbooks] == ["one"], "its own, not those of others"
    assert [one.name for one in ruleset([str(tmp_path)], settings).playbooks] == ["one", "two"]
    assert {rule.origin for rule in ruleset(["shipped"], settings).rules.rules} == {"shipped"}
    with pytest.raises(UsageError, match="does not exist"):
        ruleset([str(tmp_path / "none.yaml")], settings)
    (tmp_path / "two.yaml").write_text("groups:\n- nome: g\n")
    with pytest.raises(ConfigError) as caught:
        ruleset([str(tmp_path)], settings)
    assert str(caught.value).startswith(f"{tmp_path / 'two.yaml'}:2:3: ")
