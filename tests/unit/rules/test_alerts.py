"""The states of alerts, step by step (rules/alerting.go), with time as an argument."""

import pytest

from supervisor.facts import Labels
from supervisor.rules import alerts, parse_rules, templates
from supervisor.rules.files import AlertRule
from supervisor.rules.templates import Around
from tests.support.rules import rule

HERE: Labels = (("__name__", "x"), ("name", "oracle"))


class Steps:
    """One rule stepped from instant to instant."""

    def __init__(self, **keys: str) -> None:
        self.rule = self.read(**keys)
        self.active: alerts.Active = {}

    @staticmethod
    def read(**keys: str) -> AlertRule:
        return parse_rules(rule("x > 0", **keys), "f.yaml").rules[0]

    def at(self, time: float, *values: float, labels: Labels = HERE) -> list[tuple[str, str]]:
        stepped = alerts.step(self.rule, self.active, [(labels, value) for value in values], time)
        self.active = stepped.active
        return [(change.before, change.alert.state) for change in stepped.changes]

    @property
    def only(self) -> alerts.Alert:
        (alert,) = self.active.values()
        return alert


def test_without_for_it_fires_at_once() -> None:
    steps = Steps(labels="{severity: critical}")
    assert steps.at(10.0, 5.0) == [("", "firing")]
    alert = steps.only
    assert dict(alert.labels) == {"alertname": "A", "name": "oracle", "severity": "critical"}
    assert (alert.active_at, alert.fired_at, alert.value, alert.severity) == (10.0, 10.0, 5.0, "critical")
    assert (alert.rule, alert.origin, alert.order) == ("f.yaml:g:0", "owner", (0, 0, 0))
    assert steps.at(11.0, 6.0) == []
    assert (steps.only.value, steps.only.fired_at) == (6.0, 10.0)


def test_for_runs_from_the_first_sight_and_a_dip_starts_it_again() -> None:
    steps = Steps(for_="30s")
    assert steps.at(0.0, 1.0) == [("", "pending")]
    assert steps.at(29.999, 1.0) == []
    assert steps.at(30.0, 1.0) == [("pending", "firing")]
    steps = Steps(for_="30s")
    steps.at(0.0, 1.0)
    assert steps.at(29.0) == [("pending", "dropped")]
    assert steps.active == {}
    assert steps.at(30.0, 1.0) == [("", "pending")]
    assert steps.at(59.0, 1.0) == []


def test_resolved_is_remembered_and_coming_back_is_a_new_alert() -> None:
    steps = Steps(for_="30s")
    steps.at(0.0, 1.0)
    steps.at(30.0, 1.0)
    assert steps.at(40.0) == [("firing", "resolved")]
    assert (steps.only.state, steps.only.resolved_at) == ("resolved", 40.0)
    assert steps.at(50.0) == []
    assert steps.at(60.0, 1.0) == [("", "pending")]
    assert steps.only.active_at == 60.0
    steps.at(70.0)
    steps = Steps()
    steps.at(0.0, 1.0)
    steps.at(1.0)
    assert steps.at(901.0) == []
    assert len(steps.active) == 1
    assert steps.at(902.0) == []
    assert steps.active == {}


def test_keep_firing_for_bridges_gaps_and_keeps_the_alert_the_same() -> None:
    steps = Steps(keep_firing_for="20s")
    steps.at(0.0, 1.0)
    assert steps.at(5.0) == []
    assert alerts.next_deadline(steps.rule, steps.active) == 25.0
    assert steps.at(24.9) == []
    assert steps.at(24.95, 1.0) == []
    assert (steps.only.fired_at, steps.only.keep_since) == (0.0, 0.0)
    steps.at(30.0)
    assert steps.at(50.0) == [("firing", "resolved")]


def test_a_pending_alert_is_not_kept() -> None:
    steps = Steps(for_="1m", keep_firing_for="1h")
    steps.at(0.0, 1.0)
    assert steps.at(1.0) == [("pending", "dropped")]


def test_for_raised_by_a_reload_takes_firing_back_to_pending() -> None:
    steps = Steps()
    steps.at(0.0, 1.0)
    steps.rule = Steps.read(for_="1m")
    assert steps.at(10.0, 1.0) == [("firing", "pending")]
    assert steps.at(60.0, 1.0) == [("pending", "firing")]


