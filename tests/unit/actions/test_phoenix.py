"""Phoenix on a simulated engine: it heals, or it puts back what it found, and says which."""

import asyncio
from dataclasses import replace

import pytest

from supervisor.facts import Needs
from supervisor.lab.engine import NEVER, Behaviour, Fault, SimImage
from supervisor.services import OP_LABEL, ROLE_LABEL, is_temp
from supervisor.verdicts import Reason, no
from tests.support.runner import sim_box

COMPOSE = {"com.docker.compose.project": "ai", "com.docker.compose.service": "oracle", "resurgam.enable": "true"}
GOOD = SimImage(tags=("local/oracle:1",), config={"Env": ["V=1"]}, run=Behaviour(healthy_after=2.0))
BAD = SimImage(tags=("local/oracle:2",), config={"Env": ["V=2"]}, run=Behaviour(exit_after=0.2, exit_code=139))
SLOW = SimImage(tags=("local/oracle:3",), run=Behaviour(healthy_after=NEVER))


@pytest.fixture
def box():
    with sim_box() as made:
        made.good, made.bad, made.slow = (made.engine.add_image(image) for image in (GOOD, BAD, SLOW))
        yield made


def names(box):
    return sorted(each.name for each in box.engine.containers())


def serving(box, image_id):
    """The one container that must stand there at the end of anything that ended well."""
    seen = box.engine.container("oracle")
    assert seen is not None
    assert seen.running
    assert seen.image_id == image_id
    assert seen.restart_policy == "always"
    assert [each.name for each in box.engine.containers() if not is_temp(each.name)] == ["oracle"]
    return seen


def healthy(box, image="local/oracle:1", labels=COMPOSE):
    box.engine.human_run("oracle", image, labels=labels, policy="always")
    box.let(4.0)
    return box.service("oracle", proved_image=box.good)


def broken(box):
    """Story 1: the container was recreated from an image that dies at once."""
    box.engine.human_run("oracle", "local/oracle:2", labels=COMPOSE, policy="always")
    box.let(4.0)
    return box.service("oracle", healthy=False, proved_image=box.good, streak=4)


def test_a_crash_loop_is_healed_from_the_last_known_good_image(box):
    plan = box.plan("phoenix", broken(box), box.good, image="last-known-good")
    ended = box.run(box.core.run(plan))
    assert ended.outcome.ok
    assert ended.outcome.reason is Reason.VERIFIED
    seen = serving(box, box.good)
    assert seen.labels["com.docker.compose.service"] == "oracle"
    assert seen.labels[OP_LABEL] == plan.op
    assert ROLE_LABEL not in seen.labels
    assert ended.data["blame"] == box.bad
    assert names(box) == ["oracle", *ended.left]
    spare = box.engine.container(ended.left[0])
    assert spare.status == "created"
    assert spare.restart_policy == "no"
    assert spare.image_id == box.bad
    assert not any(label.startswith("com.docker.compose.") for label in spare.labels)
    assert box.engine.world.shelf.tags["resurgam/lkg:oracle"] == box.good


def test_an_engine_that_denies_the_old_image_once_is_asked_again(box):
    """Believed at once, the bad image's command and environment would go into the new container as a person's own."""
    look, denied = box.engine.image, []

    async def image(ref):
        if ref == box.bad and not denied:
            denied.append(ref)
            return None
        return await look(ref)

    box.engine.image = image
    plan = box.plan("phoenix", broken(box), box.good, image="last-known-good")
    assert box.run(box.core.run(plan)).outcome.ok
    assert denied
    assert box.run(box.engine.raw(serving(box, box.good).id))["Config"]["Env"] == ["V=1"]


def test_an_engine_that_denies_an_image_which_it_lists_is_not_believed_at_all(box):
    look = box.engine.image

    async def image(ref):
        return None if ref == box.bad else await look(ref)

    box.engine.image = image
    ended = box.run(box.core.run(box.plan("phoenix", broken(box), box.good, image="last-known-good")))
    assert ended.data["why"] == Reason.UNFAITHFUL.value
    assert box.engine.writes == [] or {op for op, _key, _at in box.engine.writes} <= {"tag"}


def test_the_old_one_serves_until_the_new_one_is_ready_to_take_over(box):
    plan = box.plan("phoenix", healthy(box), box.good)
    box.run(box.core.run(plan))
    done = [op for op, _key, _at in box.engine.writes]
    assert done == ["tag", "create", "stop", "set_policy", "rename", "rename", "start", "create", "remove"]
    assert box.core.asked == [step.name for step in plan.steps if not step.back]


