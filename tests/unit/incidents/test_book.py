"""The book itself: incidents, noise, approvals, modes, and that looking twice is looking once."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.facts import Alert, Wanted
from supervisor.incidents import Book
from supervisor.verdicts import Reason
from tests.support.incidents import (
    DEGRADED,
    NOW,
    ORACLE,
    ROLLED_BACK,
    VERIFIED,
    Box,
    alert,
    books,
    container,
    oracle,
    plan,
    service,
    well,
)


def one_step(more: str = "", do: str = "restart") -> Box:
    text = f"playbooks:\n- name: p\n  match: ['alertname=\"ContainerRestartLoop\"']\n  steps: [{{do: {do}}}]\n"
    return oracle(playbooks=books(text + "".join(f"  {line}\n" for line in more.splitlines())))


# ------------------------------------------------------------ incidents


def test_an_alert_without_any_action_is_an_incident_all_the_same() -> None:
    swap = alert("SwapInUse", labels={"name": "", "severity": "warning"}, origin="owner")
    box = oracle(alerts=(swap,))
    assert box.turn() == ()
    (found,) = box.book.incidents()
    assert (found.id, found.subject, found.title, found.state) == ("inc-1", "host", "host: SwapInUse", "open")
    assert found.alerts == ("fp-SwapInUse",)
    box.turn(*box.resolve("SwapInUse"))
    assert [row[0] for row in box.last.rows] == ["incident.closed"]


def test_pending_opens_nothing() -> None:
    box = oracle(alerts=(alert(state="pending", fired_at=0.0),))
    assert box.turn() == ()
    assert box.last.rows == ()
    assert box.book.incidents() == ()


def test_it_stays_open_until_the_service_is_seen_well() -> None:
    box = oracle(playbooks=())
    box.turn()
    box.turn(*box.resolve("ContainerRestartLoop"))
    assert len(box.book.incidents()) == 1
    box.put(well(service()))
    box.turn()
    assert box.book.incidents() == ()


def test_it_does_not_stay_open_for_ever() -> None:
    box = oracle(playbooks=())
    box.turn()
    box.turn(*box.resolve("ContainerRestartLoop"))
    assert box.last.again == NOW + 3600
    box.now = NOW + 3600
    box.turn()
    assert "no alert for an hour" in box.last.rows[0][2]["text"]


@pytest.mark.parametrize(("gone", "why"), [(True, "is gone"), (False, "is stopped, as wanted")])
def test_what_is_gone_or_stopped_is_no_trouble_any_more(gone: bool, why: str) -> None:
    box = oracle(playbooks=())
    box.turn()
    if gone:
        box.services.clear()
    else:
        box.put(service(wanted=Wanted("stopped", "uid:0", NOW)))
    box.turn(*box.resolve("ContainerRestartLoop"))
    assert why in box.last.rows[0][2]["text"]


def test_an_incident_number_is_never_used_again() -> None:
    box = oracle(playbooks=())
    for number in range(1, 4):
        box.alerts = (alert(fired_at=box.now),)
        box.put(service())
        box.turn()
        assert box.book.incidents()[0].id == f"inc-{number}"
        box.put(well(service()))
        box.turn(*box.resolve("ContainerRestartLoop"))
        box.now += 10
        box.restart()


def test_a_restart_remembers_incidents() -> None:
    box = oracle()
    box.turn()
    before = box.book.incidents()
    box.restart()
    assert box.book.incidents() == before


def test_entries_of_the_journal_that_make_no_sense_are_dropped() -> None:
    kept = {"incident": {"inc-9": {"nonsense": 1}}, "run": {"a|b|c|d": {"key": 1}, "said|x": {}, "end|y": {"at": "z"}}}
    box = oracle(spaces=kept)
    assert box.book.incidents() == ()
    assert box.turn()[0].verdict.ok
    assert "inc-9" not in box.spaces["incident"]
    assert "a|b|c|d" not in box.spaces["run"]


def test_before_the_first_list_only_the_host_is_judged() -> None:
    swap = alert("SwapInUse", labels={"name": ""}, annotations={"action": "notify"})
    box = Box(alerts=(alert(), swap), playbooks=books(), ready=False)
    box.turn()
    assert [one.subject for one in box.book.incidents()] == ["host"]
    assert box.said() == [("rule:SwapInUse", "allowed")]
    box.ready = True
    box.put(service())
    box.turn()
    assert box.said() == [("playbook:restart-loop", "allowed")]


# ------------------------------------------------------------ what is said


def test_a_refusal_is_said_once_and_again_when_its_reason_changes() -> None:
    box = oracle(mode="observe")
    assert len(box.turn()) == 1
    for _ in range(3):
        box.now += 10
        assert box.turn() == ()
    box.pauses = {"*": ("x", 0.0)}
    box.mode = "heal"
    box.turn()
    assert box.said() == [("playbook:restart-loop", "paused")]
    box.restart()
    assert box.turn() == ()
    box.pauses = {}
    box.turn()
    assert box.said() == [("playbook:restart-loop", "allowed")]


def test_a_refusal_is_said_again_for_a_new_firing() -> None:
    box = oracle(mode="observe")
    box.turn()
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += 60
    box.alerts = (alert(fired_at=box.now),)
    assert len(box.turn()) == 1


def test_held_alerts_start_nothing() -> None:
    box = oracle(alerts=(alert(held=True),))
    box.turn()
    assert box.said() == [("playbook:restart-loop", "held")]
    box.alerts = (alert(),)
    box.turn()
    assert box.said() == [("playbook:restart-loop", "allowed")]


def test_a_start_does_not_tell_everything_anew() -> None:
    box = oracle(mode="observe")
    box.turn()
    box.restart()
    box.ready = False
    box.alerts = (alert(held=True),)
    assert box.turn() == ()
    box.ready = True
    assert box.turn() == ()
    box.alerts = (alert(),)
    assert box.turn() == ()
    box.mode = "heal"
    assert [one.verdict.ok for one in box.turn()] == [True]


def test_unless() -> None:
    box = one_step("unless: 'resurgam_service_maintenance == 1'")
    box.true = {"resurgam_service_maintenance == 1"}
    box.turn()
    assert box.said() == [("playbook:p", "unless")]
    assert box.last.again == box.now + 5
    box.true = set()
    box.turn()
    assert box.said() == [("playbook:p", "allowed")]


def test_an_unless_that_errs_holds_back_and_says_why() -> None:
    box = one_step("unless: 'resurgam_service_maintenance == 1'")
    box.erring = {"resurgam_service_maintenance == 1"}
    (answer,) = box.turn()
    assert box.said() == [("playbook:p", "unless")]
    assert "errs, so nobody knows whether it holds" in answer.verdict.text
    assert box.last.again == box.now + 5
    box.erring = set()
    box.turn()
    assert box.said() == [("playbook:p", "allowed")]


def test_what_holds_back_does_not_outrank() -> None:
    text = """
