"""Playbook files: what they become, and every mistake at its place."""

import os
from pathlib import Path

import pytest

from supervisor.errors import ConfigError
from supervisor.incidents.playbooks import Rung, Verify, load, read
from supervisor.rules.files import shipped_folder
from supervisor.units import Budget, Matcher

DESIGN = """\
playbooks:
- name: restart-loop
  match: ['alertname="ContainerRestartLoop"']
  on: firing
  target: service
  unless: 'resurgam_service_maintenance == 1'
  steps:
  - do: restart
    verify: {probe: true, within: 2m}
  - do: phoenix image=last-known-good
    verify: {expr: 'resurgam_service_healthy == 1', for: 60s, within: 10m}
  - do: stop
  cooldown: 5m
  reset: 2h
  budget: 3 in 1h
  per: service
  mode: queue
  approval: disruptive
  dry_run: true
"""


def test_the_example_of_the_design() -> None:
    (book,) = read(DESIGN, "x.playbooks.yaml")
    assert (book.name, book.on, book.target, book.per) == ("restart-loop", "firing", "service", "service")
    assert book.match == (Matcher("alertname", "=", "ContainerRestartLoop"),)
    assert book.unless is not None
    assert book.unless.text == "resurgam_service_maintenance == 1"
    assert [rung.verb for rung in book.steps] == ["restart", "phoenix", "stop"]
    assert dict(book.steps[0].params) == {"within": "120s"}
    assert book.steps[0].verify == Verify(within=120.0)
    assert dict(book.steps[1].params) == {"image": "last-known-good", "profile": "", "within": ""}
    assert book.steps[1].verify.expr is not None
    assert (book.steps[1].verify.hold, book.steps[1].verify.within) == (60.0, 600.0)
    assert (book.cooldown, book.reset, book.budget) == (300.0, 7200.0, Budget(3, 3600.0))
    assert (book.mode, book.approval, book.dry_run) == ("queue", "disruptive", True)


def test_defaults() -> None:
    (book,) = read("playbooks:\n- name: a\n  match: [x=y]\n  steps: [{do: stop}]\n", "x")
    assert (book.cooldown, book.reset, book.budget, book.mode) == (600.0, 3600.0, None, "single")
    assert (book.approval, book.dry_run, book.unless) == ("never", False, None)
    assert str(book.steps[0]) == "stop"
    assert str(Rung("phoenix", (("image", "a:1"), ("within", "")))) == "phoenix image=a:1"


def test_matchers_must_all_hold() -> None:
    text = "playbooks:\n- name: a\n  match: ['alertname=~\"Container.*\"', 'severity!=info']\n  steps: [{do: stop}]\n"
    (book,) = read(text, "x")
    assert book.matches({"alertname": "ContainerX", "severity": "critical"})
    assert book.matches({"alertname": "ContainerX"})
    assert not book.matches({"alertname": "ContainerX", "severity": "info"})
    assert not book.matches({"alertname": "MyContainerX", "severity": "critical"})


MISTAKES = """\
playbooks:
- name: one
  match: ['alertname=~"("', nonsense]
  steps:
  - do: dance
  - do: restart demo.web
  - do: restart within=soon
  - do: stop {{ $labels.x }}
  cooldwon: 1m
- name: two
  match: [a=b]
  on: sometimes
  unless: 'sum('
  steps:
  - do: stop
    verify: {for: 1m}
  budget: many
- match: []
  steps: []
"""


def test_every_mistake_at_once_and_at_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        read(MISTAKES, "bad.playbooks.yaml")
    found = {(one.line, one.text) for one in caught.value.mistakes}
    lines = [line for line, _text in sorted(found)]
    for line in (3, 5, 6, 7, 8, 9, 12, 13, 16, 17, 18):
        assert line in lines, f"nothing was said about line {line}: {sorted(found)}"
    assert all(one.file == "bad.playbooks.yaml" and one.column > 0 for one in caught.value.mistakes)
    said = dict(sorted(found))
    assert "did you mean 'cooldown'?" in said[9]
    assert "`target:` of the playbook" in said[6]
    assert "templates" in said[8]
    assert "`expr`" in said[16]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("on: resolved\n  steps: [{do: restart}, {do: stop}]", "one step"),
        ("target: host\n  steps: [{do: restart}]", "cannot be aimed at the host"),
        ("steps: [{do: stop, verify: {expr: up, for: 10m, within: 5m}}]", "never verify"),
        ("reset: 0s\n  steps: [{do: stop}]", "longer than 0"),
        ("steps: [{do: protect image=x}]", "no verb"),
        ("steps: [{do: stop, verify: {within: 5m}}]", "stop knows no `within`"),
        ("steps: [{do: restart, verify: {probe: false}}]", "take `probe: false` out"),
        ("steps: [{do: stop}]\n  mode: parallel", "not one of single, queue, replace"),
    ],
)
def test_what_makes_no_sense(more: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"playbooks:\n- name: a\n  match: [x=y]\n  {more}\n", "x")
    assert says in str(caught.value)


