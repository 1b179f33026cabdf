"""What is aimed at a card or at the machine: every reason to refuse it, and what a person is told to do."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.config.settings import GpuSettings
from supervisor.facts import Gpu, GpuState, Intent, Needs, Wanted, XidEpisode
from supervisor.gpu.budget import GpuBudget
from supervisor.gpu.cards import Card, Deck
from supervisor.incidents import Spend, World, machine
from supervisor.incidents.guard import judge
from supervisor.incidents.permit import may_step
from supervisor.units import Budget
from supervisor.verdicts import Reason
from tests.support.incidents import NOW, ORACLE, Box, alert, container, oracle, plan, service

UUID, BUS = "GPU-1f0c7a52", "00000000:17:00.0"
CARD = f"gpu:{UUID}"


def episode(root: int, **more: Any) -> XidEpisode:
    return XidEpisode("gpu-1", UUID, BUS, NOW, NOW, root, "bus", "reboot", **more)


OFF, ON = GpuSettings(), GpuSettings(reset=True, reboot=True)


def world(box: Box | None = None, *, gpu: GpuSettings = ON, card: Any = None, **more: Any) -> World:
    """A box with one card, and an oracle that declares it and stands still."""
    box = box or oracle()
    box.put(service(needs=Needs(exclusive=("gpu:0",)), container=container(status=more.pop("status", "exited"))))
    found = box.world()
    known = Gpu(UUID, 0, "NVIDIA H200", BUS, recovery="reset")
    state = GpuState(cards=(card or known,), episodes=more.pop("episodes", ()), quiet=more.pop("quiet", ""))
    settings = found.settings.model_copy(update={"gpu": gpu})
    vram = GpuBudget(Deck((Card(UUID, 0, BUS),)))
    return replace(found, gpus=state, vram=vram, settings=settings, **more)


def intent(verb: str, target: str = CARD, by: str = "playbook:x", **more: Any) -> Intent:
    return Intent(verb, target, more.pop("params", {}), "a test", by, **more)


def said(asked: Intent, there: World) -> tuple[Reason, str]:
    verdict = judge(asked, there).verdict
    return verdict.reason, verdict.text


def test_the_good_cases() -> None:
    for by in ("playbook:x", "uid:0"):
        assert judge(intent("gpu-reset", by=by), world()).verdict.ok
        assert judge(intent("reboot", by=by), world()).verdict.ok
        assert judge(intent("reboot", "host", by=by), world()).verdict.ok
        assert judge(intent("quiesce", by=by), world(status="running")).verdict.ok


def test_switched_off_it_says_what_to_type_and_the_ladder_goes_on() -> None:
    off = world(gpu=GpuSettings())
    found = judge(intent("gpu-reset", by="uid:0", override="now"), off)
    assert found.verdict.reason is Reason.SWITCHED_OFF
    assert f"nvidia-smi --gpu-reset -i {BUS}" in found.verdict.text
    assert found.lasting
    assert "systemctl reboot" in judge(intent("reboot", "host"), off).verdict.text


def test_a_card_in_use_waits_and_names_who() -> None:
    found = judge(intent("gpu-reset"), world(status="running"))
    assert found.verdict.reason is Reason.GPU_BUSY
    assert ORACLE in found.verdict.text
    assert not found.lasting
    assert found.again == NOW + machine.LOOK_AGAIN
    xorg = Gpu(UUID, 0, "NVIDIA H200", BUS, recovery="reset", users=(("Xorg", 1),))
    assert "Xorg" in said(intent("gpu-reset"), world(card=xorg))[1]
    assert judge(intent("gpu-reset"), world(card=xorg, quiet="XID 119")).verdict.ok, "that is old news by then"


def test_what_uses_no_card_of_ours_passes_on_to_the_next_rung() -> None:
    found = judge(intent("quiesce"), world())
    assert found.verdict.reason is Reason.ALREADY_DONE
    assert found.lasting


@pytest.mark.parametrize(
    ("verb", "recovery", "reason"),
    [
        ("gpu-reset", "reboot", Reason.NO_USE),
        ("gpu-reset", "power_cycle", Reason.NO_USE),
        ("reboot", "power_cycle", Reason.NO_USE),
        ("reboot", "reset", Reason.ALLOWED),
        ("gpu-reset", "drain_reset", Reason.ALLOWED),
    ],
)
def test_rules_do_not_do_what_its_driver_says_is_no_use_and_people_may(
    verb: str, recovery: str, reason: Reason
) -> None:
    card = Gpu(UUID, 0, "", BUS, recovery=recovery)
    assert said(intent(verb), world(card=card))[0] is reason
    assert judge(intent(verb, by="uid:0"), world(card=card)).verdict.ok


def test_two_restarts_for_one_and_the_same_fault_are_enough() -> None:
    done = tuple(Spend(NOW - 5 * 86400 + n, CARD, "reboot", True, n, fault=f"{UUID} XID 79") for n in (1, 2))
    there = world(episodes=(episode(79),), spent=done)
    reason, text = said(intent("reboot"), there)
    assert reason is Reason.NO_USE
    assert f"{UUID} XID 79" in text
    assert judge(intent("reboot"), world(episodes=(episode(119),), spent=done)).verdict.ok, "another fault is another"
    assert judge(intent("reboot"), replace(there, spent=done[:1])).verdict.ok
    assert judge(intent("reboot", by="uid:0"), there).verdict.ok, "a person may"


def test_a_drill_is_no_fault_and_nothing_is_done_for_it() -> None:
    assert machine.fault(intent("reboot"), world(episodes=(episode(79, drill=True),))) == f"{UUID} reset"
    drill = alert(labels={"drill": "true", "UUID": UUID})
    found = judge(intent("reboot", key=f"{drill.fingerprint}|1|0"), world(alerts=(drill,)))
    assert found.verdict.reason is Reason.DRY_RUN


@pytest.mark.parametrize(("verb", "target"), [("gpu-reset", CARD), ("reboot", CARD), ("reboot", "host")])
def test_an_alert_from_outside_resets_and_restarts_nothing_that_is_well_by_what_is_known_here(
    verb: str, target: str
) -> None:
    told = alert("GpuRebootRequired", origin="outside", labels={"UUID": UUID, "name": ""})
    asked = intent(verb, target, key=f"{told.fingerprint}|1|0")
    well = Gpu(UUID, 0, "", BUS, up=True, recovery="none")
    reason, text = said(asked, world(card=well, alerts=(told,)))
    assert reason is Reason.NO_USE
    assert "from outside" in text
    assert judge(asked, world(alerts=(told,))).verdict.ok, "its driver asks for it"
    assert judge(asked, world(card=well, episodes=(episode(119),), alerts=(told,))).verdict.ok
    assert judge(asked, world(card=replace(well, up=False), alerts=(told,))).verdict.ok
    assert judge(asked, world(card=well, alerts=(replace(told, origin="owner"),))).verdict.ok, "our own rules say why"


def test_the_budget_is_one_for_all_and_a_word_lifts_it() -> None:
    gpu = GpuSettings(reset=True, reboot=True, budget=(Budget(2, 86400.0),))
    done = (Spend(NOW - 60, "gpu:GPU-other", "gpu-reset", True, 1), Spend(NOW - 30, "host", "reboot", True, 2))
    there = world(gpu=gpu, spent=done)
    found = judge(intent("gpu-reset", by="uid:0"), there)
    assert found.verdict.reason is Reason.BUDGET_HOST
    assert found.again == NOW - 60 + 86400.0
    assert judge(intent("gpu-reset", by="uid:0", override="now"), there).verdict.ok


def test_the_machine_is_not_restarted_while_a_plan_is_at_work() -> None:
    at_work = plan(7, "phoenix", begun=("look", "stop"))
    reason, text = said(intent("reboot", "host"), world(plans=(at_work,)))
    assert reason is Reason.LOCKED
    assert "Plan 7" in text


def test_what_is_aimed_at_nothing_or_at_the_wrong_thing() -> None:
    assert said(intent("gpu-reset", "gpu:GPU-nobody"), world())[0] is Reason.NO_TARGET
    assert said(intent("restart"), world())[0] is Reason.NO_TARGET
    assert said(intent("gpu-reset", "host"), world())[0] is Reason.NO_TARGET
    assert said(intent("notify", "host"), world())[0] is Reason.ALLOWED


def test_a_quiesce_of_what_uses_no_gpu_is_refused() -> None:
    box = oracle()
    box.put(service())
    found = said(intent("quiesce", ORACLE), box.world())
    assert found[0] is Reason.UNSUPPORTED
    assert said(intent("quiesce", ORACLE, params={"gpu": "9"}), world(status="running"))[0] is Reason.BAD_PARAMETER


def test_what_a_rule_and_a_person_may_do_with_a_service_that_waits_for_its_card() -> None:
    waits = Wanted("stopped", f"quiesce:{UUID}", NOW)
    box = oracle()
    there = world(box)
    one = replace(there.services[ORACLE], wanted=waits)
    there = replace(there, services={ORACLE: one})
    assert said(intent("restart", ORACLE), there)[0] is Reason.WANTED_STOPPED
    assert "until its GPU is well" in said(intent("restart", ORACLE), there)[1]
    assert said(intent("quiesce", ORACLE), there)[0] is Reason.ALREADY_DONE
    assert judge(intent("stop", ORACLE, by="uid:0"), there).verdict.ok, "a person's stop outlasts the card's trouble"


def test_permit_ends_it_before_and_never_in_the_midst() -> None:
    made = replace(plan(3, "reboot", CARD), steps=(), needs=Needs())
    step = plan().steps[0]
    assert may_step(made, step, world(), ()).ok
    assert may_step(made, step, world(gpu=GpuSettings()), ()).reason is Reason.SWITCHED_OFF
    paused = replace(world(), pauses={"*": ("lunch", 0.0)})
    assert may_step(made, step, paused, ()).reason is Reason.PAUSED
    begun = replace(made, steps=plan().steps, begun=("look", plan().steps[1].name))
    assert may_step(begun, plan().steps[1], paused, ()).ok


def test_locks_hold_the_turn_at_the_cards_and_the_right_to_start() -> None:
    assert machine.locks("gpu-reset", CARD) == (f"word:{CARD}", "engine:start", "gpu:turn")
    assert machine.locks("reboot", "host") == ("machine", "engine:start", "gpu:turn")


def test_who_is_stopped_for_which_cards() -> None:
    assert machine.stopped_for("quiesce:a,b") == ("a", "b")
    assert machine.stopped_for("quiesce:") == ()
    assert machine.stopped_for("uid:0") is None