playbooks:
- {name: first, match: [alertname=ContainerRestartLoop], steps: [{do: stop}], dry_run: true}
- {name: second, match: [alertname=ContainerRestartLoop], steps: [{do: stop}], unless: up}
- {name: third, match: [alertname=ContainerRestartLoop], steps: [{do: restart}]}
- {name: fourth, match: [alertname=ContainerRestartLoop], steps: [{do: restart}]}
- {name: fifth, match: [alertname=ContainerRestartLoop], steps: [{do: notify message=hello}]}
"""
    box = oracle(playbooks=books(text), true={"up"})
    box.turn()
    assert box.said() == [
        ("playbook:first", "dry_run"),
        ("playbook:second", "unless"),
        ("playbook:third", "allowed"),
        ("playbook:fourth", "outranked"),
        ("playbook:fifth", "allowed"),
    ]


def test_approval() -> None:
    box = one_step("approval: disruptive")
    (decision,) = box.turn()
    assert decision.verdict.reason is Reason.NEEDS_APPROVAL
    assert "needs a person's word before it may restart demo.oracle" in decision.verdict.text
    assert one_step("approval: disruptive", "notify").turn()[0].verdict.ok
    assert not one_step("approval: always", "notify").turn()[0].verdict.ok


def test_a_reload_that_takes_steps_away() -> None:
    two = "playbooks:\n- name: p\n  match: [alertname=ContainerRestartLoop]\n  cooldown: 0s\n  steps: "
    box = oracle(playbooks=books(two + "[{do: restart}, {do: phoenix}]"))
    box.turn()
    box.run(ROLLED_BACK)
    box.turn()
    box.run(VERIFIED)
    box.put(well(service()))
    box.turn(*box.resolve("ContainerRestartLoop"))
    box.now += 100
    box.alerts = (alert(active_at=box.now, fired_at=box.now),)
    box.book.reload(books(two + "[{do: restart}]"))
    box.turn()
    assert [(one.intent.verb, one.verdict.ok) for one in box.last.decisions] == [("restart", True)]


def test_a_playbook_that_is_gone_asks_for_nothing_more() -> None:
    box = oracle()
    box.turn()
    box.run(ROLLED_BACK)
    box.book.reload(())
    assert box.turn() == ()
    assert len(box.book.incidents()) == 1


def test_notify_is_done_at_once_and_once() -> None:
    box = one_step(do="notify message=hello")
    (decision,) = box.turn()
    assert (decision.verdict.ok, decision.intent.params) == (True, {"message": "hello"})
    for _ in range(3):
        box.now += 1000
        assert box.turn() == ()
    assert box.plans == ()


def test_a_playbook_for_the_end_of_an_alert() -> None:
    box = one_step("on: resolved", "start")
    assert box.turn() == ()
    box.put(service(container=container(status="exited")))
    changes = box.resolve("ContainerRestartLoop")
    (decision,) = box.turn(*changes)
    assert (decision.verdict.ok, decision.intent.verb) == (True, "start")
    assert decision.intent.key.endswith("|0|resolved")
    assert box.turn(*changes) == ()
    box.now += 1
    assert box.turn() == ()
    assert box.last.end == ()  # its alert is over, and that is what it is for
    box.run(VERIFIED)
    assert box.turn() == ()


# ------------------------------------------------------------ our own noise


def test_what_we_stir_up_ourselves_starts_nothing() -> None:
    text = """
