"""Rule files: plain Prometheus files, every mistake with its place, bad ones left out whole."""

import os
from pathlib import Path

import pytest

from supervisor.errors import ConfigError
from supervisor.rules import AlertRule, RecordRule, load, parse_rules, shipped_folder
from tests.support.rules import rule

OWNER = Path(__file__).parents[2] / "support" / "owner-alerts.yaml"


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "r.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_the_owners_alert_file_loads_word_for_word() -> None:
    (file,) = load([(OWNER, "owner")], trust_uid=None).files
    assert [(one.name, one.hold, dict(one.labels)["severity"]) for one in file.rules if isinstance(one, AlertRule)] == [
        ("BlackwellResetLoopRisk", 60.0, "critical"),
        ("HighMemoryPressure", 120.0, "warning"),
        ("SwapInUse", 300.0, "warning"),
    ]
    first = file.rules[0]
    assert isinstance(first, AlertRule)
    (name, action) = first.annotation_templates[0]
    assert (name, action.text) == ("action", "kubectl scale deployment inference-engine --replicas=0")


def test_the_shipped_folder_is_found_and_loads() -> None:
    found = load([(shipped_folder(), "shipped")], trust_uid=None)
    assert [health.file for health in found.health] == [
        f"shipped/{name}.yaml"
        for name in ("containers", "daemon", "disk", "gpu", "host", "memory", "namespaces", "probes", "slots")
    ]
    assert not any(health.text for health in found.health)
    for one in found.alerts:
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
    assert f"{tmp_path}/b.yaml:5:12: expr: there is no function foo" in bad.text
    assert "there is no such file or folder" in missing.text


def test_a_wrong_key_hides_no_wrong_expression() -> None:
    rules = (
        "  - {alert: A, expr: 'rat(x[5m])', fro: 1m}\n  - 7\n  - {alert: B, expr: [x]}\n  - {alert: C, expr: 'sum('}\n"
    )
    with pytest.raises(ConfigError) as caught:
        parse_rules(f"groups:\n- name: g\n  rules:\n{rules}- 7\n- {{name: h, rules: 7}}\n", "r.yaml")
    found = [str(mistake) for mistake in caught.value.mistakes]
    assert found[0].startswith("r.yaml:4:23: expr: there is no function rat(); did you mean rate()?")
    assert "r.yaml:4:36: groups[0].rules[0]: unknown key 'fro'; did you mean 'for'?" in found
    assert any(one.startswith("r.yaml:7:") and "unclosed left parenthesis" in one for one in found)
    assert [int(one.split(":")[1]) for one in found] == sorted(int(one.split(":")[1]) for one in found)


def test_all_mistakes_come_at_once_with_their_places() -> None:
    text = """
groups:
- name: g
  rules:
  - alert: One
    expr: topk(x)
  - alert: Two
    expr: x
    labels: {__name__: a, about: "{{ nope }}"}
    annotations:
      summary: "{{ end }}"
  - record: job:x{a="b"}
    expr: sum(x)
    for: 1m
    annotations: {summary: x}
  - expr: x
  - alert: Three
    expr: |
      x >
        foo(y)
  - alert: Four
    expr: >-
      x
      > bar(y)
  - alert: Five
    expr: "x{a=\\"\\u00e9\\"} > baz(y)"
- name: g
  rules: []
"""
    found = mistakes(text)
    starts = [
        "r.yaml:6:11: expr: ",
        "r.yaml:9:14: '__name__' cannot be the name of a label",
        "r.yaml:9:38: ",
        "r.yaml:11:20: ",
        "r.yaml:12:13: braces in the name of a recording rule",
        "r.yaml:14:5: a recording rule has no 'for'",
        "r.yaml:15:5: a recording rule has no 'annotations'",
        "r.yaml:16:5: the rule has no name; give it an 'alert' or a 'record'",
        "r.yaml:20:9: expr: there is no function foo",
        "r.yaml:24:9: expr: there is no function bar",
        "r.yaml:26:30: expr: there is no function baz",
        "r.yaml:27:9: the group 'g' is in this file twice",
    ]
    assert len(found) == len(starts), found
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start), (line, start)


