"""approve, deny, silence and ack as a person types them, and how status and show tell of them."""

import json
from collections.abc import Iterator

import pytest

from supervisor.cli.main import main
from supervisor.facts import Approval, BusState, Incident, Intent, Silence, Snapshot
from supervisor.verdicts import Reason, no, yes
from tests.support.boxes import NOW, box, qdrant
from tests.support.house import Served, served

ASKED = Approval(
    "ap-3",
    Intent("restart", "qdrant", {"within": "2m"}, "Tight fires for qdrant.", "playbook:tight"),
    "ap-3: playbook:tight needs a person's word before it may restart qdrant.",
    NOW - 60,
    NOW + 86340,
)


def shown(**more: object) -> Snapshot:
    given: dict[str, object] = {"alerts": (), "services": (qdrant(),), "seq": 0, "approvals": (ASKED,)}
    return box(**(given | more))


@pytest.fixture
def daemon() -> Iterator[Served]:
    with served(shown()) as found:
        found.house.verdicts |= {
            "deny": no(Reason.NO_TARGET, "x"),
            "silence": yes("si-1: no messages."),
            "ack": yes("A."),
        }
        yield found


def call(daemon: Served, *words: str) -> int:
    return main([*words, "--socket", str(daemon.socket)])


def test_status_says_what_waits_what_is_muted_and_who_took_what_on(capsys: pytest.CaptureFixture[str]) -> None:
    silence = Silence("si-2", ('alertname="ContainerRestartLoop"',), "uid:0", "", NOW - 5, NOW + 60)
    incident = Incident("inc-1", "qdrant", NOW, acked="uid:0 at noon")
    with served(shown(silences=(silence,), incidents=(incident,), alerts=box().alerts)) as daemon:
        assert call(daemon, "status") == 1
        out = capsys.readouterr().out
        assert "\nap-3 waits for your word: playbook:tight needs a person's word before it may restart qdrant." in out
        assert 'si-2 mutes 1 alert now: alertname="ContainerRestartLoop", until 2025' in out
        assert "inc-1 (qdrant) was taken on by uid:0 at noon" in out
        assert call(daemon, "status", "-o", "json") == 1
        document = json.loads(capsys.readouterr().out)
        assert document["daemon"]["alerts"]["silenced"] == 1
        assert document["alerts"][0]["silenced"] == "si-2"
        assert document["daemon"]["approvals"][0]["id"] == "ap-3"


def test_status_says_which_alert_nobody_heard(capsys: pytest.CaptureFixture[str]) -> None:
    bus = BusState(NOW, 1.0, True, "mqtt://box", "", unheard_alerts=(box().alerts[0].fingerprint,))
    with served(shown(alerts=box().alerts, bus=bus)) as daemon:
        call(daemon, "status")
        out = capsys.readouterr().out
        assert " firing, unheard " in out
        assert f"\nbus: nobody listened when it told of {box().alerts[0].name}\n" in out


def bus_lines(capsys: pytest.CaptureFixture[str], bus: BusState, **more: object) -> list[str]:
    with served(shown(bus=bus, **more)) as daemon:
        call(daemon, "status")
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(("bus", "notify", "!"))]


def test_status_has_a_line_for_a_bus_that_is_away_or_late_and_none_where_all_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = BusState(NOW, 1.0, False, "mqtt://box", "nothing listens at mqtt://box", waiting=14, oldest_at=NOW - 180)
    said = "bus: not connected: nothing listens at mqtt://box; 14 messages to be sent, the oldest for 3m"
    assert bus_lines(capsys, away) == [said]
    late = BusState(NOW, 1.0, True, "mqtt://box", "connected", waiting=1, oldest_at=NOW - 60, dead=2, shed=1)
    assert bus_lines(capsys, late) == [
        "bus: 1 message to be sent, the oldest for 1m",
        "bus: 2 messages the broker never takes (resurgam bus doctor); 1 message given up, since too many waited",
    ]
    assert bus_lines(capsys, BusState(NOW, 1.0, True, "mqtt://box", "connected", waiting=3, oldest_at=NOW - 1)) == []
    assert bus_lines(capsys, BusState(NOW, 1.0, False, "none", "mqtt.url is none")) == [
        "bus: no broker: mqtt.url is none"
    ]


def test_status_says_what_a_notifier_gave_up_and_no_trouble_twice(capsys: pytest.CaptureFixture[str]) -> None:
    bus = BusState(NOW, 1.0, False, "mqtt://box", "another machine speaks as 'box'")
    counts = {"notify_the_phone_given_up": 2, "notify_1_given_up": 0}
    assert bus_lines(capsys, bus, problems=(bus.text,), counts=counts) == [
        "! another machine speaks as 'box'",
        "bus: not connected",
        "notify the_phone: 2 messages given up since the start",
    ]


def test_an_open_question_is_shown_by_its_id(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "show", "ap-3") == 0
    out = capsys.readouterr().out
    assert out.startswith("ap-3: restart qdrant, open\n")
    assert "lapses" in out
    assert call(daemon, "show", "ap-4") == 2


def test_a_yes_is_followed_and_a_refused_one_exits_with_3(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "approve", "ap-3", "--no-follow", "--reason", "go") == 0
    assert capsys.readouterr().out == "Plan 41 was started.\n"
    command = daemon.house.asked[0]
    assert (command.verb, command.target, dict(command.params)) == ("approve", "ap-3", {"reason": "go"})
    assert call(daemon, "deny", "ap-3") == 3
    assert "refused: x" in capsys.readouterr().err


def test_matchers_are_handed_over_one_on_a_line(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "silence", 'name="a,b"', "severity=info", "--for", "2h") == 0
    assert capsys.readouterr().out == "si-1: no messages.\n"
    command = daemon.house.asked[0]
    assert (command.target, dict(command.params)) == ('name="a,b"\nseverity=info', {"for": "2h"})
    assert call(daemon, "silence", "--end", "si-1") == 0
    assert dict(daemon.house.asked[1].params) == {"end": "si-1"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (['name="a"'], "say for how long: --for 2h"),
        (["--for", "2h"], "say what to silence"),
        (["--end", "si-1", "--for", "2h"], "--end takes the id of a silence and nothing else"),
    ],
)
def test_half_a_silence_is_none(
    daemon: Served, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert call(daemon, "silence", *words) == 2
    assert says in capsys.readouterr().err
    assert daemon.house.asked == []


def test_silences_are_listed(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "silence") == 0
    assert capsys.readouterr().out == "nothing is silenced\n"
    with served(shown(silences=(Silence("si-2", ("x=y",), "uid:0", "known", NOW, NOW + 60),))) as other:
        assert call(other, "silence") == 0
    out = capsys.readouterr().out
    assert "si-2" in out
    assert "known" in out


def test_ack(daemon: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(daemon, "ack", "qdrant", "--reason", "mine") == 0
    assert capsys.readouterr().out == "A.\n"
    assert dict(daemon.house.asked[0].params) == {"reason": "mine"}
