"""The stories the incident book is built for, turn by turn: the moved tag, and the owner's reset loop."""

from dataclasses import replace

from supervisor.facts import Needs, Wanted
from supervisor.verdicts import Reason, no
from tests.support.incidents import (
    DEGRADED,
    ORACLE,
    OWNER,
    ROLLED_BACK,
    VERIFIED,
    Box,
    alert,
    books,
    container,
    oracle,
    owners,
    service,
    well,
)

KUBE = Needs(kube={"container": "ktransformers", "deployment": "inference-engine"})


def _mapped(**more: object) -> Box:
    box = oracle(**more)
    box.put(service(needs=KUBE))
    return box


def test_a_moved_tag_is_named_healed_and_closed() -> None:
    box = oracle()
    (decision,) = box.turn()
    intent = decision.intent
    assert decision.verdict.ok
    assert (intent.verb, intent.target, intent.by) == ("phoenix", ORACLE, "playbook:restart-loop")
    assert intent.params == {"image": "last-known-good", "profile": "", "within": "600s"}
    assert intent.key == "fp-ContainerRestartLoop|1760000000.000|0"
    assert intent.incident == "inc-1"
    want = "running image bbbbbbbbbbbb (local/oracle:1) is not the one that last proved healthy (aaaaaaaaaaaa)"
    assert want in intent.cause
    assert "exit 139 (SIGSEGV)" in intent.cause
    ((kind, subject, body, public),) = box.last.rows
    assert (kind, subject, public) == ("incident.opened", ORACLE, False)
    assert body["incident"]["cause"].startswith(want)

    box.run(VERIFIED)
    box.put(well(box.services[ORACLE]))
    box.turn()
    (found,) = box.book.incidents()
    assert (found.state, found.cause.startswith(want)) == ("verifying", True)  # the cause outlives the cure
    box.now += 600
    assert box.turn(*box.resolve("ContainerRestartLoop")) == ()
    assert [row[0] for row in box.last.rows] == ["incident.closed"]
    assert "is healthy again" in box.last.rows[0][2]["text"]
    assert box.book.incidents() == ()
    assert box.spaces["incident"] == {}


def test_the_owners_rule_stops_the_service_and_it_stays_down() -> None:
    box = _mapped(alerts=(alert(), owners()))
    box.turn()
    allowed = [one.intent for one in box.last.decisions if one.verdict.ok]
    assert [(one.verb, one.target, one.params, one.by) for one in allowed] == [
        ("scale", ORACLE, {"replicas": "0"}, "rule:BlackwellResetLoopRisk")
    ]
    assert ("playbook:restart-loop", "owner_first") in box.said()
    box.run(VERIFIED)
    off = replace(box.services[ORACLE], container=container(status="exited"))
    assert off.wanted.state == "stopped"
    box.put(off)
    for _ in range(20):  # both alerts go on firing until their windows are over: nothing is started
        box.now += 30
        assert not [one for one in box.turn() if one.verdict.ok]
    box.turn(*box.resolve("ContainerRestartLoop", "BlackwellResetLoopRisk"))
    assert box.book.incidents() == ()
    # it fires once more, though the service is down: no incident, and nothing is loaded again
    box.now += 60
    box.alerts = (alert(fired_at=box.now), owners(fired_at=box.now))
    box.turn()
    assert box.book.incidents() == ()
    assert not [one for one in box.last.decisions if one.verdict.ok]
    # after a reboot it is the same
    box.restart()
    assert not [one for one in box.turn() if one.verdict.ok]


def test_without_a_mapping_nothing_is_done_and_the_fix_is_named() -> None:
    box = oracle(alerts=(owners(),))
    (decision,) = box.turn()
    assert (decision.verdict.ok, decision.verdict.reason) == (False, Reason.NO_TARGET)
    assert "add `kube: {deployment: inference-engine}` to the service in resurgam.yaml" in decision.verdict.text
    assert decision.intent.verb in ("", "scale")
    assert box.plans == ()
    (found,) = box.book.incidents()
    assert found.subject == "host"  # people are told all the same
    assert box.turn() == ()


def test_the_shipped_ladder_waits_while_the_owners_rule_is_pending() -> None:
    box = _mapped(alerts=(alert(), owners(state="pending", fired_at=0.0)))
    (decision,) = box.turn()
    assert decision.verdict.reason is Reason.OWNER_FIRST
    assert "BlackwellResetLoopRisk is pending" in decision.verdict.text
    assert box.turn() == ()
    box.alerts = (alert(),)  # it never fired: now the shipped ladder may
    (decision,) = box.turn()
    assert (decision.verdict.ok, decision.intent.verb) == (True, "phoenix")


def test_the_owners_rule_counts_for_the_service_its_alert_is_about() -> None:
    """Only the container is mapped: the action has no target, and still nothing shipped loads the model again."""
    box = oracle(alerts=(alert(), owners()))
    box.put(service(needs=Needs(kube={"container": "ktransformers"})))
    box.turn()
    assert sorted(box.said()) == [
        ("playbook:restart-loop", "owner_first"),
        ("rule:BlackwellResetLoopRisk", "no_target"),
    ]
    assert len(box.book.incidents()) == 1


def test_a_shipped_plan_that_has_touched_nothing_makes_way_for_the_owner() -> None:
    box = _mapped()
    box.turn()
    (shipped,) = box.plans
    box.begin(shipped.id, "look")
    box.alerts = (alert(), owners(state="pending", fired_at=0.0))
    box.turn()
    assert [(ident, why.reason) for ident, why in box.last.end] == [(shipped.id, Reason.OWNER_FIRST)]
    box.turn()
    assert box.last.end == ()  # asked once
    box.end(shipped.id, no(Reason.ENDED_EARLY, "nothing was touched"))
    box.turn()
    assert box.plans == ()
    assert box.said() == [("playbook:restart-loop", "owner_first")]