def test_two_results_with_one_label_set_change_nothing() -> None:
    steps = Steps(labels="{name: same}")
    vector = [((("name", "a"),), 1.0), ((("name", "b"),), 2.0)]
    with pytest.raises(alerts.RuleError, match="same labelset after applying alert labels"):
        alerts.step(steps.rule, steps.active, vector, 0.0)


def test_a_rules_label_wins_is_templated_and_an_empty_one_removes() -> None:
    steps = Steps(labels='{name: "", about: "{{ $labels.name }}={{ $value }}", __n: x}')
    steps.at(0.0, 2.5)
    assert dict(steps.only.labels) == {"alertname": "A", "about": "oracle=2.5", "__n": "x"}


def test_a_label_that_carries_the_value_is_another_alert_each_time() -> None:
    steps = Steps(labels='{level: "{{ $value }}"}', for_="10s", keep_firing_for="1m")
    steps.at(0.0, 1.0)
    assert steps.at(10.0, 2.0) == [("pending", "dropped"), ("", "pending")]


def test_annotations_follow_the_value_labels_do_not() -> None:
    steps = Steps(annotations='{summary: "{{ $labels.name }} is at {{ $value }}"}')
    steps.at(0.0, 1.0)
    steps.at(1.0, 2.0)
    assert steps.only.annotations == {"summary": "oracle is at 2"}


def test_more_alerts_than_the_limit_are_an_error_and_drop_all() -> None:
    text = rule("x > 0").replace("- name: g", "- name: g\n  limit: 1")
    limited = parse_rules(text, "f.yaml").rules[0]
    one = alerts.step(limited, {}, [(HERE, 1.0)], 0.0)
    assert one.error == ""
    two = alerts.step(limited, one.active, [(HERE, 1.0), ((("name", "b"),), 1.0)], 1.0)
    assert two.active == {}
    assert "limit of 1" in two.error
    assert [(change.before, change.alert.state) for change in two.changes] == [("firing", "dropped")]


def test_fingerprints_are_those_of_alertmanager() -> None:
    # FNV-1a over name, 0xff, value, 0xff of the sorted pairs; the empty set is the offset basis
    assert alerts.fingerprint(()) == "cbf29ce484222325"
    one = alerts.fingerprint((("alertname", "A"), ("name", "oracle")))
    assert one == alerts.fingerprint((("alertname", "A"), ("name", "oracle")))
    assert one != alerts.fingerprint((("alertname", "A"), ("name", "oraclf")))
    assert len(one) == 16


def test_an_alert_whose_labels_change_at_each_look_is_not_remembered_for_ever() -> None:
    script = Steps(labels="{value: '{{ $value }}'}")
    for time in range(alerts.MOST_RESOLVED + 20):
        script.at(float(time) / 10, float(time))
    assert len(script.active) == alerts.MOST_RESOLVED + 1
    assert [alert.value for alert in script.active.values() if alert.state == "firing"] == [alerts.MOST_RESOLVED + 19.0]
    assert min(alert.value for alert in script.active.values()) == 19.0  # the oldest were forgotten


def test_templates_that_have_no_steps_left_change_no_label() -> None:
    """The text of an error in a label would be another alert, and the one that fires would resolve."""
    rule = Steps.read(labels="{of: '{{ range 20 }}x{{ end }}'}", annotations="{note: '{{ range 20 }}y{{ end }}'}")
    vector = [((("name", f"{n}"),), 1.0) for n in range(50)]
    with pytest.raises(alerts.RuleError, match="labels take too many steps"):
        alerts.step(rule, {}, vector, 0.0, Around(steps=templates.Steps(2_000)))
    plain = Steps.read(annotations="{note: '{{ range 20 }}y{{ end }}'}")
    stepped = alerts.step(plain, {}, vector, 0.0, Around(steps=templates.Steps(2_000)))
    notes = [alert.annotations["note"] for alert in stepped.active.values()]
    assert notes[0] == "y" * 20  # what there were steps for
    assert "too many steps together" in notes[-1]  # and no alert is lost for the others
    assert len(stepped.active) == 50
