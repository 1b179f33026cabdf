"""The owner's stories, interrupted: a full disk, an engine that goes, a daemon that is killed, a clock that jumps.

Played on the virtual clock as in test_stories. Nothing may be lost, invented, refilled or left half done.
"""

import pytest

from supervisor.errors import JournalError
from supervisor.lab.engine import Behaviour, Fault
from supervisor.verdicts import Reason
from tests.sim.stage import GOOD, Stage, play, read

NAME = "box-oracle-1"


# ---------------------------------------------------------------- the disk is full


@pytest.mark.parametrize("at", ["look", "create", "park", "start", "probation", "commit", "spare"])
def test_a_full_disk_in_mid_plan_releases_nothing_and_the_plan_ends_afterwards(at: str) -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        await stage.moved()
        await stage.until(lambda: any(at in plan.begun for plan in stage.plans()), 60, f"step {at}", step=0.002)
        disk, commit = stage.world.disk, stage.world.disk.commit
        await stage.world.run(0.001)
        seen = len(disk.rows(limit=1_000_000))

        def full(_batch: object) -> None:
            raise JournalError("The journal cannot be written (database or disk is full)", full=True)

        disk.commit = full  # type: ignore[method-assign]
        await stage.world.run(2.0)
        writes = len(stage.engine.writes)
        await stage.world.run(60)
        assert len(stage.engine.writes) - writes == 0, "no step without a durable permission"
        assert len(disk.rows(limit=1_000_000)) == seen
        assert stage.snapshot.mode == "observe"
        assert any("disk is full" in text for text in stage.snapshot.problems)
        disk.commit = commit  # type: ignore[method-assign]
        await stage.until(stage.ended, 900, "end of the phoenix", step=1)
        assert stage.snapshot.mode == "heal"
        assert not any("disk is full" in text for text in stage.snapshot.problems)
        await stage.until(
            lambda: stage.box() is not None and stage.box().image_id == good and stage.box().running,  # type: ignore[union-attr]
            900,
            "the good image",
            step=5,
        )
        await stage.until(lambda: not stage.plans(), 600, "end of all plans", step=5)
        assert disk.verify() == ()
        stage.holds()

    play(story)


# ---------------------------------------------------------------- the engine goes away


@pytest.mark.parametrize("restart", [False, True], ids=["away", "restarted"])
@pytest.mark.parametrize("at", ["look", "create", "stop", "park", "adopt", "start", "probation", "commit", "spare"])
def test_the_engine_goes_in_mid_plan_and_comes_back(at: str, restart: bool) -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        await stage.moved()
        await stage.until(lambda: any(at in plan.begun for plan in stage.plans()), 60, f"step {at}", step=0.002)
        if restart:
            stage.engine.restart_engine(30)
        else:
            stage.engine.go_away()
        await stage.world.run(30)
        if not restart:
            stage.engine.come_back()
        await stage.until(
            lambda: stage.box() is not None and stage.box().image_id == good and stage.box().running,  # type: ignore[union-attr]
            3600,
            "the good image",
            step=5,
        )
        await stage.until(lambda: not stage.plans(), 600, "end of all plans", step=5)
        await stage.world.run(60)
        assert not [name for name in stage.names() if ".resurgam-new-" in name or ".resurgam-parked-" in name]
        stage.holds()

    play(story)


def test_an_engine_that_refuses_everything_for_a_while_leaves_the_service_as_it_was() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        before = stage.box()
        assert before is not None
        stage.image("local/oracle:2", GOOD, Labels={"v": "2"})
        stage.engine.fault = lambda operation, _key: Fault.refuse() if operation == "create" else None
        answer = await stage.ask("phoenix", image="local/oracle:2")
        assert answer.verdict.ok
        await stage.until(stage.ended, 300, "end of the phoenix")
        assert stage.outcome().kind == "action.failed"
        assert "internal error" in stage.outcome().body["text"]
        box = stage.box()
        assert box is not None
        assert (box.id, box.running, box.image_id) == (before.id, True, good)
        stage.holds({NAME: before.id})

    play(story)


# ---------------------------------------------------------------- the daemon is restarted

SICK = """
groups:
- name: mine
  rules:
  - alert: Sick
    expr: resurgam_container_unhealthy == 1
    for: 1m
"""


async def checked(stage: Stage) -> None:
    """A service with a health check that runs well."""
    stage.image("local/oracle:1", Behaviour(healthy_after=1.0))
    await stage.up()
    await stage.begin()
    await stage.world.run(30)


def test_time_in_which_nobody_looked_does_not_count_towards_for() -> None:
    async def story(stage: Stage) -> None:
        await checked(stage)
        stage.engine.set_health(NAME, "unhealthy")
        await stage.world.run(20)
        alert = stage.alert("Sick")
        assert alert is not None
        assert alert.state == "pending"
        await stage.kill()
        await stage.world.run(600)
        await stage.begin()
        back = stage.clock.mono()
        await stage.world.run(5)
        alert = stage.alert("Sick")
        assert alert is not None, "a pending alert is not lost"
        assert alert.state == "pending", "the ten minutes do not count"
        await stage.until(lambda: stage.alert("Sick").state == "firing", 120, "firing alert")  # type: ignore[union-attr]
        assert 30 <= stage.clock.mono() - back <= 62, "20 s had gone by before"
        mine = [row for row in stage.rows("alert.pending") if row.body["alert"]["labels"]["alertname"] == "Sick"]
        assert len(mine) == 1

    play(story, read({"mine.yaml": SICK}, mode="observe"))


