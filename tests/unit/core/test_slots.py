"""The core's hand on slots: who holds them, what a swap's plan knows, what follows from its end."""

import pytest

from supervisor.facts import Command, Container, EngineEvent, Intent, Readings, Sample, Wanted, XidSeen, labels
from supervisor.verdicts import Reason
from tests.support.cards import BUS, PRO, card, ident, reading
from tests.support.slot_desk import RACE, Slots, box, looks


def ready() -> Slots:
    desk = Slots()
    desk.listed()
    desk.turn()
    return desk


def test_who_runs_holds_the_slot_and_callers_are_sent_there() -> None:
    desk = ready()
    assert (desk.state.holder, desk.state.first, desk.state.address) == ("v32", "v32", "127.0.0.1:8000")
    assert [(one.act, one.word) for one in desk.doors.orders] == [("open", "http://172.18.0.3:8000")]


def test_a_service_that_is_called_by_its_containers_name_is_not_found_and_its_id_is_said() -> None:
    """Under compose the id is `project.service`: what people write first."""
    desk = Slots()
    compose = {"com.docker.compose.project": "ai", "com.docker.compose.service": "v32"}
    desk.swept(box("v32", labels=compose))
    desk.turn()
    advice = "`service: ai.v32` for the model v32, and ai.v32 under services:"
    assert desk.state.holder == ""
    assert advice in desk.state.problem
    refused = desk.ask("swap", to="v32").verdict
    assert refused.reason is Reason.VANISHED
    assert advice in refused.text
    assert "create" in desk.ask("swap", to="mxfp4").verdict.text  # nothing has that name at all


def test_a_swap_is_one_plan_that_knows_both_models() -> None:
    desk = ready()
    decision = desk.ask("swap", to="mxfp4")
    assert decision.verdict.ok, decision.verdict.text
    plan = desk.plan(decision.plan)
    assert (plan.service, plan.touches) == ("slot:oracle", ("v32", "mxfp4"))
    assert plan.locks == (*("slot:oracle", "service:v32", "word:gpu:0", "engine:start", "service:mxfp4"),)
    found = plan.found
    assert (found["from"], found["to"], found["shape"], found["why_shape"]) == (
        "v32",
        "mxfp4",
        "exclusive",
        "both need gpu:0",
    )
    assert found["parts"]["v32"]["running"]
    assert not found["parts"]["mxfp4"]["running"]
    assert found["parts"]["mxfp4"]["policy"] == "unless-stopped"
    assert [step.name for step in plan.steps if not step.back][:2] == ["preflight", "hold"]
    assert [one.id for one in desk.doors.started] == [plan.id]


def test_its_end_changes_the_holder_and_what_is_wanted() -> None:
    desk = ready()
    plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop")
    assert (desk.state.phase, desk.state.plan) == ("stop", plan.id)
    desk.swept(box("v32", up=False, restart_policy="no"), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, stopped=["v32"], started=["mxfp4"], policies={"v32": "unless-stopped"})
    assert desk.state.holder == "mxfp4"
    services = {one.id: one for one in desk.core.registry.services()}
    assert services["mxfp4"].wanted.state == "running"
    assert (services["v32"].wanted.state, services["v32"].wanted.by) == ("stopped", "slot:oracle")
    assert services["v32"].wanted.policy == "unless-stopped"
    assert [one.word for one in desk.doors.orders] == ["http://172.18.0.3:8000", "http://172.18.0.4:8000"]
    assert desk.state.probation.before == "v32"
    kinds = [kind for kind in desk.rows if kind.startswith("model.")]
    assert kinds[0] == "model.adopted"
    assert kinds[1] == "model.swap_began"
    assert kinds[-1] == "model.swapped"


def test_what_is_so_already_and_what_is_not_there() -> None:
    desk = ready()
    assert desk.ask("swap", to="v32").verdict.reason is Reason.ALREADY_DONE
    assert desk.ask("swap", to="nobody").verdict.reason is Reason.BAD_PARAMETER
    assert desk.ask("swap", "nowhere", to="v32").verdict.reason is Reason.NO_TARGET
    assert desk.ask("restart", "slot:oracle").verdict.reason is Reason.NO_TARGET
    desk.models(v32=looks(), mxfp4=looks("unloaded"))
    assert desk.state.models[0].state == "loaded"


