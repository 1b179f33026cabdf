"""What is retained, and when it is worth sending again."""

import dataclasses
import json

from supervisor.bus.state import ALERTS_SHOWN, ALERTS_SIZE, HOST_EXPIRY, REFRESH, Board, documents
from supervisor.facts import Alert, Container, Service
from supervisor.verdicts import yes
from tests.support.budgets import GIB, ORACLE, leak, owners
from tests.support.bus import snapshot


def service(name: str, status: str = "running") -> Service:
    return Service(name, "docker", Container("c" * 64, name, "sha256:1", "img:1", status=status), yes())


def alert(number: int, value: float = 1.0) -> Alert:
    return Alert(f"f{number}", "X", "firing", {"severity": "warning"}, {}, value, 1.0, 1.0)


def topics(messages: list) -> list[str]:
    return [message.topic.removeprefix("resurgam/box/state/") for message in messages]


def test_every_part_has_a_retained_document_and_the_daemon_goes_first() -> None:
    found = documents(snapshot(services=(service("a"), service("b"))))
    assert [key.removeprefix("resurgam/box/state/") for key in found] == [
        "daemon",
        "alerts",
        "host",
        "container/a",
        "container/b",
    ]
    assert all(document.message.retain for document in found.values())


def test_the_alerts_are_bounded_and_say_how_many_more() -> None:
    found = documents(snapshot(alerts=tuple(alert(n) for n in range(ALERTS_SHOWN + 5))))
    body = json.loads(found["resurgam/box/state/alerts"].message.payload)
    assert (len(body["alerts"]), body["more"]) == (ALERTS_SHOWN, 5)


def test_long_alerts_of_others_do_not_make_it_too_large_for_a_broker() -> None:
    outside = {"annotations": {"a": "x" * 30_000}, "labels": {"severity": "critical"}, "origin": "outside"}
    long = [dataclasses.replace(alert(n), **outside, active_at=0.0) for n in range(20)]
    found = documents(snapshot(alerts=(alert(100), *long)))
    payload = found["resurgam/box/state/alerts"].message.payload
    body = json.loads(payload)
    assert len(payload) < ALERTS_SIZE + 1000
    assert (body["alerts"][0]["fingerprint"], len(body["alerts"]) + body["more"]) == ("f100", 21)


def test_only_what_changed_is_sent_and_everything_on_a_new_connection() -> None:
    board = Board()
    first = documents(snapshot(services=(service("a"), service("b"))))
    assert len(board.due(first, 0.0)) == 5
    assert board.due(documents(snapshot(rev=2, seq=9, services=(service("a"), service("b")))), 1.0) == []
    changed = documents(snapshot(services=(service("a"), service("b", "exited"))))
    assert topics(board.due(changed, 2.0)) == ["container/b"]
    board.forget()
    assert len(board.due(changed, 3.0)) == 5


def test_a_value_that_wanders_is_told_every_30_s_only() -> None:
    board = Board()
    board.due(documents(snapshot(alerts=(alert(1, 1.0),))), 0.0)
    other = documents(snapshot(alerts=(alert(1, 2.0),)))
    assert board.due(other, REFRESH - 1) == []
    assert topics(board.due(other, REFRESH)) == ["alerts"]


def test_what_an_alert_says_wanders_with_its_value_and_is_told_with_it() -> None:
    board = Board()
    said = [dataclasses.replace(alert(1), annotations={"summary": f"memory lasts {left}s more"}) for left in (90, 80)]
    board.due(documents(snapshot(alerts=(said[0],))), 0.0)
    other = documents(snapshot(alerts=(said[1],)))
    assert board.due(other, REFRESH - 1) == []
    assert topics(board.due(other, REFRESH)) == ["alerts"]


def test_what_the_memory_is_planned_for_is_told_at_once_and_what_moves_every_30_s() -> None:
    running = (service("stack.oracle"), service("qdrant"))
    calm = owners()
    board = Board()
    board.due(documents(snapshot(services=running, budget=calm)), 0.0)
    agent = calm.services[1]
    less = dataclasses.replace(agent, used=GIB)
    moved = dataclasses.replace(calm, effective=calm.effective - GIB, services=(ORACLE, less))
    assert board.due(documents(snapshot(services=running, budget=moved)), 1.0) == []
    beyond = documents(snapshot(services=running, budget=leak()))
    assert topics(board.due(beyond, 2.0)) == ["host", "container/qdrant"]
    frozen = dataclasses.replace(leak(), services=(ORACLE, dataclasses.replace(leak().services[1], frozen=True)))
    assert topics(board.due(documents(snapshot(services=running, budget=frozen)), 3.0)) == ["container/qdrant"]
    page = dataclasses.replace(ORACLE, used=ORACLE.used + 4096)
    same = documents(
        snapshot(services=running, budget=dataclasses.replace(frozen, services=(page, frozen.services[1])))
    )
    assert board.due(same, 3.0 + REFRESH) == [], "a page more or less changes no document"


def test_what_expires_is_refreshed_in_time() -> None:
    board = Board()
    same = documents(snapshot())
    board.due(same, 0.0)
    assert topics(board.due(same, HOST_EXPIRY / 2)) == ["host"]


def test_much_less_memory_is_told_at_once() -> None:
    board = Board()
    board.due(documents(snapshot(host_memory={"MemTotal": 100.0, "MemAvailable": 90.0})), 0.0)
    assert board.due(documents(snapshot(host_memory={"MemTotal": 100.0, "MemAvailable": 89.9})), 1.0) == []
    low = documents(snapshot(host_memory={"MemTotal": 100.0, "MemAvailable": 50.0}))
    assert topics(board.due(low, 1.0)) == ["host"]


def test_what_vanished_is_cleared_once_even_if_the_connection_was_lost_meanwhile() -> None:
    board = Board()
    board.due(documents(snapshot(services=(service("a"),))), 0.0)
    board.forget()
    due = board.due(documents(snapshot()), 1.0)
    assert (topics(due)[-1], due[-1].payload, due[-1].retain) == ("container/a", b"", True)
    board.missed(due[-1])
    assert topics(board.due(documents(snapshot()), 2.0)) == ["container/a"]
    assert board.due(documents(snapshot()), 3.0) == []


def test_the_last_document_says_stopped() -> None:
    found = next(iter(documents(dataclasses.replace(snapshot(), status="ok"), status="stopped").values()))
    assert json.loads(found.message.payload)["status"] == "stopped"