def test_a_firing_alert_is_neither_lost_nor_told_again_over_a_restart() -> None:
    async def story(stage: Stage) -> None:
        await checked(stage)
        stage.engine.set_health(NAME, "unhealthy")
        await stage.until(lambda: stage.rows("alert.firing"), 120, "firing alert")
        await stage.until(lambda: stage.alert("Sick").state == "firing", 120, "firing")  # type: ignore[union-attr]
        first = stage.alert("Sick")
        assert first is not None
        for _again in range(3):
            await stage.kill()
            await stage.world.run(20)
            await stage.begin()
            await stage.world.run(60)
            now = stage.alert("Sick")
            assert now is not None
            assert (now.state, now.fired_at, now.fingerprint) == ("firing", first.fired_at, first.fingerprint)
        mine = [row for row in stage.rows("alert.firing") if row.body["alert"]["labels"]["alertname"] == "Sick"]
        assert len(mine) == 1
        stage.engine.set_health(NAME, "healthy")
        await stage.until(lambda: not stage.alert("Sick"), 60, "resolved alert")
        await stage.world.run(30)
        ids = [event["id"] for event in stage.heard("alert.resolved") if event["data"]["labels"]["alertname"] == "Sick"]
        assert len(set(ids)) == 1
        stage.holds()

    play(story, read({"mine.yaml": SICK}, mode="observe"))


def test_an_alert_whose_rule_is_gone_after_a_restart_is_told_as_resolved() -> None:
    async def story(stage: Stage) -> None:
        await checked(stage)
        stage.engine.set_health(NAME, "unhealthy")
        await stage.until(lambda: (found := stage.alert("Sick")) and found.state == "firing", 120, "firing alert")
        await stage.kill()
        stage.world.loaded = read(mode="observe")
        await stage.begin()
        await stage.world.run(30)
        assert stage.alert("Sick") is None
        told = [event["data"] for event in stage.heard("alert.resolved")]
        assert [alert["status"] for alert in told if alert["labels"]["alertname"] == "Sick"] == ["resolved"]
        stage.holds()

    play(story, read({"mine.yaml": SICK}, mode="observe"))


def test_what_resolved_while_nobody_looked_is_told_once_after_the_restart() -> None:
    async def story(stage: Stage) -> None:
        await checked(stage)
        stage.engine.set_health(NAME, "unhealthy")
        await stage.until(lambda: (found := stage.alert("Sick")) and found.state == "firing", 120, "firing alert")
        await stage.kill()
        stage.engine.set_health(NAME, "healthy")
        await stage.world.run(300)
        await stage.begin()
        await stage.until(lambda: not stage.alert("Sick"), 120, "resolved alert")
        told = [row for row in stage.rows("alert.resolved") if row.body["alert"]["labels"]["alertname"] == "Sick"]
        assert len(told) == 1
        await stage.world.run(30)
        stage.holds()

    play(story, read({"mine.yaml": SICK}, mode="observe"))


def test_an_alert_that_the_broker_never_took_is_told_by_the_next_life() -> None:
    async def story(stage: Stage) -> None:
        await checked(stage)
        stage.engine.set_health(NAME, "unhealthy")
        await stage.world.run(25)
        stage.world.broker.freeze()
        await stage.until(lambda: stage.rows("alert.firing"), 9, "firing alert")
        await stage.world.run(2)
        await stage.kill()
        stage.world.broker.thaw()
        await stage.world.run(1)
        assert stage.heard("alert.firing") == []
        await stage.begin()
        await stage.until(lambda: stage.heard("alert.firing"), 60, "message")
        await stage.world.run(30)
        stage.holds()

    play(story, read({"mine.yaml": SICK}, mode="observe"))


def test_a_recreation_in_our_absence_ends_what_a_person_stopped() -> None:
    async def story(stage: Stage) -> None:
        good = await stage.proved()
        stage.engine.human_stop(NAME)
        await stage.world.run(2)
        assert stage.service().wanted.state == "stopped"
        await stage.kill()
        await stage.moved()
        await stage.world.run(10)
        await stage.begin()
        await stage.until(stage.ended, 900, "end of the phoenix", step=2)
        assert stage.box().image_id == good  # type: ignore[union-attr]
        assert stage.service().wanted.state == "running"

    play(story)


async def spend(stage: Stage, times: int = 3) -> None:
    """The service's budget of an hour is spent by a person's restarts."""
    for number in range(times):
        assert (await stage.ask("restart")).verdict.ok, stage.tail(8)
        await stage.until(lambda n=number: len(stage.ended("restart")) == n + 1, 120, "end of a restart")  # type: ignore[misc]


@pytest.mark.parametrize("how", ["kill", "stop", "jump", "jump_back"])
def test_nothing_refills_the_budget(how: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.proved()
        await spend(stage)
        refused = await stage.ask("restart")
        assert refused.verdict.reason is Reason.BUDGET_SERVICE
        if how == "kill":
            await stage.kill()
        elif how == "stop":
            await stage.stop()
        if how.startswith("jump"):
            stage.clock.jump(-7200 if how == "jump_back" else 7200)
        await stage.world.run(2)
        if stage.world.life is None:
            await stage.begin()
            await stage.world.run(5)
        again = await stage.ask("restart")
        assert not again.verdict.ok, f"{how} refilled the budget"
        assert again.verdict.reason is Reason.BUDGET_SERVICE
        await stage.world.run(3700)
        assert (await stage.ask("restart")).verdict.ok, "an hour later there is room"

    play(story)
