"""How messages read: our own words, and templates over what Alertmanager's have."""

import pytest

from supervisor.bus.notify.message import Item, Message
from supervisor.bus.notify.template import Wording, mistakes
from supervisor.config.telling import TemplateSettings
from supervisor.journal import Row


def alert(seq: int, name: str, kind: str = "firing", escalated: float = 0.0, /, **labels: str) -> Item:
    about = {
        "status": kind,
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": f"{name} is bad", "description": "the disk\nfills"},
        "startsAt": "2026-03-04T05:06:07.000Z",
        "fingerprint": f"fp-{name}",
        "value": 3.5,
    }
    body = {"alert": about, "text": f"{name} is bad"}
    return Item.of(Row(seq, 1000.0, f"alert.{kind}", "oracle", body, True, ""), escalated)


def action(kind: str = "verified", **body: object) -> Message:
    found = {"plan": 7, "verb": "phoenix", "cause": "Tight fires for oracle", "text": "It serves again.", **body}
    return Message("k", action=Row(9, 1000.0, f"action.{kind}", "oracle", found, True, ""))


def said(message: Message, title: str = "", body: str = "") -> tuple[str, str, str]:
    text = Wording(TemplateSettings(title=title, body=body), "box", "http://box").of(message)
    return text.title, text.body, text.trouble


def test_our_own_words_say_what_and_why() -> None:
    message = Message("k", items=(alert(1, "DiskFull"),), causes={"fp-DiskFull": "qdrant writes a snapshot"})
    title, body, _ = said(message)
    assert title == "[box] FIRING oracle: DiskFull (critical): DiskFull is bad"
    assert body.splitlines() == [
        "firing: oracle: DiskFull (critical): DiskFull is bad",
        "qdrant writes a snapshot",
    ]
    assert said(Message("k", items=(alert(1, "DiskFull"),)))[1].splitlines()[1] == "the disk fills"
    title, body, _ = said(Message("k", items=(alert(1, "DiskFull", "resolved"),)))
    assert title == "[box] RESOLVED oracle: DiskFull: DiskFull is bad"
    assert len(body.splitlines()) == 1


def test_a_group_is_counted_and_long_ones_end() -> None:
    items = (alert(1, "A"), alert(2, "B"), alert(3, "C", "resolved"))
    title, body, _ = said(Message("k", items=items))
    assert title == "[box] FIRING 2 alerts firing: A, B"
    assert "resolved: oracle: C" in body
    many = tuple(alert(number, "A", name=str(number)) for number in range(100))
    title, body, _ = said(Message("k", items=many, truncated=50))
    assert title == "[box] FIRING 150 alerts firing: A"
    assert body.splitlines()[-1] == "… and 130 more"


def test_an_escalated_one_says_since_when_and_what_to_do() -> None:
    title, body, _ = said(Message("k", items=(alert(1, "A", "firing", 500.0),)))
    assert title.startswith("[box] ESCALATED ")
    assert "It fires since 1970-01-01T00:08:20.000Z, and nobody has taken it on: `resurgam ack` does." in body


def test_an_action_says_what_was_done_and_for_what() -> None:
    title, body, _ = said(action())
    assert title == "[box] oracle: plan 7 phoenix verified: It serves again."
    assert body.splitlines() == [
        "oracle: plan 7 phoenix verified: It serves again.",
        "Tight fires for oracle",
    ]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ .Status | toUpper }} {{ .CommonLabels.alertname }}", "FIRING A"),
        ("{{ len .Alerts.Firing }}/{{ len .Alerts }}", "1/2"),
        ("{{ range .Alerts }}{{ .Labels.alertname }}={{ .Annotations.summary }};{{ end }}", "A=A is bad;A=A is bad;"),
        ("{{ range .GroupLabels.SortedPairs }}{{ .Name }}:{{ .Value }} {{ end }}", "alertname:A severity:critical "),
        ('{{ (index .Alerts 0).StartsAt.Format "15:04" }}', "05:06"),
        ("{{ .ExternalURL }} {{ .Receiver }} {{ .Host }}", "http://box resurgam box"),
        ("{{ range .Alerts.Resolved }}{{ .Fingerprint }}{{ end }}", "fp-A"),
        ("{{ if .Action }}x{{ else }}{{ .CommonAnnotations.description }}{{ end }}", "the disk\nfills"),
        ("{{ range $i, $a := .Alerts }}{{ $i }}{{ $a.Value }} {{ end }}", "03.5 13.5 "),
        (
            '{{ define "one" }}<{{ .Text }}>{{ end }}{{ range .Alerts.Firing }}{{ template "one" . }}{{ end }}',
            "<A firing (critical): A is bad>",
        ),
    ],
)
def test_templates_see_what_alertmanagers_see(template: str, expected: str) -> None:
    labels = {"severity": "critical", "alertname": "A"}
    message = Message("k", items=(alert(1, "A"), alert(2, "A", "resolved")), group_labels=labels)
    assert mistakes(TemplateSettings(body=template)) == {} or "index" in template
    assert said(message, body=template)[1:] == (expected, "")


def test_a_template_that_does_not_fit_a_message_does_not_keep_it_back() -> None:
    message = Message("k", items=(alert(1, "A"),))
    _, body, trouble = said(message, body="{{ (index .Alerts 3).Text }}")
    assert body.startswith("firing: oracle: A")
    assert trouble.startswith("its template does not fit a message: ")


def test_templates_for_alerts_leave_actions_alone_and_one_that_knows_them_does_not() -> None:
    assert said(action(), title="{{ .CommonLabels.alertname }}")[0].startswith("[box] oracle: plan 7")
    assert said(action(), title="{{ with .Action }}{{ .Kind }} {{ .Service }}{{ end }}")[0] == "verified oracle"


def test_a_title_is_one_bounded_line() -> None:
    title, _, _ = said(Message("k", items=(alert(1, "A"),)), title="a\n\n  b{{ range 1000 }}x{{ end }}")
    assert title.startswith("a bxxx")
    assert len(title) == 250


@pytest.mark.parametrize(
    ("template", "wrong"),
    [
        ("{{ .Status", "has no '}}'"),
        ("{{ nope }}", 'there is no function "nope"'),
        ("{{ .Alert.Labels }}", "can't evaluate field Alert"),
        ("{{ range .Alerts }}{{ .Name }}{{ end }}", "can't evaluate field Name in type template.Alert"),
        ("{{ $labels.x }}", "undefined variable"),
    ],
)
def test_what_is_wrong_with_a_template_is_found_at_load(template: str, wrong: str) -> None:
    (said_of_it,) = mistakes(TemplateSettings(title="fine", body=template)).values()
    assert wrong in said_of_it
    assert "of the template)" in said_of_it
