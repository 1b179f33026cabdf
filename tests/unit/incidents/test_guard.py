"""The guard: every reason it can give, the order it gives them in, and what an override lifts."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import Intent, Needs, Wanted
from supervisor.incidents import may_run
from supervisor.incidents.binding import Action, bind
from supervisor.incidents.guard import judge
from supervisor.verdicts import Reason, no
from tests.support.incidents import BAD, GOOD, NOW, ORACLE, Box, alert, container, oracle, service, well


def intent(verb: str = "phoenix", target: str = ORACLE, by: str = "rule:X", **more: Any) -> Intent:
    params = {"replicas": more.pop("replicas")} if "replicas" in more else more.pop("params", {})
    return Intent(verb, target, params, "a test", by, **more)


def said(box: Box, asked: Intent) -> Reason:
    return may_run(asked, box.world()).reason


def test_the_good_case() -> None:
    for verb in ("phoenix", "restart", "stop"):
        for by in ("rule:X", "playbook:y", "uid:0"):
            assert may_run(intent(verb, by=by), oracle().world()).ok


def test_what_makes_no_sense_is_refused_first() -> None:
    box = oracle(mode="observe")
    assert said(box, intent("dance")) is Reason.UNKNOWN_VERB
    assert said(box, intent("restart", params={"image": "x"})) is Reason.BAD_PARAMETER
    assert said(box, intent("scale", replicas="4")) is Reason.BAD_PARAMETER
    assert said(box, intent("scale")) is Reason.BAD_PARAMETER
    assert said(box, intent("restart", "demo.nobody")) is Reason.NO_TARGET
    assert said(box, intent("restart", "host")) is Reason.NO_TARGET


def test_parameters_with_their_defaults_filled_in_pass() -> None:
    for verb in ("restart", "phoenix"):
        found = bind(verb)
        assert isinstance(found, Action)
        assert may_run(intent(verb, params=dict(found.params)), oracle().world()).ok


@pytest.mark.parametrize("reason", [Reason.NOT_OWNED, Reason.DUPLICATE_IDENTITY])
def test_what_is_not_ours_is_never_touched_whoever_asks(reason: Reason) -> None:
    box = oracle()
    box.put(service(owned=no(reason, "Add the label resurgam.enable=true.")))
    for by in ("rule:X", "uid:0"):
        found = may_run(intent("stop", by=by, override="now!"), box.world())
        assert (found.ok, found.reason) == (False, reason)
        assert found.text == "stop is not done to demo.oracle: Add the label resurgam.enable=true."


def test_observe_says_what_would_be_done() -> None:
    found = may_run(intent(), oracle(mode="observe").world())
    assert found.reason is Reason.OBSERVE_MODE
    assert found.text.startswith("phoenix demo.oracle would be done now.")


def test_a_pause_of_everything_or_of_one_service() -> None:
    box = oracle(pauses={"*": ("backup", NOW + 1800)})
    found = judge(intent(), box.world())
    assert (found.verdict.reason, found.again) == (Reason.PAUSED, NOW + 1800)
    assert "(in 30m)" in found.verdict.text
    box.pauses = {ORACLE: ("mine", 0.0)}
    found = judge(intent(), box.world())
    assert (found.verdict.reason, found.again) == (Reason.PAUSED, None)
    assert "`resurgam resume demo.oracle`" in found.verdict.text
    box.pauses = {"demo.web": ("mine", 0.0)}
    assert may_run(intent(), box.world()).ok


def test_telling_people_is_never_refused() -> None:
    box = oracle(mode="observe", pauses={"*": ("x", 0.0)}, ready=False)
    box.put(service(owned=no(Reason.NOT_OWNED, "no")))
    assert may_run(intent("notify"), box.world()).ok
    assert may_run(intent("notify", "host"), box.world()).ok


def test_the_engine_and_the_end() -> None:
    assert said(oracle(ready=False), intent()) is Reason.NOT_READY
    assert said(oracle(absent=("docker",)), intent()) is Reason.ENGINE_ABSENT
    assert may_run(intent(), oracle(absent=("other",)).world()).ok
    assert said(oracle(stopping=True), intent()) is Reason.STOPPING
    box = oracle()
    box.put(service(container=None))
    assert said(box, intent()) is Reason.VANISHED
    box.ready = False
    assert said(box, intent()) is Reason.NOT_READY  # it may only not be listed yet


def test_what_was_stopped_on_purpose_is_left_alone_by_rules_but_not_by_people() -> None:
    box = oracle()
    off = service(container=container(status="exited"), wanted=Wanted("stopped", "uid:0", NOW - 60, "maintenance"))
    box.put(off)
    for verb in ("start", "restart", "phoenix"):
        assert said(box, intent(verb)) is Reason.WANTED_STOPPED
        assert may_run(intent(verb, by="uid:0"), box.world()).ok
    for by in ("rule:X", "uid:0"):
        assert said(box, intent("stop", by=by)) is Reason.ALREADY_DONE
        assert said(box, intent("scale", by=by, replicas="0")) is Reason.ALREADY_DONE
    box.put(replace(off, container=container(status="restarting")))
    assert may_run(intent("stop"), box.world()).ok  # wanted stopped, and yet it loops


def test_started_already() -> None:
    box = oracle()
    box.put(replace(well(service()), wanted=Wanted("running")))
    assert said(box, intent("start")) is Reason.ALREADY_DONE
    assert said(box, intent("scale", replicas="1")) is Reason.ALREADY_DONE
    assert may_run(intent("restart"), box.world()).ok


def test_only_an_image_that_may_be_good() -> None:
    box = oracle()
    box.put(service(proved_image="", drift=""))
    found = may_run(intent(), box.world())
    assert found.reason is Reason.NO_KNOWN_GOOD
    assert "`resurgam phoenix demo.oracle --image REF`" in found.text
    assert may_run(intent("restart"), box.world()).ok
    box.put(service(quarantined=(BAD,)))
    assert may_run(intent(), box.world()).ok
    for image in ("current", BAD, "local/oracle:1"):
        asked = intent(params={"image": image}, by="uid:0", override="I know better")
        assert said(box, asked) is Reason.QUARANTINED
    box.put(service(quarantined=(GOOD,)))
    assert said(box, intent()) is Reason.QUARANTINED


def test_going_back_with_state_needs_a_persons_word() -> None:
    box = oracle()
    box.put(service(needs=Needs(stateful=True)))
    assert said(box, intent()) is Reason.NEEDS_APPROVAL
    assert may_run(intent(by="uid:0"), box.world()).ok
    assert may_run(intent("restart"), box.world()).ok
    assert may_run(intent(params={"image": "current"}), box.world()).ok  # not going back
    assert may_run(intent(approved="uid:0"), box.world()).ok
    back = intent("rollback")
    box.put(service(needs=Needs(stateful=True), previous_image=GOOD))
    assert said(box, back) is Reason.NEEDS_APPROVAL
    assert may_run(replace(back, approved="bus:phone"), box.world()).ok
    box.pauses["*"] = ("a backup", 0.0)
    assert said(box, intent()) is Reason.PAUSED, "nobody is asked for what would be refused all the same"
    assert said(box, intent(approved="uid:0")) is Reason.PAUSED, "a yes lifts nothing else"


def test_services_that_share_a_word_never_run_together() -> None:
    box = oracle()
    box.put(service(needs=Needs(exclusive=("gpu:0",))))
    box.put(replace(well(service("demo.mxfp4", container=container("c2", "mxfp4"))), needs=Needs(exclusive=("gpu:0",))))
    found = may_run(intent("start", by="uid:0", override="yes"), box.world())
    assert found.reason is Reason.LOCKED
    assert "demo.mxfp4 runs and has gpu:0" in found.text
    assert may_run(intent("stop"), box.world()).ok
    assert may_run(intent("restart", "demo.mxfp4"), box.world()).ok  # it runs already: nothing gets worse


def test_a_veto_is_lifted_by_an_override_only() -> None:
    veto = alert("DriverMismatch", labels={"name": ""}, annotations={"veto": "phoenix start"})
    box = oracle(alerts=(alert(), veto))
    assert said(box, intent()) is Reason.VETO
    assert said(box, intent(by="uid:0")) is Reason.VETO
    assert may_run(intent(by="uid:0", override="I looked"), box.world()).ok
    assert may_run(intent("restart"), box.world()).ok


def test_lasting_reasons_come_before_passing_ones() -> None:
    box = oracle(mode="observe", pauses={"*": ("x", 0.0)})
    box.put(service(proved_image=""))
    assert said(box, intent()) is Reason.NO_KNOWN_GOOD
    assert said(box, intent("restart")) is Reason.OBSERVE_MODE
    box.absent = ("docker",)
    assert said(box, intent()) is Reason.NO_KNOWN_GOOD
    box.put(service(wanted=Wanted("stopped", "uid:0", NOW)))
    assert said(box, intent("restart")) is Reason.WANTED_STOPPED
