"""Rule files: plain Prometheus files, every mistake with its place, bad ones left out whole."""

import os
from pathlib import Path

import pytest

from supervisor.errors import ConfigError
from supervisor.rules import load, parse_rules, shipped_folder
from tests.support.rules import rule

OWNER = Path(__file__).parents[2] / "support" / "owner-alerts.yaml"


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "r.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_the_owners_alert_file_loads_word_for_word() -> None:
    (file,) = load([(OWNER, "owner")], trust_uid=None).files
    assert [(one.name, one.hold, dict(one.labels)["severity"]) for one in file.rules] == [
        ("BlackwellResetLoopRisk", 60.0, "critical"),
        ("HighMemoryPressure", 120.0, "warning"),
        ("SwapInUse", 300.0, "warning"),
    ]
    (name, action) = file.rules[0].annotation_templates[0]
    assert (name, action.text) == ("action", "kubectl scale deployment inference-engine --replicas=0")


def test_the_shipped_folder_is_found_and_loads() -> None:
    found = load([(shipped_folder(), "shipped")], trust_uid=None)
    assert [health.file for health in found.health] == [
        f"shipped/{name}.yaml" for name in ("containers", "daemon", "host")
    ]
    assert not any(health.text for health in found.health)
    for one in found.rules:
        names = dict(one.annotation_templates)
        assert "summary" in names
        assert "description" in names
        assert dict(one.labels)["severity"] in ("critical", "warning", "info")


def test_a_folder_is_read_in_order_without_playbooks_and_tests(tmp_path: Path) -> None:
    for name in (
        "b.yml",
        "a.yaml",
        "x.playbooks.yaml",
        "a.test.yaml",
        "a.actions-test.yml",
        "notes.txt",
        ".hidden.yaml",
    ):
        (tmp_path / name).write_text(rule("x > 0", name="R" + name[0]))
    (tmp_path / "folder.yaml").mkdir()
    found = load([(tmp_path, "owner"), (tmp_path / "a.yaml", "owner")], trust_uid=None)
    assert [one.name for one in found.rules] == ["Ra", "Rb"]
    assert [one.order for one in found.rules] == [(0, 0, 0), (1, 0, 0)]
    assert found.rules[0].id == f"{tmp_path}/a.yaml:g:0"


def test_a_bad_file_is_left_out_and_named_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(rule("x > 0", name="Good"))
    (tmp_path / "b.yaml").write_text(rule("foo(x) > 0", name="Bad") + "  - alert: AlsoGood\n    expr: x\n")
    (tmp_path / "c.yaml").write_text(rule("x > 0", name="AfterIt"))
    found = load([(tmp_path, "owner"), (tmp_path / "missing.yaml", "owner")], trust_uid=None)
    assert [one.name for one in found.rules] == ["Good", "AfterIt"]
    assert [one.order[0] for one in found.rules] == [0, 1]
    good, bad, after, missing = found.health
    assert (good.text, after.text, bad.rules) == ("", "", 0)
    assert f"{tmp_path}/b.yaml:5:11: expr: this is not PromQL: unknown function with name 'foo'" in bad.text
    assert "there is no such file or folder" in missing.text


def test_all_mistakes_come_at_once_with_their_places() -> None:
    text = """
groups:
- name: g
  rules:
  - alert: One
    expr: topk(3, x)
  - alert: Two
    expr: x
    labels: {bad-name: a, about: "{{ nope }}"}
    annotations:
      summary: "{{ query \\"x\\" }}"
  - record: job:x:sum
    expr: sum(x)
  - expr: x
  - alert: Three
    expr: |
      x >
        foo(y)
- name: g
  rules: []
"""
    found = mistakes(text)
    assert any(line.startswith("r.yaml:6:11: expr: the aggregation topk() is not supported yet") for line in found)
    assert any(line.startswith("r.yaml:9:14: 'bad-name' cannot be the name of a label") for line in found)
    assert any(line.startswith("r.yaml:9:34: the template's function nope is not supported") for line in found)
    assert any(line.startswith("r.yaml:11:16: the template's function query is not supported") for line in found)
    assert "r.yaml:12:13: recording rules are not supported yet" in found
    assert any("r.yaml:14:5: the rule has no name" in line for line in found)
    assert any(line.startswith("r.yaml:18:") and "foo" in line for line in found)
    assert "r.yaml:19:9: the group 'g' is in this file twice" in found


