"""`resurgam check`: every mistake with its place, and what is only a hint."""

import json
import os
from pathlib import Path

import pytest

from supervisor.cli.check import inspect
from supervisor.cli.main import main

RULES = """\
groups:
- name: mine
  rules:
  - alert: Loop
    expr: increase(kube_pod_container_status_restarts_total{container="ktransformers"}[10m]) > 2
    for: 1m
    annotations:
      action: "ACTION"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("RESURGAM_CONFIG", raising=False)
    return tmp_path


def rules(folder: Path, action: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(RULES.replace("ACTION", action))
    return path


def test_without_a_configuration_the_shipped_rules_are_fine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "(no resurgam.yaml: the defaults)" in out
    assert "containers.yaml: 6 rules" in out
    assert "containers.playbooks.yaml: 4 playbooks" in out


def test_every_mistake_of_a_configuration_is_told_with_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "resurgam.yaml").write_text("mode: heel\nservces: {}\nproof: soon\n")
    assert main(["check"]) == 2
    out = capsys.readouterr().out
    assert "resurgam.yaml:1:7: " in out
    assert "resurgam.yaml:2:1: " in out
    assert "services" in out, "it says what was probably meant"
    assert "resurgam.yaml:3:8: " in out


def test_what_a_configuration_holds_is_counted_and_a_doubt_about_a_slot_has_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = "{oracle: {url: 'http://:8000', files: [/no/such.gguf]}}"
    services = "{oracle: {enable: true, memory: 1GiB}}"
    (folder / "resurgam.yaml").write_text(f"services: {services}\nslots: {{chat: {{models: {models}}}}}\n")
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "configuration, 1 service, 1 slot" in out
    assert "slots.chat.models.oracle.files[0]: /no/such.gguf is not here" in out


def test_a_bad_table_of_faults_is_a_finding(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "xids.yaml").write_text("xids: [{xid: 79, name: is gone, class: bus, remedy: explode}]\n")
    (folder / "resurgam.yaml").write_text(f"gpu: {{xids: {folder / 'xids.yaml'}}}\n")
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "resurgam.yaml:1:13: " in out
    assert "xids.yaml:1:" in out
    (folder / "xids.yaml").write_text("xids: [{xid: 79, name: is gone, class: bus, remedy: power}]\n")
    assert main(["check"]) == 0


def test_a_bad_rule_file_is_a_finding_and_a_good_one_beside_it_counts(folder: Path) -> None:
    rules(folder, "restart")
    (folder / "bad.yaml").write_text(RULES.replace("increase(", "increase_it("))
    report = inspect([str(folder)])
    assert report.code == 1
    assert [(Path(one.file).name, one.line, one.column) for one in report.of("error")] == [("bad.yaml", 5, 11)]
    assert "increase_it" in report.of("error")[0].text
    assert [(Path(one.file).name, one.ok, one.count) for one in report.files] == [
        ("bad.yaml", False, 0),
        ("mine.yaml", True, 1),
    ]
    assert (report.loaded, report.failed) == (1, 1)


def test_a_bad_playbook_is_a_finding(folder: Path) -> None:
    path = folder / "mine.playbooks.yaml"
    path.write_text("playbooks:\n- name: x\n  match: ['alertname=\"Loop\"']\n  steps:\n  - do: restrat\n")
    report = inspect([str(path)])
    assert report.code == 1
    assert any((one.line, one.column) == (5, 9) and "did you mean 'restart'" in one.text for one in report.of("error"))


def test_text_that_is_no_verb_is_a_hint_and_a_wrong_argument_a_mistake(folder: Path) -> None:
    report = inspect([str(rules(folder, "call the owner"))])
    assert report.code == 0
    assert [(hint.line, "only a hint" in hint.text) for hint in report.of("hint") if hint.line] == [(8, True)]
    report = inspect([str(rules(folder, "restart within=soon"))])
    assert report.code == 1
    assert (report.of("error")[0].line, "soon" in report.of("error")[0].text) == (8, True)


def test_a_deployment_that_no_service_stands_for_is_a_hint_with_its_fix(folder: Path) -> None:
    path = rules(folder, "kubectl scale deployment inference-engine --replicas=0")
    hints = [hint for hint in inspect([str(path)]).of("hint") if hint.line]
    assert len(hints) == 1
    assert "kube: {deployment: inference-engine}" in hints[0].text
    (folder / "resurgam.yaml").write_text("services:\n  oracle:\n    kube: {deployment: inference-engine}\n")
    assert not [hint for hint in inspect([str(folder)]).of("hint") if hint.line]


def test_a_wrong_veto_is_a_mistake(folder: Path) -> None:
    path = rules(folder, "restart")
    path.write_text(path.read_text().replace("action:", "veto:").replace('restart"', 'restrat"'))
    assert "restrat" in inspect([str(path)]).of("error")[0].text


def test_test_files_are_not_rule_files(folder: Path) -> None:
    (folder / "mine.test.yaml").write_text("rule_files: [mine.yaml]\n")
    assert inspect([str(folder)]).code == 0


def test_a_file_others_may_write_is_a_hint_here_and_refused_by_run(folder: Path) -> None:
    path = rules(folder, "restart")
    path.chmod(0o666)
    hints = [hint.text for hint in inspect([str(path)]).of("hint")]
    assert any("`run` would refuse this" in text and "chmod go-w" in text for text in hints)


def test_a_path_that_is_not_there_is_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err


def test_machines_get_findings_with_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(folder, "call the owner")
    assert main(["check", str(path), "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"]
    (finding,) = [one for one in document["findings"] if one["line"]]
    assert (finding["level"], finding["line"], finding["column"]) == ("hint", 8, 15)


def test_an_empty_rule_file_is_fine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.yaml").write_text("# nothing yet\n")
    assert main(["check", "mine.yaml"]) == 0
    assert "ok  mine.yaml: no rule" in capsys.readouterr().out


def test_a_folder_without_a_file_to_check_says_so(folder: Path) -> None:
    (hint,) = [one for one in inspect([str(folder)]).of("hint") if "would refuse" not in one.text]
    assert "nothing to check" in hint.text


def test_a_wrong_step_of_a_playbook_is_not_taken_for_a_missing_one(folder: Path) -> None:
    path = folder / "mine.playbooks.yaml"
    path.write_text("playbooks:\n- name: x\n  match: [nonsense]\n  steps:\n  - do: call the owner\n")
    found = [(one.line, one.text) for one in inspect([str(path)]).of("error")]
    assert [line for line, _text in found] == [3, 5]
    assert found[1][1].startswith("playbooks[0].steps[0].do: 'call' is no verb")
    path.write_text("playbooks:\n- name: x\n  match: ['a=\"b\"']\n  steps: []\n")
    assert "at least 1 must be there" in inspect([str(path)]).of("error")[0].text


def test_what_a_configuration_says_without_effect_is_a_hint(folder: Path) -> None:
    (folder / "resurgam.yaml").write_text(
        "services:\n  x:\n    enable: true\n    priority: 3\n"
        "    metrics: http://:8000/metrics\n    probe-method: /skills.Health/Check\n  y: {}\n"
    )
    found = [(one.line, one.text) for one in inspect([]).of("hint") if one.line]
    assert [line for line, _text in found] == [6], "priority counts: who is named first to make place, or to blame"
    assert found[0][1].startswith("services.x.probe-method: only a grpc:// probe calls it; write probe: grpc://")


def test_a_folder_of_rules_that_is_not_there_says_what_to_do(folder: Path) -> None:
    (folder / "resurgam.yaml").write_text("rules: [shipped, nothere]\n")
    (mistake,) = inspect([]).of("error")
    assert mistake.text == "there is no such file or folder; make it, or take it out of `rules:`"


def test_a_secret_that_is_not_there_or_that_everyone_may_read_is_a_warning_with_its_place(folder: Path) -> None:
    for name, mode in (("open.key", 0o644), ("good.token", 0o600), ("ca.crt", 0o644)):
        (folder / name).write_text("x\n")
        (folder / name).chmod(mode)
    (folder / "resurgam.yaml").write_text(
        "mqtt:\n  url: mqtts://box\n  password_file: gone.pw\n  ca_file: ca.crt\n"
        "commands:\n  principals:\n    phone:\n      verbs: [ack]\n      secret_file: open.key\n"
        "notify:\n- webhook:\n    url: http://box\n    token_file: good.token\n- apprise:\n    url_file: gone.urls\n"
    )
    found = [(one.line, one.column, one.text) for one in inspect([]).of("warning") if one.line]
    give = "write it there with mode 600, or hand it over as a credential of that name"
    assert found == [
        (3, 18, f"mqtt.password_file: {folder}/gone.pw does not exist; {give}"),
        (15, 15, f"notify[1].apprise.url_file: {folder}/gone.urls does not exist; {give}"),
        (
            9,
            20,
            f"commands.principals.phone.secret_file: everyone can read this secret; run: chmod o-rwx {folder}/open.key",
        ),
    ]


def test_warnings_count_only_where_that_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "mine.yaml"
    path.write_text("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: resurgam_container_deth_streak > 3\n")
    assert main(["check", "mine.yaml"]) == 0
    assert main(["check", "--strict", "mine.yaml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "mine.yaml:5:11: warning: no collector here makes resurgam_container_deth_streak; "
        "did you mean 'resurgam_container_death_streak'?"
    )
    assert lines[1:3] == ["ok  mine.yaml: 1 rule; accepted by Prometheus >= 2.42", "1 warning"]


def test_what_people_and_we_ship_gives_no_warning(folder: Path) -> None:
    owner = Path(__file__).parents[2] / "support" / "owner-alerts.yaml"
    for report in (inspect([]), inspect([str(owner)])):
        assert not report.of("error")
        assert not report.of("warning")
        assert not [note for note in report.notes if note.lint]


def test_findings_stand_with_their_file_mistakes_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text(
        "groups:\n- name: g\n  rules:\n"
        "  - {alert: A, expr: absent(container_last_seen)}\n"
        "  - {alert: B, expr: container_last_seen > 1, annotations: {veto: restrat}}\n"
    )
    (folder / "b.yaml").write_text("groups:\n- name: g\n  rules:\n  - {record: a, expr: a}\n")
    assert main(["check", "a.yaml", "b.yaml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    starts = ["a.yaml:5:", "a.yaml:4:22: warning: absent() without 'for'", "ok  a.yaml", "b.yaml:4:5: the rule reads"]
    assert len(lines) == 5
    for line, start in zip(lines, starts, strict=False):
        assert line.startswith(start), lines
    assert lines[-1] == "1 of 2 rule files load, 2 mistakes, 1 warning"


def test_a_folder_of_public_rules_is_counted_for_machines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = folder / "pack" / "node"
    deep.mkdir(parents=True)
    good = "groups:\n- name: g\n  query_offset: 1m\n  rules:\n  - {record: a, expr: x}\n  - {alert: B, expr: x > 1}\n"
    (deep / "good.yml").write_text(good)
    (deep / "resource.yaml").write_text("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec: {}\n")
    assert main(["check", "-o", "json", "pack"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["loaded"], document["failed"]) == (False, 1, 1)
    first, second = document["files"]
    assert (first["file"], first["kind"], first["count"], first["ok"]) == ("pack/node/good.yml", "rules", 2, True)
    assert first["rules"] == {"alerting": 1, "recording": 1}
    assert first["accepted_by"] == ["Prometheus >= 2.53"]
    assert first["needs"] == [{"what": "query_offset", "since": "Prometheus >= 2.53", "line": 3, "column": 3}]
    assert (second["file"], second["ok"], second["accepted_by"]) == ("pack/node/resource.yaml", False, [])
    (error,) = [one for one in document["findings"] if one["level"] == "error"]
    assert (error["file"], error["line"]) == ("pack/node/resource.yaml", 2)
    (hint,) = [one for one in document["findings"] if one["lint"]]
    assert (hint["level"], hint["lint"], hint["line"], hint["column"]) == ("hint", "unmade-metrics", 5, 23)


def test_folders_inside_are_looked_into_on_request(folder: Path) -> None:
    rules(folder, "restart")
    (folder / "more").mkdir()
    rules(folder / "more", "restart")
    assert [one.file for one in inspect(["."]).files] == ["mine.yaml"]
    assert any("one more file lies in folders inside" in one.text for one in inspect(["."]).of("hint"))
    assert [one.file for one in inspect(["."], recursive=True).files] == ["mine.yaml", "more/mine.yaml"]


def test_a_settle_time_for_a_group_that_is_not_there_is_a_hint(folder: Path) -> None:
    (folder / "resurgam.yaml").write_text("settle: {containers: 1s, hoost: 0}\n")
    (hint,) = inspect([]).of("hint")
    assert "no rule file has a group called 'hoost'" in hint.text
    assert (hint.line, hint.column) == (1, 26)


def test_what_is_no_file_is_told_and_not_waited_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "mine.yaml")
    os.mkfifo(folder / "mine.playbooks.yaml")
    for name in ("mine.yaml", "mine.playbooks.yaml"):
        assert main(["check", name]) == 1
        assert f"{name}:0:0: " in (out := capsys.readouterr().out)
        assert "it is a pipe or a device, not a file" in out


def test_a_test_file_that_is_named_says_how_it_is_run(folder: Path) -> None:
    (folder / "mine.test.yaml").write_text("tests: [")
    report = inspect(["mine.test.yaml"])
    assert [hint.text for hint in report.of("hint")] == [
        "these are tests: `resurgam test mine.test.yaml` reads them and runs them"
    ]