@pytest.mark.parametrize("image", ["bad", "slow"])
def test_an_image_that_fails_is_left_and_the_old_container_is_put_back(box, image):
    service = healthy(box, labels={"resurgam.enable": "true"})
    before = service.container
    plan = box.plan("phoenix", service, getattr(box, image))
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert not ended.outcome.ok
    assert serving(box, box.good).id == before.id
    assert box.core.journal == {}
    data = plan.found | box.core_data()
    assert data["blame"] == getattr(box, image)
    failed = box.engine.container(ended.left[0])
    assert names(box) == ["oracle", failed.name]
    assert failed.restart_policy == "no"
    assert not failed.running


def test_a_failed_container_with_compose_labels_does_not_stay_to_be_started_by_compose(box):
    ended = box.run(box.core.run(box.plan("phoenix", healthy(box), box.bad)))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert ended.left == ()
    assert names(box) == ["oracle"]


def test_only_the_latest_failed_container_is_kept(box):
    service = healthy(box, labels={})
    box.run(box.core.run(box.plan("phoenix", service, box.bad, plan_id=1)))
    ended = box.run(box.core.run(box.plan("phoenix", box.service("oracle"), box.bad, plan_id=2)))
    assert names(box) == ["oracle", *ended.left]
    assert len(ended.left) == 1
    assert "000002" in ended.left[0]


def test_a_second_phoenix_replaces_the_spare_of_the_first(box):
    box.run(box.core.run(box.plan("phoenix", healthy(box), box.good, plan_id=1)))
    ended = box.run(box.core.run(box.plan("phoenix", box.service("oracle"), box.good, plan_id=2)))
    assert names(box) == ["oracle", *ended.left]
    assert len(ended.left) == 1
    assert "000002" in ended.left[0]


def test_a_failing_last_known_good_image_is_not_quarantined(box):
    service = replace(healthy(box, image="local/oracle:1"), proved_image=box.bad)
    box.run(box.core.run(box.plan("phoenix", service, box.bad)))
    assert "blame" not in box.core_data()


def test_what_was_not_healthy_is_put_back_as_it_was_and_said_so(box):
    service = replace(broken(box), proved_image="")
    ended = box.run(box.core.run(box.plan("phoenix", service, box.slow, within="8s")))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "as it was found" in ended.outcome.text
    assert box.engine.container("oracle").image_id == box.bad
    assert box.engine.container("oracle").status in ("restarting", "running")


def test_a_death_in_probation_is_seen_at_once_from_the_event(box):
    box.engine.add_image(SimImage(id="sha256:" + "d" * 64, tags=("d:1",), run=Behaviour(exit_after=3.3, exit_code=1)))
    plan = box.plan("phoenix", healthy(box), "sha256:" + "d" * 64)
    ended = box.run(box.core.run_heard(plan))
    assert "exit code 1" in ended.outcome.text
    began = next(at for op, key, at in box.engine.writes if op == "start")
    stopped = [at for op, key, at in box.engine.writes if op == "stop"][1]
    assert stopped - began - 0.25 < 3.4


def test_a_probe_decides_where_the_image_has_no_check(box):
    image = box.engine.add_image(SimImage(tags=("p:1",), run=Behaviour()))
    service = replace(healthy(box), needs=Needs(probe="http://:8000/health", startup=20.0))
    ended = box.run(box.core.run(box.plan("phoenix", service, image)))
    assert ended.outcome.ok
    assert "200 OK" in ended.data.get("proof", "") + ended.outcome.text
    assert box.prober.asked


def test_a_probe_that_cannot_run_is_not_held_against_the_service(box):
    box.prober.broken = "grpc is not supported yet"
    service = replace(healthy(box), needs=Needs(probe="grpc://:50051", startup=20.0))
    assert box.run(box.core.run(box.plan("phoenix", service, box.good))).outcome.ok


@pytest.mark.parametrize("step", ["look", "create", "stop"])
def test_a_refusal_before_the_stop_leaves_everything_untouched(box, step):
    service = healthy(box)
    box.core.refuse = lambda plan, asked, seen: no(Reason.PAUSED, "Paused.") if asked == step else None
    ended = box.run(box.core.run(box.plan("phoenix", service, box.good)))
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert ended.data["why"] == "paused"
    assert names(box) == ["oracle"]
    assert serving(box, box.good).id == service.container.id
    assert not {op for op, _key, _at in box.engine.writes} & {"stop", "start", "rename", "set_policy"}