def test_a_shipped_plan_inside_its_irreversible_part_is_left_to_finish() -> None:
    box = _mapped()
    box.turn()
    box.begin(box.plans[0].id, "stop")
    box.alerts = (alert(), owners())
    box.turn()
    assert box.last.end == ()
    # the owner's stop is an emergency: it is admitted and waits for the lock
    assert [(one.intent.verb, one.verdict.ok) for one in box.last.decisions] == [("scale", True)]


def test_a_person_stops_it_and_the_ladder_lets_go() -> None:
    box = oracle()
    box.turn()
    box.now += 1
    box.put(service(wanted=Wanted("stopped", "a person", box.now)))
    box.turn()
    assert [why.reason for _ident, why in box.last.end] == [Reason.WANTED_STOPPED]
    box.turn()
    assert box.said() == [("playbook:restart-loop", "wanted_stopped")]
    assert box.plans == ()


def test_a_rollback_leads_to_the_next_rung_and_a_stop_to_the_end() -> None:
    box = oracle()
    box.turn()
    box.run(ROLLED_BACK)
    (decision,) = box.turn()
    assert (decision.intent.verb, decision.intent.key.rsplit("|")[-1]) == ("stop", "1")
    box.run(VERIFIED)
    box.put(replace(box.services[ORACLE], container=container(status="exited")))
    box.now += 3600
    assert box.turn() == ()


def test_what_is_left_degraded_waits_for_a_person() -> None:
    box = oracle()
    box.turn()
    box.run(DEGRADED)
    (decision,) = box.turn()
    assert decision.verdict.reason is Reason.LADDER_SPENT
    assert "A person is needed" in decision.verdict.text
    assert box.book.incidents()[0].state == "degraded"
    assert box.turn() == ()
    box.restart()
    assert box.turn() == ()
    assert box.book.incidents()[0].state == "degraded"


def test_it_loops_on_though_the_plan_verified() -> None:
    """The same firing never ends, so no edge will ever come: after the cooldown the next rung is tried."""
    box = oracle()
    box.turn()
    box.run(VERIFIED)
    box.put(well(service()))
    box.now += 120
    box.turn()
    assert box.plans == ()
    box.put(replace(well(service()), last_death_at=box.now))
    (decision,) = box.turn()
    assert decision.verdict.reason is Reason.COOLDOWN
    assert box.last.again is not None
    box.now = box.last.again
    (decision,) = box.turn()
    assert (decision.verdict.ok, decision.intent.verb) == (True, "stop")


def test_watching_only_says_what_would_be_done() -> None:
    box = oracle(mode="observe")
    (decision,) = box.turn()
    assert decision.verdict.reason is Reason.OBSERVE_MODE
    assert (decision.intent.verb, decision.intent.target) == ("phoenix", ORACLE)
    assert len(box.book.incidents()) == 1
    box.mode = "heal"
    (decision,) = box.turn()
    assert decision.verdict.ok


def test_two_alerts_on_one_service_are_one_incident_and_one_plan() -> None:
    text = (
        "playbooks:\n- name: loop\n  match: ['alertname=\"ContainerRestartLoop\"']\n  steps: [{do: phoenix}]\n"
        "- name: sick\n  match: ['alertname=\"ContainerUnhealthy\"']\n  steps: [{do: restart}]\n"
    )
    sick = alert("ContainerUnhealthy", labels={"severity": "warning"})
    box = oracle(alerts=(sick, alert()), playbooks=books(text))
    box.turn()
    assert box.said() == [("playbook:loop", "allowed"), ("playbook:sick", "outranked")]
    (found,) = box.book.incidents()
    assert found.title == "demo.oracle: ContainerRestartLoop and ContainerUnhealthy"
    assert len(found.alerts) == 2
    # within one file order the owner's goes first, whatever the severity
    box = oracle(
        alerts=(replace(sick, origin="owner", annotations={"action": "restart"}), alert()), playbooks=books(text)
    )
    box.turn()
    assert box.said() == [
        ("rule:ContainerUnhealthy", "allowed"),
        ("playbook:loop", "owner_first"),
        ("playbook:sick", "owner_first"),
    ]


def test_the_annotation_goes_before_a_playbook() -> None:
    both = alert(origin="shipped", annotations={"action": "restart"})
    box = oracle(alerts=(both,))
    box.turn()
    assert box.said() == [("rule:ContainerRestartLoop", "allowed"), ("playbook:restart-loop", "outranked")]


def test_the_owners_word_is_not_obeyed_from_outside() -> None:
    outside = owners(origin="outside", annotations={"action": OWNER})
    assert _mapped(alerts=(outside,)).turn() == ()
    bare = alert("Outside", origin="outside", annotations={"action": "restart"})
    (decision,) = oracle(alerts=(bare,), playbooks=()).turn()
    assert decision.verdict.ok
    (spiced,) = (alert("Outside", origin="outside", annotations={"action": "restart demo.web"}),)
    assert oracle(alerts=(spiced,), playbooks=()).turn() == ()


def test_the_cause_is_what_it_was_before_anything_was_done() -> None:
    box = oracle()
    box.turn()
    before = box.book.incidents()[0].cause
    box.begin(1)
    box.put(service(last_exit=1, drift="", proved_image="", container=container("c2", status="exited")))
    box.turn()
    assert box.book.incidents()[0].cause == before
