"""Slots as targets: which one a rule means, which model, and why it may not be done now."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.facts import (
    Alert,
    Container,
    Intent,
    ModelState,
    Needs,
    Plan,
    Service,
    Slot,
    SlotModel,
    SlotState,
    Wanted,
)
from supervisor.facts.slots import ASLEEP, LOADED, UNLOADED
from supervisor.incidents import target
from supervisor.incidents.binding import Action, bind
from supervisor.incidents.guard import judge
from supervisor.incidents.permit import reason_to_end
from supervisor.incidents.world import SlotNow, World
from supervisor.verdicts import Reason, Verdict, no, yes
from tests.support.incidents import NOW, Box

A, B, C = SlotModel("a", "a"), SlotModel("b", "b"), SlotModel("c", "c", sleep=1)


def service(name: str, *, up: bool = False, **more: Any) -> Service:
    status = "running" if up else "exited"
    box = Container(f"{name}-id", name, f"sha256:{name}", name, status=status, started_at=1.0)
    return Service(name, "docker", box, more.pop("owned", yes()), healthy=up, **more)


def now(holder: str = "a", models: tuple[SlotModel, ...] = (A, B), **more: Any) -> SlotNow:
    states, other = {holder: LOADED} | more.pop("states", {}), more.pop("other", {})
    found = tuple(
        ModelState(one.name, states.get(one.name, UNLOADED), one.service, other.get(one.name, "")) for one in models
    )
    slot = Slot("oracle", models, residency=300.0, **more.pop("slot", {}))
    loaded = more.pop("loaded_at", {})
    return SlotNow(slot, SlotState("oracle", "", holder, models=found, **more), holder, loaded)


def box(seen: SlotNow | None = None, *services: Service, **more: Any) -> World:
    there = services or (service("a", up=True), service("b"), service("c"))
    given = {"services": {one.id: one for one in there}, "slots": {"slot:oracle": seen or now()}} | more
    return replace(Box().world(), **given)


def intent(verb: str = "swap", by: str = "uid:0", **params: str) -> Intent:
    return Intent(verb, "slot:oracle", params, "why", by)


def said(wanted: Intent, there: World | None = None) -> Verdict:
    return judge(wanted, there or box()).verdict


# ------------------------------------------------------------ what a rule means


def find(word: Any) -> tuple[str, ...]:
    if isinstance(word, dict):
        return ("slot:oracle",) if word.get(target.IN_SLOT) in ("a", "b") else ()
    return {"slot:oracle": ("slot:oracle",), "a": ("a",), "other": ("other",)}.get(word, ())


def alert(**labels: str) -> Alert:
    return Alert("f", "ModelSlower", "firing", labels, {}, 1.0, NOW)


def action(text: str) -> Action:
    found = bind(text, lambda word: word)
    assert isinstance(found, Action)
    return found


@pytest.mark.parametrize(
    ("text", "labels", "aim"),
    [
        ("swap oracle to=b", {}, "slot:oracle"),
        ("swap slot:oracle to=b", {}, "slot:oracle"),
        ("swap a to=b", {}, "slot:oracle"),
        ("swap to=b", {"slot": "oracle"}, "slot:oracle"),
        ("swap to=b", {"name": "a"}, "slot:oracle"),
        ("bench", {"slot": "oracle", "model": "a"}, "slot:oracle"),
        ("unload oracle", {}, "slot:oracle"),
        ("unload a", {}, "a"),
        ("unload", {"name": "a"}, "a"),
        ("unload", {"slot": "oracle"}, "slot:oracle"),
        ("swap other to=b", {}, ""),
        ("swap nowhere to=b", {}, ""),
        ("swap to=b", {}, ""),
    ],
)
def test_the_slot_that_an_action_means(text: str, labels: dict[str, str], aim: str) -> None:
    assert target.aimed(action(text), alert(**labels), find).id == aim


def test_an_alert_with_a_slot_is_about_it_and_a_ladder_finds_the_slot_of_a_service() -> None:
    assert target.about(alert(slot="oracle"), find).id == "slot:oracle"
    assert target.about(alert(slot="elsewhere"), find).id == "host"
    assert target.for_verb("swap", "a", find) == "slot:oracle"
    assert target.for_verb("swap", "other", find) == "other"
    assert target.for_verb("restart", "a", find) == "a"
    assert target.for_verb("unload", "a", find) == "a"


# ------------------------------------------------------------ which model


def test_a_swap_with_two_models_needs_no_name() -> None:
    assert said(intent()).ok
    three = now(models=(A, B, C))
    refused = said(intent(), box(three))
    assert (refused.reason, refused.text) == (
        Reason.BAD_PARAMETER,
        "Say which model of oracle is meant (`to`): b and c.",
    )


def test_a_bare_start_of_a_model_that_gave_way_is_told_the_swap() -> None:
    needs = Needs(exclusive=("gpu:0",))
    gone = service("b", needs=needs, wanted=Wanted("stopped", "slot:oracle", NOW, "", ""))
    there = box(None, service("a", up=True, needs=needs), gone)
    by_hand = judge(Intent("start", "b", {}, "why", "uid:0"), there).verdict
    assert (by_hand.reason, by_hand.text) == (
        Reason.LOCKED,
        "a runs and has gpu:0, which b needs for itself; `resurgam swap oracle --to b` changes them over.",
    )
    by_rule = judge(Intent("start", "b", {}, "why", "rule:r"), there).verdict
    assert by_rule.reason is Reason.WANTED_STOPPED
    assert by_rule.text.endswith("rules leave it alone until `resurgam swap oracle --to b`.")
    other = replace(there, slots={})
    assert judge(Intent("start", "b", {}, "why", "uid:0"), other).verdict.text.endswith("; stop a first.")


def test_a_service_that_was_called_by_another_of_its_names_is_named() -> None:
    gone = now(models=(A, replace(B, service="deepseek")), other={"b": "ai.deepseek"})
    refused = said(intent(to="b"), box(gone))
    assert refused.reason is Reason.VANISHED
    assert "write `service: ai.deepseek` for the model b, and ai.deepseek under services:" in refused.text


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (intent(to="a"), Reason.ALREADY_DONE),
        (intent(to="z"), Reason.BAD_PARAMETER),
        (intent("load", model="a"), Reason.ALREADY_DONE),
        (intent("load", model="b"), Reason.NO_ROOM),
        (intent("unload", model="b"), Reason.ALREADY_DONE),
        (intent("sleep"), Reason.UNSUPPORTED),
        (intent("wake"), Reason.NO_USE),
        (intent("bench", model="b"), Reason.NO_USE),
        (replace(intent(), target="slot:nowhere"), Reason.NO_TARGET),
        (replace(intent(), verb="restart"), Reason.NO_TARGET),
        (replace(intent(), target="a"), Reason.NO_TARGET),
    ],
)
def test_what_makes_no_sense_or_is_so_already(wanted: Intent, reason: Reason) -> None:
    assert said(wanted).reason is reason


def test_one_that_sleeps_is_not_woken_beside_another_one_where_there_is_room_for_one() -> None:
    both, states = (A, C), {"c": ASLEEP}
    refused = said(intent("wake", model="c"), box(now(models=both, states=states)))
    assert refused.reason is Reason.NO_ROOM
    assert refused.text.endswith("`resurgam swap oracle --to c`.")
    assert said(intent("wake", model="c"), box(now(models=both, states=states, slot={"together": 2}))).ok
    assert said(intent("wake", model="c"), box(now(holder="c", models=both, states=states | {"a": ASLEEP}))).ok


def test_measuring_and_keeping_are_allowed_where_nothing_else_is() -> None:
    quiet = box(mode="observe", pauses={"*": ("maintenance", 0.0)})
    assert said(intent("bench"), quiet).ok
    assert said(intent("keep"), quiet).ok
    refused = said(intent(to="b"), quiet)
    assert refused.reason is Reason.OBSERVE_MODE
    assert refused.text.startswith("swap slot:oracle would be done now.")


# ------------------------------------------------------------ why not


@pytest.mark.parametrize("paused", ["slot:oracle", "a", "b", "*"])
def test_a_pause_of_the_slot_or_of_a_service_of_it(paused: str) -> None:
    assert said(intent(to="b"), box(pauses={paused: ("maintenance", 0.0)})).reason is Reason.PAUSED


def test_both_services_must_be_ours() -> None:
    foreign = service("a", up=True, owned=no(Reason.NOT_OWNED, "it is not listed."))
    refused = said(intent(to="b"), box(None, foreign, service("b")))
    assert refused.reason is Reason.NOT_OWNED
    assert "works on a: it is not listed." in refused.text


def test_a_model_without_a_container_needs_a_compose_file() -> None:
    bare = replace(service("b"), container=None)
    assert said(intent(to="b"), box(None, service("a", up=True), bare)).reason is Reason.VANISHED
    made = now(models=(A, replace(B, compose="/srv/compose.yaml")))
    assert said(intent(to="b"), box(made, service("a", up=True), bare)).ok


def test_who_leaves_makes_place_and_nobody_else() -> None:
    gpu = Needs(exclusive=("gpu:0",))
    there = (service("a", up=True, needs=gpu), service("b", needs=gpu))
    assert said(intent(to="b"), box(None, *there)).ok
    refused = said(intent(to="b"), box(None, *there, service("trainer", up=True, needs=gpu)))
    assert refused.reason is Reason.LOCKED
    assert "trainer runs and has gpu:0, which b needs; stop trainer first." in refused.text


def test_a_veto_of_either_service_holds() -> None:
    fires = Alert("f", "DoNotTouch", "firing", {"name": "b"}, {"veto": "swap"}, 1.0, NOW)
    there = box(alerts=(fires,), find=lambda word: (word,) if word in ("a", "b") else ())
    assert said(intent(to="b"), there).reason is Reason.VETO
    assert said(replace(intent(to="b"), override="I know"), there).ok


def no_go() -> SlotNow:
    seen = now()
    states = tuple(replace(one, no_go="too slow") if one.name == "b" else one for one in seen.state.models)
    return replace(seen, state=replace(seen.state, models=states))


def test_only_a_person_may_try_a_no_go_again() -> None:
    assert said(intent(to="b"), box(no_go())).reason is Reason.NO_GO
    assert said(intent(to="b", again="true"), box(no_go())).ok
    assert said(intent(to="b", again="true", by="rule:Faster"), box(no_go())).reason is Reason.NO_GO
    assert judge(intent(to="b", by="rule:Faster"), box(no_go())).lasting, "a ladder goes on with its next rung"


def test_rules_leave_alone_what_a_person_stopped_or_keeps_or_loaded_just_now() -> None:
    stopped = service("b", wanted=Wanted("stopped", "uid:0", NOW - 9))
    there = box(None, service("a", up=True), stopped)
    assert said(intent(to="b", by="rule:R"), there).reason is Reason.WANTED_STOPPED
    assert said(intent(to="b"), there).ok
    ours = service("b", wanted=Wanted("stopped", "slot:oracle", NOW - 9))
    assert said(intent(to="b", by="rule:R"), box(None, service("a", up=True), ours)).ok
    fresh = box(now(loaded_at={"a": NOW - 10}))
    refused = judge(intent("unload", by="rule:R"), fresh)
    assert (refused.verdict.reason, refused.again) == (Reason.RESIDENT, NOW + 290)
    assert said(intent("unload"), fresh).ok
    seen = now()
    kept = replace(seen, state=replace(seen.state, models=(replace(seen.state.models[0], kept_until=-1.0),)))
    assert said(intent("unload", by="rule:R"), box(kept)).reason is Reason.RESIDENT


def test_a_person_is_told_which_plan_is_at_work_and_a_rule_by_its_mode() -> None:
    plan = Plan(41, "swap", "slot:oracle", "docker", {}, "why", "uid:0", NOW, "abc", "", "", touches=("a", "b"))
    busy = box(plans=(plan,))
    assert said(intent(to="b"), busy).text == "Plan 41 (swap oracle) is at work on it; ask again when that has ended."
    assert said(intent(to="b", by="rule:R"), busy).ok, "its playbook may queue"
    measuring = box(plans=(replace(plan, verb="bench"),))
    assert said(intent(to="b"), measuring).ok


def test_sleep_and_wake() -> None:
    sleeps = box(now("c", models=(A, C)), service("a"), service("c", up=True))
    assert said(intent("sleep"), sleeps).ok
    asleep = box(now("c", models=(A, C), states={"c": ASLEEP}), service("a"), service("c", up=True))
    assert said(intent("sleep", model="c"), asleep).reason is Reason.ALREADY_DONE
    assert said(intent("wake"), asleep).ok


# ------------------------------------------------------------ before anything was touched


def open_plan(**more: Any) -> Plan:
    parts = {"a": {"service": "a", "container_id": "a-id"}, "b": {"service": "b", "container_id": "b-id"}}
    found = {"from": "a", "to": "b", "parts": parts}
    given = {"touches": ("a", "b"), "found": found} | more
    return Plan(41, "swap", "slot:oracle", "docker", {}, "why", "uid:0", NOW - 60, "abc", "", "", **given)


def test_a_plan_that_touched_nothing_ends_for_a_persons_stop_of_the_one_that_comes() -> None:
    plan = open_plan()
    assert reason_to_end(plan, box()) is None
    stopped = service("b", wanted=Wanted("stopped", "uid:0", NOW))
    found = reason_to_end(plan, box(None, service("a", up=True), stopped))
    assert found is not None
    assert found.reason is Reason.WANTED_STOPPED
    before = service("b", wanted=Wanted("stopped", "slot:oracle", NOW - 600))
    assert reason_to_end(plan, box(None, service("a", up=True), before)) is None


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"pauses": {"a": ("maintenance", 0.0)}}, Reason.PAUSED),
        ({"stopping": True}, Reason.STOPPING),
    ],
)
def test_and_for_what_holds_everything_up(more: dict[str, Any], reason: Reason) -> None:
    found = reason_to_end(open_plan(), box(**more))
    assert found is not None
    assert found.reason is reason
    assert reason_to_end(replace(open_plan(), verb="bench"), box(**more)) is None, "a measurement changes nothing"
