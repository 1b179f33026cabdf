"""The owner's stories, whole: the daemon on a virtual clock between a simulated engine and broker (stage.py).

Each story asserts what a person would see: which container runs from which image, what is said, what is kept.
"""

import pytest

from supervisor.lab.engine import Behaviour
from supervisor.verdicts import Reason
from tests.sim.stage import CRASHES, OWNED, OWNER_FILE, Stage, play, read

NAME = "box-oracle-1"
KUBE = {"box.oracle": {"kube": {"container": "ktransformers", "deployment": "inference-engine"}}}
SLOW_TO_FAIL = Behaviour(exit_after=25.0, exit_code=1)


def owner(**settings: object):  # type: ignore[no-untyped-def]
    """The owner's alert file, word for word, before the shipped rules."""
    return read({"omni.yaml": OWNER_FILE.read_text("utf-8")}, **settings)


async def looping(stage: Stage, name: str = NAME) -> None:
    """The container ends again and again from now on, on the very image that was proved."""
    stage.engine.break_container(name, exit_after=3.0, exit_code=134)
    stage.engine.crash(name, 134)


# ---------------------------------------------------------------- story 1: a moved tag


def test_a_moved_tag_that_crashes_is_seen_named_undone_and_quarantined() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        bad = await stage.moved()
        took = await stage.until(lambda: stage.alert("ContainerRestartLoop"), 5, "alert")
        assert took < 2, "a loop of short lives is seen within two seconds of the recreation"
        incident = next(one for one in stage.snapshot.incidents if one.subject == "box.oracle")
        for image in (good, bad):
            assert image.removeprefix("sha256:")[:12] in incident.cause, incident.cause

        await stage.until(stage.ended, 60, "end of the phoenix")
        end = stage.outcome()
        assert end.kind == "action.verified", end.body["text"]
        assert (end.body["old_image"], end.body["new_image"]) == (bad, good)
        box = stage.box()
        assert box is not None
        assert (box.running, box.image_id, box.restart_policy) == (True, good, "always")
        assert [alert["data"]["labels"]["name"] for alert in stage.heard("alert.firing")][-1] == NAME

        await stage.until(lambda: not stage.alert("ContainerRestartLoop"), 120, "resolved alert")
        assert stage.service().drift == "tag_moved", "the tag still stands for the bad image, and that is said"
        assert bad in stage.service().quarantined
        assert good not in stage.service().quarantined
        quarantined = stage.rows("drift.quarantined")
        assert [row.body["image_id"] for row in quarantined] == [bad]
        await stage.world.run(3600)
        assert len(stage.ended()) == 1, "once was enough"
        firing = [alert.name for alert in stage.snapshot.alerts if alert.state == "firing"]
        assert firing == ["ContainerImageDrift"], "the next `compose up` would bring it back: that stays said"
        stage.engine.human_tag(good, "local/oracle:1")
        await stage.until(lambda: not stage.snapshot.incidents, 120, "end of the incident, once the tag is put right")
        stage.holds({NAME: box.id})

    play(story)


def test_the_quarantined_image_is_not_obeyed_even_when_asked_for() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        bad = await stage.moved()
        await stage.until(stage.ended, 60, "end of the phoenix")
        writes = len(stage.engine.writes)
        answer = await stage.ask("phoenix", image=bad)
        assert not answer.verdict.ok
        assert answer.verdict.reason is Reason.QUARANTINED
        assert len(stage.engine.writes) == writes

    play(story)


# ---------------------------------------------------------------- story 2: the owner's alert file


def test_the_owners_rule_stops_the_mapped_service_and_it_stays_down() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await looping(stage)
        await stage.until(lambda: stage.alert("BlackwellResetLoopRisk"), 60, "pending alert")
        assert stage.alert("BlackwellResetLoopRisk").state == "pending"  # type: ignore[union-attr]
        assert stage.rows("alert.pending")[-1].subject == "box.oracle", "the mapping says whose alert it is"
        await stage.until(lambda: stage.ended("scale"), 150, "end of the scale")
        end = stage.outcome("scale")
        assert (end.kind, end.body["by"]) == ("action.verified", "rule:BlackwellResetLoopRisk"), end.body["text"]
        stopped_at = stage.clock.wall()

        def is_down() -> bool:
            box = stage.box()
            return box is not None and box.status == "exited" and box.restart_policy == "no"

        assert is_down()
        assert stage.service().wanted.state == "stopped"
        await stage.world.run(600)
        await stage.kill()
        await stage.begin()
        await stage.world.run(300)
        assert is_down(), "a restart of the daemon starts nothing"
        stage.engine.restart_engine(5)
        await stage.world.run(3 * 3600)
        assert is_down(), "an engine restart starts nothing"
        assert [at for _key, at in stage.starts() if at > stopped_at] == []
        assert stage.service().wanted.state == "stopped"
        assert stage.service().wanted.by == "rule:BlackwellResetLoopRisk"

        answer = await stage.ask("start")
        assert answer.verdict.ok, "a person may"
        stage.engine.break_container(NAME)
        await stage.until(lambda: stage.ended("start"), 60, "end of the start")
        box = stage.box()
        assert box is not None
        assert box.restart_policy == "always", "what the stop took away is given back"

    play(story, owner(services=KUBE))


