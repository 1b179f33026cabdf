"""A test of actions may be about slots: the first choice of each runs at the beginning, the others wait."""

from pathlib import Path

from supervisor.lab import actions_test

RULES = """\
groups:
- name: g
  rules:
  - {alert: Trivial, expr: trivial == 1, annotations: {action: swap oracle to=small}}
"""
CHECKS = """\
rule_files: [r.yaml]
playbook_files: []
settings:
  proof: 20s
  slots:
    oracle:
      models:
        large: {service: web.large, url: "http://:8000"}
        small: {service: web.small, url: "http://:8000"}
      criteria: {at-least: 12}
services:
  web.large: {enable: true, exclusive: [model]}
  web.small: {enable: true, exclusive: [model]}
tests:
- name: one
  input_series: [{series: 'trivial', values: '0 0 1x40'}]
  expect:
  - {at: 30s, within: 1m, verb: swap, target: 'slot:oracle', outcome: verified, by: 'rule:Trivial'}
"""


def test_a_rule_swaps_the_models_of_a_slot(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RULES)
    (tmp_path / "t.actions-test.yaml").write_text(CHECKS)
    found = actions_test.run_file(tmp_path / "t.actions-test.yaml")
    assert not found.mistakes, found.mistakes
    assert found.tests[0].failures == ()