def test_a_wish_to_end_is_obeyed_before_the_stop_and_not_after(box):
    plan = box.plan("phoenix", healthy(box), box.good)
    box.core.at_step = lambda step: box.core.runner.end(1, no(Reason.RESOLVED, "Over.")) if step == "create" else None
    assert box.run(box.core.run(plan)).outcome.reason is Reason.ENDED_EARLY
    assert names(box) == ["oracle"]
    again = box.plan("phoenix", box.service("oracle", proved_image=box.good), box.good, plan_id=2)
    box.core.at_step = lambda step: box.core.runner.end(2, no(Reason.RESOLVED, "Over.")) if step == "hold" else None
    assert box.run(box.core.run(again)).outcome.ok


def test_sigterm_inside_leaves_the_plan_open_and_the_next_start_finishes_it(box):
    plan = box.plan("phoenix", healthy(box), box.good)
    stopping = no(Reason.STOPPING, "Asked to end.")
    box.core.refuse = lambda plan, step, seen: stopping if step == "adopt" else None
    box.core.journal[1] = plan

    async def closed():
        box.core.runner.start(plan)
        while box.core.runner.running:
            await asyncio.sleep(0.1)
        await box.core.runner.close()

    box.run(closed())
    assert 1 in box.core.journal
    box.core.refuse = lambda plan, step, seen: None
    (ended,) = box.run(box.core.recover())
    assert ended.outcome.ok
    serving(box, box.good)


def test_close_in_probation_is_quick_and_touches_nothing(box):
    plan = box.plan("phoenix", healthy(box), box.slow)
    box.core.journal[1] = plan

    async def closing():
        box.core.runner.start(plan)
        await asyncio.sleep(20)
        wrote, at = len(box.engine.writes), box.clock.mono()
        await box.core.runner.close()
        return len(box.engine.writes) - wrote, box.clock.mono() - at

    assert box.run(closing()) == (0, 0.0)
    assert 1 in box.core.journal


def test_a_plan_taken_over_in_probation_does_not_get_its_time_anew(box):
    plan = box.plan("phoenix", healthy(box), box.slow, within="100s")
    box.core.journal[1] = plan

    async def closing():
        box.core.runner.start(plan)
        await asyncio.sleep(80)
        await box.core.runner.close()

    box.run(closing())
    began = box.clock.mono()
    (ended,) = box.run(box.core.recover())
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert box.clock.mono() - began < 45
    serving(box, box.good)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda box: box.engine.human_remove("oracle", force=True), Reason.VANISHED),
        (lambda box: box.engine.human_rename("oracle", "mine"), Reason.INTERFERED),
        (lambda box: box.engine.human_untag("local/oracle:3", force=True), Reason.IMAGE_GONE),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_touched(box, prepare, reason):
    service = healthy(box)
    plan = box.plan("phoenix", service, box.slow)
    prepare(box)
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.FAILED
    assert ended.data["why"] == reason.value
    assert box.engine.writes == []


def test_a_reference_is_resolved_by_the_first_look(box):
    plan = box.plan("phoenix", healthy(box), "", image="local/oracle:3", within="10s")
    box.run(box.core.run(plan))
    assert box.core_data()["new_image"] == box.slow


def test_a_quarantined_image_is_not_gone_to(box):
    service = replace(healthy(box), quarantined=(box.bad,))
    ended = box.run(box.core.run(box.plan("phoenix", service, "", image="local/oracle:2")))
    assert ended.data["why"] == Reason.QUARANTINED.value
    assert box.engine.writes == []


def test_the_port_of_the_old_container_is_free_when_the_new_one_starts(box):
    box.engine.human_run("oracle", "local/oracle:1", labels=COMPOSE, policy="always", ports={"8000/tcp": "8000"})
    box.let(4.0)
    assert box.run(box.core.run(box.plan("phoenix", box.service("oracle"), box.good))).outcome.ok


def test_a_parked_container_with_much_of_its_own_is_kept_and_said(box, monkeypatch):
    monkeypatch.setattr("supervisor.actions.prepare.LARGE_LAYER", -1)
    ended = box.run(box.core.run(box.plan("phoenix", healthy(box), box.good)))
    assert ended.outcome.ok
    assert [name for name in ended.left if ".resurgam-parked-" in name]
    assert "kept" in ended.outcome.text