playbooks:
- {name: loop, match: [alertname=ContainerRestartLoop], steps: [{do: phoenix}]}
- {name: sick, match: [alertname=ContainerUnhealthy], steps: [{do: restart}]}
"""
    box = oracle(playbooks=books(text))
    box.turn()
    box.begin(1)
    box.now += 5
    sick = alert("ContainerUnhealthy", active_at=box.now, fired_at=box.now, labels={"severity": "critical"})
    box.alerts = (replace(sick, origin="owner", annotations={"action": "stop"}), alert())
    box.turn()
    assert box.said() == [("rule:ContainerUnhealthy", "own_action"), ("playbook:sick", "owner_first")]
    assert box.book.incidents()[0].alerts == ("fp-ContainerRestartLoop", "fp-ContainerUnhealthy")
    box.end(1, VERIFIED)
    box.put(well(service()))
    ended = box.now
    assert box.turn() == ()
    assert box.last.again == ended + 30
    box.now = ended + 30  # it still fires after the dust has settled: now it counts
    box.turn()
    assert ("rule:ContainerUnhealthy", "allowed") in box.said()


def test_a_plan_that_touched_nothing_makes_no_noise() -> None:
    box = oracle(alerts=(), plans=(plan(1),))
    box.end(1, ROLLED_BACK)
    box.alerts = (alert(active_at=NOW, fired_at=NOW),)
    box.turn()
    assert box.said() == [("playbook:restart-loop", "allowed")]


def test_an_alert_from_before_the_plan_is_not_its_noise() -> None:
    box = oracle(alerts=(), plans=(plan(1),), now=NOW + 60)
    box.plans = (replace(box.plans[0], created_at=NOW + 50),)
    box.begin(1)
    box.alerts = (alert(active_at=NOW, fired_at=NOW + 59),)
    box.turn()
    assert box.said() == [("playbook:restart-loop", "locked")]


# ------------------------------------------------------------ other plans on the service


@pytest.mark.parametrize(
    ("mode", "begun", "reason", "ended"),
    [
        ("single", (), "locked", []),
        ("single", ("stop",), "locked", []),
        ("queue", ("stop",), "allowed", []),
        ("replace", ("look",), "allowed", [1]),
        ("replace", ("stop",), "locked", []),
    ],
)
def test_modes(mode: str, begun: tuple[str, ...], reason: str, ended: list[int]) -> None:
    box = one_step(f"mode: {mode}")
    box.now += 100
    box.plans = (plan(1, created_at=NOW, begun=begun),)
    box.turn()
    assert box.said() == [("playbook:p", reason)]
    assert [ident for ident, _why in box.last.end] == ended


def test_only_one_waits_in_a_queue() -> None:
    box = one_step("mode: queue")
    box.now += 100
    box.plans = (plan(1, created_at=NOW, begun=("stop",)), plan(2, "restart", created_at=NOW))
    box.turn()
    assert box.said() == [("playbook:p", "locked")]


def test_an_emergency_does_not_wait_for_one_that_has_touched_nothing() -> None:
    box = one_step(do="stop")
    box.now += 100
    box.plans = (plan(1, created_at=NOW, begun=("look",)),)
    box.turn()
    assert box.said() == [("playbook:p", "allowed")]
    assert [(ident, why.reason) for ident, why in box.last.end] == [(1, Reason.OUTRANKED)]


def test_protecting_an_image_is_in_nobodys_way() -> None:
    box = oracle(plans=(plan(7, "protect", by="resurgam"),))
    box.turn()
    assert box.said() == [("playbook:restart-loop", "allowed")]
    assert box.last.end == ()
    box.end(7, DEGRADED)
    assert box.book.incidents()[0].state != "degraded"


def test_a_persons_failure_marks_the_incident_too() -> None:
    box = oracle(playbooks=())
    box.turn()
    box.plans = (plan(1, created_at=NOW),)
    box.turn()
    assert box.book.incidents()[0].state == "acting"
    box.run(DEGRADED)
    box.turn()
    assert box.book.incidents()[0].state == "degraded"


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        ({"pauses": {ORACLE: ("x", 0.0)}}, Reason.PAUSED),
        ({"mode": "observe"}, Reason.OBSERVE_MODE),
        ({"stopping": True}, Reason.STOPPING),
        ({"alerts": ()}, Reason.RESOLVED),
    ],
)
def test_plans_that_have_lost_their_reason_are_ended_once(happens: dict[str, object], reason: Reason) -> None:
    box = oracle()
    box.turn()
    box.begin(1, "look")
    for name, value in happens.items():
        setattr(box, name, value)
    box.turn()
    assert [(ident, why.reason) for ident, why in box.last.end] == [(1, reason)]
    box.turn()
    assert box.last.end == ()


# ------------------------------------------------------------ templates in actions


def test_a_label_never_adds_an_argument() -> None:
    action = "restart {{ $labels.name }} within=5m"
    hostile = alert(labels={"name": "oracle within=1s"}, annotations={"action": "restart oracle within=1s within=5m"})
    box = oracle(alerts=(hostile,), playbooks=(), raw={"ContainerRestartLoop": action})
    (decision,) = box.turn()
    assert decision.verdict.reason is Reason.NO_TARGET
    good = alert(annotations={"action": "restart oracle within=5m"})
    box = oracle(alerts=(good,), playbooks=(), raw={"ContainerRestartLoop": action})
    (decision,) = box.turn()
    assert (decision.intent.target, decision.intent.params) == (ORACLE, {"within": "5m"})


def test_braces_that_came_from_a_label_are_not_filled_in() -> None:
    sly = alert(labels={"name": "{{ $labels.other }}", "other": "oracle"}, annotations={})
    sly = replace(sly, annotations={"action": "restart {{ $labels.other }}"})
    (decision,) = oracle(alerts=(sly,), playbooks=()).turn()
    assert decision.verdict.reason is Reason.NO_TARGET


def test_an_action_that_is_wrong_is_told() -> None:
    wrong = alert(annotations={"action": "scale replicas=many"}, origin="owner")
    box = oracle(alerts=(wrong,))
    box.turn()
    assert sorted(box.said()) == [
        ("playbook:restart-loop", "owner_first"),
        ("rule:ContainerRestartLoop", "bad_parameter"),
    ]
    hint = alert(annotations={"action": "call Bob"}, origin="owner")
    box = oracle(alerts=(hint,))
    box.turn()
    assert box.said() == [("playbook:restart-loop", "allowed")]  # a hint is no action


# ------------------------------------------------------------ properties

_ALERTS = st.lists(
    st.builds(
        lambda name, subject, severity, state, origin, action, order: alert(
            name,
            fingerprint=f"{name}|{subject}",
            labels={"name": subject, "severity": severity},
            state=state,
            fired_at=0.0 if state == "pending" else NOW,
            origin=origin,
            annotations={"action": action} if action else {},
            order=(order, 0, 0),
        ),
        st.sampled_from(["ContainerRestartLoop", "A", "B"]),
        st.sampled_from(["", "oracle", "web", "nobody"]),
        st.sampled_from(["critical", "warning", "info"]),
        st.sampled_from(["pending", "firing"]),
        st.sampled_from(["owner", "shipped", "outside"]),
        st.sampled_from(["", "restart", "stop demo.web", "call Bob", "scale replicas=9", "notify message=x"]),
        st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda one: one.fingerprint,
)


def _two(alerts: list[Alert]) -> Box:
    box = Box(alerts=tuple(alerts), playbooks=books())
    box.put(service())
    box.put(service("demo.web", container=container("c2", "web")))
    return box


@settings(max_examples=25, deadline=None)
@given(_ALERTS)
def test_looking_twice_is_looking_once(alerts: list[Alert]) -> None:
    box = _two(alerts)
    box.turn(admit=False)
    box.turn(admit=False)
    assert (box.last.rows, box.last.puts, box.last.decisions, box.last.end) == ((), (), (), ())


def test_what_one_alert_of_a_rule_tells_is_no_try_of_what_another_does() -> None:
    host = alert("B", fingerprint="B|", labels={"severity": "critical"}, annotations={"action": "stop demo.web"})
    web = alert("B", fingerprint="B|web", labels={"name": "web"}, annotations={"action": "notify message=x"})
    box = _two([host, web])
    box.turn(admit=False)
    assert [one.intent.verb for one in box.last.decisions if one.verdict.ok] == ["stop", "notify"]
    box.turn(admit=False)
    assert box.last.rows == ()


@settings(max_examples=25, deadline=None)
@given(_ALERTS, st.randoms())
def test_the_order_in_which_alerts_arrive_decides_nothing(alerts: list[Alert], chance: object) -> None:
    mixed = list(alerts)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = _two(alerts), _two(mixed)
    one.turn()
    other.turn()
    assert one.last == other.last


@settings(max_examples=25, deadline=None)
@given(_ALERTS)
def test_at_most_one_plan_for_a_service_and_none_without_a_reason_to_read(alerts: list[Alert]) -> None:
    box = _two(alerts)
    box.turn()
    started = [one.intent.target for one in box.last.decisions if one.verdict.ok and one.intent.verb != "notify"]
    assert len(started) == len(set(started))
    assert all(one.verdict.text for one in box.last.decisions)
    firing = {one.fingerprint for one in alerts if one.state == "firing"}
    assert {mark for one in box.book.incidents() for mark in one.alerts} == firing
    fresh = Book(box.playbooks, box.spaces)
    assert fresh.incidents() == box.book.incidents()