def test_no_shipped_ladder_starts_it_while_the_owners_rule_is_pending_or_firing() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        assert (await stage.ask("pause", "*")).verdict.ok
        bad = await stage.moved()
        await stage.until(lambda: stage.alert("BlackwellResetLoopRisk"), 60, "pending alert")
        assert stage.alert("ContainerRestartLoop") is not None
        assert (await stage.ask("resume", "*")).verdict.ok
        await stage.world.run(20)
        assert stage.plans() == [], "it only pends, and the shipped ladder waits for it already"
        waits = [row for row in stage.refusals("owner_first") if row.body["by"] == "playbook:restart-loop"]
        assert len(waits) == 1, "said once, not in every turn"
        assert "BlackwellResetLoopRisk" in waits[0].body["text"]
        await stage.until(lambda: stage.ended("scale"), 150, "end of the scale")
        await stage.world.run(1800)
        assert [row.body["verb"] for row in stage.rows("action.planned") if row.public] == ["scale"]
        box = stage.box()
        assert box is not None
        assert (box.status, box.image_id) == ("exited", bad)

    play(story, owner(services=KUBE))


def test_without_the_mapping_it_fires_does_nothing_and_names_the_fix() -> None:
    async def story(stage: Stage) -> None:
        stage.image("local/kt:1")
        stage.engine.human_run("ktransformers", "local/kt:1", OWNED, "always")
        await stage.begin()
        await stage.world.run(90)
        writes = [operation for operation, _key, _at in stage.engine.writes]
        assert writes == ["tag"], "its image was proved"
        await looping(stage, "ktransformers")
        await stage.until(lambda: stage.rows("alert.firing") and stage.refusals("no_target"), 200, "refusal")
        alert = stage.alert("BlackwellResetLoopRisk")
        assert alert is not None
        assert alert.state == "firing"
        (refusal,) = stage.refusals("no_target")
        assert refusal.body["by"] == "rule:BlackwellResetLoopRisk"
        assert "kube: {deployment: inference-engine}" in refusal.body["text"]
        assert "resurgam.yaml" in refusal.body["text"]

    play(story, owner())


def test_without_any_such_container_the_owners_file_does_nothing_at_all() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        await stage.moved()
        await stage.until(stage.ended, 60, "end of the phoenix")
        assert stage.outcome().kind == "action.verified"
        assert stage.box().image_id == good  # type: ignore[union-attr]
        assert not [row for row in stage.rows("alert.") if "Blackwell" in row.body["alert"]["labels"]["alertname"]]

    play(story, owner())


# ---------------------------------------------------------------- who may be touched


def test_what_did_not_opt_in_is_watched_and_told_and_never_written_to() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved(labels={})
        await stage.moved(labels={})
        await stage.until(lambda: stage.refusals("not_owned"), 30, "refusal")
        await stage.world.run(1800)
        assert stage.engine.writes == []
        assert stage.rows("action.planned") == []
        (refusal,) = [row for row in stage.refusals("not_owned") if row.body["verb"] == "phoenix"]
        assert "resurgam.enable=true" in refusal.body["text"]
        assert stage.alert("ContainerRestartLoop") is not None
        assert any(event["data"]["labels"]["name"] == NAME for event in stage.heard("alert.firing"))

    play(story)


def test_observing_says_what_would_be_done_and_does_nothing() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await stage.moved()
        await stage.until(lambda: stage.refusals("observe_mode"), 30, "refusal")
        await stage.world.run(1800)
        assert stage.engine.writes == []
        assert any("phoenix box.oracle would be done now" in row.body["text"] for row in stage.refusals("observe_mode"))
        answer = await stage.ask("restart")
        assert answer.verdict.reason is Reason.OBSERVE_MODE
        assert stage.engine.writes == []

    play(story, read(mode="observe"))


# ---------------------------------------------------------------- what people want


def test_a_pause_holds_and_its_end_lets_the_cure_begin() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        assert (await stage.ask("pause", "*", reason="I am working here")).verdict.ok
        await stage.moved()
        await stage.until(lambda: stage.refusals("paused"), 30, "refusal")
        assert "I am working here" in stage.refusals("paused")[-1].body["text"]
        writes = len(stage.engine.writes)
        await stage.world.run(300)
        await stage.kill()
        await stage.begin()
        await stage.world.run(300)
        assert len(stage.engine.writes) == writes, "a restart does not end a pause"
        assert (await stage.ask("resume", "*")).verdict.ok
        await stage.until(stage.ended, 120, "end of the phoenix")
        assert stage.outcome().kind == "action.verified"
        assert stage.box().image_id == good  # type: ignore[union-attr]

    play(story)