# ------------------------------------------------------------ faults of the engine

FAULTS = {
    "refuse": Fault.refuse(),
    "refuse409": Fault.refuse(409, "conflict"),
    "timeout_before_effect": Fault.timeout_before_effect(),
    "effect_then_timeout": Fault.effect_then_timeout(),
    "late": Fault.delay(33.0),
    "very_late": "beyond the caller's limit",
    "cut": Fault.cut(),
    "effect_then_cut": Fault.effect_then_cut(),
}
OPS = ["inspect", "raw", "image", "list", "create", "stop", "set_policy", "rename", "start", "remove", "tag", "logs"]


def once(op, nth, fault):
    """A fault at the nth call of an operation."""
    left = {"count": nth}
    if fault == FAULTS["very_late"]:
        # a real engine takes calls on one container one after another, so no effect outlives the runner's patience
        fault = Fault.delay(123.0 if op in ("create", "start", "remove") else 45.0 if op == "stop" else 34.0)

    def ask(asked, _key):
        if asked != op:
            return None
        left["count"] -= 1
        return fault if left["count"] == 0 else None

    return ask


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("to", ["good", "bad"])
def test_one_fault_at_any_call_ends_in_a_serving_container(op, kind, to):
    for nth in (1, 2, 3, 4):
        with sim_box() as box:
            box.good, box.bad = box.engine.add_image(GOOD), box.engine.add_image(BAD)
            service = healthy(box)
            plan = box.plan("phoenix", service, getattr(box, to))
            box.engine.fault = once(op, nth, FAULTS[kind])
            ended = box.run(box.core.run(plan))
            box.engine.fault = None
            box.let(200.0)
            seen = serving(box, box.good)
            assert seen.health == "healthy"
            assert ended.outcome.reason in (Reason.VERIFIED, Reason.ROLLED_BACK, Reason.FAILED), ended
            stray = [name for name in names(box) if name != "oracle" and name not in ended.left]
            assert stray == [], (ended, stray)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("op", ["inspect", "stop", "set_policy", "rename", "start"])
@pytest.mark.parametrize("to", ["good", "bad"])
def test_no_container_starts_before_the_one_beside_it_is_held_down(op, kind, to):
    """An engine that is restarted at that moment would start both: with one port, and on one volume of data."""
    for nth in range(1, 6):
        with sim_box() as box:
            box.good, box.bad = box.engine.add_image(GOOD), box.engine.add_image(BAD)
            plan = box.plan("phoenix", healthy(box), getattr(box, to))
            box.engine.fault = once(op, nth, FAULTS[kind])
            starts = []

            def look(asked, key, when, box=box, starts=starts):
                if (asked, when) == ("start", "before"):
                    others = [each for each in box.engine.containers() if each.id != key]
                    starts.append([(is_temp(each.name), each.status, each.restart_policy) for each in others])

            box.engine.on_call = look
            box.run(box.core.run(plan))
            assert starts, (op, kind, nth)
            for others in starts:
                assert all(temp and status in ("exited", "created") for temp, status, _policy in others), (nth, starts)
                assert [policy for *_rest, policy in others] == ["no"], (nth, starts)


def test_a_rename_that_took_effect_but_timed_out_is_not_tried_into_a_conflict(box):
    plan = box.plan("phoenix", healthy(box), box.good)
    box.engine.fault = lambda op, key: Fault.effect_then_timeout() if op == "rename" else None
    assert box.run(box.core.run(plan)).outcome.ok
    assert [op for op, _key, _at in box.engine.writes].count("rename") == 2


def test_an_engine_that_goes_away_is_waited_for_and_reported(box):
    plan = box.plan("phoenix", healthy(box), box.good)

    def away(step):
        if step == "adopt":
            box.engine.go_away()
            box.engine.world.timers.after(400.0, box.engine.come_back)

    box.core.at_step = away
    ended = box.run(box.core.run(plan))
    assert ended.outcome.ok
    assert [note for note in box.core.notes if not note.ok and "Waits for the engine" in note.text]