HEAD = "groups:\n- name: g\n  rules:\n  - alert: A\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "    expr: x\n    fro: 1m\n", "r.yaml:6:5: groups[0].rules[0]: unknown key 'fro'; did you mean 'for'?"),
        ("groups:\n- name: g\n  ruels: []\n", "did you mean 'rules'?"),
        (HEAD + "    alert: B\n    expr: x\n", "r.yaml:5:5: the key 'alert' stands here a second time"),
        (HEAD + "    expr: x\n    for: 1 minute\n", "is not a duration"),
        ("groups:\n- name: g\n  rules: &a\n  - alert: A\n    expr: x\n", "anchor"),
        ("groups:\n- name: g\n  query_offset: 1m\n  rules: []\n", "query_offset is not supported yet"),
        (HEAD + "    expr: ALERTS > 0\n", "rules about alerts"),
        (HEAD + "    expr: x[5m]\n", "cannot be a range vector"),
        (HEAD + "    record: b\n    expr: x\n", "either 'alert' or 'record'"),
        (HEAD, "the key 'expr' is missing"),
        ("groups: [", "this is not YAML"),
        ("groups: []\n---\ngroups: []\n", "second document"),
        (HEAD + "    expr: x\n    actions: [restart]\n", "unknown key 'actions'"),
    ],
)
def test_what_prometheus_or_we_refuse_is_refused_in_words(text: str, words: str) -> None:
    assert any(words in line for line in mistakes(text)), mistakes(text)


def test_values_are_text_as_they_stand_in_the_file() -> None:
    text = "groups:\n- name: g\n  interval: 5s\n  labels: {tier: 1.10}\n"
    text += "  rules:\n  - {alert: A, expr: 1, labels: {on: yes, n: 007}}\n"
    (one,) = parse_rules(text, "r.yaml").rules
    assert dict(one.labels) == {"tier": "1.10", "on": "yes", "n": "007"}
    assert one.interval == 5.0
    assert parse_rules(text.replace("tier: 1.10", "n: 1"), "r.yaml").rules[0].labels == (("n", "007"), ("on", "yes"))


def test_an_empty_file_is_no_mistake() -> None:
    assert parse_rules("", "r.yaml").rules == ()
    assert parse_rules("groups:\n", "r.yaml").rules == ()


def test_files_that_others_may_write_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(rule("x > 0"))
    file.chmod(0o666)
    (health,) = load([(file, "owner")], trust_uid=os.getuid()).health
    assert f"chmod go-w {file}" in health.text
    file.chmod(0o600)
    assert load([(file, "owner")], trust_uid=os.getuid()).health[0].text == ""
    tmp_path.chmod(0o777)
    assert "chmod go-w" in load([(file, "owner")], trust_uid=os.getuid()).health[0].text
    tmp_path.chmod(0o700)


def test_large_and_odd_files_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("#" * (1024 * 1024 + 1))
    (tmp_path / "b.yaml").write_bytes(b"groups: \xff\xfe")
    large, odd = load([(tmp_path, "owner")], trust_uid=None).health
    assert "larger than 1 MiB" in large.text
    assert "not UTF-8" in odd.text


def test_retention_is_what_the_farthest_rule_looks_back_to(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(rule("rate(x[1h] offset 30m) > 0"))
    assert load([(tmp_path, "owner")], trust_uid=None).retention() == 5400.0
    assert load([], trust_uid=None).retention() == 300.0