def test_a_name_stands_once() -> None:
    one = "- name: a\n  match: [x=y]\n  steps: [{do: stop}]\n"
    with pytest.raises(ConfigError) as caught:
        read(f"playbooks:\n{one}{one}", "x")
    assert [(m.line, "give each its own name" in m.text) for m in caught.value.mistakes] == [(5, True)]


def _write(folder: Path, name: str, book: str) -> Path:
    path = folder / name
    path.write_text(f"playbooks:\n- name: {book}\n  match: [x=y]\n  steps: [{{do: stop}}]\n")
    path.chmod(0o600)
    return path


def test_a_folder(tmp_path: Path) -> None:
    mine, shipped = tmp_path / "mine", tmp_path / "shipped"
    mine.mkdir()
    shipped.mkdir()
    _write(mine, "b.playbooks.yaml", "second")
    _write(mine, "a.playbooks.yml", "first")
    _write(mine, "rules.yaml", "not-a-playbook")
    _write(shipped, "z.playbooks.yaml", "ours")
    books, mistakes = load([(shipped, "shipped"), (mine, "owner")])
    assert [(book.name, book.origin) for book in books] == [
        ("ours", "shipped"),
        ("first", "owner"),
        ("second", "owner"),
    ]
    assert [book.order for book in books] == sorted(book.order for book in books)
    assert mistakes == ()


def test_a_bad_file_is_left_out_and_the_others_count(tmp_path: Path) -> None:
    _write(tmp_path, "a.playbooks.yaml", "good")
    (tmp_path / "b.playbooks.yaml").write_text("playbooks:\n- nam: x\n")
    _write(tmp_path, "c.playbooks.yaml", "good")
    (tmp_path / "d.playbooks.yaml").write_bytes(b"\xff\xfe")
    books, mistakes = load([(tmp_path, "owner")])
    assert [book.file for book in books] == [str(tmp_path / "a.playbooks.yaml")]
    assert {Path(one.file).name for one in mistakes} == {f"{name}.playbooks.yaml" for name in "bcd"}


def test_a_file_that_others_can_change_is_not_obeyed(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.playbooks.yaml", "good")
    assert len(load([(path, "owner")], trust_uid=os.getuid())[0]) == 1
    path.chmod(0o666)
    books, mistakes = load([(path, "owner")], trust_uid=os.getuid())
    assert books == ()
    assert "chmod go-w" in mistakes[0].text


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    assert load([(tmp_path / "none", "owner")]) == ((), ())
    path = tmp_path / "a.playbooks.yaml"
    path.write_text("#" * ((1 << 20) + 1))
    books, mistakes = load([(tmp_path, "owner")])
    assert books == ()
    assert "1 MiB" in mistakes[0].text


def test_the_shipped_ones() -> None:
    folder = shipped_folder()
    books, mistakes = load([(folder, "shipped")])
    assert mistakes == ()
    assert "restart-loop" in [book.name for book in books]
    assert all(book.origin == "shipped" for book in books)


def test_the_shipped_ladder_for_memory_goes_from_cheap_to_harsh_and_looks_after_each_rung() -> None:
    books, _ = load([(shipped_folder(), "shipped")])
    ladder = [rung for book in books if book.file.endswith("oom-risk.playbooks.yaml") for rung in book.steps]
    assert [rung.verb for rung in ladder] == ["unload", "drop-cache", "reclaim", "fuse", "freeze", "stop"]
    for rung in ladder:
        assert rung.verify.expr is not None, f"{rung.verb}: whether the risk is over is looked at"
        assert 'resurgam_memory_at_risk{resource="ram"} == 0' in str(rung.verify.expr.text)
        assert rung.verify.within > 0
    assert dict(ladder[-1].params) == {"over_plan": "true"}, "only who is above its plan is ended"