@pytest.mark.parametrize("at", ["look", "protect", "create"])
def test_a_pause_ends_a_plan_that_has_touched_nothing_and_lets_one_go_on_that_has(at: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await stage.moved()
        await stage.until(lambda: any(at in plan.begun for plan in stage.plans()), 60, f"step {at}", step=0.002)
        before = stage.box()
        assert before is not None
        assert (await stage.ask("pause", "*")).verdict.ok
        await stage.until(stage.ended, 30, "end of the phoenix")
        assert stage.outcome().kind == "action.ended_early", stage.outcome().body["text"]
        await stage.world.run(60)
        box = stage.box()
        assert box is not None
        assert box.id == before.id
        assert stage.names() == [NAME], "what was made for it is taken away"
        assert not [write for write in stage.engine.writes if write[0] in ("stop", "start", "rename")]

    play(story)


def test_a_pause_of_one_service_with_an_end_ends_by_itself() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await stage.proved("qdrant")
        assert (await stage.ask("pause", "box.oracle", **{"for": "10m"})).verdict.ok
        await stage.moved()
        await stage.moved("qdrant")
        await stage.until(stage.ended, 60, "end of qdrant's phoenix")
        assert [row.subject for row in stage.ended()] == ["box.qdrant"]
        await stage.until(lambda: len(stage.ended()) == 2, 700, "end of the oracle's phoenix", step=5)
        assert stage.ended()[-1].subject == "box.oracle"
        assert stage.ended()[-1].kind == "action.verified"

    play(story)


def test_a_person_stops_it_and_it_stays_stopped_until_a_person_starts_it() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        writes = len(stage.engine.writes)
        stage.engine.human_stop(NAME)
        await stage.world.run(5)
        assert stage.service().wanted.state == "stopped"
        await stage.world.run(1800)
        await stage.kill()
        await stage.begin()
        await stage.world.run(1800)
        box = stage.box()
        assert box is not None
        assert box.status == "exited"
        assert len(stage.engine.writes) == writes
        assert not stage.snapshot.incidents
        stage.engine.human_start(NAME)
        await stage.world.run(5)
        assert stage.service().wanted.state == "running"

    play(story)


def test_a_stop_in_mid_loop_is_not_answered_with_a_phoenix() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await stage.moved(run=Behaviour(exit_after=6.0, exit_code=139))
        await stage.world.run(13)
        assert not stage.alert("ContainerRestartLoop")
        stage.engine.human_stop(NAME)
        await stage.world.run(1800)
        box = stage.box()
        assert box is not None
        assert box.status == "exited"
        assert stage.ended() == []
        assert stage.service().wanted.state == "stopped"

    play(story)


# ---------------------------------------------------------------- a bad image by request


def test_what_fails_before_anything_is_touched_costs_no_budget() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        for number in range(1, 6):
            answer = await stage.ask("phoenix", image="local/nope:1")
            assert answer.verdict.ok, answer.verdict.text
            await stage.until(lambda count=number: len(stage.ended()) == count, 60, "end of the phoenix")  # type: ignore[misc]
            assert "no image local/nope:1" in stage.outcome().body["text"]
        answer = await stage.ask("restart")
        assert answer.verdict.ok, answer.verdict.text
        await stage.until(lambda: stage.ended("restart"), 120, "end of the restart")

    play(story)


def test_a_start_of_what_runs_already_costs_no_budget() -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        assert (await stage.ask("start")).verdict.ok
        await stage.until(lambda: stage.ended("start"), 60, "end of the start")
        assert stage.starts() == []
        for _ in range(3):
            answer = await stage.ask("restart")
            assert answer.verdict.ok, answer.verdict.text
            await stage.until(lambda: not stage.plans(), 120, "end of the restart")

    play(story)


@pytest.mark.parametrize(
    "run", [CRASHES, SLOW_TO_FAIL, Behaviour(healthy_after=2.0, unhealthy_at=4.0)], ids=["crash", "late", "unhealthy"]
)
def test_a_bad_image_by_request_is_rolled_back_verified_and_quarantined(run: Behaviour) -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        before = stage.box()
        assert before is not None
        bad = stage.image("local/oracle:2", run)
        answer = await stage.ask("phoenix", image="local/oracle:2")
        assert answer.verdict.ok
        assert answer.plan
        await stage.until(stage.ended, 400, "end of the phoenix")
        end = stage.outcome()
        if run is SLOW_TO_FAIL and end.kind == "action.verified":
            # it was well for the whole watch: what comes later is the restart loop's business
            await stage.until(lambda: len(stage.ended()) == 2, 1200, "a second phoenix", step=2)
            assert stage.box().image_id == good  # type: ignore[union-attr]
            return
        assert end.kind == "action.rolled_back", end.body["text"]
        box = stage.box()
        assert box is not None
        assert (box.id, box.running, box.image_id) == (before.id, True, good), "the very container that was there"
        assert box.restart_policy == before.restart_policy
        await stage.world.run(5)
        assert bad in stage.service().quarantined
        assert stage.service().proved_image == good
        stage.holds({NAME: before.id})

    play(story)