HEAD = "groups:\n- name: g\n  rules:\n  - alert: A\n"
RECORD = "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: x\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "    expr: x\n    fro: 1m\n", "r.yaml:6:5: groups[0].rules[0]: unknown key 'fro'; did you mean 'for'?"),
        ("groups:\n- name: g\n  ruels: []\n", "did you mean 'rules'?"),
        (HEAD + "    alert: B\n    expr: x\n", "r.yaml:5:5: the key 'alert' stands here a second time"),
        (HEAD + "    expr: x\n    for: 1 minute\n", "is not a duration"),
        (HEAD + "    expr: x\n    for: ' 1m'\n", "is not a duration"),
        (HEAD + "    expr: x\n    for: -1m\n", "is not a duration"),
        (HEAD + "    expr: x\n    for: 60\n", "is not a duration"),
        (HEAD + "    expr: x\n    for: 1s1m\n", "is not a duration"),
        (HEAD + "    expr: x\n    for: ''\n", "is not a duration"),
        (HEAD + "    expr: x\n    for: 300y\n", "is longer than 292 years"),
        (HEAD + "    expr: x\n    keep_firing_for: soon\n", "is not a duration"),
        ("groups:\n- name: g\n  query_offset: -1m\n", "r.yaml:3:17: "),
        ("groups:\n- name: g\n  limit: many\n", "this must be a whole number"),
        ("groups:\n- name: g\n  limit: '5'\n", "write it without quotes"),
        ("groups:\n- rules: []\n", "the group has no name"),
        ("groups:\n- name: g\n  labels: {'': x}\n", "'' cannot be the name of a label"),
        (HEAD + "    expr: x\n    annotations: {'': x}\n", "'' cannot be the name of an annotation"),
        (HEAD + "    expr: x[5m]\n", "cannot be a range vector"),
        (HEAD + "    record: b\n    expr: x\n", "either 'alert' or 'record'"),
        (HEAD, "r.yaml:4:5: the rule has no expression"),
        (HEAD + "    expr: ~\n", "the rule has no expression"),
        (RECORD + "    keep_firing_for: 1m\n", "a recording rule has no 'keep_firing_for'"),
        ("groups: [", "this is not YAML"),
        ("groups: []\n---\ngroups: []\n", "second document"),
        (HEAD + "    expr: x\n    actions: [restart]\n", "unknown key 'actions'"),
        ("apiVersion: v1\nkind: PrometheusRule\nspec: {groups: []}\n", "r.yaml:2:1: this is a PrometheusRule resource"),
        ("apiVersion: v1\nkind: Deployment\n", "this is a Kubernetes Deployment, not a rule file"),
    ],
)
def test_what_prometheus_or_we_refuse_is_refused_in_words(text: str, words: str) -> None:
    assert any(words in line for line in mistakes(text)), mistakes(text)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "    expr: x\n    for: ~\n    labels: ~\n    annotations:\n    record: ~\n",
        HEAD + "    expr: x\n    for: 0\n    keep_firing_for: 1y2w3d4h5m6s7ms\n",
        HEAD + "    expr: 1\n    labels: {a.b: x, n: ~}\n    annotations: {what/ever: x}\n",
        "groups:\n- name: g\n  limit: -1\n  interval: ~\n  rules: ~\n",
        "groups: ~\n---\n",
    ],
)
def test_what_prometheus_takes_is_taken(text: str) -> None:
    assert parse_rules(text, "r.yaml").path == "r.yaml"


def test_recording_rules_groups_and_their_settings() -> None:
    text = """
groups:
- name: g
  interval: 30s
  query_offset: 1m30s
  limit: 7
  labels: {team: ai, tier: one}
  rules:
  - record: job:x:sum
    expr: sum by (job) (x)
    labels: {tier: two, "l.x": "{{ not a template }}"}
  - alert: A
    expr: job:x:sum > 1
    keep_firing_for: 2m
"""
    record, alert = parse_rules(text, "r.yaml", settle={"g": 0.0}).rules
    assert isinstance(record, RecordRule)
    assert isinstance(alert, AlertRule)
    assert (record.name, record.place, record.id) == ("job:x:sum", (9, 5), "r.yaml:g:0")
    assert dict(record.labels) == {"team": "ai", "tier": "two", "l.x": "{{ not a template }}"}
    assert dict(alert.labels) == {"team": "ai", "tier": "one"}
    for rule_ in (record, alert):
        assert (rule_.interval, rule_.query_offset, rule_.limit) == (30.0, 90.0, 7)
        assert (rule_.group, rule_.settle) == ("g", 0.0)
    assert (alert.hold, alert.keep) == (0.0, 120.0)
    assert parse_rules(text, "r.yaml").rules[0].settle is None