def test_an_engine_that_goes_away_in_probation_is_not_waited_for_beyond_the_deadline(box):
    plan = box.plan("phoenix", healthy(box), box.good, within="30s")

    def away(step):
        if step == "probation":
            box.engine.go_away()
            box.engine.world.timers.after(120.0, box.engine.come_back)

    box.core.at_step = away
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert "blame" not in box.core_data()
    serving(box, box.good)


def test_when_even_the_way_back_fails_nothing_is_deleted_and_it_is_said(box):
    plan = box.plan("phoenix", healthy(box), box.bad)
    started = []

    def fail(op, key):
        if op == "start" and started:
            return Fault.refuse()
        if op == "start":
            started.append(key)
        return None

    box.engine.fault = fail
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.DEGRADED
    assert not [op for op, _key, _at in box.engine.writes if op == "remove"]
    assert box.engine.container("oracle").id == plan.container_id
    assert ended.left


# ------------------------------------------------------------ people's hands in the midst of it


def meddle(box, at, hand):
    box.core.at_step = lambda step: hand() if step == at else None


def after_write(box, operation, hand):
    """A hand right after the first such call of ours. What lies between the stop and the start is permitted at once, so
    no step is a moment in it."""

    def act(op, _key, when):
        if (op, when) == (operation, "after"):
            box.engine.on_call = None
            hand()

    box.engine.on_call = act


def test_a_stranger_under_the_name_is_left_alone(box):
    plan = box.plan("phoenix", healthy(box), box.good)
    after_write(box, "rename", lambda: box.engine.human_run("oracle", "local/oracle:1"))
    ended = box.run(box.core.run(plan))
    stranger = box.engine.container("oracle")
    assert stranger.running
    assert stranger.id != plan.container_id
    assert ended.data["why"] == Reason.INTERFERED.value
    assert names(box) == ["oracle", *ended.left]
    assert box.engine.container(ended.left[0]).id == plan.container_id


@pytest.mark.parametrize("at", ["stop", "set_policy", "rename", "start", "probation"])
def test_a_new_container_that_somebody_removes_brings_the_old_one_back(box, at):
    plan = box.plan("phoenix", healthy(box), box.good)

    def remove():
        made = [each for each in box.engine.containers() if each.labels.get(OP_LABEL) == plan.op]
        box.engine.human_remove(made[0].id, force=True)

    if at in ("set_policy", "rename"):
        after_write(box, at, remove)
    else:
        meddle(box, at, remove)
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    assert serving(box, box.good).id == plan.container_id
    assert ended.left == ()


@pytest.mark.parametrize("at", ["adopt", "probation", "commit"])
def test_an_old_container_that_somebody_removes_does_not_stop_the_new_one(box, at):
    plan = box.plan("phoenix", healthy(box), box.good)
    meddle(box, at, lambda: box.engine.human_remove(plan.container_id, force=True))
    assert box.run(box.core.run(plan)).outcome.ok
    serving(box, box.good)
    assert names(box) == ["oracle"]


def test_somebody_who_starts_the_old_one_again_gets_it_back(box):
    plan = box.plan("phoenix", healthy(box), box.good)
    meddle(box, "probation", lambda: box.engine.human_start(plan.container_id))
    ended = box.run(box.core.run(plan))
    assert ended.outcome.reason is Reason.ROLLED_BACK
    seen = box.engine.container("oracle")
    assert seen.id == plan.container_id
    assert seen.running
    assert "blame" not in box.core_data()


@pytest.mark.parametrize("at", ["spare", "clear"])
def test_a_parked_container_that_somebody_starts_after_the_commit_is_theirs(box, at):
    plan = box.plan("phoenix", healthy(box), box.good)
    meddle(box, at, lambda: box.engine.human_start(plan.container_id))
    ended = box.run(box.core.run(plan))
    assert ended.outcome.ok
    assert "left alone" in ended.outcome.text
    assert box.engine.container(plan.container_id).running
    assert [name for name in ended.left if ".resurgam-parked-" in name]


def test_a_plan_that_waits_for_the_engine_can_be_ended_as_long_as_nothing_was_made(box):
    plan = box.plan("phoenix", healthy(box), box.good)
    box.engine.go_away()

    async def tired():
        box.core.journal[1] = plan
        box.core.runner.start(plan)
        await asyncio.sleep(30)
        box.core.runner.end(1, no(Reason.RESOLVED, "Over."))
        return await box.core.wait(1)

    ended = box.run(tired())
    assert ended.outcome.reason is Reason.ENDED_EARLY
    assert box.core.journal == {}