def swapped(desk: Slots, **params: str) -> None:
    """v32 -> mxfp4, committed."""
    plan = desk.plan(desk.ask("swap", to="mxfp4", **params).plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(box("v32", up=False, restart_policy="no"), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, stopped=["v32"], started=["mxfp4"], policies={"v32": "unless-stopped"})


def test_a_second_swap_is_told_which_plan_is_at_work() -> None:
    desk = ready()
    first = desk.ask("swap", to="mxfp4")
    second = desk.ask("swap", to="mxfp4")
    assert second.verdict.reason is Reason.LOCKED
    assert f"Plan {first.plan} (swap oracle) is at work on it" in second.verdict.text


def test_a_swap_waits_for_a_plan_on_one_of_its_services() -> None:
    desk = ready()
    restart = desk.ask("restart", "v32")
    swap = desk.ask("swap", to="mxfp4")
    assert restart.verdict.ok
    assert swap.verdict.ok
    assert desk.core.admission.waiting()[0][0] == swap.plan
    assert swap.verdict.text == "waits for v32, held by plan 1 (restart v32)"
    made_anew = box("v32", id="9" * 64)
    desk.swept(made_anew, box("mxfp4", up=False))
    desk.end(desk.plan(restart.plan))
    assert desk.doors.started[-1].found["parts"]["v32"]["container_id"] == "9" * 64, "as it stands by then"


def test_a_plan_that_ends_before_anything_was_touched_changes_nothing() -> None:
    desk = ready()
    plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain")
    desk.end(plan, ok=False, reason=Reason.ENDED_EARLY, text="2 requests are still in flight.", why="in_use")
    assert desk.state.holder == "v32"
    assert desk.state.phase == ""
    assert desk.core.registry.get("v32").wanted.state == "any"
    assert [one.word for one in desk.doors.orders] == ["http://172.18.0.3:8000"] * 2, "the gate is opened again"


def test_a_no_go_is_remembered_for_the_image_and_a_person_may_ask_again() -> None:
    desk = ready()
    plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start", "ready", "back_stop")
    why = {"model": "mxfp4", "image_id": "sha256:mxfp4", "text": "9.8 tokens/s, wanted 12 at least"}
    desk.go(plan, verdict="NO-GO", no_go=why, stopped=["mxfp4"], started=["v32"])
    assert desk.state.holder == "v32"
    assert desk.core.registry.get("v32").wanted.state == "running"
    assert desk.core.registry.get("mxfp4").wanted.state == "stopped"
    refused = desk.ask("swap", to="mxfp4").verdict
    assert refused.reason is Reason.NO_GO
    assert "9.8 tokens/s, wanted 12 at least" in refused.text
    assert "--again" in refused.text
    again = Slots(journal=desk.journal)
    again.listed()
    assert again.ask("swap", to="mxfp4").verdict.reason is Reason.NO_GO, "a restart forgets nothing"
    again.swept(box("v32"), box("mxfp4", up=False, image_id="sha256:newer"))
    assert again.ask("swap", to="mxfp4").verdict.ok, "another image is another try"
    desk.turn(seconds=7200)
    assert desk.ask("swap", to="mxfp4", again="true").verdict.ok


def test_on_probation_the_one_before_is_armed_over_a_restart_and_let_go_in_the_end() -> None:
    desk = ready()
    swapped(desk, probation="1h")
    assert (desk.state.probation.model, desk.state.probation.before) == ("mxfp4", "v32")
    again = Slots(journal=desk.journal)
    again.listed(box("v32", up=False, restart_policy="no"), box("mxfp4", address="172.18.0.4"))
    assert again.state.probation == desk.state.probation
    again.turn(seconds=3700)
    again.turn()
    assert again.state.probation is None
    assert again.bodies_of("model.probation_over")[0]["before"] == "v32"


def test_the_armed_one_that_a_person_brings_back_is_on_no_probation() -> None:
    """They judged the candidate: a death of production must not bring that again, and is no NO-GO."""
    desk = ready()
    swapped(desk)
    assert desk.state.probation.before == "v32"
    back(desk)
    assert (desk.state.holder, desk.state.probation) == ("v32", None)
    desk = ready()
    swapped(desk)
    back(desk, probation="1h")
    assert desk.state.probation.before == "mxfp4", "but they may say so"


def back(desk: Slots, **params: str) -> None:
    plan = desk.plan(desk.ask("swap", to="v32", **params).plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(box("v32"), box("mxfp4", up=False, restart_policy="no"))
    desk.go(plan, stopped=["mxfp4"], started=["v32"], policies={"mxfp4": "unless-stopped"})


def test_a_death_on_probation_sends_it_back_unmeasured() -> None:
    desk = ready()
    swapped(desk)
    desk.turn(
        EngineEvent(
            0,
            0,
            "docker",
            "container",
            ident("mxfp4"),
            "die",
            int((desk.wall + 1) * 1e9),
            {"exitCode": "139", "name": "mxfp4"},
        )
    )
    desk.swept(box("v32", up=False, restart_policy="no"), box("mxfp4", up=False, exit_code=139, finished_at=desk.wall))
    desk.turn()
    plan = desk.plan()
    assert (plan.verb, plan.by, plan.found["to"], plan.found["pivot"]) == ("swap", "resurgam", "v32", True)
    assert "bench" not in [step.name for step in plan.steps]
    assert "it died" in desk.bodies_of("model.no_go")[0]["text"]
    desk.steps(plan, "preflight", "hold", "drain", "stop")
    desk.swept(box("v32"), box("mxfp4", up=False))
    desk.go(plan, stopped=["mxfp4"], started=["v32"])
    assert (desk.state.holder, desk.state.probation) == ("v32", None)
    desk.turn(seconds=60)
    assert not desk.plans
    assert "it died" in desk.state.models[1].no_go


def test_nobody_is_armed_who_did_not_run_before_the_swap() -> None:
    desk = Slots({"oracle": {**RACE, "fallback": []}})
    desk.listed()
    desk.turn()
    desk.swept(dead(), box("mxfp4", up=False))
    plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(dead(), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, stopped=["v32"], started=["mxfp4"])
    assert (desk.state.holder, desk.state.probation) == ("mxfp4", None), "there is nothing good to go back to"


def test_one_whose_own_check_says_unhealthy_on_probation_goes_back() -> None:
    desk = ready()
    swapped(desk)
    cannot = 'OCI runtime exec failed: exec failed: unable to start container process: exec: "curl": not found'
    for health, said in (("starting", ""), ("unhealthy", cannot)):
        desk.swept(box("v32", up=False), box("mxfp4", address="172.18.0.4", health=health, health_output=said))
        desk.turn()
        assert not desk.plans, "a check that cannot run says nothing"
    desk.swept(box("v32", up=False), box("mxfp4", address="172.18.0.4", health="unhealthy", health_output="HTTP 503"))
    desk.turn()
    assert desk.plan().found["pivot"]
    assert desk.plan().cause == "mxfp4 is on probation, and its health check says unhealthy."


def test_errors_that_callers_get_on_probation_count_over_a_restart() -> None:
    slot = RACE | {"criteria": {"errors": 5}}
    desk = Slots({"oracle": slot})
    desk.listed()
    desk.gate(errors=40)
    swapped(desk, probation="2d")
    desk.gate(errors=43)
    again = Slots({"oracle": slot}, journal=desk.journal)
    again.listed(box("v32", up=False, restart_policy="no"), box("mxfp4", address="172.18.0.4"))
    again.gate(errors=2)
    again.turn()
    assert not again.plans, "5 are allowed"
    again.gate(errors=3)
    again.turn()
    assert again.plan().found["pivot"]
    assert "callers got 6 errors, allowed are 5" in again.plan().cause


def test_a_measurement_on_probation_that_is_a_no_go_sends_it_back() -> None:
    desk = Slots({"oracle": RACE | {"probation-every": "10m", "probation": "2d"}})
    desk.listed()
    swapped(desk)
    desk.turn(seconds=601)
    plan = desk.plan()
    assert (plan.verb, plan.found["to"], plan.touches) == ("bench", "mxfp4", ("mxfp4",))
    bench = {"at": desk.wall, "slot": "oracle", "model": "mxfp4", "rate": 7.5, "plan": plan.id, "reason": "probation"}
    desk.end(
        plan, ok=False, reason=Reason.NO_GO, text="7.5 tokens/s, wanted 12 at least.", bench=bench, verdict="NO-GO"
    )
    desk.turn()
    assert desk.core.slots.latest("oracle", "mxfp4").rate == 7.5
    assert desk.plan().found["pivot"]
    assert "7.5 tokens/s" in desk.plan().cause


LOG = {"log_count": 3, "log_tail": ["llama server starts"]}


@pytest.mark.parametrize(
    ("every", "steps"), [("1h", ("preflight", "warmup", "bench", "canary")), ("0", ("preflight",))]
)
def test_its_log_is_looked_at_all_through_its_probation(every: str, steps: tuple[str, ...]) -> None:
    said = RACE | {"criteria": {"log": ["CUDA error"]}, "probation": "2d", "probation-every": every}
    desk = Slots({"oracle": said})
    desk.listed()
    plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(box("v32", up=False, restart_policy="no"), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, stopped=["v32"], started=["mxfp4"], log=LOG)
    again = Slots({"oracle": said}, journal=desk.journal)
    again.listed(box("v32", up=False, restart_policy="no"), box("mxfp4", address="172.18.0.4"))
    again.turn(seconds=4000)
    look = again.plan()
    assert (look.verb, look.found["to"], look.found["log"]) == ("bench", "mxfp4", LOG)
    assert tuple(step.name for step in look.steps) == steps
    text = "NO-GO mxfp4: log: CUDA error: an illegal memory access."
    again.end(look, ok=False, reason=Reason.FAILED, text=text, verdict="NO-GO")
    again.turn()
    assert again.plan().found["pivot"]
    assert again.plan().cause == "mxfp4 is on probation, and log: CUDA error: an illegal memory access."


def test_a_look_at_its_log_is_no_news() -> None:
    desk = Slots({"oracle": RACE | {"criteria": {"log": ["CUDA error"]}, "probation": "2d"}})
    desk.listed()
    swapped(desk)
    count = len(desk.public)
    desk.turn(seconds=601)
    desk.steps(desk.plan(), "preflight")
    desk.end(desk.plan(), text="mxfp4: looked at.", verdict="GO")
    assert [kind for kind in desk.public[count:] if kind.startswith(("action.", "model."))] == []
    assert desk.state.probation is not None


def test_a_stopped_holder_has_no_stand_in_and_callers_are_told() -> None:
    desk = ready()
    stop = desk.ask("stop", "v32")
    desk.steps(desk.plan(stop.plan), "look", "stop")
    desk.swept(box("v32", up=False, restart_policy="no"), box("mxfp4", up=False))
    desk.end(desk.plan(stop.plan))
    desk.turn(seconds=300)
    desk.turn()
    assert not desk.plans
    assert "was stopped on purpose by uid:0" in desk.state.problem
    assert desk.doors.orders[-1].act == "refuse"
    desk.core.registry.want("v32", Wanted("stopped", "person", desk.wall, "", ""))
    desk.turn()
    assert "was stopped on purpose by hand, so" in desk.state.problem


def dead(**more: object) -> Container:
    return box("v32", up=False, exit_code=137, restart_policy="no", **more)


def test_the_stand_in_comes_when_nothing_is_left_and_the_first_choice_is_tried_once_per_window() -> None:
    desk = Slots({"oracle": RACE | {"hand-back": "30m", "residency": "0s"}})
    desk.listed()
    desk.turn()
    desk.swept(dead(), box("mxfp4", up=False))
    assert desk.doors.orders[-1].act == "hold", "it may come back"
    assert not desk.plans
    desk.turn(seconds=61)
    plan = desk.plan()
    assert (plan.verb, plan.found["from"], plan.found["to"], plan.by) == ("swap", "v32", "mxfp4", "resurgam")
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(dead(), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, stopped=["v32"], started=["mxfp4"])
    assert (desk.state.holder, desk.state.stand_in, desk.state.probation) == ("mxfp4", True, None)
    assert "model.stand_in" in desk.rows
    assert "stands in for v32" in desk.state.problem
    desk.turn(seconds=1700)
    assert not desk.plans
    desk.turn(seconds=120)
    back = desk.plan()
    assert (back.found["from"], back.found["to"]) == ("mxfp4", "v32")
    desk.steps(back, "preflight", "hold", "drain", "stop", "freed", "start", "ready", "back_stop")
    no_go = {"model": "v32", "image_id": "sha256:v32", "text": "it died"}
    desk.go(back, verdict="NO-GO", no_go=no_go, stopped=["v32"], started=["mxfp4"])
    assert desk.state.stand_in
    assert desk.state.models[0].no_go == "", "it is tried again with the next window"
    desk.turn(seconds=600)
    assert not desk.plans
    desk.turn(seconds=1300)
    again = desk.plan()
    desk.steps(again, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(box("v32"), box("mxfp4", up=False))
    desk.go(again, stopped=["mxfp4"], started=["v32"])
    assert (desk.state.holder, desk.state.stand_in) == ("v32", False)
    assert "model.handed_back" in desk.rows


def test_a_first_choice_that_fails_in_its_probation_is_stood_in_for_again() -> None:
    desk = Slots({"oracle": RACE | {"hand-back": "30m", "residency": "0s"}})
    desk.listed()
    desk.turn()
    desk.swept(dead(), box("mxfp4", up=False))
    desk.turn(seconds=61)
    desk.steps(desk.plan(), "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(dead(), box("mxfp4", address="172.18.0.4"))
    desk.go(desk.plan(), stopped=["v32"], started=["mxfp4"])
    desk.turn(seconds=1900)
    back = desk.plan()
    desk.steps(back, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(box("v32", started_at=desk.wall), box("mxfp4", up=False))
    desk.go(back, stopped=["mxfp4"], started=["v32"])
    assert (desk.state.holder, desk.state.stand_in, desk.state.probation.before) == ("v32", False, "mxfp4")
    told = {"exitCode": "139", "name": "v32"}
    at = int((desk.wall + 1) * 1e9)
    desk.turn(EngineEvent(0, 0, "docker", "container", ident("v32"), "die", at, told))
    desk.swept(dead(finished_at=desk.wall), box("mxfp4", up=False))
    desk.turn()
    again = desk.plan()
    assert (again.found["to"], again.found["pivot"]) == ("mxfp4", True)
    desk.steps(again, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(dead(finished_at=desk.wall), box("mxfp4", address="172.18.0.4"))
    desk.go(again, stopped=["v32"], started=["mxfp4"])
    assert (desk.state.holder, desk.state.stand_in) == ("mxfp4", True), "it stands in, and is no choice of anybody"
    assert desk.state.models[0].no_go == "", "it is tried again with the next window"
    desk.turn(seconds=1900)
    assert desk.plan().found["to"] == "v32"


def test_nobody_stands_in_while_a_rule_may_still_bring_it_back() -> None:
    pending = (
        "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: down > 0\n    for: 10m\n"
        "    annotations: {action: 'restart v32'}\n"
    )
    desk = Slots(None, None, pending)
    desk.listed()
    desk.turn()
    desk.swept(dead(), box("mxfp4", up=False))
    desk.turn(Readings(0, 0, "host", (Sample(labels("down"), 1.0),)))
    desk.turn(seconds=61)
    assert not desk.plans, "its rule is about to fire"
    assert desk.doors.orders[-1].act == "hold"
    desk.turn(seconds=60)
    assert desk.plan().found["to"] == "mxfp4", "that is not waited for without an end"


def test_a_rule_that_holds_the_first_choice_down_is_obeyed() -> None:
    desk = Slots({"oracle": RACE | {"hand-back": "10m"}})
    desk.listed()
    desk.turn()
    desk.core.registry.want("v32", Wanted("stopped", "rule:ResetLoop", desk.wall, "3 restarts in 10 minutes"))
    desk.swept(dead(), box("mxfp4", up=False))
    desk.turn(seconds=61)
    plan = desk.plan()
    assert plan.found["to"] == "mxfp4"
    assert "rule:ResetLoop" in plan.cause
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(dead(), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, stopped=["v32"], started=["mxfp4"])
    assert desk.core.registry.get("v32").wanted.by == "rule:ResetLoop", "it is still the rule that wants it down"
    for _ in range(20):
        desk.turn(seconds=600)
    assert not desk.plans
    assert desk.state.holder == "mxfp4"


def test_nobody_left_to_stand_in_and_callers_are_sent_away() -> None:
    desk = ready()
    desk.swept(dead(), box("mxfp4", up=False))
    desk.turn(seconds=61)
    plan = desk.plan()
    desk.steps(plan, "preflight")
    desk.end(plan, ok=False, reason=Reason.FAILED, text="341 GB needed, 62 GB free.")
    desk.turn()
    desk.turn()
    assert desk.state.holder == ""
    assert not desk.plans
    assert desk.doors.orders[-1].act == "refuse"
    assert desk.core.registry.get("v32").wanted.state != "stopped"


def test_one_that_waited_and_finds_it_done_ends() -> None:
    desk = ready()
    first = desk.ask("swap", to="mxfp4")
    rule = Intent("swap", "slot:oracle", {"to": "mxfp4"}, "why", "playbook:faster")
    desk.turn()
    batch = desk.journal.batch()
    desk.core.begin(batch, desk.wall, desk.mono)
    queued = desk.core.admission.admit(desk.core, rule)
    desk.core.finish()
    desk.journal.commit(batch)
    assert desk.core.admission.waiting()[0][0] == queued.plan
    plan = desk.plan(first.plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.swept(box("v32", up=False, restart_policy="no"), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, stopped=["v32"], started=["mxfp4"])
    assert not desk.plans
    assert [one.id for one in desk.doors.started] == [first.plan]


OLLAMA: dict[str, object] = {
    "models": {
        name: {"inside": True, "url": "http://127.0.0.1:11434", "model": name, "ttl": "1h"} for name in ("a", "b", "c")
    },
    "together": 2,
    "residency": "1m",
}


def resident(**more: object) -> Slots:
    desk = Slots({"chat": OLLAMA | more})
    desk.listed()
    desk.turn(seconds=100)
    desk.models(a=looks(used=1.0), b=looks(used=1.0), c=looks("unloaded"))
    desk.turn(seconds=100)
    return desk


def seen(desk: Slots, seconds: float, **used: float) -> None:
    """The watch looks again: which of them worked."""
    known = {"a": 1.0, "b": 1.0} | used
    desk.models(seconds, **{name: looks(used=count) for name, count in known.items()}, c=looks("unloaded"))


def test_models_inside_a_server_and_the_one_used_least_lately_makes_place() -> None:
    desk = resident()
    assert desk.state.holder == "a"
    seen(desk, 20, a=2.0)
    plan = desk.plan(desk.ask("load", "chat", model="c").plan)
    assert (plan.found["from"], plan.found["to"], plan.found["evict"], plan.touches) == ("", "c", ["b"], ())
    assert plan.found["holder"] == "a"
    assert plan.locks == ("slot:chat",)
    assert plan.engine == "", "no engine is waited for"


def test_a_load_that_would_take_too_much_of_a_card_puts_the_least_used_away_first() -> None:
    models = {name: {**OLLAMA["models"]["a"], "model": name, "vram": "0:40GiB"} for name in ("a", "b", "c")}
    desk = Slots({"chat": OLLAMA | {"together": 3, "models": models}})
    desk.listed()
    seen(desk, 100)
    seen(desk, 100, a=2.0)
    desk.turn(Readings(0, 0, "gpu", (), gpu=reading(card(PRO, loose=80.0))))
    ended = desk.plan(desk.ask("load", "chat", model="c").plan)
    assert ended.found["evict"] == ["b"], "three may be loaded, and 96 GiB have room for two"
    desk.end(ended, ok=False, reason=Reason.ENDED_EARLY)
    desk.turn(Readings(0, 0, "gpu", (), gpu=reading(card(PRO, loose=40.0))))
    assert desk.plan(desk.ask("load", "chat", model="c").plan).found["evict"] == []


def test_what_nobody_asks_anything_is_put_away() -> None:
    desk = resident()
    for _ in range(40):
        seen(desk, 60)
    assert not desk.plans
    for step in range(25):
        seen(desk, 60, a=2.0 + step)
    plan = desk.plan()
    assert (plan.verb, plan.found["from"], plan.by) == ("unload", "b", "resurgam")
    assert plan.cause == "Nobody asked b anything for 1h."
    desk.end(plan, holder="a")
    assert desk.bodies_of("model.evicted")[0]["model"] == "b"


def test_where_the_holder_is_put_away_another_one_in_its_server_holds_the_slot() -> None:
    desk = resident()
    seen(desk, 20, a=2.0)
    plan = desk.plan(desk.ask("unload", "chat", model="a").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop")
    desk.end(plan, holder="")
    assert desk.state.holder == "b"
    desk.models(5, a=looks("unloaded"), b=looks(used=1.0), c=looks("unloaded"))
    desk.turn()
    assert desk.state.holder == "b"
    assert [body["model"] for body in desk.bodies_of("model.adopted")] == ["a", "b"], "not the one that just left"
    assert desk.bodies_of("model.adopted")[1]["text"] == "b holds chat now: a was put away, and b was loaded last."


def test_the_one_that_was_loaded_last_takes_the_slot_and_its_time_goes_on() -> None:
    desk = resident(together=3, listen="127.0.0.1:8000")
    plan = desk.plan(desk.ask("load", "chat", model="c").plan)
    desk.steps(plan, "preflight", "freed", "start", "ready", "commit", "open")
    desk.end(plan, holder="a", verdict="GO", report={})
    desk.models(a=looks(), b=looks(), c=looks())
    loaded = dict(desk.core.slots.kept("chat").loaded_at)
    assert set(loaded) == {"c"}
    plan = desk.plan(desk.ask("unload", "chat", model="a").plan)
    assert plan.found["heir"] == "c", "its callers wait for that one, and are not sent away"
    desk.steps(plan, "preflight", "hold", "drain", "stop")
    desk.models(a=looks("unloaded"), b=looks(), c=looks("unloaded"))
    desk.end(plan, holder="")
    assert desk.state.holder == "b", "c is not there any more"
    assert desk.core.slots.kept("chat").loaded_at == loaded
    assert desk.doors.orders[-1].act == "open"


@pytest.mark.parametrize(("verb", "state"), [("unload", "unloaded"), ("sleep", "asleep")])
def test_what_was_put_away_holds_nothing_until_it_is_there_again(verb: str, state: str) -> None:
    """Not even where a look that began before it left says so."""
    sleeper = {"service": "v32", "url": "http://:8000", "sleep": 1}
    desk = Slots({"chat": {"models": {"a": sleeper if verb == "sleep" else OLLAMA["models"]["a"]}}})
    desk.listed()
    desk.models(a=looks())
    plan = desk.plan(desk.ask(verb, "chat", model="a").plan)
    assert plan.found["heir"] == ""
    desk.steps(plan, "preflight", "hold", "drain", "stop")
    desk.end(plan, holder="")
    for late in (looks(), looks(state), looks(state)):
        desk.models(3, a=late)
        assert desk.state.holder == ""
    desk.models(60, a=looks(state))
    assert [body["model"] for body in desk.bodies_of("model.adopted")] == ["a"]
    desk.models(60, a=looks())
    assert desk.state.holder == "a", "somebody brought it back by hand"


def test_a_container_that_was_put_away_is_not_brought_back() -> None:
    desk = ready()
    swapped(desk)
    plan = desk.plan(desk.ask("unload", model="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop")
    desk.swept(box("v32", up=False, restart_policy="no"), box("mxfp4", up=False, restart_policy="no"))
    desk.end(plan, holder="", stopped=["mxfp4"], policies={"mxfp4": "unless-stopped"})
    wanted = desk.core.registry.get("mxfp4").wanted
    assert (desk.state.holder, wanted.state, wanted.policy) == ("", "stopped", "unless-stopped")
    desk.turn(seconds=600.0)
    desk.turn(seconds=600.0)
    assert not desk.plans, "nobody stands in for what was put away"


def test_a_load_that_failed_after_the_holder_had_to_go_leaves_the_slot_to_one_that_is_there() -> None:
    desk = resident()
    desk.models(a=looks(), b=looks(in_flight=1), c=looks("unloaded"))
    plan = desk.plan(desk.ask("load", "chat", model="c").plan)
    assert plan.found["evict"] == ["a"], "the only one that may go"
    desk.steps(plan, "preflight", "stop")
    desk.end(plan, ok=False, reason=Reason.ROLLED_BACK, holder="", verdict="", report={})
    assert desk.state.holder == "b"


def test_what_a_person_keeps_stays_over_a_restart_and_until_they_say_so() -> None:
    desk = resident()
    answer = desk.ask("keep", "chat", model="b")
    assert (answer.verdict.ok, answer.plan) == (True, 0)
    assert answer.verdict.text == "b is kept loaded until `--off`."
    again = Slots({"chat": OLLAMA}, journal=desk.journal)
    again.listed()
    for step in range(70):
        seen(again, 60, a=2.0 + step)
    assert not again.plans
    assert again.state.models[1].kept_until == -1.0
    assert again.ask("keep", "chat", model="b", off="true").verdict.text == "b may be put away again."
    seen(again, 60, a=100.0)
    assert again.plan().verb == "unload"


def test_a_rule_swaps_a_slot() -> None:
    faults = (
        "groups:\n- name: g\n  rules:\n  - alert: Slow\n    expr: slow > 0\n"
        "    annotations: {action: 'swap oracle to=mxfp4'}\n"
    )
    desk = Slots(None, None, faults)
    desk.listed()
    desk.turn(Readings(0, 0, "host", (Sample(labels("slow"), 1.0),)))
    desk.turn()
    plan = desk.plan()
    assert (plan.verb, plan.by, plan.service, plan.found["to"]) == ("swap", "rule:Slow", "slot:oracle", "mxfp4")


def test_a_services_model_server_puts_its_model_away() -> None:
    slot = {"models": {"a": {"service": "v32", "inside": True}, "b": {"service": "v32", "inside": True}}, "together": 2}
    desk = Slots({"chat": slot})
    desk.listed()
    desk.models(a=looks("unloaded"), b=looks())
    plan = desk.plan(desk.ask("unload", "v32").plan)
    assert plan.service == "v32"
    assert plan.found["model"]["name"] == "b", "the one that is loaded"
    assert not desk.core.slots.away("v32")
    desk.models(a=looks("unloaded"), b=looks("asleep"))
    assert desk.core.slots.away("v32"), "no GPU is lost: it is asleep"
    assert desk.ask("unload", "mxfp4").verdict.reason is Reason.UNSUPPORTED


def test_the_series_of_a_slot() -> None:
    desk = ready()

    def value(name: str, **of: str) -> float:
        return next(value for found, value in desk.core.metrics(desk.wall) if dict(found) == {"__name__": name, **of})

    assert value("resurgam_slot_empty", slot="oracle") == 0.0
    assert value("resurgam_slot_holder", slot="oracle", model="v32") == 1.0
    plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop")
    assert value("resurgam_slot_swap_phase", slot="oracle", phase="stop") == 1.0
    assert value("resurgam_slot_swap_phase", slot="oracle", phase="drain") == 0.0
    bench = {"at": desk.wall, "slot": "oracle", "model": "mxfp4", "rate": 14.5, "plan": plan.id, "failed": ["x"]}
    desk.swept(box("v32", up=False), box("mxfp4", address="172.18.0.4"))
    desk.go(plan, bench=bench)
    assert value("resurgam_bench_tokens_per_second", slot="oracle", model="mxfp4") == 14.5
    assert value("resurgam_bench_canary_failures", slot="oracle", model="mxfp4") == 1.0
    assert value("resurgam_slot_probation", slot="oracle") == 1.0
    assert value("resurgam_slot_holder", slot="oracle", model="v32") == 0.0
    desk.swept(box("v32", up=False), box("mxfp4", up=False))
    assert value("resurgam_slot_empty", slot="oracle") == 1.0


def test_a_fault_of_its_card_in_the_midst_of_it_is_told_to_the_plan_once() -> None:
    desk = Slots(gpu={"expected": 1})
    desk.listed(box("v32", gpu=True, gpus=("all",)), box("mxfp4", up=False, gpu=True, gpus=("all",)))
    desk.turn(Readings(0, 0, "gpu", (), gpu=reading(card(PRO))))
    plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
    desk.steps(plan, "preflight", "hold", "drain", "stop", "freed", "start")
    desk.turn(XidSeen(0, 0, "kernel", 79, bus_id=BUS[PRO], uuid=PRO))
    desk.turn()
    ended = [one for one in desk.doors.ended if one[0] == plan.id]
    assert [(why.reason, why.text) for _plan, why in ended] == [(Reason.FAILED, "XID 79 was told of its GPU.")]


def test_an_emergency_ends_a_swap_before_and_tells_one_in_the_midst_of_it() -> None:
    for steps, kind in ((("preflight",), "before"), (("preflight", "hold", "drain", "stop"), "inside")):
        desk = ready()
        plan = desk.plan(desk.ask("swap", to="mxfp4").plan)
        desk.steps(plan, *steps)
        assert desk.plan(plan.id).phase == kind
        assert desk.ask("stop", "v32").verdict.ok
        assert desk.doors.ended[-1][0] == plan.id


def test_over_the_bus_a_slot_is_disturbed_with_a_second_word_only() -> None:
    desk = ready()
    phone = Command(0, 0, "swap", "oracle", {"to": "mxfp4"}, "bus:phone", "bus", id="1")
    desk.turn(phone)
    assert not desk.doors.started
    (question,) = desk.core.approvals.open()
    assert (question.intent.verb, question.intent.target) == ("swap", "slot:oracle")
    desk.turn(Command(0, 0, "approve", question.id, {}, "bus:phone", "bus", id="2"))
    assert not desk.doors.started, "nobody says yes to their own question"
    desk.turn(Command(0, 0, "swap", "oracle", {"to": "mxfp4"}, "bus:phone", "bus", id="3", override="because"))
    assert not desk.doors.started
    desk.turn(Command(0, 0, "approve", question.id, {}, "uid:0", "socket"))
    assert [plan.service for plan in desk.doors.started] == ["slot:oracle"]