def test_anchors_and_aliases_are_read_as_prometheus_reads_them() -> None:
    text = """
groups:
- name: g
  rules:
  - &one
    alert: One
    expr: &expr |
      x > 1
    labels: &labels {severity: warning}
  - {<<: *one, alert: Two, for: 1m}
  - {record: three, expr: *expr, labels: *labels}
  - {alert: Four, expr: &bad foo(x)}
  - {alert: Five, expr: *bad}
"""
    found = mistakes(text)
    assert [line.split(" ")[0] for line in found] == ["r.yaml:12:30:", "r.yaml:13:25:"]
    one, two, three = parse_rules("\n".join(text.split("\n")[:11]), "r.yaml").rules
    assert [rule_.name for rule_ in (one, two, three)] == ["One", "Two", "three"]
    assert one.expr == two.expr == three.expr
    assert one.labels == two.labels == three.labels == (("severity", "warning"),)


def test_a_group_label_with_a_bad_template_is_told_once_and_at_the_group() -> None:
    text = "groups:\n- name: g\n  labels: {a: '{{ end }}'}\n  rules:\n"
    text += "  - {alert: A, expr: x}\n  - {alert: B, expr: x}\n  - {record: c, expr: x}\n"
    assert [line.split(" ")[0] for line in mistakes(text)] == ["r.yaml:3:19:"]


def test_a_file_whose_rules_close_a_circle_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    record = "groups:\n- name: g\n  rules:\n  - {{record: {}, expr: '{}'}}\n"
    (tmp_path / "a.yaml").write_text(record.format("a", "sum(b)"))
    (tmp_path / "b.yaml").write_text(record.format("own", "own + 1"))
    (tmp_path / "c.yaml").write_text(record.format("b", "sum(c)"))
    (tmp_path / "d.yaml").write_text(record.format("c", "a offset 1m + x"))
    (tmp_path / "e.yaml").write_text(record.format("c", "a"))
    (tmp_path / "f.yaml").write_text(rule("c > 0", name="F"))
    found = load([(tmp_path, "owner")], trust_uid=None)
    assert [one.name for one in found.rules] == ["a", "b", "c", "F"]
    assert [one.name for one in found.arranged] == ["c", "b", "a", "F"]
    assert [one.order[0] for one in found.rules] == [0, 1, 2, 3], "the engine finds a rule's file by its number"
    assert [found.files[one.order[0]].path[-6:] for one in found.rules] == ["a.yaml", "c.yaml", "d.yaml", "f.yaml"]
    texts = {Path(health.file).name: health.text for health in found.health if health.text}
    assert sorted(texts) == ["b.yaml", "e.yaml"]
    assert texts["b.yaml"].startswith(f"{tmp_path}/b.yaml:4:5: the rule reads what it writes itself (own → own)")
    assert texts["e.yaml"].startswith(f"{tmp_path}/e.yaml:4:5: these rules read each other in a circle: c → a → b → c;")
    assert [health.rules for health in found.health] == [1, 0, 1, 1, 0, 1]


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
    (tmp_path / "a.yaml").write_text("#" * (4 * 1024 * 1024 + 1))
    (tmp_path / "b.yaml").write_bytes(b"groups: \xff\xfe")
    large, odd = load([(tmp_path, "owner")], trust_uid=None).health
    assert "larger than 4 MiB" in large.text
    assert "not UTF-8" in odd.text


def test_retention_is_what_the_farthest_rule_looks_back_to(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(rule("rate(x[1h] offset 30m) > 0"))
    assert load([(tmp_path, "owner")], trust_uid=None).retention() == 5400.0
    assert load([], trust_uid=None).retention() == 300.0
